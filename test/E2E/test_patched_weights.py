"""--train-weights=patch: trained weights as constants of programs, whose files each step writes anew."""

from __future__ import annotations

import json
import pathlib
import subprocess

import numpy as np
import training_models
from ane_mlir import find_tool
from onnx import helper, numpy_helper
from test_training import convert, digits, losses, train, write_data


def test_weights_in_files(tmp_path: pathlib.Path) -> None:
    """Trained weights are constants of programs, whose files each step writes anew: convolutions of any kernel are on the engine, and steps are those of weights in inputs."""
    digits(tmp_path)
    model = training_models.build_cnn("batch")
    said = {}
    for staging in ("inputs", "patch"):
        done = convert(model, tmp_path, "--loss=cross-entropy", "--batch=48", "--learning-rate=1e-2", f"--train-weights={staging}", name=staging)
        assert "no trained weight" not in done.stderr
        said[staging] = done.stdout
        train(tmp_path, "--steps=12", "--numerics=engine", "--csv", str(tmp_path / f"{staging}.csv"), "--checkpoint", str(tmp_path / f"{staging}.ckpt"), name=staging)
    a, b = (np.array(losses(tmp_path / f"{staging}.csv")) for staging in ("inputs", "patch"))
    np.testing.assert_allclose(b, a, rtol=0.02)
    # On the host too, which holds them in fp32.
    convert(model, tmp_path, "--loss=cross-entropy", "--batch=48", "--learning-rate=1e-2", "--train-weights=patch", "--placement=host", name="host")
    train(tmp_path, "--steps=12", "--csv", str(tmp_path / "host.csv"), name="host")
    np.testing.assert_allclose(losses(tmp_path / "host.csv"), a, rtol=0.02)
    assert b[-1] < 0.9 * b[0]
    # What is written is what was patched, not the bundle: it starts again from the first values, and goes on from a checkpoint to the same bits.
    before = {f: f.read_bytes() for f in (tmp_path / "patch.anepkg").rglob("*") if f.is_file()}
    for steps in ("6", "12"):
        train(tmp_path, f"--steps={steps}", "--numerics=engine", "--csv", str(tmp_path / "again.csv"), "--checkpoint", str(tmp_path / "again.ckpt"), name="patch")
    assert losses(tmp_path / "again.csv") == list(b) and {f: f.read_bytes() for f in before} == before
    manifest = json.loads((tmp_path / "patch.anepkg" / "manifest.json").read_text())
    patched = {copy["program"] for parameter in manifest["training"]["parameters"] for copy in parameter["copies"] if "program" in copy}
    assert patched and all([w["file"] for w in manifest["programs"][i]["weights"].values()] == [f"weights/program{i}.bin"] for i in patched)
    assert not any(".copy" in port["name"] for port in manifest["inputs"])
    # As ordinary convolutions, in fewer programs; and what that compiles where a loader does not see that files changed.
    dispatches = {staging: int(text.split(" dispatches to the engine")[0].split()[-1]) for staging, text in said.items()}
    assert dispatches["patch"] <= dispatches["inputs"] and f"a step compiles {len(patched)}" in said["patch"] and "--accumulate=" in said["patch"] and "none later\n" in said["inputs"]


def test_a_patched_bundle_that_is_replaced(tmp_path: pathlib.Path) -> None:
    """A run goes on with the programs that it began with."""
    digits(tmp_path)
    model = training_models.build_cnn("batch")
    options = ["--loss=cross-entropy", "--batch=16", "--train-weights=patch", "--quiet"]
    convert(model, tmp_path, *options)
    train(tmp_path, "--steps=80", "--csv", str(tmp_path / "alone.csv"))
    command = [find_tool("ane-run"), tmp_path / "m.anepkg", "--train", tmp_path / "data", "--steps=80", "--csv", tmp_path / "replaced.csv"]
    with subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, text=True) as process:
        assert "step 1/80" in process.stdout.readline()
        model.graph.node.insert(0, helper.make_node("Neg", [model.graph.input[0].name], ["turned"]))
        for node in model.graph.node[1:]:
            node.input[:] = ["turned" if name == model.graph.input[0].name else name for name in node.input]
        convert(model, tmp_path, *options)
        process.communicate()
    assert process.returncode == 0 and losses(tmp_path / "replaced.csv") == losses(tmp_path / "alone.csv")


