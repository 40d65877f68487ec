"""Broken input: exit 1 with a message, or a right answer; never a crash, never a file left behind."""

from __future__ import annotations

import concurrent.futures
import os
import pathlib
import random
import shutil
import subprocess
import time
import sys

import numpy as np
import onnx
import pytest
from conftest import ROOT, SHARED
from onnx import TensorProto, helper, numpy_helper
from onnx.backend.test.loader import load_model_tests

BIN = pathlib.Path(os.environ.get("ANE_MLIR_BIN", ROOT / "build" / "bin"))
# LLVM's archives are built without sanitizers, so its allocators may not poison memory; the context is freed at exit.
ENVIRONMENT = {**os.environ, "ASAN_OPTIONS": "allow_user_poisoning=0:detect_leaks=0:abort_on_error=0:exitcode=99:allocator_may_return_null=1", "UBSAN_OPTIONS": "exitcode=99"}


def convert(model: pathlib.Path, out: pathlib.Path, *options: str) -> subprocess.CompletedProcess[str]:
    result = subprocess.run([BIN / "onnx-to-ane", model, "-o", out, "--quiet", *options], capture_output=True, text=True, env=ENVIRONMENT, timeout=300, errors="replace")
    leftovers = [p.name for p in out.parent.iterdir() if ".tmp" in p.name or p.name.startswith(".ane-mlir-")]
    assert not leftovers, leftovers
    if result.returncode == 0:
        assert out.exists()
    else:
        assert result.returncode == 1, result.stderr[-3000:]
        assert "error: " in result.stderr and str(model) in result.stderr, result.stderr[-2000:]
        assert not out.exists()
    return result


def small_model(**changes) -> onnx.ModelProto:
    weight = numpy_helper.from_array(np.arange(2 * 3 * 3 * 3, dtype=np.float32).reshape(2, 3, 3, 3) / 50, "w")
    nodes = [helper.make_node("Conv", ["x", "w"], ["c"], "conv", pads=[1, 1, 1, 1]), helper.make_node("Relu", ["c"], ["y"], "relu")]
    graph = helper.make_graph(
        changes.get("nodes", nodes), "g", changes.get("inputs", [helper.make_tensor_value_info("x", TensorProto.FLOAT, changes.get("shape", [1, 3, 8, 8]))]),
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)], changes.get("weights", [weight]))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def model_file() -> pathlib.Path:
    shared = SHARED / "models" / "silero-vad-16k-op15.onnx"
    return shared if shared.exists() else ROOT / "test" / "E2E" / "digits" / "digits.onnx"


def options_for(file: pathlib.Path) -> list[str]:
    return ["--dim=batch=1,sequence=576"] if "silero" in file.name else ["--dim=batch=1"]


def test_truncated(tmp_path):
    data = model_file().read_bytes()
    for i in range(50):
        file = tmp_path / f"t{i}.onnx"
        file.write_bytes(data[: len(data) * i // 50])
        convert(file, tmp_path / f"t{i}.anepkg", *options_for(model_file()))
        file.unlink()


def test_flipped_bytes(tmp_path):
    data = model_file().read_bytes()
    rng = random.Random(7)
    # Half anywhere, half in the structure (the first and last pieces), where a flip is not just another weight.
    structure = [i for i in range(len(data)) if i < 20000 or i > len(data) - 60000]
    for i in range(200):
        broken = bytearray(data)
        at = rng.randrange(len(data)) if i % 2 else rng.choice(structure)
        broken[at] ^= 1 << rng.randrange(8)
        file = tmp_path / f"f{i}.onnx"
        file.write_bytes(broken)
        convert(file, tmp_path / f"f{i}.anepkg", *options_for(model_file()))
        file.unlink()


@pytest.mark.parametrize("shape", [[1, 3, -5, 8], [1, 3, 2**40, 8], [2**31, 2**31, 2**31, 8], [0, 3, 8, 8], [1, 3, 2**30, 2**30]])
def test_absurd_shapes(tmp_path, shape):
    file = tmp_path / "m.onnx"
    onnx.save(small_model(shape=shape), file)
    convert(file, tmp_path / "m.anepkg")


@pytest.mark.parametrize("dims", [[-1, 3, 3, 3], [2**40, 3, 3, 3], [2**31, 2**31, 2**31, 2**31]])
def test_absurd_weights(tmp_path, dims):
    weight = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=dims, raw_data=b"\0" * 216)
    file = tmp_path / "m.onnx"
    onnx.save(small_model(weights=[weight]), file)
    result = convert(file, tmp_path / "m.anepkg")
    assert result.returncode == 1 and "'w'" in result.stderr


def external(location: str, offset: str = "0", length: str = "216") -> onnx.ModelProto:
    weight = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[2, 3, 3, 3], data_location=TensorProto.EXTERNAL)
    for key, value in (("location", location), ("offset", offset), ("length", length)):
        weight.external_data.add(key=key, value=value)
    return small_model(weights=[weight])


