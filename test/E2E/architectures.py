"""Architectures with the operations that make islands, as exporters write them: real channel counts, few layers, no framework.

Each builder takes `width`, a divisor of the channels, so that numbers can be compared on a narrow one and placement on the real one.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


class Net:
    """Nodes and seeded weights; a method returns the name of its result."""

    def __init__(self, seed: int = 0) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self.rng = np.random.default_rng(seed)

    def op(self, kind: str, *inputs: str, outputs: int = 1, **attributes):
        name = f"/{kind}_{len(self.nodes)}"
        results = [f"{name}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(kind, list(inputs), results, name, **attributes))
        return results if outputs > 1 else results[0]

    def const(self, value: np.ndarray) -> str:
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.array(value, order="C"), name))
        return name

    def ints(self, *values: int) -> str:
        return self.const(np.array(values, np.int64))

    def number(self, value: float) -> str:
        return self.const(np.array(value, np.float32))

    def random(self, *shape: int, scale: float = 1.0, shift: float = 0.0) -> str:
        return self.const((self.rng.standard_normal(shape) * scale + shift).astype(np.float32))

    def conv(self, x: str, cin: int, cout: int, kernel, pads=None, groups: int = 1, bias: bool = True, **attributes) -> str:
        kernel = (kernel, kernel) if isinstance(kernel, int) else tuple(kernel)
        fan = cin // groups * int(np.prod(kernel))
        inputs = [x, self.random(cout, cin // groups, *kernel, scale=fan**-0.5)] + ([self.random(cout, scale=0.1)] if bias else [])
        if pads is None:
            pads = [k // 2 for k in kernel]
        pads = [pads] * len(kernel) if isinstance(pads, int) else pads
        return self.op("Conv", *inputs, kernel_shape=list(kernel), pads=list(pads) * (2 if len(pads) == len(kernel) else 1), group=groups, **attributes)

    def up(self, x: str, cin: int, cout: int, kernel: int, stride: int, pad: int = 0) -> str:
        weight = self.random(cin, cout, kernel, scale=(cin * kernel / stride) ** -0.5)
        return self.op("ConvTranspose", x, weight, self.random(cout, scale=0.1), kernel_shape=[kernel], strides=[stride], pads=[pad, pad])

    def linear(self, x: str, cin: int, cout: int, bias: bool = True) -> str:
        y = self.op("MatMul", x, self.random(cin, cout, scale=cin**-0.5))
        return self.op("Add", self.random(cout, scale=0.1), y) if bias else y

    def pad(self, x: str, *pads: int, mode: str = "reflect") -> str:
        return self.op("Pad", x, self.ints(*pads), mode=mode)

    def scale(self, x: str, channels: int, *ones: int, spread: float = 0.1) -> str:
        return self.op("Mul", x, self.random(channels, *ones, scale=spread, shift=1))

    def silu(self, x: str) -> str:
        return self.op("Mul", x, self.op("Sigmoid", x))

    def gelu(self, x: str) -> str:
        gate = self.op("Add", self.op("Erf", self.op("Div", x, self.number(2**0.5))), self.number(1))
        return self.op("Mul", self.op("Mul", x, gate), self.number(0.5))

    def group_norm(self, x: str, channels: int, groups: int, shape: list[int]) -> str:
        """As exporters write it: an instance norm of flattened groups."""
        flat = self.op("Reshape", x, self.ints(0, groups, -1))
        ones, zeros = self.const(np.ones(groups, np.float32)), self.const(np.zeros(groups, np.float32))
        y = self.op("Reshape", self.op("InstanceNormalization", flat, ones, zeros, epsilon=1e-5), self.ints(*shape))
        return self.op("Add", self.scale(y, channels, 1, 1), self.random(channels, 1, 1, scale=0.1))

    def instance_norm(self, x: str, channels: int) -> str:
        return self.op("InstanceNormalization", x, self.random(channels, scale=0.1, shift=1), self.random(channels, scale=0.1), epsilon=1e-5)

    def layer_norm(self, x: str, channels: int) -> str:
        return self.op("LayerNormalization", x, self.random(channels, scale=0.1, shift=1), self.random(channels, scale=0.1), axis=-1, epsilon=1e-5)

    def model(self, shapes: dict[str, list[int]], *outputs: str) -> onnx.ModelProto:
        inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()]
        results = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs]
        graph = helper.make_graph(self.nodes, "g", inputs, results, self.weights)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def poolformer(width: int = 1, image: int = 224) -> onnx.ModelProto:
    """PoolFormer-S12's first two stages: pooling for attention, group norm of one group."""
    g, c, size = Net(1), 64 // width, image // 4
    x = g.conv("x", 3, c, 7, pads=2, strides=[4, 4])
    for stage in range(2):
        if stage:
            x, c, size = g.conv(x, c, 2 * c, 3, pads=1, strides=[2, 2]), 2 * c, size // 2
        n = g.group_norm(x, c, 1, [1, c, size, size])
        mixed = g.op("Sub", g.op("AveragePool", n, kernel_shape=[3, 3], strides=[1, 1], pads=[1, 1, 1, 1], count_include_pad=0), n)
        x = g.op("Add", x, g.op("Mul", mixed, g.random(c, 1, 1, scale=0.3)))
        h = g.conv(g.gelu(g.conv(g.group_norm(x, c, 1, [1, c, size, size]), c, 4 * c, 1)), 4 * c, c, 1)
        x = g.op("Add", x, g.op("Mul", h, g.random(c, 1, 1, scale=0.3)))
    x = g.op("ReduceMean", g.group_norm(x, c, 1, [1, c, size, size]), axes=[2, 3], keepdims=0)
    return g.model({"x": [1, 3, image, image]}, g.linear(x, c, 100))


