"""Small random graphs against ONNX Runtime. A seed that fails is printed, with the model shrunk to what still fails.

Usage: random_graphs.py [--kind floats|types] [--mode fp32|mixed|package] [--count 200] [--first 0] [--seed N --keep DIR]

`floats` are long graphs of fp32; `types` short ones of every element type, rank and attribute (random_types.py). `mixed` compiles with
the default precision and runs in fp16; `package` does so through a .mlpackage. A difference that is known is in LISTED, with its
reason, and counted as listed.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import os
import pathlib
import re
import sys
import tempfile

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "python"))
import ane_mlir  # noqa: E402
import tools  # noqa: E402
from random_types import TypedGenerator, reads, session  # noqa: E402

# Sanitizers are in the tools alone.
front = tools if "asan" in os.environ.get("ANE_MLIR_BIN", "") else ane_mlir
FLOAT, INT, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL
UNARY = ["Abs", "Neg", "Relu", "Sigmoid", "Tanh", "Erf", "Floor", "Ceil", "Round", "Softplus", "Softsign", "HardSwish", "Elu", "LeakyRelu", "Selu", "Sin", "Cos", "Atan", "Gelu", "Mish", "Sign", "Identity", "HardSigmoid", "Exp"]
BINARY = ["Add", "Sub", "Mul", "Max", "Min"]
# What ONNX defines for a tensor without elements.
EMPTY = {"unary", "binary", "concat", "transpose", "squeeze", "cast", "clip", "where", "div", "pow"}
DIMS = [1, 1, 2, 3, 4, 5, 7, 8, 13, 32]


class Generator:
    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self.values: list[tuple[str, tuple[int, ...]]] = []  # float values
        self.inputs: dict[str, np.ndarray] = {}

    def pick(self, items):
        return items[int(self.rng.integers(len(items)))]

    def name(self) -> str:
        return f"v{len(self.nodes)}_{len(self.weights)}_{len(self.values)}"

    def constant(self, array: np.ndarray) -> str:
        name = "w" + self.name()
        self.weights.append(numpy_helper.from_array(np.asarray(array, order="C"), name))
        return name

    def ints(self, *values: int) -> str:
        return self.constant(np.array(values, np.int64))

    def node(self, kind: str, inputs: list[str], shape: tuple[int, ...] | None, outputs: int = 1, **attributes) -> list[str]:
        results = [f"{self.name()}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(kind, inputs, results, "/" + results[0], **attributes))
        if shape is not None:
            self.values.append((results[0], shape))
        return results

    def random(self, *shape: int) -> np.ndarray:
        return self.rng.standard_normal(shape).astype(np.float32)

    def step(self) -> None:
        x, shape = self.values[-1] if self.rng.random() < 0.6 else self.pick(self.values)
        rank = len(shape)
        kind = self.pick(["unary", "unary", "binary", "binary", "constant", "matmul", "conv", "pool", "reduce", "softmax", "concat", "split", "slice", "transpose",
                          "reshape", "pad", "gather", "where", "norm", "clip", "expand", "argmax", "cast", "topk", "resize", "div", "squeeze", "tile", "pow", "cumsum", "gram", "heads", "matmul"])
        axis = int(self.rng.integers(-rank, rank)) if rank else 0
        positive = axis % rank if rank else 0
        if 0 in shape and kind not in EMPTY:
            return
        if kind == "unary":
            op = self.pick(UNARY)
            self.node(op, [self.node("Clip", [x, self.constant(np.float32(-5)), self.constant(np.float32(5))], None)[0]] if op in ("Exp", "Softplus", "Mish") else [x], shape)
        elif kind == "binary":
            mates = [(n, s) for n, s in self.values if self.broadcast(s, shape)]
            if not mates:
                return
            y, other = self.pick(mates)
            self.node(self.pick(BINARY), [x, y], self.broadcast(shape, other))
        elif kind == "constant":
            other = tuple(d if self.rng.random() < 0.6 else 1 for d in shape[int(self.rng.integers(0, rank + 1)):])
            self.node(self.pick(BINARY), [x, self.constant(self.random(*other))], shape)
        elif kind == "div":
            self.node("Div", [x, self.constant(np.abs(self.random(*shape[-1:])) + 1)], shape)
        elif kind == "pow":
            self.node("Pow", [x, self.constant(np.float32(self.pick([2, 3])))], shape)
        elif kind == "matmul" and rank >= 2:
            n = self.pick(DIMS)
            self.node("MatMul", [x, self.constant(self.random(shape[-1], n) / np.float32(np.sqrt(shape[-1])))], shape[:-1] + (n,))
        elif kind == "gram" and 2 <= rank <= 4 and shape[-2] ** 2 * int(np.prod(shape[:-2])) < 20000:
            perm = [*range(rank - 2), rank - 1, rank - 2]
            small = self.node("Mul", [x, self.constant(np.float32(1 / shape[-1]))], None)[0]
            self.node("MatMul", [small, self.node("Transpose", [x], None, perm=perm)[0]], shape[:-1] + (shape[-2],))
        elif kind == "heads" and rank == 3:
            count = self.pick([d for d in range(1, shape[2] + 1) if shape[2] % d == 0])
            split = self.node("Reshape", [x, self.ints(shape[0], shape[1], count, -1)], None)[0]
            self.node("Transpose", [split], (shape[0], count, shape[1], shape[2] // count), perm=[0, 2, 1, 3])
        elif kind == "conv" and rank == 4:
            group = self.pick([1, shape[1]])
            out = group * self.pick([1, 2, 3])
            kernel, stride, dilation = self.pick([1, 2, 3]), self.pick([1, 2]), self.pick([1, 1, 2])
            pads = [int(self.rng.integers(0, 3)) for _ in range(4)]
            if min(shape[2] + pads[0] + pads[2], shape[3] + pads[1] + pads[3]) > (kernel - 1) * dilation:
                weight = self.random(out, shape[1] // group, kernel, kernel) / np.float32(kernel)
                result = tuple((d + p - (kernel - 1) * dilation - 1) // stride + 1 for d, p in ((shape[2], pads[0] + pads[2]), (shape[3], pads[1] + pads[3])))
                self.node("Conv", [x, self.constant(weight)] + ([self.constant(self.random(out))] if self.rng.random() < 0.5 else []), (shape[0], out) + result,
                          group=group, strides=[stride] * 2, dilations=[dilation] * 2, pads=pads, kernel_shape=[kernel] * 2)
        elif kind == "pool" and rank == 4 and min(shape[2:]) >= 2:
            pad, ceil = self.pick([0, 1]), int(self.rng.integers(0, 2))
            attributes = dict(kernel_shape=[2, 2], strides=[2, 1], pads=[pad, 0, 0, pad], ceil_mode=ceil)
            op = self.pick(["MaxPool", "AveragePool"])
            if op == "AveragePool":
                attributes["count_include_pad"] = int(self.rng.integers(0, 2)) if not ceil else 0
            h = (shape[2] + pad - 2 + ceil) // 2 + 1
            if ceil and (h - 1) * 2 >= shape[2] + pad:
                h -= 1
            self.node(op, [x], (shape[0], shape[1], h, shape[3] + pad - 1), **attributes)
        elif kind == "reduce" and rank:
            keep = int(self.rng.integers(0, 2))
            op = self.pick(["ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceL2", "ReduceL1", "ReduceSumSquare"])
            result = tuple(1 if i == positive else d for i, d in enumerate(shape) if keep or i != positive)
            self.node(op, [x, self.ints(axis)], result, keepdims=keep)
        elif kind == "softmax" and rank:
            self.node(self.pick(["Softmax", "LogSoftmax"]), [x], shape, axis=axis)
        elif kind == "concat" and rank:
            mates = [n for n, s in self.values if len(s) == rank and all(a == b for i, (a, b) in enumerate(zip(s, shape)) if i != positive)]
            y = self.pick(mates)
            other = dict(self.values)[y]
            self.node("Concat", [x, y], tuple(d + other[i] if i == positive else d for i, d in enumerate(shape)), axis=axis)
        elif kind == "split" and rank and shape[positive] > 1:
            cut = int(self.rng.integers(1, shape[positive]))
            first, second = self.node("Split", [x, self.ints(cut, shape[positive] - cut)], None, outputs=2, axis=axis)
            for name, size in ((first, cut), (second, shape[positive] - cut)):
                self.values.append((name, tuple(size if i == positive else d for i, d in enumerate(shape))))
        elif kind == "slice" and rank and shape[positive] > 1:
            step = self.pick([1, 2, -1])
            start, end = (0, shape[positive]) if step > 0 else (-1, -(shape[positive] + 1))
            count = len(range(shape[positive])[::step])
            self.node("Slice", [x, self.ints(start), self.ints(end), self.ints(axis), self.ints(step)], tuple(count if i == positive else d for i, d in enumerate(shape)))
        elif kind == "transpose" and rank > 1:
            perm = [int(i) for i in self.rng.permutation(rank)]
            self.node("Transpose", [x], tuple(shape[i] for i in perm), perm=perm)
        elif kind == "reshape":
            total = int(np.prod(shape))
            first = self.pick([d for d in range(1, total + 1) if total % d == 0])
            self.node("Reshape", [x, self.ints(first, -1)], (first, total // first))
        elif kind == "squeeze" and rank < 5:
            at = int(self.rng.integers(0, rank + 1))
            self.node("Unsqueeze", [x, self.ints(at)], shape[:at] + (1,) + shape[at:])
        elif kind == "pad" and rank:
            mode = self.pick(["constant", "reflect", "edge"])
            before, after = (int(self.rng.integers(0, 3)) for _ in range(2))
            if mode == "constant" or max(before, after) < shape[-1]:
                self.node("Pad", [x, self.ints(*([0] * (rank - 1)), before, *([0] * (rank - 1)), after)], shape[:-1] + (shape[-1] + before + after,), mode=mode)
        elif kind == "gather" and rank:
            indices = self.rng.integers(-shape[positive], shape[positive], self.pick([(), (1,), (3,), (2, 2)]))
            if rank - 1 + np.ndim(indices) <= 5:
                self.node("Gather", [x, self.constant(np.asarray(indices, np.int64))], shape[:positive] + np.shape(indices) + shape[positive + 1:], axis=axis)
        elif kind == "where":
            condition = self.node(self.pick(["Greater", "Less", "GreaterOrEqual"]), [x, self.constant(np.float32(0.1))], None)[0]
            self.node("Where", [condition, x, self.constant(self.random(*shape[-1:]))], shape)
        elif kind == "norm" and rank:
            self.node("LayerNormalization", [x, self.constant(self.random(shape[-1])), self.constant(self.random(shape[-1]))], shape, axis=-1, epsilon=1e-3)
        elif kind == "clip":
            self.node("Clip", [x, self.constant(np.float32(-0.7)), self.constant(np.float32(0.9))], shape)
        elif kind == "expand" and int(np.prod(shape)) < 2000:
            self.node("Expand", [x, self.ints(2, *([1] * rank))], (2,) + shape) if rank < 5 else None
        elif kind == "tile" and rank and int(np.prod(shape)) < 2000:
            self.node("Tile", [x, self.ints(*([1] * (rank - 1)), 2)], shape[:-1] + (2 * shape[-1],))
        elif kind == "argmax" and rank:
            apart = self.node("Add", [x, self.constant(self.random(*shape))], None)[0]  # symmetric values tie
            index = self.node(self.pick(["ArgMax", "ArgMin"]), [apart], None, axis=axis, keepdims=1)[0]
            self.node("Cast", [index], tuple(1 if i == positive else d for i, d in enumerate(shape)), to=FLOAT)
        elif kind == "cast":
            self.node("Cast", [self.node("Cast", [x], None, to=TensorProto.INT32)[0]], shape, to=FLOAT)
        elif kind == "topk" and rank and shape[positive] > 1:
            k = int(self.rng.integers(1, shape[positive]))
            self.node("TopK", [x, self.ints(k)], tuple(k if i == positive else d for i, d in enumerate(shape)), outputs=2, axis=axis)
        elif kind == "resize" and rank == 4 and int(np.prod(shape)) < 2000:
            mode = self.pick(["nearest", "linear"])
            self.node("Resize", [x, "", self.constant(np.array([1, 1, 2, 1.5], np.float32))], shape[:2] + (shape[2] * 2, int(shape[3] * 1.5)), mode=mode,
                      coordinate_transformation_mode=self.pick(["half_pixel", "asymmetric"]), nearest_mode="floor")
        elif kind == "cumsum" and rank:
            self.node("CumSum", [x, self.ints(axis)], shape, exclusive=int(self.rng.integers(0, 2)), reverse=int(self.rng.integers(0, 2)))

    @staticmethod
    def broadcast(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...] | None:
        try:
            result = np.broadcast_shapes(a, b)
        except ValueError:
            return None
        return result if len(result) <= 5 and int(np.prod(result)) < 20000 else None

    def build(self) -> onnx.ModelProto:
        infos = []
        for i in range(int(self.rng.integers(1, 4))):
            shape = tuple(self.pick(DIMS) for _ in range(int(self.rng.integers(1, 5))))
            if self.rng.integers(25) == 0:  # an empty one
                shape = (0, *shape[1:])
            self.inputs[f"x{i}"] = self.random(*shape)
            self.values.append((f"x{i}", shape))
            infos.append(helper.make_tensor_value_info(f"x{i}", FLOAT, shape))
        goal = int(self.rng.integers(5, 40))
        while len(self.nodes) < goal:
            self.step()
        read = {name for node in self.nodes for name in node.input}
        leaves = [name for name, _ in self.values if name not in read and name not in self.inputs]
        outputs = [helper.make_tensor_value_info(name, FLOAT, None) for name in leaves[-4:]]
        graph = helper.make_graph(self.nodes, "random", infos, outputs, self.weights)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)


# Messages of refusals and differences that stay, each with its reason.
LISTED: list[tuple[str, str]] = [
    (r"Pool: expects the padded input to hold at least one window", "ONNX Runtime divides a negative number of steps toward zero and makes a window that does not fit"),
    (r"has at most 5 axes|have at most 5 axes", "Core ML's values have at most 5 axes"),
    (r"which no package can have", "a package has no empty tensors"),
    (r"Resize: expects positive sizes", "ONNX Runtime resizes to nothing"),
    (r"Pad: crops more than axis", "ONNX Runtime crops an empty axis again; the shape that ONNX gives is negative"),
    (r"by a cast of what the integers do not hold$", "ONNX leaves it undefined: ours saturates as ARM does, ONNX Runtime as its machine does; both agree when the graph saturates before the cast"),
    (r"by the last bit of a half$", "a later node amplifies fp16's rounding: ONNX Runtime's own result moves as far when its halves move by one unit"),
    (r"by the last bits before a step$", "Floor, Ceil or Round of a number within its last bits of a step: both agree when the number is moved off it"),
]


def listed(why: str) -> str:
    """The reason for what `why` says, or ""."""
    return next((reason for pattern, reason in LISTED if re.search(pattern, why)), "")


def run_ours(path: str, feeds: dict[str, np.ndarray], mode: str) -> dict[str, np.ndarray]:
    if mode == "fp32":
        return front.compile(path, precision="fp32").run(feeds, numerics="fp32")
    if mode == "mixed":
        return front.compile(path).run(feeds)
    with tempfile.TemporaryDirectory() as folder:
        return front.compile(path, output=f"{folder}/m.mlpackage").run(feeds)


def compare(model: onnx.ModelProto, feeds: dict[str, np.ndarray], path: str, mode: str = "fp32") -> str:
    """"" when both agree, else what differs. The model is left at `path`."""
    onnx.save(model, path)
    try:
        expected = run_reference(model, feeds)
    except Exception as error:  # the generator's mistake, not ours
        return f"generator: {str(error)[:200]}"
    try:
        actual = run_ours(path, feeds, mode)
    except (front.CompileError, front.RunError) as error:
        lines = [line for line in str(error).splitlines() if "remark:" not in line and "warning:" not in line]
        return re.sub(r"\S*/(?=[\w.]+\.onnx)", "", "\n".join(lines))[:400]
    return difference(model, actual, expected, mode)


def difference(model: onnx.ModelProto, actual: dict[str, np.ndarray], expected: list[np.ndarray], mode: str) -> str:
    """The first output that is not what is expected, or ""."""
    bound = 1e-4 if mode == "fp32" else 4e-2
    half = 4e-3 if has_half(model) else 0
    exact = mode == "fp32" and not has_half(model)  # ONNX Runtime divides fp16 by its scale in fp16
    step = 0.0 if exact else largest_step(model)
    for (name, a), e in zip(actual.items(), expected, strict=True):
        if mode == "package" and not e.shape:  # a package has no scalars
            a = a.reshape(())
        if a.shape != e.shape:
            return f"{name}: shape {a.shape}, expected {e.shape}"
        # A package has MIL's own types; without a declared one so does everything.
        if mode != "package" and a.dtype != e.dtype and model.graph.output[0].type.tensor_type.elem_type:
            return f"{name}: {a.dtype}, expected {e.dtype}"
        if e.dtype.kind in "iub":
            # The step of a code is where fp16 has none between.
            code = not exact and any(n.op_type == "QuantizeLinear" and name in n.output for n in model.graph.node)
            if not np.array_equal(a, e) and not (code and np.abs(a.astype(int) - e.astype(int)).max(initial=0) <= 1):
                return f"{name}: {a.ravel()[a.ravel() != e.ravel()][:4]}, expected {e.ravel()[a.ravel() != e.ravel()][:4]}"
            continue
        scale = max(float(np.abs(e[np.isfinite(e)]).max(initial=0)), 1)
        if not np.allclose(a, e, rtol=bound + half, atol=(bound + half) * scale + step, equal_nan=True):
            return f"{name}: {float(np.nanmax(np.abs(a.astype(np.float64) - e))):.3g} of {scale:.3g}"
    return ""


def explain(model: onnx.ModelProto, feeds: dict[str, np.ndarray], path: str, mode: str) -> str:
    """What a difference comes from, as LISTED has it: found by taking the cause away."""
    try:
        saturated = saturate_casts(model, feeds)
        if saturated is not None and not compare(saturated, feeds, path, mode):
            return "by a cast of what the integers do not hold"
        moved = move_off_steps(model, feeds)
        if moved is not None and not compare(moved, feeds, path, mode):
            return "by the last bits before a step"
        if has_half(model):
            spread = spread_of_last_bits(model, feeds)
            onnx.save(model, path)
            ours = run_ours(path, feeds, mode).values()
            near = [np.where(np.abs(a.astype(np.float64) - e) <= 2 * far, e, a) for a, e, far in zip(ours, run_reference(model, feeds), spread, strict=True)]
            if not difference(model, dict(zip([o.name for o in model.graph.output], near)), run_reference(model, feeds), mode):
                return "by the last bit of a half"
    except Exception:  # a variant that ONNX Runtime does not take explains nothing
        pass
    return ""


STEPS = {"Floor": 0.0, "Ceil": 0.0, "Round": 0.5}  # where each steps, beside the whole numbers


def move_off_steps(model: onnx.ModelProto, feeds: dict[str, np.ndarray]) -> onnx.ModelProto | None:
    """With a little added in front of each Floor, Ceil and Round that reads a number within its last bits of a step; none when none does."""
    whole = onnx.ModelProto()
    whole.CopyFrom(model)
    del whole.graph.output[:]
    names = list(dict.fromkeys(n.input[0] for n in model.graph.node if n.op_type in STEPS))
    whole.graph.output.extend(helper.make_empty_tensor_value_info(n) for n in names if n not in feeds)
    values = dict(zip([o.name for o in whole.graph.output], run_reference(whole, feeds))) if whole.graph.output else {}
    result = onnx.ModelProto()
    result.CopyFrom(model)
    del result.graph.node[:]
    found = False
    for node in model.graph.node:
        copy = result.graph.node.add()
        copy.CopyFrom(node)
        value = values.get(node.input[0], feeds.get(node.input[0])) if node.op_type in STEPS else None
        if value is None or value.dtype != np.float32 or not value.size:
            continue
        away = value.astype(np.float64) - STEPS[node.op_type]
        near = np.abs(away - np.round(away)) <= 4 * np.spacing(np.maximum(np.abs(value), 1))
        if not (near & np.isfinite(value)).any():
            continue
        found = True
        moved = f"{copy.input[0]}_moved_{len(result.graph.node)}"
        amount = numpy_helper.from_array(np.array(1e-3, np.float32), moved + "_by")
        result.graph.initializer.append(amount)
        add = helper.make_node("Add", [copy.input[0], amount.name], [moved], name=moved)
        copy.input[0] = moved
        result.graph.node.insert(len(result.graph.node) - 1, add)
    return result if found else None


def saturate_casts(model: onnx.ModelProto, feeds: dict[str, np.ndarray]) -> onnx.ModelProto | None:
    """With a Clip in front of each cast to integers that overflows here; none when none does."""
    casts = [n for n in model.graph.node if n.op_type == "Cast"]
    whole = onnx.ModelProto()
    whole.CopyFrom(model)
    del whole.graph.output[:]
    names = list(dict.fromkeys(n.input[0] for n in casts))
    whole.graph.output.extend(helper.make_empty_tensor_value_info(n) for n in names if n not in feeds)
    values = dict(zip([o.name for o in whole.graph.output], run_reference(whole, feeds))) if whole.graph.output else {}
    result = onnx.ModelProto()
    result.CopyFrom(model)
    del result.graph.node[:]
    found = False
    for node in model.graph.node:
        copy = result.graph.node.add()
        copy.CopyFrom(node)
        if node.op_type != "Cast":
            continue
        value = values.get(node.input[0], feeds.get(node.input[0]))
        to = helper.tensor_dtype_to_np_dtype(next(a.i for a in node.attribute if a.name == "to"))
        if value is None or value.dtype.kind != "f" or to.kind not in "iu":
            continue
        limits = np.iinfo(to)
        low, high = (np.nextafter(np.array(v, value.dtype), np.array(0, value.dtype)) if float(np.array(v, value.dtype)) != v else np.array(v, value.dtype) for v in (limits.min, limits.max))
        if not ((value < low) | (value > high)).any():
            continue
        found = True
        clipped, bounds = f"{copy.input[0]}_saturated_{len(result.graph.node)}", []
        for bound, array in (("low", low), ("high", high)):
            bounds.append(f"{clipped}_{bound}")
            result.graph.initializer.append(numpy_helper.from_array(array, bounds[-1]))
        clip = helper.make_node("Clip", [copy.input[0], *bounds], [clipped], clipped)
        copy.input[0] = clipped
        result.graph.node.insert(len(result.graph.node) - 1, clip)
    return result if found else None


def spread_of_last_bits(model: onnx.ModelProto, feeds: dict[str, np.ndarray], draws: int = 8) -> list[np.ndarray]:
    """How far each output moves when what nodes compute in fp16 moves by a unit in the last place."""
    whole = onnx.ModelProto()
    whole.CopyFrom(model)
    del whole.graph.output[:]
    whole.graph.output.extend(helper.make_empty_tensor_value_info(n) for node in model.graph.node for n in node.output if n)
    values = dict(zip([o.name for o in whole.graph.output], run_reference(whole, feeds)))
    halves = {n: v for n, v in values.items() if v.dtype == np.float16}
    expected = run_reference(model, feeds)
    spread = [np.zeros(e.shape) for e in expected]
    for seed in range(draws):
        rng = np.random.default_rng(seed)
        moved = onnx.ModelProto()
        moved.CopyFrom(model)
        del moved.graph.node[:]
        for node in model.graph.node:
            copy = moved.graph.node.add()
            copy.CopyFrom(node)
            for i, name in enumerate(copy.output):
                if name in halves:
                    copy.output[i] = f"{name}_exact"
                    units = np.spacing(np.abs(halves[name])) * rng.integers(-1, 2, halves[name].shape)
                    moved.graph.initializer.append(numpy_helper.from_array(np.asarray(np.nan_to_num(units), np.float16), f"{name}_units"))
                    moved.graph.node.append(helper.make_node("Add", [f"{name}_exact", f"{name}_units"], [name]))
        for far, e, m in zip(spread, expected, run_reference(moved, feeds), strict=True):
            np.maximum(far, np.abs(m.astype(np.float64) - e.astype(np.float64)), out=far)
    return spread


def largest_step(model: onnx.ModelProto) -> float:
    """Of activations that the model quantises: in fp16 they stay floats, half a step away at most each time."""
    weights = {w.name: w for w in model.graph.initializer}
    return sum(float(numpy_helper.to_array(weights[n.input[1]]).max(initial=0)) for n in model.graph.node if n.op_type == "DequantizeLinear" and n.input[1] in weights)


def has_half(model: onnx.ModelProto) -> bool:
    """Whether ONNX Runtime rounds to fp16 somewhere."""
    half = TensorProto.FLOAT16
    typed = [v.type.tensor_type.elem_type for v in [*model.graph.input, *model.graph.output]] + [w.data_type for w in model.graph.initializer]
    return half in typed or any(a.name == "to" and a.i == half for n in model.graph.node for a in n.attribute)


def run_reference(model: onnx.ModelProto, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
    return session(model).run(None, feeds)


def cut(model: onnx.ModelProto, feeds: dict[str, np.ndarray], first: int, last: int) -> tuple[onnx.ModelProto, dict[str, np.ndarray]]:
    """Nodes first..last alone: what they read from earlier ones becomes an input with ONNX Runtime's value."""
    nodes = model.graph.node[first : last + 1]
    weights = {w.name: w for w in model.graph.initializer}
    made = {name for node in nodes for name in node.output}
    read = [name for name in dict.fromkeys(n for node in nodes for n in reads(node)) if name not in made and name not in weights]
    whole = onnx.ModelProto()
    whole.CopyFrom(model)
    del whole.graph.output[:]
    whole.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in read if name not in feeds)
    values = dict(zip([o.name for o in whole.graph.output], run_reference(whole, feeds))) if whole.graph.output else {}
    values = {name: values.get(name, feeds.get(name)) for name in read}
    inputs = [helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(v.dtype), v.shape) for n, v in values.items()]
    used = {name for node in nodes for name in reads(node)}
    graph = helper.make_graph(nodes, "shrunk", inputs, [helper.make_empty_tensor_value_info(n) for n in nodes[-1].output], [w for w in weights.values() if w.name in used])
    return helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version), values