def test_external_data(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "secret.bin").write_bytes(b"\0" * 4096)
    (folder / "w.bin").write_bytes(b"\0" * 300)
    (folder / "link.bin").symlink_to(tmp_path / "secret.bin")
    file = folder / "m.onnx"
    for location, offset, length, ok in [
        ("w.bin", "0", "216", True), ("w.bin", "84", "216", True), ("w.bin", "85", "216", False), ("w.bin", "0", "300", False),
        ("w.bin", "-1", "216", False), ("w.bin", "18446744073709551615", "216", False), ("missing.bin", "0", "216", False),
        ("../secret.bin", "0", "216", False), (str(tmp_path / "secret.bin"), "0", "216", False), ("link.bin", "0", "216", False), ("", "0", "216", False),
    ]:
        file.write_bytes(external(location, offset, length).SerializeToString())
        result = convert(file, folder / "m.anepkg")
        assert (result.returncode == 0) == ok, (location, offset, result.stderr)
        if ok:
            subprocess.run(["rm", "-r", folder / "m.anepkg"], check=True)


def test_cycles(tmp_path):
    file = tmp_path / "m.onnx"
    node = helper.make_node
    for nodes in ([node("Add", ["x", "b"], ["a"], "first"), node("Relu", ["a"], ["b"], "second"), node("Relu", ["a"], ["y"], "third")],
                  [node("Add", ["x", "y"], ["y"], "self")]):
        file.write_bytes(small_model(nodes=nodes).SerializeToString())
        result = convert(file, tmp_path / "m.anepkg")
        assert result.returncode == 1 and "cycle" in result.stderr


def test_unsorted_nodes(tmp_path):
    model = small_model()
    nodes = list(model.graph.node)[::-1]
    file = tmp_path / "m.onnx"
    file.write_bytes(small_model(nodes=nodes).SerializeToString())
    assert convert(file, tmp_path / "m.anepkg").returncode == 0


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes(out + bytes([value]))