def swin(width: int = 1, image: int = 112) -> onnx.ModelProto:
    """Swin-T's first stage, a window and a shifted window, and the merge behind it."""
    g, c, heads, window = Net(2), 96 // width, 3, 7
    side, d = image // 4, 96 // width // 3
    x = g.conv("x", 3, c, 4, pads=0, strides=[4, 4])
    x = g.layer_norm(g.op("Transpose", g.op("Reshape", x, g.ints(1, c, side * side)), perm=[0, 2, 1]), c)
    n, tokens = side // window, window * window

    def roll(x: str, by: int) -> str:
        for axis in (1, 2):
            cut = [g.op("Slice", x, g.ints(a), g.ints(b), g.ints(axis)) for a, b in ((by, 2**31), (0, by))]
            x = g.op("Concat", *cut, axis=axis)
        return x

    mask = np.zeros((n * n, tokens, tokens), np.float32)
    where = np.zeros((side, side), int)
    for i, rows in enumerate((slice(0, -7), slice(-7, -3), slice(-3, None))):
        for j, columns in enumerate((slice(0, -7), slice(-7, -3), slice(-3, None))):
            where[rows, columns] = 3 * i + j
    where = where.reshape(n, window, n, window).transpose(0, 2, 1, 3).reshape(n * n, tokens)
    mask[where[:, :, None] != where[:, None, :]] = -100
    for shift in (0, 3):
        h = g.op("Reshape", g.layer_norm(x, c), g.ints(1, side, side, c))
        h = roll(h, shift) if shift else h
        h = g.op("Transpose", g.op("Reshape", h, g.ints(1, n, window, n, window, c)), perm=[0, 1, 3, 2, 4, 5])
        h = g.op("Reshape", h, g.ints(-1, tokens, c))
        qkv = g.op("Transpose", g.op("Reshape", g.linear(h, c, 3 * c), g.ints(n * n, tokens, 3, heads, d)), perm=[2, 0, 3, 1, 4])
        q, k, v = (g.op("Gather", qkv, g.const(np.array(i, np.int64)), axis=0) for i in range(3))
        scores = g.op("MatMul", g.op("Mul", q, g.number(d**-0.5)), g.op("Transpose", k, perm=[0, 1, 3, 2]))
        scores = g.op("Add", scores, g.random(1, heads, tokens, tokens, scale=0.2))
        if shift:
            wide = g.op("Reshape", scores, g.ints(1, n * n, heads, tokens, tokens))
            scores = g.op("Reshape", g.op("Add", wide, g.const(mask[None, :, None])), g.ints(-1, heads, tokens, tokens))
        h = g.op("Transpose", g.op("MatMul", g.op("Softmax", scores, axis=-1), v), perm=[0, 2, 1, 3])
        h = g.linear(g.op("Reshape", h, g.ints(n * n, tokens, c)), c, c)
        h = g.op("Transpose", g.op("Reshape", h, g.ints(1, n, n, window, window, c)), perm=[0, 1, 3, 2, 4, 5])
        h = g.op("Reshape", h, g.ints(1, side, side, c))
        h = roll(h, side - shift) if shift else h
        x = g.op("Add", x, g.op("Reshape", h, g.ints(1, side * side, c)))
        x = g.op("Add", x, g.linear(g.gelu(g.linear(g.layer_norm(x, c), c, 4 * c)), 4 * c, c))
    x = g.op("Reshape", x, g.ints(1, side, side, c))
    parts = [g.op("Slice", x, g.ints(i, j), g.ints(2**31, 2**31), g.ints(1, 2), g.ints(2, 2)) for j in (0, 1) for i in (0, 1)]
    x = g.layer_norm(g.op("Reshape", g.op("Concat", *parts, axis=-1), g.ints(1, side * side // 4, 4 * c)), 4 * c)
    return g.model({"x": [1, 3, image, image]}, g.linear(x, 4 * c, 2 * c, bias=False))


def vae_decoder(width: int = 1, latent: int = 32) -> onnx.ModelProto:
    """Stable Diffusion's decoder: middle block with attention, an up block with nearest upsampling, the last norm."""
    g, c, size, groups = Net(3), 512 // width, latent, 32
    x = g.conv("z", 4, c, 3)

    def resnet(x: str, cin: int, cout: int) -> str:
        h = g.conv(g.silu(g.group_norm(x, cin, groups, [1, cin, size, size])), cin, cout, 3)
        h = g.conv(g.silu(g.group_norm(h, cout, groups, [1, cout, size, size])), cout, cout, 3)
        return g.op("Add", x if cin == cout else g.conv(x, cin, cout, 1), h)

    x = resnet(x, c, c)
    n = g.op("Transpose", g.op("Reshape", g.group_norm(x, c, groups, [1, c, size, size]), g.ints(1, c, size * size)), perm=[0, 2, 1])
    q, k, v = (g.linear(n, c, c) for _ in range(3))
    scores = g.op("Mul", g.op("MatMul", q, g.op("Transpose", k, perm=[0, 2, 1])), g.number(c**-0.5))
    h = g.linear(g.op("MatMul", g.op("Softmax", scores, axis=-1), v), c, c)
    x = g.op("Add", g.op("Reshape", g.op("Transpose", h, perm=[0, 2, 1]), g.ints(1, c, size, size)), x)
    for cout in (c // 2, c // 4):
        x = g.conv(g.op("Resize", x, "", g.const(np.array([1, 1, 2, 2], np.float32)), mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor"), c, c, 3)
        size *= 2
        x, c = resnet(x, c, cout), cout
    x = g.conv(g.silu(g.group_norm(x, c, groups, [1, c, size, size])), c, 3, 3)
    return g.model({"z": [1, 4, latent, latent]}, x)


def style_transfer(width: int = 1, image: int = 288) -> onnx.ModelProto:
    """Fast neural style: reflect pads, instance norms, nearest upsampling."""
    g, c = Net(4), 32 // width

    def conv(x: str, cin: int, cout: int, kernel: int, stride: int = 1) -> str:
        p = kernel // 2
        return g.conv(g.pad(x, 0, 0, p, p, 0, 0, p, p), cin, cout, kernel, pads=0, strides=[stride, stride])

    x = g.op("Relu", g.instance_norm(conv("x", 3, c, 9), c))
    for _ in range(2):
        x, c = g.op("Relu", g.instance_norm(conv(x, c, 2 * c, 3, 2), 2 * c)), 2 * c
    for _ in range(2):
        h = g.op("Relu", g.instance_norm(conv(x, c, c, 3), c))
        x = g.op("Add", x, g.instance_norm(conv(h, c, c, 3), c))
    for _ in range(2):
        x = g.op("Resize", x, "", g.const(np.array([1, 1, 2, 2], np.float32)), mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor")
        x, c = g.op("Relu", g.instance_norm(conv(x, c, c // 2, 3), c // 2)), c // 2
    return g.model({"x": [1, 3, image, image]}, conv(x, c, 3, 9))


def yolox(width: int = 1, image: int = 256) -> onnx.ModelProto:
    """YOLOX-S: Focus, a dark block, SPP with windows of 5, 9 and 13, a head with its boxes decoded."""
    g, c = Net(5), 32 // width
    parts = [g.op("Slice", "x", g.ints(i, j), g.ints(2**31, 2**31), g.ints(2, 3), g.ints(2, 2)) for j in (0, 1) for i in (0, 1)]
    x = g.silu(g.conv(g.op("Concat", *parts, axis=1), 12, c, 3))
    size = image // 2
    for _ in range(4):
        x, c, size = g.silu(g.conv(x, c, 2 * c, 3, pads=1, strides=[2, 2])), 2 * c, size // 2
        x = g.op("Add", x, g.silu(g.conv(g.silu(g.conv(x, c, c // 2, 1)), c // 2, c, 3)))
    h = g.silu(g.conv(x, c, c // 2, 1))
    pools = [g.op("MaxPool", h, kernel_shape=[k, k], strides=[1, 1], pads=[k // 2] * 4) for k in (5, 9, 13)]
    x = g.silu(g.conv(g.op("Concat", h, *pools, axis=1), 2 * c, c, 1))
    up = g.op("Resize", x, "", g.const(np.array([1, 1, 2, 2], np.float32)), mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor")
    outputs = []
    for level, side in ((x, size), (up, 2 * size)):
        stem = g.silu(g.conv(level, c, 128 // width, 1))
        box, score = g.conv(stem, 128 // width, 4, 1), g.op("Sigmoid", g.conv(stem, 128 // width, 81, 1))
        outputs.append(g.op("Reshape", g.op("Concat", box, score, axis=1), g.ints(1, 85, side * side)))
    y = g.op("Transpose", g.op("Concat", *outputs, axis=2), perm=[0, 2, 1])
    count = 5 * size * size
    grid, stride = g.const(g.rng.integers(0, size, (1, count, 2)).astype(np.float32)), g.const(np.full((1, count, 1), 0.125, np.float32))
    centre, extent, rest = (g.op("Slice", y, g.ints(a), g.ints(b), g.ints(2)) for a, b in ((0, 2), (2, 4), (4, 85)))
    centre = g.op("Mul", g.op("Add", centre, grid), stride)
    return g.model({"x": [1, 3, image, image]}, g.op("Concat", centre, g.op("Mul", g.op("Exp", extent), stride), rest, axis=-1))


def alexnet(width: int = 1, image: int = 227) -> onnx.ModelProto:
    """AlexNet as published: a kernel of 11 in steps of 4, local response norms, groups."""
    g, c = Net(6), 96 // width
    x = g.op("Relu", g.conv("x", 3, c, 11, pads=0, strides=[4, 4]))

    def pooled(x: str) -> str:
        return g.op("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2])

    x = pooled(g.op("LRN", x, size=5, alpha=1e-4, beta=0.75, bias=1.0))
    x = pooled(g.op("LRN", g.op("Relu", g.conv(x, c, 256 // width, 5, groups=2)), size=5, alpha=1e-4, beta=0.75, bias=1.0))
    x = g.op("Relu", g.conv(x, 256 // width, 384 // width, 3))
    x = g.op("Relu", g.conv(x, 384 // width, 384 // width, 3, groups=2))
    x = pooled(g.op("Relu", g.conv(x, 384 // width, 256 // width, 3, groups=2)))
    side = (((image - 11) // 4 + 1 - 3) // 2 + 1 - 3) // 2 + 1
    side = (side - 3) // 2 + 1
    n = 256 // width * side * side
    x = g.op("Flatten", x)
    for cin, cout in ((n, 4096 // width), (4096 // width, 1000)):
        x = g.op("Gemm", x, g.random(cout, cin, scale=cin**-0.5), g.random(cout, scale=0.1), transB=1)
        x = g.op("Relu", x) if cout != 1000 else x
    return g.model({"x": [1, 3, image, image]}, g.op("Softmax", x, axis=-1))


def hifigan(width: int = 1, frames: int = 32) -> onnx.ModelProto:
    """HiFi-GAN V1's generator: transposed convolutions 16/8 and 4/2, dilated residual blocks of 3, 7 and 11."""
    g, c = Net(7), 512 // width
    x = g.conv("mel", 80, c, (7,))
    for kernel, stride in ((16, 8), (16, 8), (4, 2), (4, 2)):
        x, c = g.up(g.op("LeakyRelu", x, alpha=0.1), c, c // 2, kernel, stride, (kernel - stride) // 2), c // 2
        total = None
        for size, dilation in ((3, 1), (7, 3), (11, 5)):
            h = g.conv(g.op("LeakyRelu", x, alpha=0.1), c, c, (size,), pads=[(size - 1) * dilation // 2], dilations=[dilation])
            h = g.op("Add", x, g.conv(g.op("LeakyRelu", h, alpha=0.1), c, c, (size,)))
            total = h if total is None else g.op("Add", total, h)
        x = g.op("Div", total, g.number(3))
    return g.model({"mel": [1, 80, frames]}, g.op("Tanh", g.conv(g.op("LeakyRelu", x, alpha=0.01), c, 1, (7,))))


def conformer(width: int = 1, frames: int = 128) -> onnx.ModelProto:
    """A Conformer block behind its subsampling: relative positions with their shift, gated depthwise convolution of 31."""
    g, c, heads = Net(8), 256 // width, 4
    t, d = frames // 4, 256 // width // 4
    x = g.op("Unsqueeze", "x", g.ints(1))
    x = g.op("Relu", g.conv(x, 1, c, 3, pads=1, strides=[2, 2]))
    x = g.op("Relu", g.conv(x, c, c, 3, pads=1, strides=[2, 2]))
    x = g.op("Reshape", g.op("Transpose", x, perm=[0, 2, 1, 3]), g.ints(1, t, 20 * c))
    x = g.linear(x, 20 * c, c)

    def feed(x: str) -> str:
        h = g.linear(g.silu(g.linear(g.layer_norm(x, c), c, 4 * c)), 4 * c, c)
        return g.op("Add", x, g.op("Mul", h, g.number(0.5)))

    x = feed(x)
    n = g.layer_norm(x, c)
    q, k, v = (g.op("Reshape", g.linear(n, c, c), g.ints(1, t, heads, d)) for _ in range(3))
    k, v = (g.op("Transpose", y, perm=[0, 2, 1, 3]) for y in (k, v))
    place = g.random(1, heads, d, 2 * t - 1)
    content = g.op("MatMul", g.op("Transpose", g.op("Add", q, g.random(heads, d, scale=0.1)), perm=[0, 2, 1, 3]), g.op("Transpose", k, perm=[0, 1, 3, 2]))
    shifted = g.op("MatMul", g.op("Transpose", g.op("Add", q, g.random(heads, d, scale=0.1)), perm=[0, 2, 1, 3]), place)
    shifted = g.op("Reshape", g.op("Pad", shifted, g.ints(0, 0, 0, 1, 0, 0, 0, 0)), g.ints(1, heads, 2 * t, t))
    shifted = g.op("Reshape", g.op("Slice", shifted, g.ints(1), g.ints(2**31), g.ints(2)), g.ints(1, heads, t, 2 * t - 1))
    shifted = g.op("Slice", shifted, g.ints(0), g.ints(t), g.ints(3))
    p = g.op("Softmax", g.op("Mul", g.op("Add", content, shifted), g.number(d**-0.5)), axis=-1)
    h = g.op("Reshape", g.op("Transpose", g.op("MatMul", p, v), perm=[0, 2, 1, 3]), g.ints(1, t, c))
    x = g.op("Add", x, g.linear(h, c, c))
    h = g.conv(g.op("Transpose", g.layer_norm(x, c), perm=[0, 2, 1]), c, 2 * c, (1,))
    a, b = g.op("Split", h, g.ints(c, c), outputs=2, axis=1)
    h = g.conv(g.op("Mul", a, g.op("Sigmoid", b)), c, c, (31,), groups=c)
    parameters = [g.random(c, scale=0.1, shift=1), g.random(c, scale=0.1), g.random(c, scale=0.1), g.const(g.rng.uniform(0.5, 2, c).astype(np.float32))]
    h = g.conv(g.silu(g.op("BatchNormalization", h, *parameters)), c, c, (1,))
    x = feed(g.op("Add", x, g.op("Transpose", h, perm=[0, 2, 1])))
    return g.model({"x": [1, frames, 80]}, g.layer_norm(x, c))


def replknet(width: int = 1, image: int = 128) -> onnx.ModelProto:
    """RepLKNet-31: depthwise kernels of 31, 29 and 27, merged with their small ones."""
    g, c = Net(9), 128 // width
    x = g.op("Relu", g.conv("x", 3, c, 3, pads=1, strides=[2, 2]))
    x = g.op("Relu", g.conv(g.op("Relu", g.conv(x, c, c, 3, groups=c)), c, c, 1))
    x = g.op("Relu", g.conv(x, c, c, 3, pads=1, strides=[2, 2], groups=c))
    for kernel in (31, 29, 27):
        h = g.op("Relu", g.conv(x, c, c, 1))
        h = g.op("Relu", g.conv(h, c, c, kernel, groups=c))
        x = g.op("Add", x, g.conv(h, c, c, 1))
        x = g.op("Add", x, g.conv(g.gelu(g.conv(x, c, 4 * c, 1)), 4 * c, c, 1))
    x = g.op("Flatten", g.op("GlobalAveragePool", x))
    return g.model({"x": [1, 3, image, image]}, g.linear(x, c, 100))


def encodec_decoder(width: int = 1, frames: int = 16) -> onnx.ModelProto:
    """EnCodec's decoder (SEANet): causal convolutions with reflect pads, two LSTM layers, transposed 16/8, 10/5, 8/4, 4/2."""
    g, c = Net(10), 512 // width

    def conv(x: str, cin: int, cout: int, kernel: int, dilation: int = 1) -> str:
        p = (kernel - 1) * dilation
        return g.conv(g.pad(x, 0, 0, p, 0, 0, 0) if p else x, cin, cout, (kernel,), pads=[0], dilations=[dilation])

    x = conv("z", 128, c, 7)
    h = g.op("Transpose", x, perm=[2, 0, 1])
    for _ in range(2):
        weights = [g.random(1, 4 * c, c, scale=c**-0.5) for _ in range(2)] + [g.random(1, 8 * c, scale=0.1)]
        h = g.op("Squeeze", g.op("LSTM", h, *weights, hidden_size=c, outputs=3)[0], g.ints(1))
    x = g.op("Add", x, g.op("Transpose", h, perm=[1, 2, 0]))
    for stride in (8, 5, 4, 2):
        x = g.up(g.op("Elu", x), c, c // 2, 2 * stride, stride)
        x = g.op("Slice", x, g.ints(0), g.ints(-stride), g.ints(2))
        c //= 2
        h = conv(g.op("Elu", conv(g.op("Elu", x), c, c // 2, 3)), c // 2, c, 1)
        x = g.op("Add", conv(x, c, c, 1), h)
    return g.model({"z": [1, 128, frames]}, conv(g.op("Elu", x), c, 1, 7))


BUILDERS = {f.__name__: f for f in (poolformer, swin, vae_decoder, style_transfer, yolox, alexnet, hifigan, conformer, replknet, encodec_decoder)}
