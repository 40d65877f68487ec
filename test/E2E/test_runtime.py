"""Bundles through the runtime (lib/Runtime) and the stand-in for the engine's framework: the same results, bit by bit, as in the
interpreter with the engine's numerics."""

from __future__ import annotations

import json
import os
import pathlib
import shlex
import shutil
import signal
import subprocess
import sys
import time
import tomllib

import architectures
import builders
import onnx
import pytest
import test_states
import test_training
from conftest import ROOT, SHARED


BIN = pathlib.Path(os.environ["ANE_MLIR_BIN"])
STANDIN = BIN.parent / "lib/libane-standin.so"
pytestmark = pytest.mark.skipif(not STANDIN.exists(), reason="the stand-in is not built: it wants GNUstep (libgnustep-base-dev)")

EXPORTED = sorted(p.name for p in (SHARED / "models/exported").glob("*")) if (SHARED / "models/exported").is_dir() else []


def tool(name: str, *arguments: object, ok: bool = True, **environment: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([BIN / name, *map(str, arguments)], capture_output=True, text=True, env={**os.environ, **environment})
    assert not ok or done.returncode == 0, done.stderr[-3000:]
    return done


def on_engine(bundle: pathlib.Path, *arguments: object, standin: str = "", ok: bool = True, **environment: str) -> subprocess.CompletedProcess[str]:
    """ane-run --device=engine on the stand-in for the bundle's target."""
    target = json.loads((bundle / "manifest.json").read_text())["target"]
    words = f"target={target};{standin}"
    return tool("ane-run", bundle, "--device=engine", *arguments, ok=ok, ANE_RUNTIME_FRAMEWORK=str(STANDIN), ANE_STANDIN=words, **environment)


def convert(model: onnx.ModelProto | pathlib.Path, folder: pathlib.Path, *options: str) -> pathlib.Path:
    if isinstance(model, onnx.ModelProto):
        onnx.save(model, folder / "model.onnx")
        model = folder / "model.onnx"
    tool("onnx-to-ane", model, "-o", folder / "model.anepkg", "--quiet", "--check=off", "--calibration=none", *options)
    return folder / "model.anepkg"


def check_same(bundle: pathlib.Path, folder: pathlib.Path) -> None:
    """Interpreter and stand-in, each function, with NaN in the padding of inputs; nothing may be left behind."""
    manifest = json.loads((bundle / "manifest.json").read_text())
    for function in manifest.get("functions", [manifest]):
        named = [f"--function={function['name']}"] if "name" in function else []
        for name in ("staging", "interpreter", "engine"):
            shutil.rmtree(folder / name, ignore_errors=True)
        staging = folder / "staging"
        staging.mkdir()
        tool("ane-run", bundle, *named, "--random-inputs=1", "--numerics=engine", "--output-dir", folder / "interpreter", "--quiet")
        report = folder / "report.json"
        words = f"compiles=0;report={report}"
        on_engine(bundle, *named, "--random-inputs=1", "--poison-padding", "--output-dir", folder / "engine", "--quiet", standin=words, TMPDIR=str(staging))
        listed = json.loads((folder / "interpreter/outputs.json").read_text())
        assert listed == json.loads((folder / "engine/outputs.json").read_text()) and listed
        for entry in listed:
            assert (folder / "interpreter" / entry["file"]).read_bytes() == (folder / "engine" / entry["file"]).read_bytes(), entry["name"]
        assert not list(staging.iterdir())
        engines = {step["program"] for step in function["schedule"] if manifest["programs"][step["program"]]["kind"] == "ane"}
        if engines:
            counts = json.loads(report.read_text())
            assert counts["most_programs"] == len(engines) and counts["live_programs"] == counts["live_surfaces"] == 0
    shutil.rmtree(bundle)


@pytest.mark.parametrize("name", [*builders.BUILDERS, *architectures.BUILDERS])
def test_same_as_the_interpreter(name, tmp_path):
    model = builders.BUILDERS[name]() if name in builders.BUILDERS else architectures.BUILDERS[name]()
    check_same(convert(model, tmp_path), tmp_path)


@pytest.mark.parametrize("target", ["h13", "h14", "h15", "h17", "h18"])
def test_same_on_every_generation(target, tmp_path):
    check_same(convert(builders.BUILDERS["vit"](), tmp_path, f"--target={target}"), tmp_path)


def test_digits(tmp_path):
    check_same(convert(ROOT / "test/E2E/digits/digits.onnx", tmp_path, "--dim=batch=1"), tmp_path)


@pytest.mark.parametrize("name", EXPORTED)
def test_exported_models(name, tmp_path):
    folder = SHARED / "models/exported" / name
    options = shlex.split((folder / "args.txt").read_text()) if (folder / "args.txt").exists() else []
    check_same(convert(folder / "model.onnx", tmp_path, *options), tmp_path)


TRAINED = {"face-rfb-320.onnx": (), "silero-vad-16k-op15.onnx": ("--input-shape=input=1,576", "--input-shape=state=2,1,128")}


@pytest.mark.parametrize("name", TRAINED)
def test_trained_models(shared, name, tmp_path):
    check_same(convert(shared / "models" / name, tmp_path, *TRAINED[name]), tmp_path)


#
# Functions, states, training
#


@pytest.fixture(scope="module")
def decoder(tmp_path_factory) -> pathlib.Path:
    folder = tmp_path_factory.mktemp("decoder")
    return convert(test_states.decoder(), folder, "--dim=batch=1", "--dim=sequence=16,4,1", "--dim=past=48", "--state=auto")


def test_generation(decoder, tmp_path):
    """A decoder of three lengths with states in surfaces: the same tokens, and a state that is full says so."""
    prompt = "--prompt-ids=" + ",".join(str(7 * i % 300) for i in range(23))
    here = tool("ane-generate", decoder, prompt, "--tokens=20", "--numerics=engine")
    environment = {"ANE_RUNTIME_FRAMEWORK": str(STANDIN), "ANE_STANDIN": f"target=h16;report={tmp_path}/report.json"}
    there = tool("ane-generate", decoder, prompt, "--tokens=20", "--device=engine", **environment)
    assert there.stdout == here.stdout and there.stdout.count(",") == 19
    # The prompt is 16 + 4 + 1 + 1 + 1: each function was compiled once.
    assert json.loads((tmp_path / "report.json").read_text())["most_programs"] == 3
    full = tool("ane-generate", decoder, prompt, "--tokens=40", "--device=engine", ok=False, **environment)
    assert full.returncode == 1 and "rows of at most 48; 1 more do not fit" in full.stderr, full.stderr
    assert tool("ane-generate", decoder, prompt, "--device=engine", "--numerics=fp32", ok=False).returncode == 2
    absent = tool("ane-generate", decoder, prompt, "--device=engine", ok=False)
    assert absent.returncode == 1 and "no Neural Engine framework" in absent.stderr


def test_functions_by_shape(decoder, tmp_path):
    """Of several the one that the arrays fit; states are given or zeros."""
    check_same(shutil.copytree(decoder, tmp_path / "copy.anepkg"), tmp_path)
    import numpy as np

    np.save(tmp_path / "ids.npy", np.arange(4)[None])
    done = on_engine(decoder, f"--input=input_ids={tmp_path}/ids.npy", "--random-inputs=3", "--profile", "--compare-devices", "--repeat=3")
    assert "function sequence4" in done.stdout and "all results of all steps are the same, bit by bit" in done.stdout
    state = json.loads((decoder / "manifest.json").read_text())["functions"][0]["inputs"][3]
    np.save(tmp_path / "state.npy", np.random.default_rng(0).standard_normal(state["shape"]).astype(np.float32))
    for place, options in (("here", ["--numerics=engine"]), ("there", [])):
        arguments = ["--function=sequence1", f"--input={state['name']}={tmp_path}/state.npy", "--random-inputs=3", f"--output-dir={tmp_path}/{place}", "--quiet"]
        tool("ane-run", decoder, *arguments, *options) if place == "here" else on_engine(decoder, *arguments)
    for file in (tmp_path / "here").glob("*.npy"):
        assert file.read_bytes() == (tmp_path / "there" / file.name).read_bytes(), file.name
    wrong = on_engine(decoder, "--function=sequence2", "--random-inputs=3", ok=False)
    assert wrong.returncode == 1 and "it has sequence16, sequence4, sequence1" in wrong.stderr


def test_states_that_are_replaced(tmp_path):
    """The output surface of one call is the input of the next; the same bits after some calls."""
    nodes = [onnx.helper.make_node("MatMul", ["h_in", "w"], ["m"]), onnx.helper.make_node("Add", ["m", "x"], ["s"]), onnx.helper.make_node("Tanh", ["s"], ["h_out"])]
    import numpy as np

    w = (np.random.default_rng(0).standard_normal((64, 64)) / 8).astype(np.float32)
    value = lambda n: onnx.helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, [1, 64])  # noqa: E731
    graph = onnx.helper.make_graph(nodes, "g", [value("x"), value("h_in")], [value("h_out")], [onnx.numpy_helper.from_array(w, "w")])
    bundle = convert(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8), tmp_path, "--state=auto")
    seen = set()
    for repeat in (1, 2, 7):
        arguments = ["--random-inputs=3", f"--repeat={repeat}", "--quiet"]
        tool("ane-run", bundle, *arguments, "--numerics=engine", f"--output-dir={tmp_path}/here")
        on_engine(bundle, *arguments, f"--output-dir={tmp_path}/there")
        made = (tmp_path / "there/output_0.npy").read_bytes()
        assert made == (tmp_path / "here/output_0.npy").read_bytes()
        seen.add(made)
    assert len(seen) == 3