def field(number: int, payload: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def test_deep_subgraphs(tmp_path):
    """10,000 nested If nodes, written on the wire: no protobuf library would make them."""
    graph = field(12, field(1, b"v")) + field(1, field(1, b"x") + field(2, b"v") + field(4, b"Relu"))
    for _ in range(10_000):
        attribute = field(1, b"then_branch") + field(6, graph) + varint(20 << 3) + b"\x05"
        graph = field(1, field(1, b"c") + field(2, b"v") + field(4, b"If") + field(5, attribute)) + field(12, field(1, b"v"))
    tensor = field(2, field(1, varint(1 << 3) + varint(1) + field(2, b"")))
    graph += field(11, field(1, b"x") + tensor) + field(11, field(1, b"c") + tensor)
    file = tmp_path / "m.onnx"
    file.write_bytes(varint(1 << 3) + varint(8) + field(7, graph) + field(8, varint(2 << 3) + varint(17)))
    result = convert(file, tmp_path / "m.anepkg")
    assert result.returncode == 1 and "deep" in result.stderr


def test_recursive_function(tmp_path):
    function = helper.make_function("local", "f", ["a"], ["b"], [helper.make_node("f", ["a"], ["b"], domain="local")], [helper.make_opsetid("", 17), helper.make_opsetid("local", 1)])
    model = small_model(nodes=[helper.make_node("f", ["x"], ["y"], "call", domain="local")])
    model.functions.append(function)
    model.opset_import.append(helper.make_opsetid("local", 1))
    file = tmp_path / "m.onnx"
    file.write_bytes(model.SerializeToString())
    assert convert(file, tmp_path / "m.anepkg").returncode == 1


def test_missing_file(tmp_path):
    result = convert(tmp_path / "missing.onnx", tmp_path / "m.anepkg")
    assert result.returncode == 1


def test_broken_mil(tmp_path):
    """Truncated and mutated MIL text: an error with line and column, or a text that parses."""
    shared = SHARED / "mil" / "token-duration-prediction.mil"
    if not shared.exists():
        pytest.skip("no shared MIL text beside the project")
    text = shared.read_bytes()
    rng = random.Random(11)
    file = tmp_path / "m.mil"
    for i in range(150):
        broken = bytearray(text)
        if i < 50:
            broken = broken[: len(text) * i // 50]
        else:
            for _ in range(rng.randrange(1, 4)):
                broken[rng.randrange(len(broken))] = rng.randrange(32, 127)
        file.write_bytes(broken)
        result = subprocess.run([BIN / "ane-translate", "--raise-mil", file], capture_output=True, text=True, env=ENVIRONMENT, timeout=60, errors="replace")
        assert result.returncode in (0, 1), result.stderr[-3000:]
        if result.returncode:
            assert "error: " in result.stderr and "m.mil:" in result.stderr, result.stderr


def test_broken_bundle(tmp_path):
    """Mutated manifest, weights and text: ane-run refuses or runs, and never crashes."""
    digits = ROOT / "test" / "E2E" / "digits"
    bundle = tmp_path / "m.anepkg"
    convert(digits / "digits.onnx", bundle, "--dim=batch=1")
    files = sorted(p for p in bundle.rglob("*") if p.is_file() and p.suffix != ".json")
    rng = random.Random(13)
    for i in range(150):
        file = files[i % len(files)]
        original = file.read_bytes()
        broken = bytearray(original)
        if i % 5 == 0:
            broken = broken[: rng.randrange(len(broken))]
        else:
            for _ in range(3):
                broken[rng.randrange(min(len(broken), 4096))] ^= 1 << rng.randrange(8)
        file.write_bytes(broken)
        result = subprocess.run([BIN / "ane-run", bundle, "--random-inputs=0"], capture_output=True, text=True, env=ENVIRONMENT, timeout=60, errors="replace")
        file.write_bytes(original)
        assert result.returncode in (0, 1), (file.name, result.stderr[-3000:])
        if result.returncode:
            assert "error: " in result.stderr, result.stderr


def damage(data: bytes, rng: random.Random) -> bytes:
    """Flipped, dropped, doubled and extreme bytes."""
    out = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        if not out:
            break
        at = rng.randrange(len(out))
        kind = rng.randrange(4)
        if kind == 0:
            out[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            del out[at : at + rng.randint(1, 9)]
        elif kind == 2:
            out[at:at] = out[at : at + rng.randint(1, 9)]
        else:
            out[at] = rng.choice((0, 0xFF, 0x7F, 0x80))
    return bytes(out)


def built_package(recipe, path: pathlib.Path) -> pathlib.Path:
    """What coremltools writes of a recipe of mil_recipes.py, in the newest opset that has the operation."""
    import coremltools as ct
    from builder_sweep import build

    program, _, target = build(recipe, recipe.until, np.float32, False)
    labels = ct.ClassifierConfig(recipe.classes) if recipe.classes else None
    model = ct.convert(program, classifier_config=labels, convert_to="mlprogram", minimum_deployment_target=target, skip_model_load=True, pass_pipeline=ct.PassPipeline.EMPTY, compute_precision=ct.precision.FLOAT32)
    model.save(str(path))
    return path


def sample_packages(folder: pathlib.Path) -> list[pathlib.Path]:
    """One of ours, and coremltools' with blocks, states, lists, classes, recurrences and compressed constants."""
    from mil_recipes import RECIPES

    onnx.save(small_model(), folder / "m.onnx")
    assert convert(folder / "m.onnx", folder / "m.mlpackage").returncode == 0
    packages = [folder / "m.mlpackage"]
    wanted = ["cond", "while_loop", "make_list", "classify", "read_state", "lstm", "constexpr_lut_to_dense", "constexpr_sparse_to_dense", "constexpr_affine_dequantize",
              "non_maximum_suppression", "crop_resize", "topk", "slice_update", "conv", "einsum"]  # fmt: skip
    for name in wanted:
        packages.append(built_package(next(r for r in RECIPES if r.op == name), folder / f"{name}.mlpackage"))
    return packages


class Programs:
    """A package for each operation of MIL, and changes to its program."""

    def __init__(self, folder: pathlib.Path):
        from coremltools.proto import Model_pb2
        from mil_recipes import RECIPES

        self.folder, self.model = folder, Model_pb2.Model
        self.specs: dict[pathlib.Path, Model_pb2.Model] = {}
        for recipe in {recipe.op: recipe for recipe in RECIPES}.values():
            package = built_package(recipe, folder / f"{recipe.op}.mlpackage")
            self.specs[package] = Model_pb2.Model.FromString((package / "Data/com.apple.CoreML/model.mlmodel").read_bytes())

    def operations(self, spec) -> list:
        def walk(block):
            for op in block.operations:
                yield op
                for inner in op.blocks:
                    yield from walk(inner)

        function = spec.mlProgram.functions["main"]
        return list(walk(function.block_specializations[function.opset]))

    def verify(self, package: pathlib.Path, name: str, change) -> subprocess.CompletedProcess:
        """What mil-verify says of a package whose operations `change` has changed."""
        spec = self.model()
        spec.CopyFrom(self.specs[package])
        change(self.operations(spec))
        copy = self.folder / f"{package.stem}-{name}.mlpackage"
        shutil.copytree(package, copy)
        (copy / "Data/com.apple.CoreML/model.mlmodel").write_bytes(spec.SerializeToString())
        verified = subprocess.run([BIN / "mil-verify", copy], capture_output=True, text=True, env=ENVIRONMENT, timeout=300, errors="replace")
        shutil.rmtree(copy)
        return verified


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    pytest.importorskip("coremltools")
    return Programs(tmp_path_factory.mktemp("programs"))


def test_left_out_arguments(programs):
    """Every operation of MIL with each of its arguments left out: its default, or the argument's name; never a crash."""
    jobs = [(package, index, op.type, name) for package, spec in programs.specs.items() for index, op in enumerate(programs.operations(spec)) if op.type != "const" for name in op.inputs]

    def run(job) -> str | None:
        package, index, op, name = job
        verified = programs.verify(package, f"{index}-{name}", lambda operations: operations[index].inputs.pop(name))
        said = verified.returncode == 0 or (verified.returncode == 1 and f"'{op}'" in verified.stdout or f"'ane.{op}'" in verified.stdout)
        return None if said else f"{op} without '{name}': exit {verified.returncode} {(verified.stdout + verified.stderr)[-1500:]}"

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        problems = [problem for problem in pool.map(run, jobs) if problem]
    assert len(jobs) > 500 and not problems, f"{len(problems)} of {len(jobs)}: {problems[:3]}"


def test_unknown_words(programs):
    """Every argument that chooses by a word, with a word that nobody knows: refused by name, never read as another."""
    jobs = []
    for package, spec in programs.specs.items():
        constants = {op.outputs[0].name: i for i, op in enumerate(programs.operations(spec)) if op.type == "const" and op.attributes["val"].immediateValue.tensor.HasField("strings")}
        for op in programs.operations(spec):
            jobs += [(package, constants[argument.arguments[0].name], op.type, name) for name, argument in op.inputs.items() if argument.arguments and argument.arguments[0].name in constants]

    def run(job) -> str | None:
        package, constant, op, name = job

        def change(operations):
            operations[constant].attributes["val"].immediateValue.tensor.strings.values[0] = "nonsense"

        verified = programs.verify(package, f"word-{constant}", change)
        said = verified.returncode == 1 and "nonsense" in verified.stdout and op in verified.stdout
        return None if said else f"{op} with '{name}': exit {verified.returncode} {(verified.stdout + verified.stderr)[-1500:]}"

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        problems = [problem for problem in pool.map(run, jobs) if problem]
    assert len(jobs) > 60 and not problems, f"{len(problems)} of {len(jobs)}: {problems}"


def test_damaged_packages(tmp_path):
    """1000 mutations of models, weight files, manifests and MIL texts: a result, or a message; no tool crashes."""
    packages = sample_packages(tmp_path)
    for package in packages:
        subprocess.run([BIN / "ane-translate", "--import-mlpackage", package / "Manifest.json", "-o", tmp_path / "m.mlir"], check=True, env=ENVIRONMENT)
        subprocess.run([BIN / "ane-translate", "--mil-to-text", tmp_path / "m.mlir", "-o", package / "Data/com.apple.CoreML/model.mil"], check=True, env=ENVIRONMENT)

    def one(seed: int) -> str:
        rng = random.Random(seed)
        package = tmp_path / f"{seed}.mlpackage"
        shutil.copytree(packages[seed % len(packages)], package)
        file = rng.choice(sorted(p for p in package.rglob("*") if p.is_file()))
        file.write_bytes(damage(file.read_bytes(), rng))
        artifact = file if file.suffix == ".mil" else package
        command = rng.choice([["ane-run", artifact, "--random-inputs=1", "--quiet"], ["mil-verify", artifact], ["onnx-to-ane", artifact, "-o", tmp_path / f"{seed}.anepkg", "--quiet"]])
        run = subprocess.run([BIN / command[0], *command[1:]], capture_output=True, text=True, env=ENVIRONMENT, timeout=300, errors="replace")
        shutil.rmtree(package)
        shutil.rmtree(tmp_path / f"{seed}.anepkg", ignore_errors=True)
        if run.returncode not in (0, 1):
            return f"seed {seed}, {command[0]} of {file.name}: exit {run.returncode} {run.stderr[-1500:]}"
        if run.returncode == 1 and "error" not in run.stderr + run.stdout:
            return f"seed {seed}, {command[0]} of {file.name}: no message, {run.stderr[-300:]}"
        return ""

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        problems = [problem for problem in pool.map(one, range(1000)) if problem]
    assert not problems, f"{len(problems)} of 1000: {problems[0]}"


def test_schemas_up_to_date():
    """lib/Conversion/ONNXToANE/Schemas is what the pinned packages' schemas say."""
    check = subprocess.run([sys.executable, ROOT / "tools" / "dev" / "onnx-schemas", "--check"], capture_output=True, text=True)
    assert check.returncode == 0, check.stdout + check.stderr


def mutations(model: onnx.ModelProto):
    """The model with an input emptied, cut off or of another rank, an attribute dropped or out of range."""
    node = model.graph.node[0]

    def copy() -> onnx.ModelProto:
        other = onnx.ModelProto()
        other.CopyFrom(model)
        return other

    for i, name in enumerate(node.input):
        other = copy()
        other.graph.node[0].input[i] = ""
        yield f"input {i} emptied", other
        other = copy()
        del other.graph.node[0].input[i:]
        yield f"inputs from {i} cut", other
        for shape in ([], [1], [0], [2, 3]):
            other = copy()
            for value in other.graph.input:
                if value.name == name and value.type.HasField("tensor_type"):
                    del value.type.tensor_type.shape.dim[:]
                    for size in shape:
                        value.type.tensor_type.shape.dim.add().dim_value = size
            yield f"input {i} of shape {shape}", other
    for i, attribute in enumerate(node.attribute):
        other = copy()
        del other.graph.node[0].attribute[i]
        yield f"without {attribute.name}", other
        for value in (-1, 0, 7, 1 << 40):
            other = copy()
            changed = other.graph.node[0].attribute[i]
            if changed.type == onnx.AttributeProto.INT:
                changed.i = value
            elif changed.type == onnx.AttributeProto.INTS and changed.ints:
                changed.ints[0] = value
            else:
                continue
            yield f"{attribute.name} = {value}", other


def test_mutated_nodes(tmp_path):
    """Every op of onnx's node tests with its inputs and attributes damaged one at a time."""
    seen = set()
    jobs = []
    for case in sorted(load_model_tests(kind="node"), key=lambda case: case.name):
        if case.model is None or len(case.model.graph.node) != 1:
            continue
        node = case.model.graph.node[0]
        key = (node.domain, node.op_type, len(node.input))
        if key not in seen:
            seen.add(key)
            jobs += [(f"{case.name}, {what}", model) for what, model in mutations(case.model)]
    assert len(jobs) > 3000

    def run(job: tuple[int, tuple[str, onnx.ModelProto]]) -> str | None:
        i, (what, model) = job
        folder = tmp_path / str(i)
        folder.mkdir()
        (folder / "m.onnx").write_bytes(model.SerializeToString())
        try:
            convert(folder / "m.onnx", folder / "m.anepkg")
        except (AssertionError, subprocess.TimeoutExpired) as failure:
            return f"{what}: {str(failure)[-300:]}"
        shutil.rmtree(folder)
        return None

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        broken = [message for message in pool.map(run, enumerate(jobs)) if message]
    assert not broken, "\n".join(broken)


def test_files_that_change_while_they_are_read(tmp_path):
    """A model that is cut or written to while it is mapped: an error that names it, nothing left, no signal."""
    weight = np.zeros((1, 1 << 23), np.float32)  # 32 MiB, zeros as a hole in the file
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"], "product")], "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1])],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 1 << 23])], [numpy_helper.from_array(weight, "w")])  # fmt: skip
    file, out = tmp_path / "m.onnx", tmp_path / "m.anepkg"
    content = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()
    seen = set()
    for i in range(60):
        file.write_bytes(content)
        process = subprocess.Popen([BIN / "onnx-to-ane", file, "-o", out, "--quiet", "--check=off", "--calibration=none"], stderr=subprocess.PIPE, text=True, env=ENVIRONMENT)
        time.sleep(0.005 * i)
        if process.poll() is None:
            if i % 2:
                os.truncate(file, 4096)
            else:
                with open(file, "r+b") as change:
                    change.seek(4096)
                    change.write(b"\1" * 4096)
        said = process.communicate(timeout=120)[1]
        assert process.returncode in (0, 1), said
        if process.returncode:
            assert str(file) in said, said
            assert not [p for p in tmp_path.iterdir() if p != file], list(tmp_path.iterdir())
            seen |= {word for word in ("changed while", "was cut", "truncated", "size") if word in said}
        else:
            shutil.rmtree(out)
    assert seen & {"changed while", "was cut"}, seen
