//===- Forms.cpp - what the op table does not say of MIL ------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// Forms of older opsets, arguments with defaults that depend on others, states,
// lists. Everything arrives at the forms of the newest opset.
//
//===----------------------------------------------------------------------===//

#include "Raiser.h"
#include "dialects/ANE/IR/Arithmetic.h"
#include "dialects/ANE/IR/Cast.h"
#include "dialects/ANE/IR/Comparison.h"
#include "dialects/ANE/IR/Control.h"
#include "dialects/ANE/IR/Dynamic.h"
#include "dialects/ANE/IR/Gather.h"
#include "dialects/ANE/IR/Image.h"
#include "dialects/ANE/IR/Quant.h"
#include "dialects/ANE/IR/Reduction.h"
#include "dialects/ANE/IR/Shape.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/MathExtras.h"
#include <cmath>

using namespace mlir;
using namespace mlir::ane;

//===----------------------------------------------------------------------===//
// Arguments
//===----------------------------------------------------------------------===//

Attribute Raiser::argument(mil::OpOp op, StringRef name) {
  if (Attribute found = mil::getArgument(op, name))
    return found;
  for (Attribute attr : op.getMilAttributes())
    if (auto named = cast<mil::NamedAttr>(attr); named.getName() == name)
      return named.getValue();
  return {};
}

mil::LiteralAttr Raiser::literalOf(Attribute value, mil::OpOp op) {
  if (auto literal = dyn_cast_or_null<mil::LiteralAttr>(value))
    return literal;
  // Scalars that MIL takes as a tuple: begins, elem_shape.
  if (auto tuple = dyn_cast_or_null<ArrayAttr>(value)) {
    SmallVector<int64_t> list;
    for (Attribute item : tuple) {
      mil::LiteralAttr literal = literalOf(item, op);
      auto dense = literal ? dyn_cast<DenseIntElementsAttr>(literal.getValue())
                           : DenseIntElementsAttr();
      if (!dense || dense.getNumElements() != 1)
        return {};
      list.push_back((*dense.value_begin<APInt>()).getSExtValue());
    }
    return literal(list);
  }
  auto ref = dyn_cast_or_null<mil::RefAttr>(value);
  if (!ref)
    return {};
  Value milValue = op.getOperand(ref.getIndex());
  if (mil::LiteralAttr constant = mil::getConstant(milValue))
    return constant;
  // Arithmetic on shapes that are known by now.
  Value raised = values.lookup(milValue);
  if (!raised)
    return {};
  FailureOr<Tensor> tensor = b.evaluate(raised);
  if (failed(tensor))
    return {};
  DenseElementsAttr dense = tensor->toElements(op.getContext());
  return mil::LiteralAttr::get(op.getContext(), dense.getType(), dense);
}

FailureOr<Value> Raiser::operand(mil::OpOp op, StringRef name, bool optional) {
  Attribute value = argument(op, name);
  if (!value) {
    if (optional)
      return Value();
    return error(op) << "expects argument '" << name << "'", failure();
  }
  return raiseOperand(value, op);
}

FailureOr<SmallVector<int64_t>> Raiser::ints(mil::OpOp op, StringRef name) {
  mil::LiteralAttr literal = literalOf(argument(op, name), op);
  auto dense = literal ? dyn_cast<DenseIntElementsAttr>(literal.getValue())
                       : DenseIntElementsAttr();
  if (!dense)
    return error(op) << "expects argument '" << name
                     << "' to be integers known at compile time",
           failure();
  SmallVector<int64_t> list;
  for (const APInt &v : dense.getValues<APInt>())
    list.push_back(dense.getElementType().isUnsignedInteger()
                       ? int64_t(v.getZExtValue())
                       : v.getSExtValue());
  return list;
}

FailureOr<int64_t> Raiser::integer(mil::OpOp op, StringRef name,
                                   int64_t absent) {
  if (!argument(op, name))
    return absent;
  auto list = ints(op, name);
  if (failed(list))
    return failure();
  if (list->size() != 1)
    return error(op) << "expects argument '" << name << "' to be one integer",
           failure();
  return (*list)[0];
}

FailureOr<double> Raiser::number(mil::OpOp op, StringRef name, double absent) {
  Attribute value = argument(op, name);
  if (!value)
    return absent;
  mil::LiteralAttr literal = literalOf(value, op);
  auto dense = literal ? dyn_cast<DenseElementsAttr>(literal.getValue())
                       : DenseElementsAttr();
  if (dense && dense.getNumElements() == 1) {
    if (isa<IntegerType>(dense.getElementType()))
      return double((*dense.value_begin<APInt>()).getSExtValue());
    APFloat v = *dense.value_begin<APFloat>();
    bool loses;
    v.convert(APFloat::IEEEdouble(), APFloat::rmNearestTiesToEven, &loses);
    return v.convertToDouble();
  }
  return error(op) << "expects argument '" << name
                   << "' to be one number known at compile time",
         failure();
}

