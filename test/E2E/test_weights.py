"""Weights in fewer bits: those that a model has so stay so, and others become so on request."""

from __future__ import annotations

import pathlib
import re
import subprocess

import numpy as np
import onnx
import pytest
from conftest import reference
from onnx import TensorProto, helper, numpy_helper

import ane_mlir
import builders

K, N = 512, 768


def size(artifact: pathlib.Path) -> int:
    return sum(f.stat().st_size for f in artifact.rglob("*") if f.is_file())


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    a, b = np.ravel(a).astype(np.float64), np.ravel(b).astype(np.float64)
    return float(a @ b / np.sqrt((a @ a) * (b @ b)))


def product(weights: dict, nodes: list, path: pathlib.Path) -> tuple[pathlib.Path, dict[str, np.ndarray]]:
    g = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [16, K])], [helper.make_tensor_value_info("y", TensorProto.FLOAT, [16, N])],
        [w if isinstance(w, TensorProto) else numpy_helper.from_array(w, n) for n, w in weights.items()])  # fmt: skip
    onnx.save(helper.make_model(g, opset_imports=[helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)], ir_version=10), path)
    return path, {"x": np.random.default_rng(1).standard_normal((16, K)).astype(np.float32)}


def packed(name: str, dtype: int, values: np.ndarray) -> TensorProto:
    return helper.make_tensor(name, dtype, values.shape, values)