@pytest.mark.parametrize("options", [[], ["--lora=4"], ["--loss-scale=1024", "--accumulate=2"], ["--train-weights=patch"]], ids=["all", "lora", "accumulated", "patched"])
def test_training_gives_the_same_bits(options, tmp_path):
    """Losses, weights and moments of a run through the stand-in are those of the interpreter."""
    images = test_training.digits(tmp_path)
    assert len(images) == 2
    test_training.convert(test_training.training_models.build_cnn("batch"), tmp_path, "--loss=cross-entropy", "--batch=16", "--quiet", *options)
    arguments = ["--train", tmp_path / "data", "--steps=6", "--quiet"]
    tool("ane-run", tmp_path / "m.anepkg", *arguments, "--numerics=engine", f"--csv={tmp_path}/here.csv", f"--checkpoint={tmp_path}/here.safetensors")
    report = f"report={tmp_path}/report.json"
    on_engine(tmp_path / "m.anepkg", *arguments, "--device=engine", f"--csv={tmp_path}/there.csv", f"--checkpoint={tmp_path}/there.safetensors", standin=report)
    assert (tmp_path / "here.safetensors").read_bytes() == (tmp_path / "there.safetensors").read_bytes()
    assert test_training.losses(tmp_path / "here.csv") == test_training.losses(tmp_path / "there.csv")
    plain = on_engine(tmp_path / "m.anepkg", "--random-inputs=1", "--quiet")
    assert ("trained in their files" in plain.stderr) == ("--train-weights=patch" in options)
    counts = json.loads((tmp_path / "report.json").read_text())
    assert counts["most_programs"] >= 1 and counts["live_programs"] == counts["live_surfaces"] == 0
    wrong = on_engine(tmp_path / "m.anepkg", *arguments, "--compare-devices", ok=False)
    assert wrong.returncode == 2 and "--compare-devices has no effect with --train" in wrong.stderr