std::optional<std::string> Raiser::text(mil::OpOp op, StringRef name) {
  mil::LiteralAttr literal = literalOf(argument(op, name), op);
  auto strings = literal ? dyn_cast<DenseStringElementsAttr>(literal.getValue())
                         : DenseStringElementsAttr();
  if (!strings || strings.getNumElements() != 1)
    return std::nullopt;
  return strings.getRawStringData()[0].str();
}

FailureOr<DType> Raiser::dtype(mil::OpOp op, StringRef name,
                               std::optional<DType> absent) {
  std::optional<std::string> word = text(op, name);
  std::optional<DType> known = word                 ? lookupDType(*word)
                               : argument(op, name) ? std::nullopt
                                                    : absent;
  if (known)
    return *known;
  InFlightDiagnostic said = error(op) << "expects argument '" << name
                                      << "' to be a dtype";
  if (word)
    said << ", but got '" << *word << "'";
  return failure();
}

mil::LiteralAttr Raiser::literal(ArrayRef<int64_t> values) {
  auto type =
      RankedTensorType::get({(int64_t)values.size()}, b.builder.getI64Type());
  return mil::LiteralAttr::get(b.builder.getContext(), type,
                               DenseElementsAttr::get(type, values));
}
mil::LiteralAttr Raiser::literal(int64_t value) {
  auto type = RankedTensorType::get({}, b.builder.getI32Type());
  return mil::LiteralAttr::get(b.builder.getContext(), type,
                               DenseElementsAttr::get(type, int32_t(value)));
}
mil::LiteralAttr Raiser::literal(StringRef value) {
  auto type =
      RankedTensorType::get({}, mil::StringType::get(b.builder.getContext()));
  return mil::LiteralAttr::get(
      b.builder.getContext(), type,
      DenseStringElementsAttr::get(type, ArrayRef<StringRef>{value}));
}

LogicalResult Raiser::normalise(mil::OpOp op, Arguments &arguments) {
  StringRef type = op.getType();
  auto find = [&](StringRef name) -> Attribute {
    for (auto &[argument, value] : arguments)
      if (argument == name)
        return value;
    return {};
  };
  auto add = [&](StringRef name, Attribute value) {
    if (!find(name))
      arguments.push_back({name, value});
  };
  auto drop = [&](StringRef name) {
    llvm::erase_if(arguments, [&](auto &entry) { return entry.first == name; });
  };
  auto rank = [&](StringRef name) -> int64_t {
    auto ref = dyn_cast_or_null<mil::RefAttr>(find(name));
    auto tensor = ref ? dyn_cast<RankedTensorType>(
                            op.getOperand(ref.getIndex()).getType())
                      : RankedTensorType();
    return tensor ? tensor.getRank() : 0;
  };
  auto window = [&](int64_t axes, bool convolution) {
    add("strides", literal(SmallVector<int64_t>(axes, 1)));
    add("pad", literal(SmallVector<int64_t>(2 * axes, 0)));
    if (convolution) {
      add("dilations", literal(SmallVector<int64_t>(axes, 1)));
      add("pad_type", literal(StringRef("valid")));
    }
  };
  // The interpreter checks every index; widths of indices are the results'.
  if (type.starts_with("gather") || type.starts_with("scatter"))
    drop("validate_indices");
  if (type == "reduce_argmax" || type == "reduce_argmin") {
    if (failed(dtype(op, "output_dtype", DType::Int32)))
      return failure();
    drop("output_dtype");
  }
  if (type == "conv" || type == "conv_transpose")
    window(std::max<int64_t>(rank("x") - 2, 0), true);
  if (type == "max_pool" || type == "avg_pool" || type == "l2_pool") {
    auto kernel = ints(op, "kernel_sizes");
    if (failed(kernel))
      return failure();
    window(kernel->size(), false);
  }
  if (type == "layer_norm") {
    SmallVector<int64_t> axes;
    for (int64_t i = 0; i < rank("x"); ++i)
      axes.push_back(i);
    add("axes", literal(axes));
  }
  if (type == "resize_bilinear") {
    add("target_size_height", literal(int64_t(1)));
    add("target_size_width", literal(int64_t(1)));
  }
  if (type == "one_hot") {
    add("on_value", literal(int64_t(1)));
    add("off_value", literal(int64_t(0)));
  }
  auto number = [&](float value) {
    auto scalar = RankedTensorType::get({}, b.builder.getF32Type());
    return mil::LiteralAttr::get(op.getContext(), scalar,
                                 DenseElementsAttr::get(scalar, value));
  };
  if (type == "fill_like")
    add("value", number(0));
  // MIL's defaults; ours are the mathematical functions (mil/operations.md
  // §1.1).
  if (type == "inverse")
    add("epsilon", number(1e-4f));
  if (type == "rsqrt")
    add("epsilon", number(1e-12f));
  if (type == "log")
    add("epsilon", number(1e-45f));
  if (type == "topk") {
    if (failed(dtype(op, "output_indices_dtype", DType::Int32)))
      return failure();
    // Sorted results are one order of unsorted ones.
    for (StringRef name : {"sort", "return_indices", "output_indices_dtype"})
      drop(name);
    auto k = integer(op, "k", 1), axis = integer(op, "axis", -1);
    if (failed(k) || failed(axis))
      return failure();
    if (*k == -1) { // all, from ios17 on
      FailureOr<Value> x = operand(op, "x");
      if (failed(x))
        return success(!unknown.empty());
      int64_t extents = typeOf(*x).getRank(),
              at = *axis < 0 ? *axis + extents : *axis;
      if (at < 0 || at >= extents || typeOf(*x).isDynamicDim(at))
        return error(op) << "takes all of an axis of unknown length";
      *k = typeOf(*x).getDimSize(at);
    }
    drop("k");
    add("k", literal(*k));
  }
  return success();
}

