"""Memory that does not suffice ends in a message and status 1, in every tool and at every size; nobody is ended by a signal."""

from __future__ import annotations

import os
import pathlib
import resource
import subprocess

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

BIN = pathlib.Path(os.environ["ANE_MLIR_BIN"])
MB = 1 << 20


@pytest.fixture(scope="module")
def here(tmp_path_factory) -> pathlib.Path:
    """One weight of 32 MB in every form."""
    folder = tmp_path_factory.mktemp("memory")
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"], "/product")], "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [4, 4096])], [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.ones((4096, 2048), np.float32), "w")])  # fmt: skip
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), folder / "m.onnx")
    for options in (["-o", "m.anepkg"], ["-o", "m.mlpackage"], ["--compile-to=ane", "-o", "m.mlir"]):
        assert not subprocess.run([BIN / "onnx-to-ane", "m.onnx", *options, "--quiet", "--check=off"], cwd=folder).returncode
    return folder


USAGES = [
    "ane-run m.anepkg --random-inputs=0 --quiet", "mil-verify m.mlpackage --quiet", "ane-diff m.anepkg m.mlpackage", "ane-translate --raise-mil m.mlpackage -o out.mlir",
    "ane-translate --import-onnx m.onnx -o out.mlir", "ane-opt m.mlir --ane-optimize-pipeline -o out.mlir",
]  # fmt: skip


@pytest.mark.parametrize("usage", USAGES)
def test_memory(here, usage) -> None:
    words = usage.split()
    refused = 0
    for megabytes in (*range(120, 320, 20), 400, 600):
        limit = lambda megabytes=megabytes: resource.setrlimit(resource.RLIMIT_AS, (megabytes * MB, megabytes * MB))  # noqa: E731
        result = subprocess.run([BIN / words[0], *words[1:]], cwd=here, capture_output=True, text=True, timeout=60, preexec_fn=limit)
        if result.returncode == 127 or "pthread_create" in result.stderr:  # the loader's, before anything is ours
            continue
        assert result.returncode in (0, 1), (megabytes, result.returncode, result.stderr[-500:])
        if result.returncode:
            refused += 1
            said = result.stdout + result.stderr
            assert "does not fit this machine's memory" in said or "Cannot allocate memory" in said, (megabytes, said[-500:])
    assert refused or usage.startswith("mil-verify")  # which maps what it reads, and little else
