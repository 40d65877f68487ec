"""The Python package: models in every form, errors as data, arrays, threads, memory, Ctrl-C."""

from __future__ import annotations

import concurrent.futures
import functools
import gc
import hashlib
import json
import os
import pathlib
import pickle
import resource
import signal
import subprocess
import sys
import time
import tomllib

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

import ane_mlir

ROOT = pathlib.Path(__file__).resolve().parents[2]
DIGITS = ROOT / "test" / "E2E" / "digits" / "digits.onnx"
IMAGE = np.random.default_rng(0).random((1, 1, 8, 8), np.float32)
ENV = {**os.environ, "PYTHONPATH": str(ROOT / "python"), "PYTHONUNBUFFERED": "1"}


@pytest.fixture(scope="module")
def bundle() -> ane_mlir.Bundle:
    return ane_mlir.compile(DIGITS, dims={"batch": 1})


def reference(model, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
    data = model if isinstance(model, bytes) else pathlib.Path(model).read_bytes()
    return onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"]).run(None, feeds)


def digest(path: pathlib.Path) -> str:
    files = sorted(p for p in path.rglob("*") if p.is_file())
    return hashlib.sha256(b"".join(str(p.relative_to(path)).encode() + p.read_bytes() for p in files)).hexdigest()


def save(path, nodes, inputs, outputs, initializers=(), opset=17) -> pathlib.Path:
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info(n, t, s) for n, t, s in inputs], [helper.make_tensor_value_info(n, t, None) for n, t in outputs], list(initializers))
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8), path)
    return path


def test_models_in_every_form(tmp_path, bundle):
    expected = reference(DIGITS, {"image": IMAGE})[0]
    package = bundle.to_mlpackage(tmp_path / "m.mlpackage")
    text = ane_mlir.compile(DIGITS, dims={"batch": 1}, output=tmp_path / "m.mil")
    for model, dims in ((str(DIGITS), {"batch": 1}), (DIGITS.read_bytes(), {"batch": 1}), (onnx.load(DIGITS), {"batch": 1}), (package, None), (tmp_path / "m.mlpackage", None), (text, None)):
        made = ane_mlir.compile(model, dims=dims)
        output = next(iter(made.run({"image": IMAGE}).values()))
        np.testing.assert_allclose(output, expected, atol=0.1, err_msg=repr(model)[:80])
    with pytest.raises(TypeError, match="expects a path, bytes, onnx.ModelProto"):
        ane_mlir.compile(3)


def test_torch_goes_through_its_exporter(monkeypatch):
    """Without torch: a module of its name that exports what its exporter would."""
    import types

    calls = []

    class Module:
        pass

    Module.__module__ = "torch.nn.modules.module"

    class Net(Module):
        pass

    def export(model, arguments, place, **options):
        calls.append((arguments, options))
        pathlib.Path(place).write_bytes(DIGITS.read_bytes())

    monkeypatch.setitem(sys.modules, "torch", types.ModuleType("torch"))
    exporter = types.ModuleType("torch.onnx")
    exporter.export = export
    monkeypatch.setitem(sys.modules, "torch.onnx", exporter)
    with pytest.raises(ValueError, match="needs example="):
        ane_mlir.compile(Net(), dims={"batch": 1})
    assert ane_mlir.compile(Net(), example=(IMAGE,), dims={"batch": 1}).outputs == ["logits"]
    assert calls[0][0][0] is IMAGE and calls[0][1]["dynamo"]