Raiser::Handler Raiser::lookupHandler(StringRef type) {
  return llvm::StringSwitch<Handler>(type)
      .Cases({"reshape", "reshape_like"}, &Raiser::raiseReshape)
      .Case("shape", &Raiser::raiseShape)
      .Case("fill", &Raiser::raiseFill)
      .Case("identity", &Raiser::raiseIdentity)
      .Case("classify", &Raiser::raiseClassify)
      .Case("upsample_nearest_neighbor", &Raiser::raiseUpsample)
      .Case("read_state", &Raiser::raiseReadState)
      .Case("write_state", &Raiser::raiseWriteState)
      .Cases({"make_list", "list_length", "list_read", "list_gather",
              "list_write", "list_scatter"},
             &Raiser::raiseList)
      .Case("non_maximum_suppression", &Raiser::raiseNms)
      .Case("crop_resize", &Raiser::raiseCropResize)
      .Case("constexpr_affine_dequantize", &Raiser::raiseAffineDequantize)
      .Case("constexpr_cast", &Raiser::raiseConstexprCast)
      .Cases({"constexpr_lut_to_dense", "constexpr_sparse_to_dense"},
             &Raiser::raisePackedConstant)
      .Case("cond", &Raiser::raiseCond)
      .Case("while_loop", &Raiser::raiseWhile)
      .Default(nullptr);
}

/// The table's way, for the newest form of an operation that has older ones.
static SmallVector<std::pair<StringRef, Attribute>>
plainArguments(mil::OpOp op) {
  SmallVector<std::pair<StringRef, Attribute>> list;
  for (Attribute attr : op.getArgs()) {
    auto named = cast<mil::NamedAttr>(attr);
    list.push_back({named.getName().getValue(), named.getValue()});
  }
  return list;
}

//===----------------------------------------------------------------------===//
// Shapes
//===----------------------------------------------------------------------===//

LogicalResult Raiser::raiseReshape(mil::OpOp op) {
  FailureOr<Value> x = operand(op, "x");
  if (failed(x))
    return failure();
  auto type = typeOf(*x);
  auto declared = dyn_cast<RankedTensorType>(op.getResult(0).getType());
  SmallVector<int64_t> shape;
  mil::LiteralAttr literal = op.getType() == "reshape"
                                 ? literalOf(argument(op, "shape"), op)
                                 : mil::LiteralAttr();
  bool empty = type.hasStaticShape() && type.getNumElements() == 0 &&
               declared && declared.hasStaticShape();
  if (literal && !empty) {
    auto list = ints(op, "shape");
    if (failed(list))
      return failure();
    // 0 keeps an extent: of the axis of the same number, from ios17 on counted
    // from the right (mil/operations.md §1.9).
    for (auto [i, dim] : llvm::enumerate(*list)) {
      if (dim != 0) {
        shape.push_back(dim);
        continue;
      }
      int64_t at =
          opset >= 17 ? int64_t(i) + type.getRank() - (int64_t)list->size() : i;
      bool inside = at >= 0 && at < type.getRank();
      if (!inside && opset < 17)
        return error(op) << "keeps axis " << i << " of " << type;
      shape.push_back(!inside                 ? 1
                      : type.isDynamicDim(at) ? -1
                                              : type.getDimSize(at));
    }
    if (llvm::count(shape, -1) > 1)
      return error(op)
             << "expects at most one unknown extent; give the input's "
                "shape (--input-shape)";
  } else if (declared && declared.hasStaticShape()) {
    shape.assign(declared.getShape().begin(), declared.getShape().end());
  } else {
    return error(op) << "expects a shape known at compile time; give the "
                        "input's shape (--input-shape)";
  }
  Value y = b.create<ReshapeOp>(op.getLoc(), {*x}, {.shape = shape});
  return y ? bind(op, y) : failure();
}

