"""Small models for the tests of training, with random weights, and JAX as their judge.

`onnx_function` runs an ONNX graph in JAX, operator by operator: it shares nothing with the compiler.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from builders import _Random, build_llama
from onnx import TensorProto, helper, numpy_helper


def _finish(g: _Random, inputs: dict[str, tuple[tuple[int, ...], int]], output: str) -> onnx.ModelProto:
    g.nodes.append(helper.make_node("Identity", [output], ["logits"], "/logits"))
    infos = [helper.make_tensor_value_info(name, kind, shape) for name, (shape, kind) in inputs.items()]
    return g.model(infos, [helper.make_tensor_value_info("logits", TensorProto.FLOAT, None)], 18)


def build_mlp(batch: int = 8, seed: int = 0) -> onnx.ModelProto:
    g = _Random(seed)
    x = g.node("Flatten", "image")
    x = g.node("Relu", g.dense(x, 64, 32))
    x = g.node("Tanh", g.node("Gemm", x, g.random(24, 32, fan=32), g.small(24), transB=1))
    return _finish(g, {"image": ((batch, 1, 8, 8), TensorProto.FLOAT)}, g.dense(x, 24, 10))


def build_cnn(batch: int | str = 8, seed: int = 0) -> onnx.ModelProto:
    """The digits' classifier."""
    g = _Random(seed)
    x = g.node("Relu", g.conv("image", 1, 16, 3, bias=True))
    x = g.node("Relu", g.conv(x, 16, 32, 3, bias=True))
    x = g.node("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
    x = g.node("Gemm", g.node("Flatten", x), g.random(10, 512, fan=512), g.small(10), transB=1)
    return _finish(g, {"image": ((batch, 1, 8, 8), TensorProto.FLOAT)}, x)


def build_small_resnet(batch: int = 2, image: int = 16, seed: int = 0) -> onnx.ModelProto:
    """Residual blocks with strides, grouped convolutions and batch norm of fixed statistics."""
    g = _Random(seed)
    x = g.node("Relu", g.batch_norm(g.conv("image", 3, 8, 3), 8))
    x = g.node("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    channels = 8
    for outputs, stride, groups in ((8, 1, 1), (16, 2, 2)):
        y = g.node("Relu", g.batch_norm(g.conv(x, channels, outputs, 3, stride, groups), outputs))
        y = g.batch_norm(g.conv(y, outputs, outputs, 3), outputs)
        short = x if outputs == channels else g.batch_norm(g.conv(x, channels, outputs, 1, stride), outputs)
        x, channels = g.node("Relu", g.node("Add", y, short)), outputs
    pooled = g.node("Flatten", g.node("GlobalAveragePool", x))
    logits = g.node("Gemm", pooled, g.random(10, channels, fan=channels), g.small(10), transB=1)
    return _finish(g, {"image": ((batch, 3, image, image), TensorProto.FLOAT)}, logits)


def build_char_gpt(vocabulary: int = 24, layers: int = 2, width: int = 32, heads: int = 4, sequence: int = 12, batch: int = 2, seed: int = 0) -> onnx.ModelProto:
    """Layer norm, causal attention, gelu, and an embedding that is the last layer, too."""
    g = _Random(seed)

    def dense(x: str, inputs: int, outputs: int) -> str:
        return g.node("Add", g.node("MatMul", x, g.random(inputs, outputs)), g.weight(g.name("b"), np.zeros(outputs, np.float32)))

    table = g.weight("embedding", 0.08 * g.rng.standard_normal((vocabulary, width), np.float32))
    places = g.weight("positions", 0.02 * g.rng.standard_normal((sequence, width), np.float32))
    x = g.node("Add", g.node("Gather", table, "tokens"), places)
    mask = g.weight("mask", np.triu(np.full((1, 1, sequence, sequence), -10000, np.float32), 1))
    for _ in range(layers):
        h = g.norm(x, width)
        q, k, v = (dense(h, width, width) for _ in range(3))
        context = g.attention(q, k, v, mask, batch, sequence, heads, width // heads, g.name("attention"))
        x = g.node("Add", x, dense(context, width, width))
        x = g.node("Add", x, dense(g.gelu(dense(g.norm(x, width), width, 4 * width)), 4 * width, width))
    logits = g.node("MatMul", g.norm(x, width), g.node("Transpose", table, perm=[1, 0]))
    return _finish(g, {"tokens": ((batch, sequence), TensorProto.INT64)}, logits)


def build_llama_block(seed: int = 0) -> onnx.ModelProto:
    """RMS norm, rotary positions, grouped queries, gated MLP; the first output is the loss's."""
    return build_llama(layers=1, tokens=8, width=32, heads=4, kv_heads=2, hidden=48, seed=seed)


def build_lstm(batch: int = 3, steps: int = 5, inputs: int = 6, hidden: int = 8, seed: int = 0, front: bool = False) -> onnx.ModelProto:
    """With `front` a layer before the recurrent one."""
    g = _Random(seed)
    x = g.node("Transpose", g.node("MatMul", "series", g.random(inputs, inputs)) if front else "series", perm=[1, 0, 2])
    w, r, b = g.random(1, 4 * hidden, inputs, fan=inputs), g.random(1, 4 * hidden, hidden, fan=hidden), g.small(1, 8 * hidden)
    y = g.op("LSTM", [x, w, r, b], "lstm", outputs=2, hidden_size=hidden)[1]
    logits = g.dense(g.reshape(y, batch, hidden), hidden, 4)
    return _finish(g, {"series": ((batch, steps, inputs), TensorProto.FLOAT)}, logits)


# Name -> (builder, loss, classes or None for values).
MODELS: dict[str, tuple[Callable[[], onnx.ModelProto], str]] = {
    "mlp": (build_mlp, "cross-entropy"),
    "cnn": (build_cnn, "cross-entropy"),
    "resnet": (build_small_resnet, "cross-entropy"),
    "gpt": (build_char_gpt, "cross-entropy"),
    "llama": (build_llama_block, "mse"),
    "lstm": (build_lstm, "cross-entropy"),
}


def feeds(model: onnx.ModelProto, seed: int = 1) -> dict[str, np.ndarray]:
    """Random inputs; token ids below the first axis of the first initializer."""
    rng = np.random.default_rng(seed)
    made = {}
    for info in model.graph.input:
        shape = [d.dim_value for d in info.type.tensor_type.shape.dim]
        if info.type.tensor_type.elem_type == TensorProto.INT64:
            made[info.name] = rng.integers(0, model.graph.initializer[0].dims[0], shape).astype(np.int64)
        else:
            made[info.name] = rng.standard_normal(shape).astype(np.float32)
    if "cos" in made:  # rotary positions
        angle = np.arange(made["cos"].shape[2])[:, None] / 10000 ** (np.arange(made["cos"].shape[3]) % 4 / 4)
        made["cos"], made["sin"] = (f(angle).astype(np.float32)[None, None] for f in (np.cos, np.sin))
    return made


# --------------------------------------------------------------------------------------------------------------------------------
# ONNX in JAX


def onnx_function(model: onnx.ModelProto) -> tuple[dict[str, np.ndarray], Callable[..., Any]]:
    """Initializers, and a function of (inputs, initializers) that gives the first output."""
    import jax
    import jax.numpy as jnp

    def conv(x, w, b=None, *, a):
        groups = a.get("group", 1)
        pads = a.get("pads", [0] * 4)
        y = jax.lax.conv_general_dilated(x, w, a.get("strides", [1, 1]), list(zip(pads[:2], pads[2:])), rhs_dilation=a.get("dilations", [1, 1]), feature_group_count=groups)
        return y if b is None else y + b[None, :, None, None]

    def max_pool(x, *, a):
        k, s, p = a["kernel_shape"], a.get("strides", [1, 1]), a.get("pads", [0] * 4)
        return jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 1, *k), (1, 1, *s), ((0, 0), (0, 0), (p[0], p[2]), (p[1], p[3])))

    def layer_norm(x, g, b, *, a):
        mean, var = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
        return (x - mean) / jnp.sqrt(var + a.get("epsilon", 1e-5)) * g + b

    def batch_norm(x, g, b, m, v, *, a):
        g, b, m, v = (t[None, :, None, None] for t in (g, b, m, v))
        return (x - m) / jnp.sqrt(v + a.get("epsilon", 1e-5)) * g + b

    def gemm(x, w, b=None, *, a):
        y = a.get("alpha", 1.0) * (x.T if a.get("transA") else x) @ (w.T if a.get("transB") else w)
        return y if b is None else y + a.get("beta", 1.0) * b

    def lstm(x, w, r, b, *, a):
        h = c = jnp.zeros((x.shape[1], a["hidden_size"]))
        w, r, b = w[0], r[0], b[0]
        half = b.shape[0] // 2
        ys = []
        for t in range(x.shape[0]):
            i, o, f, z = jnp.split(x[t] @ w.T + h @ r.T + b[:half] + b[half:], 4, -1)
            c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(z)
            h = jax.nn.sigmoid(o) * jnp.tanh(c)
            ys.append(h)
        return jnp.stack(ys)[:, None], h[None], c[None]

    def split(x, sizes, *, a):
        return jnp.split(x, np.cumsum(np.asarray(sizes))[:-1], a.get("axis", 0))

    simple: dict[str, Callable[..., Any]] = {
        "Add": lambda x, y: x + y, "Sub": lambda x, y: x - y, "Mul": lambda x, y: x * y, "Div": lambda x, y: x / y, "Pow": lambda x, y: x**y,
        "Neg": lambda x: -x, "Sqrt": jnp.sqrt, "Erf": jax.scipy.special.erf, "Tanh": jnp.tanh, "Sigmoid": jax.nn.sigmoid, "Relu": jax.nn.relu,
        "MatMul": jnp.matmul, "Identity": lambda x: x, "Reshape": lambda x, s: x.reshape(tuple(int(n) for n in s)),
        "Expand": lambda x, s: jnp.broadcast_to(x, np.broadcast_shapes(x.shape, tuple(int(n) for n in s))),
        "GlobalAveragePool": lambda x: x.mean((2, 3), keepdims=True),
    }  # fmt: skip
    others: dict[str, Callable[..., Any]] = {
        "Conv": conv, "MaxPool": max_pool, "LayerNormalization": layer_norm, "BatchNormalization": batch_norm, "Gemm": gemm, "LSTM": lstm, "Split": split,
        "Flatten": lambda x, *, a: x.reshape(int(np.prod(x.shape[: a.get("axis", 1)])), -1),
        "Transpose": lambda x, *, a: x.transpose(a["perm"]),
        "Softmax": lambda x, *, a: jax.nn.softmax(x, a.get("axis", -1)),
        "Gather": lambda x, i, *, a: jnp.take(x, i, a.get("axis", 0)),
        "Concat": lambda *v, a: jnp.concatenate(v, a["axis"]),
        "ReduceMean": lambda x, axes, *, a: x.mean(tuple(int(n) for n in axes), keepdims=bool(a.get("keepdims", 1))),
    }  # fmt: skip

    weights = {w.name: numpy_helper.to_array(w) for w in model.graph.initializer}

    def run(inputs, trained):
        values = {**weights, **inputs, **trained}
        for node in model.graph.node:
            arguments = [values[name] for name in node.input if name]
            attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
            made = simple[node.op_type](*arguments) if node.op_type in simple else others[node.op_type](*arguments, a=attributes)
            made = made if isinstance(made, (list, tuple)) else [made]
            values.update(zip(node.output, made))
        return values[model.graph.output[0].name]

    return weights, run


def loss_of(kind: str, output: Any, targets: Any) -> Any:
    import jax
    import jax.numpy as jnp

    if kind == "mse":
        return ((output - targets) ** 2).mean()
    logs = jax.nn.log_softmax(output, -1)
    picked = jnp.take_along_axis(logs, jnp.maximum(targets, 0)[..., None], -1)[..., 0]
    valid = targets >= 0
    return -(picked * valid).sum() / jnp.maximum(valid.sum(), 1)
