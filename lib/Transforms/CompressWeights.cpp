//===- CompressWeights.cpp - weights in fewer bits ------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// A weight tree over integers or a table, as quantisers and Core ML's tools
// write them, stays what it is: whatever scaled or moved it on the way is in
// its scales or its table. On request others are written in fewer bits, which
// changes values. The in-memory compiler takes 1x1 convolutions of int8 (int4
// from H17 on) with one scale for each output channel (L09, L10, L79); Core ML
// takes every form for every weight.
//
// Integers stay weight trees over what the model has, so that nothing large is
// held while compiling; indices into tables are constants.
//
//===----------------------------------------------------------------------===//

#include "Compression.h"
#include "Reshape.h"
#include "ane-mlir/Interpreter/Interpreter.h"
#include "ane-mlir/Support/WeightBound.h"
#include "ane-mlir/Transforms/Passes.h"
#include "ane-mlir/Transforms/WeightForm.h"
#include "dialects/ANE/IR/Arithmetic.h"
#include "dialects/ANE/IR/Cast.h"
#include "dialects/ANE/IR/Gather.h"
#include "dialects/ANE/IR/Linear.h"
#include "dialects/ANE/IR/Quant.h"
#include "dialects/ANE/IR/Shape.h"
#include "dialects/ANE/IR/Structure.h"
#include "dialects/ANE/IR/Unary.h"
#include "dialects/ANE/IR/WeightTrees.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/Support/FormatVariadic.h"
#include <map>

using namespace mlir;
using namespace mlir::ane;

namespace mlir::ane {
#define GEN_PASS_DEF_COMPRESSWEIGHTSPASS
#include "ane-mlir/Transforms/Passes.h.inc"
} // namespace mlir::ane

/// Of fewer weights scales and tables save nothing, or nothing worth a form
/// that few engines were seen to take.
static constexpr int64_t kLeastElements = 64, kLeastInMemory = 4096;
/// Of a part of a constant in a weight file: its descriptor, and what aligns
/// it.
static constexpr int64_t kPartBytes = 128;

std::optional<WeightForm> WeightForm::parse(StringRef text) {
  WeightForm form;
  if (text == "none")
    return form;
  if (StringRef bound = text; bound.consume_front("auto:")) {
    form.automatic = true;
    SmallVector<StringRef, 3> numbers;
    bound.split(numbers, ':');
    bool good = !numbers[0].getAsDouble(form.bound) &&
                (numbers.size() == 1 ||
                 (numbers.size() == 3 && !numbers[1].getAsDouble(form.looser) &&
                  form.looser > form.bound &&
                  !numbers[2].getAsInteger(10, form.parts) && form.parts > 0 &&
                  form.parts <= WeightBound::kParts));
    return good ? std::optional(form) : std::nullopt;
  }
  auto [name, rest] = text.split(',');
  form.palette = name.consume_front("lut");
  if (!form.palette && !name.consume_front("int"))
    return std::nullopt;
  if (name.getAsInteger(10, form.bits) ||
      !(form.palette ? llvm::is_contained({3u, 4u, 6u, 8u}, form.bits)
                     : llvm::is_contained({4u, 8u}, form.bits)))
    return std::nullopt;
  if (text.contains(',') && !rest.consume_front("per="))
    return std::nullopt;
  auto [kind, number] = rest.split(':');
  if (kind == "block" || kind == "group") {
    int64_t &size = form.palette ? form.group : form.block;
    if ((kind == "group") != form.palette || number.getAsInteger(10, size) ||
        size <= 0)
      return std::nullopt;
    return form;
  }
  if (rest.contains(':'))
    return std::nullopt;
  if (kind == "channel" && form.palette)
    form.group = 1;
  bool known =
      kind.empty() || kind == "channel" || (kind == "tensor" && form.palette);
  return known ? std::optional(form) : std::nullopt;
}