LogicalResult Raiser::raiseShape(mil::OpOp op) {
  FailureOr<Value> x = operand(op, "x");
  if (failed(x))
    return failure();
  if (!typeOf(*x).hasStaticShape()) {
    Value y = b.create<ShapeOp>(op.getLoc(), {*x});
    return y ? bind(op, y) : failure();
  }
  Tensor shape(DType::Int32, {typeOf(*x).getRank()});
  llvm::copy(typeOf(*x).getShape(), shape.mutableInts().begin());
  return bind(op, b.constant(op.getLoc(), shape));
}

LogicalResult Raiser::raiseFill(mil::OpOp op) {
  auto declared = dyn_cast<RankedTensorType>(op.getResult(0).getType());
  SmallVector<int64_t> shape;
  if (literalOf(argument(op, "shape"), op)) {
    auto list = ints(op, "shape");
    if (failed(list))
      return failure();
    shape = *list;
  } else if (declared && declared.hasStaticShape()) {
    shape.assign(declared.getShape().begin(), declared.getShape().end());
  } else {
    return error(op) << "expects argument 'shape' to be known at compile time";
  }
  int64_t count = 1;
  for (int64_t dim : shape)
    if (dim < 0 || llvm::MulOverflow(count, dim, count))
      return error(op) << "expects extents of 0 or more, but got " << dim;
  Attribute given = argument(op, "value");
  mil::LiteralAttr value = literalOf(given, op);
  if (given && !value)
    return error(op) << "expects argument 'value' to be known at compile time";
  auto dense =
      value ? dyn_cast<DenseElementsAttr>(value.getValue())
            : DenseElementsAttr::get(
                  RankedTensorType::get({}, b.builder.getF32Type()), 0.0f);
  if (!dense || dense.getNumElements() != 1)
    return error(op) << "expects argument 'value' to be one number";
  auto type = RankedTensorType::get(shape, dense.getElementType());
  return bind(op, b.constant(op.getLoc(), dense.resizeSplat(type)));
}

LogicalResult Raiser::raiseIdentity(mil::OpOp op) {
  // Also of lists, which are tensors here.
  FailureOr<Value> x = operand(op, "x");
  if (failed(x))
    return failure();
  if (!isa<RankedTensorType>(op.getResult(0).getType())) {
    values[op.getResult(0)] = *x;
    return success();
  }
  Value y = b.create<IdentityOp>(op.getLoc(), {*x});
  return y ? bind(op, y) : failure();
}

/// The label is the index of the class, the dictionary the probabilities
/// themselves: tensors hold no strings.
/// In 32 bits, which cross every boundary, unless one needs more.
static ElementsAttr numbersOf(OpBuilder &b, ArrayRef<int64_t> numbers) {
  if (llvm::any_of(numbers, [](int64_t n) { return n != int32_t(n); }))
    return b.getI64TensorAttr(numbers);
  return b.getI32TensorAttr(SmallVector<int32_t>(numbers));
}

LogicalResult Raiser::raiseClassify(mil::OpOp op) {
  FailureOr<Value> x = operand(op, "probabilities");
  if (failed(x) || op.getNumResults() != 2)
    return failure();
  Value flat = b.create<ReshapeOp>(op.getLoc(), {*x}, {.shape = {-1}});
  Value label = flat ? b.create<ReduceArgmaxOp>(op.getLoc(), {flat},
                                                {.axis = 0, .keep_dims = true})
                     : Value();
  // A text's place; a number itself.
  mil::LiteralAttr classes = literalOf(argument(op, "classes"), op);
  SmallVector<int64_t> numbers;
  if (auto list =
          classes ? dyn_cast<ArrayAttr>(classes.getValue()) : ArrayAttr())
    for (Attribute entry : list) {
      auto dense = dyn_cast<DenseIntElementsAttr>(entry);
      if (!dense)
        break;
      numbers.push_back((*dense.value_begin<APInt>()).getSExtValue());
    }
  if (label && !numbers.empty())
    label = b.create<GatherOp>(
        op.getLoc(),
        {b.constant(op.getLoc(), numbersOf(b.builder, numbers)), label});
  if (!label)
    return failure();
  values[op.getResult(0)] = label;
  values[op.getResult(1)] = *x;
  return success();
}

