"""com.microsoft and ai.onnx.ml operators, recurrent options and sequences against ONNX Runtime."""

from __future__ import annotations

import tempfile

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

import conftest  # noqa: F401 - finds the package
import ane_mlir

MS, ML = "com.microsoft", "ai.onnx.ml"
RNG = np.random.default_rng


def floats(rng, *shape):
    return rng.standard_normal(shape).astype(np.float32)


def run(op, inputs, domain="", constants=(), outputs=1, onnx_opset=17, tolerance=1e-4, ml=3, **attributes):
    """One node; `inputs` maps names to arrays (None where absent), `constants` names those that are initializers."""
    names = [name if value is not None else "" for name, value in inputs.items()]
    results = [f"out{i}" for i in range(outputs)] if isinstance(outputs, int) else list(outputs)
    node = helper.make_node(op, names, results, op, domain=domain, **attributes)
    graph([node], inputs, [r for r in results if r], constants, onnx_opset, tolerance, ml)


def graph(nodes, inputs, results, constants=(), opset=17, tolerance=1e-4, ml=3):
    tensors = {n: v for n, v in inputs.items() if v is not None}
    model = helper.make_model(
        helper.make_graph(
            nodes,
            "g",
            [helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(v.dtype), v.shape) for n, v in tensors.items() if n not in constants],
            [helper.make_empty_tensor_value_info(r) for r in results],
            [numpy_helper.from_array(v, n) for n, v in tensors.items() if n in constants],
        ),
        opset_imports=[helper.make_opsetid("", opset), helper.make_opsetid(MS, 1), helper.make_opsetid(ML, ml)],
        ir_version=10,
    )
    feeds = {n: v for n, v in tensors.items() if n not in constants}
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    expected = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"]).run(None, feeds)
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/model.onnx"
        onnx.save(model, path)
        actual = ane_mlir.compile(path, precision="fp32").run(feeds, numerics="fp32")
    for name, want in zip(results, expected, strict=True):
        got = actual[name]
        assert want.shape == got.shape, f"{name}: {got.shape}, expected {want.shape}"
        if want.dtype.kind in "iub" and tolerance < 1:
            np.testing.assert_array_equal(got, want, err_msg=name)
        else:
            np.testing.assert_allclose(got.astype(np.float64), want.astype(np.float64), rtol=tolerance, atol=tolerance, err_msg=name)


# ---------------------------------------------------------------------------- attention


@pytest.mark.parametrize("mask", ["none", "lengths", "raw", "3d"])
@pytest.mark.parametrize("causal", [0, 1])
@pytest.mark.parametrize("past", [False, True])
def test_attention(mask, causal, past):
    rng, (b, s, n, e) = RNG(1), (2, 5, 2, 4)
    t = s + (3 if past else 0)
    masks = {
        "none": None,
        "lengths": np.array([t, t - 2], np.int32),
        "raw": (rng.random((b, t)) < 0.7).astype(np.int32),
        "3d": (rng.random((b, s, t)) < 0.7).astype(np.int32),
    }
    run(
        "Attention",
        {"x": floats(rng, b, s, 6), "w": floats(rng, 6, 3 * n * e), "bias": floats(rng, 3 * n * e), "mask": masks[mask], "past": floats(rng, 2, b, n, 3, e) if past else None},
        MS,
        ("w", "bias"),
        outputs=2 if past else 1,
        num_heads=n,
        unidirectional=causal,
    )