def qdq(dtype: int, low: int, high: int, zero: bool, block: int | None):
    """DequantizeLinear of a constant, per channel or blocked along K, with or without zero points."""

    def build(rng, path):
        grid = (K // block, N) if block else (N,)
        weights = {"q": packed("q", dtype, rng.integers(low, high + 1, (K, N))), "s": (rng.random(grid) * 1e-2 + 1e-3).astype(np.float32)}
        if zero:
            weights["z"] = packed("z", dtype, rng.integers(low, high + 1, grid))
        node = helper.make_node("DequantizeLinear", list(weights), ["w"], axis=0 if block else 1, **({"block_size": block} if block else {}))
        return product(weights, [node, helper.make_node("MatMul", ["x", "w"], ["y"], name="/mm")], path)

    return build


def nbits(bits: int, zero: bool):
    def build(rng, path):
        blocks, bytes_ = K // 32, 32 * bits // 8
        weights = {"B": rng.integers(0, 256, (N, blocks, bytes_)).astype(np.uint8), "s": (rng.random(N * blocks) * 1e-2 + 1e-3).astype(np.float32)}
        if zero:
            weights["z"] = rng.integers(0, 256, N * ((blocks * bits + 7) // 8)).astype(np.uint8)
        node = helper.make_node("MatMulNBits", ["x", *weights], ["y"], domain="com.microsoft", K=K, N=N, bits=bits, block_size=32, name="/mm")
        return product(weights, [node], path)

    return build


FORMS = {  # how it is built, bits of data in a package, data and scales where the in-memory compiler takes them
    "int8 per channel": (qdq(TensorProto.INT8, -127, 127, False, None), "int8", "int8"),
    "uint8 with zero points": (qdq(TensorProto.UINT8, 0, 255, True, None), "uint8", None),
    "int8 in blocks": (qdq(TensorProto.INT8, -127, 127, False, 64), "int8", None),
    "int4 in blocks": (qdq(TensorProto.INT4, -8, 7, False, 32), "int4", None),
    "uint4 in blocks with zero points": (qdq(TensorProto.UINT4, 0, 15, True, 32), "uint4", None),
    "MatMulNBits": (nbits(4, False), "int4", None),
    "MatMulNBits with zero points": (nbits(4, True), "uint4", None),
    "MatMulNBits of 8 bits": (nbits(8, False), "int8", None),
}


@pytest.mark.parametrize("name", FORMS)
def test_what_the_model_has(tmp_path, name):
    """Integers of an ONNX file are the integers of the package; in a bundle, too, or it is said what fp16 costs."""
    build, data, raw = FORMS[name]
    model, feeds = build(np.random.default_rng(0), tmp_path / "m.onnx")
    expected = reference(model, feeds)[0]
    package = ane_mlir.compile(model, output=tmp_path / "m.mlpackage")
    assert ane_mlir.verify(package.path) == []
    assert cosine(package.run(feeds)["y"], expected) >= 0.99999
    # Scales may be fp32 in the model.
    assert size(tmp_path / "m.mlpackage") <= 1.02 * model.stat().st_size + 4096
    dense = ane_mlir.compile(model, output=tmp_path / "old.mlpackage", options=["--opset=ios17"])
    assert cosine(dense.run(feeds)["y"], expected) >= 0.99999 and size(tmp_path / "old.mlpackage") >= 2 * K * N
    result = subprocess.run([ane_mlir.find_tool("onnx-to-ane"), model, "-o", tmp_path / "m.anepkg"], capture_output=True, text=True, check=True)
    assert ("are written in fp16" in result.stderr) == (raw is None), result.stderr
    text = "".join(f.read_text() for f in (tmp_path / "m.anepkg" / "programs").iterdir())
    assert (f"tensor<{raw}, [" in text) == (raw is not None)
    assert cosine(ane_mlir.Bundle(tmp_path / "m.anepkg").run(feeds)["y"], expected) >= 0.99999
    # A package in gives the same package out.
    again = ane_mlir.compile(package.path, output=tmp_path / "again.mlpackage")
    assert size(tmp_path / "again.mlpackage") <= 1.02 * size(tmp_path / "m.mlpackage")
    np.testing.assert_allclose(again.run(feeds)["y"], package.run(feeds)["y"], atol=2e-3 * np.abs(expected).max())


@pytest.fixture(scope="module")
def gpt(tmp_path_factory):
    path = tmp_path_factory.mktemp("gpt") / "m.onnx"
    builders.build_gpt2(path, layers=2, width=256, heads=4, vocabulary=2000, sequence=32)
    feeds = {"ids": np.random.default_rng(3).integers(0, 2000, (1, 32))}
    return path, feeds, reference(path, feeds)[0], size(pathlib.Path(ane_mlir.compile(path, output=path.parent / "dense.mlpackage").path))


# Weights of the model are random, which is what few bits hold worst: signal to noise of a Gaussian is about 20 dB at 4 bits.
BARS = {"int8": (0.999, 0.55), "lut8": (0.999, 0.55), "lut6": (0.995, 0.42), "int4": (0.94, 0.3), "int4,per=block:32": (0.96, 0.32), "lut4": (0.96, 0.3),
        "lut4,per=group:16": (0.96, 0.31), "lut4,per=channel": (0.96, 0.36), "lut3": (0.8, 0.24)}  # fmt: skip


@pytest.mark.parametrize("form", BARS)
def test_on_request(gpt, tmp_path, form):
    path, feeds, expected, dense = gpt
    package = ane_mlir.compile(path, output=tmp_path / "m.mlpackage", options=[f"--weights={form}"])
    assert ane_mlir.verify(package.path) == []
    least, share = BARS[form]
    found, part = cosine(package.run(feeds)["logits"], expected), size(tmp_path / "m.mlpackage") / dense
    print(f"{form}: cosine {found:.5f}, {part:.3f} of fp16")
    assert found >= least and part <= share


def test_the_fewest_bits_that_keep_a_cosine(gpt, tmp_path):
    """auto:COSINE: a looser bound is never more bytes, and what is asked for is what comes out."""
    path, feeds, expected, dense = gpt
    parts = []
    for bound in (0.999, 0.99, 0.9):
        done = subprocess.run([ane_mlir.find_tool("onnx-to-ane"), path, "-o", tmp_path / f"{bound}.mlpackage", f"--weights=auto:{bound}"], capture_output=True, text=True, check=True)
        assert "weights by their form: " in done.stderr and "the outputs' least cosine is 0.9" in done.stderr
        # Measured on guessed tokens, and here on others.
        assert cosine(ane_mlir.Package(tmp_path / f"{bound}.mlpackage").run(feeds)["logits"], expected) >= bound - 0.2 * (1 - bound)
        parts.append(size(tmp_path / f"{bound}.mlpackage") / dense)
    print("auto: " + ", ".join(f"{part:.3f}" for part in parts))
    assert parts[0] <= 0.47 and parts[1] <= 0.35 and parts[2] <= 0.21
    bundle = ane_mlir.compile(path, output=tmp_path / "m.anepkg", options=["--weights=auto:0.99"])
    assert "tensor<int8, [" in "".join(f.read_text() for f in (tmp_path / "m.anepkg" / "programs").iterdir())
    assert cosine(bundle.run(feeds)["logits"], expected) >= 0.999
    # Less than rounding to fp16 leaves is not to be had.
    ane_mlir.compile(path, output=tmp_path / "none.mlpackage", options=["--weights=auto:0.99999999"])
    assert abs(size(tmp_path / "none.mlpackage") / dense - 1) < 0.01
    for options, words in ((["--weights=auto:1.5"], "auto:COSINE below 1"), (["--weights=auto:"], "auto:COSINE"), (["--weights=auto:0.9:0.95:3"], "auto:COSINE"), (["--weights=auto:0.99", "--calibration=none"], "measures what fewer bits do"),
                           (["--weights=auto:0.99", "--precision=fp32"], "is for fp16")):  # fmt: skip
        with pytest.raises(ValueError, match=words):
            ane_mlir.compile(path, output=tmp_path / "n.mlpackage", options=options)


def test_every_function_keeps_the_cosine(tmp_path):
    """Of a model of several lengths each is measured; samples that show nothing are refused, and what has no weights is said."""
    rng = np.random.default_rng(0)
    weights = {"w": (rng.standard_normal((64, 64)) / 8).astype(np.float32), "v": (rng.standard_normal((64, 64)) / 8).astype(np.float32)}
    # What is left of one row without the mean of the rows is nothing.
    nodes = [helper.make_node("MatMul", ["x", "w"], ["h"]), helper.make_node("ReduceMean", ["h"], ["m"], axes=[0], keepdims=1), helper.make_node("Sub", ["h", "m"], ["d"]),
             helper.make_node("MatMul", ["d", "v"], ["e"]), helper.make_node("Add", ["e", "one"], ["y"])]  # fmt: skip
    weights["one"] = np.ones(64, np.float32)
    g = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["s", 64])], [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["s", 64])], [numpy_helper.from_array(v, n) for n, v in weights.items()])
    path = tmp_path / "m.onnx"
    onnx.save(helper.make_model(g, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    tool = ane_mlir.find_tool("onnx-to-ane")
    done = subprocess.run([tool, path, "-o", tmp_path / "m.mlpackage", "--dim", "s=1,16", "--buckets=functions", "--weights=auto:0.9999"], capture_output=True, text=True, check=True)
    feeds = {"x": rng.standard_normal((16, 64)).astype(np.float32)}
    np.save(tmp_path / "x.npy", feeds["x"])
    subprocess.run([ane_mlir.find_tool("ane-run"), tmp_path / "m.mlpackage", "--function=s16", f"--input=x={tmp_path}/x.npy", f"--output-dir={tmp_path}/out", "--numerics=fp16", "--quiet"], check=True)
    assert cosine(np.load(tmp_path / "out" / "output_0.npy"), reference(path, feeds)[0]) >= 0.9998, done.stderr
    (tmp_path / "zeros" / "0").mkdir(parents=True)
    np.save(tmp_path / "zeros" / "0" / "x.npy", np.zeros((16, 64), np.float32))
    del g.initializer[2], g.node[4]
    g.node[3].output[0] = "y"
    onnx.save(helper.make_model(g, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    refused = subprocess.run([tool, path, "-o", tmp_path / "n.mlpackage", "--dim", "s=16", "--weights=auto:0.99", f"--calibration={tmp_path}/zeros"], capture_output=True, text=True)
    assert refused.returncode == 1 and "nothing but zeros" in refused.stderr and not (tmp_path / "n.mlpackage").exists()
    plain = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [4, 64])], [helper.make_tensor_value_info("y", TensorProto.FLOAT, [4, 64])])
    onnx.save(helper.make_model(plain, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    done = subprocess.run([tool, path, "-o", tmp_path / "p.mlpackage", "--weights=auto:0.99"], capture_output=True, text=True, check=True)
    assert "no weight is written in fewer bits" in done.stderr and "weights in fewer bits:" not in done.stderr


def test_integers_count_too(tmp_path):
    """Of an output of labels those that differ are what a cosine is of numbers."""
    rng = np.random.default_rng(0)
    weights = {"w": (rng.standard_normal((K, N)) / K**0.5).astype(np.float32), "axis": np.array([1], np.int64)}
    nodes = [helper.make_node("MatMul", ["x", "w"], ["h"], "product"), helper.make_node("ArgMax", ["h"], ["y"], "label", axis=1, keepdims=1)]
    path, feeds = product(weights, nodes, tmp_path / "m.onnx")
    model = onnx.load(path)
    del model.graph.output[:]
    model.graph.output.append(helper.make_tensor_value_info("y", TensorProto.INT64, [16, 1]))
    onnx.save(model, path)
    done = subprocess.run([ane_mlir.find_tool("onnx-to-ane"), path, "-o", tmp_path / "m.mlpackage", "--weights=auto:0.95"], capture_output=True, text=True, check=True)
    found = next(iter(ane_mlir.Package(tmp_path / "m.mlpackage").run(feeds).values()))
    print(done.stderr)
    assert "lut3" not in done.stderr and (np.ravel(found) == np.ravel(reference(path, feeds)[0])).mean() >= 0.8


def test_bundles_take_what_engines_were_seen_to_take(gpt, tmp_path):
    path, feeds, expected, _ = gpt
    for target, form, least in (("h16", "int8", 0.999), ("h17", "int4", 0.94)):
        bundle = ane_mlir.compile(path, output=tmp_path / "m.anepkg", target=target, options=[f"--weights={form}"])
        text = "".join(f.read_text() for f in (tmp_path / "m.anepkg" / "programs").iterdir())
        assert f"tensor<{form}, [" in text and cosine(bundle.run(feeds)["logits"], expected) >= least
    for options, words in ((["--weights=int4"], ("L79", "h16", "int8")), (["--weights=lut4"], ("packages", "L09")), (["--weights=int8,per=block:32"], ("L09",)),
                           (["--weights=int5"], ("int8", "lut4")), (["--weights=int8", "--quantize=none"], ("older name",))):  # fmt: skip
        with pytest.raises(ValueError) as caught:
            ane_mlir.compile(path, output=tmp_path / "n.anepkg", options=options)
        assert all(word in str(caught.value) for word in words), caught.value


def tied(path: pathlib.Path, words: int = 3000, width: int = 256) -> dict[str, np.ndarray]:
    """A table whose rows are looked up, and whose transpose makes the logits."""
    rng = np.random.default_rng(0)
    nodes = [
        helper.make_node("Gather", ["E", "ids"], ["x"], name="/embed"), helper.make_node("MatMul", ["x", "W"], ["y"], name="/mix"), helper.make_node("Tanh", ["y"], ["t"], name="/tanh"),
        helper.make_node("Transpose", ["E"], ["turned"], perm=[1, 0], name="/tie"), helper.make_node("MatMul", ["t", "turned"], ["logits"], name="/head"),
    ]  # fmt: skip
    weights = {"E": rng.standard_normal((words, width)).astype(np.float32) / 16, "W": rng.standard_normal((width, width)).astype(np.float32) / 16}
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("ids", TensorProto.INT64, [1, 16])], [helper.make_tensor_value_info("logits", TensorProto.FLOAT, None)], [numpy_helper.from_array(w, n) for n, w in weights.items()])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return {"ids": rng.integers(0, words, (1, 16))}


def test_a_tied_embedding_is_stored_once(tmp_path):
    """On the host for its rows and on the engine for the logits: one file, which both read."""
    feeds = tied(tmp_path / "m.onnx")
    bundle = ane_mlir.compile(tmp_path / "m.onnx", output=tmp_path / "m.anepkg")
    assert sorted(program["kind"] for program in bundle.manifest["programs"]) == ["ane", "host"]
    table, rest = 3000 * 256 * 2, 256 * 256 * 2
    assert sum(f.stat().st_size for f in (tmp_path / "m.anepkg" / "weights").iterdir()) <= 1.02 * (table + rest)
    (expected,) = reference(tmp_path / "m.onnx", feeds)
    np.testing.assert_allclose(bundle.run(feeds)["logits"], expected, atol=1e-2 * np.abs(expected).max())
    # A small one is not worth a file.
    tied(tmp_path / "small.onnx", words=200)
    ane_mlir.compile(tmp_path / "small.onnx", output=tmp_path / "small.anepkg")
    assert len(list((tmp_path / "small.anepkg" / "weights").iterdir())) == 2


@pytest.mark.parametrize("table,warned", [("one", "1 of 4608 numbers of a weight are beyond fp16"), ("alike", "96 of 4608 numbers"), ("below", "1 of 4608 numbers"), ("mask", ""), ("infinite", "")])
def test_beyond_fp16(tmp_path, table, warned):
    """A quantity that saturates is said, be it alone or often the same; a mask and what stands for infinity are not."""
    values = np.random.default_rng(0).standard_normal((48, 96)).astype(np.float32)
    values[7, : {"one": 1, "below": 1, "alike": 96, "mask": 96, "infinite": 1}[table]] = {"one": 1e6, "alike": 1e6, "below": -1e6, "mask": -1e6, "infinite": 3e38}[table]
    graph = helper.make_graph([helper.make_node("Gather", ["t", "i"], ["y"], "/g")], "g", [helper.make_tensor_value_info("i", TensorProto.INT64, [4])],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, [4, 96])], [numpy_helper.from_array(values, "t")])  # fmt: skip
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "m.onnx")
    made = ane_mlir.compile(tmp_path / "m.onnx", check="off", calibration="none")
    said = [d.message for d in made.diagnostics if "beyond fp16" in d.message]
    assert warned in said[0] if warned else not said, said


