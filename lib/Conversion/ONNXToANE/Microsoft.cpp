//===- Microsoft.cpp - com.microsoft transformer operators ----------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// What ONNX Runtime's optimiser and model builder write. Semantics follow its
// CPU kernels: masked scores get mask_filter_value or the lowest number, and
// keys and values are [B,heads,length,size] in caches.
//
//===----------------------------------------------------------------------===//

#include "Lowering.h"
#include "dialects/ANE/IR/Arithmetic.h"
#include "dialects/ANE/IR/Comparison.h"
#include "dialects/ANE/IR/Gather.h"
#include "dialects/ANE/IR/Norm.h"
#include "dialects/ANE/IR/Shape.h"
#include "dialects/ANE/IR/Unary.h"
#include <cmath>

using namespace mlir;
using namespace mlir::ane;

using C = NodeContext;

static Value iota(C &c, ArrayRef<int64_t> shape, int64_t start = 0) {
  int64_t count = 1;
  for (int64_t dim : shape)
    count *= dim;
  SmallVector<int64_t> values;
  for (int64_t i = 0; i < count; ++i)
    values.push_back(start + i);
  return c.ints(shape, values);
}
static Value both(C &c, Value a, Value b) {
  return !a ? b : !b ? a : c.create<LogicalAndOp>({a, b});
}

namespace {
/// Scaled dot-product attention over q [B,N,S,E], k [B,K,T,E], v [B,K,T,F]
/// with K a divisor of N.
struct Attention {
  Value q, k, v;
  double scale = 0, softcap = 0;
  /// Added to the scores, or null.
  Value bias = {};
  /// Booleans that broadcast to [B,N,S,T]: scores that are not allowed are
  /// replaced by the lowest fp16, to those filtered out `filter` is added.
  Value allowed = {}, filtered = {};
  double filter = -10000;
};
} // namespace

static Value attend(C &c, const Attention &a) {
  if (!a.q || !a.k || !a.v)
    return {};
  double scale = a.scale ? a.scale : 1 / std::sqrt(double(c.shape(a.q)[3]));
  Value scores = capScores(c, scoreHeads(c, a.q, a.k, a.v, scale), a.softcap);
  if (a.filtered && scores) {
    Value unwanted = c.create<SelectOp>(
        {a.filtered, c.scalarLike(0, scores), c.scalarLike(a.filter, scores)});
    scores = c.add(scores, unwanted);
  }
  if (a.bias && scores)
    scores = c.add(scores, c.castTo(a.bias, c.element(scores)));
  if (a.allowed && scores)
    scores =
        c.create<SelectOp>({a.allowed, scores, c.scalarLike(-65504, scores)});
  return readHeads(c, softmaxOfScores(c, scores), a.v);
}
/// Query i of `length` sees keys up to i + (keys - length).
static Value causal(C &c, int64_t length, int64_t keys) {
  Tensor mask(DType::Bool, {1, 1, length, keys});
  for (int64_t i = 0; i < length; ++i)
    for (int64_t j = 0; j < keys; ++j)
      mask.mutableInts()[i * keys + j] = j <= i + keys - length;
  return c.graph.constant(c.loc, mask);
}

