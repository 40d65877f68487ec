//===- LinearAttention.cpp - recurrent and programmable attention ---------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "Lowering.h"
#include "dialects/ANE/IR/Norm.h"
#include "dialects/ANE/IR/Unary.h"
#include <cmath>

using namespace mlir;
using namespace mlir::ane;

using C = NodeContext;

/// [B,T,H*E] as [B,H,T,E].
static Value heads(C &c, Value x, int64_t count) {
  ArrayRef<int64_t> shape = c.shape(x);
  Value split = c.reshape(c.castTo(x, c.f32()),
                          {shape[0], shape[1], count, shape[2] / count});
  return split ? c.transpose(split, {0, 2, 1, 3}) : split;
}

/// A state [B,H,dk,dv] that decays, is corrected by what it already recalls,
/// takes one outer product per step, and is read by the query.
static LogicalResult lowerLinearAttention(C &c) {
  constexpr int64_t kMaxSteps = 1024;
  Value q = c.input(0), k = c.input(1), v = c.input(2), past = c.input(3),
        decay = c.input(4), beta = c.input(5);
  int64_t qHeads = c.getInt("q_num_heads", 0),
          kvHeads = c.getInt("kv_num_heads", 0);
  std::string rule = c.getString("update_rule", "gated_delta");
  bool gated = rule == "gated" || rule == "gated_delta",
       delta = rule == "delta" || rule == "gated_delta";
  if (!gated && !delta && rule != "linear")
    return c.error() << "has update_rule '" << rule << "', which is not known";
  if (c.rank(q) != 3 || c.rank(k) != 3 || c.rank(v) != 3 || kvHeads < 1 ||
      qHeads < 1 || qHeads % kvHeads || c.shape(q)[2] % qHeads ||
      c.shape(k)[2] % kvHeads || c.shape(v)[2] % kvHeads ||
      c.shape(q)[2] / qHeads != c.shape(k)[2] / kvHeads)
    return c.error() << "expects query, key and value of rank 3 and head "
                        "counts that divide them";
  if (gated != bool(decay) || delta != bool(beta))
    return c.error() << "with update_rule '" << rule << "' expects "
                     << (gated ? "decay" : "no decay") << " and "
                     << (delta ? "beta" : "no beta");
  int64_t batch = c.shape(q)[0], steps = c.shape(q)[1],
          dk = c.shape(q)[2] / qHeads, dv = c.shape(v)[2] / kvHeads,
          group = qHeads / kvHeads;
  if (steps < 1 || steps > kMaxSteps)
    return c.error() << "would be unrolled " << steps << " times; expects 1 to "
                     << kMaxSteps << " steps";
  for (Value extra : {decay, beta})
    if (extra && (c.rank(extra) != 3 || c.shape(extra)[2] < 1))
      return c.error() << "expects decay and beta of rank 3";
  if ((decay && c.shape(decay)[2] != kvHeads &&
       c.shape(decay)[2] != kvHeads * dk) ||
      (beta && c.shape(beta)[2] != kvHeads && c.shape(beta)[2] != 1))
    return c.error() << "expects a decay per head or per key feature, and a "
                        "beta per head or per step";
  Value state =
      past ? c.castTo(past, c.f32())
           : c.broadcastTo(c.scalar(0, c.f32()), {batch, kvHeads, dk, dv});
  Type stateType = past ? c.element(past) : c.element(q);
  double scale = c.getFloat("scale", 0);
  scale = scale ? scale : 1 / std::sqrt(double(dk));
  Value q4 = c.mul(heads(c, q, qHeads), c.scalar(scale, c.f32())),
        k4 = heads(c, k, kvHeads), v4 = heads(c, v, kvHeads), g4, b4;
  if (decay)
    g4 = c.create<ExpOp>({heads(c, decay, kvHeads)}); // [B,H,T,1 or dk]
  if (beta)
    b4 = heads(c, beta, c.shape(beta)[2] == 1 ? 1 : kvHeads);
  if (!q4 || !k4 || !v4 || !state)
    return failure();
  SmallVector<Value> outputs;
  for (int64_t t = 0; t < steps && !c.failed(); ++t) {
    auto at = [&](Value x) { return c.slice(x, 2, t, t + 1); };
    Value key = c.transpose(at(k4), {0, 1, 3, 2}), value = at(v4);
    if (g4)
      state = c.mul(state, c.transpose(at(g4), {0, 1, 3, 2}));
    if (b4)
      value = c.mul(at(b4), c.sub(value, c.matmul(at(k4), state)));
    state = c.add(state, c.mul(key, value));
    // Query heads that share a state are rows of one product.
    Value query = c.reshape(at(q4), {batch, kvHeads, group, dk});
    outputs.push_back(
        c.reshape(c.matmul(query, state), {batch, 1, qHeads * dv}));
  }
  c.put(1, c.castTo(state, stateType));
  return c.set(0, c.castTo(c.concat(outputs, 1), c.element(q)));
}

/// Attention whose scores and probabilities pass through subgraphs.
static LogicalResult lowerFlexAttention(C &c) {
  Value q = c.input(0), k = c.input(1), v = c.input(2);
  if (c.rank(q) != 4 || c.rank(k) != 4 || c.rank(v) != 4)
    return c.error() << "expects Q, K and V of rank 4";
  Type element = c.element(q);
  double scale = c.getFloat("scale", 1 / std::sqrt(double(c.shape(q)[3])));
  q = c.castTo(q, c.f32());
  k = c.castTo(k, c.f32());
  v = c.castTo(v, c.f32());
  Value scores = scoreHeads(c, q, k, v, scale);
  auto modify = [&](StringRef name, Value x) -> FailureOr<Value> {
    for (auto [given, region] :
         llvm::zip(c.node.getRegionNames(), c.node.getGraphs())) {
      if (cast<StringAttr>(given).getValue() != name)
        continue;
      if (region.getNumArguments() != 1 || !x)
        return c.error() << "expects '" << name << "' to take one tensor";
      // The subgraph is typed as the operands are.
      auto results = lowerRegion(c, region, {c.castTo(x, c.f32())});
      if (failed(results))
        return failure();
      if (results->size() != 1)
        return c.error() << "expects '" << name << "' to give one tensor";
      return (*results)[0] ? c.castTo((*results)[0], c.f32()) : Value();
    }
    return x;
  };
  auto changed = modify("score_mod", scores);
  if (failed(changed))
    return failure();
  if (!*changed)
    return success(!c.failed()); // an unsupported node inside
  changed = modify("prob_mod", softmaxOfScores(c, *changed));
  if (failed(changed))
    return failure();
  if (!*changed)
    return success(!c.failed());
  return c.set(0, c.castTo(readHeads(c, *changed, v), element));
}

void mlir::ane::addLinearAttentionHandlers(HandlerTable &t) {
  t.add("LinearAttention", 27, lowerLinearAttention);
  t.add("FlexAttention", 1, lowerFlexAttention, "ai.onnx.preview");
}
