"""One call, or a few, of every MIL operation that coremltools' builder can make.

A recipe says how to call the operation and in which opsets (15 … 18). What it must give is coremltools' own constant folding
where that exists, else `ref`: the definition in NumPy or another library, written from the operation's documentation.
"""

from __future__ import annotations

import dataclasses
import typing

import numpy as np

rng = np.random.default_rng(20)


def f(*shape: int, low: float = -2, high: float = 2) -> np.ndarray:
    return rng.uniform(low, high, shape).astype(np.float32)


def i(*shape: int, low: int = -9, high: int = 9) -> np.ndarray:
    return rng.integers(low, high, shape).astype(np.int32)


@dataclasses.dataclass
class Recipe:
    op: str
    inputs: dict[str, np.ndarray]  # at run time
    consts: dict[str, typing.Any] = dataclasses.field(default_factory=dict)
    since: int = 15
    until: int = 18
    # (inputs by name) -> arrays
    ref: typing.Callable[..., list[np.ndarray]] | None = None
    # (mb, inputs by name) -> values, where one call is not all
    build: typing.Callable | None = None
    fp16: bool = True
    # Of the largest magnitude, in fp16.
    tolerance: float = 4e-3
    # Only shapes and dtypes can be compared.
    random: bool = False
    # The reference gets what the state holds, and a result for it.
    states: tuple[str, ...] = ()
    # Labels of the one result.
    classes: list[str] | None = None


RECIPES: list[Recipe] = []


def add(op: str, inputs: dict, consts: dict | None = None, **more) -> None:
    RECIPES.append(Recipe(op, inputs, consts or {}, **more))


# Element by element.
for name in "abs acos asin atan atanh ceil cos erf exp exp2 floor round sign sin sinh cosh sigmoid relu relu6 softplus softsign sqrt square tan tanh silu".split():
    low, high = (-0.9, 0.9) if name in ("acos", "asin", "atanh", "tan") else (0.1, 3) if name == "sqrt" else (-3, 3)
    add(name, {"x": f(2, 3, 4, low=low, high=high)}, ref=(lambda x: [x / (1 + np.exp(-x))]) if name == "silu" else None)
for name, low in (("inverse", 0.5), ("log", 0.2), ("rsqrt", 0.3)):
    add(name, {"x": f(2, 5, low=low, high=3)})
    add(name, {"x": f(2, 5, low=low, high=3)}, {"epsilon": 0.125})
add("logical_not", {"x": f(3, 4) > 0})
add("clip", {"x": f(3, 4)}, {"alpha": -0.5, "beta": 0.75})
add("threshold", {"x": f(3, 4)}, {"alpha": 0.25})
for to in ("int32", "bool", "fp32"):
    add("cast", {"x": f(3, 4, low=-20, high=20)}, {"dtype": to})
add("cast", {"x": i(3, 4)}, {"dtype": "fp32"}, fp16=False)
for to in ("int8", "uint8", "int16", "uint16"):
    add("cast", {"x": f(3, 4, low=1, high=100)}, {"dtype": to}, since=17)
add("identity", {"x": f(3, 4)})
for name in "add sub mul maximum minimum real_div floor_div mod equal not_equal greater greater_equal less less_equal".split():
    add(name, {"x": f(2, 3, 4), "y": f(3, 1, low=0.5, high=2)})
    if name != "real_div":
        add(name, {"x": i(2, 3), "y": i(2, 3, low=1)}, fp16=False)
add("pow", {"x": f(2, 3, low=0.2, high=2), "y": f(2, 3)}, tolerance=1e-2)
for name in ("logical_and", "logical_or", "logical_xor"):
    add(name, {"x": f(2, 3) > 0, "y": f(2, 3) > 0})
for name, consts in (
    ("leaky_relu", {"alpha": 0.25}), ("clamped_relu", {"alpha": 0.25, "beta": 1.5}), ("thresholded_relu", {"alpha": 0.5}),
    ("elu", {"alpha": 0.75}), ("sigmoid_hard", {"alpha": 0.25, "beta": 0.5}), ("linear_activation", {"alpha": 2.0, "beta": -1.0}),
    ("scaled_tanh", {"alpha": 1.5, "beta": 0.5}),
):  # fmt: skip
    add(name, {"x": f(2, 3, 4)}, consts)
for mode in ("EXACT", "TANH_APPROXIMATION", "SIGMOID_APPROXIMATION"):
    add("gelu", {"x": f(2, 9)}, {"mode": mode})
add("prelu", {"x": f(1, 3, 4, 2)}, {"alpha": np.array([0.1, 0.2, 0.3], np.float32)})
add("softplus_parametric", {"x": f(1, 3, 4, 2)}, {"alpha": np.array([0.5, 1, 2], np.float32), "beta": np.array([1, 0.5, 2], np.float32)})
add("softmax", {"x": f(2, 3, 4)}, {"axis": 1})
add("softmax", {"x": f(2, 3, 4)})