/// The key mask of Attention and MultiHeadAttention in its several shapes, as a
/// boolean that broadcasts to [B,1,S,T].
static FailureOr<Value> keyMask(C &c, Value mask, int64_t batch, int64_t length,
                                int64_t keys) {
  if (!mask)
    return Value();
  ArrayRef<int64_t> shape = c.shape(mask);
  Value m = c.castTo(mask, c.i32());
  auto limit = [&](Value v, int64_t begin) {
    return c.reshape(c.slice(v, 0, begin, begin + batch), {batch, 1, 1, 1});
  };
  Value at = iota(c, {1, 1, 1, keys});
  if (shape.size() == 1 && shape[0] == batch)
    return c.create<LessOp>({at, limit(m, 0)});
  if (shape.size() == 1 && shape[0] == 2 * batch)
    return both(c, c.create<LessOp>({at, limit(m, 0)}),
                c.create<GreaterEqualOp>({at, limit(m, batch)}));
  SmallVector<int64_t> wide;
  if (shape.size() == 2 && shape[0] == batch && shape[1] == keys)
    wide = {batch, 1, 1, keys};
  else if (shape.size() == 3 && shape[0] == batch && shape[1] == length &&
           shape[2] == keys)
    wide = {batch, 1, length, keys};
  else
    return c.error() << "has a mask of type " << c.type(mask)
                     << ", which is not supported; expects [B], [2B], [B,T] or "
                        "[B,S,T]";
  return c.create<NotEqualOp>({c.reshape(m, wide), c.scalar(0, c.i32())});
}

/// Prepends the past along the sequence and sets the present output.
static Value withPast(C &c, Value past, Value x, int64_t output) {
  Value y = past && x ? c.concat({past, x}, 2) : x;
  if (output >= 0 && c.isUsed(output))
    c.put(output, y);
  return y;
}

/// Attention and MultiHeadAttention from heads on: mask input `maskInput`, bias
/// of the scores as input 5.
static LogicalResult finishAttention(C &c, Value q, Value k, Value v,
                                     unsigned maskInput) {
  if (!q || !k || !v)
    return failure();
  int64_t length = c.shape(q)[2], keys = c.shape(k)[2];
  FailureOr<Value> mask =
      keyMask(c, c.input(maskInput), c.shape(q)[0], length, keys);
  if (failed(mask))
    return failure();
  Attention a{q, k, v};
  a.scale = c.getFloat("scale", 0);
  a.bias = c.input(5);
  a.filtered = *mask;
  a.filter = c.getFloat("mask_filter_value", -10000);
  if (c.getInt("unidirectional", 0))
    a.allowed = causal(c, length, keys);
  return c.set(0, joinHeads(c, attend(c, a)));
}

static LogicalResult lowerPackedAttention(C &c) {
  Value x = c.input(0), weight = c.input(1), bias = c.input(2),
        past = c.input(4);
  int64_t heads = c.getInt("num_heads", 0);
  if (c.rank(x) != 3 || c.rank(weight) != 2 || heads < 1)
    return c.error() << "expects an input of rank 3, weights of rank 2 and "
                        "num_heads";
  if (c.getInt("do_rotary", 0) || c.getInt("past_present_share_buffer", 0))
    return c.error() << "with do_rotary or past_present_share_buffer is not "
                        "supported";
  int64_t width = c.shape(weight)[1];
  SmallVector<int64_t> sizes =
      c.getInts("qkv_hidden_sizes")
          .value_or(SmallVector<int64_t>(3, width / 3));
  if (sizes.size() != 3 || sizes[0] + sizes[1] + sizes[2] != width ||
      sizes[0] != sizes[1] ||
      llvm::any_of(sizes, [&](int64_t s) { return s < 1 || s % heads; }))
    return c.error() << "expects hidden sizes that num_heads divides";
  Value all = c.matmul(x, weight);
  if (bias)
    all = c.add(all, bias);
  int64_t at = 0;
  SmallVector<Value> parts;
  for (int64_t size : sizes) {
    parts.push_back(splitHeads(c, c.slice(all, 2, at, at + size), heads));
    at += size;
  }
  if (llvm::is_contained(parts, Value()))
    return failure();
  Value k = parts[1], v = parts[2];
  if (past) {
    if (c.rank(past) != 5 || c.shape(past)[0] != 2)
      return c.error() << "expects a past of shape [2,B,N,P,E]";
    auto half = [&](int64_t i) {
      return c.reshape(c.slice(past, 0, i, i + 1), c.shape(past).drop_front());
    };
    k = withPast(c, half(0), k, -1);
    v = withPast(c, half(1), v, -1);
  }
  if (!k || !v)
    return failure();
  if (c.isUsed(1)) {
    SmallVector<int64_t> shape(c.shape(k));
    shape.insert(shape.begin(), 1);
    c.put(1, c.concat({c.reshape(k, shape), c.reshape(v, shape)}, 0));
  }
  return finishAttention(c, parts[0], k, v, 3);
}

