"""ane-check: a gate for models, its forms, its exit codes."""

import json
import pathlib
import subprocess
import xml.etree.ElementTree

import jsonschema
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

DIGITS = pathlib.Path(__file__).parent / "digits" / "digits.onnx"


def check(tools, *arguments: object) -> subprocess.CompletedProcess:
    return subprocess.run([str(tools / "ane-check"), *map(str, arguments)], capture_output=True, text=True)


@pytest.fixture
def tools():
    import os

    return pathlib.Path(os.environ["ANE_MLIR_BIN"])


def model(path: pathlib.Path, host_op: str = "") -> pathlib.Path:
    """A convolution, behind it a hyperbolic cosine where asked for, which the engine has not (L05)."""
    weight = numpy_helper.from_array(np.random.default_rng(0).standard_normal((8, 3, 3, 3), dtype=np.float32) / 100, "w")
    nodes = [helper.make_node("Conv", ["x", "w"], ["c"], name="/body/conv", pads=[1, 1, 1, 1])]
    nodes.append(helper.make_node(host_op or "Relu", ["c"], ["y"], name="/head/last"))
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 64, 64])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 8, 64, 64])],
        [weight],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def test_fits(tools, tmp_path):
    done = check(tools, model(tmp_path / "m.onnx"), "--target=m1,h17", "--max-host-ops=0", "--min-cosine=0.99")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "h13" in done.stdout and "h17" in done.stdout and "fine" in done.stdout


def test_host_node_breaks_the_gate(tools, tmp_path):
    path = model(tmp_path / "m.onnx", "Cosh")
    assert check(tools, path).returncode == 0  # without a threshold nothing is broken
    done = check(tools, path, "--max-host-ops=0")
    assert done.returncode == 1
    assert "max-host-ops: '/head/last'" in done.stdout and "[L05]" in done.stdout
    assert "what to do:" in done.stdout
    assert check(tools, path, "--max-host-ops=0", "--allow-host=/head/*").returncode == 0
    assert check(tools, path, "--max-host-ops=0", "--allow-host=/body/*").returncode == 1


def test_forms_count_alike(tools, tmp_path):
    """The text names what is on the host also when nothing is wrong; all forms have the same number."""
    nodes = [helper.make_node("Relu", ["x"], ["a"], name="/head/relu"), helper.make_node("CumSum", ["a", "axis"], ["y"], name="/head/sum")]
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 8, 32])], [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)], [numpy_helper.from_array(np.array(1), "axis")])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "m.onnx")
    done = check(tools, tmp_path / "m.onnx")
    (count,) = [line.split()[-1] for line in done.stdout.splitlines() if "host ops" in line]
    found = json.loads(check(tools, tmp_path / "m.onnx", "--format=json").stdout)["targets"][0]
    assert done.returncode == 0 and int(count) == found["host_ops"] == len(found["host"]) > 0
    assert "on the host: '/head/sum': cumsum does not compile [L05]" in done.stdout and "not run" in done.stdout
    # The schema has every key, whatever happened.
    form = json.loads((pathlib.Path(__file__).resolve().parents[2] / "tools/ane-check/report.schema.json").read_text())
    (tmp_path / "bad.onnx").write_bytes(b"nothing")
    for arguments in ([], ["--target=m1,a17", "--max-host-ops=0", "--min-cosine=0.9"], ["--max-predicted-us=0.1"]):
        for name in ("m.onnx", "bad.onnx"):
            jsonschema.validate(json.loads(check(tools, tmp_path / name, "--format=json", *arguments).stdout), form)
    assert set(form["properties"]["targets"]["items"]["properties"]) == set(found) | {"accuracy"}
    # What is allowed is still there.
    done = check(tools, tmp_path / "m.onnx", "--allow-host=/head/*", "--max-host-ops=0")
    assert done.returncode == 0 and f"0 ({count} allowed)" in done.stdout and "on the host" not in done.stdout


def test_refused_conversion_leaves_its_report(tools, tmp_path):
    """--require-ane writes no artifact, but the page that says what would run where."""
    path = model(tmp_path / "m.onnx", "Cosh")
    reports = {f"--report={tmp_path}/r.json", f"--trace={tmp_path}/t.json"}
    done = subprocess.run([tools / "onnx-to-ane", path, "-o", tmp_path / "m.anepkg", "--require-ane", "--quiet", *reports], capture_output=True, text=True)
    assert done.returncode == 1 and "'/head/last'" in done.stderr, done.stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m.onnx", "r.json", "t.json"]
    placed = {(op["node"], op["op"]): op["placement"] for op in json.loads((tmp_path / "r.json").read_text())["ops"]}
    assert placed["/head/last", "ane.cosh"] == "host" and placed["/body/conv", "ane.conv"] == "ane"


