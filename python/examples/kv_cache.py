"""A decoder's step with a cache of keys and values: as a Core ML package that keeps it as a state, run token by token."""

from __future__ import annotations

import sys
import tempfile

import ane_mlir
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

LENGTH, WIDTH = 8, 32


def make_decoder() -> onnx.ModelProto:
    """One head: the cache loses its oldest row and gets the token's; the token attends to all of it."""
    random = np.random.default_rng(0)
    weights = [numpy_helper.from_array(random.standard_normal((WIDTH, WIDTH)).astype(np.float32) / 6, name) for name in ("wq", "wk", "wo")]
    numbers = [numpy_helper.from_array(np.array(value, np.int64), name) for name, value in (("one", [1]), ("end", [LENGTH]), ("axis", [1]))]
    nodes = [
        helper.make_node("MatMul", ["token", "wq"], ["q"], name="/query"),
        helper.make_node("MatMul", ["token", "wk"], ["k"], name="/key"),
        helper.make_node("Slice", ["past", "one", "end", "axis"], ["kept"], name="/forget"),
        helper.make_node("Concat", ["kept", "k"], ["present"], axis=1, name="/remember"),
        helper.make_node("Transpose", ["present"], ["kt"], perm=[0, 2, 1], name="/turn"),
        helper.make_node("MatMul", ["q", "kt"], ["scores"], name="/scores"),
        helper.make_node("Softmax", ["scores"], ["weights"], axis=-1, name="/attend"),
        helper.make_node("MatMul", ["weights", "present"], ["mixed"], name="/mix"),
        helper.make_node("MatMul", ["mixed", "wo"], ["out"], name="/project"),
    ]
    ports = {name: helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, rows, WIDTH]) for name, rows in (("token", 1), ("past", LENGTH), ("out", 1), ("present", LENGTH))}
    graph = helper.make_graph(nodes, "decoder", [ports["token"], ports["past"]], [ports["out"], ports["present"]], [*weights, *numbers])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def main() -> int:
    model, random = make_decoder(), np.random.default_rng(1)
    with tempfile.TemporaryDirectory() as folder:
        package = ane_mlir.compile(model, output=f"{folder}/decoder.mlpackage", options=["--state=past=present"])
        (function,) = ane_mlir.info(package.path)["functions"]
        print("kept between calls:", [(state["name"], state["shape"]) for state in function["states"]])

        # States are fed and returned like values here; Core ML keeps them itself.
        session = package.session()
        bundle = ane_mlir.compile(model).session()
        state, past = {port.name: np.zeros(port.shape, np.float16) for port in session.inputs if port.name != "token"}, np.zeros((1, LENGTH, WIDTH), np.float32)
        worst = 0.0
        for _ in range(12):
            token = random.standard_normal((1, 1, WIDTH)).astype(np.float32)
            outputs = session.run({"token": token, **state})
            state = {name: outputs[name] for name in state}
            expected = bundle.run({"token": token, "past": past})
            past = expected["present"]
            worst = max(worst, float(np.abs(outputs["out"] - expected["out"]).max()))
    print(f"12 tokens; package and bundle differ by at most {worst:.4f}")
    return 0 if worst < 0.05 else 1


if __name__ == "__main__":
    sys.exit(main())