def test_bundle(tmp_path, bundle):
    assert bundle.inputs == ["image"] and bundle.outputs == ["logits"]
    assert bundle.manifest["target"] == "h16"
    assert [p.kind for p in bundle.programs] == ["ane"] and "func main" in bundle.programs[0].mil
    report = bundle.report
    assert report.engine_ops == len(report.ops) and not report.host and report.predicted_us > 0
    assert json.loads(report.save(tmp_path / "r.json").read_text()) == report.data
    assert "<html" in report.save(tmp_path / "r.html").read_text() and report.trace.startswith("{")
    for html in (bundle._repr_html_(), report._repr_html_()):
        assert "<" in html and "h16" in html
    saved = bundle.save(tmp_path / "s.anepkg")
    bundle.save(saved)  # over itself
    assert sorted(p.name for p in tmp_path.iterdir()) == ["r.html", "r.json", "s.anepkg"]
    again = ane_mlir.Bundle(saved)
    np.testing.assert_array_equal(again.run({"image": IMAGE})["logits"], bundle.run({"image": IMAGE})["logits"])
    with pytest.raises(ValueError, match="was not compiled here"):
        again.report
    with pytest.raises(ValueError, match=r"ends in \.anepkg"):
        bundle.save(tmp_path / "s.mlpackage")
    (tmp_path / "mine.anepkg").mkdir()
    with pytest.raises(ValueError, match="is there and is no .anepkg"):
        bundle.save(tmp_path / "mine.anepkg")
    (comparison,) = bundle.compare(DIGITS, {"image": IMAGE})
    assert comparison.ok and comparison.cosine > 0.9999 and comparison.max_error > 0
    (comparison,) = bundle.compare(DIGITS, {"image": IMAGE}, rtol=0, atol=1e-9)
    assert not comparison.ok and comparison.outside > 0


def test_what_is_asked_for_has_its_effect(tmp_path, bundle):
    seen = []
    host = ane_mlir.compile(DIGITS, dims={"batch": 1}, placement="host", progress=lambda *event: seen.append(event))
    assert {p.kind for p in host.programs} == {"host"} and host.report.host_ops
    assert {"reading", "optimising", "writing"} <= {event[0] for event in seen}
    node = next(op["node"] for op in bundle.report.ops if op["op"] == "ane.conv")
    assert node in {op["node"] for op in ane_mlir.compile(DIGITS, dims={"batch": 1}, placement={node: "host"}).report.host}
    assert ane_mlir.compile(DIGITS, dims={"batch": 1}, target="m1").report.target == "h13"
    sampled = ane_mlir.compile(DIGITS, dims={"batch": 1}, calibration={"image": IMAGE}).report.data["accuracy"]
    assert sampled != bundle.report.data["accuracy"]
    assert ane_mlir.compile(DIGITS, dims={"batch": 1}, check="off").report.data["accuracy"]["not_measured"] == "--check=off"
    assert ane_mlir.check(DIGITS, dims={"batch": 1}).data["ops"] == bundle.report.data["ops"]
    # The last word is with what is written as a flag.
    assert ane_mlir.compile(DIGITS, dims={"batch": 1}, options=["--target=m2"]).report.target == "h14"


def test_errors_are_data(tmp_path):
    with pytest.raises(ane_mlir.CompileError) as caught:
        ane_mlir.compile(DIGITS)
    (only,) = caught.value.diagnostics
    assert (only.severity, only.node, only.remedy) == ("error", "image", "add --dim batch=N")
    path = save(tmp_path / "m.onnx", [helper.make_node("Foo", ["x"], ["y"], name="/odd", domain="my.ops")], [("x", TensorProto.FLOAT, [2])], [("y", TensorProto.FLOAT)])
    model = onnx.load(path)
    model.opset_import.append(helper.make_opsetid("my.ops", 1))
    with pytest.raises(ane_mlir.CompileError, match="my.ops.Foo") as caught:
        ane_mlir.compile(model)
    assert all("tensor<" not in d.message and "loc(" not in d.message for d in caught.value.diagnostics)
    path = save(tmp_path / "h.onnx", [helper.make_node("NonZero", ["x"], ["y"], name="/which")], [("x", TensorProto.FLOAT, [2, 3])], [("y", TensorProto.INT64)])
    with pytest.raises(ane_mlir.CompileError) as caught:
        ane_mlir.compile(path, options=["--require-ane"])
    assert any(d.node == "/which" and d.rule for d in caught.value.diagnostics), caught.value.diagnostics
    for arguments, message in (
        ({"target": "m99"}, "unknown target 'm99'"),
        ({"precision": "fp8"}, "expects --precision to be mixed, fp16 or fp32, but got 'fp8'"),
        ({"options": ["--tarjet=m1"]}, "did you mean 'target'"),
        ({"options": ["--help"]}, "'--help' is no option"),
        ({"output": tmp_path / "m.xyz"}, "does not know how to write"),
        ({"calibration": []}, "holds no sample"),
    ):
        with pytest.raises(ValueError, match=message):
            ane_mlir.compile(DIGITS, **arguments)
    # What was refused leaves nothing set for the next.
    assert ane_mlir.compile(DIGITS, dims={"batch": [1, 2]}).report.target == "h16"
    with pytest.raises(ane_mlir.RunError, match="is not found"):
        ane_mlir.Session(tmp_path / "nothing.anepkg")
    with pytest.raises(ane_mlir.CompileError, match="nothing.onnx' is not found"):
        ane_mlir.compile(tmp_path / "nothing.onnx")