LogicalResult Raiser::raiseUpsample(mil::OpOp op) {
  FailureOr<Value> x = operand(op, "x");
  auto height = number(op, "scale_factor_height", 1),
       width = number(op, "scale_factor_width", 1);
  if (failed(x) || failed(height) || failed(width))
    return failure();
  auto type = typeOf(*x);
  if (!(*height > 0 && *height < 65536 && *width > 0 && *width < 65536))
    return error(op) << "expects scale factors in (0, 65536)";
  if (*height == std::floor(*height) && *width == std::floor(*width)) {
    Value y = b.create<UpsampleNearestNeighborOp>(
        op.getLoc(), {*x},
        {.scale_factor_height = *height, .scale_factor_width = *width});
    return y ? bind(op, y) : failure();
  }
  // Rows and columns by index.
  Value y = *x;
  for (auto [axis, scale] : {std::pair(type.getRank() - 2, *height),
                             std::pair(type.getRank() - 1, *width)}) {
    if (type.getRank() < 3 || type.isDynamicDim(axis))
      return error(op) << "expects a known extent of rank 3 or more, but got "
                       << type;
    int64_t from = type.getDimSize(axis),
            to = floatToInteger(std::floor(from * scale));
    Tensor table(DType::Int32, {to});
    for (int64_t i = 0; i < to; ++i)
      table.mutableInts()[i] = std::min<int64_t>(i * from / to, from - 1);
    y = b.create<GatherOp>(op.getLoc(), {y, b.constant(op.getLoc(), table)},
                           {.axis = axis});
    if (!y)
      return failure();
  }
  return bind(op, y);
}

//===----------------------------------------------------------------------===//
// States and lists
//===----------------------------------------------------------------------===//

LogicalResult Raiser::raiseReadState(mil::OpOp op) {
  auto ref = dyn_cast_or_null<mil::RefAttr>(argument(op, "input"));
  auto state = ref ? states.find(op.getOperand(ref.getIndex())) : states.end();
  if (state == states.end() || blockDepth)
    return error(op) << "expects argument 'input' to be a state of the function"
                     << (blockDepth ? ", used outside of blocks" : "");
  return bind(op, state->second);
}

LogicalResult Raiser::raiseWriteState(mil::OpOp op) {
  auto ref = dyn_cast_or_null<mil::RefAttr>(argument(op, "input"));
  auto state = ref ? states.find(op.getOperand(ref.getIndex())) : states.end();
  if (state == states.end() || blockDepth)
    return error(op) << "expects argument 'input' to be a state of the function"
                     << (blockDepth ? ", used outside of blocks" : "");
  FailureOr<Value> data = operand(op, "data");
  if (failed(data))
    return failure();
  if (data->getType() != state->second.getType())
    return error(op) << "writes " << data->getType() << " to a state of "
                     << state->second.getType();
  state->second = *data;
  return success();
}

/// A list is a tensor with one more axis in front; it does not grow.
LogicalResult Raiser::raiseList(mil::OpOp op) {
  Location loc = op.getLoc();
  if (op.getType() == "make_list") {
    auto length = integer(op, "init_length", 1);
    auto element = ints(op, "elem_shape");
    if (failed(length) || failed(element))
      return failure();
    FailureOr<DType> type = dtype(op, "dtype", DType::Float32);
    if (failed(type))
      return failure();
    if (*length < 0)
      return error(op) << "expects a length of 0 or more, but got " << *length;
    SmallVector<int64_t> shape{*length};
    shape.append(*element);
    int64_t count = 1;
    for (int64_t dim : shape)
      if (dim < 0 || llvm::MulOverflow(count, dim, count))
        return error(op) << "expects elements of a static shape";
    auto list =
        RankedTensorType::get(shape, toMLIRType(*type, op.getContext()));
    values[op.getResult(0)] = b.constant(
        loc, DenseElementsAttr::get(
                 list, b.builder.getZeroAttr(list.getElementType())));
    return success();
  }
  FailureOr<Value> list = operand(op, "ls");
  if (failed(list))
    return failure();
  if (op.getType() == "list_length") {
    if (typeOf(*list).isDynamicDim(0))
      return error(op) << "is of a list of unknown length";
    return bind(
        op, b.scalar(loc, typeOf(*list).getDimSize(0), b.builder.getI32Type()));
  }
  bool one = op.getType() == "list_read" || op.getType() == "list_write";
  FailureOr<Value> index = operand(op, one ? "index" : "indices");
  if (failed(index))
    return failure();
  if (op.getType() == "list_read" || op.getType() == "list_gather") {
    Value y = b.create<GatherOp>(loc, {*list, *index});
    return y ? bind(op, y) : failure();
  }
  FailureOr<Value> value = operand(op, "value");
  if (failed(value))
    return failure();
  Value at = *index, update = *value;
  if (one) {
    if (typeOf(at).getRank() == 0)
      at = b.create<ExpandDimsOp>(loc, {at}, {.axes = {0}});
    update = b.create<ExpandDimsOp>(loc, {update}, {.axes = {0}});
  }
  Value y = at && update
                ? b.create<ScatterOp>(loc, {*list, at, update},
                                      {.axis = 0, .mode = ScatterMode::update})
                : Value();
  if (!y)
    return failure();
  values[op.getResult(0)] = y;
  return success();
}