def test_python(tmp_path, monkeypatch):
    """bundle.run(device=) in this process: the same bits; what there is not is said."""
    import ane_mlir
    import numpy as np

    bundle = ane_mlir.compile(builders.BUILDERS["vit"](), check="off", calibration="none")
    session = bundle.session(numerics="engine")
    feeds = {port.name: np.random.default_rng(2).standard_normal(port.shape).astype(np.float32) for port in session.inputs}
    with pytest.raises(ane_mlir.RunError, match="no Neural Engine framework"):
        bundle.run(feeds, device="engine")
    with pytest.raises(ValueError, match="interpreter or engine"):
        bundle.run(feeds, device="gpu")
    code = (
        "import sys, numpy, ane_mlir\nbundle, feeds, out = sys.argv[1:]\n"
        "made = ane_mlir.Bundle(bundle).run(dict(numpy.load(feeds)), device='engine')\nnumpy.savez(out, **made)\n"
    )
    np.savez(tmp_path / "feeds.npz", **feeds)
    environment = {**os.environ, "ANE_RUNTIME_FRAMEWORK": str(STANDIN), "ANE_STANDIN": "target=h16"}
    done = subprocess.run([sys.executable, "-c", code, bundle.path, tmp_path / "feeds.npz", tmp_path / "made.npz"], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    made, expected = np.load(tmp_path / "made.npz"), session.run(feeds)
    assert set(made) == set(expected)
    for name, value in expected.items():
        assert made[name].tobytes() == value.tobytes(), name


#
# The library on its own
#


@pytest.fixture(scope="module")
def prefix(tmp_path_factory):
    folder = tmp_path_factory.mktemp("prefix")
    done = subprocess.run(["cmake", "--install", BIN.parent, "--prefix", folder], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


def compiler() -> str:
    for line in (BIN.parent / "CMakeCache.txt").read_text().splitlines():
        if line.startswith("CMAKE_C_COMPILER:"):
            return line.split("=", 1)[1]
    return "cc"


def test_example_in_c(prefix, tmp_path):
    """60 lines of C99 against what is installed, by pkg-config's words, with and without host steps."""
    source = ROOT / "test/Runtime/example.c"
    assert len(source.read_text().splitlines()) <= 60
    words = (prefix / "lib/pkgconfig/ane-runtime.pc").read_text()
    libraries = words.split("Libs: ")[1].replace("${libdir}", str(prefix / "lib")).split()
    strict = [compiler(), "-std=c99", "-Wall", "-Wextra", "-pedantic", "-Werror", f"-I{prefix}/include", source]
    subprocess.run([*strict, "-o", tmp_path / "plain", *libraries], check=True)
    host = [f"-L{prefix}/lib", "-lane-host", f"-Wl,-rpath,{prefix}/lib"]
    subprocess.run([*strict, "-DWITH_HOST", "-o", tmp_path / "hosted", *host, *libraries], check=True)
    bundle = convert(ROOT / "test/E2E/digits/digits.onnx", tmp_path, "--dim=batch=1")
    on = {**os.environ, "ANE_RUNTIME_FRAMEWORK": str(prefix / "lib/libane-standin.so")}
    engine = subprocess.run([tmp_path / "plain", bundle], capture_output=True, text=True, env=on)
    assert engine.returncode == 0 and engine.stdout.startswith("logits: fp32 "), engine.stderr
    assert subprocess.run([tmp_path / "hosted", bundle, "host"], capture_output=True, text=True).stdout == engine.stdout
    # Neither LLVM nor MLIR nor Objective-C in a program of the small library.
    linked = subprocess.run(["ldd", tmp_path / "plain"], capture_output=True, text=True, check=True).stdout
    assert not [word for word in ("LLVM", "MLIR", "objc", "gnustep", "dnnl") if word in linked], linked
    absent = subprocess.run([tmp_path / "plain", bundle], capture_output=True, text=True)
    assert absent.returncode == 1 and "there is no Neural Engine framework on this system" in absent.stderr


BLAS = """
#include <stdio.h>
#include <stdlib.h>
void cblas_sgemm(int order, int ta, int tb, int m, int n, int k, float alpha, const float *a, int lda, const float *b, int ldb, float beta, float *c, int ldc) {
  FILE *log = fopen(getenv("BLAS_LOG"), "a");
  fprintf(log, "%d %d %d %d %d %d\\n", order, ta, tb, m, n, k);
  fclose(log);
  for (int i = 0; i < m; ++i)
    for (int j = 0; j < n; ++j) {
      double sum = 0;
      for (int t = 0; t < k; ++t)
        sum += (double)a[ta == 112 ? t * lda + i : i * lda + t] * b[tb == 112 ? j * ldb + t : t * ldb + j];
      c[i * ldc + j] = alpha * (float)sum + (beta ? beta * c[i * ldc + j] : 0);
    }
}
"""


def test_products_of_host_steps_by_a_library(tmp_path):
    """Where a library has cblas_sgemm, host steps multiply by it: Accelerate on a Mac, here one of this test's own."""
    import numpy as np

    (tmp_path / "blas.c").write_text(BLAS)
    subprocess.run([compiler(), "-shared", "-fPIC", "-O2", "-o", tmp_path / "libblas.so", tmp_path / "blas.c"], check=True)
    onnx.save(builders.BUILDERS["vit"](), tmp_path / "model.onnx")
    bundle = tmp_path / "model.anepkg"
    tool("onnx-to-ane", tmp_path / "model.onnx", "-o", bundle, "--precision=fp32", "--quiet")
    tool("ane-run", bundle, "--random-inputs=1", "--numerics=engine", f"--output-dir={tmp_path}/own", "--quiet")
    other = {"ANE_HOST_BLAS": str(tmp_path / "libblas.so"), "BLAS_LOG": str(tmp_path / "log")}
    on_engine(bundle, "--random-inputs=1", f"--output-dir={tmp_path}/other", "--quiet", **other)
    calls = [line.split() for line in (tmp_path / "log").read_text().splitlines()]
    assert len(calls) > 10 and {call[0] for call in calls} == {"101"} and {call[2] for call in calls} == {"111", "112"}
    own, made = (np.load(tmp_path / place / "output_0.npy") for place in ("own", "other"))
    assert np.abs(own - made).max() < 1e-4 * np.abs(own).max()
    on_engine(bundle, "--random-inputs=1", f"--output-dir={tmp_path}/none", "--quiet", ANE_HOST_BLAS="none")
    assert (tmp_path / "none/output_0.npy").read_bytes() == (tmp_path / "own/output_0.npy").read_bytes()
    for library, words in (("/nowhere/libblas.so", "nowhere"), (str(STANDIN), "has no cblas_sgemm")):
        done = on_engine(bundle, "--random-inputs=1", ok=False, ANE_HOST_BLAS=library)
        assert done.returncode == 1 and "ANE_HOST_BLAS" in done.stderr and words in done.stderr, done.stderr


def test_cmake_package(prefix, tmp_path):
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.22)\nproject(p C CXX)\nfind_package(ANERuntime REQUIRED CONFIG)\n"
        f"add_executable(example {ROOT}/test/Runtime/example.c)\nset_target_properties(example PROPERTIES LINKER_LANGUAGE CXX)\n"
        "target_link_libraries(example PRIVATE ANERuntime)\n"
    )
    configure = ["cmake", "-G", "Ninja", "-S", tmp_path, "-B", tmp_path / "b", f"-DCMAKE_PREFIX_PATH={prefix}", f"-DCMAKE_C_COMPILER={compiler()}"]
    done = subprocess.run(configure, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    done = subprocess.run(["cmake", "--build", tmp_path / "b"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_device_options(tmp_path):
    bundle = convert(ROOT / "test/E2E/digits/digits.onnx", tmp_path, "--dim=batch=1")
    done = on_engine(bundle, "--random-inputs=0", "--repeat=3", "--profile", "--compare-devices")
    assert "    3  programs/000.mil" in done.stdout and done.stdout.count("all results of all steps are the same, bit by bit") == 1
    done = tool("ane-run", bundle, "--device=engine", "--random-inputs=0", ok=False)
    assert done.returncode == 1 and done.stderr.count("\n") == 1 and "no Neural Engine framework" in done.stderr
    trace = tmp_path / "trace.json"
    on_engine(bundle, "--random-inputs=0", "--repeat=3", f"--trace={trace}", "--quiet", standin="delay=evaluate:3000")
    events = [event for event in json.loads(trace.read_text())["traceEvents"] if event["ph"] == "X"]
    measured, predicted = ([event for event in events if event["pid"] == process] for process in (1, 2))
    manifest = json.loads((bundle / "manifest.json").read_text())
    assert len(measured) == len(predicted) == 3 * len(manifest["schedule"]) and {event["name"] for event in events} == {p["text"] for p in manifest["programs"]}
    assert all(event["dur"] >= 3000 for event in measured if event["cat"] == "ane") and [e["ts"] for e in measured] == sorted(e["ts"] for e in measured)
    assert predicted[0]["dur"] == manifest["programs"][manifest["schedule"][0]["program"]]["predicted_us"]
    for wrong in (["--device=gpu"], ["--compare-devices"], ["--trace=x.json"], ["--device=engine", "--numerics=fp32"], ["--device=engine", "--dump-intermediates=x"], ["--repeat=0"]):
        assert tool("ane-run", bundle, *wrong, ok=False).returncode == 2
    done = on_engine(bundle, "--random-inputs=0", standin="fail=evaluate:1", ok=False)
    assert done.returncode == 1 and "program 'programs/000.mil' fails" in done.stderr
    # A chip with other numerics: the comparison shows it.
    done = tool(
        "ane-run",
        bundle,
        "--device=engine",
        "--random-inputs=0",
        "--compare-devices",
        "--atol=0",
        "--rtol=0",
        ANE_RUNTIME_FRAMEWORK=str(STANDIN),
        ANE_STANDIN="target=h13",
    )
    assert "results of steps differ between engine and interpreter" in done.stdout and "programs/000.mil, " in done.stdout


def test_damaged_weights_are_named(tmp_path):
    bundle = convert(ROOT / "test/E2E/digits/digits.onnx", tmp_path, "--dim=batch=1")
    file = max((bundle / "weights").iterdir(), key=lambda path: path.stat().st_size)
    data = bytearray(file.read_bytes())
    data[-5] ^= 0x40
    file.write_bytes(data)
    done = on_engine(bundle, "--random-inputs=1", standin="compiles=0", ok=False)
    assert done.returncode == 1 and f"{file.name}' is corrupt" in done.stderr and "--no-verify" in done.stderr, done.stderr
    assert on_engine(bundle, "--random-inputs=1", "--no-verify", standin="compiles=0").returncode == 0


#
# ane-probe
#

@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM])
def test_signals_leave_nothing(tmp_path, number):
    """Neither of a bundle that runs nor of a question that is asked."""
    bundle = convert(ROOT / "test/E2E/digits/digits.onnx", tmp_path, "--dim=batch=1")
    staging = tmp_path / "staging"
    staging.mkdir()
    environment = {**os.environ, "ANE_RUNTIME_FRAMEWORK": str(STANDIN), "ANE_STANDIN": "target=h16;compiles=0;stall=0;delay=evaluate:4000000", "TMPDIR": str(staging)}

    def listen() -> None:  # a shell's background jobs ignore some
        for each in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM):
            signal.signal(each, signal.SIG_DFL)

    for command in ([BIN / "ane-run", bundle, "--device=engine", "--random-inputs=1"], [BIN / "ane-probe", "--target=m4", "--only=L20", "-o", tmp_path / "answers.toml"]):
        process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=listen)
        deadline = time.monotonic() + 60
        # Until a program of it was staged.
        while len(list(staging.glob("**/*"))) < 3 and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert process.poll() is None
        process.send_signal(number)
        assert process.wait(60) == -number, command
        assert list(staging.iterdir()) == [], command


