//===- MatmulToConv.cpp - products with constants become 1x1 convolutions -===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// C[M,N] = A[M,K] B[K,N] with a constant B is a convolution of data (1,K,1,M)
// with a weight (N,K,1,1), which the engine runs about three times as fast as a
// product (engine/cost.md §5.7, engine/rewrites.md §6.1). The transposes around
// it are left to ane-assign-layout, which cancels what it can over the whole
// graph.
//
//===----------------------------------------------------------------------===//

#include "Reshape.h"
#include "ane-mlir/Analysis/CostModel.h"
#include "ane-mlir/Transforms/Passes.h"
#include "dialects/ANE/IR/Linear.h"
#include "dialects/ANE/IR/Shape.h"
#include "dialects/ANE/IR/WeightTrees.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/IR/Remarks.h"
#include "llvm/Support/Format.h"

using namespace mlir;
using namespace mlir::ane;

namespace mlir::ane {
#define GEN_PASS_DEF_MATMULTOCONVPASS
#include "ane-mlir/Transforms/Passes.h.inc"
} // namespace mlir::ane

static Value swapLastTwo(OpBuilder &b, Location loc, Value x) {
  auto type = typeOf(x);
  SmallVector<int64_t> perm, shape(type.getShape());
  for (int64_t i = 0; i < type.getRank(); ++i)
    perm.push_back(i);
  std::swap(perm[perm.size() - 1], perm[perm.size() - 2]);
  std::swap(shape[shape.size() - 1], shape[shape.size() - 2]);
  return TransposeOp::create(b, loc, type.clone(shape), x, perm);
}

namespace {
/// The product as batch x (channels K, width M) times [N,K].
struct Product {
  Value data, weight;
  /// `data` is stored [.., K, M] already; `weight` is stored [K,N].
  bool dataIsChannelFirst, weightIsTransposed;
  /// The result is wanted as [.., N, M].
  bool resultIsChannelFirst;
  int64_t batch, m, k, n;
  /// The weight is an input of the model.
  bool runTime = false;
};

struct MatmulToConv : ane::impl::MatmulToConvPassBase<MatmulToConv> {
  /// A matmul with one constant matrix, or nullopt.
  static std::optional<Product> match(MatmulOp op) {
    auto x = op.getX().getType(), y = op.getY().getType();
    if (!isa<FloatType>(x.getElementType()) || x.getRank() < 2 ||
        y.getRank() < 2 || !x.hasStaticShape() || !y.hasStaticShape())
      return std::nullopt;
    auto isMatrix = [](RankedTensorType t) {
      return llvm::all_of(t.getShape().drop_back(2),
                          [](int64_t d) { return d == 1; });
    };
    auto last = [](RankedTensorType t, int64_t i) {
      return t.getDimSize(t.getRank() - i);
    };
    bool constantX = isConstantTree(op.getX()),
         constantY = isConstantTree(op.getY());
    Product p;
    if (constantX && constantY)
      return std::nullopt;
    if (!constantX && !constantY) {
      // A weight [N,K] that is an input, in the form that the engine was seen
      // to take (L19): one batch, whole rows.
      if (!isMatrix(y) || op.getTransposeX() || !op.getTransposeY() ||
          !isa<BlockArgument>(op.getY()) || !op.getY().hasOneUse() ||
          op.getX() == op.getY() || last(y, 1) % 32)
        return std::nullopt;
      p = {op.getX(), op.getY(), false,      false,      false,
           1,         0,         last(y, 1), last(y, 2), true};
    } else if (constantY) {
      if (!isMatrix(y))
        return std::nullopt;
      p = {op.getX(),
           op.getY(),
           op.getTransposeX(),
           !op.getTransposeY(),
           false,
           1,
           0,
           0,
           0};
      p.k = last(y, op.getTransposeY() ? 1 : 2);
      p.n = last(y, op.getTransposeY() ? 2 : 1);
    } else {
      // A constant on the left: the run-time operand [.., K, M] has its
      // channels in front as it is.
      if (!isMatrix(x))
        return std::nullopt;
      p = {op.getY(),
           op.getX(),
           !op.getTransposeY(),
           op.getTransposeX(),
           true,
           1,
           0,
           0,
           0};
      p.k = last(x, op.getTransposeX() ? 2 : 1);
      p.n = last(x, op.getTransposeX() ? 1 : 2);
    }
    auto data = typeOf(p.data);
    if (data.getNumElements() == 0 || p.n == 0)
      return std::nullopt;
    p.m = last(data, p.dataIsChannelFirst ? 1 : 2);
    p.batch = data.getNumElements() / (p.m * p.k);
    return p;
  }

  /// Output channels per convolution, within S14; 0 when the product cannot be
  /// one on this target.
  static int64_t chunkOf(const Product &p, const Target &target) {
    const Limit *inputs = target.limit(LimitId::S13),
                *outputs = target.limit(LimitId::S14);
    if (inputs && p.k > inputs->value)
      return 0;
    int64_t most = outputs ? outputs->value : p.n;
    int64_t chunks = llvm::divideCeil(uint64_t(p.n), uint64_t(most));
    return llvm::divideCeil(uint64_t(p.n), uint64_t(chunks));
  }