std::string WeightForm::describe() const {
  std::string text = (palette ? "lut" : "int") + std::to_string(bits);
  if (block)
    text += " in blocks of " + std::to_string(block);
  if (group)
    text += " for each " + std::to_string(group) + " channels";
  return text;
}

/// What each weight of an automatic form may be: of a package, of a bundle.
static ArrayRef<WeightForm> choicesOf(bool raw, bool hasInt4) {
  static const WeightForm package[] = {
      {true, 3},       {false, 4}, {true, 4}, {false, 4, 32},
      {true, 4, 0, 1}, {true, 6},  {false, 8}};
  static const WeightForm bundle[] = {{false, 4}, {false, 8}};
  return raw ? ArrayRef(bundle).drop_front(hasInt4 ? 0 : 1) : ArrayRef(package);
}

//===----------------------------------------------------------------------===//
// What weights are made of
//===----------------------------------------------------------------------===//

static bool movesOnly(Operation *op) {
  return isa<ReshapeOp, TransposeOp, SliceBySizeOp, SliceByIndexOp,
             ExpandDimsOp, SqueezeOp, IdentityOp>(op);
}

static Value fill(OpBuilder &b, Location loc, RankedTensorType type, double x) {
  return ConstantOp::create(
      b, loc, type,
      DenseElementsAttr::get(type, b.getFloatAttr(type.getElementType(), x)));
}

/// The tree of the integers alone, as floats: what scales them is left out.
/// Null when `v` is no such tree.
static Value integersOf(OpBuilder &b, Value v, unsigned depth = 0) {
  Operation *op = v.getDefiningOp();
  if (!op || depth > 64)
    return {};
  auto again = [&](Value operand) { return integersOf(b, operand, depth + 1); };
  if (auto cast = dyn_cast<CastOp>(op)) {
    Type from = typeOf(cast.getX()).getElementType();
    if (isa<FloatType>(from))
      return again(cast.getX());
    return isa<FloatType>(typeOf(v).getElementType()) ? v : Value();
  }
  if (auto blocks = dyn_cast<ConstexprBlockwiseShiftScaleOp>(op)) {
    b.setInsertionPointAfter(op);
    auto grid = typeOf(blocks.getScale()).clone(b.getF32Type());
    return ConstexprBlockwiseShiftScaleOp::create(
        b, op->getLoc(), typeOf(v).clone(b.getF32Type()), blocks.getData(),
        fill(b, op->getLoc(), grid, 1), blocks.getOffset());
  }
  if (isa<MulOp, RealDivOp>(op)) {
    if (Value x = again(op->getOperand(0)))
      return typeOf(x).getShape() == typeOf(v).getShape() ? x : Value();
    Value y = isa<MulOp>(op) ? again(op->getOperand(1)) : Value();
    return y && typeOf(y).getShape() == typeOf(v).getShape() ? y : Value();
  }
  bool subtracts = isa<SubOp>(op); // the zero point
  if (!subtracts && !movesOnly(op))
    return {};
  Value x = again(op->getOperand(0));
  if (!x || (subtracts && typeOf(x).getShape() != typeOf(v).getShape()))
    return {};
  // Only the zero point itself comes before a scale.
  if (subtracts && !op->getOperand(0).getDefiningOp<CastOp>())
    return {};
  b.setInsertionPointAfter(op);
  Operation *clone = b.clone(*op);
  clone->setOperand(0, x);
  clone->getResult(0).setType(typeOf(v).clone(typeOf(x).getElementType()));
  if (subtracts && typeOf(clone->getOperand(1)).getElementType() !=
                       typeOf(x).getElementType()) {
    b.setInsertionPoint(clone);
    Value zero = clone->getOperand(1);
    clone->setOperand(
        1, CastOp::create(b, op->getLoc(),
                          typeOf(zero).clone(typeOf(x).getElementType()), zero,
                          TypeAttr::get(typeOf(x).getElementType())));
    b.setInsertionPointAfter(clone);
  }
  return clone->getResult(0);
}