/// Attention whose input and weights are in 8 bits; products are of floats.
static LogicalResult lowerQAttention(C &c) {
  auto number = [&](unsigned i) -> Value {
    Value v = c.input(i);
    return v && c.type(v).getNumElements() == 1 ? c.reshape(v, {}) : v;
  };
  Value scale = number(3), weightScale = number(4);
  if (!c.input(1) || !scale || !weightScale)
    return c.error() << "expects weights, and scales of the input and of them";
  Value x = centredCodes(c, c.input(0), number(6));
  if (auto one = c.tryConstant(scale); !one || one->number() != 1)
    x = c.mul(x, c.castTo(scale, c.f32()));
  Value weight = c.mul(centredCodes(c, c.input(1), number(7)),
                       c.castTo(weightScale, c.f32()));
  if (!x || !weight)
    return failure();
  c.setInputs({x, weight, c.input(2), c.input(5), c.input(8)});
  return lowerPackedAttention(c);
}

static LogicalResult lowerMultiHeadAttention(C &c) {
  Value query = c.input(0), key = c.input(1), value = c.input(2),
        bias = c.input(3);
  int64_t heads = c.getInt("num_heads", 0);
  if (heads < 1)
    return c.error() << "expects num_heads";
  Value q, k, v;
  // [B,S,N,count,E] as `count` tensors [B,N,S,E].
  auto unpack = [&](Value packed, int64_t which) -> Value {
    SmallVector<int64_t> shape(c.shape(packed));
    Value part = c.slice(packed, 3, which, which + 1);
    return part ? c.transpose(
                      c.reshape(part, {shape[0], shape[1], shape[2], shape[4]}),
                      {0, 2, 1, 3})
                : part;
  };
  if (c.rank(query) == 5) {
    if (c.shape(query)[3] != 3 || c.shape(query)[2] != heads || key || bias)
      return c.error() << "expects packed QKV [B,S,N,3,E] alone";
    q = unpack(query, 0), k = unpack(query, 1), v = unpack(query, 2);
  } else {
    if (c.rank(query) != 3 || c.shape(query)[2] % heads || !key)
      return c.error() << "expects a query [B,S,H] that num_heads divides, and "
                          "a key";
    int64_t hidden = c.shape(query)[2];
    auto biased = [&](Value x, int64_t begin, int64_t size) {
      return bias ? c.add(x, c.slice(bias, 0, begin, begin + size)) : x;
    };
    q = splitHeads(c, biased(query, 0, hidden), heads);
    if (c.rank(key) == 5) {
      if (c.shape(key)[3] != 2 || value || bias)
        return c.error() << "expects packed KV [B,L,N,2,E] alone";
      k = unpack(key, 0), v = unpack(key, 1);
    } else if (c.rank(key) == 4 && value && c.rank(value) == 4) {
      k = key, v = value; // a cache of cross attention
    } else if (c.rank(key) == 3 && value && c.rank(value) == 3 &&
               c.shape(value)[2] % heads == 0 && c.shape(key)[2] == hidden) {
      k = splitHeads(c, biased(key, hidden, hidden), heads);
      v = splitHeads(c, biased(value, 2 * hidden, c.shape(value)[2]), heads);
    } else {
      return c.error() << "expects key and value [B,L,H], packed, or caches "
                          "[B,N,L,E]";
    }
  }
  for (unsigned unsupported : {8u, 9u})
    if (c.input(unsupported))
      return c.error() << "with a shared or indirect cache is not supported";
  k = withPast(c, c.input(6), k, 1);
  v = withPast(c, c.input(7), v, 2);
  return finishAttention(c, q, k, v, 4);
}