  /// 1x1 convolutions of [B,K,H,W] with the product's weight.
  static Value convolve(Location loc, Product p, Value x, int64_t chunk,
                        OpBuilder &b) {
    auto type = typeOf(x);
    auto tensor = [&](ArrayRef<int64_t> shape) { return type.clone(shape); };
    auto result = [&](int64_t channels) {
      SmallVector<int64_t> shape(type.getShape());
      shape[1] = channels;
      return type.clone(shape);
    };
    Value w = reshapeTo(b, loc, p.weight,
                        p.weightIsTransposed ? ArrayRef<int64_t>{p.k, p.n}
                                             : ArrayRef<int64_t>{p.n, p.k});
    if (p.weightIsTransposed)
      w = swapLastTwo(b, loc, w);
    SmallVector<Value> parts;
    for (int64_t at = 0; at < p.n; at += chunk) {
      int64_t size = std::min(chunk, p.n - at);
      Value part = w;
      if (size != p.n)
        part = SliceBySizeOp::create(b, loc, tensor({size, p.k}), w,
                                     b.getDenseI64ArrayAttr({at, 0}),
                                     b.getDenseI64ArrayAttr({size, p.k}));
      part = reshapeTo(b, loc, part, {size, p.k, 1, 1});
      parts.push_back(ConvOp::create(
          b, loc, result(size), x, part, Value(),
          b.getDenseI64ArrayAttr({1, 1}), b.getStringAttr("valid"),
          b.getDenseI64ArrayAttr({0, 0, 0, 0}), b.getDenseI64ArrayAttr({1, 1}),
          b.getI64IntegerAttr(1)));
    }
    Value y = parts[0];
    if (parts.size() > 1)
      y = ConcatOp::create(b, loc, result(p.n), parts, b.getI64IntegerAttr(1),
                           b.getBoolAttr(false));
    return y;
  }

  /// [A,H,W,K] by way of (A,K,H,W).
  static Value rewriteImage(MatmulOp op, Product p, int64_t chunk,
                            OpBuilder &b) {
    Location loc = op.getLoc();
    auto x = typeOf(p.data), z = op.getType();
    auto order = [](ArrayRef<int64_t> s, ArrayRef<int64_t> perm) {
      return SmallVector<int64_t>{s[perm[0]], s[perm[1]], s[perm[2]],
                                  s[perm[3]]};
    };
    SmallVector<int64_t> toFront{0, 3, 1, 2}, toBack{0, 2, 3, 1};
    Value data = TransposeOp::create(
        b, loc, x.clone(order(x.getShape(), toFront)), p.data, toFront);
    return TransposeOp::create(b, loc, z, convolve(loc, p, data, chunk, b),
                               toBack);
  }

  static Value rewrite(MatmulOp op, Product p, int64_t chunk, OpBuilder &b) {
    Location loc = op.getLoc();
    // One row per batch item is width of one batch.
    // Channels-last images keep their two spatial axes.
    auto type = typeOf(p.data);
    if (type.getRank() == 4 && p.m > 1 && type.getDimSize(1) > 1 &&
        !p.dataIsChannelFirst && !p.resultIsChannelFirst && !p.runTime)
      return rewriteImage(op, p, chunk, b);
    bool rows = (p.m == 1 || p.runTime) && p.batch > 1 &&
                !p.dataIsChannelFirst && !p.resultIsChannelFirst;
    int64_t batch = rows ? 1 : p.batch, m = rows ? p.batch * p.m : p.m;
    Value x =
        reshapeTo(b, loc, p.data,
                  p.dataIsChannelFirst ? ArrayRef<int64_t>{batch, p.k, m}
                                       : ArrayRef<int64_t>{batch, m, p.k});
    if (!p.dataIsChannelFirst)
      x = swapLastTwo(b, loc, x);
    x = reshapeTo(b, loc, x, {batch, p.k, 1, m});
    Value y = convolve(loc, p, x, chunk, b);
    y = reshapeTo(b, loc, y, {batch, p.n, m});
    if (!p.resultIsChannelFirst)
      y = swapLastTwo(b, loc, y);
    return reshapeTo(b, loc, y, typeOf(op.getZ()).getShape());
  }

  void runOnOperation() override {
    Clock clock = getClock(getOperation());
    const Target &target = clock.target;
    SmallVector<MatmulOp> products;
    getOperation().walk([&](MatmulOp op) { products.push_back(op); });
    WeightTrees trees;
    for (MatmulOp op : products) {
      if (isConstantTree(op.getZ()))
        continue;
      std::optional<Product> p = match(op);
      if (!p)
        continue;
      int64_t chunk = chunkOf(*p, target);
      if (chunk == 0 || (p->runTime && chunk != p->n))
        continue;
      Cost product = op.estimateCost(target), conv = product;
      conv.kind = Cost::Kind::Conv;
      conv.channels = std::min(p->n, chunk);
      conv.positions = p->m;
      double before = predictMicros(product, clock),
             after = predictMicros(conv, clock);
      auto what =
          remark::RemarkOpts::name("product").category("ane-matmul-to-conv");
      if (after > before) {
        remark::missed(op.getLoc(), what)
            << remark::add("stays a matmul: {0:f2} us predicted, {1:f2} as "
                           "1x1 convolution",
                           before, after);
        continue;
      }
      OpBuilder b(op);
      Value y = rewrite(op, *p, chunk, b);
      std::string note;
      llvm::raw_string_ostream(note)
          << (p->runTime ? "matmul with a run-time weight" : "matmul")
          << " as 1x1 convolution: predicted " << llvm::format("%.2f", after)
          << " instead of " << llvm::format("%.2f", before) << " us";
      remark::passed(op.getLoc(), what) << remark::add("{0}", note);
      for (Operation *user = op->getPrevNode(); user;
           user = user->getPrevNode())
        if (isa<ConvOp>(user)) {
          user->setAttr(marks::kNote, b.getStringAttr(note));
          break;
        }
      op.getZ().replaceAllUsesWith(y);
      trees.notifyOperationErased(op);
      op.erase();
      ++numConverted;
    }
  }
};
} // namespace