//===----------------------------------------------------------------------===//
// Detection
//===----------------------------------------------------------------------===//

/// ios15 has boxes [n,B,4], scores [n,B,K] and a threshold of scores; from
/// ios17 on the last two axes are the other way round and the threshold is gone
/// (mil/operations.md §1.9, mil/numerics.md §8).
LogicalResult Raiser::raiseNms(mil::OpOp op) {
  if (!argument(op, "score_threshold"))
    return raiseByTable(
        op, *lookupOpInfo(NonMaximumSuppressionOp::getOperationName()),
        plainArguments(op));
  Location loc = op.getLoc();
  FailureOr<Value> boxes = operand(op, "boxes"), scores = operand(op, "scores");
  auto iou = number(op, "iou_threshold", 0),
       least = number(op, "score_threshold", 0);
  auto most = integer(op, "max_boxes", 1);
  if (failed(boxes) || failed(scores) || failed(iou) || failed(least) ||
      failed(most))
    return failure();
  bool perClass = false;
  if (Attribute flag = argument(op, "per_class_suppression")) {
    mil::LiteralAttr value = literalOf(flag, op);
    auto dense = value ? dyn_cast<DenseElementsAttr>(value.getValue())
                       : DenseElementsAttr();
    if (!dense || !dense.getElementType().isInteger(1))
      return error(op) << "expects argument 'per_class_suppression' to be bool";
    perClass = *dense.value_begin<bool>();
  }
  auto swap = [&](Value v) {
    return v ? b.create<TransposeOp>(loc, {v}, {.perm = {0, 2, 1}}) : Value();
  };
  Value s = swap(*scores), box = swap(*boxes);
  if (!s || !box || typeOf(s).getRank() != 3)
    return failure();
  Type element = typeOf(s).getElementType();
  auto constant = [&](double v) { return b.scalar(loc, v, element); };
  // The best box stays although it is below the threshold.
  Value best =
      b.create<ReduceMaxOp>(loc, {s}, {.axes = {1}, .keep_dims = true});
  Value top = best ? b.create<ReduceMaxOp>(loc, {best},
                                           {.axes = {2}, .keep_dims = true})
                   : Value();
  if (!top)
    return failure();
  Value kept = b.create<LogicalOrOp>(
      loc, {b.create<GreaterEqualOp>(loc, {best, constant(*least)}),
            b.create<GreaterEqualOp>(loc, {best, top})});
  // Far below every score, and finite in fp16.
  double out = -65000;
  Value keptAll =
      kept
          ? b.create<LogicalAndOp>(
                loc, {kept, b.create<GreaterOp>(loc, {s, constant(-INFINITY)})})
          : Value();
  if (!keptAll)
    return failure();
  Value low = b.create<FillLikeOp>(loc, {s, constant(out)});
  Value ranked = low ? b.create<SelectOp>(loc, {keptAll, s, low}) : Value();
  if (!ranked)
    return failure();
  SmallVector<Value> found = b.createMany<NonMaximumSuppressionOp>(
      loc, {box, ranked},
      {.iou_threshold = *iou,
       .max_boxes = *most,
       .per_class_suppression = perClass});
  if (found.empty())
    return failure();
  // Rows of boxes that were out are empty rows.
  Value highest =
      b.create<ReduceMaxOp>(loc, {found[1]}, {.axes = {1}, .keep_dims = true});
  Value valid = highest ? b.create<GreaterOp>(loc, {highest, constant(out / 2)})
                        : Value();
  Value validFloat =
      valid ? b.create<CastOp>(loc, {valid}, {.dtype = element}) : Value();
  if (!validFloat)
    return failure();
  Value coordinates = swap(b.create<MulOp>(loc, {found[0], validFloat}));
  // Classes of a kept box that were below are as they were; of others, 0.
  Value classScores = swap(b.create<MulOp>(loc, {found[1], validFloat}));
  Value flat = b.create<SqueezeOp>(loc, {valid}, {.axes = {1}});
  Type i32 = b.builder.getI32Type();
  Value flatInt =
      flat ? b.create<CastOp>(loc, {flat}, {.dtype = i32}) : Value();
  if (!coordinates || !classScores || !flatInt)
    return failure();
  // index · valid + (valid - 1): -1 where nothing is.
  Value one = b.scalar(loc, 1, i32);
  Value indices =
      b.create<AddOp>(loc, {b.create<MulOp>(loc, {found[2], flatInt}),
                            b.create<SubOp>(loc, {flatInt, one})});
  Value present =
      indices ? b.create<GreaterEqualOp>(loc, {indices, b.scalar(loc, 0, i32)})
              : Value();
  Value presentInt =
      present ? b.create<CastOp>(loc, {present}, {.dtype = i32}) : Value();
  Value count = presentInt
                    ? b.create<ReduceSumOp>(loc, {presentInt}, {.axes = {1}})
                    : Value();
  if (!count)
    return failure();
  return bind(op, {coordinates, classScores, indices, count});
}