/// Rows of a cos or sin cache at `positions` [B or 1,S], as [B or 1,1,S,pairs].
static Value rotaryTable(C &c, Value cache, Value positions, int64_t pairs) {
  if (!cache || !positions || c.rank(cache) != 2 || c.shape(cache)[1] < pairs)
    return c.error() << "expects cos and sin caches [positions, pairs]",
           Value();
  Value rows = c.gather(c.slice(cache, 1, 0, pairs), positions, 0);
  if (!rows)
    return {};
  return c.reshape(rows, {c.shape(rows)[0], 1, c.shape(rows)[1], pairs});
}

static LogicalResult lowerGroupQueryAttention(C &c) {
  Value query = c.input(0), key = c.input(1), value = c.input(2),
        pastKey = c.input(3), pastValue = c.input(4), lengths = c.input(5);
  int64_t heads = c.getInt("num_heads", 0),
          kvHeads = c.getInt("kv_num_heads", 0);
  if (heads < 1 || kvHeads < 1 || heads % kvHeads || c.rank(query) != 3 ||
      !lengths || bool(key) != bool(value) || bool(pastKey) != bool(pastValue))
    return c.error() << "expects a query of rank 3, seqlens_k, and num_heads "
                        "that kv_num_heads divides";
  for (unsigned i = 11; i < c.numInputs(); ++i)
    if (c.input(i))
      return c.error() << "with input " << i << " is not supported";
  if (c.getInt("smooth_softmax", 0) > 0)
    return c.error() << "with smooth_softmax is not supported";
  auto total = c.constantInts(c.input(6), "total_sequence_length");
  if (failed(total) || total->size() != 1)
    return failure();
  int64_t batch = c.shape(query)[0], length = c.shape(query)[1];
  int64_t size = c.shape(query)[2] / (key ? heads : heads + 2 * kvHeads);
  if (size < 1 || (key && (c.rank(key) != 3 || c.rank(value) != 3 ||
                           c.shape(key)[2] != kvHeads * size ||
                           c.shape(value)[2] != kvHeads * size)))
    return c.error() << "expects keys and values of " << kvHeads << " heads";
  if (!key) {
    int64_t q = heads * size, kv = kvHeads * size;
    key = c.slice(query, 2, q, q + kv);
    value = c.slice(query, 2, q + kv, q + 2 * kv);
    query = c.slice(query, 2, 0, q);
  }
  Value q = splitHeads(c, query, heads), k = splitHeads(c, key, kvHeads),
        v = splitHeads(c, value, kvHeads);
  // Where the new rows begin in each item's cache: a prompt starts at 0.
  bool prompt = (*total)[0] == length;
  Value start = prompt ? c.broadcastTo(c.scalar(0, c.i32()), {batch})
                       : c.sub(c.reshape(c.castTo(lengths, c.i32()), {batch}),
                               c.scalar(length - 1, c.i32()));
  if (!q || !k || !v || !start)
    return failure();
  Value positions = c.add(c.reshape(start, {batch, 1}), iota(c, {1, length}));
  if (c.getInt("do_rotary", 0)) {
    Value cosine = c.input(7), sine = c.input(8);
    if (!cosine || !sine || c.rank(cosine) != 2)
      return c.error() << "with do_rotary expects cos and sin caches";
    int64_t pairs = c.shape(cosine)[1];
    Value at = c.input(9) ? c.castTo(c.input(9), c.i32()) : positions;
    Value cs = rotaryTable(c, cosine, at, pairs),
          sn = rotaryTable(c, sine, at, pairs);
    bool interleaved = c.getInt("rotary_interleaved", 0);
    if (2 * pairs > size)
      return c.error() << "expects caches of at most " << size / 2 << " pairs";
    q = rotatePairs(c, q, cs, sn, interleaved);
    k = rotatePairs(c, k, cs, sn, interleaved);
  }
  int64_t had = pastKey ? c.shape(pastKey)[2] : 0,
          keys = std::max(had, (*total)[0]);
  auto present = [&](Value past, Value fresh, unsigned output) -> Value {
    if (!fresh)
      return {};
    SmallVector<int64_t> shape{batch, kvHeads, keys, size};
    Value cache;
    if (!past || had == 0)
      cache = c.broadcastTo(c.scalarLike(0, fresh), shape);
    else if (had < keys)
      cache = c.create<PadOp>({past}, {.pad = {0, keys - had, 0, 0}});
    else
      cache = past;
    Value rows = c.broadcastTo(c.reshape(positions, {batch, 1, length, 1}),
                               {batch, kvHeads, length, size});
    Value y = c.create<ScatterAlongAxisOp>(
        {cache, rows, fresh}, {.axis = 2, .mode = ScatterMode::update});
    c.put(output, y);
    return y;
  };
  k = present(pastKey, k, 1);
  v = present(pastValue, v, 2);
  Value at = c.reshape(positions, {batch, 1, length, 1}),
        place = iota(c, {1, 1, 1, keys});
  Attention a{q, k, v};
  a.scale = c.getFloat("scale", 0);
  a.softcap = c.getFloat("softcap", 0);
  a.bias = c.input(10);
  a.allowed = c.create<LessEqualOp>({place, at});
  if (int64_t window = c.getInt("local_window_size", -1); window > 0)
    a.allowed = both(
        c, a.allowed,
        c.create<GreaterOp>({place, c.sub(at, c.scalar(window, c.i32()))}));
  if (a.bias && c.shape(a.bias).back() != keys)
    return c.error() << "expects an attention_bias for " << keys << " keys";
  return c.set(0, joinHeads(c, attend(c, a)));
}

