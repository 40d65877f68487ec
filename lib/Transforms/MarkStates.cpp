//===- MarkStates.cpp - what a model keeps between calls ------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Analysis/PortNames.h"
#include "ane-mlir/Support/Usage.h"
#include "ane-mlir/Transforms/Passes.h"
#include "ane-mlir/Transforms/States.h"
#include "dialects/ANE/IR/Cast.h"
#include "dialects/ANE/IR/Gather.h"
#include "dialects/ANE/IR/Shape.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace mlir::ane;

namespace mlir::ane {
#define GEN_PASS_DEF_MARKSTATESPASS
#include "ane-mlir/Transforms/Passes.h.inc"
} // namespace mlir::ane

/// The argument that a value is, through what does not change it.
static BlockArgument argumentOf(Value value) {
  while (auto identity = value.getDefiningOp<IdentityOp>())
    value = identity.getX();
  return dyn_cast<BlockArgument>(value);
}
static Value behindIdentities(Value value) {
  while (auto identity = value.getDefiningOp<IdentityOp>())
    value = identity.getX();
  return value;
}

/// How an output continues an input, by what computes it.
static std::optional<StatePair> continues(func::FuncOp main, unsigned output,
                                          Value value) {
  Value source = behindIdentities(value);
  if (auto concat = source.getDefiningOp<ConcatOp>()) {
    if (concat.getValues().size() < 2)
      return std::nullopt;
    BlockArgument past = argumentOf(concat.getValues().front());
    if (!past || past.getOwner() != &main.getBody().front())
      return std::nullopt;
    int64_t axis = concat.getAxis();
    int64_t rank = cast<RankedTensorType>(past.getType()).getRank();
    return StatePair{past.getArgNumber(), output,
                     axis < 0 ? axis + rank : axis};
  }
  Operation *op = source.getDefiningOp();
  if (op && isa<ScatterOp, ScatterAlongAxisOp, ScatterNdOp>(op))
    if (BlockArgument into = argumentOf(op->getOperand(0));
        into && into.getType() == value.getType())
      return StatePair{into.getArgNumber(), output, std::nullopt};
  return std::nullopt;
}

/// Whether a name says that it is kept.
static bool isStateName(StringRef name) {
  std::string lower = name.lower();
  static constexpr StringLiteral kWords[] = {"past",    "state",  "cache",
                                             "hidden",  "cell",   "memory",
                                             "history", "buffer", "prev"};
  return llvm::any_of(
      kWords, [&](StringRef word) { return StringRef(lower).contains(word); });
}

/// What a name says besides being of before or after.
static std::string stemOf(StringRef name) {
  std::string spaced;
  for (char c : name)
    spaced += llvm::isAlnum(c) ? llvm::toLower(c) : ' ';
  // past_key_values.0.key and present.0.key
  StringRef text(spaced);
  text.consume_front("past key values");
  SmallVector<StringRef> words;
  text.split(words, ' ', -1, /*KeepEmpty=*/false);
  std::string stem;
  for (StringRef word : words)
    if (!llvm::is_contained({"past", "present", "in", "out", "new", "next",
                             "old", "prev", "previous", "input", "output",
                             "updated", "initial", "final"},
                            word))
      stem += word.str() + ' ';
  return stem;
}

std::vector<StatePair> mlir::ane::recogniseStates(func::FuncOp main) {
  std::vector<StatePair> pairs;
  std::vector<std::string> names = getPortNames(main);
  unsigned inputs = main.getNumArguments();
  llvm::SmallDenseSet<unsigned> taken;
  auto results = main.getBody().front().getTerminator()->getOperands();
  auto isFloat = [](Value value) {
    auto type = dyn_cast<RankedTensorType>(value.getType());
    return type && type.hasStaticShape() && type.getRank() > 0 &&
           isa<FloatType>(type.getElementType());
  };
  for (auto [j, value] : llvm::enumerate(results)) {
    if (!isFloat(value))
      continue;
    std::optional<StatePair> pair = continues(main, j, value);
    // What else reads an input reads it for its own sake: a result beside it is
    // no cache.
    if (pair && !main.getArgument(pair->input).hasOneUse() &&
        !isStateName(names[pair->input]))
      pair = std::nullopt;
    if (!pair)
      // Names alone say little: all the rest of both must be the same.
      for (unsigned i = 0; i < inputs && !pair; ++i)
        if (std::string stem = stemOf(names[i]);
            main.getArgument(i).getType() == value.getType() &&
            names[i] != names[inputs + j] &&
            stem == stemOf(names[inputs + j]) &&
            (!stem.empty() || isStateName(names[i])))
          pair = StatePair{i, unsigned(j), std::nullopt};
    if (pair && isFloat(main.getArgument(pair->input)) &&
        taken.insert(pair->input).second)
      pairs.push_back(*pair);
  }
  return pairs;
}