@pytest.mark.parametrize("form", ["plain", "cross_cache", "past"])
@pytest.mark.parametrize("extra", ["", "bias", "padding", "attention_bias"])
def test_multi_head_attention(form, extra):
    rng, (b, s, t, n, e) = RNG(2), (2, 3, 5, 2, 4)
    if extra == "bias" and form != "plain":
        pytest.skip("a bias goes with separate projections")
    t = {"packed_qkv": s, "past": s}.get(form, t)
    total = t + (4 if form == "past" else 0)
    q = floats(rng, b, s, n, 3, e) if form == "packed_qkv" else floats(rng, b, s, n * e)
    k = {"packed_kv": (b, t, n, 2, e), "packed_qkv": None, "cross_cache": (b, n, t, e)}.get(form, (b, t, n * e))
    v = None if form in ("packed_kv", "packed_qkv") else k
    inputs = {
        "q": q,
        "k": floats(rng, *k) if k else None,
        "v": floats(rng, *v) if v else None,
        "bias": floats(rng, 3 * n * e) if extra == "bias" else None,
        "padding": (rng.random((b, total)) < 0.8).astype(np.int32) if extra == "padding" else None,
        "attention_bias": floats(rng, 1, n, s, total) if extra == "attention_bias" else None,
        "past_k": floats(rng, b, n, 4, e) if form == "past" else None,
        "past_v": floats(rng, b, n, 4, e) if form == "past" else None,
    }
    if inputs["padding"] is not None:
        inputs["padding"][:, 0] = 1
    run("MultiHeadAttention", inputs, MS, outputs=3 if form == "past" else 1, num_heads=n, scale=0.4)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("rotary", [0, 1])