def probe(folder: pathlib.Path, *options: str, words: str = "") -> dict[str, dict]:
    """Verdicts by record."""
    answers = folder / "answers.toml"
    environment = {"ANE_RUNTIME_FRAMEWORK": str(STANDIN), "ANE_STANDIN": f"target=h16;stall=0;compiles=0;{words}", "TMPDIR": str(folder)}
    tool("ane-probe", "--target=m4", "-o", answers, *options, **environment)
    assert [p.name for p in folder.iterdir()] == ["answers.toml"]  # nothing is left behind
    return {entry["id"]: entry for entry in tomllib.loads(answers.read_text())["result"]}


def asked() -> tuple[list[str], list[str]]:
    """What is asked, but for times, which have no meaning on a stand-in; and what is not."""
    lines = [line.split(None, 2) for line in tool("ane-probe", "--list").stdout.splitlines()]
    assert all(len(line) == 3 and line[2] for line in lines)  # a text, or why not
    return [line[0] for line in lines if line[1] not in ("none", "cost", "risky")], [line[0] for line in lines if line[1] == "none"]


def test_every_record_is_asked_or_says_why(tmp_path):
    """ane-tblgen refuses a record that is neither."""
    ids, reasons = asked()
    assert len(ids) > 40 and not set(ids) & set(reasons)
    records = (ROOT / "dialects/ANE/Targets/Rules.td").read_text()
    listed = {line.split(None, 1)[0] for line in tool("ane-probe", "--list").stdout.splitlines()}
    assert {line.split('"')[1] for line in records.splitlines() if line.startswith("def : ANE_Rule")} <= listed
    probes = (ROOT / "dialects/ANE/Targets/Probes.td").read_text()
    cut = [line for line in probes.splitlines() if not line.startswith('def : ANE_NoProbe<"L78"')]
    (tmp_path / "Probes.td").write_text("\n".join(cut))
    done = tool("ane-tblgen", "-gen-probes", f"-I{ROOT}", tmp_path / "Probes.td", ok=False)
    assert done.returncode != 0 and "'L78' has no probe and does not say why" in done.stderr