@pytest.mark.parametrize("flags", ["m.mlpackage", "m.mlpackage --check=off", "m.mlpackage --weights=int8", "m.mlpackage --precision=fp32", "m.anepkg", "m.anepkg --placement=host"])
@pytest.mark.parametrize("width", [8, 96, 1024])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_not_a_number(tmp_path, width, flags, dtype):
    """NaN in what a model has is said once for each tensor, however it is written, as are infinities beside other numbers, but for those of masks."""
    value = helper.make_tensor_value_info
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    for bad, said in ((np.nan, "are NaN"), (np.inf, "are infinite"), (-np.inf, None)):
        weights = [np.random.default_rng(i).standard_normal((width, width)).astype(dtype) for i in range(2)] + [np.array(1, dtype)]
        weights[0][width // 2, 3] = weights[1][width - 1, width - 1] = weights[2][...] = bad
        nodes = [helper.make_node("MatMul", ["x", "v"], ["h"], name="one"), helper.make_node("Gemm", ["h", "w"], ["g"], name="two", transB=1), helper.make_node("Min", ["g", "s"], ["y"])]
        graph = helper.make_graph(nodes, "g", [value("x", kind, [4, width])], [value("y", kind, [4, width])], [numpy_helper.from_array(w, name) for w, name in zip(weights, "vws")])
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "m.onnx")
        done = subprocess.run([ane_mlir.find_tool("onnx-to-ane"), "m.onnx", "-o", *flags.split()], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        found = re.findall(r"'(\w)': (\d+) of (\d+) numbers (.*?)[,;]", done.stderr)
        assert found == [(name, "1", str(size), said) for name, size in (("v", width**2), ("w", width**2), ("s", 1))[: {"are NaN": 3, "are infinite": 2, None: 0}[said]]], done.stderr


def test_check_of_what_is_no_number(tmp_path):
    """Outputs that fp32 has not either are none that agree; ane-check says what the conversion warns of."""
    value, scale = helper.make_tensor_value_info, np.array([[1, np.nan, 2, 3]], np.float32)
    for name, factor, part in (("some", scale, "; 25 % are infinite or NaN in fp32 as well"), ("none", scale * np.nan, " none of its numbers is finite in fp32 either")):
        graph = helper.make_graph([helper.make_node("Mul", ["x", "s"], ["y"])], "g", [value("x", TensorProto.FLOAT, [8, 4])], [value("y", TensorProto.FLOAT, [8, 4])], [numpy_helper.from_array(factor, "s")])
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / f"{name}.onnx")
        done = subprocess.run([ane_mlir.find_tool("onnx-to-ane"), tmp_path / f"{name}.onnx", "-o", tmp_path / "m.anepkg"], capture_output=True, text=True, check=True)
        assert part in done.stdout + done.stderr
        assert ("warning: output 'y' could not be compared" in done.stderr) == (name == "none")
        done = subprocess.run([ane_mlir.find_tool("ane-check"), tmp_path / f"{name}.onnx"], capture_output=True, text=True, check=True)
        assert "warning: 's': " in done.stdout and "numbers are NaN" in done.stdout