void mlir::ane::sayFoundStates(ModuleOp module, ArrayRef<StatePair> found,
                               bool grow) {
  auto main = module.lookupSymbol<func::FuncOp>("main");
  SmallVector<std::string> kept, left;
  for (const StatePair &pair : found)
    (grow || !pair.axis ? kept : left)
        .push_back("'" + getPortNames(main)[pair.input] + "'");
  auto list = [](ArrayRef<std::string> names) {
    constexpr size_t kMost = 6;
    std::string text = llvm::join(names.take_front(kMost), ", ");
    return names.size() <= kMost
               ? text
               : text + " and " + std::to_string(names.size() - kMost) +
                     " more";
  };
  if (!left.empty())
    emitWarning(module.getLoc())
        << "Core ML's states have one size: caches that grow stay inputs and "
           "outputs of a package: "
        << list(left);
  if (!kept.empty())
    emitRemark(module.getLoc()) << "kept between calls: " << list(kept);
  else if (left.empty())
    emitWarning(module.getLoc())
        << "--state=auto finds nothing that is kept between calls; --state "
           "INPUT=OUTPUT names it";
}

namespace {
struct MarkStates : ane::impl::MarkStatesPassBase<MarkStates> {
  using Base::Base;

  void runOnOperation() override {
    auto main = getOperation().lookupSymbol<func::FuncOp>("main");
    if (!main)
      return;
    std::vector<std::string> names = getPortNames(main);
    std::vector<StatePair> pairs;
    for (const std::string &state : states) {
      auto [in, out] = StringRef(state).split('=');
      std::optional<StatePair> pair = named(main, names, in, out);
      if (!pair)
        return signalPassFailure();
      pairs.push_back(*pair);
    }
    if (recognise)
      for (const StatePair &pair : recogniseStates(main))
        if (llvm::none_of(pairs, [&](const StatePair &other) {
              return other.input == pair.input || other.output == pair.output;
            }))
          pairs.push_back(pair);
    for (const StatePair &pair : pairs) {
      mark(main, pair, names[pair.input]);
      if (!pair.axis)
        continue;
      int64_t rows = cast<RankedTensorType>(main.getResultTypes()[pair.output])
                         .getDimSize(*pair.axis),
              capacity =
                  cast<RankedTensorType>(main.getArgument(pair.input).getType())
                      .getDimSize(*pair.axis);
      if (rows <= capacity || ShapedType::isDynamic(capacity))
        continue;
      main.emitError() << "state '" << names[pair.input] << "' holds "
                       << capacity << " rows, and a call gives " << rows
                       << "; a longer one (--dim of its length) holds them";
      return signalPassFailure();
    }
  }

private:
  /// A pair that the user names.
  static std::optional<StatePair> named(func::FuncOp main,
                                        ArrayRef<std::string> names,
                                        StringRef in, StringRef out) {
    unsigned inputs = main.getNumArguments();
    auto ins = names.take_front(inputs), outs = names.drop_front(inputs);
    auto input = llvm::find(ins, in), output = llvm::find(outs, out);
    if (input == ins.end() || output == outs.end()) {
      bool isInput = input == ins.end();
      main.emitError() << "no " << (isInput ? "input" : "output")
                       << " is named '" << (isInput ? in : out)
                       << "' to be a state"
                       << suggest(isInput ? in : out,
                                  llvm::to_vector_of<StringRef>(
                                      isInput ? ins : outs));
      return std::nullopt;
    }
    unsigned i = input - ins.begin(), j = output - outs.begin();
    Value value = main.getBody().front().getTerminator()->getOperand(j);
    if (auto pair = continues(main, j, value); pair && pair->input == i)
      return pair;
    if (main.getArgument(i).getType() == value.getType())
      return StatePair{i, j, std::nullopt};
    main.emitError() << "input '" << in << "' of type "
                     << main.getArgument(i).getType() << " and output '" << out
                     << "' of type " << value.getType()
                     << " cannot be one state; expects the same type, or an "
                        "output that is the input with new rows behind it";
    return std::nullopt;
  }

  static void mark(func::FuncOp main, const StatePair &pair, StringRef name) {
    Builder attributes(main.getContext());
    auto key = attributes.getStringAttr(name);
    main.setArgAttr(pair.input, marks::kState, key);
    main.setResultAttr(pair.output, marks::kState, key);
    if (!pair.axis)
      return;
    main.setResultAttr(pair.output, marks::kStateAxis,
                       attributes.getI64IntegerAttr(*pair.axis));
    // The new rows alone; what else reads the whole still does.
    Operation *terminator = main.getBody().front().getTerminator();
    auto concat = behindIdentities(terminator->getOperand(pair.output))
                      .getDefiningOp<ConcatOp>();
    SmallVector<Value> rows(concat.getValues().drop_front());
    Value fresh = rows.front();
    if (rows.size() > 1) {
      OpBuilder b(terminator);
      auto type = cast<RankedTensorType>(concat.getType());
      SmallVector<int64_t> shape(type.getShape());
      shape[*pair.axis] -=
          cast<RankedTensorType>(main.getArgument(pair.input).getType())
              .getDimSize(*pair.axis);
      fresh =
          ConcatOp::create(b, concat.getLoc(), type.clone(shape), rows,
                           concat.getAxisAttr(), concat.getInterleaveAttr());
    }
    terminator->setOperand(pair.output, fresh);
    SmallVector<Type> results(main.getResultTypes());
    results[pair.output] = fresh.getType();
    main.setFunctionType(
        FunctionType::get(main.getContext(), main.getArgumentTypes(), results));
  }
};
} // namespace