# Machines that ten records are not true of; L72's files and S6's windows take a while each.
PLANTED = {
    "rules": ["L05", "L06", "L17", "L40", "L41", "L42", "L72", "S15", "S5", "S6"],
    "results": ["1.11.1", "L02", "L03", "L13", "L15", "L19", "L20", "L23", "L25", "S12"],
}
# What the stand-in cannot be without: fp16 at its boundary, one form of numerics, its cache of programs.
BUILT_IN = {"L07", "L30", "L43", "L44", "L60", "L61", "L62", "L76"}
# No target has them by itself.
OPTIONAL = {"L01", "L04", "L11", "L16", "L18", "L31"}
# Of other generations than h16.
OTHERS = {"L33", "L36", "L63", "S23"}


@pytest.mark.parametrize("which", PLANTED)
def test_planted_deviations_are_found(tmp_path, which):
    """Of the machine that the records describe each is confirmed; of one with ten deviations exactly these ten are refuted."""
    ids = ",".join(asked()[0])
    for planted in ([], PLANTED[which]):
        folder = tmp_path / str(len(planted))
        folder.mkdir()
        answers = probe(folder, f"--only={ids}", words=f"lift={','.join(planted)}")
        assert len(answers) > 40 and {name: entry["verdict"] for name, entry in answers.items()} == {name: "refuted" if name in planted else "confirmed" for name in answers}


