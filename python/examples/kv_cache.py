# %% [markdown]
# # A decoder's step with a cache of keys and values
#
# A language model makes one token after another, and each looks back at the keys and values of those before it. As an input and an output
# that cache is copied at every step; as a *state* of a Core ML package it stays where it is. You make a small decoder, convert it in both
# ways, and run both token by token.
#
# No engine is needed: times are predicted, results are those of the reference interpreter.

# %%
import tempfile
from typing import Union

import ane_mlir
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

LENGTH, WIDTH = 8, 32

# %% [markdown]
# ## The model
#
# One head of attention. The cache loses its oldest row and gets the token's; the token attends to all of it. To keep it short, keys are
# values too. Random weights do: what is shown is where the cache lives, not what it says.

# %%
random = np.random.default_rng(0)
weights = [numpy_helper.from_array(random.standard_normal((WIDTH, WIDTH)).astype(np.float32) / 6, name) for name in ("wq", "wk", "wo")]
numbers = [numpy_helper.from_array(np.array(value, np.int64), name) for name, value in (("one", [1]), ("end", [np.iinfo(np.int64).max]), ("axis", [1]))]
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

# %% [markdown]
# Its inputs are a token and the cache before it, `past`; its outputs a result and the cache with the token in it, `present`. How many rows
# the cache has is left open, so that one file serves for every length.

# %%
rows: dict[str, Union[int, str]] = {"token": 1, "past": "length", "out": 1, "present": "length"}
ports = {name: helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, count, WIDTH]) for name, count in rows.items()}
graph = helper.make_graph(nodes, "decoder", [ports["token"], ports["past"]], [ports["out"], ports["present"]], [*weights, *numbers])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
onnx.checker.check_model(model)

# %% [markdown]
# ## A bundle with the cache as a value
#
# Compiled as it is, the caller holds the cache. An engine's program has fixed shapes, so the length is given here. The report shows that
# all of it is placed on the engine.

# %%
bundle = ane_mlir.compile(model, target="m4", dims={"length": LENGTH})
print(bundle.report)
assert bundle.report.host_ops == 0

# %% [markdown]
# Its advice is to leave a model of this size to the host. So what about a cache as long as a real one, on other chips? `check` compiles without
# writing anything.

# %%
print("predicted us" + "".join(f"{length:>9} rows" for length in (8, 2048, 16384)))
for target in ("m1", "m4", "a18"):
    reports = [ane_mlir.check(model, target=target, dims={"length": length}) for length in (8, 2048, 16384)]
    print(f"{target:<12}" + "".join(f"{report.predicted_us:>14.1f}" for report in reports))
    assert all(report.host_ops == 0 for report in reports)

# %% [markdown]
# Is it right? `compare` computes the model in fp32 beside it.

# %%
feeds = {name: random.standard_normal((1, count, WIDTH)).astype(np.float32) for name, count in (("token", 1), ("past", LENGTH))}
for output in bundle.compare(model, feeds):
    print(f"{output.name}: cosine {output.cosine:.6f}")
    assert output.ok

# %% [markdown]
# ## A package with the cache as a state
#
# `--state=past=present` says that what comes out as `present` goes in as `past` at the next call (`--state=auto` finds such pairs itself).
# Flags of the command line that have no argument of their own in Python go through `options`.

# %%
folder = tempfile.TemporaryDirectory()
package = ane_mlir.compile(model, target="m4", dims={"length": LENGTH}, output=f"{folder.name}/decoder.mlpackage", options=["--state=past=present"])
(function,) = ane_mlir.info(package.path)["functions"]
print("fed:", [port["name"] for port in function["inputs"]])
print("kept between calls:", [(state["name"], state["shape"]) for state in function["states"]])

# %% [markdown]
# ## Token by token
#
# A session keeps weights loaded between calls. States are fed and returned like values here, beginning with zeros; Core ML keeps them
# itself.

# %%
by_state, by_value = package.session(), bundle.session()
states = {port.name: np.zeros(port.shape, np.float16) for port in by_state.inputs if port.name != "token"}
past = np.zeros((1, LENGTH, WIDTH), np.float32)
print("states:", list(states))

# %% [markdown]
# Twelve tokens, so that the cache of eight rows is full and forgets some. Package and bundle get the same ones, each with its own cache.

# %%
worst = 0.0
for _ in range(12):
    token = random.standard_normal((1, 1, WIDTH)).astype(np.float32)
    outputs = by_state.run({"token": token, **states})
    states = {name: outputs[name] for name in states}
    expected = by_value.run({"token": token, "past": past})
    past = expected["present"]
    worst = max(worst, float(np.abs(outputs["out"] - expected["out"]).max()))
print(f"12 tokens; package and bundle differ by at most {worst:.4f}")
assert worst < 0.05

# %% [markdown]
# Nothing is left behind.

# %%
folder.cleanup()
