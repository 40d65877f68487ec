"""ane_mlir.evaluate: the same numbers in one process, in several and on a cluster; taken up again where it was left."""

from __future__ import annotations

import json
import pathlib

import metrics
import numpy as np
import onnx
import pytest

import ane_mlir

DIGITS = pathlib.Path(__file__).resolve().parent / "digits" / "digits.onnx"
EXAMPLES = [({"image": np.random.default_rng(i).random((1, 1, 8, 8), np.float32)}, i % 10) for i in range(24)]


@pytest.fixture(scope="module")
def bundle() -> ane_mlir.Bundle:
    return ane_mlir.compile(DIGITS, dims={"batch": 1}, check="off")


@pytest.fixture(scope="module")
def alone(bundle) -> ane_mlir.Evaluation:
    return ane_mlir.evaluate(bundle, EXAMPLES, metrics.total)


def test_alone(bundle, alone):
    wanted = [float(bundle.run(feeds)["logits"].sum()) for feeds, _ in EXAMPLES]
    assert list(alone.values) == wanted and alone.mean == sum(wanted) / len(wanted) and alone.resumed == 0
    right = ane_mlir.evaluate(bundle, EXAMPLES, metrics.is_right)
    assert set(right.values) <= {0.0, 1.0}
    with pytest.raises(ValueError, match="has no example"):
        ane_mlir.evaluate(bundle, [], metrics.total)
    with pytest.raises(ValueError, match="is no input"):
        ane_mlir.evaluate(bundle, [({"imag": EXAMPLES[0][0]["image"]}, 0)], metrics.total)


def test_processes(bundle, alone):
    assert ane_mlir.evaluate(bundle, EXAMPLES, metrics.total, workers=2, chunk=5).values == alone.values


def test_resumed(tmp_path, bundle, alone, capsys):
    ledger = tmp_path / "results.jsonl"
    first = ane_mlir.evaluate(bundle, EXAMPLES[:10], metrics.total, resume=ledger)
    with open(ledger, "a") as stream:
        stream.write('[11, 1')  # cut in the middle of a line
    calls = []

    def counted(outputs, target):
        calls.append(target)
        return metrics.total(outputs, target)

    again = ane_mlir.evaluate(bundle, EXAMPLES, counted, resume=ledger, progress=True)
    assert again.values == alone.values and again.values[:10] == first.values
    assert again.resumed == 10 and len(calls) == 14
    assert "24/24 examples" in capsys.readouterr().err
    assert len(ledger.read_text().splitlines()) == 25
    other = ane_mlir.compile(DIGITS, dims={"batch": 1}, check="off", target="m1")
    for artifact, numerics in ((other, "fp16"), (bundle, "fp32")):
        with pytest.raises(ValueError, match="another artifact"):
            ane_mlir.evaluate(artifact, EXAMPLES, metrics.total, resume=ledger, numerics=numerics)
    assert json.loads(ledger.read_text().splitlines()[0]).keys() == {"artifact"}


def test_cluster(bundle, alone):
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None) as cluster, distributed.Client(cluster) as client:
        assert ane_mlir.evaluate(bundle, EXAMPLES, metrics.total, client=client, chunk=5).values == alone.values


def test_another_artifact_in_its_place(tmp_path):
    """A worker that lives on loads what is there now."""
    from ane_mlir._evaluate import _evaluate_some

    for factor in (2, 3):
        graph = onnx.helper.make_graph([onnx.helper.make_node("Mul", ["image", "c"], ["y"])], "g", [onnx.helper.make_tensor_value_info("image", 1, [1, 4])], [onnx.helper.make_tensor_value_info("y", 1, [1, 4])], [onnx.numpy_helper.from_array(np.array(factor, np.float32), "c")])
        onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8), tmp_path / "m.onnx")
        bundle = ane_mlir.compile(tmp_path / "m.onnx", output=tmp_path / "m.anepkg", check="off")
        feeds = {"image": np.ones((1, 4), np.float32)}
        assert _evaluate_some(str(bundle.path), "fp16", lambda outputs, target: float(np.sum(outputs["y"])), [(0, (feeds, 0))]) == [(0, 4.0 * factor)]
