//===- UnifyShapes.cpp - one function for several shapes ------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Transforms/UnifyShapes.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinTypes.h"

using namespace mlir;
using namespace mlir::ane;

namespace {
class Unifier {
public:
  explicit Unifier(ArrayRef<mil::FuncOp> functions) : functions(functions) {}
  std::string run();

private:
  /// A change to the first function, made once all are known to be possible.
  struct NewParameter {
    mil::OpOp op;
    StringRef name;
    SmallVector<int64_t> values;
    bool isMask;
  };

  bool fail(const Twine &what) {
    why = what.str();
    return false;
  }
  bool meet(ArrayRef<Value> values, const Twine &what);
  bool compareOps(ArrayRef<mil::OpOp> ops);
  bool resolve(ArrayRef<mil::OpOp> ops, StringRef name,
               ArrayRef<mil::LiteralAttr> literals);
  void apply(const NewParameter &change);

  ArrayRef<mil::FuncOp> functions;
  std::string why;
  /// Position of each value in its function, alike in all.
  llvm::DenseMap<Value, int64_t> numbers;
  int64_t next = 0;
  SmallVector<NewParameter> changes;
  SmallVector<std::pair<Value, Type>> types;
};
} // namespace

static std::string label(mil::OpOp op) {
  return op.getNames().empty()
             ? op.getType().str()
             : cast<StringAttr>(op.getNames()[0]).getValue().str() + " (" +
                   op.getType().str() + ")";
}

/// Values in the same place get the same number and, in the first function, a
/// type that holds for all.
bool Unifier::meet(ArrayRef<Value> values, const Twine &what) {
  Type first = values[0].getType();
  auto tensor = dyn_cast<RankedTensorType>(first);
  SmallVector<int64_t> shape;
  if (tensor)
    shape.assign(tensor.getShape().begin(), tensor.getShape().end());
  for (Value v : values) {
    numbers[v] = next;
    if (v.getType() == first)
      continue;
    auto other = dyn_cast<RankedTensorType>(v.getType());
    if (!tensor || !other || other.getRank() != tensor.getRank() ||
        other.getElementType() != tensor.getElementType())
      return fail(what + " has another rank or type for another shape");
    for (auto [dim, otherDim] : llvm::zip(shape, other.getShape()))
      if (dim != otherDim)
        dim = ShapedType::kDynamic;
  }
  ++next;
  if (tensor)
    types.push_back({values[0], tensor.clone(shape)});
  return true;
}

static std::optional<SmallVector<int64_t>> intsOf(mil::LiteralAttr literal) {
  auto dense = dyn_cast<DenseIntElementsAttr>(literal.getValue());
  if (!dense || dense.getElementType().isInteger(1) ||
      dense.getType().getRank() > 1)
    return std::nullopt;
  SmallVector<int64_t> list;
  for (const APInt &v : dense.getValues<APInt>())
    list.push_back(v.getSExtValue());
  return list;
}

