"""The derivative of every op against JAX and against differences of the op itself, in fp32.

All cases are functions of one module: one run of ane-opt differentiates them, another evaluates them, a third evaluates the ops at
points to both sides along a random direction.
"""

from __future__ import annotations

import collections
import pathlib
import re
import subprocess

import numpy as np
import pytest
from ane_mlir import find_tool

jax = pytest.importorskip("jax", reason="JAX is the judge of gradients")
import gradient_cases  # noqa: E402
import jax.numpy as jnp  # noqa: E402
from gradient_cases import Case, Fixed  # noqa: E402

STEPS = {"sign", "ceil", "floor", "round", "floor_div"}
DTYPES = {"float32": "f32", "int32": "i32", "bool": "i1"}


def type_of(array: np.ndarray) -> str:
    return "tensor<" + "".join(f"{n}x" for n in array.shape) + DTYPES[str(array.dtype)] + ">"


def constant(name: str, array: np.ndarray) -> str:
    """Bits for numbers; booleans are packed, so they are written out."""
    if array.dtype == bool:
        return f"  %{name} = ane.constant dense<{str(array.astype(int).tolist()).replace('1', 'true').replace('0', 'false')}> : {type_of(array)}\n"
    return f'  %{name} = ane.constant dense<"0x{array.tobytes().hex()}"> : {type_of(array)}\n' if array.size > 1 else f"  %{name} = ane.constant dense<{array.reshape(-1)[0]!s}> : {type_of(array)}\n".replace("inf", "0x7F800000")


def values(case: Case) -> list[np.ndarray]:
    return [np.asarray(o.value if isinstance(o, Fixed) else o) for o in case.operands]


def is_free(operand: object) -> bool:
    return not isinstance(operand, Fixed)


class Prepared:
    """A case with its weights, its reference and what JAX says of it."""

    def __init__(self, case: Case, seed: int) -> None:
        self.case = case
        random = np.random.default_rng(seed)
        self.operands = values(case)
        self.free = [i for i, o in enumerate(case.operands) if is_free(o)]
        self.start = [self.operands[i].astype(np.float64) for i in self.free]
        shapes = [y.shape for y in jax.eval_shape(self.outputs, self.start)]
        self.weights = [np.asarray(random.uniform(0.5, 1.5, s) * random.choice([-1, 1], s), np.float32) for s in shapes]
        self.direction = [random.standard_normal(self.operands[i].shape) for i in self.free]
        self.expected: list[np.ndarray] = []
        self.gradients: list[np.ndarray] = []

    def outputs(self, free):
        given = list(self.operands)
        for i, v in zip(self.free, free):
            given[i] = v
        made = self.case.function(*given)
        made = list(made) if isinstance(made, (list, tuple)) else [made]
        made = [m for m in made if jnp.issubdtype(m.dtype, jnp.floating)]
        # Steps alone have no gradient at all: their operands are outputs, too.
        return made + list(free) if self.case.op in STEPS else made

    def differentiate(self, start):
        made, pull = jax.vjp(self.outputs, start)
        return made, pull([jnp.asarray(w, jnp.float64) for w in self.weights])[0]


def judge(prepared: list[Prepared]) -> None:
    """Values and gradients in fp64; many cases are one program, since JAX compiles slowly and each anew."""
    for begin in range(0, len(prepared), 60):
        part = prepared[begin : begin + 60]
        made = jax.jit(lambda starts: [p.differentiate(s) for p, s in zip(part, starts)])([p.start for p in part])  # noqa: B023
        for p, (expected, gradients) in zip(part, made):
            p.expected = [np.asarray(y) for y in expected]
            p.gradients = [np.asarray(g) for g in gradients]


