"""Damages ONNX models where they mean something: types, shapes, attributes, edges, names, operators, versions.

    mutate_onnx.py OUT COUNT [SEED]     writes OUT/000000.onnx …, the same for the same seed
"""

from __future__ import annotations

import pathlib
import random
import sys

import numpy as np
import onnx
import onnx.defs
from onnx import AttributeProto, ModelProto, TensorProto, helper, numpy_helper
from onnx.backend.test.loader import load_model_tests

NUMBERS = [0, 1, -1, 2, 3, 7, 64, 255, 65536, 2**31 - 1, 2**31, -(2**31), 2**32, 2**40, 2**62, 2**63 - 1, -(2**63)]
REALS = [0.0, -0.0, 1.0, -1.0, 0.5, 1e-12, 1e30, -1e30, float("inf"), float("-inf"), float("nan")]
NAMES = ["", " ", "x", "y", "main", "func", "tensor", "program", "classLabel", "x:0", "x_0", "0", "a\nb", 'a"b', "a\\b", "\u202eabc", "\x00", "\x1b[31m", "é", "n" * 10000, "a/b/../c", "..", "%s%n"]
OPS = sorted({schema.name for schema in onnx.defs.get_all_schemas() if schema.domain in ("", "ai.onnx.ml")})
DTYPES = [value for name, value in TensorProto.DataType.items()]
ATTRIBUTES = sorted({name for schema in onnx.defs.get_all_schemas() for name in schema.attributes})