def test_session_outlives_bundle():
    """What it runs stays where `compile` chose a folder, until it is gone itself."""
    session = ane_mlir.compile(DIGITS, dims={"batch": 1}).session()
    gc.collect()
    folder = pathlib.Path(session._path)
    assert folder.exists() and list(session.run({"image": IMAGE}))
    del session
    gc.collect()
    assert not folder.exists()


def test_inputs(bundle):
    session = bundle.session()
    (port,) = session.inputs
    assert (port.name, port.dtype, port.shape) == ("image", "fp32", (1, 1, 8, 8))
    for feeds, message in (
        ({"imag": IMAGE}, "'imag' is no input; did you mean 'image'"),
        ({"image": IMAGE[0]}, r"input 'image' expects shape \[1, 1, 8, 8\], but got \[1, 8, 8\]"),
        ({"image": IMAGE.astype(str)}, "input 'image' holds strings"),
        ({"image": IMAGE.astype(object)}, "input 'image' holds objects"),
        ({"image": IMAGE + 1j}, "input 'image' holds complex numbers"),
        ({}, r"input 'image' is not given; it is fp32 \[1, 1, 8, 8\]"),
        ({"image": np.full((1, 1, 8, 8), 2**24 + 1)}, "expects fp32, but the array has int64 that it does not hold exactly"),
    ):
        with pytest.raises(ValueError, match=message):
            session.run(feeds)
    with pytest.raises(ValueError, match="expects numerics to be fp32, fp16 or engine"):
        session.run({"image": IMAGE}, "fp64")
    wanted = session.run({"image": IMAGE})["logits"]
    for same in (IMAGE.astype(">f4"), np.asfortranarray(IMAGE), IMAGE[..., ::-1][..., ::-1], IMAGE.tolist(), IMAGE.astype(np.float64)):
        np.testing.assert_array_equal(session.run({"image": same})["logits"], wanted)
    # A view keeps its bytes, and results are nobody else's.
    shifted = np.frombuffer(b"x" + IMAGE.tobytes(), np.uint8)[1:].view(np.float32).reshape(IMAGE.shape)
    np.testing.assert_array_equal(session.run({"image": shifted})["logits"], wanted)
    first = session.run({"image": IMAGE})["logits"]
    first[:] = 0
    np.testing.assert_array_equal(session.run({"image": IMAGE})["logits"], wanted)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int8", "uint8", "int32", "int64", "bool"])
def test_dtypes(tmp_path, dtype):
    values = np.array([[0, 1, 1], [1, 0, 1]]).astype(dtype)
    path = save(tmp_path / "m.onnx", [helper.make_node("Transpose", ["x"], ["y"], perm=[1, 0])], [("x", helper.np_dtype_to_tensor_dtype(values.dtype), [2, 3])], [("y", helper.np_dtype_to_tensor_dtype(values.dtype))])
    output = ane_mlir.compile(path, precision="fp32").run({"x": values}, numerics="fp32")["y"]
    assert output.dtype == values.dtype
    np.testing.assert_array_equal(output, values.T)


def test_an_output_that_is_an_input(tmp_path):
    path = save(tmp_path / "m.onnx", [helper.make_node("Identity", ["x"], ["y"])], [("x", TensorProto.FLOAT, [4])], [("y", TensorProto.FLOAT)])
    session = ane_mlir.compile(path, precision="fp32").session(numerics="fp32")
    x = np.arange(4, dtype=np.float32)
    y = session.run({"x": x})["y"]
    y[:] = -1
    np.testing.assert_array_equal(x, [0, 1, 2, 3])


def test_an_artifact_written_anew_is_loaded_anew(tmp_path):
    for factor in (2.0, 3.0):
        model = save(tmp_path / "m.onnx", [helper.make_node("Mul", ["x", "f"], ["y"])], [("x", TensorProto.FLOAT, [4])], [("y", TensorProto.FLOAT)], [numpy_helper.from_array(np.float32(factor), "f")])
        package = ane_mlir.compile(model, output=tmp_path / "m.anepkg")
        again = again if factor == 3.0 else package  # noqa: F821 - of the first turn
        np.testing.assert_array_equal(again.run({"x": np.ones(4, np.float32)})["y"], np.full(4, factor))


