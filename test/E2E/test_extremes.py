"""Constructs whose values leave what fp16 holds, as exporters write them, against ONNX Runtime: decoders far into a text and with a
massive activation, the time step of a diffusion model, log-mel spectrograms of audio with true silence."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from conftest import cosine, reference
from onnx import TensorProto, helper, numpy_helper
from real_inputs import mel_filters, speech

import ane_mlir
import builders

# A part of the largest magnitude.
BARS = {"fp16": 1e-2, "engine": 1e-2}
NUMERICS = tuple(BARS)
MIN = float(np.finfo(np.float32).min)


class Graph:
    """Nodes one after the other; an array where a name is expected becomes an initializer."""

    def __init__(self, seed: int = 0) -> None:
        self.nodes, self.initializers, self.rng = [], [], np.random.default_rng(seed)

    def constant(self, value: object) -> str:
        array = np.asarray(value)
        array = array.astype({"f": np.float32, "i": np.int64}.get(array.dtype.kind, array.dtype))
        name = f"constant_{len(self.initializers)}"
        self.initializers.append(numpy_helper.from_array(array, name))
        return name

    def weight(self, *shape: int, scale: float = 1.0) -> str:
        return self.constant(scale * self.rng.standard_normal(shape) / np.sqrt(shape[0]))

    def __getattr__(self, op: str):
        if not op[0].isupper():
            raise AttributeError(op)

        def add(*inputs: object, outputs: int = 1, **attributes: object):
            names = [i if isinstance(i, str) else self.constant(i) for i in inputs]
            results = [f"/{op}_{len(self.nodes)}_{k}" for k in range(outputs)]
            self.nodes.append(helper.make_node(op, names, results, name=f"/{op}_{len(self.nodes)}", **attributes))
            return results if outputs > 1 else results[0]

        return add

    def save(self, path, inputs: dict[str, np.ndarray], outputs: dict[str, str], opset: int = 17) -> None:
        """With the shapes of these inputs; `outputs` names values."""
        nodes = self.nodes + [helper.make_node("Identity", [value], [name]) for name, value in outputs.items()]
        graph = helper.make_graph(
            nodes,
            "main",
            [helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(v.dtype), v.shape) for n, v in inputs.items()],
            [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in outputs],
            self.initializers,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)
        onnx.save(onnx.shape_inference.infer_shapes(model), path)


# Decoders.

WIDTH, HEADS, KV_HEADS, HEAD, HIDDEN, VOCABULARY, LENGTH = 64, 4, 2, 16, 160, 97, 24


def rms_norm(g: Graph, x: str) -> str:
    variance = g.ReduceMean(g.Pow(x, np.float32(2)), axes=[-1], keepdims=1)
    normal = g.Mul(x, g.Div(np.float32(1), g.Sqrt(g.Add(variance, np.float32(1e-6)))))
    return g.Mul(g.constant(1 + 0.1 * g.rng.standard_normal(WIDTH)), normal)


def rotary(g: Graph, positions: str) -> tuple[str, str]:
    """cos and sin of [1, 1, S, HEAD], from position_ids as the exporter writes Llama's module."""
    inverse = (10000.0 ** (-np.arange(0, HEAD, 2) / HEAD))[None, :, None]
    frequencies = g.MatMul(inverse, g.Cast(g.Unsqueeze(positions, [1]), to=TensorProto.FLOAT))
    frequencies = g.Transpose(frequencies, perm=[0, 2, 1])
    angles = g.Concat(frequencies, frequencies, axis=-1)
    return g.Unsqueeze(g.Cos(angles), [1]), g.Unsqueeze(g.Sin(angles), [1])