/// The first op of the kind among those that a weight is computed from.
template <typename Op>
static Op findIn(Value weight) {
  SmallVector<Value> stack{weight};
  llvm::SmallPtrSet<Operation *, 16> seen;
  while (!stack.empty()) {
    Operation *producer = stack.pop_back_val().getDefiningOp();
    if (!producer || !seen.insert(producer).second)
      continue;
    if (auto found = dyn_cast<Op>(producer))
      return found;
    llvm::append_range(stack, producer->getOperands());
  }
  return {};
}

namespace {
/// What the axes of a weight are to the op that reads it.
struct Role {
  int64_t channels, inputs;
  /// The in-memory compiler takes it in fewer bits.
  bool raw;
};
} // namespace

/// Of a weight tree's own use nothing is emitted.
static bool runs(Operation *op) {
  return !op->getNumResults() || !isConstantTree(op->getResult(0));
}

static std::optional<Role> roleOf(OpOperand &use) {
  Operation *op = use.getOwner();
  if (!runs(op))
    return std::nullopt;
  unsigned i = use.getOperandNumber();
  int64_t rank = typeOf(use.get()).getRank();
  if (auto conv = dyn_cast<ConvOp>(op)) {
    auto type = typeOf(use.get());
    bool pointwise = rank == 4 && type.getDimSize(2) == 1 &&
                     type.getDimSize(3) == 1 && conv.getGroups() == 1;
    if (i == 1)
      return Role{0, 1, pointwise};
  } else if (isa<ConvTransposeOp>(op)) {
    if (i == 1)
      return Role{1, 0, false};
  } else if (isa<LinearOp>(op)) {
    if (i == 1)
      return Role{0, 1, false};
  } else if (auto matmul = dyn_cast<MatmulOp>(op); matmul && rank >= 2) {
    if (i == 1)
      return matmul.getTransposeY() ? Role{rank - 2, rank - 1, false}
                                    : Role{rank - 1, rank - 2, false};
    return matmul.getTransposeX() ? Role{rank - 1, rank - 2, false}
                                  : Role{rank - 2, rank - 1, false};
  } else if (auto gather = dyn_cast<GatherOp>(op)) {
    if (i == 0 && rank >= 2 && gather.getAxis() == 0)
      return Role{0, rank - 1, false};
  }
  return std::nullopt;
}

//===----------------------------------------------------------------------===//
// Forms
//===----------------------------------------------------------------------===//

/// A constant of the grid's shape.
template <typename T>
static Value ofGrid(OpBuilder &b, Location loc, DType dtype,
                    ArrayRef<int64_t> shape, ArrayRef<T> values) {
  Tensor tensor(dtype, shape);
  if constexpr (std::is_same_v<T, float>)
    llvm::copy(values, tensor.mutableFloats().begin());
  else
    llvm::copy(values, tensor.mutableInts().begin());
  auto elements = tensor.toElements(b.getContext());
  return ConstantOp::create(b, loc, elements.getType(), elements);
}

static Value castTo(OpBuilder &b, Value x, DType dtype) {
  Type element = toMLIRType(dtype, b.getContext());
  auto type = typeOf(x);
  if (type.getElementType() == element)
    return x;
  return CastOp::create(b, x.getLoc(), type.clone(element), x,
                        TypeAttr::get(element));
}

/// Whether a form of so many bits for each element, with so many numbers of
/// fp16 beside, is smaller than fp16.
static bool saves(Value w, unsigned bits, size_t numbers, unsigned parts) {
  int64_t elements = typeOf(w).getNumElements();
  return elements * bits / 8 + int64_t(numbers) * 2 + parts * kPartBytes <
         elements * 2;
}

static Value compressed(Operation *op) {
  op->setAttr(marks::kCompressed, UnitAttr::get(op->getContext()));
  return op->getResult(0);
}