/// A parameter that differs: what holds for all, in another form.
bool Unifier::resolve(ArrayRef<mil::OpOp> ops, StringRef name,
                      ArrayRef<mil::LiteralAttr> literals) {
  mil::OpOp op = ops[0];
  auto refuse = [&] {
    return fail("'" + name + "' of " + label(op) + " depends on the shape");
  };
  SmallVector<SmallVector<int64_t>> lists;
  for (mil::LiteralAttr literal : literals) {
    auto list = intsOf(literal);
    if (!list || (!lists.empty() && list->size() != lists[0].size()))
      return refuse();
    lists.push_back(*list);
  }
  SmallVector<int64_t> differing;
  for (size_t i = 0; i < lists[0].size(); ++i)
    if (llvm::any_of(lists, [&](auto &l) { return l[i] != lists[0][i]; }))
      differing.push_back(i);
  SmallVector<int64_t> values = lists[0];
  if (op.getType() == "reshape" && name == "shape") {
    if (differing.size() != 1 || llvm::is_contained(values, -1))
      return refuse();
    values[differing[0]] = -1;
    changes.push_back({op, "shape", values, false});
    return true;
  }
  if (op.getType() == "slice_by_index" && name == "end" &&
      !mil::getArgument(op, "end_mask")) {
    // Where it is the whole axis for every shape, "to the end".
    SmallVector<int64_t> mask(values.size(), 0);
    for (int64_t axis : differing) {
      for (auto [each, list] : llvm::zip(ops, lists)) {
        auto x = dyn_cast_or_null<mil::RefAttr>(mil::getArgument(each, "x"));
        auto type = x ? dyn_cast<RankedTensorType>(
                            mil::OpOp(each).getOperand(x.getIndex()).getType())
                      : RankedTensorType();
        if (!type || type.getDimSize(axis) != list[axis])
          return refuse();
      }
      mask[axis] = 1;
    }
    changes.push_back({op, "end_mask", mask, true});
    return true;
  }
  return refuse();
}

bool Unifier::compareOps(ArrayRef<mil::OpOp> ops) {
  mil::OpOp op = ops[0];
  for (mil::OpOp other : ops)
    if (other.getType() != op.getType() || !other.getBlocks().empty() ||
        other.getArgs().size() != op.getArgs().size() ||
        other.getNumResults() != op.getNumResults())
      return fail(label(op) + " is another operation for another shape");
  for (auto [position, attr] : llvm::enumerate(op.getArgs())) {
    auto named = cast<mil::NamedAttr>(attr);
    // Every value of the argument, in each function.
    SmallVector<SmallVector<Attribute>> items;
    for (mil::OpOp each : ops) {
      auto own = cast<mil::NamedAttr>(each.getArgs()[position]);
      if (own.getName() != named.getName())
        return fail(label(op) + " has other arguments for another shape");
      items.emplace_back();
      if (auto tuple = dyn_cast<ArrayAttr>(own.getValue()))
        items.back().assign(tuple.begin(), tuple.end());
      else
        items.back().push_back(own.getValue());
      if (items.back().size() != items[0].size())
        return fail(label(op) + " has other arguments for another shape");
    }
    for (size_t i = 0; i < items[0].size(); ++i) {
      SmallVector<mil::LiteralAttr> literals;
      bool same = true;
      std::optional<int64_t> number;
      for (auto [each, list] : llvm::zip(ops, items)) {
        auto literal = dyn_cast<mil::LiteralAttr>(list[i]);
        if (auto ref = dyn_cast<mil::RefAttr>(list[i])) {
          Value v = mil::OpOp(each).getOperand(ref.getIndex());
          literal = mil::getConstant(v);
          if (!literal) {
            auto known = numbers.find(v);
            if (known == numbers.end() || (number && *number != known->second))
              return fail(label(op) + " reads other values for another shape");
            number = known->second;
          }
        }
        if (bool(literal) == bool(number))
          return fail(label(op) + " reads other values for another shape");
        if (literal) {
          same &= literals.empty() || literals[0] == literal;
          literals.push_back(literal);
        }
      }
      if (!same && (items[0].size() != 1 ||
                    !resolve(ops, named.getName().getValue(), literals)))
        return why.empty() ? fail(label(op) + " depends on the shape") : false;
    }
  }
  for (unsigned i = 0; i < op.getNumResults(); ++i) {
    SmallVector<Value> results;
    for (mil::OpOp each : ops)
      results.push_back(each.getResult(i));
    if (!meet(results, label(op)))
      return false;
  }
  return true;
}

