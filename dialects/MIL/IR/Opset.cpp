//===- Opset.cpp - which opset a statement needs --------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// The op records know when an operation and its arguments came; here is what
// depends on types and values (mil/operations.md §1 and mil/types.md §2.1).
//
//===----------------------------------------------------------------------===//

#include "dialects/MIL/IR/Opset.h"
#include "ane-mlir/Support/DType.h"
#include "dialects/ANE/IR/OpInfo.h"
#include "mlir/IR/TypeUtilities.h"
#include "llvm/ADT/StringSwitch.h"

using namespace mlir;
using namespace mlir::mil;
using ane::DType;

int mlir::mil::opsetNumber(llvm::StringRef opset) {
  int number = 0;
  if (!opset.consume_front("ios") || opset.getAsInteger(10, number))
    return 0;
  return number;
}

/// Operations that have no ane op of their own, and forms that have two ages.
static int operationSince(OpOp op) {
  StringRef type = op.getType();
  bool attributes = op.getArgs().empty(); // ios16's form of constexpr
  if (type == "non_maximum_suppression" && getArgument(op, "score_threshold"))
    return 15;
  if (type == "crop_resize" && getArgument(op, "roi"))
    return 15;
  if ((type == "constexpr_lut_to_dense" ||
       type == "constexpr_sparse_to_dense") &&
      attributes)
    return 16;
  int since =
      llvm::StringSwitch<int>(type)
          .Cases({"const", "fill", "cond", "while_loop", "classify",
                  "make_list", "list_length", "list_read", "list_write"},
                 15)
          .Cases({"list_gather", "list_scatter", "custom_layer"}, 15)
          .Cases(
              {"reshape_like", "constexpr_affine_dequantize", "constexpr_cast"},
              16)
          .Cases({"read_state", "write_state"}, 18)
          .Default(0);
  if (since)
    return since;
  const ane::OpInfo *info = ane::lookupOpInfoByMilName(type);
  return info ? info->milOpset : 0;
}

/// Arguments that came with a later opset and that no record has.
static int argumentSince(StringRef type, StringRef name) {
  if (type == "topk" && (name == "sort" || name == "return_indices"))
    return 16;
  if (type == "crop_resize" && name == "pad_value")
    return 16;
  if (name == "validate_indices" || name == "output_indices_dtype" ||
      (name == "output_dtype" && type.starts_with("reduce_arg")))
    return 17;
  if (const ane::OpInfo *info = ane::lookupOpInfoByMilName(type))
    for (const ane::ArgInfo &arg : info->args)
      if (arg.name == name)
        return arg.since;
  return 0;
}

/// When tensors of an element type came to functions.
static int typeSince(Type type) {
  if (isa<StateType>(type))
    return 18;
  auto tensor = dyn_cast<RankedTensorType>(type);
  std::optional<DType> dtype =
      tensor ? ane::toDType(tensor.getElementType()) : std::nullopt;
  if (!dtype)
    return 15;
  switch (*dtype) {
  case DType::Int8:
  case DType::UInt8:
  case DType::Int16:
  case DType::UInt16:
    return 17;
  case DType::Int4:
  case DType::UInt4:
  case DType::UInt1:
  case DType::UInt2:
  case DType::UInt3:
  case DType::UInt6:
    return 18;
  default:
    return 15;
  }
}

static StringRef stringArgument(OpOp op, StringRef name) {
  auto ref = dyn_cast_or_null<RefAttr>(getArgument(op, name));
  auto literal = ref ? getConstant(op.getOperand(ref.getIndex()))
                     : dyn_cast_or_null<LiteralAttr>(getArgument(op, name));
  auto strings = literal ? dyn_cast<DenseStringElementsAttr>(literal.getValue())
                         : DenseStringElementsAttr();
  return strings && strings.getNumElements() == 1
             ? strings.getRawStringData()[0]
             : StringRef();
}

SmallVector<Value> mlir::mil::operandsOfOneType(OpOp op) {
  StringRef type = op.getType();
  SmallVector<Value> list;
  if (type.starts_with("constexpr_") ||
      llvm::is_contained({"quantize", "dequantize", "cast", "resample", "pad",
                          "crop_resize", "fill_like", "upsample_bilinear",
                          "upsample_nearest_neighbor", "cond", "while_loop",
                          "classify", "write_state"},
                         type))
    return list;
  auto epsilon = dyn_cast_or_null<RefAttr>(getArgument(op, "epsilon"));
  for (auto [i, v] : llvm::enumerate(op.getOperands()))
    if (isa<FloatType>(getElementTypeOrSelf(v.getType())) &&
        !(epsilon && epsilon.getIndex() == (int64_t)i))
      list.push_back(v);
  return list;
}