def test_patched_weights_elsewhere(tmp_path: pathlib.Path) -> None:
    """A product of a constant with a trained weight would be a constant: the weight is an input. A run without --train says that what is in files is not what inputs hold."""
    rng = np.random.default_rng(0)
    weights = {"positions": rng.standard_normal((8, 32)).astype(np.float32), "w": rng.standard_normal((32, 16)).astype(np.float32) / 6, "v": rng.standard_normal((16, 16)).astype(np.float32) / 4}
    nodes = [helper.make_node("MatMul", ["positions", "w"], ["p"]), helper.make_node("MatMul", ["x", "v"], ["q"]), helper.make_node("Add", ["p", "q"], ["y"])]
    g = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", 1, [8, 16])], [helper.make_tensor_value_info("y", 1, [8, 16])], [numpy_helper.from_array(v, n) for n, v in weights.items()])
    model = helper.make_model(g, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    write_data(tmp_path, {"x": rng.standard_normal((64, 16)).astype(np.float32), "targets": rng.standard_normal((64, 16)).astype(np.float32)})
    made = {}
    for staging in ("inputs", "patch"):
        convert(model, tmp_path, "--loss=mse", "--frozen=positions", "--learning-rate=0.01", f"--train-weights={staging}", "--quiet", name=staging)
        train(tmp_path, "--steps=8", "--csv", str(tmp_path / f"{staging}.csv"), name=staging)
        made[staging] = losses(tmp_path / f"{staging}.csv")
    np.testing.assert_allclose(made["patch"], made["inputs"], rtol=0.01)
    manifest = json.loads((tmp_path / "patch.anepkg" / "manifest.json").read_text())
    assert {p["name"]: any("program" in c for c in p["copies"]) for p in manifest["training"]["parameters"]} == {"w": False, "v": True}
    plain = subprocess.run([find_tool("ane-run"), str(tmp_path / "patch.anepkg"), "--random-inputs=1", "--quiet"], capture_output=True, text=True)
    assert plain.returncode == 0 and "weights that are trained in their files" in plain.stderr and "'v'" in plain.stderr and "'w'" not in plain.stderr


def test_refused_files(tmp_path: pathlib.Path) -> None:
    """A manifest whose trained weights lie elsewhere is refused, not written into."""
    digits(tmp_path)
    convert(training_models.build_cnn("batch"), tmp_path, "--loss=cross-entropy", "--batch=48", "--train-weights=patch", "--quiet")
    binary = tmp_path / "m.anepkg" / "weights"
    for file in binary.glob("program*.bin"):
        file.write_bytes(file.read_bytes()[:100])
    said = train(tmp_path, "--steps=1", code=1).stderr
    assert "error" in said and "m.anepkg" in said and "staged" not in said
    # Of a model without products there is nothing in a file, which is said.
    g = helper.make_graph([helper.make_node("Mul", ["x", "w"], ["y"])], "g", [helper.make_tensor_value_info("x", 1, [4, 8])], [helper.make_tensor_value_info("y", 1, [4, 8])], [numpy_helper.from_array(np.ones(8, np.float32), "w")])
    said = convert(helper.make_model(g, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path, "--loss=mse", "--train-weights=patch", name="none")
    assert "no trained weight is one of a product" in said.stderr
    assert "is for fp16" in convert(training_models.build_cnn("batch"), tmp_path, "--loss=cross-entropy", "--train-weights=patch", "--precision=fp32", name="n", code=2).stderr