void Unifier::apply(const NewParameter &change) {
  mil::OpOp op = change.op;
  OpBuilder b(op);
  MLIRContext *context = op.getContext();
  auto stringType = RankedTensorType::get({}, mil::StringType::get(context));
  std::string name = (cast<StringAttr>(op.getNames()[0]).getValue() + "_" +
                      change.name + "_any")
                         .str();
  Type element = change.isMask ? b.getI1Type() : b.getI32Type();
  auto type = RankedTensorType::get({(int64_t)change.values.size()}, element);
  SmallVector<APInt> values;
  for (int64_t v : change.values)
    values.push_back(APInt(change.isMask ? 1 : 32, uint64_t(v), true, true));
  auto named = [&](StringRef key, Type t, Attribute value) -> Attribute {
    return mil::NamedAttr::get(context, b.getStringAttr(key),
                               mil::LiteralAttr::get(context, t, value));
  };
  auto constant = mil::OpOp::create(
      b, op.getLoc(), TypeRange{type}, b.getStringAttr("const"),
      b.getArrayAttr({}), b.getStrArrayAttr({StringRef(name)}),
      b.getArrayAttr(
          {named("name", stringType,
                 DenseStringElementsAttr::get(stringType, StringRef(name))),
           named("val", type, DenseElementsAttr::get(type, values))}),
      ArrayAttr(), ValueRange{}, 0);
  SmallVector<Attribute> args;
  auto reference =
      mil::NamedAttr::get(context, b.getStringAttr(change.name),
                          mil::RefAttr::get(context, op.getNumOperands()));
  bool replaced = false;
  for (Attribute attr : op.getArgs()) {
    bool own = cast<mil::NamedAttr>(attr).getName() == change.name;
    args.push_back(own ? Attribute(reference) : attr);
    replaced |= own;
  }
  if (!replaced)
    args.push_back(reference);
  llvm::stable_sort(args, [](Attribute a, Attribute c) {
    return cast<mil::NamedAttr>(a).getName().getValue() <
           cast<mil::NamedAttr>(c).getName().getValue();
  });
  op.setArgsAttr(b.getArrayAttr(args));
  op.getOperands_Mutable().append(constant.getResult(0));
}

std::string Unifier::run() {
  SmallVector<Block *> bodies;
  SmallVector<SmallVector<mil::OpOp>> lists;
  for (mil::FuncOp func : functions) {
    bodies.push_back(&func.getBody().front());
    lists.emplace_back();
    for (Operation &op : bodies.back()->without_terminator())
      if (auto milOp = cast<mil::OpOp>(op); milOp.getType() != "const")
        lists.back().push_back(milOp);
    if (lists.back().size() != lists[0].size() ||
        bodies.back()->getNumArguments() != bodies[0]->getNumArguments())
      return "the operations are others for another shape";
  }
  for (unsigned i = 0; i < bodies[0]->getNumArguments(); ++i) {
    SmallVector<Value> arguments;
    for (Block *body : bodies)
      arguments.push_back(body->getArgument(i));
    if (!meet(arguments, "input " + Twine(i)))
      return why;
  }
  for (size_t i = 0; i < lists[0].size(); ++i) {
    SmallVector<mil::OpOp> ops;
    for (auto &list : lists)
      ops.push_back(list[i]);
    if (!compareOps(ops))
      return why;
  }
  for (auto [i, v] : llvm::enumerate(bodies[0]->getTerminator()->getOperands()))
    for (Block *body : bodies) {
      auto own = numbers.find(v);
      auto other = numbers.find(body->getTerminator()->getOperand(i));
      if (own == numbers.end() || other == numbers.end() ||
          own->second != other->second)
        return "the results are others for another shape";
    }
  for (auto &[value, type] : types)
    value.setType(type);
  for (const NewParameter &change : changes)
    apply(change);
  // Parameters that nothing reads any more.
  for (Operation &op : llvm::make_early_inc_range(
           llvm::reverse(bodies[0]->without_terminator())))
    if (cast<mil::OpOp>(op).getType() == "const" && op.use_empty())
      op.erase();
  return "";
}

std::string mlir::ane::unifyShapes(ArrayRef<mil::FuncOp> functions) {
  return Unifier(functions).run();
}