def test_calls_cost_little(bundle):
    """Beside what the interpreter takes. The machine may be busy, so the best of many counts, and the bar is loose."""
    session = bundle.session()
    best = min(timed(session) for _ in range(200))
    assert best < 1e-3, best


def timed(session) -> float:
    start = time.perf_counter()
    session.run({"image": IMAGE})
    return time.perf_counter() - start - session.seconds


def test_threads_compile_to_the_same_bytes(tmp_path):
    def compile_one(index: int) -> str:
        ane_mlir.compile(DIGITS, dims={"batch": 1 + index % 2}, output=tmp_path / f"{index}.anepkg")
        return digest(tmp_path / f"{index}.anepkg")

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        digests = list(pool.map(compile_one, range(16)))
    assert len(set(digests[::2])) == 1 and len(set(digests[1::2])) == 1 and digests[0] != digests[1]
    tool = subprocess.run([ane_mlir.find_tool("onnx-to-ane"), DIGITS, "--dim=batch=1", "-o", tmp_path / "t.anepkg", "--quiet"])
    assert tool.returncode == 0 and digest(tmp_path / "t.anepkg") == digests[0]


def test_one_session_in_many_threads(bundle):
    session = bundle.session()
    wanted = session.run({"image": IMAGE})["logits"]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for output in pool.map(lambda _: session.run({"image": IMAGE})["logits"], range(64)):
            np.testing.assert_array_equal(output, wanted)


def test_the_lock_is_released(bundle):
    """Another thread goes on while one compiles."""
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        future, steps = pool.submit(ane_mlir.compile, DIGITS, dims={"batch": 64}, check="full"), 0
        while not future.done():
            steps += 1
    assert steps > 100


def test_memory_is_flat():
    def resident() -> int:
        gc.collect()
        return int(pathlib.Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()

    if not pathlib.Path("/proc/self/statm").exists():
        pytest.skip("needs /proc")

    def cycle() -> None:
        ane_mlir.compile(DIGITS, dims={"batch": 1}).run({"image": IMAGE})

    for _ in range(60):
        cycle()
    before = resident()
    for _ in range(200):
        cycle()
    assert resident() < before * 1.05, (before, resident())


SLOW = """
import sys, time, tempfile, pathlib
import numpy as np, onnx
from onnx import helper, TensorProto, numpy_helper
import ane_mlir
layers, width = 16, 512
nodes, weights, value = [], [], "x"
for i in range(layers):
    weights.append(numpy_helper.from_array(np.random.default_rng(i).standard_normal((width, width)).astype(np.float32) / 23, f"w{i}"))
    nodes += [helper.make_node("MatMul", [value, f"w{i}"], [f"m{i}"]), helper.make_node("Tanh", [f"m{i}"], [f"t{i}"])]
    value = f"t{i}"
graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 512, width])], [helper.make_tensor_value_info(value, TensorProto.FLOAT, None)], weights)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
print("go", flush=True)
try:
    ane_mlir.compile(model, check="full", output=sys.argv[1] + "/m.anepkg", progress=lambda phase, *more: print(phase, flush=True))
except KeyboardInterrupt:
    print("interrupted", time.monotonic(), flush=True)
print("end", flush=True)
"""


@pytest.mark.parametrize("phase", ["converting", "measuring", "checking"])
def test_ctrl_c(tmp_path, phase):
    script = tmp_path / "slow.py"
    script.write_text(SLOW)
    out, scratch = tmp_path / "out", tmp_path / "tmp"
    out.mkdir()
    scratch.mkdir()
    # A shell's background jobs, and so perhaps this run of the tests, ignore the signal.
    listen = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    process = subprocess.Popen([sys.executable, script, out], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**ENV, "TMPDIR": str(scratch)}, preexec_fn=listen)
    assert process.stdout
    for line in process.stdout:
        if line.strip() == phase:
            break
    time.sleep(0.05)
    sent = time.monotonic()
    process.send_signal(signal.SIGINT)
    text, errors = process.communicate(timeout=120)
    told = [line.split() for line in text.splitlines() if line.startswith("interrupted")]
    assert told, (text, errors)
    # The bar is 0.2 s; a busy machine gets more time.
    assert float(told[0][1]) - sent < 1.0, (told, sent)
    assert process.returncode == 0 and text.rstrip().endswith("end")
    assert list(out.iterdir()) == [] and list(scratch.iterdir()) == []


