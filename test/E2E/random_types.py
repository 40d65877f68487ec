"""Graphs of every element type, rank 0 to 6, with empty axes and attributes from the whole schema. A node is drawn at random and
run by ONNX Runtime at once: what it refuses, what leaves the range of the narrower types, and what a last bit of its inputs decides
(an index, a rounding, a comparison) is drawn again. So shapes and types need no second description here."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

FLOATS = [np.float32, np.float32, np.float32, np.float16, np.float64]
INTEGERS = [np.int64, np.int64, np.int32, np.int8, np.uint8, np.uint64, np.uint32, np.int16]
DIMS = [1, 1, 2, 3, 4, 5, 7, 8]
OPSET = 21

UNARY = ["Abs", "Neg", "Sign", "Relu", "Floor", "Ceil", "Round", "Sqrt", "Exp", "Log", "Erf", "Sigmoid", "Tanh", "Softplus", "Softsign", "Sin", "Cos", "Tan", "Atan", "Asin",
         "Acos", "Sinh", "Cosh", "Asinh", "Acosh", "Atanh", "Reciprocal", "HardSwish", "Mish", "Identity", "Not", "IsNaN", "IsInf", "BitwiseNot"]
WITH_ALPHA = {"Elu": (0.3, 2), "LeakyRelu": (-0.5, 0.9), "Celu": (0.3, 2), "ThresholdedRelu": (0.1, 1), "HardSigmoid": (0.1, 0.5), "Selu": (1, 2)}
BINARY = ["Add", "Sub", "Mul", "Div", "Max", "Min", "Pow", "Mod", "Equal", "Less", "Greater", "LessOrEqual", "GreaterOrEqual", "And", "Or", "Xor", "BitwiseAnd", "BitwiseOr",
          "BitwiseXor", "BitShift", "PRelu", "Mean", "Sum"]
REDUCE = ["ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceSumSquare"]
KINDS = ["unary", "unary", "alpha", "binary", "binary", "binary", "binary", "cast", "cast", "where", "clip", "reduce", "reduce", "arg", "cumsum", "topk", "softmax", "conv", "conv", "transposed",
         "pool", "pool", "global", "norm", "norm", "transpose", "reshape", "flatten", "squeeze", "unsqueeze", "concat", "split", "slice", "slice", "expand", "tile", "pad", "pad",
         "gather", "elements", "gathernd", "scatter", "scatternd", "depth", "trilu", "eye", "onehot", "reverse", "resize", "resize", "matmul", "gemm", "einsum", "quantize", "quantize",
         "integer", "branch", "branch", "loop", "loop", "range", "shape", "fill"]


def session(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


class Refused(Exception):
    """A draw that is not taken."""


class TypedGenerator:
    """`noise`: a change of float inputs, relative to the largest, that may decide nothing. `packaged`: only what a Core ML package can
    hold, five axes and no empty ones."""

    def __init__(self, seed: int, noise: float = 1e-4, largest: float = 1e4, count: tuple[int, int] = (4, 16), packaged: bool = False) -> None:
        self.rng = np.random.default_rng(seed)
        self.noise, self.largest, self.packaged = noise, largest, packaged
        self.goal = int(self.rng.integers(*count))
        self.nodes: list[onnx.NodeProto] = []
        self.weights: dict[str, np.ndarray] = {}
        self.values: dict[str, np.ndarray] = {}
        self.inputs: dict[str, np.ndarray] = {}

    # Drawing.

    def pick(self, items):
        return items[int(self.rng.integers(len(items)))]

    def chance(self, probability: float) -> bool:
        return self.rng.random() < probability

    def random(self, dtype, shape) -> np.ndarray:
        dtype = np.dtype(dtype)
        if dtype.kind == "b":
            return self.rng.random(shape) < 0.5
        if dtype.kind == "f":
            return np.asarray(self.rng.standard_normal(shape)).astype(dtype)
        return np.asarray(self.rng.integers(0 if dtype.kind == "u" else -9, 10, shape)).astype(dtype)

    def shape(self, low: int = 0, high: int = 6) -> tuple[int, ...]:
        shape = tuple(self.pick(DIMS) for _ in range(int(self.rng.integers(low, high + 1))))
        if self.packaged:
            shape = shape[:5]
        elif shape and self.chance(0.04):
            at = int(self.rng.integers(len(shape)))
            shape = (*shape[:at], 0, *shape[at + 1 :])
        return shape if np.prod(shape, dtype=int) <= 4000 else self.shape(low, high)

    def value(self, ranks=range(7), kinds: str = "fiub") -> tuple[str, np.ndarray]:
        names = [n for n, v in self.values.items() if v.ndim in ranks and v.dtype.kind in kinds]
        if names and self.chance(0.85):
            name = names[-1] if self.chance(0.5) else self.pick(names)
        else:
            dtype = {"f": self.pick(FLOATS), "b": np.bool_}.get(self.pick(kinds)) or self.pick([t for t in INTEGERS if np.dtype(t).kind in kinds] or FLOATS)
            name = self.constant(self.random(dtype, self.shape(min(ranks), max(ranks))))
            self.values[name] = self.weights[name]
        return name, self.values[name]

    def constant(self, array) -> str:
        name = f"w{len(self.weights)}"
        self.weights[name] = np.asarray(array, order="C")
        return name

    def ints(self, *values: int) -> str:
        return self.constant(np.array(values, np.int64))

    def axis(self, value: np.ndarray) -> int:
        if not value.ndim:
            raise Refused
        return int(self.rng.integers(-value.ndim, value.ndim))

    # Building.

    def held(self, name: str) -> np.ndarray:
        return self.values[name] if name in self.values else self.weights[name]

    def node(self, kind: str, inputs: list[str], outputs: int = 1, captured: tuple[str, ...] = (), **attributes) -> list[str]:
        """Adds the node if ONNX Runtime takes it and its results are tame."""
        results = [f"v{len(self.nodes)}_{i}" for i in range(outputs)]
        node = helper.make_node(kind, inputs, results, "/" + results[0], **attributes)
        feeds = {n: self.held(n) for n in dict.fromkeys([*inputs, *captured]) if n}
        # What the compiler needs to know stays a constant here too, or ONNX Runtime takes other ways.
        infos = [helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(v.dtype), v.shape) for n, v in feeds.items() if n in self.values and n not in self.weights]
        fixed = [numpy_helper.from_array(v, n) for n, v in feeds.items() if n in self.weights]
        graph = helper.make_graph([node], "one", infos, [helper.make_empty_tensor_value_info(n) for n in results], fixed)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)
        moving = {i.name: feeds[i.name] for i in infos}
        try:
            run = session(model)
            found = run.run(None, moving)
            self.check(found)
            moved = run.run(None, {n: self.disturb(v) for n, v in moving.items()})
        except Exception as error:
            raise Refused from error
        for a, b in zip(found, moved):
            if a.shape != b.shape or not self.near(a, b):
                raise Refused
        self.nodes.append(node)
        self.values.update(zip(results, found))
        return results

    def check(self, found: list[np.ndarray]) -> None:
        for v in found:
            if not isinstance(v, np.ndarray) or v.ndim > (5 if self.packaged else 6) or v.size > 20000 or (self.packaged and not v.size):
                raise Refused
            if v.dtype.kind == "f" and v.size and not (np.isfinite(v).all() and np.abs(v).max() <= self.largest):
                raise Refused
            if v.dtype.kind in "iu" and v.size and np.abs(v.astype(np.float64)).max() > 1e5:
                raise Refused

    def disturb(self, v: np.ndarray) -> np.ndarray:
        if v.dtype.kind != "f" or not v.size:
            return v
        scale = max(float(np.abs(v).max()), 1e-3)
        return (v + self.rng.uniform(-1, 1, v.shape) * self.noise * scale).astype(v.dtype)

    def near(self, a: np.ndarray, b: np.ndarray) -> bool:
        if a.dtype.kind != "f":
            return np.array_equal(a, b)
        scale = max(float(np.abs(a).max(initial=0)), 1e-3)
        bound = 10 * (self.noise + (1e-3 if a.dtype == np.float16 else 0)) * scale
        return bool(np.allclose(a, b, rtol=0, atol=bound))

    def build(self) -> tuple[onnx.ModelProto, dict[str, np.ndarray]]:
        for i in range(int(self.rng.integers(1, 4))):
            dtype = self.pick(FLOATS) if self.chance(0.6) else self.pick([*INTEGERS, np.bool_])
            self.inputs[f"x{i}"] = self.values[f"x{i}"] = self.random(dtype, self.shape(*(self.pick([(0, 6), (2, 4), (3, 5), (4, 4)]))))
        for _ in range(20 * self.goal):
            if len(self.nodes) >= self.goal:
                break
            before = len(self.nodes), dict(self.values)
            try:
                getattr(self, self.pick(KINDS))()
            except Refused:
                del self.nodes[before[0] :]
                self.values = before[1]
        return self.model(), self.inputs

    def model(self) -> onnx.ModelProto:
        def info(name: str) -> onnx.ValueInfoProto:
            return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(self.values[name].dtype), self.values[name].shape)

        used = {n for node in self.nodes for n in reads(node)}
        made = [n for node in self.nodes for n in node.output]
        leaves = [n for n in made if n not in used][-5:]
        weights = [numpy_helper.from_array(v, n) for n, v in self.weights.items() if n in used]
        graph = helper.make_graph(self.nodes, "typed", [info(n) for n in self.inputs], [info(n) for n in leaves], weights)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)

    # One method for each kind of node.

    def unary(self) -> None:
        x, _ = self.value()
        self.node(self.pick(UNARY), [x])

    def alpha(self) -> None:
        x, _ = self.value(kinds="f")
        op = self.pick(list(WITH_ALPHA))
        self.node(op, [x], alpha=float(self.rng.uniform(*WITH_ALPHA[op])))

    def mate(self, v: np.ndarray) -> str:
        """A value or a constant of the same type that broadcasts with `v`."""
        names = [n for n, o in self.values.items() if o.dtype == v.dtype and broadcasts(o.shape, v.shape)]
        if names and self.chance(0.6):
            return self.pick(names)
        shape = tuple(d if self.chance(0.6) else 1 for d in v.shape[int(self.rng.integers(0, v.ndim + 1)) :])
        if self.chance(0.15) and v.ndim < 6 and v.size < 1000:
            shape = (self.pick(DIMS), *v.shape)
        return self.constant(self.random(v.dtype, shape))

    def binary(self) -> None:
        op = self.pick(BINARY)
        x, v = self.value(kinds="b" if op in ("And", "Or", "Xor") else "u" if op == "BitShift" else "iu" if op.startswith("Bitwise") else "fiu")
        y = self.mate(v)
        if op in ("Div", "Mod", "Pow"):
            y = self.constant((np.abs(self.random(v.dtype, v.shape[-1:])).astype(v.dtype) % 3 + (op != "Pow")).astype(v.dtype))
        pair = [x, y] if op in ("Div", "Mod", "Pow", "BitShift", "PRelu") or self.chance(0.5) else [y, x]
        attributes = {"fmod": 1 if v.dtype.kind == "f" else int(self.chance(0.3))} if op == "Mod" else {"direction": self.pick(["LEFT", "RIGHT"])} if op == "BitShift" else {}
        self.node(op, pair, **attributes)

    def cast(self) -> None:
        x, v = self.value()
        to = np.dtype(self.pick([*FLOATS, *INTEGERS, np.bool_]))
        if to.kind in "iu" and v.size and (v.astype(np.float64).min() < np.iinfo(to).min or v.astype(np.float64).max() > np.iinfo(to).max):
            raise Refused  # what C++ leaves open
        self.node("Cast", [x], to=helper.np_dtype_to_tensor_dtype(to))

    def where(self) -> None:
        x, v = self.value()
        masks = [n for n, o in self.values.items() if o.dtype == np.bool_ and broadcasts(o.shape, v.shape)]
        self.node("Where", [self.pick(masks) if masks else self.constant(self.random(np.bool_, v.shape[-1:])), *self.pick([(x, self.mate(v)), (self.mate(v), x)])])

    def clip(self) -> None:
        x, v = self.value(kinds="fiu")
        low, high = (self.constant(np.array(n).astype(v.dtype)) for n in (self.pick([0, 1]), self.pick([3, 6])))
        self.node("Clip", [x, low if self.chance(0.7) else "", high if self.chance(0.7) else ""])

    def reduce(self) -> None:
        x, v = self.value(kinds="fiu")
        axes = [int(a) for a in self.rng.permutation(v.ndim)[: int(self.rng.integers(0, v.ndim + 1))]]
        axes = [a - v.ndim if self.chance(0.3) else a for a in axes]
        attributes = {"keepdims": int(self.chance(0.5)), "noop_with_empty_axes": int(self.chance(0.3))}
        op = self.pick(REDUCE)
        if v.dtype.kind != "f" and op in ("ReduceL2", "ReduceLogSum", "ReduceLogSumExp"):  # how roots and logarithms become integers is open
            raise Refused
        self.node(op, [x] + ([self.ints(*axes)] if axes or self.chance(0.3) else []), **attributes)

    def arg(self) -> None:
        x, v = self.value(range(1, 7), "fiu")
        self.node(self.pick(["ArgMax", "ArgMin"]), [x], axis=self.axis(v), keepdims=int(self.chance(0.5)), select_last_index=int(self.chance(0.3)))

    def cumsum(self) -> None:
        x, v = self.value(range(1, 7), "fi")
        self.node("CumSum", [x, self.constant(np.array(self.axis(v), self.pick([np.int32, np.int64])))], exclusive=int(self.chance(0.5)), reverse=int(self.chance(0.5)))

    def topk(self) -> None:
        x, v = self.value(range(1, 7), "fiu")
        axis = self.axis(v)
        self.node("TopK", [x, self.ints(int(self.rng.integers(0, v.shape[axis] + 1)))], 2, axis=axis, largest=int(self.chance(0.5)))

    def softmax(self) -> None:
        x, v = self.value(range(1, 7), "f")
        self.node(self.pick(["Softmax", "LogSoftmax", "Hardmax"]), [x], axis=self.axis(v))

    def window(self, v: np.ndarray) -> dict:
        spatial = v.ndim - 2
        attributes = {"kernel_shape": [self.pick([1, 2, 3]) for _ in range(spatial)], "strides": [self.pick([1, 1, 2, 3]) for _ in range(spatial)]}
        if self.chance(0.5):
            attributes["dilations"] = [self.pick([1, 1, 2]) for _ in range(spatial)]
        if self.chance(0.3):
            attributes["auto_pad"] = self.pick(["SAME_UPPER", "SAME_LOWER", "VALID"])
            # ONNX Runtime makes negative pads of kernels shorter than their stride.
            attributes["strides"] = [min(s, k) for s, k in zip(attributes["strides"], attributes["kernel_shape"])]
        else:
            attributes["pads"] = [int(self.rng.integers(0, k)) for k in attributes["kernel_shape"] * 2]
        return attributes

    def conv(self) -> None:
        x, v = self.value(range(3, 6), "f")
        attributes, group = self.window(v), self.pick([1, v.shape[1] or 1])
        out = group * self.pick([1, 2, 3])
        weight = self.random(v.dtype, (out, v.shape[1] // group, *attributes["kernel_shape"])) / np.sqrt(max(v.shape[1] // group, 1))
        bias = [self.constant(self.random(v.dtype, (out,)))] if self.chance(0.5) else []
        self.node("Conv", [x, self.constant(weight.astype(v.dtype)), *bias], group=group, **attributes)

    def transposed(self) -> None:
        x, v = self.value(range(3, 6), "f")
        attributes, group = self.window(v), self.pick([1, v.shape[1] or 1])
        if self.chance(0.3):
            attributes["output_padding"] = [int(self.rng.integers(0, max(s, d))) for s, d in zip(attributes["strides"], attributes.get("dilations", attributes["strides"]))]
        weight = self.random(v.dtype, (v.shape[1], self.pick([1, 2, 3]), *attributes["kernel_shape"]))
        self.node("ConvTranspose", [x, self.constant(weight)], group=group, **attributes)

    def pool(self) -> None:
        op = self.pick(["MaxPool", "MaxPool", "AveragePool", "AveragePool", "LpPool"])
        x, v = self.value(range(3, 6), "fiu" if op == "MaxPool" else "f")
        attributes = {**self.window(v), "ceil_mode": int(self.chance(0.4))}
        if op == "AveragePool":
            attributes["count_include_pad"] = int(self.chance(0.5))
        if op == "LpPool":
            attributes["p"] = self.pick([1, 2, 3])
        indices = op == "MaxPool" and self.chance(0.3)
        if indices:
            attributes["storage_order"] = int(self.chance(0.5))
        self.node(op, [x], 2 if indices else 1, **attributes)

    def global_(self) -> None:
        x, _ = self.value(range(3, 6), "f")
        op = self.pick(["GlobalMaxPool", "GlobalAveragePool", "GlobalLpPool"])
        self.node(op, [x], **({"p": self.pick([1, 2, 3])} if op == "GlobalLpPool" else {}))

    def norm(self) -> None:
        x, v = self.value(range(2, 6), "f")
        if not v.size:  # ONNX leaves it open
            raise Refused
        channels = v.shape[1]
        positive = np.abs(self.random(v.dtype, (channels,))) + np.asarray(0.5, v.dtype)
        scale, bias, mean, variance = (self.constant(a) for a in (positive, self.random(v.dtype, (channels,)), self.random(v.dtype, (channels,)), positive))
        op = self.pick(["LayerNormalization", "InstanceNormalization", "BatchNormalization", "GroupNormalization", "LpNormalization", "LRN", "MeanVarianceNormalization"])
        if op == "LayerNormalization":
            axis = self.axis(v)
            tail = v.shape[axis % v.ndim :]
            self.node(op, [x, self.constant(self.random(v.dtype, tail)), self.constant(self.random(v.dtype, tail))], axis=axis, epsilon=1e-2)
        elif op == "InstanceNormalization":
            self.node(op, [x, scale, bias], epsilon=1e-2)
        elif op == "BatchNormalization":
            self.node(op, [x, scale, bias, mean, variance], epsilon=self.pick([1e-5, 1e-2]))
        elif op == "GroupNormalization":
            self.node(op, [x, scale, bias], num_groups=self.pick([1, channels or 1]), epsilon=1e-2)
        elif op == "LpNormalization":
            self.node(op, [x], axis=self.axis(v), p=self.pick([1, 2]))
        elif op == "LRN":
            self.node(op, [x], size=self.pick([1, 3, 5]), alpha=0.1, beta=0.75, bias=1.0)
        else:
            self.node(op, [x], axes=[0] + list(range(2, v.ndim)))

    def transpose(self) -> None:
        x, v = self.value()
        self.node("Transpose", [x], **({"perm": [int(i) for i in self.rng.permutation(v.ndim)]} if v.ndim and self.chance(0.8) else {}))

    def reshape(self) -> None:
        x, v = self.value()
        if not v.size:
            self.node("Reshape", [x, self.ints(*self.rng.permutation(v.shape))], allowzero=1)
            return
        first = self.pick([d for d in range(1, v.size + 1) if v.size % d == 0])
        self.node("Reshape", [x, self.ints(*self.pick([(first, -1), (-1, 1, first), (first, v.size // first), (-1,)]))])

    def flatten(self) -> None:
        x, v = self.value()
        self.node("Flatten", [x], axis=int(self.rng.integers(-v.ndim, v.ndim + 1)))

    def squeeze(self) -> None:
        x, v = self.value()
        ones = [i for i, d in enumerate(v.shape) if d == 1]
        self.node("Squeeze", [x] + ([self.ints(*[i - v.ndim if self.chance(0.5) else i for i in ones[:1]])] if ones and self.chance(0.7) else []))

    def unsqueeze(self) -> None:
        x, v = self.value(range(6))
        self.node("Unsqueeze", [x, self.ints(int(self.rng.integers(-v.ndim - 1, v.ndim + 1)))])

    def concat(self) -> None:
        x, v = self.value(range(1, 7))
        axis = self.axis(v)
        same = [n for n, o in self.values.items() if o.dtype == v.dtype and o.ndim == v.ndim and np.delete(o.shape, axis).tolist() == np.delete(v.shape, axis).tolist()]
        self.node("Concat", [self.pick(same) for _ in range(self.pick([1, 2, 3]))] + [x], axis=axis)

    def split(self) -> None:
        x, v = self.value(range(1, 7))
        axis = self.axis(v)
        if self.chance(0.5):
            self.node("Split", [x], self.pick([1, 2, 3]), axis=axis, num_outputs=0)
        cut = int(self.rng.integers(0, v.shape[axis] + 1))
        self.node("Split", [x, self.ints(cut, v.shape[axis] - cut)], 2, axis=axis)

    def slice(self) -> None:
        x, v = self.value(range(1, 7))
        axes = [int(a) for a in self.rng.permutation(v.ndim)[: self.pick([1, 1, 2])]]
        starts, ends, steps = [], [], []
        for a in axes:
            starts.append(int(self.rng.integers(-v.shape[a] - 2, v.shape[a] + 3)))
            ends.append(self.pick([int(self.rng.integers(-v.shape[a] - 2, v.shape[a] + 3)), 2**63 - 1, -(2**63), 1000]))
            steps.append(self.pick([1, 1, 2, -1, -2, 3]))
        self.node("Slice", [x, self.ints(*starts), self.ints(*ends), self.ints(*axes), self.ints(*steps)])

    def expand(self) -> None:
        x, v = self.value()
        shape = [self.pick(DIMS) if d == 1 else self.pick([1, d]) for d in v.shape]
        self.node("Expand", [x, self.ints(*([self.pick([1, 2])] if v.ndim < 6 and self.chance(0.3) else []), *shape)])

    def tile(self) -> None:
        x, v = self.value()
        self.node("Tile", [x, self.ints(*[self.pick([1, 1, 2, 0 if self.chance(0.1) else 3]) for _ in v.shape])])

    def pad(self) -> None:
        x, v = self.value(range(1, 7))
        axes = [int(a) for a in self.rng.permutation(v.ndim)[: self.pick([1, 2])]]
        pads = [int(self.rng.integers(-1, 4)) for _ in axes * 2]
        fill = self.constant(self.random(v.dtype, ())) if self.chance(0.5) else ""
        mode = self.pick(["constant", "constant", "reflect", "edge", "wrap"])
        self.node("Pad", [x, self.ints(*pads), fill, self.ints(*axes)], mode=mode)

    def indices(self, count: int, shape) -> str:
        if not count:
            raise Refused
        return self.constant(self.rng.integers(-count, count, shape).astype(self.pick([np.int64, np.int32])))

    def gather(self) -> None:
        x, v = self.value(range(1, 7))
        axis = self.axis(v)
        self.node("Gather", [x, self.indices(v.shape[axis], self.pick([(), (1,), (3,), (2, 2), (0,)]))], axis=axis)

    def elements(self) -> None:
        x, v = self.value(range(1, 7))
        axis = self.axis(v)
        shape = [int(self.rng.integers(1, max(d, 1) + 1)) for d in v.shape]
        shape[axis] = self.pick(DIMS)
        self.node("GatherElements", [x, self.indices(v.shape[axis], shape)], axis=axis)

    def gathernd(self) -> None:
        x, v = self.value(range(1, 7))
        batch = int(self.rng.integers(0, min(v.ndim, 2)))
        depth = int(self.rng.integers(1, v.ndim - batch + 1))
        if not v.size:
            raise Refused
        columns = [self.rng.integers(-d, d, (*v.shape[:batch], 3)) for d in v.shape[batch : batch + depth]]
        self.node("GatherND", [x, self.constant(np.stack(columns, -1))], batch_dims=batch)

    def scatter(self) -> None:
        x, v = self.value(range(1, 5))
        axis = self.axis(v)
        if not v.size:
            raise Refused
        order = np.argsort(self.rng.random(v.shape), axis=axis)[tuple(slice(0, max(1, d // 2)) if i == axis % v.ndim else slice(None) for i, d in enumerate(v.shape))]
        attributes = {"reduction": self.pick(["add", "mul", "max", "min"])} if self.chance(0.5) and v.dtype.kind != "b" else {}
        self.node("ScatterElements", [x, self.constant(order), self.constant(self.random(v.dtype, order.shape))], axis=axis, **attributes)

    def scatternd(self) -> None:
        x, v = self.value(range(1, 5))
        if not v.size:
            raise Refused
        rows = self.rng.permutation(v.shape[0])[: max(1, v.shape[0] // 2)]
        self.node("ScatterND", [x, self.constant(rows[:, None]), self.constant(self.random(v.dtype, (len(rows), *v.shape[1:])))])

    def depth(self) -> None:
        x, _ = self.value([4])
        if self.chance(0.5):
            self.node("DepthToSpace", [x], blocksize=2, mode=self.pick(["DCR", "CRD"]))
        else:
            self.node("SpaceToDepth", [x], blocksize=2)

    def trilu(self) -> None:
        x, v = self.value(range(2, 7))
        if not v.size:  # ONNX Runtime crashes
            raise Refused
        self.node("Trilu", [x] + ([self.constant(np.array(int(self.rng.integers(-3, 4))))] if self.chance(0.6) else []), upper=int(self.chance(0.5)))

    def eye(self) -> None:
        x, _ = self.value([2])
        self.node("EyeLike", [x], k=int(self.rng.integers(-2, 3)), dtype=self.pick([TensorProto.FLOAT, TensorProto.INT64, TensorProto.INT32, TensorProto.DOUBLE]))

    def onehot(self) -> None:
        x, v = self.value(range(4), "i")
        dtype = self.pick([np.float32, np.int64])
        self.node("OneHot", [x, self.constant(np.array(5)), self.constant(self.random(dtype, (2,)))], axis=int(self.rng.integers(-v.ndim - 1, v.ndim + 1)))

    def reverse(self) -> None:
        x, v = self.value(range(2, 5))
        time = self.pick([0, 1])
        lengths = self.rng.integers(1, max(v.shape[time], 1) + 1, v.shape[1 - time])
        self.node("ReverseSequence", [x, self.constant(lengths)], time_axis=time, batch_axis=1 - time)

    def resize(self) -> None:
        x, v = self.value([3, 4, 5], "fiu")
        if v.size < 2 * np.prod(v.shape[:-2], dtype=int) or not v.size:  # ONNX Runtime crashes on nothing, and makes nothing of one by halves
            raise Refused
        # Interpolated integers are cut where the last bit of a weight decides.
        attributes = {"mode": self.pick(["nearest", "linear", "cubic"]) if v.dtype.kind == "f" else "nearest", "coordinate_transformation_mode": self.pick(["half_pixel", "pytorch_half_pixel", "asymmetric", "align_corners"])}
        if attributes["mode"] == "nearest":
            attributes["nearest_mode"] = self.pick(["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"])
        elif self.chance(0.3):
            attributes["antialias"] = 1
        if attributes["mode"] == "cubic":
            attributes["exclude_outside"] = int(self.chance(0.5))
        if self.chance(0.5) or attributes["coordinate_transformation_mode"] == "align_corners":  # fractions: test_edges.py
            self.node("Resize", [x, "", "", self.ints(*v.shape[:-2], *(self.pick(DIMS) for _ in range(2)))], **attributes)
        else:
            scales = [1] * (v.ndim - 2) + [self.pick([0.5, 0.7, 1.5, 2, 2.3]) for _ in range(2)]
            self.node("Resize", [x, "", self.constant(np.array(scales, np.float32))], **attributes)

    def matmul(self) -> None:
        x, v = self.value(range(1, 7), "fiu")
        mates = [n for n, o in self.values.items() if o.dtype == v.dtype and o.ndim and o.shape[max(-2, -o.ndim)] == v.shape[-1]]
        shape = self.pick([(v.shape[-1],), (v.shape[-1], self.pick(DIMS)), (*(self.pick([1, d]) for d in v.shape[:-2]), v.shape[-1], self.pick(DIMS))])
        self.node("MatMul", [x, self.pick(mates) if mates and self.chance(0.5) else self.constant(self.random(v.dtype, shape))])

    def gemm(self) -> None:
        x, v = self.value([2], "f")
        trans_a, trans_b, n = int(self.chance(0.5)), int(self.chance(0.5)), self.pick(DIMS)
        m, k = v.shape[::-1] if trans_a else v.shape
        bias = [self.constant(self.random(v.dtype, self.pick([(n,), (m, 1), (1, n), (m, n), (), (1,)])))] if self.chance(0.7) else []
        self.node("Gemm", [x, self.constant(self.random(v.dtype, (n, k) if trans_b else (k, n))), *bias], transA=trans_a, transB=trans_b, alpha=self.pick([1.0, 0.5, -2.0]), beta=self.pick([1.0, 0.0, 0.25]))

    def einsum(self) -> None:
        x, v = self.value([2, 3], "fi")
        if v.size == 0:
            raise Refused  # ONNX Runtime dies of a division by zero
        one = ["ij->ji", "ij->i", "ij->", "...i->..."] if v.ndim == 2 else ["ijk->kij", "ijk->ik", "ijk->j", "...ij->...ji"]
        two = {2: [("ij,jk->ik", (v.shape[1], 3)), ("ij,ij->ij", v.shape), ("ij,j->i", v.shape[1:]), ("ij,k->ijk", (2,))], 3: [("bij,bjk->bik", (v.shape[0], v.shape[-1], 3)), ("bij,kj->bki", (4, v.shape[-1])), ("...ij,...j->...i", (v.shape[-1],))]}[v.ndim]
        if self.chance(0.4):
            self.node("Einsum", [x], equation=self.pick(one))
        else:
            equation, shape = self.pick(two)
            self.node("Einsum", [x, self.constant(self.random(v.dtype, shape))], equation=equation)

    def quantize(self) -> None:
        x, v = self.value(kinds="f")
        code = self.pick([np.int8, np.uint8])
        axis = self.axis(v) if v.ndim and self.chance(0.4) else None
        shape = () if axis is None else (v.shape[axis],)
        scale = self.constant((np.abs(self.random(v.dtype, shape)) * np.asarray(0.05, v.dtype) + np.asarray(0.05, v.dtype)).astype(v.dtype))
        zero = self.constant(self.random(code, shape))
        attributes = {} if axis is None else {"axis": axis}
        # Codes that a last bit decides are compared where they have become floats again.
        saved, self.noise = self.noise, 0.0
        try:
            codes = self.node("QuantizeLinear", [x, scale, zero], **attributes)[0]
            self.node("DequantizeLinear", [codes, scale, zero], **attributes)
            if saved > 1e-3:
                del self.values[codes]  # in fp16 nothing else reads them
        finally:
            self.noise = saved

    def integer(self) -> None:
        x, v = self.value(range(2, 5))
        if v.dtype not in (np.int8, np.uint8) or not v.size:  # of nothing ONNX Runtime leaves the result as memory was
            raise Refused
        self.node("MatMulInteger", [x, self.constant(self.random(self.pick([np.int8, np.uint8]), (v.shape[-1], self.pick(DIMS)))), self.constant(np.array(2, v.dtype))])

    def branch(self) -> None:
        x, v = self.value(kinds="fi")
        flags = [n for n, o in self.values.items() if o.dtype == np.bool_ and o.size == 1]
        condition = self.pick(flags) if flags and self.chance(0.7) else self.constant(np.array(self.chance(0.5)))
        branches = []
        for i in range(2):
            op = self.pick(["Abs", "Neg", "Identity", "Sign"])
            nodes = [helper.make_node(op, [x], [f"b{i}"])]
            branches.append(helper.make_graph(nodes, f"branch{i}", [], [helper.make_tensor_value_info(f"b{i}", helper.np_dtype_to_tensor_dtype(v.dtype), v.shape)]))
        self.node("If", [condition], captured=(x,), then_branch=branches[0], else_branch=branches[1])

    def loop(self) -> None:
        x, v = self.value(range(4), "fi")
        kind = helper.np_dtype_to_tensor_dtype(v.dtype)
        step = self.constant(self.random(v.dtype, v.shape[-1:]))
        info = helper.make_tensor_value_info
        body = helper.make_graph(
            [helper.make_node(self.pick(["Add", "Sub", "Max"]), ["c", step], ["n"]), helper.make_node("Identity", ["n"], ["s"]), helper.make_node("Identity", ["k"], ["kn"])],
            "body",
            [info("i", TensorProto.INT64, ()), info("k", TensorProto.BOOL, ()), info("c", kind, v.shape)],
            [info("kn", TensorProto.BOOL, ()), info("n", kind, v.shape), info("s", kind, v.shape)],
        )
        trips = self.constant(np.array(self.pick([0, 1, 2, 3])))
        self.node("Loop", [trips, self.constant(np.array(self.chance(0.9))) if self.chance(0.7) else "", x], 2, captured=(step,), body=body)

    def range(self) -> None:
        dtype = self.pick([np.int64, np.int32, np.float32])
        self.values[f"r{len(self.nodes)}"] = self.random(dtype, ())
        del self.values[f"r{len(self.nodes)}"]
        self.node("Range", [self.constant(np.array(n, dtype)) for n in (self.pick([-3, 0, 2]), self.pick([5, 9]), self.pick([1, 2, 3]))])

    def shape_(self) -> None:
        x, v = self.value()
        self.node("Shape", [x], start=int(self.rng.integers(-2, 2)))

    def fill(self) -> None:
        shape = self.shape(0, 4)
        value = numpy_helper.from_array(self.random(self.pick([np.float32, np.int64, np.int8, np.bool_]), (1,)))
        self.node("ConstantOfShape", [self.ints(*shape)], value=value)


# `global` and `shape` are taken as names.
setattr(TypedGenerator, "global", TypedGenerator.global_)
KINDS[KINDS.index("shape")] = "shape_"


def broadcasts(a: tuple[int, ...], b: tuple[int, ...]) -> bool:
    try:
        return np.prod(np.broadcast_shapes(a, b), dtype=int) < 20000
    except ValueError:
        return False


def reads(node: onnx.NodeProto) -> list[str]:
    """What a node reads, in its subgraphs too."""
    names = list(node.input)
    for attribute in node.attribute:
        if attribute.HasField("g"):
            graph = attribute.g
            own = {i.name for i in graph.input} | {n for inner in graph.node for n in inner.output} | {w.name for w in graph.initializer}
            names += [n for inner in graph.node for n in reads(inner) if n not in own]
    return [n for n in names if n]