def test_each_record_can_deviate(tmp_path):
    """A probe that says the same of every machine asks nothing."""
    ids = asked()[0]
    answers = probe(tmp_path, f"--only={','.join(ids)}", words=f"lift={','.join(ids)}")
    assert {name for name, entry in answers.items() if entry["verdict"] != "refuted"} == BUILT_IN | OPTIONAL | OTHERS


def test_rules_that_sources_disagree_about(tmp_path):
    """No target has them by itself: a machine that has them refutes that."""
    ids = sorted(OPTIONAL)
    for words, verdict in (("", "confirmed"), (f"enforce={','.join(ids)}", "refuted")):
        folder = tmp_path / verdict
        folder.mkdir()
        assert {name: entry["verdict"] for name, entry in probe(folder, f"--only={','.join(ids)}", words=words).items()} == dict.fromkeys(ids, verdict)
    done = tool("ane-probe", "--target=m4", "--only=L05", ANE_RUNTIME_FRAMEWORK=str(STANDIN), ANE_STANDIN="target=h16;enforce=L999", ok=False)
    assert "cannot enforce" in done.stdout + done.stderr, done.stdout


def test_texts_of_probes_are_well_formed(tmp_path):
    """Without rules everything compiles whose parameters the stand-in knows: a typing error would confirm a rule."""
    answers = probe(tmp_path, f"--only={','.join(i for i in asked()[0] if i[0] == 'L' or i in ('S5', 'S15', 'S23', '1.11.1'))}", words="rules=0")
    failing = {name for name, entry in answers.items() if "does not compile" in entry["detail"]}
    assert failing == {"L07", "L43", "L44", "L72"}, failing


