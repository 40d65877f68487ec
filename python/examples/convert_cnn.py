"""Converts a small convolutional classifier, looks at where it runs, and checks its accuracy in the engine's numerics."""

from __future__ import annotations

import pathlib
import sys
import tempfile
from typing import Any

import ane_mlir
import numpy as np
from numpy.typing import NDArray

DIGITS = pathlib.Path(__file__).resolve().parents[2] / "test" / "E2E" / "digits"


def is_right(outputs: dict[str, NDArray[Any]], label: Any) -> float:
    return float(np.argmax(outputs["logits"]) == label)


def main() -> int:
    bundle = ane_mlir.compile(DIGITS / "digits.onnx", target="m4", dims={"batch": 1}, progress=True)
    print(bundle.report)
    for op in bundle.report.host:
        print(op["node"], "runs on the host:", op["reason"])

    images = read_images(DIGITS / "test_data_set_0" / "input_0.pb")
    labels = np.load(DIGITS / "labels.npy")
    dataset = [({"image": image[None]}, label) for image, label in zip(images[:100], labels)]
    found = ane_mlir.evaluate(bundle, dataset, is_right, numerics="engine")
    print(f"{found.mean:.0%} of {len(found.values)} digits are right")

    with tempfile.TemporaryDirectory() as folder:
        bundle.save(f"{folder}/digits.anepkg")
        package = bundle.to_mlpackage(f"{folder}/digits.mlpackage")
        print(package, ane_mlir.verify(package.path) or "has nothing that Core ML would refuse")
    return 0 if found.mean > 0.9 else 1


def read_images(path: pathlib.Path) -> NDArray[Any]:
    import onnx
    from onnx import numpy_helper

    tensor = onnx.TensorProto()
    tensor.ParseFromString(path.read_bytes())
    images: NDArray[Any] = numpy_helper.to_array(tensor)
    return images


if __name__ == "__main__":
    sys.exit(main())
