"""Bundles of several functions that share weights and keep states: decoders from prompt to text."""

from __future__ import annotations

import json
import pathlib
import re
import subprocess

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

import ane_mlir

LAYERS, WIDTH, HEADS, VOCABULARY = 2, 128, 4, 300


def decoder(layers: int = LAYERS, width: int = WIDTH, heads: int = HEADS, groups: int = 2, vocabulary: int = VOCABULARY, seed: int = 0) -> onnx.ModelProto:
    """Llama-style, as exporters write it: symbolic lengths, ids, mask and positions in, rotary angles from positions, grouped queries, caches that grow."""
    rng = np.random.default_rng(seed)
    size = width // heads
    nodes: list[onnx.NodeProto] = []
    weights: list[onnx.TensorProto] = []

    def weight(name: str, value: np.ndarray) -> str:
        weights.append(numpy_helper.from_array(value, name))
        return name

    def dense(x: str, rows: int, columns: int, name: str, gain: float = 1) -> str:
        w = weight(f"{name}.weight", (rng.standard_normal((rows, columns)) * gain / np.sqrt(rows)).astype(np.float32))
        return op("MatMul", [x, w], name)

    def op(kind: str, inputs: list[str], name: str, outputs: int = 1, **attributes):
        names = [f"{name}:{i}" if outputs > 1 else f"{name}.out" for i in range(outputs)]
        nodes.append(helper.make_node(kind, inputs, names, name=name, **attributes))
        return names if outputs > 1 else names[0]

    def ints(name: str, *values: int) -> str:
        return weight(name, np.array(values, np.int64))

    def norm(x: str, name: str) -> str:
        mean = op("ReduceMean", [op("Mul", [x, x], f"{name}/square")], f"{name}/mean", axes=[-1], keepdims=1)
        root = op("Sqrt", [op("Add", [mean, weight(f"{name}.eps", np.array(1e-5, np.float32))], f"{name}/eps")], f"{name}/root")
        return op("Mul", [op("Div", [x, root], f"{name}/div"), weight(f"{name}.gamma", (1 + 0.1 * rng.standard_normal(width)).astype(np.float32))], name)

    table = weight("embed.weight", rng.standard_normal((vocabulary, width)).astype(np.float32))
    x = op("Gather", [table, "input_ids"], "embed")
    # Rows that a query may see: valid ones of the past, then those up to its own.
    past = op("Gather", [op("Shape", ["past_key_values.0.key"], "past/shape"), weight("two", np.array(2, np.int64))], "past")
    total = op("Gather", [op("Shape", ["attention_mask"], "total/shape"), weight("one", np.array(1, np.int64))], "total")
    zero, step = weight("zero", np.array(0, np.int64)), weight("step", np.array(1, np.int64))
    columns = op("Sub", [op("Range", [zero, total, step], "columns"), past], "columns/new")
    length = op("Sub", [total, past], "length")
    rows = op("Unsqueeze", [op("Range", [zero, length, step], "rows"), ints("last", 1)], "rows/column")
    causal = op("Cast", [op("LessOrEqual", [columns, rows], "causal")], "causal/float", to=TensorProto.FLOAT)
    valid = op("Cast", ["attention_mask"], "valid", to=TensorProto.FLOAT)
    seen = op("Mul", [causal, valid], "seen")  # [T, P + T]
    mask = op("Mul", [op("Sub", [weight("unit", np.array(1, np.float32)), seen], "hidden"), weight("minus", np.array(-1e4, np.float32))], "mask")
    frequencies = weight("frequencies", (1e4 ** -(np.arange(0, size, 2) / size)).astype(np.float32).reshape(1, 1, -1))
    angles = op("Mul", [op("Unsqueeze", [op("Cast", ["position_ids"], "positions", to=TensorProto.FLOAT), ints("end", 2)], "positions/column"), frequencies], "angles")
    both = op("Unsqueeze", [op("Concat", [angles, angles], "angles/both", axis=-1), ints("head", 1)], "angles/head")
    cos, sin = op("Cos", [both], "cos"), op("Sin", [both], "sin")

    def rotate(v: str, name: str) -> str:
        first, second = op("Split", [v, ints(f"{name}/halves", size // 2, size // 2)], f"{name}/split", outputs=2, axis=-1)
        turned = op("Concat", [op("Neg", [second], f"{name}/neg"), first], f"{name}/turned", axis=-1)
        return op("Add", [op("Mul", [v, cos], f"{name}/cos"), op("Mul", [turned, sin], f"{name}/sin")], name)

    def split(v: str, count: int, name: str) -> str:
        return op("Transpose", [op("Reshape", [v, ints(f"{name}.shape", 0, 0, count, size)], f"{name}/split_heads")], name, perm=[0, 2, 1, 3])

    def repeat(v: str, name: str) -> str:
        tiles = op("Tile", [op("Unsqueeze", [v, ints(f"{name}.at", 2)], f"{name}/apart"), ints(f"{name}.times", 1, 1, heads // groups, 1, 1)], f"{name}/tile")
        return op("Reshape", [tiles, ints(f"{name}.shape", 0, heads, -1, size)], name)

    inputs = {"input_ids": ["batch", "sequence"], "attention_mask": ["batch", "past + sequence"], "position_ids": ["batch", "sequence"]}
    caches, outputs = {}, {"logits": (TensorProto.FLOAT, ["batch", "sequence", vocabulary])}
    for i in range(layers):
        n = f"layers.{i}"
        h = norm(x, f"{n}/norm1")
        q = rotate(split(dense(h, width, width, f"{n}/q"), heads, f"{n}/q_heads"), f"{n}/q_rope")
        k = rotate(split(dense(h, width, groups * size, f"{n}/k"), groups, f"{n}/k_heads"), f"{n}/k_rope")
        v = split(dense(h, width, groups * size, f"{n}/v"), groups, f"{n}/v_heads")
        for kind, value in (("key", k), ("value", v)):
            caches[f"past_key_values.{i}.{kind}"] = ["batch", groups, "past", size]
            outputs[f"present.{i}.{kind}"] = (TensorProto.FLOAT, ["batch", groups, "past + sequence", size])
            nodes.append(helper.make_node("Concat", [f"past_key_values.{i}.{kind}", value], [f"present.{i}.{kind}"], name=f"{n}/{kind}_cache", axis=2))
        scores = op("MatMul", [q, op("Transpose", [repeat(f"present.{i}.key", f"{n}/keys")], f"{n}/keys_t", perm=[0, 1, 3, 2])], f"{n}/scores")
        scaled = op("Add", [op("Mul", [scores, weight(f"{n}.scale", np.array(size**-0.5, np.float32))], f"{n}/scale"), mask], f"{n}/masked")
        context = op("MatMul", [op("Softmax", [scaled], f"{n}/softmax", axis=-1), repeat(f"present.{i}.value", f"{n}/values")], f"{n}/context")
        merged = op("Reshape", [op("Transpose", [context], f"{n}/merge", perm=[0, 2, 1, 3]), ints(f"{n}.merged", 0, 0, width)], f"{n}/merged")
        x = op("Add", [x, dense(merged, width, width, f"{n}/o", 0.5)], f"{n}/residual1")
        h = norm(x, f"{n}/norm2")
        gate = dense(h, width, 2 * width, f"{n}/gate")
        gate = op("Mul", [gate, op("Sigmoid", [gate], f"{n}/sigmoid")], f"{n}/silu")
        gated = op("Mul", [gate, dense(h, width, 2 * width, f"{n}/up")], f"{n}/gated")
        x = op("Add", [x, dense(gated, 2 * width, width, f"{n}/down", 0.5)], f"{n}/residual2")
    nodes.append(helper.make_node("MatMul", [norm(x, "norm"), weight("head.weight", rng.standard_normal((width, vocabulary)).astype(np.float32))], ["logits"], name="head"))
    graph = helper.make_graph(
        nodes, "decoder", [helper.make_tensor_value_info(n, TensorProto.INT64, s) for n, s in inputs.items()] + [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in caches.items()],
        [helper.make_tensor_value_info(n, t, s) for n, (t, s) in outputs.items()], weights)  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def greedy(path: pathlib.Path, prompt: list[int], count: int, forced: list[int] | None = None) -> tuple[list[int], np.ndarray]:
    """ONNX Runtime's tokens, with caches that grow; and how far each was ahead of the next. With `forced`, behind these tokens."""
    session = onnxruntime.InferenceSession(path)
    caches = {i.name: np.zeros((1, i.shape[1], 0, i.shape[3]), np.float32) for i in session.get_inputs() if i.name.startswith("past")}
    made, ids, margins = [], list(prompt), []
    length = 0
    for step in range(count):
        feeds = {"input_ids": np.array([ids]), "attention_mask": np.ones((1, length + len(ids)), np.int64), "position_ids": np.arange(length, length + len(ids))[None]}
        logits, *present = session.run(None, feeds | caches)
        length += len(ids)
        caches = dict(zip(caches, present))
        last = logits[0, -1]
        top = np.sort(last)
        margins.append((top[-1] - top[-2]) / np.abs(last).max())
        made.append(int(last.argmax()))
        ids = [forced[step] if forced else made[-1]]
    return made, np.array(margins)


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> pathlib.Path:
    path = tmp_path_factory.mktemp("decoder") / "m.onnx"
    onnx.save(decoder(), path)
    return path


def compile_decoder(model: pathlib.Path, out: pathlib.Path, *options: str, past: int = 256, lengths: str = "16,1") -> dict:
    command = [ane_mlir.find_tool("onnx-to-ane"), model, "-o", out, "--dim=batch=1", f"--dim=sequence={lengths}", f"--dim=past={past}", "--state=auto", *options]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return json.loads((out / "manifest.json").read_text()) if out.suffix == ".anepkg" else {}


def generate(bundle: pathlib.Path, prompt: list[int], count: int, *options: str) -> list[int]:
    command = [ane_mlir.find_tool("ane-generate"), bundle, "--prompt-ids=" + ",".join(map(str, prompt)), f"--tokens={count}", *options]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    if "--quiet" not in options:
        assert "tokens/s" in result.stderr, result.stderr
    return [int(t) for t in result.stdout.strip().split(",")]


def test_generation(model, tmp_path):
    """200 tokens behind a prompt of several lengths: in fp32 ONNX Runtime's own; as the engine computes, those where it is not torn."""
    prompt = [int(t) for t in np.random.default_rng(5).integers(0, VOCABULARY, 37)]
    expected, _ = greedy(model, prompt, 200)
    manifest = compile_decoder(model, tmp_path / "f32.anepkg", "--precision=fp32")
    assert generate(tmp_path / "f32.anepkg", prompt, 200, "--numerics=fp32") == expected
    names = [f["name"] for f in manifest["functions"]]
    assert names == ["sequence16", "sequence1"] and [f["dims"]["past"] for f in manifest["functions"]] == [256, 256]
    # States: rows are outputs, and the cache is an input; each weight is stored once.
    for function, rows in zip(manifest["functions"], (16, 1), strict=True):
        assert len(function["states"]) == 2 * LAYERS
        for state in function["states"]:
            assert state["axis"] == 2 and function["outputs"][state["output"]]["shape"][2] == rows and function["inputs"][state["input"]]["shape"][2] == 256
    compile_decoder(model, tmp_path / "m.anepkg")
    weights = sum(f.stat().st_size for f in (tmp_path / "m.anepkg" / "weights").iterdir())
    parameters = sum(int(np.prod(w.dims)) for w in onnx.load(model).graph.initializer if w.data_type == TensorProto.FLOAT)
    print(f"{weights} bytes of weights for {2 * parameters} of fp16")
    made = generate(tmp_path / "m.anepkg", prompt, 200, "--numerics=engine")
    wanted, margins = greedy(model, prompt, 200, forced=made)
    same = np.array(made) == np.array(wanted)
    assert same.mean() >= 0.98 and margins[~same].max(initial=0) < 0.02, (same.mean(), margins[~same])


def test_plan(model, tmp_path):
    """A prompt goes through the functions that are predicted to be quickest, or as is asked; what comes out does not depend on it."""
    manifest = compile_decoder(model, tmp_path / "m.anepkg", f"--report={tmp_path / 'r.json'}", lengths="64,16,1")
    report = json.loads((tmp_path / "r.json").read_text())
    times = [sum(manifest["programs"][step["program"]]["predicted_us"] for step in f["schedule"]) for f in manifest["functions"]]
    assert np.allclose(times, [f["predicted_us"] for f in report["functions"]]) and report["plan"] == manifest["plan"]
    least, calls = [0.0], [0]
    for left in range(1, 200):
        least.append(min(t + least[left - n] for n, t in zip((64, 16, 1), times) if n <= left))
    prompt = [int(t) for t in np.random.default_rng(7).integers(0, VOCABULARY, 90)]
    made = {}
    for plan, calls in ((None, None), ("1:1", 90), ("1:1,16:16", 15), ("1:1,80:16", 75)):
        done = subprocess.run([ane_mlir.find_tool("ane-generate"), tmp_path / "m.anepkg", "--prompt-ids=" + ",".join(map(str, prompt)), "--tokens=5", "--numerics=fp32", *([f"--plan={plan}"] if plan else [])],
                              capture_output=True, text=True, check=True)  # fmt: skip
        count, micros = re.match(r"prompt: 90 tokens in (\d+) calls, predicted ([\d.]+) us", done.stderr).groups()
        assert calls is None or int(count) == calls
        made[plan] = (done.stdout, float(micros))
    assert abs(made[None][1] - least[90]) < 0.2 and all(micros >= least[90] - 0.2 for _, micros in made.values())
    assert len({text for text, _ in made.values()}) == 1
    again = compile_decoder(model, tmp_path / "m.anepkg", "--plan=1:1,20:16", lengths="64,16,1")
    assert again["plan"] == [{"from": 1, "function": 2}, {"from": 20, "function": 1}]
    for plan, said in (("1:1,9:7", "functions take at once (64, 16, 1)"), ("1:16", "no TOKENS above its FROM"), ("x", "two numbers")):
        for command in ([ane_mlir.find_tool("ane-generate"), tmp_path / "m.anepkg", "--prompt-ids=1"], [ane_mlir.find_tool("onnx-to-ane"), model, "-o", tmp_path / "n.anepkg", "--dim=batch=1", "--dim=sequence=64,16,1", "--dim=past=64", "--state=auto"]):
            done = subprocess.run([*command, f"--plan={plan}"], capture_output=True, text=True)
            assert done.returncode == 1 and said in done.stderr, done.stderr


def test_a_cache_that_is_too_short(model, tmp_path):
    """A call gives more rows than the state holds: said, with the state and the extents; the plan tells no prompt that does not fit."""
    command = [ane_mlir.find_tool("onnx-to-ane"), model, "-o", tmp_path / "m.anepkg", "--dim=batch=1", "--dim=sequence=16,1", "--state=auto", "--check=off"]
    done = subprocess.run([*command, "--dim=past=8"], capture_output=True, text=True)
    assert done.returncode == 1 and "state 'past_key_values.0.key' holds 8 rows, and a call gives 16" in done.stderr and not (tmp_path / "m.anepkg").exists()
    done = subprocess.run([*command, "--dim=past=64"], capture_output=True, text=True, check=True)
    assert re.search(r"plan of a text.*; a prompt of 10 in [\d.]+ ms\n", done.stdout + done.stderr)
    done = subprocess.run([*command, "--dim=past=64,32", "--plan=1:1"], capture_output=True, text=True)
    assert done.returncode == 1 and "--plan is for functions that share caches of one length" in done.stderr


def test_a_function_on_the_host(model, tmp_path):
    """Prefill on the engine and decode on the host, by a file that names the function."""
    (tmp_path / "p.json").write_text('{"sequence1": "host"}')
    manifest = compile_decoder(model, tmp_path / "m.anepkg", f"--placement={tmp_path / 'p.json'}")
    kinds = [{manifest["programs"][step["program"]]["kind"] for step in f["schedule"]} for f in manifest["functions"]]
    assert "ane" in kinds[0] and kinds[1] == {"host"}
    compile_decoder(model, tmp_path / "n.anepkg")
    assert generate(tmp_path / "m.anepkg", list(range(20)), 8, "--numerics=fp32") == generate(tmp_path / "n.anepkg", list(range(20)), 8, "--numerics=fp32")


def test_shared_weights(model, tmp_path):
    """The second function adds next to nothing to the weights of the first."""
    sizes = {}
    for lengths in ("16", "16,32", "16,1"):
        compile_decoder(model, tmp_path / "m.anepkg", "--calibration=none", lengths=lengths)
        sizes[lengths] = sum(f.stat().st_size for f in (tmp_path / "m.anepkg" / "weights").iterdir())
    print(sizes)
    assert sizes["16,32"] <= 1.05 * sizes["16"]


def test_runs_by_shape(model, tmp_path):
    """ane-run takes the function that the arrays fit; what is left out is a state of zeros; one that is full says so."""
    compile_decoder(model, tmp_path / "m.anepkg", "--calibration=none", past=16)
    session = onnxruntime.InferenceSession(model)
    rng = np.random.default_rng(0)
    for length in (16, 1):
        feeds = {"input_ids": rng.integers(0, VOCABULARY, (1, length)), "position_ids": np.arange(length)[None]}
        caches = {i.name: np.zeros((1, i.shape[1], 0, i.shape[3]), np.float32) for i in session.get_inputs() if i.name.startswith("past")}
        expected = session.run(["logits"], feeds | caches | {"attention_mask": np.ones((1, length), np.int64)})[0]
        feeds["attention_mask"] = np.concatenate([np.zeros((1, 16), np.int64), np.ones((1, length), np.int64)], 1)
        for name, value in feeds.items():
            np.save(tmp_path / f"{name}.npy", value)
        command = [ane_mlir.find_tool("ane-run"), tmp_path / "m.anepkg", *(f"--input={n}={tmp_path}/{n}.npy" for n in feeds), f"--output-dir={tmp_path}/out", "--quiet"]
        subprocess.run(command, check=True)
        got = np.load(tmp_path / "out" / "output_0.npy")
        assert got.shape == expected.shape and np.abs(got - expected).max() < 2e-2 * np.abs(expected).max()
    np.save(tmp_path / "input_ids.npy", np.zeros((1, 5), np.int64))
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 1 and "no function takes arrays of these shapes" in result.stderr and "sequence16" in result.stderr, (result.returncode, result.stderr)
    result = subprocess.run([ane_mlir.find_tool("ane-generate"), tmp_path / "m.anepkg", "--prompt-ids=1,2,3", "--tokens=30"], capture_output=True, text=True)
    assert result.returncode == 1 and "at most 16" in result.stderr, result.stderr
    result = subprocess.run([ane_mlir.find_tool("ane-run"), tmp_path / "m.anepkg", "--function=sequence2", "--random-inputs=1"], capture_output=True, text=True)
    assert result.returncode == 1 and "sequence16, sequence1" in result.stderr, result.stderr


def test_a_state_that_is_replaced(tmp_path):
    """A recurrent state of the same shape: the output is the next input."""
    nodes = [helper.make_node("Mul", ["h_in", "half"], ["m"]), helper.make_node("Add", ["m", "x"], ["h_out"]), helper.make_node("Relu", ["h_out"], ["y"])]
    value = lambda n: helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, 64])  # noqa: E731
    graph = helper.make_graph(nodes, "g", [value("x"), value("h_in")], [value("y"), value("h_out")], [numpy_helper.from_array(np.array(0.5, np.float32), "half")])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "m.onnx")
    for options in (["--state=auto"], ["--state=h_in=h_out"]):
        subprocess.run([ane_mlir.find_tool("onnx-to-ane"), tmp_path / "m.onnx", "-o", tmp_path / "m.anepkg", "--quiet", *options], check=True)
        (function,) = json.loads((tmp_path / "m.anepkg" / "manifest.json").read_text())["functions"]
        assert function["states"] == [{"input": 1, "output": 1, "axis": -1}]
    result = subprocess.run([ane_mlir.find_tool("onnx-to-ane"), tmp_path / "m.onnx", "-o", tmp_path / "m.anepkg", "--state=h_in=h_ou"], capture_output=True, text=True)
    assert result.returncode == 1 and "'h_ou'" in result.stderr and "h_out" in result.stderr


def test_usages(model, tmp_path):
    compile_decoder(model, tmp_path / "m.anepkg", "--calibration=none", "--placement=host", lengths="16")
    # A report of several functions says whose it is; a check is of one.
    command = [ane_mlir.find_tool("onnx-to-ane"), model, "-o", tmp_path / "two.anepkg", "--dim=batch=1", "--dim=sequence=16,1", "--dim=past=32", "--calibration=none"]
    assert "of function 'sequence16', the first of 2" in subprocess.run(command, capture_output=True, text=True, check=True).stderr
    result = subprocess.run([ane_mlir.find_tool("ane-check"), model, "--dim=batch=1", "--dim=sequence=16,1", "--dim=past=32"], capture_output=True, text=True)
    assert result.returncode == 2 and "one value for each dimension" in result.stderr, (result.returncode, result.stderr)
    tool = ane_mlir.find_tool("ane-generate")
    for arguments, code, words in ((["m.anepkg", "--prompt-ids=1"], 1, "no function takes one token"), (["m.anepkg"], 2, "--prompt-ids"), (["x.anepkg", "--prompt-ids=1"], 1, "not found")):
        result = subprocess.run([tool, *arguments], capture_output=True, text=True, cwd=tmp_path)
        assert result.returncode == code and words in result.stderr, (arguments, result.returncode, result.stderr)


def test_functions_of_mil(tmp_path):
    """Each function of a package is one of the bundle, its weights stored once; --function takes one."""
    ct = pytest.importorskip("coremltools")
    from coremltools.converters.mil import Builder as mb

    weight = np.random.default_rng(2).standard_normal((96, 64)).astype(np.float32)
    both = ct.utils.MultiFunctionDescriptor()
    for rows, name in ((2, "two"), (5, "five"), (9, "nine")):

        @mb.program(input_specs=[mb.TensorSpec((rows, 64))], opset_version=ct.target.iOS18)
        def program(x):
            return mb.relu(x=mb.linear(x=x, weight=weight), name="y")

        ct.convert(program, minimum_deployment_target=ct.target.iOS18, skip_model_load=True).save(str(tmp_path / f"{name}.mlpackage"))
        both.add_function(str(tmp_path / f"{name}.mlpackage"), "main", name)
    both.default_function_name = "five"
    ct.utils.save_multifunction(both, str(tmp_path / "m.mlpackage"))
    subprocess.run([ane_mlir.find_tool("onnx-to-ane"), tmp_path / "m.mlpackage", "-o", tmp_path / "m.anepkg", "--quiet"], check=True)
    manifest = json.loads((tmp_path / "m.anepkg" / "manifest.json").read_text())
    assert sorted(f["name"] for f in manifest["functions"]) == ["five", "nine", "two"] and manifest["functions"][0]["name"] == "five"
    weights = sum(f.stat().st_size for f in (tmp_path / "m.anepkg" / "weights").iterdir())
    assert weights < 1.2 * weight.size * 2 + 4096
    for rows in (2, 9):
        x = np.random.default_rng(rows).standard_normal((rows, 64)).astype(np.float32)
        np.save(tmp_path / "x.npy", x)
        subprocess.run([ane_mlir.find_tool("ane-run"), tmp_path / "m.anepkg", f"--input=x={tmp_path}/x.npy", f"--output-dir={tmp_path}/out", "--quiet"], check=True)
        np.testing.assert_allclose(np.load(tmp_path / "out" / "output_0.npy"), np.maximum(x @ weight.T, 0), atol=0.1)
    info = json.loads(subprocess.run([ane_mlir.find_tool("ane-info"), tmp_path / "m.anepkg", "--json"], capture_output=True, text=True, check=True).stdout)
    assert [f["name"] for f in info["functions"]][0] == "five" and len(info["functions"]) == 3
    subprocess.run([ane_mlir.find_tool("onnx-to-ane"), tmp_path / "m.mlpackage", "-o", tmp_path / "one.anepkg", "--quiet", "--function=nine"], check=True)
    one = json.loads((tmp_path / "one.anepkg" / "manifest.json").read_text())
    assert "functions" not in one and one["inputs"][0]["shape"] == [9, 64]
    # A text has one: it says which, and that there are others.
    result = subprocess.run([ane_mlir.find_tool("onnx-to-ane"), tmp_path / "m.mlpackage", "-o", tmp_path / "m.mil"], capture_output=True, text=True, check=True)
    assert "function 'five' of 3 is taken" in result.stderr, result.stderr


def test_draws(model, tmp_path):
    """The same seed draws the same tokens, another one others; without temperature the likeliest is taken whatever the seed."""
    compile_decoder(model, tmp_path / "m.anepkg", "--calibration=none")
    drawn = [generate(tmp_path / "m.anepkg", [1, 2, 3], 20, "--quiet", f"--temperature={t}", f"--seed={s}", "--top-k=50") for t, s in ((5, 1), (5, 1), (5, 2), (0, 1), (0, 2))]
    assert drawn[0] == drawn[1] != drawn[2] and drawn[3] == drawn[4] and len(drawn[0]) == 20
    first = drawn[3][3]
    assert generate(tmp_path / "m.anepkg", [1, 2, 3], 20, "--quiet", f"--end-id={first}")[-1] == first


def test_text(model, tmp_path, capsys):
    """python -m ane_mlir.generate: from words to words, by a tokenizer.json."""
    tokenizers = pytest.importorskip("tokenizers")
    from ane_mlir import generate as text

    words = {f"w{i}": i for i in range(VOCABULARY)}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="w0"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    compile_decoder(model, tmp_path / "m.anepkg", "--precision=fp32")
    prompt = [7, 12, 99, 250]
    expected, _ = greedy(model, prompt, 9)
    arguments = [str(tmp_path / "m.anepkg"), "--tokenizer", str(tmp_path / "tokenizer.json"), "--prompt", " ".join(f"w{i}" for i in prompt), "--numerics=fp32"]
    assert text.main([*arguments, "--tokens=9"]) == 0
    out, err = capsys.readouterr()
    assert out == " ".join(f"w{i}" for i in prompt) + " ".join(f"w{i}" for i in expected) + "\n"
    assert err.startswith("h16: prompt: 4 tokens") and "tokens/s" in err
    # It ends behind the token that ends a text, and draws by a seed.
    made = text.generate(tmp_path / "m.anepkg", tokenizer, "w7 w12 w99 w250", tokens=9, numerics="fp32", end=f"w{expected[2]}")
    assert made.ids == expected[: expected.index(expected[2]) + 1] and made.target == "h16"
    drawn = [text.generate(tmp_path / "m.anepkg", tokenizer, "w7", tokens=6, temperature=1.5, seed=seed).ids for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]
    for wrong, words in ((["--numerics=fp16", "--tokens=300"], "at most 256"), (["--end=nothing"], "no token 'nothing'"), (["--tokenizer", str(tmp_path / "x.json")], "not found"), (["--tokenizer", str(tmp_path / "m.anepkg" / "manifest.json")], "no tokenizer.json"), (["--prompt="], "no tokens")):
        assert text.main([*arguments, *wrong]) == 1
        assert words in capsys.readouterr().err, wrong


def recurrent(path: pathlib.Path, inputs: dict, nodes: list, outputs: dict, constants: dict | None = None) -> pathlib.Path:
    value = helper.make_tensor_value_info
    graph = helper.make_graph(nodes, "g", [value(k, TensorProto.INT64 if k == "ids" else TensorProto.FLOAT, s) for k, s in inputs.items()], [value(k, TensorProto.FLOAT, s) for k, s in outputs.items()], [numpy_helper.from_array(np.asarray(v), k) for k, v in (constants or {}).items()])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def convert(path: pathlib.Path, out: pathlib.Path, *options: str) -> subprocess.CompletedProcess:
    return subprocess.run([ane_mlir.find_tool("onnx-to-ane"), path, "-o", out, "--check=off", *options], capture_output=True, text=True)


@pytest.mark.parametrize("kind", ["anepkg", "mlpackage"])
def test_several_states_are_found_and_said(tmp_path, kind):
    """h and c, not the frame that goes in and the one that comes out, though they are of one shape and named so."""
    ports = {"input": [1, 64], "h_in": [1, 64], "c_in": [1, 64]}
    nodes = [helper.make_node("Add", ["h_in", "input"], ["a"]), helper.make_node("Tanh", ["a"], ["h_out"]), helper.make_node("Mul", ["c_in", "h_out"], ["c_out"]), helper.make_node("Add", ["c_out", "a"], ["output"])]
    path = recurrent(tmp_path / "m.onnx", ports, nodes, {"output": [1, 64], "h_out": [1, 64], "c_out": [1, 64]})
    done = convert(path, tmp_path / f"m.{kind}", "--state=auto")
    assert done.returncode == 0 and "kept between calls: 'h_in', 'c_in'\n" in done.stderr, done.stderr
    told = subprocess.run([ane_mlir.find_tool("ane-info"), tmp_path / f"m.{kind}"], capture_output=True, text=True, check=True).stdout
    assert re.findall(r"state +(\w+):", told) == ["h_in", "c_in"], told
    assert "--state names 'h_out' twice" in convert(path, tmp_path / f"m.{kind}", "--state=h_in=h_out", "--state=c_in=h_out").stderr


def test_what_is_no_state(tmp_path):
    """An input that is read for its own sake is no cache of what a result puts behind it; nothing found is said."""
    path = recurrent(tmp_path / "m.onnx", {"x": [1, 64]}, [helper.make_node("Tanh", ["x"], ["h"]), helper.make_node("Concat", ["x", "h"], ["features"], axis=1)], {"features": [1, 128]})
    done = convert(path, tmp_path / "m.anepkg", "--state=auto")
    assert done.returncode == 0 and "--state=auto finds nothing" in done.stderr and "kept" not in done.stderr.replace("is kept between calls; --state", "")
    done = convert(path, tmp_path / "m.anepkg", "--state=x=features")
    assert done.returncode == 0, done.stderr


def decoder_like(path: pathlib.Path, *, mask: list, slide: bool = False, positions: bool = True, first: bool = False) -> pathlib.Path:
    """One key cache, ids, mask and logits, as parts of decoders have them."""
    ports = {"ids": [1, 1], "attention_mask": mask, "past_key_values.0.key": [1, 1, 16, 8]} | ({"position_ids": [1, 1]} if positions else {})
    nodes = [helper.make_node("Gather", ["table", "ids"], ["e"]), helper.make_node("Reshape", ["e", "heads"], ["k"]), helper.make_node("Concat", ["past_key_values.0.key", "k"], ["all"], axis=2)]
    if slide:
        nodes += [helper.make_node("Slice", ["all", "one", "end", "two"], ["present.0.key"])]
    else:
        nodes += [helper.make_node("Identity", ["all"], ["present.0.key"])]
    nodes += [helper.make_node("ReduceSum", ["attention_mask"], ["m"], keepdims=0), helper.make_node("Mul", ["e", "m"], ["em"]), helper.make_node("ReduceSum", ["all", "two"], ["s"], keepdims=0), helper.make_node("Reshape", ["s", "row"], ["r"]), helper.make_node("Add", ["em", "r"], ["a"])]
    nodes += ([helper.make_node("Mul", ["position_ids", "zero"], ["p"]), helper.make_node("Reshape", ["p", "unit"], ["p3"]), helper.make_node("Add", ["a", "p3"], ["b"])] if positions else [helper.make_node("Identity", ["a"], ["b"])]) + [helper.make_node("MatMul", ["b", "head"], ["logits"])]
    rng = np.random.default_rng(0)
    constants = {"table": rng.standard_normal((20, 8)).astype(np.float32), "heads": np.array([1, 1, 1, 8]), "one": np.array([1]), "two": np.array([2]), "end": np.array([17]), "row": np.array([1, 1, 8]), "unit": np.array([1, 1, 1]), "zero": np.zeros(1, np.float32), "head": rng.standard_normal((8, 20)).astype(np.float32)}
    key = {"present.0.key": [1, 1, 16 if slide else 17, 8]}
    return recurrent(path, ports, nodes, (key if first else {}) | {"logits": [1, 1, 20]} | ({} if first else key), constants)


def test_generation_refuses_what_it_cannot_feed(tmp_path):
    """Masks of another kind, caches that are replaced: said, not run as if they were what they are not. Where the caches come first among the outputs, they are no logits."""

    def run(**parts) -> subprocess.CompletedProcess:
        done = convert(decoder_like(tmp_path / "m.onnx", **parts), tmp_path / "m.anepkg", "--state=auto")
        assert done.returncode == 0, done.stderr
        return subprocess.run([ane_mlir.find_tool("ane-generate"), tmp_path / "m.anepkg", "--prompt-ids=3,7", "--tokens=5"], capture_output=True, text=True)

    for parts, said in (({"mask": [1, 1, 1, 17]}, "is a mask of another kind; expects ones for what is valid"), ({"mask": [1, 17], "slide": True}, "is replaced as a whole")):
        done = run(**parts)
        assert done.returncode == 1 and said in done.stderr, done.stderr
    done = run(mask=[1, 17], positions=False)
    assert done.returncode == 0 and "warning: no input takes positions" in done.stderr
    one, other = run(mask=[1, 17]), run(mask=[1, 17], first=True)
    assert one.returncode == 0 and one.stdout == other.stdout and "warning" not in one.stderr, (one, other)