static LogicalResult lowerRotaryEmbedding(C &c) {
  Value x = c.input(0), positions = c.input(1), cosine = c.input(2),
        sine = c.input(3);
  bool flat = c.rank(x) == 3;
  if (c.rank(cosine) != 2 || c.rank(sine) != 2 || (!flat && c.rank(x) != 4))
    return c.error() << "expects an input of rank 3 or 4 and caches of rank 2";
  if (c.getInt("is_packed_batching", 0) || c.getFloat("scale", 1) != 1)
    return c.error() << "with is_packed_batching or scale is not supported";
  int64_t pairs = c.shape(cosine)[1], heads = c.getInt("num_heads", 0),
          rotated = c.getInt("rotary_embedding_dim", 0);
  if (flat) {
    heads = heads ? heads : c.shape(x)[2] / std::max<int64_t>(2 * pairs, 1);
    if (heads < 1 || c.shape(x)[2] % heads)
      return c.error() << "expects num_heads that divides " << c.shape(x)[2];
    x = splitHeads(c, x, heads);
  }
  pairs = rotated ? rotated / 2 : pairs;
  if (!x || pairs < 1 || 2 * pairs > c.shape(x)[3])
    return c.error() << "expects caches of at most half the head size";
  int64_t batch = c.shape(x)[0], length = c.shape(x)[2];
  Value at = c.castTo(positions, c.i32());
  if (c.type(at).getNumElements() == 1) // the first position
    at = c.add(c.reshape(at, {1, 1}), iota(c, {1, length}));
  else if (c.rank(at) != 2 || c.shape(at)[0] != batch ||
           c.shape(at)[1] != length)
    return c.error() << "expects position_ids [1] or [B,S]";
  Value y =
      rotatePairs(c, x, rotaryTable(c, cosine, at, pairs),
                  rotaryTable(c, sine, at, pairs), c.getInt("interleaved", 0));
  return c.set(0, flat ? joinHeads(c, y) : y);
}

