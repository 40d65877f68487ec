"""Wrong usages of every tool. None is accepted in silence where it changes the result; every text names what was given and what helps: the
nearest name, the choices, or the option that is missing. Exit status 2 for the command line, 1 for what it names."""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

BIN = pathlib.Path(os.environ["ANE_MLIR_BIN"])
FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64


@pytest.fixture(scope="module")
def here(tmp_path_factory) -> pathlib.Path:
    """A folder with models, artifacts and arrays that the usages name."""
    folder = tmp_path_factory.mktemp("usages")
    node = helper.make_node
    weight = numpy_helper.from_array(np.ones((8, 3, 1, 1), np.float32), "w")
    conv = [node("Conv", ["image", "w"], ["features"], "/conv"), node("Relu", ["features"], ["y"], "/relu")]

    def save(name: str, nodes, inputs, outputs, weights=()) -> None:
        graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info(*i) for i in inputs], [helper.make_tensor_value_info(*o) for o in outputs], list(weights))
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), folder / name)

    save("conv.onnx", conv, [("image", FLOAT, [1, 3, 8, 8])], [("y", FLOAT, [1, 8, 8, 8])], [weight])
    save("open.onnx", conv, [("image", FLOAT, ["batch", 3, "height", 8])], [("y", FLOAT, None)], [weight])
    save("two.onnx", [node("Add", ["left", "right"], ["sum"], "/add")], [("left", FLOAT, [4]), ("right", FLOAT, [4])], [("sum", FLOAT, [4])])
    save("shaped.onnx", [node("Reshape", ["x", "shape"], ["y"], "/reshape")], [("x", FLOAT, [4]), ("shape", INT64, [2])], [("y", FLOAT, None)])
    for name in ("conv.anepkg", "conv.mlpackage", "conv.mil", "two.anepkg"):
        model = folder / f"{pathlib.Path(name).stem}.onnx"
        assert not subprocess.run([BIN / "onnx-to-ane", model, "-o", folder / name, "--quiet"]).returncode
    for name, array in (("image", np.zeros((1, 3, 8, 8), np.float32)), ("ints", np.full((1, 3, 8, 8), 2**25 + 1, np.int64)), ("small", np.zeros((3, 8, 8), np.float32)), ("four", np.zeros(4, np.float32)), ("text", np.array(["a", "b"]))):
        np.save(folder / f"{name}.npy", array)
    (folder / "shape.pb").write_bytes(numpy_helper.from_array(np.array([2, 2]), "shape").SerializeToString())
    (folder / "float.pb").write_bytes(numpy_helper.from_array(np.array([2.0, 2.0]), "shape").SerializeToString())
    (folder / "notes.txt").write_text("a\nb\n")
    (folder / "labels.txt").write_text("cat\ndog\n")
    (folder / "place.json").write_text('{"/cnov": "host"}')
    (folder / "wrong.json").write_text('{"/conv": "gpu"}')
    (folder / "broken.json").write_text('{"/conv": ')
    (folder / "empty").mkdir()
    (folder / "data").mkdir()
    np.save(folder / "data" / "input_0.npy", np.zeros((1, 3, 8, 8), np.float32))
    np.save(folder / "data" / "output_0.npy", np.zeros((1, 8, 4, 8), np.float32))
    shutil.copytree(folder / "conv.anepkg", folder / "headless.anepkg")
    (folder / "headless.anepkg" / "manifest.fb").unlink()
    return folder


CONVERT = "onnx-to-ane conv.onnx -o out.anepkg --quiet"
OPEN = "onnx-to-ane open.onnx -o out.anepkg --quiet"
PACK = "onnx-to-ane conv.onnx -o out.mlpackage --quiet"
SHAPED = "onnx-to-ane shaped.onnx -o out.anepkg --quiet"
RUN = "ane-run conv.anepkg"
FED = RUN + " --input image=image.npy"
MODULE = "ane-opt module.mlir"