/// `codes` (floats) as `form` says.
static Value build(OpBuilder &b, Value w, Value codes, const AffineForm &form) {
  Location loc = w.getLoc();
  if (!saves(w, getInfo(form.dtype).bits,
             form.scales.size() + form.shifts.size() / 2,
             form.shifts.empty() ? 2 : 3))
    return {};
  Value shifts;
  if (!form.shifts.empty()) {
    std::vector<float> negative;
    for (int64_t shift : form.shifts)
      negative.push_back(-float(shift));
    Value offset = ofGrid<float>(b, loc, DType::Float32, form.grid, negative);
    Value ones = fill(b, loc, typeOf(offset), 1);
    codes = ConstexprBlockwiseShiftScaleOp::create(
        b, loc, typeOf(codes).clone(b.getF32Type()), codes, ones, offset);
    shifts =
        castTo(b, ofGrid<int64_t>(b, loc, DType::Int32, form.grid, form.shifts),
               form.dtype);
  }
  Value scale = ofGrid<float>(b, loc, DType::Float16, form.grid, form.scales);
  return compressed(ConstexprBlockwiseShiftScaleOp::create(
      b, loc, typeOf(w), castTo(b, codes, form.dtype), scale, shifts));
}

/// The codes of a weight that is no integers yet.
static Value quantised(OpBuilder &b, Value w, const AffineForm &form) {
  Location loc = w.getLoc();
  std::vector<float> inverse;
  for (float scale : form.scales)
    inverse.push_back(1 / scale);
  auto type = typeOf(w).clone(b.getF32Type());
  Value steps = ConstexprBlockwiseShiftScaleOp::create(
      b, loc, type, w,
      ofGrid<float>(b, loc, DType::Float32, form.grid, inverse), Value());
  double most = form.dtype == DType::Int4 ? 7 : 127;
  return ClipOp::create(b, loc, type, RoundOp::create(b, loc, type, steps),
                        b.getF32FloatAttr(-most), b.getF32FloatAttr(most));
}

static Value build(OpBuilder &b, Value w, const PaletteForm &form) {
  Location loc = w.getLoc();
  if (!saves(w, form.bits, form.tables.size(), 2))
    return {};
  auto bytes = typeOf(w).clone(
      IntegerType::get(b.getContext(), 8, IntegerType::Unsigned));
  Value indices = ConstantOp::create(
      b, loc, bytes,
      DenseElementsAttr::getFromRawBuffer(
          bytes, ArrayRef(reinterpret_cast<const char *>(form.indices.data()),
                          form.indices.size())));
  DType dtype = *lookupDType(("uint" + Twine(form.bits)).str());
  SmallVector<int64_t> shape(form.grid.begin(), form.grid.end());
  shape.append({int64_t(1) << form.bits, 1});
  Value table = ofGrid<float>(b, loc, DType::Float16, shape, form.tables);
  return compressed(ConstexprLutToDenseOp::create(
      b, loc, typeOf(w), castTo(b, indices, dtype), table, IntegerAttr()));
}

/// The values that are not 0 and a mask of one bit each.
static Value buildSparse(OpBuilder &b, Value w, const Tensor &weight) {
  Location loc = w.getLoc();
  std::vector<float> values;
  std::vector<uint8_t> mask;
  for (float x : weight.floats()) {
    mask.push_back(x != 0);
    if (x != 0)
      values.push_back(x);
  }
  if (values.empty() || values.size() * 2 > mask.size())
    return {};
  auto bytes = typeOf(w).clone(
      IntegerType::get(b.getContext(), 8, IntegerType::Unsigned));
  Value bits = ConstantOp::create(
      b, loc, bytes,
      DenseElementsAttr::getFromRawBuffer(
          bytes,
          ArrayRef(reinterpret_cast<const char *>(mask.data()), mask.size())));
  Value data =
      ofGrid<float>(b, loc, DType::Float16, int64_t(values.size()), values);
  return compressed(ConstexprSparseToDenseOp::create(
      b, loc, typeOf(w), data, castTo(b, bits, DType::UInt1)));
}