/// Up to ios16 a region is [N,1,4 or 5,1,1], with the image's number in front
/// of five; four are of every image.
LogicalResult Raiser::raiseCropResize(mil::OpOp op) {
  if (!argument(op, "roi"))
    return raiseByTable(op, *lookupOpInfo(CropResizeOp::getOperationName()),
                        plainArguments(op));
  Location loc = op.getLoc();
  FailureOr<Value> x = operand(op, "x"), roi = operand(op, "roi");
  if (failed(x) || failed(roi))
    return failure();
  auto xType = typeOf(*x), type = typeOf(*roi);
  int64_t width = type.getRank() == 5 ? type.getDimSize(2) : 0;
  if ((width != 4 && width != 5) || xType.getRank() != 4 ||
      !type.hasStaticShape() || !xType.hasStaticShape() ||
      type.getNumElements() != type.getDimSize(0) * width)
    return error(op) << "expects regions [N, 1, 4 or 5, 1, 1], but got "
                     << type;
  int64_t count = type.getDimSize(0), batch = xType.getDimSize(0);
  auto reshape = [&](Value v, ArrayRef<int64_t> shape) {
    return v ? b.create<ReshapeOp>(loc, {v}, {.shape = shape}) : Value();
  };
  Value rows = reshape(*roi, {count, width}), boxes = rows, images;
  auto columns = [&](int64_t from, int64_t to) {
    return b.create<SliceByIndexOp>(loc, {rows},
                                    {.begin = {0, from}, .end = {count, to}});
  };
  if (!rows)
    return failure();
  int64_t perBox = width == 5 ? 1 : batch;
  if (width == 5) {
    boxes = columns(1, 5);
    Value number = reshape(columns(0, 1), {count});
    images = number ? b.create<CastOp>(loc, {number},
                                       {.dtype = b.builder.getI32Type()})
                    : Value();
  } else {
    Value tiled = b.create<TileOp>(loc, {reshape(rows, {count, 1, 4})},
                                   {.reps = {1, batch, 1}});
    boxes = reshape(tiled, {count * batch, 4});
    Tensor numbers(DType::Int32, {count * batch});
    for (int64_t i = 0; i < count * batch; ++i)
      numbers.mutableInts()[i] = i % batch;
    images = b.constant(loc, numbers);
  }
  if (!boxes || !images)
    return failure();
  SmallVector<NamedAttribute> attributes;
  for (const ArgInfo &arg :
       lookupOpInfo(CropResizeOp::getOperationName())->args) {
    Attribute value = argument(op, arg.name);
    if (arg.isOperand() || !value)
      continue;
    mil::LiteralAttr literal = literalOf(value, op);
    FailureOr<Attribute> parameter = literal ? raiseParameter(arg, literal, op)
                                             : FailureOr<Attribute>(failure());
    if (failed(parameter))
      return error(op) << "expects argument '" << arg.name
                       << "' to be known at compile time";
    attributes.push_back(b.builder.getNamedAttr(arg.name, *parameter));
  }
  SmallVector<Value> made = b.create(CropResizeOp::getOperationName(), loc,
                                     {*x, boxes, images}, attributes);
  if (made.empty())
    return failure();
  Value y = made[0];
  auto cropped = typeOf(y);
  y = reshape(y, {count, perBox, cropped.getDimSize(1), cropped.getDimSize(2),
                  cropped.getDimSize(3)});
  return y ? bind(op, y) : failure();
}

//===----------------------------------------------------------------------===//
// Compressed constants of ios16
//===----------------------------------------------------------------------===//

LogicalResult Raiser::raiseConstexprCast(mil::OpOp op) {
  FailureOr<Value> x = operand(op, "source_val");
  if (failed(x))
    return failure();
  FailureOr<DType> type = dtype(op, "output_dtype");
  if (failed(type))
    return failure();
  Value y = b.create<CastOp>(op.getLoc(), {*x},
                             {.dtype = toMLIRType(*type, op.getContext())});
  return y ? bind(op, y) : failure();
}