int mlir::mil::requiredOpset(OpOp op) {
  int opset = operationSince(op);
  if (!opset)
    return 0;
  StringRef type = op.getType();
  bool compressed = type.starts_with("constexpr_");
  for (Attribute attr : op.getArgs())
    opset =
        std::max(opset, argumentSince(type, cast<NamedAttr>(attr).getName()));
  if (type == "const" || compressed) {
    for (Value v : op.getResults())
      if (int since = typeSince(v.getType()); since == 18)
        opset = 18;
  } else {
    for (Value v : op.getOperands())
      opset = std::max(opset, typeSince(v.getType()));
    for (Value v : op.getResults())
      opset = std::max(opset, typeSince(v.getType()));
    // Side parameters of another precision than the data, from ios17 on.
    SmallVector<Value> alike = operandsOfOneType(op);
    for (Value v : alike)
      if (getElementTypeOrSelf(v.getType()) !=
          getElementTypeOrSelf(alike[0].getType()))
        opset = std::max(opset, 17);
    Type element = op.getNumResults()
                       ? getElementTypeOrSelf(op.getResult(0).getType())
                       : Type();
    if ((type == "lstm" || type == "gru" || type == "rnn") && element &&
        element.isF16())
      opset = std::max(opset, 17);
    if (type == "resample" && element && element.isF16())
      opset = std::max(opset, 16);
  }
  if (stringArgument(op, "pad_type") == "same_lower")
    opset = std::max(opset, 16);
  auto isRunTime = [&](StringRef name) {
    auto ref = dyn_cast_or_null<RefAttr>(getArgument(op, name));
    if (!ref)
      return false;
    auto producer = op.getOperand(ref.getIndex()).getDefiningOp<OpOp>();
    return !producer || (producer.getType() != "const" &&
                         !producer.getType().starts_with("constexpr_"));
  };
  if ((type == "conv" && isRunTime("bias")) ||
      (type == "conv_transpose" && isRunTime("weight")))
    opset = std::max(opset, 17);
  for (Region &region : op.getBlocks())
    for (Operation &inner : region.front().without_terminator())
      opset = std::max(opset, requiredOpset(cast<OpOp>(inner)));
  return opset;
}

int mlir::mil::requiredOpset(FuncOp func) {
  int opset = 15;
  Block &body = func.getBody().front();
  // fp16 arrays at a boundary came with ios16, int8 ones with ios26.
  auto boundary = [&](Type type) {
    opset = std::max(opset, typeSince(type));
    if (getElementTypeOrSelf(type).isF16())
      opset = std::max(opset, 16);
    if (getElementTypeOrSelf(type).isInteger(8))
      opset = 26;
  };
  for (Type type : body.getArgumentTypes())
    boundary(type);
  for (Type type : body.getTerminator()->getOperandTypes())
    boundary(type);
  for (Operation &op : body.without_terminator())
    if (auto milOp = dyn_cast<OpOp>(op))
      opset = std::max(opset, requiredOpset(milOp));
  return opset;
}

/// Specifications came one a year; the names of iOS jumped from 18 to 26.
static constexpr struct {
  StringLiteral opset, key;
  int ios, specification;
} kVersions[] = {{"ios15", "CoreML5", 15, 6},
                 {"ios16", "CoreML6", 16, 7},
                 {"ios17", "CoreML7", 17, 8},
                 {"ios18", "CoreML8", 18, 9},
                 {"ios26", "CoreML9", 26, 10}};

int mlir::mil::specificationOf(StringRef opset) {
  for (auto &version : kVersions)
    if (version.opset == opset)
      return version.specification;
  return 0;
}

int mlir::mil::opsetOfKey(StringRef key) {
  for (auto &version : kVersions)
    if (version.key == key)
      return version.ios;
  return 0;
}

std::string mlir::mil::keyOfOpset(StringRef opset) {
  for (auto &version : kVersions)
    if (version.opset == opset)
      return version.key.str();
  return opset.str();
}
