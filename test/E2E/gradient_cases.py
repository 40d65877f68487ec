"""Cases for test_gradients.py: each op with operands, attributes and the same function in JAX.

A case is (op, operands, attributes, function, results). Float operands are differentiated for unless wrapped in Fixed; `function` takes
the operands and returns what the op does. Values are chosen away from kinks, where differences would measure nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

# Compiling takes longer than computing.
os.environ["XLA_FLAGS"] = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true " + os.environ.get("XLA_FLAGS", "")
import jax  # noqa: E402
import jax.numpy as jnp
import numpy as np
from jax import lax

jax.config.update("jax_enable_x64", True)


@dataclass
class Fixed:
    """An operand that is not differentiated for."""

    value: np.ndarray


@dataclass
class Case:
    op: str
    operands: Sequence[Any]
    function: Callable[..., Any]
    attributes: str = ""
    note: str = ""
    # Where differences of fp32 results say too little.
    differences: bool = True
    epsilon: float = 1e-2
    shapes: list[tuple[int, ...]] = field(default_factory=list)

    @property
    def name(self) -> str:
        shapes = "x".join("_".join(map(str, np.shape(o.value if isinstance(o, Fixed) else o))) or "s" for o in self.operands)
        return f"{self.op}-{shapes}{'-' + self.note if self.note else ''}"


random = np.random.default_rng(7)


def real(*shape: int, low: float = -1.0, high: float = 1.0) -> np.ndarray:
    return random.uniform(low, high, shape).astype(np.float32)


def away(*shape: int, from_: float = 0.0, gap: float = 0.1, reach: float = 1.5) -> np.ndarray:
    """On both sides of a kink, none within `gap`."""
    sign = random.choice([-1.0, 1.0], shape)
    return (from_ + sign * random.uniform(gap, reach, shape)).astype(np.float32)


def apart(*shape: int) -> np.ndarray:
    """All different by at least 0.1: no ties, no order that a small step changes."""
    count = int(np.prod(shape))
    return ((random.permutation(count) - count / 2) * 0.1 + 0.03).reshape(shape).astype(np.float32)


def ints(*values: Any) -> Fixed:
    return Fixed(np.array(values[0] if len(values) == 1 else values, dtype=np.int32))


def flags(array: np.ndarray) -> Fixed:
    return Fixed(array.astype(bool))


SHAPES = [(), (5,), (3, 4), (2, 3, 4), (1, 2, 3, 4), (2, 1, 2, 3, 2)]
BROADCASTS = [((), ()), ((4,), (4,)), ((3, 4), (4,)), ((4,), (3, 4)), ((2, 3, 4), (3, 1)), ((2, 1, 4), (1, 3, 4)), ((), (2, 3)), ((1, 2, 1, 3), (2, 2, 2, 3)), ((1,), (2, 3))]

UNARY: dict[str, tuple[Callable[..., Any], Callable[..., np.ndarray], str]] = {
    "abs": (jnp.abs, away, ""),
    "sign": (lambda x: jnp.sign(x), away, ""),
    "square": (jnp.square, real, ""),
    "exp": (jnp.exp, real, ""),
    "exp2": (jnp.exp2, real, ""),
    "erf": (jax.scipy.special.erf, real, ""),
    "sqrt": (jnp.sqrt, lambda *s: real(*s, low=0.5, high=3), ""),
    "atan": (jnp.arctan, real, ""),
    "sin": (jnp.sin, real, ""),
    "cos": (jnp.cos, real, ""),
    "tanh": (jnp.tanh, real, ""),
    "tan": (jnp.tan, real, ""),
    "asin": (jnp.arcsin, lambda *s: real(*s, low=-0.8, high=0.8), ""),
    "acos": (jnp.arccos, lambda *s: real(*s, low=-0.8, high=0.8), ""),
    "atanh": (jnp.arctanh, lambda *s: real(*s, low=-0.8, high=0.8), ""),
    "sinh": (jnp.sinh, real, ""),
    "cosh": (jnp.cosh, real, ""),
    "log": (jnp.log, lambda *s: real(*s, low=0.5, high=3), ""),
    "rsqrt": (lambda x: 1 / jnp.sqrt(x), lambda *s: real(*s, low=0.5, high=3), ""),
    "inverse": (lambda x: 1 / x, lambda *s: real(*s, low=0.5, high=3), ""),
    "relu": (jax.nn.relu, away, ""),
    "relu6": (lambda x: jnp.clip(x, 0, 6), lambda *s: away(*s, from_=6), ""),
    "sigmoid": (jax.nn.sigmoid, real, ""),
    "silu": (jax.nn.silu, real, ""),
    "softplus": (jax.nn.softplus, real, ""),
    "softsign": (jax.nn.soft_sign, away, ""),
    "leaky_relu": (lambda x: jnp.where(x < 0, 0.3 * x, x), away, "alpha = 0.3 : f32"),
    "elu": (lambda x: jnp.where(x > 0, x, 0.7 * jnp.expm1(jnp.minimum(x, 0))), away, "alpha = 0.7 : f32"),
    "clamped_relu": (lambda x: jnp.minimum(0.8, jnp.where(x < 0, 0.3 * x, x)), away, "alpha = 0.3 : f32, beta = 0.8 : f32"),
    "thresholded_relu": (lambda x: jnp.where(x >= 0.5, x, 0), lambda *s: away(*s, from_=0.5), "alpha = 0.5 : f32"),
    "sigmoid_hard": (lambda x: jnp.clip(0.9 * x + 0.5, 0, 1), lambda *s: away(*s, from_=5 / 9), "alpha = 0.9 : f32, beta = 0.5 : f32"),
    "linear_activation": (lambda x: 1.5 * x - 2, real, "alpha = 1.5 : f32, beta = -2.0 : f32"),
    "scaled_tanh": (lambda x: 1.7 * jnp.tanh(0.6 * x), real, "alpha = 1.7 : f32, beta = 0.6 : f32"),
    "threshold": (lambda x: jnp.maximum(x, 0.2), lambda *s: away(*s, from_=0.2), "alpha = 0.2 : f32"),
    "clip": (lambda x: jnp.clip(x, -0.5, 0.5), lambda *s: away(*s, from_=0.5, reach=0.8), "alpha = -0.5 : f32, beta = 0.5 : f32"),
    "identity": (lambda x: x, real, ""),
    "ceil": (jnp.ceil, lambda *s: away(*s, from_=0.5, reach=0.4), ""),
    "floor": (jnp.floor, lambda *s: away(*s, from_=0.5, reach=0.4), ""),
    "round": (jnp.round, lambda *s: away(*s, from_=0.0, reach=0.4), ""),
}

BINARY: dict[str, tuple[Callable[..., Any], Callable[..., np.ndarray]]] = {
    "add": (jnp.add, real),
    "sub": (jnp.subtract, real),
    "mul": (jnp.multiply, real),
    "real_div": (jnp.divide, lambda *s: away(*s, gap=0.6)),
    "maximum": (jnp.maximum, apart),
    "minimum": (jnp.minimum, apart),
    "pow": (jnp.power, lambda *s: real(*s, low=0.5, high=2)),
}


def elementwise() -> list[Case]:
    # Every op with two shapes, every shape with many ops: JAX compiles each anew.
    cases = [Case(name, [make(*shape)], f, attributes) for i, (name, (f, make, attributes)) in enumerate(UNARY.items()) for shape in {SHAPES[2], SHAPES[i % len(SHAPES)]}]
    for name, (f, make) in BINARY.items():
        # `apart` of two operands may tie: shift one.
        shift = np.float32(0.04 if make is apart else 0)
        cases += [Case(name, [make(*a), make(*b) + shift], f, epsilon=2e-3 if make is apart else 1e-2) for a, b in BROADCASTS]
    cases.append(Case("mod", [real(3, 4, low=2.2, high=2.8), real(4, low=0.7, high=0.9)], lambda x, y: x - y * jnp.floor(x / y), epsilon=1e-3))
    cases.append(Case("floor_div", [real(3, 4, low=2.2, high=2.3), real(4, low=0.9, high=0.95)], lambda x, y: jnp.floor(x / y), epsilon=1e-3))
    cases.append(Case("mul", [real(3), real(3)], lambda x, y: x * x * 0 + x * y))
    cases.append(Case("pow", [away(3, 4), Fixed(np.float32(2))], lambda x, y: x**2, note="square"))
    for c, a, b in [((2, 3), (2, 3), (2, 3)), ((3,), (2, 1), (1, 3)), ((2, 1), (3,), ()), ((1, 2, 3), (2, 3), (4, 1, 1))]:
        cases.append(Case("select", [flags(random.random(c) < 0.5), real(*a), real(*b)], jnp.where))
    cases += [
        Case("log", [real(4, low=0.5, high=2)], lambda x: jnp.log(x + 0.25), "epsilon = 0.25 : f32", "epsilon"),
        Case("rsqrt", [real(4, low=0.5, high=2)], lambda x: 1 / jnp.sqrt(x + 0.25), "epsilon = 0.25 : f32", "epsilon"),
        Case("inverse", [real(4, low=0.5, high=2)], lambda x: 1 / (x + 0.25), "epsilon = 0.25 : f32", "epsilon"),
        Case("gelu", [real(3, 4)], lambda x: jax.nn.gelu(x, approximate=False), 'mode = "EXACT"'),
        Case("gelu", [real(3, 4)], lambda x: jax.nn.gelu(x, approximate=True), 'mode = "TANH_APPROXIMATION"', "tanh"),
        Case("gelu", [real(3, 4)], lambda x: x * jax.nn.sigmoid(1.702 * x), 'mode = "SIGMOID_APPROXIMATION"', "sigmoid"),
        Case("prelu", [away(2, 3, 4), real(3)], lambda x, a: jnp.where(x < 0, a[:, None] * x, x)),
        Case("prelu", [away(2, 3), real(3)], lambda x, a: jnp.where(x < 0, a * x, x)),
        Case("softplus_parametric", [away(2, 3, 4), real(3), away(3)], lambda x, a, b: a[:, None] * jax.nn.softplus(b[:, None] * x)),
        Case("cast", [real(2, 3)], lambda x: x, "dtype = f32"),
    ]
    return cases


def conv_reference(x, w, b, strides, pads, dilations, groups):
    spatial = "DHW"[-(x.ndim - 2) :]
    y = lax.conv_general_dilated(x, w, strides, pads, rhs_dilation=dilations, feature_group_count=groups, dimension_numbers=(f"NC{spatial}", f"OI{spatial}", f"NC{spatial}"))
    return y if b is None else y + b.reshape((1, -1) + (1,) * (x.ndim - 2))


def transpose_reference(x, w, b, strides, pads, dilations, groups, extra=None):
    """Scatters x times the kernel, then crops."""
    n, ci = x.shape[:2]
    spatial = x.ndim - 2
    kernel = w.shape[2:]
    w = w.reshape((groups, ci // groups) + w.shape[1:])
    w = jnp.flip(jnp.swapaxes(w, 1, 2), tuple(range(3, 3 + spatial)))
    w = w.reshape((-1, ci // groups) + kernel)
    padding = [((k - 1) * d - p[0], (k - 1) * d - p[1] + (extra[i] if extra else 0)) for i, (k, d, p) in enumerate(zip(kernel, dilations, pads))]
    letters = "DHW"[-spatial:]
    y = lax.conv_general_dilated(
        x, w, (1,) * spatial, padding, lhs_dilation=strides, rhs_dilation=dilations, feature_group_count=groups, dimension_numbers=(f"NC{letters}", f"OI{letters}", f"NC{letters}")
    )
    return y if b is None else y + b.reshape((1, -1) + (1,) * spatial)


def i64(values: Sequence[int]) -> str:
    return f"array<i64{': ' if values else ''}{', '.join(map(str, values))}>"


def convolutions() -> list[Case]:
    cases = []
    # n, ci, extents, co, kernel, strides, pads, dilations, groups, bias
    table = [
        (1, 3, (5,), 4, (3,), (1,), ((1, 1),), (1,), 1, True),
        (2, 4, (7,), 6, (3,), (2,), ((0, 1),), (1,), 2, True),
        (2, 3, (6, 5), 4, (3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1), 1, True),
        (2, 3, (7, 8), 4, (3, 2), (2, 3), ((1, 0), (0, 1)), (1, 1), 1, False),
        (1, 4, (8, 8), 6, (3, 3), (1, 1), ((2, 2), (2, 2)), (2, 2), 2, False),
        (2, 4, (6, 6), 4, (3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1), 4, True),
        (2, 4, (6, 6), 8, (3, 3), (2, 2), ((1, 1), (1, 1)), (1, 1), 4, False),
        (3, 5, (4, 4), 7, (1, 1), (1, 1), ((0, 0), (0, 0)), (1, 1), 1, True),
        (1, 3, (9, 9), 2, (1, 1), (2, 2), ((0, 0), (0, 0)), (1, 1), 1, False),
        (1, 2, (10, 9), 3, (2, 2), (4, 4), ((0, 0), (0, 0)), (1, 1), 1, False),
        (1, 2, (4, 4, 5), 3, (2, 3, 2), (1, 2, 1), ((1, 0), (1, 1), (0, 0)), (1, 1, 1), 1, True),
        (1, 2, (5, 5), 3, (3, 3), (2, 2), ((2, 2), (2, 2)), (2, 1), 1, False),
        # the whole image as kernel
        (2, 2, (4, 4), 5, (4, 4), (1, 1), ((0, 0), (0, 0)), (1, 1), 1, True),
    ]
    for n, ci, extents, co, kernel, strides, pads, dilations, groups, bias in table:
        x, w = real(n, ci, *extents), real(co, ci // groups, *kernel)
        flat = [v for p in pads for v in p]
        attributes = f'strides = {i64(strides)}, pad_type = "custom", pad = {i64(flat)}, dilations = {i64(dilations)}, groups = {groups} : i64'
        operands = [x, w] + ([real(co)] if bias else [])
        cases.append(Case("conv", operands, lambda x, w, b=None, s=strides, p=pads, d=dilations, g=groups: conv_reference(x, w, b, s, p, d, g), attributes, f"s{strides}p{flat}d{dilations}g{groups}".replace(" ", "")))
    for pad_type in ("same", "same_lower", "valid"):
        x, w = real(1, 2, 6, 7), real(3, 2, 3, 2)
        reference = {"same": "SAME", "same_lower": "SAME_LOWER", "valid": "VALID"}[pad_type]
        cases.append(
            Case("conv", [x, w], lambda x, w, r=reference: lax.conv_general_dilated(x, w, (2, 2), r), f'strides = {i64((2, 2))}, pad_type = "{pad_type}", pad = {i64((0,) * 4)}, dilations = {i64((1, 1))}', pad_type)
        )
    table = [
        (2, 3, (4,), 2, (3,), (2,), ((1, 0),), (1,), 1, True),
        (2, 3, (4, 5), 2, (3, 3), (1, 1), ((0, 0), (0, 0)), (1, 1), 1, True),
        (1, 4, (4, 3), 3, (3, 2), (2, 3), ((1, 1), (0, 1)), (1, 1), 2, False),
        (1, 4, (4, 4), 1, (2, 2), (2, 2), ((0, 0), (0, 0)), (1, 1), 4, True),
        (2, 2, (3, 3), 3, (3, 3), (2, 2), ((1, 2), (2, 1)), (2, 2), 1, False),
        (1, 2, (2, 3, 2), 2, (2, 2, 2), (2, 1, 2), ((0, 0), (1, 0), (0, 1)), (1, 1, 1), 1, False),
    ]
    for n, ci, extents, co, kernel, strides, pads, dilations, groups, bias in table:
        x, w = real(n, ci, *extents), real(ci, co, *kernel)
        flat = [v for p in pads for v in p]
        attributes = f'strides = {i64(strides)}, pad_type = "custom", pad = {i64(flat)}, dilations = {i64(dilations)}, groups = {groups} : i64'
        operands = [x, w] + ([real(co * groups)] if bias else [])
        cases.append(
            Case("conv_transpose", operands, lambda x, w, b=None, s=strides, p=pads, d=dilations, g=groups: transpose_reference(x, w, b, s, p, d, g), attributes, f"s{strides}p{flat}d{dilations}g{groups}".replace(" ", ""))
        )
    x, w = real(1, 2, 3, 3), real(2, 3, 3, 3)
    attributes = f'strides = {i64((2, 2))}, pad_type = "custom", pad = {i64((1, 1, 1, 1))}, dilations = {i64((1, 1))}, output_shape = {i64((1, 3, 6, 6))}'
    cases.append(Case("conv_transpose", [x, w], lambda x, w: transpose_reference(x, w, None, (2, 2), ((1, 1), (1, 1)), (1, 1), 1, (1, 1)), attributes, "output_shape"))
    attributes = f'strides = {i64((2, 2))}, pad_type = "same", pad = {i64((0,) * 4)}, dilations = {i64((1, 1))}'
    cases.append(Case("conv_transpose", [x, w], lambda x, w: transpose_reference(x, w, None, (2, 2), ((0, 1), (0, 1)), (1, 1), 1), attributes, "same"))
    return cases


def products() -> list[Case]:
    cases = []
    for a, b, tx, ty in [
        ((3, 4), (4, 5), False, False),
        ((4, 3), (4, 5), True, False),
        ((3, 4), (5, 4), False, True),
        ((4, 3), (5, 4), True, True),
        ((2, 3, 4), (4, 5), False, False),
        ((2, 3, 4), (5, 4), False, True),
        ((2, 4, 3), (4, 5), True, False),
        ((3, 4), (2, 4, 5), False, False),
        ((2, 1, 3, 4), (1, 3, 4, 5), False, False),
        ((2, 2, 3, 4), (2, 2, 5, 4), False, True),
        ((2, 2, 4, 3), (2, 1, 5, 4), True, True),
        ((4,), (4,), False, False),
        ((4,), (4, 3), False, False),
        ((3, 4), (4,), False, False),
        ((2, 3, 4), (4,), False, False),
        ((4,), (2, 4, 3), False, False),
    ]:
        f = lambda x, y, tx=tx, ty=ty: jnp.matmul(jnp.swapaxes(x, -1, -2) if tx else x, jnp.swapaxes(y, -1, -2) if ty else y)  # noqa: E731
        cases.append(Case("matmul", [real(*a), real(*b)], f, f"transpose_x = {str(tx).lower()}, transpose_y = {str(ty).lower()}", f"{int(tx)}{int(ty)}"))
    cases.append(Case("linear", [real(3, 4), real(5, 4), real(5)], lambda x, w, b: x @ w.T + b))
    cases.append(Case("linear", [real(2, 3, 4), real(5, 4)], lambda x, w: x @ w.T))
    cases.append(Case("einsum", [real(2, 3, 4, 5), real(2, 5, 4, 2)], lambda x, y: jnp.einsum("nchw,nwhu->nchu", x, y), 'equation = "nchw,nwhu->nchu"'))
    cases.append(Case("einsum", [real(2, 3, 1, 5), real(1, 5, 4, 2)], lambda x, y: jnp.einsum("nchw,nwhu->nchu", *jnp_broadcast(x, y)), 'equation = "nchw,nwhu->nchu"', "broadcast"))
    cases.append(Case("einsum", [real(3, 4, 5), real(5, 4, 2)], lambda x, y: jnp.einsum("chw,whr->chr", x, y), 'equation = "chw,whr->chr"'))

    def attention(q, k, v, mask=None):
        scores = q @ jnp.swapaxes(k, -1, -2) / np.sqrt(q.shape[-1])
        if mask is not None:
            scores = jnp.where(mask, scores, -1e30) if mask.dtype == bool else scores + mask
        return jax.nn.softmax(scores, -1) @ v

    sdpa = "scaled_dot_product_attention"
    cases.append(Case(sdpa, [real(2, 3, 4), real(2, 5, 4), real(2, 5, 3)], attention))
    cases.append(Case(sdpa, [real(1, 2, 3, 4), real(1, 2, 5, 4), real(1, 2, 5, 4), real(3, 5)], attention, note="mask"))
    cases.append(Case(sdpa, [real(1, 2, 4, 4), real(1, 2, 4, 4), real(1, 2, 4, 4), flags(np.tril(np.ones((4, 4))))], attention, note="causal"))
    return cases


def jnp_broadcast(x, y):
    n, h = max(x.shape[0], y.shape[0]), max(x.shape[2], y.shape[2])
    return jnp.broadcast_to(x, (n, x.shape[1], h, x.shape[3])), jnp.broadcast_to(y, (n, y.shape[1], h, y.shape[3]))


def pool_reference(x, kernel, strides, pads, kind, exclude=False, ceil=False):
    spatial = len(kernel)
    window, step = (1, 1) + kernel, (1, 1) + strides
    sizes = []
    for extent, k, s, (a, b) in zip(x.shape[2:], kernel, strides, pads):
        room = extent + a + b - k
        out = (-(-room // s) if ceil else room // s) + 1
        if ceil and (out - 1) * s >= extent + a:
            out -= 1
        sizes.append(out)
    reach = [max(0, (o - 1) * s + k - (extent + a + b)) for o, s, k, extent, (a, b) in zip(sizes, strides, kernel, x.shape[2:], pads)]
    padding = ((0, 0), (0, 0)) + tuple((a, b + r) for (a, b), r in zip(pads, reach))
    if kind == "max":
        # As a gather of windows: the first of equal elements is what argmax finds.
        return lax.reduce_window(x, -jnp.inf, lax.max, window, step, padding)
    total = lax.reduce_window(x * x if kind == "l2" else x, 0.0, lax.add, window, step, padding)
    if kind == "l2":
        return jnp.sqrt(total)
    ones = jnp.ones(x.shape)
    if not exclude:
        ones = jnp.pad(ones, ((0, 0), (0, 0)) + tuple(pads), constant_values=1.0)
        padding = ((0, 0), (0, 0)) + tuple((0, r) for r in reach)
    return total / lax.reduce_window(ones, 0.0, lax.add, window, step, padding)[:, :, *[slice(0, s) for s in total.shape[2:]]] if spatial else total


def pools() -> list[Case]:
    cases = []
    table = [
        ((2, 3, 8), (2,), (2,), ((0, 0),), False),
        ((2, 3, 6, 6), (2, 2), (2, 2), ((0, 0), (0, 0)), False),
        ((1, 2, 7, 6), (3, 2), (2, 1), ((1, 1), (0, 1)), False),
        ((1, 2, 7, 7), (3, 3), (2, 2), ((0, 0), (0, 0)), False),
        ((1, 2, 8, 8), (3, 3), (2, 2), ((0, 0), (0, 0)), True),
        ((1, 2, 5, 5), (2, 2), (3, 3), ((0, 0), (0, 0)), False),
        ((1, 2, 4, 5, 4), (2, 2, 3), (1, 2, 1), ((0, 0), (1, 0), (1, 1)), False),
        ((1, 2, 4, 4), (4, 4), (1, 1), ((0, 0), (0, 0)), False),
    ]
    for shape, kernel, strides, pads, ceil in table:
        flat = [v for p in pads for v in p]
        base = f'kernel_sizes = {i64(kernel)}, strides = {i64(strides)}, pad_type = "custom", pad = {i64(flat)}, ceil_mode = {str(ceil).lower()}'
        note = f"k{kernel}s{strides}p{flat}{'ceil' if ceil else ''}".replace(" ", "")
        cases.append(Case("max_pool", [apart(*shape)], lambda x, k=kernel, s=strides, p=pads, c=ceil: pool_reference(x, k, s, p, "max", ceil=c), base, note))
        cases.append(Case("l2_pool", [away(*shape)], lambda x, k=kernel, s=strides, p=pads, c=ceil: pool_reference(x, k, s, p, "l2", ceil=c), base, note))
        for exclude in (False, True):
            f = lambda x, k=kernel, s=strides, p=pads, c=ceil, e=exclude: pool_reference(x, k, s, p, "avg", e, c)  # noqa: E731
            cases.append(Case("avg_pool", [real(*shape)], f, base + f", exclude_padding_from_average = {str(exclude).lower()}", note + ("exclude" if exclude else "")))
    return cases


def norms() -> list[Case]:
    cases = []
    for shape, axis in [((5,), 0), ((3, 4), -1), ((3, 4), 0), ((2, 3, 4), 1), ((1, 2, 3, 4), -1), ((1, 2, 3, 4), 1)]:
        cases.append(Case("softmax", [real(*shape, low=-2, high=2)], lambda x, a=axis: jax.nn.softmax(x, a), f"axis = {axis} : i64", f"axis{axis}"))
        for exclusive in (False, True):
            for reverse in (False, True):

                def cumsum(x, a=axis, e=exclusive, r=reverse):
                    x = jnp.flip(x, a) if r else x
                    y = jnp.cumsum(x, a) - (x if e else 0)
                    return jnp.flip(y, a) if r else y

                cases.append(Case("cumsum", [real(*shape)], cumsum, f"axis = {axis} : i64, exclusive = {str(exclusive).lower()}, reverse = {str(reverse).lower()}", f"axis{axis}{exclusive:d}{reverse:d}"))

    def normalise(x, axes, e):
        return (x - x.mean(axes, keepdims=True)) / jnp.sqrt(x.var(axes, keepdims=True) + e)

    for shape, axes in [((3, 5), (-1,)), ((2, 3, 6), (-1,)), ((2, 3, 6), (1, 2)), ((1, 4, 3, 3), (1,)), ((2, 4, 1, 3), (-3, -1))]:
        dims = tuple(shape[a] for a in sorted(a % len(shape) for a in axes))
        view = tuple(shape[i] if i in [a % len(shape) for a in axes] else 1 for i in range(len(shape)))
        e = 1e-3
        attributes = f"axes = {i64(axes)}, epsilon = {e} : f32, operandSegmentSizes = array<i32: 1, %d, %d>"
        cases.append(Case("layer_norm", [real(*shape)], lambda x, a=axes, e=e: normalise(x, a, e), attributes % (0, 0), f"axes{axes}".replace(" ", "")))
        cases.append(
            Case("layer_norm", [real(*shape), real(*dims), real(*dims)], lambda x, g, b, a=axes, v=view, e=e: normalise(x, a, e) * g.reshape(v) + b.reshape(v), attributes % (1, 1), f"affine{axes}".replace(" ", ""))
        )
    for shape in [(2, 3, 5), (2, 3, 4, 4)]:
        view = (3,) + (1,) * (len(shape) - 2)
        axes = tuple(range(2, len(shape)))
        e = 1e-3
        segments = "epsilon = 0.001 : f32, operandSegmentSizes = array<i32: 1, %d, %d>"
        cases.append(Case("instance_norm", [real(*shape)], lambda x, a=axes, e=e: normalise(x, a, e), segments % (0, 0)))
        cases.append(Case("instance_norm", [real(*shape), real(3), real(3)], lambda x, g, b, a=axes, v=view, e=e: normalise(x, a, e) * g.reshape(v) + b.reshape(v), segments % (1, 1)))

        def batch_norm(x, m, s, g=None, b=None, v=view):
            y = (x - m.reshape(v)) / jnp.sqrt(s.reshape(v) + 1e-3)
            return y if g is None else y * g.reshape(v) + b.reshape(v)

        segments = "epsilon = 0.001 : f32, operandSegmentSizes = array<i32: 1, 1, 1, %d, %d>"
        cases.append(Case("batch_norm", [real(*shape), real(3), real(3, low=0.5, high=2)], batch_norm, segments % (0, 0)))
        cases.append(Case("batch_norm", [real(*shape), real(3), real(3, low=0.5, high=2), real(3), real(3)], batch_norm, segments % (1, 1)))
    for shape in [(2, 3, 4), (2, 3, 2, 2)]:
        cases.append(Case("l2_norm", [real(*shape)], lambda x: x / jnp.sqrt((x * x).sum((-3, -2, -1), keepdims=True) + 1e-2), "epsilon = 0.01 : f32"))
    for size in (3, 4):

        def lrn(x, size=size):
            before = size // 2
            padded = jnp.pad(x * x, ((0, 0), (before, size - 1 - before)) + ((0, 0),) * (x.ndim - 2))
            total = sum(padded[:, i : i + x.shape[1]] for i in range(size))
            return x / (1.5 + 0.3 / size * total) ** 0.75

        cases.append(Case("local_response_norm", [real(2, 6, 3)], lrn, f"size = {size} : i64, alpha = 0.3 : f32, beta = 0.75 : f32, k = 1.5 : f32", f"size{size}"))
    return cases


def reductions() -> list[Case]:
    functions = {
        "reduce_sum": (jnp.sum, real),
        "reduce_mean": (jnp.mean, real),
        "reduce_max": (jnp.max, apart),
        "reduce_min": (jnp.min, apart),
        "reduce_l2_norm": (lambda x, **k: jnp.sqrt(jnp.sum(x * x, **k)), away),
        "reduce_log_sum_exp": (lambda x, **k: jax.scipy.special.logsumexp(x, **k), real),
        "reduce_l1_norm": (lambda x, **k: jnp.sum(jnp.abs(x), **k), away),
        "reduce_log_sum": (lambda x, **k: jnp.log(jnp.sum(x, **k)), lambda *s: real(*s, low=0.5, high=2)),
        "reduce_sum_square": (lambda x, **k: jnp.sum(x * x, **k), real),
        "reduce_prod": (jnp.prod, away),
    }
    cases = []
    for name, (f, make) in functions.items():
        for shape, axes, keep in [((4,), (0,), False), ((3, 4), (-1,), True), ((3, 4), None, False), ((2, 3, 4), (0, 2), False), ((2, 3, 4), (1,), True), ((1, 2, 3, 4), (-1, 1), True)]:
            attributes = (f"axes = {i64(axes)}, " if axes is not None else "") + f"keep_dims = {str(keep).lower()}"
            cases.append(Case(name, [make(*shape)], lambda x, f=f, a=axes, k=keep: f(x, axis=a, keepdims=k), attributes, f"axes{axes}{keep:d}".replace(" ", "")))
    for x in ([[2.0, 0.0, 3.0], [1.5, 2.0, 0.5]], [[0.0, 0.0, 3.0], [1.5, 0.0, 0.5]]):
        cases.append(Case("reduce_prod", [np.array(x, np.float32)], lambda x: jnp.prod(x, axis=1), "axes = array<i64: 1>", f"zeros{int(x[0][0])}"))
    cases.append(Case("reduce_max", [np.array([[1, 3, 3], [2, 2, 2]], np.float32)], lambda x: jnp.max(x, axis=1), "axes = array<i64: 1>", "ties", differences=False))
    return cases


def shapes() -> list[Case]:
    cases = [
        Case("reshape", [real(2, 6)], lambda x: x.reshape(3, 4), "shape = array<i64: 3, -1>"),
        Case("transpose", [real(2, 3, 4)], lambda x: x.transpose(2, 0, 1), "perm = array<i64: 2, 0, 1>"),
        Case("transpose", [real(2, 3, 4)], lambda x: x.transpose(0, 2, 1), "perm = array<i64: 0, -1, 1>"),
        Case("expand_dims", [real(2, 3)], lambda x: x[:, None, :, None], "axes = array<i64: 1, 3>"),
        Case("squeeze", [real(2, 1, 3, 1)], lambda x: x[:, 0], "axes = array<i64: 1>"),
        Case("squeeze", [real(2, 1, 3, 1)], lambda x: x[:, 0, :, 0]),
        Case("flatten2d", [real(2, 3, 4)], lambda x: x.reshape(6, 4), "axis = 2 : i64"),
        Case("concat", [real(2, 3), real(2, 1), real(2, 2)], lambda *v: jnp.concatenate(v, 1), "axis = -1 : i64"),
        Case("concat", [real(2, 3), real(2, 3)], lambda a, b: jnp.stack([a, b], 2).reshape(2, 6), "axis = 1 : i64, interleave = true", "interleave"),
        Case("stack", [real(2, 3), real(2, 3), real(2, 3)], lambda *v: jnp.stack(v, 1), "axis = 1 : i64"),
        Case("stack", [real(3), real(3)], lambda *v: jnp.stack(v, -1), "axis = -1 : i64"),
        Case("split", [real(2, 6)], lambda x: jnp.split(x, 3, 1), "axis = 1 : i64, num_splits = 3 : i64"),
        Case("split", [real(6, 2)], lambda x: jnp.split(x, [1, 3], 0), "axis = 0 : i64, split_sizes = array<i64: 1, 2, 3>"),
        Case("tile", [real(2, 3)], lambda x: jnp.tile(x, (2, 3)), "reps = array<i64: 2, 3>"),
        Case("tile", [real(2, 1, 3)], lambda x: jnp.tile(x, (1, 4, 2)), "reps = array<i64: 1, 4, 2>"),
        Case("reverse", [real(2, 3, 4)], lambda x: jnp.flip(x, (0, 2)), "axes = array<i64: 0, -1>"),
        Case("reverse", [real(2, 3)], lambda x: jnp.flip(x)),
        Case("band_part", [real(2, 4, 5)], lambda x: x * ((np.arange(4)[:, None] - np.arange(5) <= 1) & (np.arange(5) - np.arange(4)[:, None] <= 2)), "lower = 1 : i64, upper = 2 : i64"),
        Case("sliding_windows", [real(2, 7)], lambda x: jnp.stack([x[:, i : i + 3] for i in (0, 2, 4)], 1), "axis = 1 : i64, size = 3 : i64, stride = 2 : i64"),
        Case("upsample_nearest_neighbor", [real(1, 2, 3, 2)], lambda x: jnp.repeat(jnp.repeat(x, 2, 2), 3, 3), "scale_factor_height = 2 : i64, scale_factor_width = 3 : i64"),
        Case("reverse_sequence", [real(4, 2, 3), ints([2, 4])], lambda x, n: jnp.stack([jnp.concatenate([x[: int(k), i][::-1], x[int(k) :, i]]) for i, k in enumerate((2, 4))], 1), "seq_axis = 0 : i64, batch_axis = 1 : i64"),
    ]
    slices = [
        ((4, 5), (1, 2), (3, 5), None, None, None, None, np.s_[1:3, 2:5]),
        ((4, 5), (0, 1), (4, 5), (2, 3), None, None, None, np.s_[0:4:2, 1:5:3]),
        ((7,), (-1,), (0,), (-2,), None, (True,), None, np.s_[::-2]),
        ((6, 3), (1, -1), (5, -4), (3, -1), None, (False, True), None, np.s_[1:5:3, ::-1]),
        ((4, 5, 2), (1, -2, 0), (0, 0, 0), None, None, (False, False, True), (True, True, False), np.s_[1, 3, 0:]),
        ((4, 5), (9, 0), (-1, -1), None, (True, False), None, None, np.s_[:-1, 0:-1]),
    ]
    for shape, begin, end, stride, begin_mask, end_mask, squeeze, index in slices:
        attributes = f"begin = {i64(begin)}, end = {i64(end)}"
        if stride:
            attributes += f", stride = {i64(stride)}"
        for key, mask in (("begin_mask", begin_mask), ("end_mask", end_mask), ("squeeze_mask", squeeze)):
            if mask:
                attributes += f", {key} = array<i1: {', '.join(str(m).lower() for m in mask)}>"
        cases.append(Case("slice_by_index", [real(*shape)], lambda x, i=index: x[i], attributes, str(len(cases))))
    cases.append(Case("slice_by_size", [real(4, 5)], lambda x: x[1:3, 2:], "begin = array<i64: 1, 2>, size = array<i64: 2, -1>"))
    for mode, name in (("constant", "constant"), ("reflect", "reflect"), ("replicate", "edge")):
        for shape, pad in [((4,), (2, 1)), ((2, 4, 5), (1, 2, 3, 0)), ((3, 4), (0, 0, 2, 2))]:
            pairs = [(0, 0)] * (len(shape) - len(pad) // 2) + [(pad[i], pad[i + 1]) for i in range(0, len(pad), 2)]
            cases.append(Case("pad", [real(*shape)], lambda x, p=pairs, m=name: jnp.pad(x, p, mode=m), f'pad = {i64(pad)}, mode = "{mode}"', mode))
    b = 2
    cases += [
        Case("depth_to_space", [real(1, 8, 2, 3)], lambda x: x.reshape(1, b, b, 2, 2, 3).transpose(0, 3, 4, 1, 5, 2).reshape(1, 2, 4, 6), "block_size = 2 : i64"),
        Case("space_to_depth", [real(1, 2, 4, 6)], lambda x: x.reshape(1, 2, 2, b, 3, b).transpose(0, 3, 5, 1, 2, 4).reshape(1, 8, 2, 3), "block_size = 2 : i64"),
        Case("pixel_shuffle", [real(1, 8, 2, 3)], lambda x: x.reshape(1, 2, b, b, 2, 3).transpose(0, 1, 4, 2, 5, 3).reshape(1, 2, 4, 6), "upscale_factor = 2 : i64"),
        Case("pixel_unshuffle", [real(1, 2, 4, 6)], lambda x: x.reshape(1, 2, 2, b, 3, b).transpose(0, 1, 3, 5, 2, 4).reshape(1, 8, 2, 3), "downscale_factor = 2 : i64"),
        Case("crop", [real(1, 2, 5, 6)], lambda x: x[:, :, 1:3, 0:5], "crop_height = array<i64: 1, 2>, crop_width = array<i64: 0, 1>"),
    ]
    return cases


def between(mode: str, n: int, m: int) -> np.ndarray:
    """The interpolation matrix [n, m] of an axis."""
    matrix = np.zeros((n, m))
    for j in range(m):
        if mode == "half":
            at = max(0.0, (j + 0.5) * n / m - 0.5)
        elif mode == "align":
            at = j * (n - 1) / (m - 1) if m > 1 else 0
        else:
            at = j * n / m
        low = min(int(at), n - 1)
        high = min(low + 1, n - 1)
        matrix[low, j] += 1 - (at - low)
        matrix[high, j] += at - low
    return matrix


def images() -> list[Case]:
    def resize(mode, h, w):
        return lambda x: jnp.einsum("nchw,hi,wj->ncij", x, between(mode, x.shape[2], h), between(mode, x.shape[3], w))

    sampling = {"half": "UNALIGN_CORNERS", "align": "STRICT_ALIGN_CORNERS", "plain": "DEFAULT"}
    cases = []
    for mode, name in sampling.items():
        for h, w in [(6, 8), (5, 3), (2, 2)]:
            cases.append(Case("resize_bilinear", [real(1, 2, 4, 4)], resize(mode, h, w), f'target_size_height = {h} : i64, target_size_width = {w} : i64, sampling_mode = "{name}"', f"{mode}{h}x{w}"))
            cases.append(Case("resize", [real(1, 2, 4, 4)], resize(mode, h, w), f'shape = {i64((h, w))}, resized_dims = 2 : i64, interpolation_mode = "LINEAR", sampling_mode = "{name}"', f"{mode}{h}x{w}"))
    cases.append(Case("upsample_bilinear", [real(1, 2, 3, 4)], resize("align", 6, 12), "scale_factor_height = 2.0 : f32, scale_factor_width = 3.0 : f32, align_corners = true"))
    cases.append(Case("upsample_bilinear", [real(1, 2, 3, 4)], resize("half", 6, 12), "scale_factor_height = 2.0 : f32, scale_factor_width = 3.0 : f32, align_corners = false"))
    cases.append(
        Case(
            "resize_nearest_neighbor",
            [real(1, 2, 3, 4)],
            lambda x: x[:, :, np.array([int((i + 0.5) * 3 / 5) for i in range(5)])][:, :, :, np.array([int((j + 0.5) * 4 / 6) for j in range(6)])],
            "target_size_height = 5 : i64, target_size_width = 6 : i64",
        )
    )
    pads = Fixed(np.array([[0, 0], [1, 1]], np.int32))
    cases.append(
        Case(
            "space_to_batch",
            [real(1, 2, 4, 4), pads],
            lambda x, p: jnp.pad(x, ((0, 0), (0, 0), (0, 0), (1, 1))).reshape(1, 2, 2, 2, 3, 2).transpose(3, 5, 0, 1, 2, 4).reshape(4, 2, 2, 3),
            "block_shape = array<i64: 2, 2>",
        )
    )
    cases.append(Case("batch_to_space", [real(4, 2, 2, 3), pads], lambda x, p: x.reshape(2, 2, 1, 2, 2, 3).transpose(2, 3, 4, 0, 5, 1).reshape(1, 2, 4, 6)[:, :, :, 1:5], "block_shape = array<i64: 2, 2>"))
    return cases


def indexing() -> list[Case]:
    table = ints([[0, 2, 2], [3, -1, 0]])
    cases = [
        Case("gather", [real(4, 3), table], lambda x, i: jnp.take(x, i % 4, 0), "axis = 0 : i64"),
        Case("gather", [real(2, 4, 3), ints([1, 1, 3])], lambda x, i: x[:, i], "axis = 1 : i64"),
        Case("gather", [real(2, 4), Fixed(np.int32(2))], lambda x, i: x[:, 2], "axis = -1 : i64", "scalar"),
        Case("gather", [real(2, 4, 3), ints([[0, 1, 1], [3, -1, 0]])], lambda x, i: jnp.stack([x[b][np.array(i)[b]] for b in range(2)]), "axis = 1 : i64, batch_dims = 1 : i64", "batch"),
        Case("gather_along_axis", [real(3, 4), ints([[0, 2, 1, 0], [1, 1, 1, 2]])], lambda x, i: jnp.take_along_axis(x, i, 0), "axis = 0 : i64"),
        Case("gather_nd", [real(3, 4, 2), ints([[0, 1], [2, 3], [0, 1]])], lambda x, i: x[i[:, 0], i[:, 1]]),
        Case("scatter", [real(4, 3), ints([1, 3, 1]), real(3, 3)], lambda x, i, u: x.at[i].add(u), 'axis = 0 : i64, mode = "add"'),
        Case("scatter", [real(4, 3), ints([1, 3]), real(2, 3)], lambda x, i, u: x.at[i].set(u), 'axis = 0 : i64, mode = "update"', "update"),
        Case("scatter_along_axis", [real(3, 4), ints([[0, 2, 1, 0], [1, 1, 2, 2]]), real(2, 4)], lambda x, i, u: x.at[i, np.arange(4)].add(u), 'axis = 0 : i64, mode = "add"'),
        Case("scatter_nd", [real(3, 4), ints([[0, 1], [2, 3]]), real(2)], lambda x, i, u: x.at[i[:, 0], i[:, 1]].set(u), 'mode = "update"'),
        Case("scatter_nd", [real(3, 4), ints([[0], [2], [0]]), real(3, 4)], lambda x, i, u: x.at[i[:, 0]].add(-u), 'mode = "sub"', "sub"),
        Case("one_hot", [ints([1, 0, 2]), np.float32(1.5), np.float32(0.5)], lambda i, a, b: jnp.where(jax.nn.one_hot(i, 4) > 0, a, b), "one_hot_vector_size = 4 : i64, axis = -1 : i64"),
        Case("dynamic_slice", [real(4, 5), ints([1, 0]), ints([3, 5])], lambda x, b, e: x[1:3, 0:5:2], "stride = array<i64: 1, 2>"),
        Case("dynamic_slice_by_size", [real(4, 5), ints([1, 2])], lambda x, b: x[1:3, 2:5], "size = array<i64: 2, 3>"),
        Case("slice_update", [real(4, 5), real(2, 3), ints([1, 2]), ints([3, 5])], lambda x, u, b, e: x.at[1:3, 2:5].set(u)),
        Case("fill_like", [Fixed(real(2, 3)), np.float32(0.7)], lambda r, v: jnp.full((2, 3), 1.0) * v),
        Case("topk", [apart(3, 5)], lambda x: lax.top_k(x, 2), "k = 2 : i64, axis = -1 : i64"),
    ]
    return cases


def all_cases() -> list[Case]:
    return elementwise() + convolutions() + products() + pools() + norms() + reductions() + shapes() + images() + indexing()