def chain() -> ModelProto:
    """Several kinds of ops in a row, so that a damage meets what the next one expects."""
    rng = np.random.default_rng(0)
    weights = [numpy_helper.from_array(rng.normal(size=s).astype(np.float32), n) for n, s in (("w", (4, 3, 3, 3)), ("m", (16, 5)))]
    weights += [numpy_helper.from_array(np.array(v, np.int64), n) for n, v in (("shape", [1, 4, -1]), ("axes", [2]), ("starts", [0]), ("ends", [2]), ("index", [0, 2, 1]), ("k", [2]))]
    nodes = [helper.make_node("Conv", ["x", "w"], ["c"], pads=[1, 1, 1, 1]), helper.make_node("MaxPool", ["c"], ["p"], kernel_shape=[2, 2], strides=[2, 2]),
             helper.make_node("Reshape", ["p", "shape"], ["r"]), helper.make_node("MatMul", ["r", "m"], ["q"]), helper.make_node("Softmax", ["q"], ["s"], axis=-1),
             helper.make_node("Gather", ["s", "index"], ["g"], axis=1), helper.make_node("Slice", ["g", "starts", "ends", "axes"], ["l"]), helper.make_node("ReduceSum", ["l", "axes"], ["t"], keepdims=1),
             helper.make_node("TopK", ["q", "k"], ["v", "i"]), helper.make_node("Cast", ["i"], ["f"], to=1), helper.make_node("Concat", ["f", "v"], ["z"], axis=2)]  # fmt: skip
    value = helper.make_tensor_value_info
    graph = helper.make_graph(nodes, "chain", [value("x", 1, [1, 3, 8, 8])], [value("t", 1, None), value("z", 1, None)], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def bases() -> list[ModelProto]:
    small = [case.model for case in load_model_tests(kind="node") if case.model is not None]
    small = [model for model in small if model.ByteSize() < 6000]
    return small + [chain()] * (len(small) // 4)


def pick(rng: random.Random, items):
    return items[rng.randrange(len(items))] if len(items) else None


def tensors(model: ModelProto) -> list[TensorProto]:
    found = list(model.graph.initializer)
    found += [a.t for node in model.graph.node for a in node.attribute if a.type == AttributeProto.TENSOR]
    return found


def change_type(model: ModelProto, rng: random.Random) -> None:
    value = pick(rng, [v for v in [*model.graph.input, *model.graph.output, *model.graph.value_info] if v.type.HasField("tensor_type")])
    if value:
        value.type.tensor_type.elem_type = pick(rng, DTYPES)


def change_shape(model: ModelProto, rng: random.Random) -> None:
    value = pick(rng, [v for v in [*model.graph.input, *model.graph.output] if v.type.HasField("tensor_type")])
    if not value:
        return
    dims = value.type.tensor_type.shape.dim
    kind = rng.randrange(4)
    if kind == 0 and dims:
        pick(rng, dims).dim_value = pick(rng, NUMBERS)
    elif kind == 1:
        dims.add().dim_value = pick(rng, [0, 1, 2, 5])
    elif kind == 2 and dims:
        del dims[rng.randrange(len(dims))]
    elif dims:
        pick(rng, dims).dim_param = pick(rng, NAMES)


def change_tensor(model: ModelProto, rng: random.Random) -> None:
    tensor = pick(rng, tensors(model))
    if tensor is None:
        return
    kind = rng.randrange(5)
    if kind == 0:
        tensor.data_type = pick(rng, DTYPES)
    elif kind == 1:
        if tensor.dims:
            tensor.dims[rng.randrange(len(tensor.dims))] = pick(rng, NUMBERS)
        else:
            tensor.dims.append(pick(rng, NUMBERS))
    elif kind == 2:
        tensor.raw_data = tensor.raw_data[: rng.randrange(len(tensor.raw_data) + 1)]
    elif kind == 3 and tensor.raw_data:
        raw = bytearray(tensor.raw_data)
        for _ in range(rng.randint(1, 8)):
            raw[rng.randrange(len(raw))] = pick(rng, (0, 1, 0x7F, 0x80, 0xFF))
        tensor.raw_data = bytes(raw)
    else:
        tensor.int64_data.append(pick(rng, NUMBERS))


def change_attribute(model: ModelProto, rng: random.Random) -> None:
    node = pick(rng, model.graph.node)
    if node is None:
        return
    kind = rng.randrange(6)
    attribute = pick(rng, node.attribute)
    if kind == 0 or attribute is None:
        made = pick(rng, [pick(rng, NUMBERS), pick(rng, REALS), pick(rng, NAMES), [pick(rng, NUMBERS) for _ in range(rng.randrange(1, 5))]])
        node.attribute.append(helper.make_attribute(pick(rng, ATTRIBUTES), made))
    elif kind == 1:
        node.attribute.remove(attribute)
    elif kind == 2:
        attribute.name = pick(rng, ATTRIBUTES)
    elif attribute.type == AttributeProto.INT:
        attribute.i = pick(rng, NUMBERS)
    elif attribute.type == AttributeProto.FLOAT:
        attribute.f = pick(rng, REALS)
    elif attribute.type == AttributeProto.STRING:
        attribute.s = pick(rng, [*NAMES, "SAME_UPPER", "VALID", "linear", "edge"]).encode()
    elif attribute.type == AttributeProto.INTS:
        if kind == 3 and attribute.ints:
            attribute.ints[rng.randrange(len(attribute.ints))] = pick(rng, NUMBERS)
        elif kind == 4:
            attribute.ints.append(pick(rng, NUMBERS))
        elif attribute.ints:
            del attribute.ints[rng.randrange(len(attribute.ints))]


def change_edges(model: ModelProto, rng: random.Random) -> None:
    node = pick(rng, model.graph.node)
    if node is None:
        return
    known = [name for n in model.graph.node for name in [*n.input, *n.output]] + [v.name for v in model.graph.input] + [""]
    kind = rng.randrange(5)
    if kind == 0 and node.input:
        node.input[rng.randrange(len(node.input))] = pick(rng, known)
    elif kind == 1:
        node.input.append(pick(rng, known))
    elif kind == 2 and node.input:
        del node.input[rng.randrange(len(node.input))]
    elif kind == 3:
        node.output.append(pick(rng, [*known, "fresh"]))
    elif node.output:
        node.output[rng.randrange(len(node.output))] = pick(rng, known)


def change_name(model: ModelProto, rng: random.Random) -> None:
    """One value gets another name, wherever it stands."""
    values = [v.name for v in [*model.graph.input, *model.graph.output]] + [t.name for t in model.graph.initializer]
    old, new = pick(rng, values), pick(rng, NAMES)
    if old is None:
        return
    for node in model.graph.node:
        node.input[:] = [new if name == old else name for name in node.input]
        node.output[:] = [new if name == old else name for name in node.output]
    for item in [*model.graph.input, *model.graph.output, *model.graph.initializer, *model.graph.value_info]:
        if item.name == old:
            item.name = new


def change_node(model: ModelProto, rng: random.Random) -> None:
    node = pick(rng, model.graph.node)
    if node is None:
        return
    kind = rng.randrange(5)
    if kind == 0:
        node.op_type = pick(rng, OPS)
    elif kind == 1:
        node.domain = pick(rng, ["", "ai.onnx.ml", "com.microsoft", "ai.onnx.training", "none"])
    elif kind == 2:
        node.name = pick(rng, NAMES)
    elif kind == 3:
        model.graph.node.remove(node)
    else:
        model.graph.node.add().CopyFrom(node)


def change_version(model: ModelProto, rng: random.Random) -> None:
    if rng.random() < 0.2:
        model.ir_version = pick(rng, [0, 1, 3, 8, 13, 14, 99])
    elif model.opset_import:
        pick(rng, model.opset_import).version = pick(rng, [0, 1, 5, 7, 9, 11, 13, 17, 21, 24, 25, 99, -1])


def change_graph(model: ModelProto, rng: random.Random) -> None:
    kind = rng.randrange(4)
    if kind == 0 and model.graph.output:
        model.graph.output.add().CopyFrom(pick(rng, model.graph.output))
    elif kind == 1 and model.graph.input:
        model.graph.output.add().CopyFrom(pick(rng, model.graph.input))
    elif kind == 2 and model.graph.input:
        # An input that is a constant of this model.
        value = pick(rng, model.graph.input)
        numbers = np.array([pick(rng, [0, 1, 2, -1]) for _ in range(rng.randrange(0, 4))], pick(rng, [np.int64, np.float32, np.int32, np.bool_]))
        model.graph.initializer.append(numpy_helper.from_array(numbers, value.name))
        model.graph.input.remove(value)
    elif model.graph.input:
        model.graph.input.add().CopyFrom(pick(rng, model.graph.input))


CHANGES = [change_type, change_shape, change_tensor, change_attribute, change_attribute, change_edges, change_name, change_node, change_version, change_graph, change_graph]


def mutate(model: ModelProto, rng: random.Random) -> bytes:
    damaged = ModelProto()
    damaged.CopyFrom(model)
    for _ in range(pick(rng, [1, 1, 1, 2, 3])):
        try:
            pick(rng, CHANGES)(damaged, rng)
        except (ValueError, TypeError):
            pass  # a field that cannot hold it
    return damaged.SerializeToString()


def main() -> None:
    folder, count = pathlib.Path(sys.argv[1]), int(sys.argv[2])
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else 0
    folder.mkdir(parents=True, exist_ok=True)
    models = bases()
    for i in range(count):
        rng = random.Random(seed * 1_000_003 + i)
        (folder / f"{i:06}.onnx").write_bytes(mutate(pick(rng, models), rng))


if __name__ == "__main__":
    main()