def test_report_is_written_when_the_gate_fails(tools, tmp_path):
    path, report = model(tmp_path / "m.onnx", "Cosh"), tmp_path / "ane.sarif"
    assert check(tools, path, "--max-host-ops=0", "--format=sarif", "-o", report).returncode == 1
    run = json.loads(report.read_text())["runs"][0]
    assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == ["L05"]
    (result,) = run["results"]
    assert result["ruleId"] == "L05"
    assert result["locations"][0]["logicalLocations"][0]["fullyQualifiedName"] == "/head/last"


def test_baseline_finds_what_moved(tools, tmp_path):
    before, after, baseline = model(tmp_path / "a.onnx"), model(tmp_path / "b.onnx", "Cosh"), tmp_path / "base.json"
    assert check(tools, before, "--target=m4", "--format=json", "-o", baseline).returncode == 0
    assert check(tools, before, "--target=m4", f"--baseline={baseline}").returncode == 0
    done = check(tools, after, "--target=m4", f"--baseline={baseline}")
    assert done.returncode == 1 and "baseline: '/head/last': 'ane.cosh' has moved to the host" in done.stdout
    other = check(tools, before, "--target=m1", f"--baseline={baseline}")
    assert other.returncode == 4 and "nothing of target m1" in other.stderr


def test_thresholds_stand_beside_the_model(tools, tmp_path):
    path, config = model(tmp_path / "m.onnx", "Cosh"), tmp_path / ".ane-mlir.toml"
    config.write_text('max-host-ops = 0\nallow-host = ["/head/*"]\nmin-cosine = 0.9\n')
    assert check(tools, path).returncode == 0
    config.write_text("max-host-ops = 0\n")
    assert check(tools, path).returncode == 1
    assert check(tools, path, "--max-host-ops=1").returncode == 0  # options count more
    for text, word in [
        ("max-host-op = 0\n", "'max-host-op' is not known"),
        ('max-host-ops = "no"\n', "'max-host-ops' expects a whole number"),
        ("a = 1\nmin-cosine = 7\n", "line 1"),
        ("max-host-ops = = 1\n", "line 1"),
    ]:
        config.write_text(text)
        done = check(tools, path)
        assert done.returncode == 4 and word in done.stderr, done.stderr


@pytest.mark.parametrize("form", ["text", "json", "sarif", "junit", "markdown"])
def test_forms(tools, tmp_path, form):
    done = check(tools, model(tmp_path / "m<&|.onnx", "Cosh"), "--max-host-ops=0", "--target=m1,m4", f"--format={form}")
    assert done.returncode == 1
    if form == "junit":
        suite = xml.etree.ElementTree.fromstring(done.stdout)
        assert suite.get("failures") == "2" and "/head/last" in suite.find("testcase/failure").text
    elif form == "json":
        report = json.loads(done.stdout)
        assert report["version"] == 1 and not report["passes"]
        first = report["targets"][0]
        assert first["target"] == "m1" and first["generation"] == "h13" and first["host"][0]["node"] == "/head/last"
    elif form == "sarif":
        assert len(json.loads(done.stdout)["runs"][0]["results"]) == 2
    elif form == "markdown":
        assert "| | m1 | m4 |" in done.stdout and "`/head/last`" in done.stdout


def test_exit_codes(tools, tmp_path):
    assert check(tools).returncode == 2
    assert check(tools, DIGITS, "--target=m99").returncode == 2
    assert check(tools, DIGITS, "--format=pdf").returncode == 2
    assert check(tools, tmp_path / "missing.onnx").returncode == 4
    assert check(tools, DIGITS, "--dim=batch=1", "-o", tmp_path / "no" / "such" / "r.json").returncode == 4
    unbound = check(tools, DIGITS)  # a symbolic dimension without an extent
    assert unbound.returncode == 3 and "add --dim batch=N" in unbound.stdout
    (tmp_path / "broken.onnx").write_bytes(DIGITS.read_bytes()[:1000])
    assert check(tools, tmp_path / "broken.onnx").returncode == 3
    assert check(tools, DIGITS, "--dim=batch=1", "--max-predicted-us=0.001").returncode == 1


def test_bars_that_are_none(tools):
    """A gate that nothing can fail is refused: thresholds that are no numbers, and options that are not there."""
    for option, said in (("--max-predicted-us=nan", "expects --max-predicted-us to be a number from 0 on"), ("--min-cosine=nan", "expects --min-cosine to be a number from -1 to 1"),
                         ("--min-cosine=2", "expects --min-cosine to be"), ("--host-ops=0", "there is no option '--host-ops'"),
                         ("--dim=batch=1..4", "a check is of one value for each dimension, but got a range")):  # fmt: skip
        done = check(tools, DIGITS, *(() if "batch" in option else ("--dim=batch=1",)), option)
        assert done.returncode == 2 and said in done.stderr, (option, done.stderr)
    # LLVM takes -h followed by anything for help.
    for tool in ("onnx-to-ane", "ane-run", "ane-info", "ane-diff", "ane-generate", "mil-verify", "ane-opt"):
        done = subprocess.run([tools / tool, "x", "--hlep"], capture_output=True, text=True)
        assert done.returncode == 2 and "there is no option '--hlep'; did you mean 'help'?" in done.stderr, (tool, done.stderr)