class Text(Prepared):
    """The same as functions of a module."""

    def op_text(self) -> str:
        results = [type_of(np.zeros(y.shape, np.float32)) for y in self.expected]
        if self.case.op in STEPS:
            results = results[:1]
        if self.case.op == "topk":  # its indices
            results.append(results[0].replace("f32", "i32"))
        names = ", ".join(f"%x{i}" for i in range(len(self.operands)))
        types = ", ".join(type_of(v) for v in self.operands)
        attributes = f" {{{self.case.attributes}}}" if self.case.attributes else ""
        target = "%y" if len(results) == 1 else f"%y:{len(results)}"
        returned = results[0] if len(results) == 1 else f"({', '.join(results)})"
        return f"  {target} = ane.{self.case.op} {names}{attributes} : ({types}) -> {returned}\n"

    def result(self, i: int) -> str:
        if self.case.op in STEPS:
            return f"%x{self.free[i - 1]}" if i else "%y"
        return "%y" if len(self.expected) == 1 and self.case.op != "topk" else f"%y#{i}"

    def loss_function(self, name: str) -> str:
        text = f"func.func @{name}() -> tensor<f32> {{\n"
        for i, v in enumerate(self.operands):
            if i in self.free:
                text += constant(f"k{i}", v) + f'  %x{i} = ane.identity %k{i} {{ane.parameter = "x{i}"}} : ({type_of(v)}) -> {type_of(v)}\n'
            else:
                text += constant(f"x{i}", v)
        text += self.op_text()
        sums = []
        for i, w in enumerate(self.weights):
            t = type_of(w)
            text += constant(f"w{i}", w) + f"  %m{i} = ane.mul {self.result(i)}, %w{i} : ({t}, {t}) -> {t}\n  %s{i} = ane.reduce_sum %m{i} : ({t}) -> tensor<f32>\n"
            sums.append(f"%s{i}")
        while len(sums) > 1:
            a, b = sums.pop(), sums.pop()
            text += f"  %t{len(sums)} = ane.add {a}, {b} : (tensor<f32>, tensor<f32>) -> tensor<f32>\n"
            sums.append(f"%t{len(sums)}")
        return text + f"  return {sums[0]} : tensor<f32>\n}}\n"

    def moved(self, step: float) -> list[np.ndarray]:
        operands = list(self.operands)
        for i, v in zip(self.free, self.direction):
            operands[i] = np.asarray(operands[i] + np.float32(step) * v.astype(np.float32), np.float32)
        return operands

    def value_function(self, name: str, step: float) -> str:
        types = ", ".join(type_of(w) for w in self.weights)
        text = f"func.func @{name}() -> ({types}) {{\n"
        for i, v in enumerate(self.moved(step)):
            text += constant(f"x{i}", v)
        returned = ", ".join(self.result(i) for i in range(len(self.weights)))
        return text + self.op_text() + f"  return {returned} : {types}\n}}\n"


def parse(text: str) -> dict[str, list[np.ndarray]]:
    """What each function of a module without anything but constants returns."""
    found: dict[str, list[np.ndarray]] = {}
    for function in re.split(r"(?=func\.func @)", text)[1:]:
        name = re.match(r"func\.func @(\w+)", function)[1]
        constants = {}
        for key, body, shape, dtype in re.findall(r"%(\w+) = ane\.constant dense<(.*?)> : tensor<((?:\d+x)*)(\w+)>", function):
            dims = [int(n) for n in shape.split("x")[:-1]]
            kind = np.float32 if dtype == "f32" else np.int32
            if body.startswith('"0x'):
                array = np.frombuffer(bytes.fromhex(body[3:-1]), kind)
            else:
                numbers = re.findall(r"0x[0-9A-F]{8}|[-+.\deE]+", body)
                array = np.array([np.frombuffer(bytes.fromhex(n[2:])[::-1], np.float32)[0] if n.startswith("0x") else float(n) for n in numbers], kind)
            constants[key] = np.full(dims, array[0]) if array.size == 1 else array.reshape(dims)
        returned = re.search(r"return (.*?) :", function)[1]
        found[name] = [constants[v.strip().lstrip("%")] for v in returned.split(",")]
    return found


