# %% [markdown]
# # A gate for models
#
# A change to a model is a pull request like any other, but nobody sees in it that a node has left the engine. `ane-check` sees it: it says
# whether a model fits, what it is predicted to cost, and fails where that is not good enough. You let a good change through, see a bad one
# stopped, and learn what a workflow makes of it.
#
# No engine is needed: times are predicted, results are those of the reference interpreter.

# %%
import json
import pathlib
import subprocess
import tempfile

import ane_mlir
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

temporary = tempfile.TemporaryDirectory()
folder = pathlib.Path(temporary.name)

# %% [markdown]
# ## The model
#
# A convolution and something after it, in a file as your training would write it. Nodes have names: findings name them.


# %%
def write_model(last: str) -> None:
    weight = numpy_helper.from_array(np.random.default_rng(0).standard_normal((8, 4, 3, 3)).astype(np.float32), "weight")
    channels = numpy_helper.from_array(np.array(1, np.int64), "channels")
    nodes = [
        helper.make_node("Conv", ["x", "weight"], ["c"], name="/body/conv"),
        helper.make_node(last, ["c", "channels"] if last == "CumSum" else ["c"], ["y"], name="/head/last"),
    ]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 4, 16, 16])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 8, 14, 14])
    graph = helper.make_graph(nodes, "model", [x], [y], [weight, channels])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), folder / "model.onnx")


write_model("Relu")

# %% [markdown]
# In Python, a look at it is one line for each target.

# %%
for target in ("m1", "a17"):
    print(repr(ane_mlir.check(folder / "model.onnx", target=target, dims={"batch": 1})))

# %% [markdown]
# ## Thresholds
#
# A gate is a command with an exit status: 0 is fine, 1 a threshold is broken, 2 misuse, 3 the model cannot be converted, 4 a file cannot be
# read or written. `find_tool` finds the command wherever it was built or installed; in a shell it is just `ane-check`.


# %%
def gate(*options: str) -> subprocess.CompletedProcess[str]:
    command = [ane_mlir.find_tool("ane-check"), "model.onnx", "--dim=batch=1", "--target=m1,a17", *options]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


done = gate("--max-host-ops=0", "--max-predicted-us=600", "--min-cosine=0.999")
print(done.stdout)
print("exit status", done.returncode)
assert done.returncode == 0

# %% [markdown]
# A threshold that it breaks is named with what there is and what there may be. `--min-cosine` above has run the model in the interpreter;
# without it nothing is run, and the check is quick.

# %%
done = gate("--max-predicted-us=400")
print(done.stdout)
print("exit status", done.returncode)
assert done.returncode == 1

# %% [markdown]
# ## A baseline
#
# Thresholds in numbers have to be kept up to date. Often "not worse than the main branch" is what is meant: keep a report in JSON beside the
# model, and hold changes against it. No node may move to the host, no predicted time grow by more than 2 %.

# %%
gate("--format=json", "-o", "ane.json")
for each in json.loads((folder / "ane.json").read_text())["targets"]:
    print({key: each[key] for key in ("target", "verdict", "engine_ops", "host_ops", "predicted_us")})
done = gate("--baseline=ane.json")
print("exit status of the same model:", done.returncode)
assert done.returncode == 0

# %% [markdown]
# Now somebody wants a running sum at the end. The model still converts, runs and gives right results, so no other test fails. But the engine
# has no such operation: it goes to the host, and the model is two programs with a copy between them.

# %%
write_model("CumSum")
done = gate("--baseline=ane.json")
print(done.stdout)
print("exit status", done.returncode)
assert done.returncode == 1 and "/head/last" in done.stdout and "/body/conv" not in done.stdout

# %% [markdown]
# It names the node, the rule (L05) and what can be done. What the rule stands on can be looked up.

# %%
print(ane_mlir.explain("L05"))

# %% [markdown]
# ## For code scanning: SARIF
#
# The same finding as data that code scanning shows beside the change. Rules of the target are its rules, nodes are its places. A report is
# written also when the check fails, that is when it is wanted.

# %%
done = gate("--baseline=ane.json", "--format=sarif", "-o", "ane.sarif")
(run,) = json.loads((folder / "ane.sarif").read_text())["runs"]
for rule in run["tool"]["driver"]["rules"]:
    print(rule["id"], rule["shortDescription"]["text"])
for result in run["results"]:
    (place,) = result["locations"]
    print(result["level"], result["ruleId"], place["logicalLocations"][0]["fullyQualifiedName"], "-", result["message"]["text"])
assert done.returncode == 1 and {result["ruleId"] for result in run["results"]} == {"L05"}

# %% [markdown]
# ## When the change is wanted
#
# Then say so where everybody reads it: in `.ane-mlir.toml` beside the model, which `ane-check` finds without being told. What is allowed on
# the host does not count as a host operation any more.

# %%
(folder / ".ane-mlir.toml").write_text('max-host-ops = 0\nallow-host = ["/head/*"]\nbaseline = "ane.json"\n')
done = gate()
print(done.stdout)
print("exit status", done.returncode)
assert done.returncode == 0

# %% [markdown]
# ## In continuous integration
#
# `gate-models.yml`, beside this file, is all of that as a workflow: the wheel brings `ane-check`, one step fails with what `--baseline` finds and
# writes SARIF, one writes the same as a table for people (`--format=markdown`), the last uploads the SARIF so that the node is shown. Copy it to
# `.github/workflows/`, commit `ane.json` of your main branch with the model, and write it anew when a change is wanted.

# %%
done = gate("--format=markdown")
print(done.stdout)
temporary.cleanup()