COMMANDS = ["onnx-to-ane", "ane-check", "ane-diff", "ane-generate", "ane-info", "ane-run", "mil-verify"]


def command(name: str, *arguments: object, **options) -> subprocess.CompletedProcess[str]:
    """As the script that pip makes calls it."""
    code = f"import sys; from ane_mlir import _commands; _commands.{name.replace('-', '_')}()"
    return subprocess.run([sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True, env=ENV, **options)


@pytest.mark.parametrize("name", COMMANDS)
def test_commands_are_the_tools(tmp_path, name):
    """What pip installs says and does what the executables do; exit statuses too."""
    ane_mlir.compile(DIGITS, dims={"batch": 1}).save(tmp_path / "m.anepkg")
    ane_mlir.compile(DIGITS, dims={"batch": 1}, output=tmp_path / "m.mlpackage")
    works = {
        "onnx-to-ane": [DIGITS, "--dim=batch=1", "-o", tmp_path / "again.anepkg", "--quiet"],
        "ane-check": [DIGITS, "--dim=batch=1", "--format=json"],
        "ane-diff": [tmp_path / "m.anepkg", tmp_path / "m.anepkg"],
        "ane-generate": [tmp_path / "m.anepkg", "--prompt-ids=1"],
        "ane-info": [tmp_path / "m.anepkg"],
        "ane-run": [tmp_path / "m.anepkg", "--random-inputs=1"],
        "mil-verify": [tmp_path / "m.mlpackage"],
    }[name]
    for arguments in ([], ["--help"], ["--version"], ["--nonsense"], ["nothing.anepkg"], works):
        mine = command(name, *arguments, cwd=tmp_path)
        its = subprocess.run([name, *map(str, arguments)], executable=ane_mlir.find_tool(name), capture_output=True, text=True, cwd=tmp_path)
        assert (mine.returncode, mine.stdout, mine.stderr) == (its.returncode, its.stdout, its.stderr), arguments
    assert its.returncode == (1 if name == "ane-generate" else 0)


def test_commands_are_all_installed():
    listed = tomllib.loads((ROOT / "python/pyproject.toml").read_text())["project"]["scripts"]
    assert listed == {name: f"ane_mlir._commands:{name.replace('-', '_')}" for name in COMMANDS}


# Linux has a file that is always full; macOS has none.
@pytest.mark.skipif(not pathlib.Path("/dev/full").exists(), reason="there is no /dev/full, a file of Linux, to write to")
def test_commands_notice_what_cannot_be_written(tmp_path):
    ane_mlir.compile(DIGITS, dims={"batch": 1}).save(tmp_path / "m.anepkg")
    code = "from ane_mlir import _commands; _commands.ane_info()"
    with open("/dev/full", "w") as full:
        done = subprocess.run([sys.executable, "-c", code, tmp_path / "m.anepkg"], stdout=full, stderr=subprocess.PIPE, text=True, env=ENV)
    assert done.returncode == 1 and "standard output cannot be written" in done.stderr, done.stderr


def test_commands_end_by_signals(tmp_path):
    """And leave nothing: a command is no Python program that raises KeyboardInterrupt."""
    code = "from ane_mlir import _commands; _commands.ane_run()"
    ane_mlir.compile(DIGITS, dims={"batch": 1}).save(tmp_path / "m.anepkg")
    (tmp_path / "out").mkdir()
    for number in (signal.SIGINT, signal.SIGTERM):
        listen = functools.partial(signal.signal, number, signal.SIG_DFL)
        process = subprocess.Popen([sys.executable, "-c", code, tmp_path / "m.anepkg", "--random-inputs=1", "--repeat=100000000", f"--output-dir={tmp_path}/out"], env=ENV, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, preexec_fn=listen)
        time.sleep(1)
        assert process.poll() is None, process.stderr.read()
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
        assert process.returncode == -number and "Traceback" not in said
        assert not list((tmp_path / "out").iterdir())


def test_import_is_quick():
    """And brings none of the packages that only some arguments need."""
    code = "import sys, ane_mlir; print([m for m in ('onnx', 'torch', 'dask', 'multiprocessing', 'concurrent.futures') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=ENV)
    assert done.stdout.strip() == "[]", done.stderr


def test_import_costs_less_than_numpy():
    """Whose import it contains: bar 0.2 s for both, on a machine that is not busy."""
    code = "import time; s = time.perf_counter(); import numpy; t = time.perf_counter(); import ane_mlir; print(t - s, time.perf_counter() - t)"
    times = [tuple(map(float, subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=ENV).stdout.split())) for _ in range(5)]
    assert min(own for _, own in times) <= 1.5 * min(numpy for numpy, _ in times), times