def test_merging_answers(tmp_path):
    folder = tmp_path / "answers"
    folder.mkdir()
    # L33 and L36 are of other generations, and compile as they should.
    probe(folder, "--only=L01,L05,L31,L33,L36,S5,S7,memory_dispatch_us", words="engine=none;delay=evaluate:400;lift=S5;enforce=L31")
    done = tool("ane-probe", f"--merge={folder}/answers.toml")
    assert "they are no measurement" in done.stderr
    merged = done.stdout.splitlines()
    assert len(merged) == 6, merged
    assert merged[0].startswith('Rules.td: L01: grade "?" to "?", source "OR, M5X vs MX, LM, FG, IM, DF; measured by ane-probe on stand-in') and merged[0].endswith("no rule on this machine")
    assert merged[1].startswith('Rules.td: L05: grade "A" to "A"') and merged[1].endswith("confirmed")
    assert merged[2].startswith('Rules.td: L31: grade "D" to "B"') and merged[2].endswith(": a rule on this machine")
    assert merged[3].startswith('Generations.td: h16: S5: grade "A" to "?"') and "refuted" in merged[3]
    assert merged[4].startswith('Generations.td: h16: S7: grade "D" to "B"')
    name, value = merged[5].split('"')[0:2]
    assert name == "Generations.td: h16: memory_dispatch_us: " and 400 < float(value) < 5000