//===----------------------------------------------------------------------===//
// The pass
//===----------------------------------------------------------------------===//

namespace {
struct CompressWeights : ane::impl::CompressWeightsPassBase<CompressWeights> {
  using Base::Base;

  LogicalResult initialize(MLIRContext *context) override {
    std::optional<WeightForm> parsed = WeightForm::parse(form);
    if (!parsed)
      return emitError(UnknownLoc::get(context))
             << "no form of weights is called '" << form
             << "'; int8, int4, lut8, lut6, lut4, lut3 and sparse are";
    wanted = *parsed;
    return success();
  }

  void runOnOperation() override {
    raw = door == FrontEnd::Raw;
    getOperation().walk([&](func::FuncOp function) {
      WeightTrees trees;
      // Roots, in the order of their first readers.
      SmallVector<Value> roots;
      llvm::DenseSet<Value> seen;
      function.walk([&](Operation *op) {
        for (OpOperand &use : op->getOpOperands())
          if (roleOf(use) && isCandidate(use.get()) &&
              seen.insert(use.get()).second)
            roots.push_back(use.get());
      });
      candidates += roots.size();
      if (wanted.parts)
        chooseLooser(roots);
      for (Value root : roots)
        compress(root);
    });
    if (!wanted.automatic && wanted.bits && !candidates)
      getOperation().emitRemark()
          << "no weight is written in another form: none of "
          << (raw ? kLeastInMemory : kLeastElements)
          << " elements or more that is fp16 is where one is taken";
    if (wanted.automatic && wanted.bound >= 0) {
      std::string text;
      for (auto &[name, count] : chosen)
        text += (text.empty() ? "" : ", ") + std::to_string(count) + " " + name;
      getOperation().emitRemark() << "weights by their form: "
                                  << (text.empty() ? "none to choose" : text);
    }
    if (tooSmall)
      getOperation().emitWarning()
          << tooSmall << " weights stay fp16, being too small for scales of "
          << "fp16 (first '" << firstTooSmall << "'); "
          << (raw ? "a larger scale in the model, taken out behind it, helps"
                  : "--weights=lut8 and the other tables hold them");
    if (expanded)
      getOperation().emitRemark()
          << expanded
          << " weights that the model has in fewer bits are written "
          << "in fp16, " << llvm::formatv("{0:f1}", lost / 1e6).str()
          << " MB more (first '" << firstExpanded << "'): "
          << (raw ? "L09, the in-memory compiler takes 1x1 convolutions of "
                    "int8 "
                    "with one scale for each output channel; a package keeps "
                    "them"
                  : "integers times fp16 scales, tables and masks do not hold "
                    "them");
  }

private:
  bool isCandidate(Value w) {
    auto type = dyn_cast<RankedTensorType>(w.getType());
    return type && type.hasStaticShape() && type.getElementType().isF16() &&
           type.getNumElements() >= (raw ? kLeastInMemory : kLeastElements) &&
           isConstantTree(w) && !isCompressed(w.getDefiningOp());
  }

  /// One that reads it otherwise would need it in fp16 beside.
  static std::optional<Role> roleOfAll(Value w) {
    std::optional<Role> role;
    for (OpOperand &use : w.getUses()) {
      if (!runs(use.getOwner()))
        continue;
      std::optional<Role> other = roleOf(use);
      if (!other)
        return std::nullopt;
      if (!role)
        role = other;
      role->raw &= other->raw;
    }
    return role;
  }

  void compress(Value w) {
    std::optional<Role> role = roleOfAll(w);
    bool fits = role && (role->raw || !raw);
    OpBuilder b(w.getContext());
    Value made;
    bool few = false;
    if (keep)
      made = kept(b, w, fits ? role : std::nullopt, few);
    if (!made && fits && wanted.automatic)
      made = smallest(b, w, *role);
    else if (!made && fits && wanted.bits)
      made = fitted(b, w, *role, wanted);
    if (!made) {
      if (few) {
        if (!expanded++)
          firstExpanded = nameOfWeight(w);
        lost += typeOf(w).getNumElements();
      }
      return;
    }
    made.getDefiningOp()->setLoc(w.getLoc());
    w.replaceUsesWithIf(made, [](OpOperand &use) { return bool(roleOf(use)); });
  }