static LogicalResult lowerEmbedLayerNorm(C &c) {
  Value ids = c.input(0), segments = c.input(1), words = c.input(2),
        places = c.input(3), kinds = c.input(4), mask = c.input(7),
        positions = c.input(8);
  if (c.rank(ids) != 2 || c.rank(words) != 2 || c.rank(places) != 2 ||
      bool(segments) != bool(kinds))
    return c.error() << "expects input_ids [B,S] and embeddings of rank 2";
  int64_t batch = c.shape(ids)[0], length = c.shape(ids)[1];
  Value sum = c.gather(words, ids, 0);
  Value at;
  if (positions)
    at = c.gather(places, positions, 0);
  else if (length <= c.shape(places)[0])
    at = c.reshape(c.slice(places, 0, 0, length),
                   {1, length, c.shape(places)[1]});
  else
    return c.error() << "expects at least " << length << " positions";
  sum = c.add(sum, at);
  if (segments)
    sum = c.add(sum, c.gather(kinds, segments, 0));
  if (c.isUsed(2))
    c.put(2, sum);
  if (c.isUsed(1))
    c.put(1, mask ? c.reduceSum(c.castTo(mask, c.i32()), {1})
                  : c.broadcastTo(c.scalar(0, c.i32()), {batch}));
  return c.set(0, c.create<LayerNormOp>(
                      {sum, c.input(5), c.input(6)},
                      {.axes = {2}, .epsilon = c.getFloat("epsilon", 1e-12)}));
}

/// `bits`-wide fields of bytes [..., n], low ones first, as int32
/// [..., n * 8 / bits].
static Value unpackBits(C &c, Value bytes, int64_t bits) {
  Value wide = c.castTo(bytes, c.i32());
  if (bits == 8 || !wide)
    return wide;
  SmallVector<int64_t> shape(c.shape(wide));
  shape.push_back(1);
  SmallVector<Value> fields;
  for (int64_t at = 0; at < 8; at += bits) {
    Value shifted =
        at ? c.create<FloorDivOp>({wide, c.scalar(1 << at, c.i32())}) : wide;
    fields.push_back(c.reshape(
        c.create<ModOp>({shifted, c.scalar(1 << bits, c.i32())}), shape));
  }
  Value y = c.concat(fields, shape.size() - 1);
  shape.pop_back();
  shape.back() *= 8 / bits;
  return y ? c.reshape(y, shape) : y;
}

/// A times the transpose of blocks of packed integers, each with a scale and
/// zero point. The weight stays a tree over the packed bytes.
static LogicalResult lowerMatMulNBits(C &c) {
  Value a = c.input(0), packed = c.input(1), scales = c.input(2),
        zeros = c.input(3), bias = c.input(5);
  int64_t k = c.getInt("K", 0), n = c.getInt("N", 0),
          bits = c.getInt("bits", 4), block = c.getInt("block_size", 0);
  if (c.input(4))
    return c.error() << "with g_idx is not supported";
  if (k < 1 || n < 1 || block < 1 || (bits != 2 && bits != 4 && bits != 8) ||
      block * bits % 8)
    return c.error() << "expects K, N, block_size and bits of 2, 4 or 8";
  int64_t blocks = llvm::divideCeil(uint64_t(k), uint64_t(block));
  if (c.rank(a) < 1 || c.shape(a).back() != k ||
      c.type(packed).getNumElements() != n * blocks * block * bits / 8 ||
      c.type(scales).getNumElements() != n * blocks)
    return c.error() << "expects weights of " << n << " x " << blocks
                     << " blocks of " << block << ", but got " << c.type(packed)
                     << " and " << c.type(scales);
  Type element = c.element(a);
  Value q = c.castTo(
      unpackBits(c, c.reshape(packed, {n, blocks, block * bits / 8}), bits),
      element);
  Value zero = c.scalar(double(1 << (bits - 1)), element);
  if (zeros) {
    if (c.isFloat(zeros)) {
      zero = c.reshape(zeros, {n, blocks, 1});
    } else {
      int64_t row = llvm::divideCeil(uint64_t(blocks * bits), uint64_t(8));
      if (c.type(zeros).getNumElements() != n * row)
        return c.error() << "expects " << n * row << " bytes of zero points";
      Value unpacked = unpackBits(c, c.reshape(zeros, {n, row}), bits);
      zero = c.reshape(c.slice(unpacked, 1, 0, blocks), {n, blocks, 1});
    }
    zero = c.castTo(zero, element);
  }
  Value weight = c.mul(c.sub(q, zero),
                       c.castTo(c.reshape(scales, {n, blocks, 1}), element));
  weight = weight ? c.slice(c.reshape(weight, {n, blocks * block}), 1, 0, k)
                  : weight;
  Value y = c.matmul(a, weight, true);
  return c.set(0, bias ? c.add(y, bias) : y);
}

