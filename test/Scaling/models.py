"""Models of as many nodes as wanted, in the shapes that compilers meet: chains, a wide graph, a transformer."""

import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


class Graph:
    """Nodes and weights; `value` is the last result."""

    def __init__(self, shape: list[int]):
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self.shape = shape
        self.value = "x"
        self.random = np.random.default_rng(0)

    def constant(self, name: str, value: np.ndarray) -> str:
        self.weights.append(numpy_helper.from_array(value, name))
        return name

    def normal(self, name: str, *shape: int) -> str:
        return self.constant(name, (self.random.standard_normal(shape) / np.sqrt(shape[-1])).astype(np.float32))

    def add(self, op: str, *inputs: str, **attributes) -> str:
        name = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [name], name=f"/{op}_{len(self.nodes)}", **attributes))
        self.value = name
        return name

    def model(self) -> onnx.ModelProto:
        def port(name: str) -> onnx.ValueInfoProto:
            return helper.make_tensor_value_info(name, TensorProto.FLOAT, self.shape)

        graph = helper.make_graph(self.nodes, "scaling", [port("x")], [port(self.value)], self.weights)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def convolutions(count: int) -> Graph:
    g = Graph([1, 8, 16, 16])
    weights = [g.normal(f"w{i}", 8, 8, 1, 1) for i in range(16)]
    for i in range(count):
        g.add("Conv", g.value, weights[i % 16])
    return g


def elementwise(count: int) -> Graph:
    g = Graph([1, 8, 16, 16])
    earlier = "x"
    for i in range(count):
        op, last = ("Relu", "Sigmoid", "Tanh", "Add")[i % 4], g.value
        g.add(op, last, *([earlier] if op == "Add" else []))
        earlier = last
    return g


def wide(count: int) -> Graph:
    g = Graph([1, 8, 16, 16])
    branches = [g.add(("Tanh", "Relu")[i % 2], "x") for i in range(count // 2)]
    g.value = branches[0]
    for branch in branches[1:]:
        g.add("Add", g.value, branch)
    return g


def transformer(count: int) -> Graph:
    width, length, heads = 16, 8, 2
    g = Graph([1, length, width])
    weights = {k: g.normal(f"w_{k}", width, width) for k in ("q", "k", "v", "o")}
    biases = {k: g.normal(f"b_{k}", width) for k in ("q", "k", "v", "o", "2")}
    up, down, up_bias = g.normal("w_1", width, 2 * width), g.normal("w_2", 2 * width, width), g.normal("b_1", 2 * width)
    gamma, beta = g.constant("gamma", np.ones(width, np.float32)), g.constant("beta", np.zeros(width, np.float32))
    split = g.constant("split", np.array([1, length, heads, width // heads]))
    merge = g.constant("merge", np.array([1, length, width]))
    scale, half, one, root = (g.constant(f"c{i}", np.float32(v)) for i, v in enumerate((0.35, 0.5, 1, 2**0.5)))

    def heads_of(y: str, kind: str, perm: list[int]) -> str:
        z = g.add("Add", g.add("MatMul", y, weights[kind]), biases[kind])
        return g.add("Transpose", g.add("Reshape", z, split), perm=perm)

    x = "x"
    while len(g.nodes) < count:
        y = g.add("LayerNormalization", x, gamma, beta, axis=-1)
        q, k, v = heads_of(y, "q", [0, 2, 1, 3]), heads_of(y, "k", [0, 2, 3, 1]), heads_of(y, "v", [0, 2, 1, 3])
        scores = g.add("Softmax", g.add("Mul", g.add("MatMul", q, k), scale), axis=-1)
        a = g.add("Reshape", g.add("Transpose", g.add("MatMul", scores, v), perm=[0, 2, 1, 3]), merge)
        x = g.add("Add", x, g.add("Add", g.add("MatMul", a, weights["o"]), biases["o"]))
        y = g.add("LayerNormalization", x, gamma, beta, axis=-1)
        y = g.add("Add", g.add("MatMul", y, up), up_bias)
        y = g.add("Mul", g.add("Mul", y, g.add("Add", g.add("Erf", g.add("Div", y, root)), one)), half)
        x = g.add("Add", x, g.add("Add", g.add("MatMul", y, down), biases["2"]))
    return g


KINDS = {"convolutions": convolutions, "elementwise": elementwise, "wide": wide, "transformer": transformer}

if __name__ == "__main__":
    if len(sys.argv) != 4 or sys.argv[1] not in KINDS:
        sys.exit(f"usage: models.py {'|'.join(KINDS)} NODES OUT.onnx")
    onnx.save(KINDS[sys.argv[1]](int(sys.argv[2])).model(), sys.argv[3])
