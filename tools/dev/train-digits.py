"""Trains the demo's digit classifier from the data set that ships inside scikit-learn, and exports it to ONNX.

A small convolutional network in NumPy (no framework): conv 3x3 -> relu -> conv 3x3 -> relu -> maxpool 2 -> dense.
Writes test/E2E/digits/: digits.onnx, and 360 held-back images in ONNX's test-data layout with their labels,
and the 1437 others, which the tests of training use.
Needs: pip install numpy onnx scikit-learn. Deterministic: the committed files are what this prints.
"""

from __future__ import annotations

import pathlib

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from sklearn.datasets import load_digits

OUT = pathlib.Path(__file__).resolve().parents[2] / "test" / "E2E" / "digits"


def im2col(x: np.ndarray) -> np.ndarray:
    """[N,C,8,8] -> [N,8,8,C*9] patches of a 3x3 convolution with padding 1."""
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
    return windows.transpose(0, 2, 3, 1, 4, 5).reshape(x.shape[0], 8, 8, -1)


def col2im(columns: np.ndarray, channels: int) -> np.ndarray:
    patches = columns.reshape(columns.shape[0], 8, 8, channels, 3, 3)
    padded = np.zeros((columns.shape[0], channels, 10, 10), np.float32)
    for i in range(3):
        for j in range(3):
            padded[:, :, i : i + 8, j : j + 8] += patches[:, :, :, :, i, j].transpose(0, 3, 1, 2)
    return padded[:, :, 1:9, 1:9]


class Network:
    def __init__(self, rng: np.random.Generator) -> None:
        def he(*shape: int) -> np.ndarray:
            return (rng.standard_normal(shape) * np.sqrt(2 / np.prod(shape[1:]))).astype(np.float32)

        self.p = {"w1": he(16, 9), "b1": np.zeros(16, np.float32), "w2": he(32, 144), "b2": np.zeros(32, np.float32), "w3": he(10, 512), "b3": np.zeros(10, np.float32)}
        self.m = {k: np.zeros_like(v) for k, v in self.p.items()}
        self.v = {k: np.zeros_like(v) for k, v in self.p.items()}
        self.step = 0

    def forward(self, x: np.ndarray) -> tuple:
        p = self.p
        c1 = im2col(x)
        h1 = np.maximum(c1 @ p["w1"].T + p["b1"], 0).transpose(0, 3, 1, 2)
        c2 = im2col(h1)
        h2 = np.maximum(c2 @ p["w2"].T + p["b2"], 0).transpose(0, 3, 1, 2)
        cells = h2.reshape(-1, 32, 4, 2, 4, 2)
        pooled = cells.max(axis=(3, 5))
        flat = pooled.reshape(-1, 512)
        return c1, h1, c2, h2, cells, pooled, flat, flat @ p["w3"].T + p["b3"]

    def train(self, x: np.ndarray, labels: np.ndarray, rate: float) -> None:
        c1, h1, c2, h2, cells, pooled, flat, logits = self.forward(x)
        probabilities = np.exp(logits - logits.max(1, keepdims=True))
        probabilities /= probabilities.sum(1, keepdims=True)
        d = probabilities
        d[np.arange(len(labels)), labels] -= 1
        d /= len(labels)
        g = {"w3": d.T @ flat, "b3": d.sum(0)}
        dp = (d @ self.p["w3"]).reshape(-1, 32, 4, 4)
        mask = cells == pooled[:, :, :, None, :, None]
        dh2 = (mask * dp[:, :, :, None, :, None] / mask.sum((3, 5), keepdims=True)).reshape(h2.shape) * (h2 > 0)
        dz2 = dh2.transpose(0, 2, 3, 1).reshape(-1, 32)
        g["w2"], g["b2"] = dz2.T @ c2.reshape(-1, 144), dz2.sum(0)
        dh1 = col2im((dz2 @ self.p["w2"]).reshape(c2.shape), 16) * (h1 > 0)
        dz1 = dh1.transpose(0, 2, 3, 1).reshape(-1, 16)
        g["w1"], g["b1"] = dz1.T @ c1.reshape(-1, 9), dz1.sum(0)
        self.step += 1
        for k in self.p:  # Adam
            self.m[k] = 0.9 * self.m[k] + 0.1 * g[k]
            self.v[k] = 0.999 * self.v[k] + 0.001 * g[k] ** 2
            mean, variance = self.m[k] / (1 - 0.9**self.step), self.v[k] / (1 - 0.999**self.step)
            self.p[k] -= (rate * mean / (np.sqrt(variance) + 1e-8)).astype(np.float32)


def export(p: dict[str, np.ndarray]) -> onnx.ModelProto:
    weights = {"conv1.weight": p["w1"].reshape(16, 1, 3, 3), "conv1.bias": p["b1"], "conv2.weight": p["w2"].reshape(32, 16, 3, 3), "conv2.bias": p["b2"],
               "fc.weight": p["w3"], "fc.bias": p["b3"]}
    nodes = [
        helper.make_node("Conv", ["image", "conv1.weight", "conv1.bias"], ["c1"], "/conv1/Conv", pads=[1, 1, 1, 1], kernel_shape=[3, 3]),
        helper.make_node("Relu", ["c1"], ["r1"], "/relu1/Relu"),
        helper.make_node("Conv", ["r1", "conv2.weight", "conv2.bias"], ["c2"], "/conv2/Conv", pads=[1, 1, 1, 1], kernel_shape=[3, 3]),
        helper.make_node("Relu", ["c2"], ["r2"], "/relu2/Relu"),
        helper.make_node("MaxPool", ["r2"], ["p"], "/pool/MaxPool", kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Flatten", ["p"], ["f"], "/Flatten", axis=1),
        helper.make_node("Gemm", ["f", "fc.weight", "fc.bias"], ["logits"], "/fc/Gemm", transB=1),
    ]
    graph = helper.make_graph(nodes, "digits", [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 1, 8, 8])],
                              [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 10])],
                              [numpy_helper.from_array(v, k) for k, v in weights.items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], producer_name="train-digits.py")
    model.ir_version = 8
    onnx.checker.check_model(model)
    return model


def main() -> None:
    data = load_digits()
    images = (data.images[:, None] / 16).astype(np.float32)
    train_x, train_y, test_x, test_y = images[:1437], data.target[:1437], images[1437:], data.target[1437:]
    rng = np.random.default_rng(0)
    network = Network(rng)
    for epoch in range(40):
        order = rng.permutation(len(train_x))
        for start in range(0, len(order), 48):
            batch = order[start : start + 48]
            network.train(train_x[batch], train_y[batch], 2e-3 if epoch < 25 else 4e-4)
    logits = network.forward(test_x)[-1].astype(np.float32)
    print(f"held-back accuracy {np.mean(logits.argmax(1) == test_y):.4f} of {len(test_y)} images")
    (OUT / "test_data_set_0").mkdir(parents=True, exist_ok=True)
    onnx.save(export(network.p), OUT / "digits.onnx")
    (OUT / "test_data_set_0" / "input_0.pb").write_bytes(numpy_helper.from_array(test_x, "image").SerializeToString())
    (OUT / "test_data_set_0" / "output_0.pb").write_bytes(numpy_helper.from_array(logits, "logits").SerializeToString())
    np.save(OUT / "labels.npy", test_y.astype(np.int64))
    # For the tests of training: sixteenths and labels in bytes.
    np.save(OUT / "train_images.npy", data.images[:1437, None].astype(np.uint8))
    np.save(OUT / "train_labels.npy", train_y.astype(np.uint8))


if __name__ == "__main__":
    main()