@pytest.mark.parametrize("phase", ["prompt", "decode", "append"])
@pytest.mark.parametrize("window", [-1, 2])
def test_group_query_attention(packed, rotary, phase, window):
    rng, (b, n, kv, e, most) = RNG(3), (2, 4, 2, 16, 12)
    s = {"prompt": 6, "decode": 1, "append": 1}[phase]
    lengths = {"prompt": [5, 5], "decode": [7, 4], "append": [11, 8]}[phase]
    total = max(lengths) + 1
    hidden = (n + 2 * kv) * e if packed else n * e
    inputs = {
        "q": floats(rng, b, s, hidden),
        "k": None if packed else floats(rng, b, s, kv * e),
        "v": None if packed else floats(rng, b, s, kv * e),
        "past_k": floats(rng, b, kv, most, e),
        "past_v": floats(rng, b, kv, most, e),
        "lengths": np.array(lengths, np.int32),
        "total": np.array(total, np.int32),
        "cos": floats(rng, 16, e // 2) if rotary else None,
        "sin": floats(rng, 16, e // 2) if rotary else None,
    }
    for item, length in enumerate(lengths):  # beyond an item's past the cache says nothing; a prompt has none
        for past in (inputs["past_k"], inputs["past_v"]):
            past[item, :, 0 if phase == "prompt" else length + 1 - s :] = 0
    options = {"do_rotary": rotary, "rotary_interleaved": int(rotary and window > 0), "local_window_size": window}
    run("GroupQueryAttention", inputs, MS, ("total", "cos", "sin"), outputs=("out", "pk", "pv"), num_heads=n, kv_num_heads=kv, **options)


@pytest.mark.parametrize("interleaved", [0, 1])
@pytest.mark.parametrize("form", ["3d", "4d", "offset", "partial"])
def test_rotary_embedding(interleaved, form):
    rng, (b, s, n, e) = RNG(4), (2, 3, 2, 8)
    pairs = 2 if form == "partial" else e // 2
    x = floats(rng, b, n, s, e) if form == "4d" else floats(rng, b, s, n * e)
    at = np.array([4], np.int64) if form == "offset" else rng.integers(0, 10, (b, s))
    more = {"num_heads": n, "rotary_embedding_dim": 2 * pairs} if form == "partial" else {}
    run("RotaryEmbedding", {"x": x, "at": at, "cos": floats(rng, 10, pairs), "sin": floats(rng, 10, pairs)}, MS, ("cos", "sin"), interleaved=interleaved, **more)


@pytest.mark.parametrize("segments", [False, True])
@pytest.mark.parametrize("positions", [False, True])
def test_embed_layer_norm(segments, positions):
    rng, (b, s, h) = RNG(5), (2, 4, 8)
    run(
        "EmbedLayerNormalization",
        {
            "ids": rng.integers(0, 10, (b, s)).astype(np.int32),
            "segments": rng.integers(0, 2, (b, s)).astype(np.int32) if segments else None,
            "words": floats(rng, 10, h),
            "places": floats(rng, 6, h),
            "kinds": floats(rng, 2, h) if segments else None,
            "gamma": floats(rng, h),
            "beta": floats(rng, h),
            "mask": (rng.random((b, s)) < 0.7).astype(np.int32),
            "positions": rng.integers(0, 6, (b, s)).astype(np.int32) if positions else None,
        },
        MS,
        ("words", "places", "kinds", "gamma", "beta"),
        outputs=3,
        epsilon=1e-5,
    )


@pytest.mark.parametrize("simplified", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_skip_layer_norm(simplified, bias):
    rng = RNG(6)
    inputs = {"x": floats(rng, 2, 3, 8), "skip": floats(rng, 2, 3, 8), "gamma": floats(rng, 8)}
    if not simplified:
        inputs["beta"] = floats(rng, 8)
    inputs["bias"] = floats(rng, 8) if bias else None
    run("SkipSimplifiedLayerNormalization" if simplified else "SkipLayerNormalization", inputs, MS, outputs=("y", "", "", "sum"), epsilon=1e-5)


@pytest.mark.parametrize("op", ["FastGelu", "BiasGelu", "QuickGelu", "Gelu"])
def test_gelus(op):
    rng = RNG(7)
    inputs = {"x": floats(rng, 2, 3, 8)}
    if op in ("FastGelu", "BiasGelu"):
        inputs["bias"] = floats(rng, 8)
    run(op, inputs, MS, tolerance=2e-3 if op == "FastGelu" else 1e-4)


@pytest.mark.parametrize("ta,tb", [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_fused_matmul(ta, tb):
    rng = RNG(8)
    run("FusedMatMul", {"a": floats(rng, 2, 4, 3) if ta else floats(rng, 2, 3, 4), "b": floats(rng, 2, 5, 4) if tb else floats(rng, 2, 4, 5)}, MS, transA=ta, transB=tb, alpha=0.3)


# ---------------------------------------------------------------------------- quantised


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("zeros", ["none", "packed", "float"])
@pytest.mark.parametrize("bias", [False, True])
def test_matmul_nbits(bits, zeros, bias):
    rng, (k, n, block) = RNG(9), (48, 6, 32)
    blocks = -(-k // block)
    points = {"none": None, "packed": rng.integers(0, 256, n * -(-blocks * bits // 8), np.uint8), "float": floats(rng, n * blocks) + 8}
    if zeros == "float" and bits == 8:
        pytest.skip("ONNX Runtime takes bytes here")
    run(
        "MatMulNBits",
        {
            "a": floats(rng, 2, 3, k),
            "b": rng.integers(0, 256, (n, blocks, block * bits // 8), np.uint8),
            "scales": floats(rng, n * blocks),
            "zeros": points[zeros],
            "g_idx": None,
            "bias": floats(rng, n) if bias else None,
        },
        MS,
        ("b", "scales", "zeros", "bias"),
        K=k,
        N=n,
        bits=bits,
        block_size=block,
        tolerance=1e-3,
    )


def quantised(rng, dtype, *shape):
    info = np.iinfo(dtype)
    return rng.integers(info.min, info.max + 1, shape).astype(dtype)


def scale(value):
    return np.array(value, np.float32)


@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
@pytest.mark.parametrize("op", ["QLinearAdd", "QLinearMul"])
def test_qlinear_binary(op, dtype):
    rng, zero = RNG(10), np.array(3, dtype)
    inputs = {"a": quantised(rng, dtype, 2, 5), "as": scale(0.03), "az": zero, "b": quantised(rng, dtype, 2, 5), "bs": scale(0.05), "bz": zero, "cs": scale(0.11), "cz": zero}
    run(op, inputs, MS, ("as", "az", "bs", "bz", "cs", "cz"), tolerance=1)


@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
@pytest.mark.parametrize("op", ["QLinearLeakyRelu", "QLinearSigmoid", "QLinearGlobalAveragePool", "QLinearSoftmax"])
def test_qlinear_unary(op, dtype):
    rng = RNG(11)
    more = {"QLinearGlobalAveragePool": {"channels_last": 0}, "QLinearSoftmax": {"opset": 13, "axis": -1}}.get(op, {})
    high = scale(1 / 256) if op in ("QLinearSigmoid", "QLinearSoftmax") else scale(0.05)
    low = np.array(np.iinfo(dtype).min if op in ("QLinearSigmoid", "QLinearSoftmax") else 4, dtype)
    inputs = {"x": quantised(rng, dtype, 2, 3, 4, 5), "xs": scale(0.04), "xz": np.array(2, dtype), "ys": high, "yz": low}
    run(op, inputs, MS, ("xs", "xz", "ys", "yz"), tolerance=1, **more)


def test_qlinear_concat():
    rng, z = RNG(12), np.array(7, np.uint8)
    inputs = {"ys": scale(0.1), "yz": z, "a": quantised(rng, np.uint8, 2, 3), "as": scale(0.2), "az": z, "b": quantised(rng, np.uint8, 2, 4), "bs": scale(0.05), "bz": np.array(1, np.uint8)}
    run("QLinearConcat", inputs, MS, ("ys", "yz", "as", "az", "bs", "bz"), tolerance=1, axis=1)


def test_qlinear_where():
    rng, z = RNG(13), np.array(7, np.uint8)
    inputs = {"c": rng.random((2, 3)) < 0.5, "x": quantised(rng, np.uint8, 2, 3), "xs": scale(0.2), "xz": z, "y": quantised(rng, np.uint8, 2, 3), "ys": scale(0.1), "yz": z, "zs": scale(0.3), "zz": z}
    run("QLinearWhere", inputs, MS, tuple(n for n in inputs if len(n) == 2), tolerance=1)


@pytest.mark.parametrize("per_column", [False, True])
def test_dynamic_quantize_matmul(per_column):
    rng = RNG(14)
    n = (5,) if per_column else ()
    # 7 bits: without VNNI, ONNX Runtime adds pairs of uint8 times int8 in 16 bits, which saturate.
    inputs = {"a": floats(rng, 2, 3, 4), "b": quantised(rng, np.int8, 4, 5) // 2, "bs": np.abs(floats(rng, *n)).astype(np.float32) if n else scale(0.02), "bz": np.zeros(n, np.int8), "bias": floats(rng, 5)}
    run("DynamicQuantizeMatMul", inputs, MS, ("b", "bs", "bz", "bias"), tolerance=1e-3)


def test_matmul_integer_to_float():
    rng = RNG(15)
    inputs = {"a": quantised(rng, np.uint8, 2, 4), "b": quantised(rng, np.int8, 4, 5), "as": scale(0.02), "bs": scale(0.03), "az": np.array(3, np.uint8), "bz": np.array(1, np.int8), "bias": floats(rng, 5)}
    run("MatMulIntegerToFloat", inputs, MS, tuple(n for n in inputs if n != "a"), tolerance=1e-3)


def test_qgemm():
    rng, z = RNG(16), np.array(3, np.uint8)
    inputs = {"a": quantised(rng, np.uint8, 2, 4), "as": scale(0.02), "az": z, "b": quantised(rng, np.uint8, 5, 4), "bs": scale(0.03), "bz": z, "c": rng.integers(-99, 99, 5).astype(np.int32), "ys": scale(0.05), "yz": z}
    run("QGemm", inputs, MS, tuple(n for n in inputs if n != "a"), tolerance=1, transB=1)


# ---------------------------------------------------------------------------- ai.onnx.ml


def test_classical_preprocessing():
    rng = RNG(17)
    x = floats(rng, 4, 3)
    run("Scaler", {"x": x}, ML, offset=[0.1, 0.2, 0.3], scale=[1.0, 2.0, 3.0])
    for norm in ("MAX", "L1", "L2"):
        run("Normalizer", {"x": np.abs(x)}, ML, norm=norm)
    run("Binarizer", {"x": x}, ML, threshold=0.2)
    holes = x.copy()
    holes[1, 1] = np.nan
    run("Imputer", {"x": holes}, ML, imputed_value_floats=[9.0, 8.0, 7.0], replaced_value_float=float("nan"))
    run("ArrayFeatureExtractor", {"x": x, "at": np.array([2, 0], np.int64)}, ML)
    run("FeatureVectorizer", {"a": x, "b": floats(rng, 4, 2)}, ML, inputdimensions=[3, 2])
    run("OneHotEncoder", {"x": np.array([1, 3, 7], np.int64)}, ML, cats_int64s=[3, 1, 2], zeros=1)
    run("LabelEncoder", {"x": np.array([1, 3, 7], np.int64)}, ML, ml=2, keys_int64s=[3, 1, 2], values_floats=[0.5, 1.5, 2.5], default_float=-3.0)
    run("LabelEncoder", {"x": np.array([1, 3, np.nan], np.float32)}, ML, ml=4, keys_floats=[3.0, float("nan")], values_int64s=[5, 6], default_int64=-3)


@pytest.mark.parametrize("transform", ["NONE", "LOGISTIC", "SOFTMAX"])
def test_linear_models(transform):
    rng = RNG(18)
    x, w, b = floats(rng, 4, 3), floats(rng, 6).tolist(), floats(rng, 2).tolist()
    run("LinearRegressor", {"x": x}, ML, targets=2, coefficients=w, intercepts=b, post_transform=transform)
    run("LinearClassifier", {"x": x}, ML, outputs=2, coefficients=floats(rng, 9).tolist(), intercepts=floats(rng, 3).tolist(), classlabels_ints=[4, 7, 9], post_transform=transform)


@pytest.mark.parametrize("kernel", ["LINEAR", "POLY", "RBF", "SIGMOID"])
def test_svm_regressor(kernel):
    rng = RNG(19)
    run("SVMRegressor", {"x": floats(rng, 4, 3)}, ML, kernel_type=kernel, n_supports=5, coefficients=floats(rng, 5).tolist(), support_vectors=floats(rng, 15).tolist(), rho=[0.3], kernel_params=[0.4, 0.1, 2.0])


def forest(rng, trees, depth, features, classes, mode="BRANCH_LEQ"):
    """Complete trees of one depth; the leaves speak of class i % classes."""
    fields = {k: [] for k in ("treeids", "nodeids", "featureids", "values", "modes", "truenodeids", "falsenodeids")}
    leaves = {k: [] for k in ("treeids", "nodeids", "ids", "weights")}
    for tree in range(trees):
        for node in range(2 ** (depth + 1) - 1):
            leaf = node >= 2**depth - 1
            for key, value in zip(fields, (tree, node, 0 if leaf else int(rng.integers(features)), 0.0 if leaf else float(rng.standard_normal()), "LEAF" if leaf else mode, 0 if leaf else 2 * node + 1, 0 if leaf else 2 * node + 2), strict=True):
                fields[key].append(value)
            if leaf:
                for key, value in zip(leaves, (tree, node, node % classes, float(rng.standard_normal())), strict=True):
                    leaves[key].append(value)
    return {f"nodes_{k}": v for k, v in fields.items()}, leaves


@pytest.mark.parametrize("mode", ["BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT"])
@pytest.mark.parametrize("aggregate", ["SUM", "AVERAGE", "MIN", "MAX"])
def test_tree_regressor(mode, aggregate):
    rng = RNG(20)
    nodes, leaves = forest(rng, 3, 3, 4, 1, mode)
    run("TreeEnsembleRegressor", {"x": floats(rng, 9, 4)}, ML, n_targets=1, aggregate_function=aggregate, **({"base_values": [0.25]} if aggregate == "SUM" else {}), **nodes, **{f"target_{k}": v for k, v in leaves.items()})


@pytest.mark.parametrize("classes", [0, 1, 2, 3])
@pytest.mark.parametrize("positive", [False, True])
@pytest.mark.parametrize("transform", ["NONE", "LOGISTIC"])
def test_tree_classifier(classes, positive, transform):
    if classes == 0 and positive and transform == "LOGISTIC":
        pytest.skip("probabilities need no logistic function")
    rng = RNG(21)
    nodes, leaves = forest(rng, 3, 2, 4, max(classes, 1))
    if positive:
        leaves["weights"] = [abs(w) / 4 for w in leaves["weights"]]
    if classes < 2:  # leaves that speak of one of two classes
        leaves["ids"] = [classes] * len(leaves["ids"])
    run("TreeEnsembleClassifier", {"x": floats(rng, 9, 4)}, ML, outputs=2, classlabels_int64s=[0, 1] if classes == 2 else [5, 2, 8][: max(classes, 2)], post_transform=transform, **nodes, **{f"class_{k}": v for k, v in leaves.items()})


# ---------------------------------------------------------------------------- recurrent options, sequences, detection


@pytest.mark.parametrize("op,gates", [("LSTM", 4), ("GRU", 3), ("RNN", 1)])
@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize("option", ["lengths", "clip", "activations", "plain"])
def test_recurrent(op, gates, direction, option):
    rng, (s, b, i, h) = RNG(22), (5, 3, 4, 6)
    d = 2 if direction == "bidirectional" else 1
    inputs = {"x": floats(rng, s, b, i), "w": floats(rng, d, gates * h, i) / 2, "r": floats(rng, d, gates * h, h) / 2, "bias": floats(rng, d, 2 * gates * h) / 2, "lengths": np.array([5, 2, 3], np.int32) if option == "lengths" else None, "h0": floats(rng, d, b, h)}
    if op == "LSTM":
        inputs |= {"c0": floats(rng, d, b, h), "p": floats(rng, d, 3 * h) / 2}
    attributes = {"hidden_size": h, "direction": direction}
    if option == "clip":
        attributes["clip"] = 0.4
    if option == "activations":
        names = {"LSTM": ["HardSigmoid", "Softsign", "Affine"], "GRU": ["HardSigmoid", "ScaledTanh"], "RNN": ["LeakyRelu"]}[op]
        attributes["activations"] = names * d
        attributes["activation_alpha"] = {"LSTM": [0.3, 0.7], "GRU": [0.3, 0.7], "RNN": [0.2]}[op] * d
        attributes["activation_beta"] = {"LSTM": [0.4, 0.1], "GRU": [0.4, 0.6], "RNN": []}[op] * d
        if op == "RNN":
            del attributes["activation_beta"]
    if op == "GRU":
        attributes["linear_before_reset"] = int(direction == "reverse")
    run(op, inputs, constants=("w", "r", "bias", "p"), outputs=3 if op == "LSTM" else 2, **attributes)


def test_sequences_become_values():
    rng = RNG(23)
    x = floats(rng, 6, 4)
    nodes = [
        helper.make_node("SplitToSequence", ["x", "sizes"], ["s"], "split", axis=0),
        helper.make_node("SequenceAt", ["s", "one"], ["second"], "at"),
        helper.make_node("SequenceInsert", ["s", "second", "zero"], ["longer"], "insert"),
        helper.make_node("SequenceErase", ["longer", "minus"], ["shorter"], "erase"),
        helper.make_node("SequenceLength", ["shorter"], ["count"], "length"),
        helper.make_node("ConcatFromSequence", ["shorter"], ["y"], "concat", axis=0),
    ]
    scalars = {"sizes": np.array([1, 2, 3], np.int64), "one": np.array(1, np.int64), "zero": np.array(0, np.int64), "minus": np.array(-1, np.int64)}
    graph(nodes, {"x": x} | scalars, ["y", "count"], tuple(scalars))


def test_boxes_after_suppression():
    """What a detector does with the rows: their number is known only when it runs."""
    rng = RNG(24)
    corner = rng.random((1, 40, 2)).astype(np.float32) * 8
    boxes = np.concatenate([corner, corner + 1 + rng.random((1, 40, 2)).astype(np.float32)], -1)
    constants = {"most": np.array(10, np.int64), "iou": scale([0.3]), "threshold": scale([0.4]), "column": np.array([2], np.int64)}
    nodes = [
        helper.make_node("NonMaxSuppression", ["boxes", "scores", "most", "iou", "threshold"], ["rows"], "nms"),
        helper.make_node("Gather", ["rows", "column"], ["places"], "column", axis=1),
        helper.make_node("Squeeze", ["places", "axis"], ["place"], "squeeze"),
        helper.make_node("Gather", ["flat", "place"], ["kept"], "boxes", axis=0),
        helper.make_node("Mul", ["kept", "two"], ["scaled"], "scale"),
    ]
    inputs = {"boxes": boxes, "scores": rng.random((1, 2, 40)).astype(np.float32), "flat": boxes[0], "axis": np.array([1], np.int64), "two": scale(2.0)}
    graph(nodes, inputs | constants, ["scaled", "rows"], (*constants, "axis", "two"))


@pytest.mark.parametrize("ordered", [0, 1])
@pytest.mark.parametrize("axis", [None, 0, 1])
def test_unique(ordered, axis):
    rng = RNG(25)
    more = {} if axis is None else {"axis": axis}
    run("Unique", {"x": rng.integers(0, 3, (7, 3)).astype(np.float32)}, outputs=4, sorted=ordered, **more)


@pytest.mark.parametrize("op,inputs,attributes", [
    ("MaxPool", (2, 3, 7, 8), {"kernel_shape": [3, 2], "strides": [2, 1], "pads": [1, 0, 1, 1]}),
    ("MaxPool", (1, 2, 7, 8), {"kernel_shape": [2, 2], "dilations": [2, 3], "storage_order": 1}),
    ("MaxPool", (1, 2, 9), {"kernel_shape": [3], "ceil_mode": 1, "strides": [2]}),
])  # fmt: skip
def test_pool_indices(op, inputs, attributes):
    run(op, {"x": floats(RNG(26), *inputs)}, outputs=2, **attributes)


@pytest.mark.parametrize("mode", ["avg", "max"])
@pytest.mark.parametrize("ratio", [0, 2])
@pytest.mark.parametrize("transform", ["half_pixel", "output_half_pixel"])
def test_roi_align(mode, ratio, transform):
    rng = RNG(27)
    corner = rng.random((4, 2)).astype(np.float32) * 6
    rois = np.concatenate([corner, corner + 1 + rng.random((4, 2)).astype(np.float32) * 6], 1)
    inputs = {"x": floats(rng, 2, 3, 10, 12), "rois": rois, "items": np.array([0, 1, 1, 0], np.int64)}
    run("RoiAlign", inputs, constants=("rois",) if ratio == 0 else (), mode=mode, sampling_ratio=ratio, output_height=3, output_width=2, spatial_scale=0.7, coordinate_transformation_mode=transform)


@pytest.mark.parametrize("n", [1, 2, 3, 5, 8])
def test_det(n):
    rng = RNG(28)
    x = floats(rng, 3, n, n)
    x[0, 0, 0] = 0  # a pivot that has to be sought
    run("Det", {"x": x})


def test_gradient(tmp_path):
    """Through products, broadcasts and activations, against differences of fp64 NumPy."""
    rng = RNG(29)
    feeds = {"x": floats(rng, 3, 4), "w": floats(rng, 4, 5), "b": floats(rng, 5)}
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["m"], "matmul"),
        helper.make_node("Add", ["m", "b"], ["s"], "add"),
        helper.make_node("Tanh", ["s"], ["t"], "tanh"),
        helper.make_node("Mul", ["t", "s"], ["y"], "mul"),
        helper.make_node("Gradient", ["x", "w", "b"], ["dx", "dw", "db"], "gradient", domain="ai.onnx.preview.training", xs=["x", "w", "b"], y="y"),
    ]
    infos = [helper.make_tensor_value_info(n, TensorProto.FLOAT, v.shape) for n, v in feeds.items()]
    outputs = [helper.make_empty_tensor_value_info(n) for n in ("y", "dx", "dw", "db")]
    model = helper.make_model(helper.make_graph(nodes, "g", infos, outputs), opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.preview.training", 1)], ir_version=9)
    onnx.save(model, tmp_path / "m.onnx")
    actual = ane_mlir.compile(tmp_path / "m.onnx", precision="fp32").run(feeds, numerics="fp32")

    def total(values: dict[str, np.ndarray]) -> float:
        s = values["x"] @ values["w"] + values["b"]
        return float((np.tanh(s) * s).sum())

    wide = {n: v.astype(np.float64) for n, v in feeds.items()}
    for name, value in wide.items():
        expected = np.zeros_like(value)
        for index in np.ndindex(value.shape):
            for sign in (1, -1):
                moved = value.copy()
                moved[index] += sign * 1e-5
                expected[index] += sign * total(wide | {name: moved}) / 2e-5
        np.testing.assert_allclose(actual["d" + name], expected, rtol=1e-3, atol=1e-3)