# What is said of each, in any order.
USAGES: dict[str, list[str]] = {
    # The model.
    "onnx-to-ane": ["model"],
    "onnx-to-ane missing.onnx -o out.anepkg": ["missing.onnx", "is not found"],
    "onnx-to-ane cnov.onnx -o out.anepkg": ["cnov.onnx"],
    "onnx-to-ane empty -o out.anepkg": ["empty", "regular file"],
    "onnx-to-ane notes.txt -o out.anepkg": ["notes.txt", "ONNX"],
    "onnx-to-ane image.npy -o out.anepkg": ["image.npy", "ONNX"],
    "onnx-to-ane conv.anepkg -o out.mlpackage": ["conv.anepkg", "bundle|anepkg"],
    "onnx-to-ane conv.onnx two.onnx -o out.anepkg": ["two.onnx|positional"],
    "onnx-to-ane headless.anepkg -o out.mlpackage": ["headless.anepkg"],
    # Where to.
    "onnx-to-ane conv.onnx": ["-o"],
    "onnx-to-ane conv.onnx -o": ["-o|requires a value"],
    "onnx-to-ane conv.onnx -o out.zip": ["out.zip", ".anepkg"],
    "onnx-to-ane conv.onnx -o out.mlpackge": ["out.mlpackge", ".mlpackage"],
    "onnx-to-ane conv.onnx -o out": ["'out'", ".anepkg"],
    "onnx-to-ane conv.onnx -o -": ["--compile-to|standard output"],
    "onnx-to-ane conv.onnx -o none/there/out.anepkg": ["none/there"],
    "onnx-to-ane conv.onnx -o notes.txt/out.anepkg": ["notes.txt"],
    "onnx-to-ane conv.onnx -o conv.onnx": ["conv.onnx"],
    CONVERT + " --compile-to=optimised": ["optimised", "optimized"],
    CONVERT + " --report=r.txt": ["r.txt", ".json", ".html"],
    CONVERT + " --report=none/there/r.json": ["none/there"],
    PACK + " --trace=t.json": ["--trace", ".anepkg"],
    PACK + " --require-ane": ["--require-ane", ".anepkg"],
    PACK + " --placement=host": ["--placement", ".anepkg"],
    PACK + " --live-bytes=1000": ["--live-bytes", "package"],
    # Options that are none.
    CONVERT + " --targte=m1": ["--targte|targte", "--target"],
    CONVERT + " --check=quick": ["quick", "fast", "full"],
    CONVERT + " --precision=fp8": ["fp8", "mixed", "fp16", "fp32"],
    CONVERT + " --placement=gpu": ["gpu", "cost", "host"],
    CONVERT + " --placement=none.json": ["none.json"],
    CONVERT + " --placement=place.json": ["/cnov", "/conv"],
    CONVERT + " --placement=wrong.json": ["gpu", "host"],
    CONVERT + " --placement=broken.json": ["broken.json"],
    CONVERT + " --dialect=modren": ["modren", "modern"],
    CONVERT + " --quantize=int4": ["int4", "int8"],
    CONVERT + " --quantized-activations=int8": ["int8", "float", "keep"],
    CONVERT + " --calibration=nowhere": ["nowhere"],
    CONVERT + " --calibration=empty": ["empty"],
    CONVERT + " --calibration=notes.txt": ["notes.txt"],
    CONVERT + " --precision=fp32 --calibration=auto": ["--calibration", "fp16"],
    CONVERT + " --precision=fp32 --weights=int8": ["--weights=int8", "fp16"],
    CONVERT + " --check=off --max-error=0.1": ["--max-error", "--check"],
    CONVERT + " --check=off --min-cosine=0.9": ["--min-cosine", "--check"],
    CONVERT + " --max-error=-1": ["--max-error", "-1"],
    CONVERT + " --max-error=often": ["often"],
    CONVERT + " --min-cosine=2": ["--min-cosine", "2"],
    CONVERT + " --live-bytes=-5": ["--live-bytes", "0 or more"],
    CONVERT + " --live-bytes=1GB": ["1GB"],
    CONVERT + " --max-constant-bytes=lots": ["lots"],
    CONVERT + " --random=zero": ["zero", "mean", "input"],
    CONVERT + " --target=m9": ["m9", "m1", "h13"],
    CONVERT + " --target=M1 --target=m2": ["--target|target"],
    CONVERT + " --precision=fp16 --precision=fp32": ["precision"],
    CONVERT + " --rule=L5=on": ["L5"],
    CONVERT + " --rule=S12": ["S12", "on", "off"],
    CONVERT + " --rule=S12=maybe": ["maybe", "on", "off"],
    CONVERT + " --rule=S12=on --rule=S12=off": ["S12", "twice"],
    CONVERT + " --rule=S112=off": ["S112", "did you mean"],
    CONVERT + " --disable-pass=ane-tiles": ["ane-tiles", "ane-tile'"],
    CONVERT + " --disable-pass=ane-place": ["ane-place", "ane-tile"],
    CONVERT + " --explain=L999": ["L999"],
    # Names of the model.
    OPEN: ["image", "batch", "--dim"],
    OPEN + " --dim=batch=1": ["height", "--dim"],
    OPEN + " --dim=bacth=1,height=8": ["bacth", "did you mean 'batch'"],
    OPEN + " --dim=batch=1,height=8,width=8": ["width", "height"],
    OPEN + " --dim=batch": ["batch", "NAME=N"],
    OPEN + " --dim=batch=one,height=8": ["one", "NAME=N"],
    OPEN + " --dim=batch=-1,height=8": ["-1"],
    OPEN + " --dim=batch=1.5,height=8": ["1.5"],
    OPEN + " --dim=batch=1,height=99999999999999999999": ["99999999999999999999"],
    OPEN + " --dim=batch=1 --dim=batch=2 --dim=height=8": ["batch", "twice"],
    OPEN.replace("out.anepkg", "out.mil") + " --dim=batch=1,2,height=8": ["bundles and packages"],
    CONVERT + " --dim=batch=1": ["batch"],
    CONVERT + " --input-shape=imgae=1,3,8,8": ["imgae", "did you mean 'image'"],
    CONVERT + " --input-shape=image=1,3,8": ["image", "1, 3, 8", "float[1,3,8,8]"],
    CONVERT + " --input-shape=image=1,4,8,8": ["image|/conv", "4"],
    CONVERT + " --input-shape=image=1,3,16,16": ["image", "8"],
    CONVERT + " --input-shape=image": ["image", "float[1,3,8,8]"],
    CONVERT + " --input-shape=image=1,3,8,-8": ["-8"],
    CONVERT + " --outputs=featuers": ["featuers", "did you mean 'features'"],
    CONVERT + " --outputs=": ["--outputs"],
    CONVERT + " --outputs=y,y": ["'y'", "twice"],
    SHAPED + " --input-value=shpae=shape.pb": ["shpae", "did you mean 'shape'"],
    SHAPED + " --input-value=shape=none.pb": ["none.pb"],
    SHAPED + " --input-value=shape=float.pb": ["shape|/reshape"],
    SHAPED + " --input-value=shape=notes.txt": ["notes.txt"],
    SHAPED + " --input-value=shape": ["NAME=FILE.pb"],
    SHAPED: ["shape", "--input-value"],
    CONVERT + " --max-length=/rnage=4": ["/rnage"],
    CONVERT + " --function=main": ["--function", "package"],
    "onnx-to-ane conv.mlpackage -o out.anepkg --function=mian": ["mian", "main"],
    "onnx-to-ane conv.mlpackage -o out.anepkg --dim=batch=1": ["--dim", "ONNX"],
    # Packages.
    CONVERT + " --image-input=image=RGB": ["--image-input", "mlpackage|package"],
    PACK + " --image-input=imgae=RGB": ["imgae", "image"],
    PACK + " --image-input=image=RBG": ["RBG", "RGB", "BGR", "GRAY"],
    PACK + " --image-input=image=GRAY": ["image", "3|channel"],
    PACK + " --class-labels=none.txt": ["none.txt"],
    PACK + " --class-labels=labels.txt": ["2", "labels|classes"],
    PACK + " --class-labels=labels.txt --class-probabilities=z": ["'z'", "y"],
    PACK + " --state=image=y": ["image", "shape|state|type"],
    PACK + " --state=imgae=y": ["imgae", "image"],
    PACK + " --opset=ios12": ["ios12", "ios15"],
    PACK + " --buckets=shape": ["shape", "shapes", "functions"],
    # ane-run.
    "ane-run": ["artifact"],
    "ane-run missing.anepkg --random-inputs=0": ["missing.anepkg", "is not found"],
    "ane-run conv.onnx --random-inputs=0": ["ONNX", "onnx-to-ane"],
    "ane-run notes.txt --random-inputs=0": ["notes.txt", "bundle"],
    "ane-run headless.anepkg --random-inputs=0": ["manifest.fb"],
    RUN: ["image", "--input", "--random-inputs"],
    RUN + " --input=imgae=image.npy": ["imgae", "image"],
    RUN + " --input=image": ["NAME=FILE.npy"],
    RUN + " --input=image=none.npy": ["none.npy"],
    RUN + " --input=image=notes.txt": ["notes.txt"],
    RUN + " --input=image=small.npy": ["image", "3, 8, 8|3,8,8"],
    RUN + " --input=image=ints.npy": ["image", "int64", "exactly"],
    RUN + " --input=image=text.npy": ["text.npy"],
    RUN + " --input=image=image.npy --input=image=ints.npy": ["image", "twice"],
    RUN + " --random-inputs=seven": ["seven"],
    RUN + " --test-data=nowhere": ["nowhere"],
    RUN + " --test-data=empty": ["empty"],
    RUN + " --test-data=data": ["y:", "1, 8, 4, 8"],
    FED + " --compare=nowhere": ["nowhere"],
    FED + " --compare=empty": ["empty"],
    FED + " --numerics=fp64": ["fp64", "fp32", "engine"],
    FED + " --rtol=-1": ["--rtol", "-1"],
    FED + " --rtol=0.1": ["--rtol", "--compare|--test-data"],
    FED + " --output-dir=notes.txt": ["notes.txt"],
    FED + " --function=mian": ["mian", "main"],
    FED + " --input-shape=image=1,3,4,4": ["image"],
    FED + " --input-shape=imgae=1,3,8,8": ["imgae", "image"],
    "ane-run two.anepkg --input=left=four.npy": ["right", "--input"],
    # The others.
    "ane-diff conv.anepkg": ["two artifacts"],
    "ane-diff conv.anepkg missing.mlpackage": ["missing.mlpackage", "is not found"],
    "ane-diff conv.anepkg conv.onnx": ["conv.onnx", "onnx-to-ane"],
    "ane-diff conv.anepkg two.anepkg": ["input"],
    "ane-diff conv.anepkg conv.mlpackage --numerics=fp8": ["fp8", "engine"],
    "ane-diff conv.anepkg conv.mlpackage --rtol=-1": ["--rtol", "-1"],
    "mil-verify": [".mlpackage"],
    "mil-verify conv.onnx": [".mlpackage"],
    "mil-verify missing.mlpackage": ["missing.mlpackage", "is not found"],
    "mil-verify conv.anepkg": [".mlpackage"],
    "ane-opt missing.mlir": ["missing.mlir"],
    "ane-opt notes.txt": ["notes.txt"],
    "ane-opt conv.onnx": ["conv.onnx", "onnx-to-ane"],
    "ane-opt --ane-simplfy notes.txt": ["--ane-simplfy|ane-simplfy", "ane-simplify"],
    "ane-opt --explain=L999": ["L999"],
    "ane-translate missing.onnx": ["missing.onnx"],
    "ane-translate --import-onx conv.onnx": ["import-onx", "import-onnx"],
    "ane-translate notes.txt": ["--import-onnx", ".onnx"],
    "ane-translate --import-mil notes.txt": ["notes.txt"],
    "ane-translate --import-onnx notes.txt": ["notes.txt"],
    "ane-translate --mil-to-mlpackage conv.mil": ["conv.mil|-o"],
}


@pytest.mark.parametrize("usage", USAGES)
def test_usage(here, usage) -> None:
    before = {p: p.stat().st_mtime_ns for p in here.rglob("*")}
    words = usage.split()
    result = subprocess.run([BIN / words[0], *words[1:]], cwd=here, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
    assert result.returncode in (1, 2), (result.returncode, result.stdout[-500:], result.stderr[-500:])
    said = result.stderr + (result.stdout if "--test-data" in usage else "")
    for word in USAGES[usage]:
        assert any(part in said for part in word.split("|")), f"{word} is not in: {said[-800:]}"
    assert "UNREACHABLE" not in result.stderr and "Stack dump" not in result.stderr
    assert len(result.stderr) < 3000, result.stderr
    assert {p: p.stat().st_mtime_ns for p in here.rglob("*")} == before, "something was written"