  static std::string nameOfWeight(Value w) {
    for (Operation *user : w.getUsers())
      if (auto name = dyn_cast<NameLoc>(user->getLoc()))
        return name.getName().str();
    return "?";
  }

  /// As the model has it; `few` where that is fewer bits than fp16 has.
  Value kept(OpBuilder &b, Value w, std::optional<Role> role, bool &few) {
    auto table = findIn<ConstexprLutToDenseOp>(w);
    auto sparse = findIn<ConstexprSparseToDenseOp>(w);
    b.setInsertionPointAfterValue(w);
    Value integers = table || sparse ? Value() : integersOf(b, w);
    few = table || sparse || integers;
    if (!few || !role)
      return {};
    EvalContext context(w.getContext(), Numerics::Float32);
    ConstantEvaluator evaluator(context);
    FailureOr<Tensor> whole = evaluator.evaluate(w);
    if (failed(whole))
      return {};
    b.setInsertionPointAfterValue(w);
    if (integers) {
      FailureOr<Tensor> codes = evaluator.evaluate(integers);
      if (failed(codes))
        return {};
      // Whichever is later.
      bool before =
          integers.getDefiningOp()->isBeforeInBlock(w.getDefiningOp());
      b.setInsertionPointAfterValue(before ? w : integers);
      std::optional<AffineForm> form =
          recogniseAffine(*whole, *codes, /*shifted=*/!raw);
      if (!form || (raw && !ofChannels(*form, *whole, *role)))
        return {};
      if (raw && form->dtype == DType::Int4 &&
          getTarget(w.getDefiningOp()).hasRule("L79"))
        form->dtype = DType::Int8;
      return build(b, w, integers, *form);
    }
    if (raw)
      return {};
    if (sparse) {
      // Few different values beside the zeros are smaller as a table.
      int64_t zeros = llvm::count(whole->floats(), 0.f),
              elements = whole->size();
      for (unsigned width : {1u, 2u, 3u, 4u, 6u, 8u})
        if (width * elements < 16 * (elements - zeros) + elements)
          if (auto form = recognisePalette(
                  *whole, width, SmallVector<int64_t>(whole->rank(), 1)))
            return build(b, w, *form);
      return buildSparse(b, w, *whole);
    }
    unsigned width = typeOf(table.getIndices()).getElementTypeBitWidth();
    for (SmallVector<int64_t> &grid : gridsOf(*whole, *role))
      if (auto form = recognisePalette(*whole, width, grid))
        return build(b, w, *form);
    return {};
  }

  /// From one table for all to one for each channel, then for each input.
  static std::vector<SmallVector<int64_t>> gridsOf(const Tensor &weight,
                                                   const Role &role) {
    std::vector<SmallVector<int64_t>> grids{
        SmallVector<int64_t>(weight.rank(), 1)};
    for (int64_t axis : {role.channels, role.inputs})
      for (int64_t count = 2; count <= weight.shape()[axis]; ++count)
        if (weight.shape()[axis] % count == 0) {
          grids.emplace_back(weight.rank(), 1);
          grids.back()[axis] = count;
        }
    return grids;
  }

  /// With one scale for each channel, where the form has one for several; false
  /// where it has several for one.
  static bool ofChannels(AffineForm &form, const Tensor &weight,
                         const Role &role) {
    for (auto [axis, count] : llvm::enumerate(form.grid))
      if (int64_t(axis) != role.channels && count != 1)
        return false;
    int64_t channels = weight.shape()[role.channels];
    std::vector<float> scales;
    for (int64_t i = 0; i < channels; ++i)
      scales.push_back(form.scales[i * form.scales.size() / channels]);
    form.scales = std::move(scales);
    form.grid[role.channels] = channels;
    return true;
  }