# Convolution and pooling, against PyTorch's definition in plain NumPy.
def conv_ref(x, weight, bias=None, strides=None, pads=None, dilations=None, groups=1):
    spatial = x.ndim - 2
    strides, dilations = strides or [1] * spatial, dilations or [1] * spatial
    pads = pads or [0] * (2 * spatial)
    x = np.pad(x.astype(np.float64), [(0, 0), (0, 0)] + [(pads[2 * a], pads[2 * a + 1]) for a in range(spatial)])
    kernel = weight.shape[2:]
    out = [(x.shape[2 + a] - (kernel[a] - 1) * dilations[a] - 1) // strides[a] + 1 for a in range(spatial)]
    y = np.zeros((x.shape[0], weight.shape[0], *out))
    per, outs = weight.shape[1], weight.shape[0] // groups
    for g in range(groups):
        part = x[:, g * per : (g + 1) * per]
        for k in np.ndindex(*kernel):
            window = part[(slice(None), slice(None), *(slice(k[a] * dilations[a], k[a] * dilations[a] + out[a] * strides[a], strides[a]) for a in range(spatial)))]
            window = window[(..., *(slice(0, out[a]) for a in range(spatial)))]
            y[:, g * outs : (g + 1) * outs] += np.einsum("nc...,oc->no...", window, weight[(slice(g * outs, (g + 1) * outs), slice(None), *k)].astype(np.float64))
    if bias is not None:
        y += bias.reshape(1, -1, *([1] * spatial))
    return y.astype(np.float32)


def conv_transpose_ref(x, weight, bias=None, strides=None, crop=None, dilations=None, groups=1, output=None):
    spatial = x.ndim - 2
    strides, dilations = strides or [1] * spatial, dilations or [1] * spatial
    crop = crop or [0] * (2 * spatial)
    kernel = weight.shape[2:]
    full = [(x.shape[2 + a] - 1) * strides[a] + (kernel[a] - 1) * dilations[a] + 1 for a in range(spatial)]
    per, outs = x.shape[1] // groups, weight.shape[1]
    y = np.zeros((x.shape[0], outs * groups, *full))
    for g in range(groups):
        for k in np.ndindex(*kernel):
            where = (slice(None), slice(g * outs, (g + 1) * outs), *(slice(k[a] * dilations[a], k[a] * dilations[a] + (x.shape[2 + a] - 1) * strides[a] + 1, strides[a]) for a in range(spatial)))
            y[where] += np.einsum("nc...,co->no...", x[:, g * per : (g + 1) * per].astype(np.float64), weight[(slice(g * per, (g + 1) * per), slice(None), *k)].astype(np.float64))
    y = y[(..., *(slice(crop[2 * a], full[a] - crop[2 * a + 1]) for a in range(spatial)))]
    if bias is not None:
        y += bias.reshape(1, -1, *([1] * spatial))
    return y.astype(np.float32)


w, bias = f(6, 4, 3, 3), f(6)
add("conv", {"x": f(1, 4, 7, 8)}, {"weight": w, "bias": bias, "strides": [2, 1], "pad_type": "custom", "pad": [1, 0, 1, 2]}, ref=lambda x: [conv_ref(x, w, bias, [2, 1], [1, 0, 1, 2])])
add("conv", {"x": f(1, 4, 7, 8)}, {"weight": w}, ref=lambda x: [conv_ref(x, w)])
add("conv", {"x": f(1, 4, 8, 8)}, {"weight": w, "pad_type": "same", "strides": [2, 2]}, ref=lambda x: [conv_ref(x, w, None, [2, 2], [0, 1, 0, 1])])
add("conv", {"x": f(1, 4, 8, 8)}, {"weight": w, "pad_type": "same_lower", "strides": [2, 2]}, since=16, ref=lambda x: [conv_ref(x, w, None, [2, 2], [1, 0, 1, 0])])
grouped = f(4, 2, 3)
add("conv", {"x": f(2, 4, 9)}, {"weight": grouped, "groups": 2, "dilations": [2]}, ref=lambda x: [conv_ref(x, grouped, dilations=[2], groups=2)])
deep = f(3, 2, 2, 2, 2)
add("conv", {"x": f(1, 2, 4, 4, 4)}, {"weight": deep}, ref=lambda x: [conv_ref(x, deep)])
add("conv", {"x": f(1, 4, 6, 6), "weight": f(6, 4, 3, 3)}, ref=lambda x, weight: [conv_ref(x, weight)])
tw = f(4, 3, 3, 3)
add("conv_transpose", {"x": f(1, 4, 5, 5)}, {"weight": tw, "strides": [2, 2]}, ref=lambda x: [conv_transpose_ref(x, tw, strides=[2, 2])])
add("conv_transpose", {"x": f(1, 4, 5, 5)}, {"weight": tw, "bias": f(3) * 0 + 1, "pad_type": "custom", "pad": [1, 0, 1, 1], "strides": [2, 1]}, ref=lambda x: [conv_transpose_ref(x, tw, np.ones(3), [2, 1], [1, 0, 1, 1])])
add("conv_transpose", {"x": f(1, 4, 5)}, {"weight": f(4, 1, 3) * 0 + 0.5, "groups": 4}, ref=lambda x: [conv_transpose_ref(x, np.full((4, 1, 3), 0.5), groups=4)])


def pool_ref(x, kernel, strides, pads, reduce, fill, count_pad=True):
    spatial = x.ndim - 2
    padded = np.pad(x.astype(np.float64), [(0, 0), (0, 0)] + [(pads[2 * a], pads[2 * a + 1]) for a in range(spatial)], constant_values=fill)
    ones = np.pad(np.ones_like(x), [(0, 0), (0, 0)] + [(pads[2 * a], pads[2 * a + 1]) for a in range(spatial)])
    out = [(padded.shape[2 + a] - kernel[a]) // strides[a] + 1 for a in range(spatial)]
    y = np.zeros((*x.shape[:2], *out))
    for at in np.ndindex(*out):
        where = (..., *(slice(at[a] * strides[a], at[a] * strides[a] + kernel[a]) for a in range(spatial)))
        axes = tuple(range(2, x.ndim))
        window = padded[where]
        value = window.max(axes) if reduce == "max" else np.sqrt((window**2).sum(axes)) if reduce == "l2" else window.sum(axes) / (np.prod(kernel) if count_pad else ones[where].sum(axes))
        y[(slice(None), slice(None), *at)] = value
    return y.astype(np.float32)


for exclude in (False, True):
    add("avg_pool", {"x": f(1, 2, 6, 7)}, {"kernel_sizes": [3, 2], "strides": [2, 1], "pad_type": "custom", "pad": [1, 1, 0, 1], "exclude_padding_from_average": exclude},
        ref=lambda x, exclude=exclude: [pool_ref(x, [3, 2], [2, 1], [1, 1, 0, 1], "avg", 0, not exclude)])  # fmt: skip
add("avg_pool", {"x": f(1, 2, 6)}, {"kernel_sizes": [2], "pad_type": "valid"}, ref=lambda x: [pool_ref(x, [2], [1], [0, 0], "avg", 0)])
add("max_pool", {"x": f(1, 2, 6, 7)}, {"kernel_sizes": [3, 3], "strides": [2, 2], "pad_type": "valid"}, ref=lambda x: [pool_ref(x, [3, 3], [2, 2], [0] * 4, "max", -np.inf)])
add("max_pool", {"x": f(1, 2, 6, 6)}, {"kernel_sizes": [3, 3], "strides": [2, 2], "pad_type": "same"}, ref=lambda x: [pool_ref(x, [3, 3], [2, 2], [0, 1, 0, 1], "max", -np.inf)])
add("max_pool", {"x": f(1, 2, 4, 4, 4)}, {"kernel_sizes": [2, 2, 2], "strides": [2, 2, 2], "pad_type": "valid"}, ref=lambda x: [pool_ref(x, [2, 2, 2], [2, 2, 2], [0] * 6, "max", -np.inf)])
add("max_pool", {"x": f(1, 2, 6, 6)}, {"kernel_sizes": [3, 3], "strides": [2, 2], "pad_type": "valid", "ceil_mode": True}, ref=lambda x: [pool_ref(x, [3, 3], [2, 2], [0, 1, 0, 1], "max", -np.inf)])
add("l2_pool", {"x": f(1, 2, 6, 7)}, {"kernel_sizes": [2, 2], "strides": [2, 2], "pad_type": "valid"}, ref=lambda x: [pool_ref(x, [2, 2], [2, 2], [0] * 4, "l2", 0)])


# Normalisation.
def affine(x, mean, variance, gamma, beta, epsilon, shape):
    y = (x - mean) / np.sqrt(variance + epsilon)
    return (y * gamma.reshape(shape) + beta.reshape(shape)).astype(np.float32)


mean, variance, gamma, beta = f(3), f(3, low=0.5, high=2), f(3), f(3)
add("batch_norm", {"x": f(2, 3, 4, 5)}, {"mean": mean, "variance": variance, "gamma": gamma, "beta": beta, "epsilon": 1e-3},
    ref=lambda x: [affine(x, mean.reshape(3, 1, 1), variance.reshape(3, 1, 1), gamma, beta, 1e-3, (3, 1, 1))])  # fmt: skip
add("batch_norm", {"x": f(2, 3, 4)}, {"mean": mean, "variance": variance}, ref=lambda x: [affine(x, mean.reshape(3, 1), variance.reshape(3, 1), np.ones(3), np.zeros(3), 1e-5, (3, 1))])
add("instance_norm", {"x": f(2, 3, 4, 5)}, {"gamma": gamma, "beta": beta}, ref=lambda x: [affine(x, x.mean((2, 3), keepdims=True), x.var((2, 3), keepdims=True), gamma, beta, 1e-5, (3, 1, 1))])
add("layer_norm", {"x": f(2, 4, 3)}, {"axes": [-1], "gamma": gamma, "beta": beta, "epsilon": 1e-3})
add("layer_norm", {"x": f(2, 4, 3)}, {"axes": [0, 1, 2]})
add("l2_norm", {"x": f(1, 3, 4, 2)}, {"epsilon": 1e-3})
add("local_response_norm", {"x": f(1, 6, 3, 3)}, {"size": 3, "alpha": 0.1, "beta": 0.75, "k": 1.0},
    ref=lambda x: [x / (1 + 0.1 / 3 * sum(np.pad(x, ((0, 0), (1, 1), (0, 0), (0, 0)))[:, d : d + 6] ** 2 for d in range(3))) ** 0.75])  # fmt: skip

# Reductions.
for name in "sum mean prod max min l1_norm l2_norm log_sum log_sum_exp sum_square".split():
    x = f(2, 3, 4, low=0.3, high=1.5)
    add(f"reduce_{name}", {"x": x}, {"axes": [1, -1], "keep_dims": True})
    add(f"reduce_{name}", {"x": x}, {"axes": [0]})
    add(f"reduce_{name}", {"x": x})
for name in ("reduce_argmax", "reduce_argmin"):
    add(name, {"x": f(3, 7)}, {"axis": -1})
    add(name, {"x": f(3, 7)}, {"axis": 0, "keep_dims": True, "output_dtype": "uint16"}, since=17)

# Products.
add("linear", {"x": f(3, 4)}, {"weight": f(5, 4), "bias": f(5)})
add("linear", {"x": f(3, 4)}, {"weight": f(5, 4)})
add("matmul", {"x": f(2, 3, 4), "y": f(4, 5)})
add("matmul", {"x": f(2, 4, 3), "y": f(2, 5, 4)}, {"transpose_x": True, "transpose_y": True})
add("matmul", {"x": f(4), "y": f(4, 5)})
add("matmul", {"x": i(3, 4), "y": i(4, 2)}, fp16=False)
add("einsum", {"a": f(1, 2, 3, 4), "b": f(1, 4, 3, 5)}, build=lambda mb, a, b: [mb.einsum(values=(a, b), equation="nchw,nwhu->nchu")])
add("einsum", {"a": f(2, 3, 4), "b": f(4, 3, 5)}, build=lambda mb, a, b: [mb.einsum(values=(a, b), equation="chw,whr->chr")])

# Data movement.
add("reshape", {"x": f(2, 3, 4)}, {"shape": [4, -1]})
add("reshape", {"x": f(2, 3, 4)}, {"shape": [2, 0, 4]}, until=16, ref=lambda x: [x])
add("reshape", {"x": f(2, 3, 4)}, {"shape": [-1, 0]}, since=17, ref=lambda x: [x.reshape(6, 4)])
add("reshape_like", {"x": f(2, 3, 4), "r": f(3, 8)}, since=16, ref=lambda x, r: [x.reshape(3, 8)],
    build=lambda mb, x, r: [mb.reshape_like(x=x, ref_tensors=(r,), begins=(0,), ends=(2,), end_masks=(False,))])  # fmt: skip
add("transpose", {"x": f(2, 3, 4)}, {"perm": [2, 0, 1]})
add("expand_dims", {"x": f(2, 3)}, {"axes": [0, -1]})
add("squeeze", {"x": f(1, 3, 1, 2)}, {"axes": [0, 2]})
add("squeeze", {"x": f(1, 3, 1, 2)})
add("flatten2d", {"x": f(2, 3, 4)}, {"axis": 2})
add("concat", {"a": f(2, 3), "b": f(2, 1)}, build=lambda mb, a, b: [mb.concat(values=(a, b), axis=-1)])
add("concat", {"a": f(2, 3), "b": f(2, 3)}, build=lambda mb, a, b: [mb.concat(values=(a, b), axis=1, interleave=True)], ref=lambda a, b: [np.stack([a, b], 2).reshape(2, 6)])
add("split", {"x": f(2, 6)}, {"axis": 1, "num_splits": 3})
add("split", {"x": f(2, 6)}, {"axis": 1, "split_sizes": [1, 2, 3]})
add("stack", {"a": f(2, 3), "b": f(2, 3)}, build=lambda mb, a, b: [mb.stack(values=(a, b), axis=1)])
add("tile", {"x": f(2, 3)}, {"reps": [2, 3]})
for mode in ("constant", "reflect", "replicate"):
    add("pad", {"x": f(1, 3, 4)}, {"pad": [1, 0, 2, 1], "mode": mode, **({"constant_val": 1.5} if mode == "constant" else {})})
add("slice_by_index", {"x": f(5, 6)}, {"begin": [1, -2], "end": [4, 0], "stride": [2, -1], "end_mask": [False, True]})
add("slice_by_index", {"x": f(5, 6)}, {"begin": [1, 2], "end": [4, 3], "squeeze_mask": [False, True]})
add("slice_by_index", {"x": f(5, 6), "b": np.array([1], np.int32)}, ref=lambda x, b: [x[1:3]],
    build=lambda mb, x, b: [mb.slice_by_index(x=x, begin=mb.concat(values=(b, [0]), axis=0), end=mb.concat(values=(mb.add(x=b, y=np.int32(2)), [6]), axis=0))])  # fmt: skip
add("slice_by_size", {"x": f(5, 6)}, {"begin": [1, 2], "size": [3, -1]})
add("slice_by_size", {"x": f(5, 6), "begin": np.array([1, 2], np.int32)}, {"size": [3, 2]}, ref=lambda x, begin: [x[1:4, 2:4]])
add("slice_update", {"x": f(5, 6), "update": f(2, 3)}, {"begin": [1, 0], "end": [3, 6], "stride": [1, 2]}, since=18)
add("slice_update", {"x": f(5, 6), "update": f(1, 6), "begin": np.array([3, 0], np.int32), "end": np.array([4, 6], np.int32)}, since=18,
    ref=lambda x, update, begin, end: [np.concatenate([x[:3], update, x[4:]])])  # fmt: skip
add("reverse", {"x": f(2, 3, 4)}, {"axes": [0, 2]})
add("reverse", {"x": f(2, 3, 4)})
add("reverse_sequence", {"x": f(3, 5), "lengths": np.array([2, 5, 1], np.int32)}, {"seq_axis": 1, "batch_axis": 0},
    ref=lambda x, lengths: [np.stack([np.concatenate([row[:n][::-1], row[n:]]) for row, n in zip(x, lengths)])])  # fmt: skip
add("depth_to_space", {"x": f(1, 8, 2, 3)}, {"block_size": 2}, ref=lambda x: [x.reshape(1, 2, 2, 2, 2, 3).transpose(0, 3, 4, 1, 5, 2).reshape(1, 2, 4, 6)])
add("space_to_depth", {"x": f(1, 2, 4, 6)}, {"block_size": 2}, ref=lambda x: [x.reshape(1, 2, 2, 2, 3, 2).transpose(0, 3, 5, 1, 2, 4).reshape(1, 8, 2, 3)])
add("pixel_shuffle", {"x": f(1, 8, 2, 3)}, {"upscale_factor": 2}, ref=lambda x: [x.reshape(1, 2, 2, 2, 2, 3).transpose(0, 1, 4, 2, 5, 3).reshape(1, 2, 4, 6)])
add("pixel_unshuffle", {"x": f(1, 2, 4, 6)}, {"downscale_factor": np.uint32(2)}, since=16, ref=lambda x: [x.reshape(1, 2, 2, 2, 3, 2).transpose(0, 1, 3, 5, 2, 4).reshape(1, 8, 2, 3)])


def space_to_batch(x):
    x = np.pad(x, ((0, 0), (0, 0), (1, 1), (0, 2)))
    n, c, h, width = x.shape
    return x.reshape(n, c, h // 2, 2, width // 2, 2).transpose(3, 5, 0, 1, 2, 4).reshape(4 * n, c, h // 2, width // 2)


add("space_to_batch", {"x": f(2, 3, 4, 4)}, {"block_shape": [2, 2], "paddings": [[1, 1], [0, 2]]}, ref=lambda x: [space_to_batch(x)])
add("batch_to_space", {"x": f(8, 3, 3, 3)}, {"block_shape": [2, 2], "crops": [[1, 1], [0, 2]]},
    ref=lambda x: [x.reshape(2, 2, 2, 3, 3, 3).transpose(2, 3, 4, 0, 5, 1).reshape(2, 3, 6, 6)[:, :, 1:5, :4]])  # fmt: skip
add("sliding_windows", {"x": f(2, 7)}, {"axis": 1, "size": 3, "stride": 2}, ref=lambda x: [np.stack([x[:, s : s + 3] for s in (0, 2, 4)], 1)])
add("band_part", {"x": f(4, 5)}, {"lower": 1, "upper": 2})
add("fill", {"x": f(1)}, build=lambda mb, x: [mb.add(x=mb.fill(shape=[2, 3], value=1.5), y=mb.cast(x=x, dtype="fp32"))], ref=lambda x: [np.broadcast_to(x + 1.5, (2, 3))], fp16=False)
add("fill_like", {"ref_tensor": f(2, 3)}, {"value": 2.5}, since=16, fp16=False)
add("shape", {"x": f(2, 3, 4)})
add("range_1d", {"end": np.array(11, np.int32), "x": f(1)}, fp16=False, ref=lambda end, x: [np.arange(2, 11, 3, dtype=np.int32)],
    build=lambda mb, end, x: [mb.range_1d(end=mb.squeeze(x=end) if end.shape else end, start=np.int32(2), step=np.int32(3))])  # fmt: skip
add("one_hot", {"indices": np.array([0, 2, 1], np.int32)}, {"one_hot_vector_size": 4, "axis": -1, "on_value": 3, "off_value": 1}, ref=lambda indices: [np.eye(4, dtype=np.int32)[indices] * 2 + 1])
add("one_hot", {"indices": np.array([0, 2, 1], np.int32)}, {"one_hot_vector_size": 4}, ref=lambda indices: [np.eye(4, dtype=np.int32)[indices]])
for exclusive in (False, True):
    # coremltools' folding fails on both flags itself.
    add("cumsum", {"x": f(2, 5)}, {"axis": 1, "exclusive": exclusive, "reverse": True},
        ref=lambda x, exclusive=exclusive: [np.cumsum(x[:, ::-1], 1)[:, ::-1] - (x if exclusive else 0)])  # fmt: skip
    add("cumsum", {"x": f(2, 5)}, {"axis": 0, "exclusive": exclusive}, ref=(lambda x: [np.cumsum(x, 0) - x]) if exclusive else None)
add("argsort", {"x": rng.permutation(12).reshape(3, 4).astype(np.float32)}, {"axis": 1, "ascending": True})
add("argsort", {"x": rng.permutation(12).reshape(3, 4).astype(np.float32)})
add("topk", {"x": rng.permutation(12).reshape(3, 4).astype(np.float32)}, {"k": 2, "axis": 1})
add("topk", {"x": rng.permutation(12).reshape(3, 4).astype(np.float32)}, {"k": 2, "axis": 1, "sort": True, "return_indices": False, "ascending": True}, since=16)
add("topk", {"x": rng.permutation(12).reshape(3, 4).astype(np.float32)}, {"k": 3, "axis": 1, "output_indices_dtype": "uint16"}, since=17)
add("non_zero", {"x": (f(3, 4) > 0).astype(np.float32)}, ref=lambda x: [np.argwhere(x).astype(np.int32)])

# Indexing.
add("gather", {"x": f(4, 3), "indices": np.array([2, 0], np.int32)}, {"axis": 0})
add("gather", {"x": f(2, 4, 3), "indices": np.array([[2], [0]], np.int32)}, {"axis": 1, "batch_dims": 1}, since=16, ref=lambda x, indices: [np.stack([x[b][indices[b]] for b in range(2)])])
add("gather", {"x": f(4, 3), "indices": np.array([2, 0], np.int32)}, {"axis": 1, "validate_indices": True}, since=17)
add("gather_along_axis", {"x": f(4, 3), "indices": np.array([[2, 0, 1]], np.int32)}, {"axis": 0})
add("gather_nd", {"x": f(4, 3), "indices": np.array([[2, 0], [1, 1]], np.int32)}, ref=lambda x, indices: [x[tuple(indices.T)]])
add("gather_nd", {"x": f(2, 4, 3), "indices": np.array([[[2]], [[1]]], np.int32)}, {"batch_dims": 1}, since=16, ref=lambda x, indices: [np.stack([x[b][indices[b][:, 0]] for b in range(2)])])


def scattered(data, index, updates, mode):
    out = data.copy()
    if mode == "add":
        np.add.at(out, index, updates)
    elif mode == "mul":
        np.multiply.at(out, index, updates)
    elif mode == "max":
        np.maximum.at(out, index, updates)
    elif mode == "min":
        np.minimum.at(out, index, updates)
    elif mode == "sub":
        np.subtract.at(out, index, updates)
    elif mode == "div":
        np.divide.at(out, index, updates)
    else:
        out[index] = updates
    return out


for mode in ("update", "add", "sub", "mul", "div", "max", "min"):
    add("scatter", {"data": f(4, 3), "indices": np.array([2, 0], np.int32), "updates": f(2, 3, low=1)}, {"axis": 0, "mode": mode}, ref=lambda data, indices, updates, mode=mode: [scattered(data, indices, updates, mode)])
    add("scatter_nd", {"data": f(4, 3), "indices": np.array([[2, 1], [0, 0]], np.int32), "updates": f(2, low=1)}, {"mode": mode}, ref=lambda data, indices, updates, mode=mode: [scattered(data, tuple(indices.T), updates, mode)])
    add("scatter_along_axis", {"data": f(4, 3), "indices": np.array([[2, 1, 0]], np.int32), "updates": f(1, 3, low=1)}, {"axis": 0, "mode": mode},
        ref=lambda data, indices, updates, mode=mode: [scattered(data, (indices, np.arange(3)[None]), updates, mode)])  # fmt: skip


# Images.
def bilinear(x, rows, columns):
    """x at fractional rows and columns, inside."""

    def along(x, points, axis):
        low = np.floor(points).astype(int)
        high, weight = np.minimum(low + 1, x.shape[axis] - 1), points - low
        shape = [1] * x.ndim
        shape[axis] = len(points)
        return np.take(x, low, axis) * (1 - weight.reshape(shape)) + np.take(x, high, axis) * weight.reshape(shape)

    return along(along(x.astype(np.float64), rows, 2), columns, 3).astype(np.float32)


def grid(mode, xin, xout):
    k = np.arange(xout)
    g = {
        "STRICT_ALIGN_CORNERS": lambda: k * (xin - 1) / max(xout - 1, 1), "ALIGN_CORNERS": lambda: k * (xin - 1) / max(xout - 1, 1),
        "DEFAULT": lambda: k * xin / xout, "OFFSET_CORNERS": lambda: (k + 0.5) * max(1, xin - 1) / xout, "UNALIGN_CORNERS": lambda: (k + 0.5) * xin / xout - 0.5,
    }[mode]()  # fmt: skip
    return np.clip(g, 0, xin - 1)


add("upsample_nearest_neighbor", {"x": f(1, 2, 3, 4)}, {"scale_factor_height": 2, "scale_factor_width": 3}, ref=lambda x: [x.repeat(2, 2).repeat(3, 3)])
add("upsample_nearest_neighbor", {"x": f(1, 2, 4, 4)}, {"scale_factor_height": np.float32(1.5), "scale_factor_width": np.float32(2)}, ref=lambda x: [x[:, :, np.arange(6) * 4 // 6].repeat(2, 3)])
add("upsample_bilinear", {"x": f(1, 2, 3, 4)}, {"scale_factor_height": 2, "scale_factor_width": 3, "align_corners": True}, ref=lambda x: [bilinear(x, grid("STRICT_ALIGN_CORNERS", 3, 6), grid("STRICT_ALIGN_CORNERS", 4, 12))])
add("upsample_bilinear", {"x": f(1, 2, 3, 4)}, {"scale_factor_height": np.float32(2), "scale_factor_width": np.float32(1.5), "align_corners": False}, ref=lambda x: [bilinear(x, grid("UNALIGN_CORNERS", 3, 6), grid("UNALIGN_CORNERS", 4, 6))])
add("upsample_bilinear", {"x": f(1, 2, 3, 4)}, {"scale_factor_height": np.float32(2), "scale_factor_width": np.float32(1.5), "align_corners": False, "half_pixel_centers": False}, since=16, ref=lambda x: [bilinear(x, grid("DEFAULT", 3, 6), grid("DEFAULT", 4, 6))])
add("resize_nearest_neighbor", {"x": f(1, 2, 3, 4)}, {"target_size_height": 5, "target_size_width": 6}, ref=lambda x: [x[:, :, np.floor((np.arange(5) + 0.5) * 3 / 5).astype(int)][:, :, :, np.floor((np.arange(6) + 0.5) * 4 / 6).astype(int)]])
for mode in ("STRICT_ALIGN_CORNERS", "ALIGN_CORNERS", "DEFAULT", "OFFSET_CORNERS", "UNALIGN_CORNERS"):
    add("resize_bilinear", {"x": f(1, 2, 3, 4)}, {"target_size_height": 5, "target_size_width": 6, "sampling_mode": mode}, since=16 if mode == "UNALIGN_CORNERS" else 15,
        ref=lambda x, mode=mode: [bilinear(x, grid(mode, 3, 5), grid(mode, 4, 6))])  # fmt: skip
    add("resize", {"x": f(1, 2, 3, 4)}, {"shape": [5, 6], "resized_dims": np.uint32(2), "interpolation_mode": "LINEAR", "sampling_mode": mode}, since=17,
        ref=lambda x, mode=mode: [bilinear(x, grid(mode, 3, 5), grid(mode, 4, 6))])  # fmt: skip
add("crop", {"x": f(1, 2, 5, 6)}, {"crop_height": [1, 2], "crop_width": [0, 3]}, ref=lambda x: [x[:, :, 1:3, :3]])
boxes = np.array([[1, 0, 4, 3], [0, 1, 2, 5]], np.float32)


def crop_ref(x, box, height, width):
    y0, x0, y1, x1 = box
    return bilinear(x[None], np.linspace(y0, y1, height), np.linspace(x0, x1, width))[0]


strict = {"target_height": 3, "target_width": 4, "sampling_mode": "STRICT_ALIGN_CORNERS"}
add("crop_resize", {"x": f(1, 2, 6, 7)}, {"boxes": boxes, "box_indices": np.array([0, 0], np.int32), **strict}, since=17, ref=lambda x: [np.stack([crop_ref(x[0], b, 3, 4) for b in boxes])])
add("crop_resize", {"x": f(2, 2, 6, 7)}, {"roi": boxes.reshape(2, 1, 4, 1, 1), **strict}, until=16, ref=lambda x: [np.stack([[crop_ref(image, b, 3, 4) for image in x] for b in boxes])])
add("crop_resize", {"x": f(1, 2, 6, 7)}, {"roi": np.array([[0, *boxes[0]], [0, *boxes[1]]], np.float32).reshape(2, 1, 5, 1, 1), **strict}, until=16,
    ref=lambda x: [np.stack([crop_ref(x[0], boxes[0], 3, 4), crop_ref(x[0], boxes[1], 3, 4)])[:, None]])  # fmt: skip
sampling = {"padding_mode": "constant", "padding_value": 0.0, "coordinates_mode": "normalized_minus_one_to_one", "align_corners": True}
add("resample", {"x": f(1, 2, 4, 5)}, {"coordinates": np.stack(np.meshgrid(np.linspace(-0.9, 0.8, 3), np.linspace(-0.7, 0.9, 2)), -1)[None].astype(np.float32), "sampling_mode": "bilinear", **sampling},
    ref=lambda x: [bilinear(x, (np.linspace(-0.7, 0.9, 2) + 1) / 2 * 3, (np.linspace(-0.9, 0.8, 3) + 1) / 2 * 4)])  # fmt: skip
add("affine", {"x": f(1, 2, 4, 5)}, {"transform_matrix": np.array([[0.5, 0, 0.25, 0, 0.75, -0.125]], np.float32), "output_height": 3, "output_width": 4, "sampling_mode": "bilinear", **sampling},
    ref=lambda x: [bilinear(x, (np.linspace(-1, 1, 3) * 0.75 - 0.125 + 1) / 2 * 3, (np.linspace(-1, 1, 4) * 0.5 + 0.25 + 1) / 2 * 4)])  # fmt: skip


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def lstm_ref(x, h, c, w_ih, w_hh, b, reverse=False):
    outs = []
    for step in x[::-1] if reverse else x:
        gi, gf, go, gz = np.split(step @ w_ih.T + h @ w_hh.T + b, 4, axis=1)
        c = sigmoid(gf) * c + sigmoid(gi) * np.tanh(gz)
        h = sigmoid(go) * np.tanh(c)
        outs.append(h)
    return np.stack(outs[::-1] if reverse else outs), h, c


def gru_ref(x, h, w_ih, w_hh, b):
    wr, wo, wz = np.split(w_ih, 3)
    rr, ro, rz = np.split(w_hh, 3)
    br, bo, bz = np.split(b, 3)
    for step in x:
        r, z = sigmoid(step @ wr.T + h @ rr.T + br), sigmoid(step @ wz.T + h @ rz.T + bz)
        o = np.tanh(step @ wo.T + (r * h) @ ro.T + bo)
        h = (1 - z) * o + z * h
    return h


lw, lr, lb = f(12, 2), f(12, 3), f(12)
kw, kr, kb = f(12, 2), f(12, 3), f(12)


def lstm_both(x, initial_h, initial_c):
    a, ha, ca = lstm_ref(x, initial_h[:, :3], initial_c[:, :3], lw, lr, lb)
    b, hb, cb = lstm_ref(x, initial_h[:, 3:], initial_c[:, 3:], kw, kr, kb, reverse=True)
    return [np.concatenate([a, b], 2), np.concatenate([ha, hb], 1), np.concatenate([ca, cb], 1)]


half_ok = {"fp16": False}
add("lstm", {"x": f(4, 1, 2), "initial_h": f(1, 3), "initial_c": f(1, 3)}, {"weight_ih": lw, "weight_hh": lr, "bias": lb, "output_sequence": True}, **half_ok,
    ref=lambda x, initial_h, initial_c: list(lstm_ref(x, initial_h, initial_c, lw, lr, lb)))  # fmt: skip
add("lstm", {"x": f(4, 1, 2), "initial_h": f(1, 3), "initial_c": f(1, 3)}, {"weight_ih": lw, "weight_hh": lr, "direction": "reverse"}, **half_ok,
    ref=lambda x, initial_h, initial_c: (lambda y, h, c: [h[None], h, c])(*lstm_ref(x, initial_h, initial_c, lw, lr, 0, reverse=True)))  # fmt: skip
add("lstm", {"x": f(4, 2, 2), "initial_h": f(2, 6), "initial_c": f(2, 6)},
    {"weight_ih": lw, "weight_hh": lr, "bias": lb, "weight_ih_back": kw, "weight_hh_back": kr, "bias_back": kb, "direction": "bidirectional", "output_sequence": True}, ref=lstm_both, **half_ok)  # fmt: skip
gw, gr, gb = f(9, 2), f(9, 3), f(9)
add("gru", {"x": f(4, 1, 2), "initial_h": f(1, 3)}, {"weight_ih": gw, "weight_hh": gr, "bias": gb}, **half_ok, ref=lambda x, initial_h: (lambda h: [h[None], h])(gru_ref(x, initial_h, gw, gr, gb)))
rw, rr, rb = f(3, 2), f(3, 3), f(3)


def rnn_ref(x, initial_h):
    for step in x:
        initial_h = np.tanh(step @ rw.T + initial_h @ rr.T + rb)
    return [initial_h[None], initial_h]


add("rnn", {"x": f(4, 1, 2), "initial_h": f(1, 3)}, {"weight_ih": rw, "weight_hh": rr, "bias": rb}, ref=rnn_ref, **half_ok)

# Attention, states, random numbers, control flow, lists, classes.
attention = {"query": f(1, 2, 3, 4), "key": f(1, 2, 5, 4), "value": f(1, 2, 5, 6)}
add("scaled_dot_product_attention", attention, since=18)
add("scaled_dot_product_attention", {**attention, "attn_mask": f(3, 5)}, since=18)
add("scaled_dot_product_attention", attention, {"attn_mask": np.tril(np.ones((3, 5), bool))}, since=18)


def stateful(mb, x, s):
    value = mb.read_state(input=s)
    return [mb.coreml_update_state(state=s, value=mb.add(x=value, y=x))]


add("read_state", {"x": f(2, 3).astype(np.float16), "s": f(2, 3).astype(np.float16)}, since=18, build=stateful, states=("s",), ref=lambda x, s: [x + s, x + s])
for name, consts in (("random_normal", {"mean": 1.0, "stddev": 2.0}), ("random_uniform", {"low": -1.0, "high": 3.0}), ("random_bernoulli", {"prob": 0.25})):
    add(name, {"x": f(1)}, fp16=False, random=True, ref=lambda x: [np.zeros((2, 3), np.float32)],
        build=lambda mb, x, name=name, consts=consts: [mb.add(x=getattr(mb, name)(shape=[2, 3], seed=5, **consts), y=x)])  # fmt: skip
add("random_categorical", {"x": f(2, 3)}, {"size": 4, "seed": 3}, random=True, ref=lambda x: [np.zeros((2, 4), np.float32)])
add("select", {"cond": f(2, 3) > 0, "a": f(2, 3), "b": f(2, 3)})
add("cond", {"p": np.array([1], np.int32), "x": f(2, 3)}, ref=lambda p, x: [np.maximum(x, 0) + x],
    build=lambda mb, p, x: [mb.cond(pred=mb.squeeze(x=mb.cast(x=p, dtype="bool")), _true_fn=lambda: mb.add(x=mb.relu(x=x), y=x), _false_fn=lambda: mb.mul(x=x, y=x))])  # fmt: skip
add("while_loop", {"n": np.array([5], np.int32), "x": f(2, 3)}, ref=lambda n, x: [np.array([5], np.int32), x * 2.0**5],
    build=lambda mb, n, x: list(mb.while_loop(_cond=lambda k, v: mb.squeeze(x=mb.less(x=k, y=n)), _body=lambda k, v: (mb.add(x=k, y=np.int32(1)), mb.add(x=v, y=v)), loop_vars=(mb.sub(x=n, y=n), x))))  # fmt: skip


def lists(mb, x):
    ls = mb.make_list(init_length=3, dynamic_length=False, elem_shape=(2,))
    ls = mb.list_write(ls=ls, index=1, value=mb.reshape(x=x, shape=[2]))
    ls = mb.list_scatter(ls=ls, indices=[0, 2], value=mb.concat(values=(x, x), axis=0))
    return [mb.list_read(ls=ls, index=1), mb.list_gather(ls=ls, indices=[2, 1]), mb.add(x=mb.list_length(ls=ls), y=[1])]


add("make_list", {"x": f(1, 2)}, fp16=False, build=lists, ref=lambda x: [x[0], np.concatenate([x, x]), np.array([4], np.int32)])
add("classify", {"x": f(1, 3)}, fp16=False, classes=["a", "b", "c"], build=lambda mb, x: [mb.softmax(x=x)],
    ref=lambda x: [np.argmax(x, 1).astype(np.int32), np.exp(x) / np.exp(x).sum()])  # fmt: skip
add("non_maximum_suppression", {"boxes": np.array([[[1, 1, 2, 2], [1.1, 1, 2, 2], [5, 5, 1, 1], [9, 9, 1, 1]]], np.float32), "scores": np.array([[[0.9], [0.8], [0.7], [0.1]]], np.float32)},
    {"iou_threshold": 0.3, "score_threshold": 0.2, "max_boxes": 3}, until=16, fp16=False,
    ref=lambda boxes, scores: [np.concatenate([boxes[:, [0, 2]], boxes[:, :1] * 0], 1), np.array([[[0.9], [0.7], [0]]], np.float32), np.array([[0, 2, -1]], np.int32), np.array([2], np.int32)])  # fmt: skip
add("non_maximum_suppression", {"boxes": np.ascontiguousarray(np.array([[[1, 1, 2, 2], [1.1, 1, 2, 2], [5, 5, 1, 1]]], np.float32).transpose(0, 2, 1)), "scores": np.array([[[0.9, 0.8, 0.7]]], np.float32)},
    {"iou_threshold": 0.3, "max_boxes": 2}, since=17, fp16=False, ref=lambda boxes, scores: [boxes[:, :, [0, 2]], scores[:, :, [0, 2]], np.array([[0, 2]], np.int32)])  # fmt: skip

# Compressed constants: added to an input, so that the program is not empty.
quantised, scales, zeros = rng.integers(-9, 9, (4, 6)).astype(np.int8), f(4, low=0.1, high=1), rng.integers(-3, 3, 4).astype(np.int8)


def plus(call):
    return lambda mb, x: [mb.add(x=x, y=call(mb))]


add("constexpr_affine_dequantize", {"x": f(4, 6)}, since=16, until=17, fp16=False, build=plus(lambda mb: mb.constexpr_affine_dequantize(quantized_data=quantised, zero_point=zeros, scale=scales, axis=0)),
    ref=lambda x: [x + scales[:, None] * (quantised.astype(np.float32) - zeros[:, None])])  # fmt: skip
add("constexpr_affine_dequantize", {"x": f(4, 6)}, since=16, until=17, fp16=False, build=plus(lambda mb: mb.constexpr_affine_dequantize(quantized_data=quantised.astype(np.uint8), zero_point=np.uint8(3), scale=np.float32(0.5), axis=1)),
    ref=lambda x: [x + 0.5 * (quantised.astype(np.uint8).astype(np.float32) - 3)])  # fmt: skip
half = f(4, 6).astype(np.float16)
add("constexpr_cast", {"x": f(4, 6)}, since=16, until=17, fp16=False, build=plus(lambda mb: mb.constexpr_cast(source_val=half, output_dtype="fp32")), ref=lambda x: [x + half])
codes, table = rng.integers(0, 16, (4, 6)), f(16)
packed = np.packbits(np.unpackbits(codes.astype(np.uint8).reshape(-1, 1), axis=1, bitorder="little")[:, :4].ravel(), bitorder="little")
add("constexpr_lut_to_dense", {"x": f(4, 6)}, since=16, until=17, fp16=False, build=plus(lambda mb: mb.constexpr_lut_to_dense(indices=packed, lut=table, shape=np.array([4, 6], np.uint32))), ref=lambda x: [x + table[codes]])
mask = rng.integers(0, 2, (4, 6)).astype(np.uint8)
values = f(int(mask.sum()))
dense = np.zeros((4, 6), np.float32)
dense[mask == 1] = values
add("constexpr_sparse_to_dense", {"x": f(4, 6)}, since=16, until=17, fp16=False,
    build=plus(lambda mb: mb.constexpr_sparse_to_dense(nonzero_data=values, mask=np.packbits(mask.ravel(), bitorder="little"), shape=np.array([4, 6], np.uint32))), ref=lambda x: [x + dense])  # fmt: skip


def small(array, bits, signed=False):
    from coremltools.converters.mil.mil import types

    return array.astype(types.nptype_from_builtin(types.string_to_builtin(f"{'' if signed else 'u'}int{bits}")))


blocks = f(4, 2, low=0.1, high=1)
add("constexpr_blockwise_shift_scale", {"x": f(4, 6)}, since=18, fp16=False, build=plus(lambda mb: mb.constexpr_blockwise_shift_scale(data=small(np.clip(quantised, -8, 7), 4, True), scale=blocks)),
    ref=lambda x: [x + np.clip(quantised, -8, 7) * blocks.repeat(3, 1)])  # fmt: skip
tables = f(2, 1, 16, 1)
add("constexpr_lut_to_dense", {"x": f(4, 6)}, since=18, fp16=False, build=plus(lambda mb: mb.constexpr_lut_to_dense(indices=small(codes, 4), lut=tables)),
    ref=lambda x: [x + np.stack([tables[r // 2, 0, codes[r], 0] for r in range(4)])])  # fmt: skip
pairs = f(1, 1, 4, 2)
add("constexpr_lut_to_dense", {"x": f(4, 6)}, since=18, fp16=False, build=plus(lambda mb: mb.constexpr_lut_to_dense(indices=small(codes[:2] % 4, 2), lut=pairs, vector_axis=0)),
    ref=lambda x: [x + pairs[0, 0][codes[:2] % 4].transpose(0, 2, 1).reshape(4, 6)])  # fmt: skip
add("constexpr_sparse_to_dense", {"x": f(4, 6)}, since=18, fp16=False, build=plus(lambda mb: mb.constexpr_sparse_to_dense(nonzero_data=values, mask=small(mask, 1))), ref=lambda x: [x + dense])
chosen = codes[mask == 1] % 4
single = f(1, 1, 4, 1)


def looked_up(x):
    out = np.zeros((4, 6), np.float32)
    out[mask == 1] = single[0, 0, chosen, 0]
    return [x + out]


def lut_sparse(mb):
    m, v = mb.constexpr_lut_to_sparse(indices_mask=small(mask, 1), indices_nonzero_data=small(chosen, 2), lut=single)
    return mb.constexpr_sparse_to_dense(nonzero_data=v, mask=m)


add("constexpr_lut_to_sparse", {"x": f(4, 6)}, since=18, fp16=False, build=plus(lut_sparse), ref=looked_up)
ints8 = rng.integers(-9, 9, int(mask.sum())).astype(np.int8)
rows = f(4, 1, low=0.1, high=1)


def shifted(x):
    out = np.zeros((4, 6), np.float32)
    out[mask == 1] = ints8
    return [x + out * rows]


def shift_sparse(mb):
    m, v = mb.constexpr_sparse_blockwise_shift_scale(data_mask=small(mask, 1), nonzero_data=ints8, scale=rows)
    return mb.constexpr_sparse_to_dense(nonzero_data=v, mask=m)


add("constexpr_sparse_blockwise_shift_scale", {"x": f(4, 6)}, since=18, fp16=False, build=plus(shift_sparse), ref=shifted)
add("quantize", {"input": f(3, 4, low=-9, high=9)}, {"scale": np.float32(0.1), "zero_point": np.int8(3), "output_dtype": "int8"}, since=17, fp16=False)
add("quantize", {"input": f(3, 4, low=0, high=9)}, {"scale": np.array([0.1, 0.2, 0.3], np.float32), "axis": 0, "output_dtype": "uint8"}, since=17, fp16=False)
add("dequantize", {"x": f(3, 4, low=0, high=90)}, since=17, fp16=False, ref=lambda x: [0.5 * (np.trunc(x) - 3)],
    build=lambda mb, x: [mb.dequantize(input=mb.cast(x=x, dtype="uint8"), scale=np.float32(0.5), zero_point=np.uint8(3))])  # fmt: skip