def layers(path: pathlib.Path, width: int, depth: int, outputs: int, rows: int = 1, silu: bool = False) -> pathlib.Path:
    """Products with tanh, or silu and no more behind, between, to `outputs` numbers for each row."""
    rng, nodes, weights, x = np.random.default_rng(0), [], [], "x"
    for i in range(depth):
        columns = width if i + 1 < depth else outputs
        weights.append(numpy_helper.from_array((rng.standard_normal((width, columns)) * (1.4 if silu else 1) / np.sqrt(width)).astype(np.float32), f"w{i}"))
        nodes.append(helper.make_node("MatMul", [x, f"w{i}"], [f"h{i}"]))
        nodes += [helper.make_node("Sigmoid", [f"h{i}"], [f"s{i}"]), helper.make_node("Mul", [f"h{i}", f"s{i}"], [f"t{i}"])] if silu else [helper.make_node("Tanh", [f"h{i}"], [f"t{i}"])]
        x = f"t{i}"
    nodes.append(helper.make_node("Identity" if silu else "Sigmoid", [x], ["y"]))
    value = helper.make_tensor_value_info
    graph = helper.make_graph(nodes, "g", [value("x", TensorProto.FLOAT, [rows, width])], [value("y", TensorProto.FLOAT, [rows, outputs])], weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


@pytest.mark.parametrize("outputs", [1, 3])
def test_few_numbers_have_a_size(tmp_path, outputs):
    """The cosine of one number is its sign: of an output of few how far they are off counts."""
    model = layers(tmp_path / "m.onnx", 192, 4, outputs)
    sizes = []
    for wanted in (0.9999, 0.98):
        subprocess.run([ane_mlir.find_tool("onnx-to-ane"), model, "-o", tmp_path / "m.mlpackage", f"--weights=auto:{wanted}"], capture_output=True, check=True)
        made, off, all_ = ane_mlir.Package(tmp_path / "m.mlpackage"), 0.0, 0.0
        for seed in range(8):
            x = np.random.default_rng(seed).standard_normal((1, 192)).astype(np.float32)
            expected = reference(model, {"x": x})[0]
            off, all_ = off + np.square(made.run({"x": x})["y"] - expected).sum(), all_ + np.square(expected).sum()
        # Measured on guessed inputs, and here on others.
        assert off / all_ / 2 <= 3 * (1 - wanted), off / all_
        sizes.append(size(tmp_path / "m.mlpackage"))
    assert sizes[0] > 1.2 * sizes[1]
    convert = [ane_mlir.find_tool("onnx-to-ane"), model, "-o", tmp_path / "m.mlpackage", "--weights=lut3"]
    done = subprocess.run([*convert, "--min-cosine=0.99999"], capture_output=True, text=True)
    assert done.returncode == 1 and "(few numbers, off as by a cosine of " in done.stderr, done.stderr
    assert subprocess.run([*convert, "--min-cosine=0.5"], capture_output=True).returncode == 0


@pytest.mark.parametrize("wanted", [0.999, 0.99, 0.97, 0.95])
def test_what_is_chosen_holds_in_the_artifact(tmp_path, wanted):
    """Too much work for the engine's arithmetic at each trial: what is chosen is judged by it all the same, also where a little more is asked for than it came to."""
    model = layers(tmp_path / "m.onnx", 256, 6, 256, rows=64, silu=True)
    for _ in range(3):
        done = subprocess.run([ane_mlir.find_tool("onnx-to-ane"), model, "-o", tmp_path / "m.mlpackage", f"--weights=auto:{wanted:.7f}"], capture_output=True, text=True, check=True)
        said, found = re.search(r"least cosine is (\S+) \('y'\)", done.stderr), re.search(r" y +cosine ([\d.]+)", done.stderr + done.stdout)
        assert "engine numerics" in done.stderr + done.stdout
        assert float(said[1]) <= float(found[1]) + 1e-5 and float(found[1]) >= wanted - 5e-7, (wanted, done.stderr)
        wanted = float(found[1]) + 2e-6


def test_no_form_has_the_cosine(tmp_path):
    """What fp16 itself loses no form of weights gives back: that is said, with what it comes to."""
    model = layers(tmp_path / "m.onnx", 128, 3, 64, rows=4)
    done = subprocess.run([ane_mlir.find_tool("onnx-to-ane"), model, "-o", tmp_path / "m.mlpackage", "--weights=auto:0.999999999"], capture_output=True, text=True, check=True)
    assert re.search(r"warning: .*with fp16 weights the outputs' least cosine is 0\.9999\d+ \('y'\), and --weights=auto asked for 0.999999999: ", done.stderr), done.stderr
    assert "weights by their form: 3 in no fewer bits" in done.stderr


def test_functions_share_what_is_chosen(tmp_path):
    """What one length finds is tried first by the next, so that a package of two is hardly larger than of one."""
    rng, width, layers = np.random.default_rng(0), 256, 12
    nodes, weights, x = [], [], "x"
    for i in range(layers):
        weights.append(numpy_helper.from_array((rng.standard_normal((width, width)) / 16).astype(np.float32), f"w{i}"))
        nodes += [helper.make_node("MatMul", [x, f"w{i}"], [f"h{i}"]), helper.make_node("Tanh", [f"h{i}"], [x := f"t{i}"])]
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["s", width])], [helper.make_tensor_value_info(x, TensorProto.FLOAT, ["s", width])], weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "m.onnx")
    sizes = []
    for flags in (["--dim", "s=16"], ["--dim", "s=4,16", "--buckets=functions"]):
        output = tmp_path / f"{len(sizes)}.mlpackage"
        done = subprocess.run([ane_mlir.find_tool("onnx-to-ane"), tmp_path / "m.onnx", "-o", output, "--weights=auto:0.99", *flags], capture_output=True, text=True, check=True)
        assert re.search(r"form: [1-9]\d* lut4.*, [1-9]\d* lut6", done.stderr), done.stderr
        sizes.append(size(output))
    assert sizes[1] < 1.06 * sizes[0], sizes
