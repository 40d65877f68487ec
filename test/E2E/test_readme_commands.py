"""README's command lines run as they are written, block by block, beside models of the kind that each is about."""

from __future__ import annotations

import os
import pathlib
import re
import subprocess
import sys

import ane_mlir
import builders
import numpy as np
import onnx
import pytest
import test_states
import training_models
from conftest import ROOT
from onnx import TensorProto, helper

BIN = pathlib.Path(os.environ["ANE_MLIR_BIN"])
STANDIN = BIN.parent / "lib/libane-standin.so"
# What tools/dev/test and test_wheel.py do themselves.
ELSEWHERE = ("tools/dev/", "pip install")


def blocks() -> list[list[str]]:
    """Commands by block: continued lines joined, remarks left out."""
    found = []
    for body in re.findall(r"^```sh\n(.*?)^```", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL):
        lines = [re.split(r"\s{2,}#", line)[0].strip() for line in body.replace("\\\n", " ").splitlines()]
        found.append([line for line in lines if line and not line.startswith(("#", *ELSEWHERE))])
    return [block for block in found if block]


def sequence_model() -> onnx.ModelProto:
    g = builders._Random(0)
    g.nodes.append(helper.make_node("Relu", [g.node("MatMul", "x", g.random(16, 16))], ["y"], "/y"))
    infos = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", "sequence", 16]) for name in "xy"]
    return g.model(infos[:1], infos[1:])


def counter() -> onnx.ModelProto:
    """Adds what it sees to what it keeps."""
    infos = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 8]) for name in ("x", "past", "present", "y")]
    nodes = [helper.make_node("Add", ["x", "past"], ["present"], "/add"), helper.make_node("Relu", ["present"], ["y"], "/y")]
    return helper.make_model(helper.make_graph(nodes, "counter", infos[:2], infos[2:]), opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def adapted() -> onnx.ModelProto:
    """A layer whose name LoRA's pattern matches."""
    g = builders._Random(0)
    w = g.weight("h.attn.w", g.rng.standard_normal((16, 16)).astype(np.float32))
    return g.finish({"x": (4, 16)}, {"logits": g.dense(g.node("Relu", g.node("MatMul", "x", w)), 16, 4)})


def save_models(folder: pathlib.Path, command: str) -> None:
    """model.onnx and decoder.onnx of the kind that a line is about."""
    if "--image-input" in command or "--class-labels" in command or "--image-output" in command:
        model = builders.build_mobilenet_v2(image=32)
    elif "--lora" in command:
        model = adapted()
    elif "--train" in command:
        model = training_models.build_cnn(batch="N")
    elif "--dim sequence" in command or "dims=batch=1" in command:
        model = sequence_model()
    else:
        model = builders.build_vit(layers=1)
    if "--dim sequence" in command or "dims=batch=1" in command:
        for dim in (model.graph.input[0], model.graph.output[0]) if "--dim sequence" in command else ():
            dim.type.tensor_type.shape.dim[0].dim_value = 1
        for dim in (model.graph.input[0], model.graph.output[0]) if "dims=batch=1" in command else ():
            dim.type.tensor_type.shape.dim[1].dim_value = 8
    onnx.save(model, folder / "model.onnx")
    onnx.save(counter() if "past=present" in command else test_states.decoder(), folder / "decoder.onnx")


def prepare(folder: pathlib.Path) -> None:
    """What lines of README take for granted."""
    (folder / "build").symlink_to(BIN.parent)
    (folder / "test").symlink_to(ROOT / "test")
    save_models(folder, "")
    ane_mlir.compile(folder / "model.onnx", output=folder / "model.anepkg", check="off")
    (folder / "labels.txt").write_text("".join(f"class {i}\n" for i in range(1000)))
    (folder / "DATA").mkdir()
    rng = np.random.default_rng(0)
    np.save(folder / "DATA/image.npy", rng.random((64, 1, 8, 8), np.float32))
    np.save(folder / "DATA/targets.npy", rng.integers(0, 10, 64).astype(np.int32))
    tokenizers = pytest.importorskip("tokenizers", reason="python -m ane_mlir.generate reads a tokenizer.json by PyPI's tokenizers")
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel({f"w{i}": i for i in range(test_states.VOCABULARY)}, unk_token="w0"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))


@pytest.mark.parametrize("block", [pytest.param(block, id=re.sub(r"\W+", "-", block[0])[:40]) for block in blocks()])
def test_block(block: list[str], tmp_path: pathlib.Path) -> None:
    prepare(tmp_path)
    path = os.pathsep.join([str(BIN), str(pathlib.Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT / "python"), "ANE_RUNTIME_FRAMEWORK": str(STANDIN), "ANE_STANDIN": "target=h16"}
    for command in block:
        if "--device=engine" in command and not STANDIN.exists():
            pytest.skip("the stand-in is not built: it wants GNUstep (libgnustep-base-dev)")
        assert "…" not in command.replace('"…"', ""), f"not a whole command: {command}"
        save_models(tmp_path, command)
        done = subprocess.run(["bash", "-euo", "pipefail", "-c", command], capture_output=True, text=True, cwd=tmp_path, env=environment)
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