def test_errors_travel():
    with pytest.raises(ane_mlir.CompileError) as caught:
        ane_mlir.compile(DIGITS)
    again = pickle.loads(pickle.dumps(caught.value))
    assert type(again) is ane_mlir.CompileError and again.diagnostics == caught.value.diagnostics and str(again) == str(caught.value)


def test_backend(tmp_path):
    from ane_mlir import backend

    a, b = np.arange(6, dtype=np.float32).reshape(2, 3), np.float32(2)
    (added,) = backend.run_node(helper.make_node("Add", ["a", "b"], ["c"]), [a, b])
    np.testing.assert_array_equal(added, a + 2)
    # The shape is an input, which becomes a constant at each run.
    path = save(tmp_path / "r.onnx", [helper.make_node("Reshape", ["x", "s"], ["y"])], [("x", TensorProto.FLOAT, [2, 3]), ("s", TensorProto.INT64, [2])], [("y", TensorProto.FLOAT)])
    prepared = backend.prepare(onnx.load(path))
    for shape in ([3, 2], [1, 6]):
        (reshaped,) = prepared.run([a, np.array(shape)])
        np.testing.assert_array_equal(reshaped, a.reshape(shape))
    (logits,) = backend.run_model(onnx.load(DIGITS), [IMAGE], dims={"batch": 1})
    np.testing.assert_allclose(logits, reference(DIGITS, {"image": IMAGE})[0], rtol=1e-4, atol=1e-4)
    assert backend.is_compatible(onnx.load(DIGITS), dims={"batch": 1}) and not backend.is_compatible(onnx.load(DIGITS))
    assert backend.supports_device("CPU") and not backend.supports_device("CUDA")
    with pytest.raises(ValueError, match="expects device CPU, but got 'CUDA'"):
        backend.prepare(onnx.load(DIGITS), "CUDA")
    with pytest.raises(ValueError, match="expects 2 inputs, but got 3"):
        prepared.run([a, np.array([6]), a])


def test_looking():
    assert {"h13", "h16"} <= {t.name for t in ane_mlir.targets()} and "m4" in next(t for t in ane_mlir.targets() if t.name == "h16").chips
    assert "operation does not compile" in ane_mlir.explain("L05")
    with pytest.raises(ValueError, match="L05"):
        ane_mlir.explain("L5")
    text = "func.func @f(%x: tensor<4xf32>) -> tensor<4xf32> {\n %a = ane.relu %x : (tensor<4xf32>) -> tensor<4xf32>\n %b = ane.relu %x : (tensor<4xf32>) -> tensor<4xf32>\n return %b : tensor<4xf32>\n}"
    assert ane_mlir.opt(text, "builtin.module(cse)").count("ane.relu") == 1
    with pytest.raises(ane_mlir.CompileError, match="nonsense"):
        ane_mlir.opt(text, "builtin.module(nonsense)")
    with pytest.raises(ane_mlir.CompileError, match="expected"):
        ane_mlir.opt("func.func", "builtin.module(ane-simplify)")


MIL = """program(1.3)
{
    func main<ios18>(tensor<fp16, [1, 4, 1, 32]> x) {
        tensor<fp16, [1, 4, 1, 32]> w = const()[name = string("w"), val = tensor<fp16, [1, 4, 1, 32]>(BLOBFILE(path = string("@model_path/weights/weight.bin"), offset = uint64(64)))];
        tensor<fp16, [1, 4, 1, 32]> y = %s(x = x%s)[name = string("y")];
    } -> (y);
}
"""