/// scale · (q - zero point) along one axis, as blocks.
LogicalResult Raiser::raiseAffineDequantize(mil::OpOp op) {
  Location loc = op.getLoc();
  FailureOr<Value> q = operand(op, "quantized_data"),
                   scale = operand(op, "scale"),
                   zero = operand(op, "zero_point", /*optional=*/true);
  auto axis = integer(op, "axis", 0);
  if (failed(q) || failed(scale) || failed(zero) || failed(axis))
    return failure();
  auto type = typeOf(*q);
  int64_t rank = type.getRank();
  if (*axis < -rank || *axis >= rank)
    return error(op) << "has axis " << *axis << " of " << type;
  if (*axis < 0)
    *axis += rank;
  FailureOr<Tensor> s = b.evaluate(*scale),
                    z = *zero ? b.evaluate(*zero) : FailureOr<Tensor>(Tensor());
  if (failed(s) || failed(z))
    return error(op) << "expects constant parameters";
  int64_t count = std::max(s->size(), *z ? z->size() : 1);
  for (const Tensor *tensor : {&*s, &*z})
    if (*tensor && tensor->size() != 1 &&
        (tensor->rank() > 1 || tensor->size() != type.getDimSize(*axis)))
      return error(op) << "expects one parameter, or one for each of "
                       << type.getDimSize(*axis);
  SmallVector<int64_t> shape(rank, 1);
  shape[*axis] = count;
  auto spread = [&](const Tensor &from) {
    Tensor to(from.dtype(), shape);
    for (int64_t i = 0; i < count; ++i)
      if (from.isFloat())
        to.mutableFloats()[i] = from.floats()[from.size() == 1 ? 0 : i];
      else
        to.mutableInts()[i] = from.ints()[from.size() == 1 ? 0 : i];
    return b.constant(loc, to);
  };
  SmallVector<Value> operands{*q, spread(*s)};
  if (*z)
    operands.push_back(spread(*z));
  Value y = b.create<ConstexprBlockwiseShiftScaleOp>(loc, operands);
  return y ? bind(op, y) : failure();
}

/// Bits one after the other in bytes become a tensor of small integers; ios18
/// has such tensors itself.
LogicalResult Raiser::raisePackedConstant(mil::OpOp op) {
  bool table = op.getType() == "constexpr_lut_to_dense";
  if (!argument(op, "shape"))
    return raiseByTable(op, *lookupOpInfoByMilName(op.getType()),
                        plainArguments(op));
  Location loc = op.getLoc();
  auto shape = ints(op, "shape");
  StringRef packedName = table ? "indices" : "mask",
            dataName = table ? "lut" : "nonzero_data";
  FailureOr<Value> packed = operand(op, packedName),
                   data = operand(op, dataName);
  if (failed(shape) || failed(packed) || failed(data))
    return failure();
  DType dtype = DType::UInt1;
  if (table)
    switch (typeOf(*data).hasStaticShape() ? typeOf(*data).getNumElements()
                                           : 0) {
    case 2:
      dtype = DType::UInt1;
      break;
    case 4:
      dtype = DType::UInt2;
      break;
    case 16:
      dtype = DType::UInt4;
      break;
    case 64:
      dtype = DType::UInt6;
      break;
    case 256:
      dtype = DType::UInt8;
      break;
    default:
      return error(op) << "expects a table of 2, 4, 16, 64 or 256 entries, but "
                          "got "
                       << typeOf(*data);
    }
  int64_t count = 1;
  for (int64_t dim : *shape)
    if (dim < 0 || llvm::MulOverflow(count, dim, count))
      return error(op) << "expects extents of 0 or more, but got " << dim;
  FailureOr<Tensor> bytes = b.evaluate(*packed);
  if (failed(bytes))
    return error(op) << "expects argument '" << packedName
                     << "' to be constant";
  std::vector<char> raw = bytes->toBytes();
  if (raw.size() != getByteSize(dtype, count))
    return error(op) << "expects argument '" << packedName << "' to have "
                     << getByteSize(dtype, count) << " bytes, but got "
                     << raw.size();
  Value indices = b.constant(loc, Tensor::fromBytes(dtype, *shape, raw));
  Value y;
  if (table) {
    SmallVector<int64_t> groups(shape->size(), 1);
    groups.append({typeOf(*data).getNumElements(), 1});
    Value lut = b.create<ReshapeOp>(loc, {*data}, {.shape = groups});
    y = lut ? b.create<ConstexprLutToDenseOp>(loc, {indices, lut}) : Value();
  } else {
    y = b.create<ConstexprSparseToDenseOp>(loc, {*data, indices});
  }
  return y ? bind(op, y) : failure();
}
