//===- Attention.cpp - attention, rotary embedding ------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// Attention is written out as products and a softmax: MIL's fused op ignores
// masks on the engine (L15). Query heads that share a key head are stacked
// along the sequence instead of repeating keys and values (engine/rewrites.md
// §6.25).
//
//===----------------------------------------------------------------------===//

#include "Lowering.h"
#include "dialects/ANE/IR/Comparison.h"
#include "dialects/ANE/IR/Gather.h"
#include "dialects/ANE/IR/Linear.h"
#include "dialects/ANE/IR/Norm.h"
#include "dialects/ANE/IR/Reduction.h"
#include "dialects/ANE/IR/Unary.h"
#include <cmath>

using namespace mlir;
using namespace mlir::ane;

using C = NodeContext;

/// What is no larger is masked, whatever stands for infinity: a number of fp16,
/// so that it is compared on the engine.
static constexpr double kMasked = -64992;

/// [B,S,H*E] as [B,H,S,E].
Value mlir::ane::splitHeads(C &c, Value x, int64_t heads) {
  if (!x)
    return {};
  ArrayRef<int64_t> shape = c.shape(x);
  Value split = c.reshape(x, {shape[0], shape[1], heads, shape[2] / heads});
  return split ? c.transpose(split, {0, 2, 1, 3}) : split;
}

Value mlir::ane::joinHeads(C &c, Value x) {
  if (!x)
    return {};
  ArrayRef<int64_t> shape = c.shape(x);
  return c.reshape(c.transpose(x, {0, 2, 1, 3}),
                   {shape[0], shape[2], shape[1] * shape[3]});
}

Value mlir::ane::scoreHeads(C &c, Value q, Value k, Value v, double scale) {
  if (!q || !k || !v)
    return {};
  ArrayRef<int64_t> rows = c.shape(q), keys = c.shape(k), values = c.shape(v);
  if (keys[1] < 1 || rows[1] % keys[1] || keys[3] != rows[3] ||
      values[1] != keys[1] || values[2] != keys[2])
    return c.error() << "expects keys and values that fit the queries, but got "
                     << c.type(q) << ", " << c.type(k) << " and " << c.type(v),
           Value();
  SmallVector<int64_t> stacked{rows[0], keys[1], rows[1] / keys[1] * rows[2],
                               rows[3]},
      scores{rows[0], rows[1], rows[2], keys[2]};
  Value queries = c.reshape(c.mul(q, c.scalarLike(scale, q)), stacked);
  return c.reshape(c.matmul(queries, k, /*transposeB=*/true), scores);
}

Value mlir::ane::capScores(C &c, Value scores, double cap) {
  if (!cap || !scores)
    return scores;
  return c.mul(c.create<TanhOp>({c.mul(scores, c.scalarLike(1 / cap, scores))}),
               c.scalarLike(cap, scores));
}

Value mlir::ane::softmaxOfScores(C &c, Value scores) {
  return c.create<SoftmaxOp>({scores}, {.axis = -1});
}

Value mlir::ane::readHeads(C &c, Value p, Value v) {
  if (!p || !v)
    return {};
  ArrayRef<int64_t> rows = c.shape(p), values = c.shape(v);
  SmallVector<int64_t> stacked{rows[0], values[1],
                               rows[1] / values[1] * rows[2], rows[3]},
      heads{rows[0], rows[1], rows[2], values[3]};
  return c.reshape(c.matmul(c.reshape(p, stacked), v), heads);
}

/// `mask` with its last axis grown to `extent`; the new part masks.
static Value growMask(C &c, Value mask, int64_t extent) {
  int64_t last = c.rank(mask) - 1, have = c.shape(mask)[last];
  if (have == extent || have == 1)
    return mask;
  SmallVector<int64_t> shape(c.shape(mask));
  shape[last] = extent - have;
  bool isBool = c.element(mask).isInteger(1);
  Value fill = c.broadcastTo(c.scalarLike(isBool ? 0 : -65504, mask), shape);
  return c.concat({mask, fill}, last);
}

namespace {
/// Which keys a query sees.
struct Visibility {
  /// [.., length, keys], or null for all.
  Value allowed;
  bool rowsMayBeEmpty = false;
};
} // namespace

