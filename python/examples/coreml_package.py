# %% [markdown]
# # Somebody's Core ML package
#
# You have a package and not its source. What is it, would Core ML refuse something, where would it run, and what does compiling change?
# As a script it takes yours:
#
#     python coreml_package.py theirs.mlpackage
#
# No engine is needed: times are predicted, results are those of the reference interpreter.

# %%
import pathlib
import sys
import tempfile

import ane_mlir

# %% [markdown]
# Without a package of yours it makes one from the network of the source tree, which lies above this file, or above the folder that a
# notebook runs in. All of it goes to a temporary folder. (A notebook's kernel has arguments of its own, options and a `.json`.)

# %%
folder = tempfile.TemporaryDirectory()
given = [argument for argument in sys.argv[1:] if not argument.startswith("-") and not argument.endswith(".json")]
if given:
    theirs = given[0]
else:
    above = [place for entry in sys.path for place in pathlib.Path(entry).resolve().parents]
    digits = next(place / "test/E2E/digits/digits.onnx" for place in above if (place / "test/E2E/digits").is_dir())
    theirs = str(ane_mlir.compile(digits, dims={"batch": 1}, output=f"{folder.name}/theirs.mlpackage").path)

# %% [markdown]
# ## What it is
#
# `info` reads a package without running it: which systems it is for, what goes in and comes out, how its weights are stored.

# %%
info = ane_mlir.info(theirs)
print(f"specification {info['specification']}, from {', '.join(info['deployment'])} on")
for function in info["functions"]:
    for port in function["inputs"] + function["outputs"]:
        print(" ", port["name"], port["kind"], port["dtype"], port["shape"])

# %%
print("operations:", ", ".join(f"{count} {name}" for name, count in info["operations"].items()))
for form, found in info["weights"].items():
    print(f"weights: {found['tensors']} tensors of {form}, {found['bytes']:,} bytes")

# %% [markdown]
# ## Would Core ML refuse it?
#
# `verify` checks what Core ML checks when it loads a package, as far as that is known: a line for each finding, none for a good one.

# %%
findings = ane_mlir.verify(theirs)
for finding in findings:
    print(finding)
print(len(findings), "findings")

# %% [markdown]
# ## Where would it run?
#
# Core ML decides on the device. This is what each generation is known to take, and what that is predicted to cost there.

# %%
for target in ("m1", "m4", "a17"):
    print(target, repr(ane_mlir.check(theirs, target=target)))

# %% [markdown]
# ## What does compiling change?
#
# Compiled to a bundle, with a report that explains the placement.

# %%
ours = ane_mlir.compile(theirs, target="m4")
print(ours.report)

# %% [markdown]
# `diff` compares the graphs, the weights, and the results on the same random inputs. Some operations differ, since a bundle is written as
# the engine wants it: inputs laid out in rows, casts left out. What counts is that the results agree.

# %%
difference = ane_mlir.diff(theirs, ours.path)
changes = difference["graph"]
print(f"{len(changes['added'])} operations added, {len(changes['removed'])} removed, {len(changes['changed'])} changed")
for output in difference["outputs"]:
    print(f"{output['name']}: cosine {output['cosine']:.6f}, largest error {output['max_error']:.4f} beside values up to {output['largest']:.2f}")
print("results", "agree" if difference["same"] else "differ")

# %% [markdown]
# Nothing is left behind.

# %%
folder.cleanup()
assert difference["same"]