/// Rows of a table of integers, each block of which has a scale and a zero
/// point. The table stays a tree over the integers.
static LogicalResult lowerGatherBlockQuantized(C &c) {
  Value data = c.input(0), indices = c.input(1), scales = c.input(2),
        zeros = c.input(3);
  if (!indices || !scales || c.rank(scales) != c.rank(data))
    return c.error() << "expects indices, and scales of the data's rank";
  FailureOr<int64_t> gatherAxis =
                         c.axis(c.getInt("gather_axis", 0), c.rank(data)),
                     axis = c.axis(c.getInt("quantize_axis", 1), c.rank(data));
  int64_t bits = c.getInt("bits", 4), block = c.getInt("block_size", 128);
  if (failed(gatherAxis) || failed(axis))
    return failure();
  if ((bits != 2 && bits != 4 && bits != 8) || block < 1)
    return c.error() << "expects a block_size, and bits of 2, 4 or 8";
  // Bytes hold several values; types of 4 bits came as one value per byte.
  auto declared = dyn_cast<TensorType>(c.node.getInputs()[0].getType());
  Type file = declared ? declared.getElementType() : c.element(data);
  bool packed = file.getIntOrFloatBitWidth() == 8 && bits < 8;
  Value q = packed ? unpackBits(c, data, bits) : data;
  Value zero;
  if (zeros) {
    zero = packed ? unpackBits(c, zeros, bits) : zeros;
    if (zero && packed) // the last byte of a row may be half full
      zero = c.slice(zero, c.rank(zero) - 1, 0, c.shape(scales).back());
  } else if (file.isUnsignedInteger(8)) {
    zero = c.scalar(double(1 << (bits - 1)), c.f32());
  }
  Type element = c.element(scales);
  q = c.castTo(q, element);
  if (!q)
    return failure();
  Value s = shapeParameter(c, scales, q, *axis, block);
  if (zeros)
    zero = shapeParameter(c, zero, q, *axis, block);
  if (zero)
    q = c.sub(q, c.castTo(zero, element));
  Value table = c.mul(q, s);
  if (!table)
    return failure();
  int64_t extent = c.shape(table)[*gatherAxis];
  return c.set(0,
               c.gather(table, wrapNegative(c, indices, extent), *gatherAxis));
}

void mlir::ane::addMicrosoftHandlers(HandlerTable &t) {
  static constexpr StringLiteral domain = "com.microsoft";
  t.add("Attention", 1, lowerPackedAttention, domain);
  t.add("MultiHeadAttention", 1, lowerMultiHeadAttention, domain);
  t.add("GroupQueryAttention", 1, lowerGroupQueryAttention, domain);
  t.add("RotaryEmbedding", 1, lowerRotaryEmbedding, domain);
  t.add("EmbedLayerNormalization", 1, lowerEmbedLayerNorm, domain);
  t.add("MatMulNBits", 1, lowerMatMulNBits, domain);
  t.add("QAttention", 1, lowerQAttention, domain);
  t.add("GatherBlockQuantized", 1, lowerGatherBlockQuantized, domain);
}