/// Of windows and lengths; positions known here become constants.
static Visibility findVisible(C &c, int64_t batch, int64_t length, int64_t keys,
                              int64_t past) {
  int64_t left = c.getInt("left_window_size", -1),
          right = c.getInt("right_window_size", -1);
  if (c.getInt("is_causal", 0))
    right = right < 0 ? 0 : std::min<int64_t>(right, 0);
  Visibility visible;
  auto positions = [&](bool query) { // i or j, shaped to broadcast
    Tensor iota(DType::Int64, query ? SmallVector<int64_t>{1, 1, length, 1}
                                    : SmallVector<int64_t>{1, 1, 1, keys});
    for (int64_t i = 0; i < iota.size(); ++i)
      iota.mutableInts()[i] = i;
    return c.graph.constant(c.loc, iota);
  };
  auto restrict = [&](Value more) {
    visible.allowed = c.create<LogicalAndOp>({visible.allowed, more});
  };
  if (Value lengths = c.input(6)) {
    Value valid = c.castTo(c.reshape(lengths, {batch, 1, 1, 1}),
                           c.graph.builder.getI64Type());
    visible.allowed = c.create<LessOp>({positions(false), valid});
    visible.rowsMayBeEmpty = true;
    if (left < 0 && right < 0)
      return visible;
    Value at =
        c.add(positions(true), c.sub(valid, c.scalarLike(length, valid)));
    if (right >= 0)
      restrict(c.create<LessEqualOp>(
          {positions(false), c.add(at, c.scalarLike(right, at))}));
    if (left >= 0)
      restrict(c.create<GreaterEqualOp>(
          {positions(false), c.sub(at, c.scalarLike(left, at))}));
  } else if (left >= 0 || right >= 0) {
    Tensor mask(DType::Bool, {length, keys});
    for (int64_t i = 0; i < length; ++i) {
      bool any = false;
      for (int64_t j = 0; j < keys; ++j) {
        bool sees = (right < 0 || j <= i + past + right) &&
                    (left < 0 || j >= i + past - left);
        mask.mutableInts()[i * keys + j] = sees;
        any |= sees;
      }
      visible.rowsMayBeEmpty |= !any;
    }
    visible.allowed = c.graph.constant(c.loc, mask);
  }
  return visible;
}

/// Adds a float mask to the scores, and what any mask hides to `visible`.
static LogicalResult applyMask(C &c, Value mask, int64_t keys, Value &scores,
                               Visibility &visible) {
  mask = growMask(c, mask, keys);
  if (!mask)
    return failure();
  // A float mask may hold -inf for whole rows: those give zeros.
  visible.rowsMayBeEmpty = true;
  if (!c.element(mask).isInteger(1)) {
    scores = c.add(scores, c.castTo(mask, c.element(scores)));
    mask = c.create<GreaterOp>({mask, c.scalarLike(kMasked, mask)});
  }
  visible.allowed =
      visible.allowed ? c.create<LogicalAndOp>({visible.allowed, mask}) : mask;
  return success();
}

static LogicalResult lowerAttention(C &c) {
  Value q = c.input(0), k = c.input(1), v = c.input(2);
  bool flat = c.rank(q) == 3;
  if (flat) {
    int64_t heads = c.getInt("q_num_heads", 0),
            kvHeads = c.getInt("kv_num_heads", 0);
    if (heads < 1 || kvHeads < 1 || c.rank(k) != 3 || c.rank(v) != 3 ||
        c.shape(q)[2] % heads || c.shape(k)[2] % kvHeads ||
        c.shape(v)[2] % kvHeads)
      return c.error() << "expects q_num_heads and kv_num_heads that divide "
                          "the hidden sizes";
    q = splitHeads(c, q, heads);
    k = splitHeads(c, k, kvHeads);
    v = splitHeads(c, v, kvHeads);
  }
  if (!q || !k || !v || c.rank(q) != 4 || c.rank(k) != 4 || c.rank(v) != 4)
    return c.error() << "expects Q, K and V of rank 3 or 4";
  for (unsigned i : {4u, 5u})
    if (c.input(i) ? c.rank(c.input(i)) != 4 : c.input(9 - i) != Value())
      return c.error() << "expects past_key and past_value together, of rank 4";
  if (c.input(3) && c.rank(c.input(3)) < 1)
    return c.error() << "expects attn_mask of at least rank 1, but got "
                     << c.type(c.input(3));
  int64_t past = 0;
  if (c.input(4)) {
    past = c.shape(c.input(4))[2];
    k = c.concat({c.input(4), k}, 2);
    v = c.concat({c.input(5), v}, 2);
  }
  if (!k || !v)
    return failure();
  int64_t length = c.shape(q)[2], keys = c.shape(k)[2],
          mode = c.getInt("qk_matmul_output_mode", 0);
  // Raw scores of mode 2 show the mask, so there it is infinite; elsewhere the
  // lowest fp16 does the same (L64).
  double low = c.isUsed(3) && mode == 2 ? -INFINITY : -65504;
  if (c.isUsed(1))
    c.put(1, k);
  if (c.isUsed(2))
    c.put(2, v);

  double scale = c.getFloat("scale", 1 / std::sqrt(double(c.shape(q)[3])));
  Value debug = scoreHeads(c, q, k, v, scale),
        scores = capScores(c, debug, c.getFloat("softcap", 0));
  if (!scores)
    return failure();
  debug = mode == 1 ? scores : debug;
  Visibility visible = findVisible(c, c.shape(q)[0], length, keys, past);
  if (Value mask = c.input(3))
    if (failed(applyMask(c, mask, keys, scores, visible)))
      return failure();
  Value allowed = visible.allowed;
  if (allowed && scores)
    scores =
        c.create<SelectOp>({allowed, scores, c.scalar(low, c.element(scores))});
  if (mode == 2)
    debug = scores;
  Value p = softmaxOfScores(c, scores);
  if (allowed && visible.rowsMayBeEmpty && p) {
    Value any = c.create<ReduceMaxOp>({c.castTo(allowed, c.element(p))},
                                      {.axes = {-1}, .keep_dims = true});
    p = low == -65504
            ? c.mul(p, any)
            : c.create<SelectOp>(
                  {c.castTo(any, IntegerType::get(c.node.getContext(), 1)), p,
                   c.scalarLike(0, p)});
  }
  if (mode == 3)
    debug = p;
  if (c.isUsed(3))
    c.put(3, debug);
  Value y = readHeads(c, p, v);
  return c.set(0, flat ? joinHeads(c, y) : y);
}