def shrink(model: onnx.ModelProto, feeds: dict[str, np.ndarray], path: str, mode: str = "fp32") -> onnx.ModelProto | None:
    """The shortest run of nodes up to the first wrong one that still fails."""
    count = len(model.graph.node)
    for last in range(count):
        for first in range(last, -1, -1):
            try:
                smaller, values = cut(model, feeds, first, last)
                why = compare(smaller, values, path, mode)
                if why and not why.startswith("generator"):
                    return smaller
            except Exception:  # a cut that ONNX Runtime does not take
                continue
            if last - first >= 3 and last < count - 1:
                break  # longer runs are tried from the end only
    return None


def describe(model: onnx.ModelProto) -> str:
    """Nodes as text; of large weights the type alone."""
    graph = onnx.GraphProto()
    graph.CopyFrom(model.graph)
    lines = []
    for weight in list(graph.initializer):
        array = numpy_helper.to_array(weight)
        if array.size > 12:
            lines.append(f"{weight.name}: {array.dtype}{list(array.shape)}")
            graph.initializer.remove(weight)
    return "\n".join(lines + [onnx.printer.to_text(graph)])


def generate(kind: str, seed: int, mode: str) -> tuple[onnx.ModelProto, dict[str, np.ndarray]]:
    if kind == "floats":
        generator = Generator(seed)
        return generator.build(), generator.inputs
    precise = mode == "fp32"
    return TypedGenerator(seed, 1e-4 if precise else 1e-2, 1e4 if precise else 200, (4, 16) if precise else (3, 9), packaged=mode == "package").build()