def rotate(g: Graph, x: str, cos: str, sin: str) -> str:
    half = g.Slice(x, [0], [HEAD // 2], [3], [1])
    other = g.Slice(x, [HEAD // 2], [2**63 - 1], [3], [1])
    return g.Add(g.Mul(x, cos), g.Mul(g.Concat(g.Neg(other), half, axis=-1), sin))


def causal_mask(g: Graph, attention_mask: str) -> str:
    """[1, 1, S, S]: finfo.min above the diagonal, and, where nothing is masked yet but the text is padding, by a comparison with 0."""
    square = g.constant(np.triu(np.full((LENGTH, LENGTH), MIN, np.float32), 1)[None, None])
    padding = g.Cast(g.Unsqueeze(attention_mask, [1, 2]), to=TensorProto.FLOAT)
    masked = g.Equal(g.Add(square, padding), np.float32(0))
    return g.Where(masked, np.float32(MIN), square)


def attention(g: Graph, x: str, cos: str, sin: str, mask: str) -> str:
    def heads(count: int) -> str:
        return g.Transpose(g.Reshape(g.MatMul(x, g.weight(WIDTH, count * HEAD)), [1, LENGTH, count, HEAD]), perm=[0, 2, 1, 3])

    def repeated(value: str) -> str:
        shape = [1, KV_HEADS, HEADS // KV_HEADS, LENGTH, HEAD]
        return g.Reshape(g.Expand(g.Unsqueeze(value, [2]), shape), [1, HEADS, LENGTH, HEAD])

    query, key, value = rotate(g, heads(HEADS), cos, sin), rotate(g, heads(KV_HEADS), cos, sin), heads(KV_HEADS)
    scores = g.Mul(g.MatMul(query, g.Transpose(repeated(key), perm=[0, 1, 3, 2])), np.float32(HEAD**-0.5))
    weights = g.Softmax(g.Add(scores, mask), axis=-1)
    merged = g.Reshape(g.Transpose(g.MatMul(weights, repeated(value)), perm=[0, 2, 1, 3]), [1, LENGTH, WIDTH])
    return g.MatMul(merged, g.weight(WIDTH, WIDTH))


def swiglu(g: Graph, x: str) -> str:
    gate = g.MatMul(x, g.weight(WIDTH, HIDDEN))
    return g.MatMul(g.Mul(g.Mul(gate, g.Sigmoid(gate)), g.MatMul(x, g.weight(WIDTH, HIDDEN))), g.weight(HIDDEN, WIDTH))


def decoder(path, outlier: float, layers: int = 2) -> None:
    """input_ids, attention_mask and position_ids to logits. Token 0 has `outlier` in one channel, as first tokens of trained models."""
    g = Graph(7)
    table = g.rng.standard_normal((VOCABULARY, WIDTH)).astype(np.float32)
    if outlier:
        table[0, 5] = outlier
    x = g.Gather(table, "input_ids")
    cos, sin = rotary(g, "position_ids")
    mask = causal_mask(g, "attention_mask")
    for _ in range(layers):
        x = g.Add(x, attention(g, rms_norm(g, x), cos, sin, mask))
        x = g.Add(x, swiglu(g, rms_norm(g, x)))
    logits = g.MatMul(rms_norm(g, x), g.weight(WIDTH, VOCABULARY))
    ids = np.zeros((1, LENGTH), np.int64)
    g.save(path, {"input_ids": ids, "attention_mask": ids, "position_ids": ids}, {"logits": logits})


@pytest.mark.parametrize("numerics", NUMERICS)
@pytest.mark.parametrize("outlier", [0.0, 9000.0], ids=["plain", "massive"])
@pytest.mark.parametrize("padding", [0, 5], ids=["whole", "padded"])
@pytest.mark.parametrize("start", [0, 3990])
def test_decoder(tmp_path, start, padding, outlier, numerics):
    path = tmp_path / "decoder.onnx"
    decoder(path, outlier)
    feeds = {
        "input_ids": np.random.default_rng(2).integers(1, VOCABULARY, (1, LENGTH)),
        "attention_mask": (np.arange(LENGTH) >= padding).astype(np.int64)[None],
        "position_ids": np.maximum(np.arange(LENGTH) - padding, 0)[None] + start,
    }
    feeds["input_ids"][0, padding] = 0
    expected = reference(path, feeds)[0][0]
    actual = ane_mlir.compile(path).run(feeds, numerics=numerics)["logits"][0]
    assert np.isfinite(actual).all()
    # What follows from padding is nobody's: there every key is masked.
    actual, expected = actual[padding:], expected[padding:]
    error = np.abs(actual - expected).max(axis=-1) / np.abs(expected).max()
    assert error.max() <= BARS[numerics], f"{np.count_nonzero(error > BARS[numerics])} of {len(error)} rows, the worst {error.max():.3f}"
    assert cosine(actual, expected) >= 0.999


# Diffusion.


def unet_block(path, channels: int = 32, size: int = 16, frequencies: int = 32, computed: bool = False) -> None:
    """A residual block with its time-step embedding; `computed`: the frequencies as exp of a range in the graph."""
    g = Graph(11)
    exponent = -np.log(10000.0) * np.arange(frequencies) / frequencies
    scale = g.Unsqueeze(g.Exp(exponent), [0]) if computed else np.exp(exponent)[None]
    angles = g.Mul(g.Cast(g.Unsqueeze("timestep", [1]), to=TensorProto.FLOAT), scale)
    both = g.Concat(g.Sin(angles), g.Cos(angles), axis=-1)
    both = g.Concat(g.Slice(both, [frequencies], [2**63 - 1], [1]), g.Slice(both, [0], [frequencies], [1]), axis=-1)

    def linear(x: str, width: int, out: int) -> str:
        return g.Gemm(x, g.constant(g.rng.standard_normal((out, width)) / np.sqrt(width)), g.constant(0.1 * g.rng.standard_normal(out)), transB=1)

    def silu(x: str) -> str:
        return g.Mul(x, g.Sigmoid(x))

    def norm(x: str) -> str:
        groups = g.Reshape(x, [0, 8, -1])
        normal = g.InstanceNormalization(groups, np.ones(8, np.float32), np.zeros(8, np.float32), epsilon=1e-5)
        normal = g.Reshape(normal, [1, channels, size, size])
        return g.Add(g.Mul(normal, g.constant(1 + 0.1 * g.rng.standard_normal((channels, 1, 1)))), g.constant(0.1 * g.rng.standard_normal((channels, 1, 1))))

    def conv(x: str, width: int, out: int) -> str:
        return g.Conv(x, g.constant(g.rng.standard_normal((out, width, 3, 3)) / np.sqrt(9 * width)), g.constant(0.1 * g.rng.standard_normal(out)), pads=[1, 1, 1, 1])

    embedding = linear(silu(linear(both, 2 * frequencies, 128)), 128, 128)
    x = conv("sample", 4, channels)
    h = conv(silu(norm(x)), channels, channels)
    h = g.Add(h, g.Unsqueeze(linear(silu(embedding), 128, channels), [2, 3]))
    h = conv(silu(norm(h)), channels, channels)
    sample = np.zeros((1, 4, size, size), np.float32)
    g.save(path, {"sample": sample, "timestep": np.zeros(1, np.int64)}, {"out": g.Add(x, h), "embedding": embedding})


@pytest.mark.parametrize("numerics", NUMERICS)
@pytest.mark.parametrize("computed", [False, True], ids=["constant", "computed"])
@pytest.mark.parametrize("timestep", [1, 981, 999])
def test_timestep(tmp_path, timestep, computed, numerics):
    path = tmp_path / "unet.onnx"
    unet_block(path, computed=computed)
    feeds = {"sample": np.random.default_rng(3).standard_normal((1, 4, 16, 16)).astype(np.float32), "timestep": np.array([timestep], np.int64)}
    actual = ane_mlir.compile(path).run(feeds, numerics=numerics)
    for (name, a), e in zip(actual.items(), reference(path, feeds)):
        error = np.abs(a - e).max() / np.abs(e).max()
        assert error <= BARS[numerics], f"{name}: {error:.3f}"


# Log-mel spectrograms.

RATE, SIZE, WINDOW, HOP, MELS = 16000, 512, 400, 160, 80
BINS = SIZE // 2 + 1


def window(size: int = WINDOW) -> np.ndarray:
    return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)


def basis(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """[len(weights), BINS] each: cos and sin of a windowed transform of SIZE."""
    angles = 2 * np.pi * np.outer(np.arange(len(weights)), np.arange(BINS)) / SIZE
    return np.cos(angles) * weights[:, None], -np.sin(angles) * weights[:, None]


def filters() -> np.ndarray:
    return mel_filters(RATE, SIZE, MELS)


def conv_power(g: Graph, samples: int) -> str:
    """[1, T, BINS]: reflected at the ends, a convolution with both bases, squares added."""
    audio = g.Pad(g.Unsqueeze("audio", [1]), [0, 0, SIZE // 2, 0, 0, SIZE // 2], mode="reflect")
    cos, sin = basis(np.pad(window(), (SIZE - WINDOW) // 2))
    spectrum = g.Conv(audio, np.concatenate([cos.T, sin.T])[:, None, :], strides=[HOP])
    real, imaginary = g.Slice(spectrum, [0], [BINS], [1]), g.Slice(spectrum, [BINS], [2 * BINS], [1])
    return g.Transpose(g.Add(g.Mul(real, real), g.Mul(imaginary, imaginary)), perm=[0, 2, 1])


def frames(g: Graph, samples: int) -> str:
    """[1, T, WINDOW], by an index of every sample, as as_strided and unfold export."""
    count = 1 + (samples - WINDOW) // HOP
    return g.Gather("audio", np.arange(count)[:, None] * HOP + np.arange(WINDOW), axis=1)


def basis_power(g: Graph, samples: int) -> str:
    """[1, T, BINS]: products with bases that the graph itself computes from ranges."""
    n = g.Cast(g.Range(np.int64(0), np.int64(WINDOW), np.int64(1)), to=TensorProto.FLOAT)
    k = g.Cast(g.Range(np.int64(0), np.int64(BINS), np.int64(1)), to=TensorProto.FLOAT)
    angles = g.Mul(g.Mul(g.Unsqueeze(n, [1]), g.Unsqueeze(k, [0])), np.float32(2 * np.pi / SIZE))
    x = g.Mul(frames(g, samples), window())
    real, imaginary = g.MatMul(x, g.Cos(angles)), g.MatMul(x, g.Neg(g.Sin(angles)))
    return g.Add(g.Pow(real, np.float32(2)), g.Pow(imaginary, np.float32(2)))


def kaldi_power(g: Graph, samples: int) -> str:
    """[1, T, BINS]: each frame less its mean, pre-emphasised, windowed as Kaldi does."""
    x = frames(g, samples)
    x = g.Sub(x, g.ReduceMean(x, axes=[2], keepdims=1))
    before = g.Concat(g.Slice(x, [0], [1], [2]), g.Slice(x, [0], [WINDOW - 1], [2]), axis=2)
    x = g.Sub(x, g.Mul(before, np.float32(0.97)))
    x = g.Mul(x, (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / (WINDOW - 1))) ** 0.85)
    x = g.Pad(x, [0, 0, 0, 0, 0, SIZE - WINDOW])
    cos, sin = basis(np.ones(SIZE))
    real, imaginary = g.MatMul(x, cos), g.MatMul(x, sin)
    return g.Add(g.Mul(real, real), g.Mul(imaginary, imaginary))


def log_max(g: Graph, mel: str) -> str:
    return g.Log(g.Max(mel, np.float32(1e-10)))


def log_clip(g: Graph, mel: str) -> str:
    return g.Log(g.Clip(mel, np.float32(1e-9), np.float32(1e9)))


def log_add(g: Graph, mel: str) -> str:
    return g.Log(g.Add(mel, np.float32(1e-6)))


def log_epsilon(g: Graph, mel: str) -> str:
    return g.Log(g.Max(mel, np.float32(np.finfo(np.float32).eps)))


def whisper(g: Graph, mel: str) -> str:
    decades = g.Div(g.Log(g.Max(mel, np.float32(1e-10))), np.float32(np.log(10)))
    decades = g.Max(decades, g.Sub(g.ReduceMax(decades, keepdims=1), np.float32(8)))
    return g.Div(g.Add(decades, np.float32(4)), np.float32(4))


@pytest.mark.parametrize("numerics", NUMERICS)
@pytest.mark.parametrize(
    "power, logarithm, scale",
    [
        (conv_power, log_max, 1),
        (conv_power, log_add, 1),
        (conv_power, whisper, 1),
        (basis_power, log_max, 1),
        (basis_power, log_clip, 1),
        (basis_power, log_add, 1),
        (kaldi_power, log_epsilon, 1),
        (kaldi_power, log_epsilon, 32768),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_log_mel(tmp_path, power, logarithm, scale, numerics):
    path = tmp_path / "mel.onnx"
    audio = speech(2.0, RATE)[None] * np.float32(scale)
    g = Graph()
    g.save(path, {"audio": audio}, {"mel": logarithm(g, g.MatMul(power(g, audio.shape[1]), filters()))})
    # Speech with pauses, and nothing at all.
    for feeds in ({"audio": audio}, {"audio": np.zeros_like(audio)}):
        expected = reference(path, feeds)[0]
        actual = ane_mlir.compile(path).run(feeds, numerics=numerics)["mel"]
        assert np.isfinite(expected).all() and np.isfinite(actual).all()
        error = np.abs(actual - expected)
        assert error.max() <= BARS[numerics], f"{np.count_nonzero(error > BARS[numerics])} of {error.size} beyond, the worst {error.max():.2e}, among true zeros {error[expected == expected.min()].max():.2e}"


@pytest.mark.parametrize("target", ["h16", "h17"])
@pytest.mark.parametrize("width", [64, 768, 2048, 4096])
@pytest.mark.parametrize("kind", ["layer", "root"])
def test_norms_of_real_widths(tmp_path, kind, width, target) -> None:
    """Rows of 1e-4 to 1e4, with one large element, an offset, or nothing but zeros: as many and as wide that norms are what the cost model makes of them
    in real models. Each row by itself: a small one is no more off than a large one."""
    rng = np.random.default_rng(5)
    g = builders._Random(0)
    h = g.norm("x", width) if kind == "layer" else g.rms_norm("x", width)
    model = g.finish({"x": (1, 256, width)}, {"h": h, "y": g.node("MatMul", h, g.random(width, 64))})
    onnx.save(model, tmp_path / "m.onnx")
    rows = 10.0 ** rng.uniform(-4, 4, (1, 256, 1))
    x = rng.standard_normal((1, 256, width)) * rows
    x[:, ::7, 3] *= 200
    x[:, 1::7] += 3 * rows[:, 1::7]
    x[:, 2::31] = 0
    x[:, 3::7] = np.sign(x[:, 3::7]) * rows[:, 3::7]  # of one magnitude
    x[:, 4::13] = rows[:, 4::13]  # of one value
    x = np.clip(x, -5e4, 5e4).astype(np.float16).astype(np.float32)
    expected = reference(tmp_path / "m.onnx", {"x": x})[0]
    bundle = ane_mlir.compile(tmp_path / "m.onnx", target=target)
    for numerics in ("fp16", "engine"):
        error = np.abs(bundle.run({"x": x}, numerics=numerics)["h"] - expected).max(-1) / np.maximum(np.abs(expected).max(-1), 1e-3)
        assert error.max() < 0.01, (numerics, int(error.argmax()), float(error.max()))


@pytest.mark.parametrize("target", ["h13", "h16"])
def test_offset_that_centres(tmp_path, target) -> None:
    """Pixels less their mean, in front of a 1x1 convolution: the offset is no bias of it, since the convolution of the pixels themselves would be rounded
    where its largest part has not gone yet."""
    rng = np.random.default_rng(6)
    g = builders._Random(0)
    centred = g.node("Add", "x", g.weight("mean", np.full((64, 1, 1), -120, np.float32)))
    weight = g.weight("w", np.abs(rng.standard_normal((32, 64, 1, 1))).astype(np.float32) * 0.1)
    onnx.save(g.finish({"x": (1, 64, 8, 128)}, {"y": g.node("Conv", centred, weight)}), tmp_path / "m.onnx")
    x = (120 + rng.standard_normal((1, 64, 8, 128)) * 4).astype(np.float16).astype(np.float32)
    expected = reference(tmp_path / "m.onnx", {"x": x})[0]
    bundle = ane_mlir.compile(tmp_path / "m.onnx", target=target, check="off")
    for numerics in ("fp32", "fp16", "engine"):
        assert np.abs(bundle.run({"x": x}, numerics=numerics)["y"] - expected).max() < 0.002 * np.abs(expected).max(), numerics


@pytest.mark.parametrize("target", ["h15", "h16", "h17"])
@pytest.mark.parametrize("p", [1, 2])
def test_lp_norm_beyond_fp16(tmp_path, p, target) -> None:
    """The norm of a row may be more than fp16 holds where its elements are not; a row of zeros stays one."""
    g = builders._Random(0)
    onnx.save(g.finish({"x": (1, 128, 1024)}, {"y": g.node("LpNormalization", "x", axis=-1, p=p)}), tmp_path / "m.onnx")
    rows = np.geomspace(1e-2, 3e4, 128).reshape(1, 128, 1)
    x = (np.random.default_rng(7).uniform(0.5, 1, (1, 128, 1024)) * rows).astype(np.float16).astype(np.float32)
    x[0, 5] = 0
    expected = reference(tmp_path / "m.onnx", {"x": x})[0]
    bundle = ane_mlir.compile(tmp_path / "m.onnx", target=target)
    for numerics in ("fp16", "engine"):
        error = np.abs(bundle.run({"x": x}, numerics=numerics)["y"] - expected).max(-1) / np.maximum(np.abs(expected).max(-1), 1e-6)
        assert error.max() < 0.005, (numerics, int(error.argmax()), float(error.max()))