Value mlir::ane::rotatePairs(C &c, Value x, Value cs, Value sn,
                             bool interleaved) {
  if (!x || !cs || !sn)
    return {};
  int64_t batch = c.shape(x)[0], heads = c.shape(x)[1], length = c.shape(x)[2],
          size = c.shape(x)[3], rotated = 2 * c.shape(cs)[3];
  Value turning = c.slice(x, 3, 0, rotated), a, b;
  if (interleaved) {
    Value pairs = c.reshape(turning, {batch, heads, length, rotated / 2, 2});
    a = c.reshape(c.slice(pairs, 4, 0, 1), {batch, heads, length, rotated / 2});
    b = c.reshape(c.slice(pairs, 4, 1, 2), {batch, heads, length, rotated / 2});
  } else {
    a = c.slice(turning, 3, 0, rotated / 2);
    b = c.slice(turning, 3, rotated / 2, rotated);
  }
  Value real = c.sub(c.mul(a, cs), c.mul(b, sn)),
        imaginary = c.add(c.mul(a, sn), c.mul(b, cs));
  Value y;
  if (interleaved) {
    SmallVector<int64_t> column{batch, heads, length, rotated / 2, 1};
    y = c.reshape(
        c.concat({c.reshape(real, column), c.reshape(imaginary, column)}, 4),
        {batch, heads, length, rotated});
  } else {
    y = c.concat({real, imaginary}, 3);
  }
  if (rotated < size)
    y = c.concat({y, c.slice(x, 3, rotated, size)}, 3);
  return y;
}

/// Rotates pairs of features by position.
static LogicalResult lowerRotary(C &c) {
  Value x = c.input(0), cosine = c.input(1), sine = c.input(2);
  bool flat = c.rank(x) == 3;
  if (flat) {
    int64_t heads = c.getInt("num_heads", 0);
    if (heads < 1 || c.shape(x)[2] % heads)
      return c.error() << "expects num_heads that divides " << c.shape(x)[2];
    x = splitHeads(c, x, heads);
  }
  if (!x || c.rank(x) != 4)
    return c.error() << "expects an input of rank 3 or 4";
  int64_t length = c.shape(x)[2], size = c.shape(x)[3],
          rotated = c.getInt("rotary_embedding_dim", 0);
  rotated = rotated ? rotated : size;
  if (rotated < 2 || rotated > size || rotated % 2)
    return c.error() << "expects an even rotary_embedding_dim of at most "
                     << size << ", but got " << rotated;
  // [B,1,S,rotated/2]
  auto table = [&](Value cache) -> Value {
    if (Value positions = c.input(3))
      cache = c.create<GatherOp>({cache, positions}, {.axis = 0});
    if (!cache || c.rank(cache) != 3)
      return {};
    return c.reshape(c.slice(cache, 2, 0, rotated / 2),
                     {c.shape(cache)[0], 1, length, rotated / 2});
  };
  Value cs = table(cosine), sn = table(sine);
  if (!cs || !sn)
    return c.failed()
               ? failure()
               : LogicalResult(
                     c.error()
                     << "expects caches that position_ids index, or of rank 3");
  Value y = rotatePairs(c, x, cs, sn, c.getInt("interleaved", 0));
  return c.set(0, flat ? joinHeads(c, y) : y);
}

static LogicalResult lowerSwiGLU(C &c) {
  Value a = c.input(0);
  double alpha = c.getFloat("alpha", 1);
  Value gate =
      alpha == 1
          ? c.create<SiluOp>({a})
          : c.mul(a, c.create<SigmoidOp>({c.mul(a, c.scalarLike(alpha, a))}));
  return c.set(0, c.mul(gate, c.input(1)));
}

void mlir::ane::addAttentionHandlers(HandlerTable &t) {
  t.add("Attention", 23, lowerAttention);
  t.add("RotaryEmbedding", 23, lowerRotary);
  t.add("SwiGLU", 28, lowerSwiGLU);
}