  /// The weight's numbers, where all are finite.
  static FailureOr<Tensor> numbersOf(Value w) {
    EvalContext context(w.getContext(), Numerics::Float32);
    ConstantEvaluator evaluator(context);
    FailureOr<Tensor> whole = evaluator.evaluate(w);
    if (failed(whole) || !llvm::all_of(whole->floats(), [](float x) {
          return std::isfinite(x);
        }))
      return failure();
    return whole;
  }

  /// Blocks that have a table, or a scale, of their own.
  static SmallVector<int64_t> gridOf(ArrayRef<int64_t> shape, const Role &role,
                                     const WeightForm &form) {
    SmallVector<int64_t> grid(shape.size(), 1);
    auto divide = [&](int64_t axis, int64_t block) {
      int64_t extent = shape[axis];
      grid[axis] = block && extent % block == 0 ? extent / block : 1;
    };
    divide(role.channels, form.palette ? form.group : 1);
    if (!form.palette)
      divide(role.inputs, form.block);
    return grid;
  }

  /// In as few bits as the form has.
  Value fitted(OpBuilder &b, Value w, const Role &role,
               const WeightForm &form) {
    FailureOr<Tensor> whole = numbersOf(w);
    if (failed(whole))
      return {};
    b.setInsertionPointAfterValue(w);
    SmallVector<int64_t> grid = gridOf(whole->shape(), role, form);
    if (form.palette)
      return build(b, w, fitPalette(*whole, form.bits, grid));
    AffineForm affine = quantiseAffine(*whole, form.bits, grid);
    // Steps are numbers of fp16 themselves, whose smallest are few.
    if (llvm::is_contained(affine.scales, float(kLeastAffineScale)) &&
        errorOf(*whole, role, form) > (form.bits == 4 ? 0.25 : 0.03)) {
      if (!tooSmall++)
        firstTooSmall = nameOfWeight(w);
      return {};
    }
    Value codes = quantised(b, w, affine);
    return build(b, w, codes, affine);
  }

  /// How far the form is off, as a part of the weight's root mean square.
  static double errorOf(const Tensor &weight, const Role &role,
                        const WeightForm &form) {
    SmallVector<int64_t> grid = gridOf(weight.shape(), role, form);
    ArrayRef<float> values = weight.floats();
    double off = 0, all = 0;
    auto add = [&](int64_t i, double value) {
      off += (value - values[i]) * (value - values[i]);
      all += double(values[i]) * values[i];
    };
    BlockMap blocks(weight.shape(), grid);
    if (form.palette) {
      PaletteForm fit = fitPalette(weight, form.bits, grid);
      blocks.forEachRun([&](int64_t first, int64_t count, int64_t block) {
        for (int64_t i = first; i < first + count; ++i)
          add(i, fit.tables[(block << form.bits) + fit.indices[i]]);
      });
    } else {
      AffineForm fit = quantiseAffine(weight, form.bits, grid);
      double most = form.bits == 4 ? 7 : 127;
      blocks.forEachRun([&](int64_t first, int64_t count, int64_t block) {
        for (int64_t i = first; i < first + count; ++i)
          add(i, fit.scales[block] *
                     std::clamp(
                         std::nearbyint(double(values[i]) / fit.scales[block]),
                         -most, most));
      });
    }
    return all > 0 ? std::sqrt(off / all) : 0;
  }

  ArrayRef<WeightForm> choicesFor(Value w) {
    return choicesOf(raw, !getTarget(w.getDefiningOp()).hasRule("L79"));
  }