def check(seed: int, keep: str | None = None, kind: str = "floats", mode: str = "fp32") -> str:
    """"" when both agree, else what differs, with the nodes that suffice."""
    model, feeds = generate(kind, seed, mode)
    if not model.graph.output:
        return ""
    with tempfile.TemporaryDirectory() as folder:
        why = compare(model, feeds, os.path.join(keep or folder, f"random_{seed}.onnx"), mode)
        if not why or why.startswith("generator") or listed(why):
            return why
        if because := explain(model, feeds, os.path.join(folder, "explained.onnx"), mode):
            return f"{why}, {because}"
        smaller = shrink(model, feeds, os.path.join(keep or folder, f"random_{seed}_shrunk.onnx"), mode)
        if smaller is not None:
            why += "\n  shrunk to:\n    " + describe(smaller).replace("\n", "\n    ")
        return why


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kind", choices=["floats", "types"], default="floats")
    parser.add_argument("--mode", choices=["fp32", "mixed", "package"], default="fp32")
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--keep")
    options = parser.parse_args()
    if options.seed is not None:
        print(check(options.seed, options.keep, options.kind, options.mode) or "agrees")
        return 0
    seeds = range(options.first, options.first + options.count)
    failed, skipped, known = 0, 0, {}
    with concurrent.futures.ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        for seed, why in zip(seeds, pool.map(lambda seed: check(seed, None, options.kind, options.mode), seeds)):
            if why.startswith("generator"):  # ONNX Runtime does not take the graph as a whole
                skipped += 1
            elif reason := why and listed(why):
                known[reason] = known.get(reason, 0) + 1
            elif why:
                failed += 1
                print(f"seed {seed}: {why}", flush=True)
    for reason, times in known.items():
        print(f"listed {times} times: {reason}")
    if skipped:
        print(f"{skipped} not taken by ONNX Runtime")
    print(f"{options.count - failed - skipped} passed, {failed} failed")
    failed += skipped > options.count // 20
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
