# %% [markdown]
# # A convolutional network, converted and checked
#
# A small network that reads handwritten digits goes from ONNX to a bundle for the Neural Engine. On the way you see what is asked of
# you when something is missing, where each operation would run and what that is predicted to cost, and how exact the result is.
#
# No engine is needed: times are predicted, results are those of the reference interpreter.

# %%
import pathlib
import sys
import tempfile
from typing import Any

import ane_mlir
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

# %% [markdown]
# The network and its digits lie in the source tree: above this file, or above the folder that a notebook runs in.

# %%
above = [folder for entry in sys.path for folder in pathlib.Path(entry).resolve().parents]
DIGITS = next(folder / "test/E2E/digits" for folder in above if (folder / "test/E2E/digits").is_dir())
MODEL = DIGITS / "digits.onnx"

# %% [markdown]
# ## Compiling
#
# An engine's program has fixed shapes, and this model leaves its batch open. What is wrong with a model comes as data, with what to
# do about it.

# %%
try:
    ane_mlir.compile(MODEL, target="m4")
except ane_mlir.CompileError as error:
    for problem in error.diagnostics:
        print(problem.severity, problem.message)

# %% [markdown]
# So the batch gets its extent. `target` is a chip or a generation; `progress` shows on a terminal how far it is.

# %%
bundle = ane_mlir.compile(MODEL, target="m4", dims={"batch": 1}, progress=True)
for port in bundle.session().inputs:
    print(port.name, port.dtype, port.shape)

# %% [markdown]
# ## Where it would run
#
# The report tells for each operation where it is placed, why, and how that is known. It is a page too: `bundle.report.save("why.html")`,
# and a table where it is the last line of a notebook's cell.
#
# Read its advice: this network is so small that one call of the engine is predicted to cost more than all of its arithmetic on the host.

# %%
print(bundle.report)

# %% [markdown]
# The same as data. Nothing is on the host here, which a test of yours can hold on to; the operation that is predicted to take longest is
# the one to look at first.

# %%
for op in bundle.report.host:
    print(op["node"], "runs on the host:", op["reason"])
longest = max(bundle.report.ops, key=lambda op: float(op["predicted_us"]))
print(f"longest: {longest['op']} of {longest['node']}, bound by {longest['bound']}, {longest['evidence_text']}")
assert bundle.report.host_ops == 0

# %% [markdown]
# Users have other chips than you. `check` compiles without writing anything, so a table of targets costs little.

# %%
print(f"{'target':<8}{'engine':>8}{'host':>6}{'predicted us':>14}")
for target in ("m1", "m2", "m4", "a17"):
    report = ane_mlir.check(MODEL, target=target, dims={"batch": 1})
    print(f"{target:<8}{report.engine_ops:>8}{report.host_ops:>6}{report.predicted_us:>14.1f}")

# %% [markdown]
# ## How exact it is
#
# First one image, beside the same model in fp32. `numerics="engine"` takes the generation's own accumulators and tables instead of
# plain fp16.


# %%
def read_images(path: pathlib.Path) -> NDArray[Any]:
    tensor = onnx.TensorProto()
    tensor.ParseFromString(path.read_bytes())
    images: NDArray[Any] = numpy_helper.to_array(tensor)
    return images


images = read_images(DIGITS / "test_data_set_0" / "input_0.pb")
labels = np.load(DIGITS / "labels.npy")
for output in bundle.compare(MODEL, {"image": images[:1]}, numerics="engine"):
    print(f"{output.name}: cosine {output.cosine:.6f}, largest error {output.max_error:.4f} beside values up to {output.largest:.2f}")
    assert output.ok

# %% [markdown]
# Close numbers are not the point, right answers are: `evaluate` runs a metric of yours over a dataset. (It can do so in several
# processes, `workers=4`; a script then needs its `if __name__ == "__main__":`.)


# %%
def is_right(outputs: dict[str, NDArray[Any]], label: Any) -> float:
    return float(np.argmax(outputs["logits"]) == label)


dataset = [({"image": image[None]}, label) for image, label in zip(images[:100], labels)]
found = ane_mlir.evaluate(bundle, dataset, is_right, numerics="engine")
print(f"{found.mean:.0%} of {len(found.values)} digits are right")
assert found.mean > 0.9

# %% [markdown]
# ## Taking it along
#
# A bundle is a folder for a loader that talks to the engine itself. A Core ML package of the same model leaves placing to Core ML;
# `verify` looks for what Core ML is known to refuse. A temporary folder here, so that nothing is left behind.

# %%
with tempfile.TemporaryDirectory() as folder:
    saved = bundle.save(f"{folder}/digits.anepkg")
    print(sorted(path.name for path in saved.iterdir()))
    package = bundle.to_mlpackage(f"{folder}/digits.mlpackage")
    refused = ane_mlir.verify(package.path)
    print(package.path.name, refused or "has nothing that Core ML would refuse")
    assert not refused