def test_simulate(tmp_path):
    values = np.linspace(-2, 2, 128).astype(np.float16)
    # MILBlob v2: header, descriptor, payload (dialects/ANE/engine/weights.md, 2.1).
    blob = np.zeros(128 + 256, np.uint8)
    blob[:8].view(np.uint32)[:] = (1, 2)
    descriptor = blob[64:128]
    descriptor[:8].view(np.uint32)[:] = (0xDEADBEEF, 1)
    descriptor[8:24].view(np.uint64)[:] = (256, 128)
    blob[128:] = values.view(np.uint8)
    x = np.random.default_rng(1).random((1, 4, 1, 32)).astype(np.float16)
    outputs = ane_mlir.simulate(MIL % ("add", ", y = w"), {"@model_path/weights/weight.bin": blob.tobytes()}, {"x": x}, target="m4", strict=True)
    np.testing.assert_allclose(outputs["y"], x + values.reshape(x.shape), atol=2e-3)
    with pytest.raises(ane_mlir.RunError, match="weight"):
        ane_mlir.simulate(MIL % ("add", ", y = w"), {}, {"x": x})
    with pytest.raises(ValueError, match="below @model_path/"):
        ane_mlir.simulate(MIL % ("add", ", y = w"), {"../w.bin": b""}, {"x": x})
    # What that engine does not take names its rule; without strict it runs.
    text = (MIL % ("erf", "")).replace("[1, 4, 1, 32]> x", "[1, 4, 1, 30]> x").replace("[1, 4, 1, 32]> y", "[1, 4, 1, 30]> y")
    narrow = x[..., :30]
    assert ane_mlir.simulate(text, {"weights/weight.bin": blob.tobytes()}, {"x": narrow})["y"].shape == narrow.shape
    with pytest.raises(ane_mlir.CompileError) as caught:
        ane_mlir.simulate(text, {"weights/weight.bin": blob.tobytes()}, {"x": narrow}, strict=True)
    assert "L40" in {d.rule for d in caught.value.diagnostics}, caught.value.diagnostics


def test_lengths(tmp_path) -> None:
    """Of a bundle of several lengths the function runs whose shapes the arrays have; extents that are none are refused, as a mistake of the caller."""
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3])], [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 3])])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "m.onnx")
    bundle = ane_mlir.compile(tmp_path / "m.onnx", dims={"n": [4, 9]}, check="off")
    for n in (9, 4, 9):
        assert bundle.run({"x": np.full((n, 3), -1, np.float32)})["y"].shape == (n, 3)
    with pytest.raises(ValueError, match=r"no function takes arrays of these shapes; there are n4 \(x \[4, 3\]\), n9 \(x \[9, 3\]\)"):
        bundle.run({"x": np.zeros((5, 3), np.float32)})
    for extents, said in (([], "an extent at least for dimension 'n'"), (-1, "extents from 0 on for dimension 'n'"), ([9, 9], "the extent 9 twice")):
        with pytest.raises(ValueError, match=said):
            ane_mlir.compile(tmp_path / "m.onnx", dims={"n": extents}, check="off")


def test_training_is_an_option(tmp_path) -> None:
    """What the command line has, options= take, and --help tells."""
    done = subprocess.run([ane_mlir.find_tool("onnx-to-ane"), "--help"], capture_output=True, text=True, check=True)
    assert "--train" in done.stdout and "--lora" in done.stdout
    made = ane_mlir.compile(DIGITS, dims={"batch": 4}, output=tmp_path / "m.anepkg", options=["--train", "--loss=cross-entropy", "--check=off"])
    assert "training" in made.manifest


def test_a_package_of_the_same_model(tmp_path) -> None:
    """What is written again is the model that the bundle is of, or is refused; options in two words are understood."""
    (tmp_path / "m.onnx").write_bytes(DIGITS.read_bytes())
    bundle = ane_mlir.compile(tmp_path / "m.onnx", dims={"batch": 1}, check="off", options=["--placement", "host"])
    assert bundle.to_mlpackage(tmp_path / "m.mlpackage").path.exists()
    model = onnx.load(tmp_path / "m.onnx")
    model.doc_string = "another"
    onnx.save(model, tmp_path / "m.onnx")
    with pytest.raises(ValueError, match="changed after the bundle was compiled"):
        bundle.to_mlpackage(tmp_path / "n.mlpackage")