  /// What each form is off. It is kept with the weight: fitting tables takes
  /// long, and bounds are tried one by one. Nothing where it cannot be known.
  SmallVector<double> errorsOf(Value w, const Role &role) {
    Operation *op = w.getDefiningOp();
    ArrayRef<WeightForm> choices = choicesFor(w);
    auto kept = op->getAttrOfType<DenseF64ArrayAttr>(marks::kFormErrors);
    if (kept && kept.size() == int64_t(choices.size()))
      return SmallVector<double>(kept.asArrayRef());
    FailureOr<Tensor> whole = numbersOf(w);
    if (failed(whole))
      return {};
    SmallVector<double> errors;
    for (const WeightForm &form : choices)
      errors.push_back(errorOf(*whole, role, form));
    op->setAttr(marks::kFormErrors,
                DenseF64ArrayAttr::get(op->getContext(), errors));
    return errors;
  }

  /// Bits of an element, with its part of scales or tables.
  static double bitsOf(Value w, const Role &role, const WeightForm &form) {
    ArrayRef<int64_t> shape = typeOf(w).getShape();
    double blocks = 1;
    for (int64_t extent : gridOf(shape, role, form))
      blocks *= extent;
    return form.bits + blocks * 16 * (form.palette ? 1 << form.bits : 1) /
                           typeOf(w).getNumElements();
  }

  /// The smallest form within the bound, or nothing where that is fp16.
  std::optional<size_t> choose(Value w, const Role &role,
                               ArrayRef<double> errors, double bound) {
    std::optional<size_t> best;
    double least = 16;
    for (auto [i, form] : llvm::enumerate(choicesFor(w)))
      if (double bits = bitsOf(w, role, form);
          errors[i] <= bound && bits < least)
        best = i, least = bits;
    return best;
  }

  /// The weights that take the looser bound: where most bytes are saved for
  /// what is lost, as a part of the weight's power.
  void chooseLooser(ArrayRef<Value> roots) {
    SmallVector<std::pair<double, Value>> order;
    for (Value root : roots) {
      std::optional<Role> role = roleOfAll(root);
      if (!role || (raw && !role->raw))
        continue;
      SmallVector<double> errors = errorsOf(root, *role);
      if (errors.empty())
        continue;
      auto now = choose(root, *role, errors, wanted.bound),
           then = choose(root, *role, errors, wanted.looser);
      if (now == then)
        continue;
      auto power = [&](std::optional<size_t> i) {
        return i ? errors[*i] * errors[*i] : 0;
      };
      auto bits = [&](std::optional<size_t> i) {
        return i ? bitsOf(root, *role, choicesFor(root)[*i]) : 16;
      };
      order.push_back(
          {(bits(now) - bits(then)) * typeOf(root).getNumElements() /
               std::max(power(then) - power(now), 1e-12),
           root});
    }
    llvm::stable_sort(
        order, [](const auto &a, const auto &b) { return a.first > b.first; });
    size_t count = llvm::divideCeil(order.size() * wanted.parts,
                                    size_t(WeightBound::kParts));
    for (auto &[gain, root] : ArrayRef(order).take_front(count))
      loose.insert(root);
  }

  /// The smallest form within the bound.
  Value smallest(OpBuilder &b, Value w, const Role &role) {
    SmallVector<double> errors = errorsOf(w, role);
    if (errors.empty())
      return {};
    double bound = loose.contains(w) ? wanted.looser : wanted.bound;
    if (std::optional<size_t> i = choose(w, role, errors, bound)) {
      const WeightForm &form = choicesFor(w)[*i];
      if (Value made = fitted(b, w, role, form)) {
        ++chosen[form.describe()];
        return made;
      }
    }
    ++chosen["in no fewer bits"];
    return {};
  }

  bool raw = true;
  WeightForm wanted;
  llvm::DenseSet<Value> loose;
  /// Weights by the form that was chosen for them.
  std::map<std::string, unsigned> chosen;
  unsigned expanded = 0;
  double lost = 0;
  std::string firstExpanded;
  unsigned tooSmall = 0;
  size_t candidates = 0;
  std::string firstTooSmall;
};
} // namespace