def test_probes_that_die_or_find_no_framework(tmp_path):
    answers = probe(tmp_path, "--only=L01,L05", words="die=load:1")
    assert answers["L01"]["verdict"] == "unclear" and "signal 9" in answers["L01"]["detail"] and answers["L05"]["verdict"] == "confirmed"
    done = tool("ane-probe", "--target=h16", ok=False, TMPDIR=str(tmp_path))
    assert done.returncode == 1 and "no Neural Engine framework" in done.stderr and [p.name for p in tmp_path.iterdir()] == ["answers.toml"]
    for wrong in ("--target=h99", "--only=L999", "--nonsense"):
        assert tool("ane-probe", wrong, ok=False).returncode == 2


def test_risky_probes(tmp_path):
    answers = probe(tmp_path, "--only=L70,L71,L74", words="compiles=119")
    assert {name: entry["verdict"] for name, entry in answers.items()} == {"L70": "confirmed", "L71": "unclear", "L74": "refuted"}
    (tmp_path / "answers.toml").unlink()
    answers = probe(tmp_path, "--only=L70,L71,L74", words="stall=1500")
    assert {name: entry["verdict"] for name, entry in answers.items()} == {"L70": "refuted", "L71": "confirmed", "L74": "confirmed"}
    assert answers["L71"]["number"] == 128