def evaluate(path: pathlib.Path, *passes: str) -> dict[str, list[np.ndarray]]:
    command = [find_tool("ane-opt"), str(path), *passes, "--ane-evaluate-constants=numerics=fp32", "--mlir-print-elementsattrs-with-hex-if-larger=8"]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-4000:]
    return parse(result.stdout)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gradients")
    prepared = [Text(case, i) for i, case in enumerate(gradient_cases.all_cases())]
    judge(prepared)
    (folder / "gradients.mlir").write_text("".join(p.loss_function(f"c{i}") for i, p in enumerate(prepared)))
    steps = {"at": 0.0, "plus": 1.0, "minus": -1.0}
    (folder / "values.mlir").write_text("".join(p.value_function(f"{key}{i}", sign * p.case.epsilon) for i, p in enumerate(prepared) for key, sign in steps.items()))
    return prepared, evaluate(folder / "gradients.mlir", "--ane-differentiate"), evaluate(folder / "values.mlir")


def relative(actual: np.ndarray, expected: np.ndarray) -> float:
    largest = np.abs(expected).max(initial=0)
    return float(np.abs(actual - expected).max(initial=0) / max(largest, 1e-3))


def test_against_jax(results):
    """Values and gradients within 1e-4 of the largest magnitude."""
    prepared, gradients, points = results
    wrong = []
    for i, p in enumerate(prepared):
        for y, expected in zip(points[f"at{i}"], p.expected):
            if (error := relative(y, expected)) > 1e-4:
                wrong.append(f"{p.case.name}: value off by {error:.1e}")
        made = gradients[f"c{i}"][1:]
        assert len(made) == len(p.free), p.case.name
        for j, (g, expected) in enumerate(zip(made, p.gradients)):
            if g.shape != expected.shape or (error := relative(g, expected)) > 1e-4:
                wrong.append(f"{p.case.name}: gradient of operand {p.free[j]} off: {g.ravel()[:4]} for {expected.ravel()[:4]}")
    counts = collections.Counter(p.case.op for p in prepared)
    print(f"\n{len(counts)} ops, {len(prepared)} cases; " + ", ".join(f"{op} {n}" for op, n in sorted(counts.items())))
    assert not wrong, "\n".join(wrong)


def test_against_differences(results):
    """The slope along a random direction, from the op alone, within 1 %."""
    prepared, gradients, points = results
    wrong = []
    for i, p in enumerate(prepared):
        if not p.case.differences:
            continue
        total = lambda key: sum((y.astype(np.float64) * w).sum() for y, w in zip(points[f"{key}{i}"], p.weights))  # noqa: B023, E731
        # Where fp32 rounds a step, what was really stepped counts.
        moved = [(b.astype(np.float64) - a) / (2 * p.case.epsilon) for a, b in zip(p.moved(-p.case.epsilon), p.moved(p.case.epsilon))]
        slope = (total("plus") - total("minus")) / (2 * p.case.epsilon)
        made = gradients[f"c{i}"][1:]
        along = sum(float((g * moved[j]).sum()) for g, j in zip(made, p.free))
        scale = sum(float(np.abs(g * moved[j]).sum()) for g, j in zip(made, p.free))
        if abs(along - slope) > 1e-2 * max(abs(slope), 0.1 * scale) + 1e-4:
            wrong.append(f"{p.case.name}: {along:.6g}, but differences give {slope:.6g}")
    assert not wrong, "\n".join(wrong)


def test_every_op_is_covered(results):
    """An op whose record has a derivative has a case."""
    prepared, _, _ = results
    seen = {p.case.op for p in prepared}
    records = sorted((pathlib.Path(find_tool("ane-opt")).parents[1] / "dialects" / "ANE" / "IR").glob("*Gradients.inc"))
    if not records:
        pytest.skip("no derivatives of the records beside the tools")
    rows = [row for path in records for row in re.findall(r'table\["ane\.(\w+)"\] = \{(.*)\};', path.read_text())]
    # Steps alone have nothing to compare; what is refused says why.
    differentiable = {name for name, body in rows if "callDerivative" in body}
    assert differentiable - seen == set()
