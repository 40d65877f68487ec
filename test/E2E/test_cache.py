"""--cache-dir: a second conversion is links to the first, and never to that of another model or of other options."""

from __future__ import annotations

import filecmp
import json
import os
import pathlib
import shutil
import signal
import subprocess
import time

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import ane_mlir

DIGITS = pathlib.Path(__file__).parent / "digits" / "digits.onnx"


def convert(model: pathlib.Path, output: pathlib.Path, *flags: str, cache: pathlib.Path | None = None) -> subprocess.CompletedProcess:
    command = [ane_mlir.find_tool("onnx-to-ane"), model, "-o", output, *flags]
    if cache is not None:
        command.append(f"--cache-dir={cache}")
    return subprocess.run(command, capture_output=True, text=True)


def files(folder: pathlib.Path) -> dict[str, pathlib.Path]:
    return {str(path.relative_to(folder)): path for path in sorted(folder.rglob("*")) if path.is_file()}


def assert_same(one: pathlib.Path, two: pathlib.Path) -> None:
    a, b = files(one), files(two)
    assert a.keys() == b.keys() and all(filecmp.cmp(a[name], b[name], shallow=False) for name in a)


def entries(cache: pathlib.Path) -> list[pathlib.Path]:
    return sorted(path.parent for path in cache.rglob("entry.json"))


def linear(path: pathlib.Path, seed: int, width: int = 64) -> np.ndarray:
    """A product whose weight lies in a file beside the model, and the weight."""
    weight = np.random.default_rng(seed).standard_normal((width, width)).astype(np.float32)
    value = helper.make_tensor_value_info
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"])], "g", [value("x", TensorProto.FLOAT, [1, width])], [value("y", TensorProto.FLOAT, [1, width])], [numpy_helper.from_array(weight, "w")])
    path.parent.mkdir(exist_ok=True)
    (path.parent / "weights.bin").unlink(missing_ok=True)  # onnx writes behind what is there
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    return weight


def agrees(bundle: pathlib.Path, weight: np.ndarray) -> bool:
    x = np.linspace(-1, 1, weight.shape[0], dtype=np.float32)[None]
    (y,) = ane_mlir.Bundle(bundle).run({"x": x}).values()
    return np.allclose(y, x @ weight, atol=0.05)


@pytest.mark.parametrize("form", ["anepkg", "mlpackage"])
def test_second_is_links(tmp_path, form):
    cache, flags = tmp_path / "cache", ("--dim=batch=1", "--target=m1", "--remarks")
    plain = convert(DIGITS, tmp_path / f"plain.{form}", *flags, f"--report={tmp_path / 'plain.json'}")
    first = convert(DIGITS, tmp_path / f"first.{form}", *flags, f"--report={tmp_path / 'first.json'}", cache=cache)
    assert plain.returncode == first.returncode == 0 and first.stdout == plain.stdout and first.stderr == plain.stderr
    assert len(entries(cache)) == 1
    second = convert(DIGITS, tmp_path / f"second.{form}", *flags, f"--report={tmp_path / 'second.json'}", cache=cache)
    assert second.returncode == 0 and second.stdout == plain.stdout + f"from {cache}\n" and second.stderr == plain.stderr
    assert_same(tmp_path / f"plain.{form}", tmp_path / f"second.{form}")
    assert_same(tmp_path / f"plain.{form}", tmp_path / f"first.{form}")
    timeless = [json.loads((tmp_path / f"{name}.json").read_text()) for name in ("plain", "second")]
    assert timeless[0] == timeless[1]
    # Weights are shared; what people edit is not.
    kept = files(entries(cache)[0] / "artifact")
    shared = {name: path.stat().st_ino == kept[name].stat().st_ino for name, path in files(tmp_path / f"second.{form}").items()}
    assert any(shared.values()) and all(one == name.endswith(".bin") for name, one in shared.items())
    assert (tmp_path / f"second.{form}").stat().st_mode == (tmp_path / f"plain.{form}").stat().st_mode
    # Quiet or not, the files are the same.
    quiet = convert(DIGITS, tmp_path / f"quiet.{form}", *flags, f"--report={tmp_path / 'quiet.json'}", "--quiet", cache=cache)
    assert quiet.returncode == 0 and quiet.stdout == "" and len(entries(cache)) == 1


def test_other_options(tmp_path):
    cache = tmp_path / "cache"
    labels = tmp_path / "labels.txt"
    for n, flags in enumerate([(), ("--target=m1",), ("--target=m2",), ("--weights=int8",), ("--precision=fp32",), ("--report", str(tmp_path / "r.json"))]):
        assert convert(DIGITS, tmp_path / "o.anepkg", "--dim=batch=1", *flags, cache=cache).returncode == 0
        assert len(entries(cache)) == n + 1, flags
    # What a file that an option names holds is part of the options.
    for n, word in enumerate("ab"):
        labels.write_text("\n".join(f"{word}{i}" for i in range(10)))
        made = convert(DIGITS, tmp_path / "o.mlpackage", "--dim=batch=1", f"--class-labels={labels}", cache=cache)
        assert made.returncode == 0 and len(entries(cache)) == 7 + n, made.stderr
        package = b"".join(path.read_bytes() for path in files(tmp_path / "o.mlpackage").values())
        assert f"{word}7".encode() in package and f"{'ba'[n]}7".encode() not in package
    # Results on standard output are made each time, and so is what no cache holds.
    before = len(entries(cache))
    for flags in (("--report=-",), ("--mlir-timing",)):
        made = convert(DIGITS, tmp_path / "o.anepkg", "--dim=batch=1", *flags, cache=cache)
        assert made.returncode == 0 and len(entries(cache)) == before and "--cache-dir has no effect" in made.stderr, made.stderr
    for flags in (("--compile-to=ane", "-o", "-"), ("-o", str(tmp_path / "o.mil"))):
        made = subprocess.run([ane_mlir.find_tool("onnx-to-ane"), DIGITS, "--dim=batch=1", f"--cache-dir={cache}", *flags], capture_output=True, text=True)
        assert made.returncode == 2 and "--cache-dir keeps bundles and packages" in made.stderr


def test_spellings(tmp_path):
    """What differs only in words that look like a path, or lies in a response file, is told apart; other orders and places are not."""
    cache, model = tmp_path / "cache", tmp_path / "6"
    shutil.copy(DIGITS, model)

    def run(*flags: str) -> bool:
        made = subprocess.run([ane_mlir.find_tool("onnx-to-ane"), *flags, "-o", tmp_path / "o.mlpackage", f"--cache-dir={cache}"], capture_output=True, text=True, cwd=tmp_path)
        assert made.returncode == 0, made.stderr
        return made.stdout.endswith(f"from {cache}\n")

    assert not run("6", "--dim", "batch=1", "--author=6") and not run("6", "--dim", "batch=16", "--author=6") and not run("6", "--dim", "batch=1", "--author=")
    assert not run("6", "--dim", "batch=1", "--description", "--report=foo") and not run("6", "--dim", "batch=1", "--description", "--report=bar")
    assert run("--dim=batch=1", "--author=6", str(model)) and run("--dim", "batch=1", "--author", "6", "./6")
    # A word is a word, whatever lies beside.
    for place in ("ane", "host"):
        (tmp_path / place).mkdir()
        shutil.rmtree(tmp_path / "b.anepkg", ignore_errors=True)
        made = subprocess.run([ane_mlir.find_tool("onnx-to-ane"), "6", "--dim=batch=1", f"--placement={place}", "-o", "b.anepkg", f"--cache-dir={cache}"], capture_output=True, text=True, cwd=tmp_path)
        assert made.returncode == 0 and {program["kind"] for program in ane_mlir.Bundle(tmp_path / "b.anepkg").manifest["programs"]} == {place}
    for target in ("m1", "m4"):
        (tmp_path / "options").write_text(f"--target={target}")
        assert not run("6", "--dim=batch=1", "@options")
    assert run("6", "--dim=batch=1", "--target=m1")


def test_another_compiler(tmp_path):
    cache = tmp_path / "cache"
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        shutil.copy(ane_mlir.find_tool("onnx-to-ane"), tmp_path / name / "onnx-to-ane")
    with (tmp_path / "two" / "onnx-to-ane").open("ab") as file:
        file.write(b"changed")
    for name in ("one", "two", "one", "two"):
        made = subprocess.run(["onnx-to-ane", DIGITS, "--dim=batch=1", "-o", tmp_path / "o.anepkg", f"--cache-dir={cache}"], capture_output=True, text=True, cwd=tmp_path, env={**os.environ, "PATH": f"{tmp_path / name}:{os.environ['PATH']}"})
        assert made.returncode == 0, made.stderr
    assert len(entries(cache)) == 2


def test_weights_beside_the_model(tmp_path):
    """The same graph with another weight file, in place or in another folder, is another model."""
    cache = tmp_path / "cache"
    one = linear(tmp_path / "one" / "m.onnx", 1)
    assert convert(tmp_path / "one" / "m.onnx", tmp_path / "a.anepkg", cache=cache).returncode == 0
    two = linear(tmp_path / "two" / "m.onnx", 2)
    assert (tmp_path / "one" / "m.onnx").read_bytes() == (tmp_path / "two" / "m.onnx").read_bytes()
    made = convert(tmp_path / "two" / "m.onnx", tmp_path / "b.anepkg", cache=cache)
    assert made.returncode == 0 and "from " not in made.stdout
    assert agrees(tmp_path / "a.anepkg", one) and agrees(tmp_path / "b.anepkg", two)
    shutil.copy(tmp_path / "one" / "weights.bin", tmp_path / "two" / "weights.bin")
    made = convert(tmp_path / "two" / "m.onnx", tmp_path / "b.anepkg", cache=cache)
    assert made.returncode == 0 and made.stdout.endswith(f"from {cache}\n") and agrees(tmp_path / "b.anepkg", one)
    # The whole model moved: the same.
    shutil.copytree(tmp_path / "two", tmp_path / "three")
    made = convert(tmp_path / "three" / "m.onnx", tmp_path / "c.anepkg", cache=cache)
    assert made.returncode == 0 and made.stdout.endswith(f"from {cache}\n") and agrees(tmp_path / "c.anepkg", one)


def test_weights_beside_a_text_and_of_several_lengths(tmp_path):
    """Weights that a MIL text names, and those of a model that is converted for several lengths."""
    cache = tmp_path / "cache"
    for seed in (1, 2):
        weight = linear(tmp_path / "m" / "m.onnx", seed)
        shutil.rmtree(tmp_path / "m" / "weights", ignore_errors=True)
        assert convert(tmp_path / "m" / "m.onnx", tmp_path / "m" / "m.mil").returncode == 0
        (file,) = (tmp_path / "m" / "weights").iterdir()
        text = (tmp_path / "m" / "m.mil").read_text()
        os.replace(file, tmp_path / "m" / "weights" / "same.bin")
        (tmp_path / "m" / "m.mil").write_text(text.replace(file.name, "same.bin"))
        for again in range(2):
            made = convert(tmp_path / "m" / "m.mil", tmp_path / "t.anepkg", cache=cache)
            assert made.returncode == 0 and made.stdout.endswith(f"from {cache}\n") == bool(again), made.stderr
            x = np.linspace(-1, 1, 64, dtype=np.float32)[None]
            bundle = ane_mlir.Bundle(tmp_path / "t.anepkg")
            (y,) = bundle.run({bundle.inputs[0]: x}).values()
            assert np.allclose(y, x @ weight, atol=0.05)
    model = onnx.load(tmp_path / "m" / "m.onnx", load_external_data=False)
    for port in (*model.graph.input, *model.graph.output):
        port.type.tensor_type.shape.dim[0].dim_param = "s"
    onnx.save(model, tmp_path / "m" / "s.onnx")
    for seed in (3, 4):
        weight = linear(tmp_path / "m" / "m.onnx", seed)
        made = convert(tmp_path / "m" / "s.onnx", tmp_path / "s.anepkg", "--dim=s=1,4", cache=cache)
        assert made.returncode == 0 and "from " not in made.stdout and agrees(tmp_path / "s.anepkg", weight), made.stderr


def test_what_was_changed_is_not_used(tmp_path):
    cache = tmp_path / "cache"
    weight = linear(tmp_path / "one" / "m.onnx", 1)
    model = tmp_path / "one" / "m.onnx"
    assert convert(model, tmp_path / "a.anepkg", cache=cache).returncode == 0
    (kept,) = (path for name, path in files(tmp_path / "a.anepkg").items() if name.endswith(".bin"))
    with open(kept, "r+b") as file:  # in place, as an editor of bytes does
        file.seek(-64, os.SEEK_END)
        file.write(bytes(64))
    made = convert(model, tmp_path / "b.anepkg", cache=cache)
    assert made.returncode == 0 and "from " not in made.stdout and agrees(tmp_path / "b.anepkg", weight)
    made = convert(model, tmp_path / "c.anepkg", cache=cache)
    assert made.stdout.endswith(f"from {cache}\n") and agrees(tmp_path / "c.anepkg", weight)
    # An entry that says what it must not, half an entry, an entry of nonsense, none.
    (entry,) = entries(cache)
    (tmp_path / "secret").write_text("mine")
    index = json.loads((entry / "entry.json").read_text())
    stamp = os.stat(tmp_path / "secret")
    index["files"][os.path.join("artifact", os.path.relpath(tmp_path / "secret", entry / "artifact"))] = f"{stamp.st_size} {stamp.st_mtime_ns}"
    (entry / "entry.json").write_text(json.dumps(index))
    made = convert(model, tmp_path / "c.anepkg", cache=cache)
    assert made.returncode == 0 and "from " not in made.stdout and agrees(tmp_path / "c.anepkg", weight), made.stderr
    for damage in (lambda e: (e / "entry.json").write_text("{"), lambda e: (e / "entry.json").write_text('{"files": {}}'), lambda e: shutil.rmtree(e / "artifact"), lambda e: shutil.rmtree(e)):
        damage(entries(cache)[0])
        made = convert(model, tmp_path / "d.anepkg", cache=cache)
        assert made.returncode == 0 and "from " not in made.stdout and agrees(tmp_path / "d.anepkg", weight), made.stderr


def test_two_writers_and_kills(tmp_path):
    """Whoever writes at the same time, and whenever one is killed: whole entries, and nothing else in the end."""
    cache, model = tmp_path / "cache", tmp_path / "one" / "m.onnx"
    weight = linear(model, 1, 512)
    tool = ane_mlir.find_tool("onnx-to-ane")
    plain = time.monotonic()
    assert convert(model, tmp_path / "plain.anepkg").returncode == 0
    plain = time.monotonic() - plain
    runs = [subprocess.Popen([tool, model, "-o", tmp_path / f"w{i}.anepkg", f"--cache-dir={cache}", "--quiet"]) for i in range(6)]
    assert [run.wait() for run in runs] == [0] * 6
    assert all(agrees(tmp_path / f"w{i}.anepkg", weight) for i in range(6)) and len(entries(cache)) == 1
    shutil.rmtree(cache)
    for i in range(20):
        run = subprocess.Popen([tool, model, "-o", tmp_path / "k.anepkg", f"--cache-dir={cache}", "--quiet"])
        time.sleep(plain * (0.5 + i / 20))
        run.send_signal(signal.SIGKILL)
        run.wait()
        made = convert(model, tmp_path / "k.anepkg", "--quiet", cache=cache)
        assert made.returncode == 0 and agrees(tmp_path / "k.anepkg", weight), made.stderr
        (entry,) = entries(cache)
        assert list(entry.parent.iterdir()) == [entry] and list(cache.iterdir()) == [entry.parent.parent]
        if i % 4 == 3:
            shutil.rmtree(cache)


def test_what_changes_meanwhile_is_not_kept(tmp_path):
    """A weight file, or the model, that is replaced while it is converted; two conversions to one place."""
    tool, cache = ane_mlir.find_tool("onnx-to-ane"), tmp_path / "cache"
    old, new = linear(tmp_path / "old" / "m.onnx", 1, 1024), linear(tmp_path / "new" / "m.onnx", 2, 1024)
    for i in range(12):
        model = tmp_path / "m" / "m.onnx"
        shutil.rmtree(model.parent, ignore_errors=True)
        shutil.copytree(tmp_path / "old", model.parent)
        shutil.copy(tmp_path / "new" / "weights.bin", tmp_path / "m" / ".next")
        run = subprocess.Popen([tool, model, "-o", tmp_path / "o.anepkg", f"--cache-dir={cache}", "--quiet"], stderr=subprocess.PIPE)
        time.sleep(0.01 * i)
        os.replace(tmp_path / "m" / ".next", tmp_path / "m" / "weights.bin")
        run.communicate()
        assert convert(model, tmp_path / "p.anepkg", "--quiet", cache=cache).returncode == 0 and agrees(tmp_path / "p.anepkg", new), i
        shutil.copytree(tmp_path / "old", model.parent, dirs_exist_ok=True)
        assert convert(model, tmp_path / "p.anepkg", "--quiet", cache=cache).returncode == 0 and agrees(tmp_path / "p.anepkg", old), i
    for i in range(8):
        shutil.rmtree(cache)
        both = [subprocess.Popen([tool, tmp_path / "old" / "m.onnx", "-o", tmp_path / "o.anepkg", f"--cache-dir={cache}", "--quiet", f"--target={target}"]) for target in ("m1", "m4")]
        assert all(run.wait() == 0 for run in both)
        for target in ("m1", "m4"):
            assert convert(tmp_path / "old" / "m.onnx", tmp_path / f"{target}.anepkg", f"--target={target}", cache=cache).returncode == 0
            assert ane_mlir.Bundle(tmp_path / f"{target}.anepkg").manifest["target"] == {"m1": "h13", "m4": "h16"}[target]


def test_links(tmp_path):
    """Weights that are found through links, a report that is one, links inside of a package."""
    cache = tmp_path / "cache"
    (tmp_path / "real" / "sub").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "real" / "sub")
    for seed in (1, 2):
        weight = linear(tmp_path / "real" / "m.onnx", seed)
        assert convert(pathlib.Path(f"{tmp_path}/link/../m.onnx"), tmp_path / "a.anepkg", cache=cache).returncode == 0
        assert agrees(tmp_path / "a.anepkg", weight)
    (tmp_path / "real.json").write_text("{}")
    (tmp_path / "r.json").symlink_to(tmp_path / "real.json")
    for name in ("r", "r2"):
        assert convert(DIGITS, tmp_path / "b.anepkg", "--dim=batch=1", f"--report={tmp_path / name}.json", cache=cache).returncode == 0
    assert not (tmp_path / "r2.json").is_symlink() and (tmp_path / "r2.json").read_text() == (tmp_path / "real.json").read_text()
    assert convert(DIGITS, tmp_path / "p.mlpackage", "--dim=batch=1").returncode == 0
    (tmp_path / "p.mlpackage" / "loop").symlink_to(tmp_path / "p.mlpackage")
    os.mkfifo(tmp_path / "p.mlpackage" / "pipe")
    assert subprocess.run([ane_mlir.find_tool("onnx-to-ane"), tmp_path / "p.mlpackage", "-o", tmp_path / "c.anepkg", f"--cache-dir={cache}"], timeout=60).returncode == 0


def test_misuse(tmp_path):
    (tmp_path / "file").write_text("")
    made = convert(DIGITS, tmp_path / "o.anepkg", "--dim=batch=1", cache=tmp_path / "file")
    assert made.returncode == 1 and "cannot be a cache" in made.stderr and not (tmp_path / "o.anepkg").exists()
    for output, where in (("o.anepkg", "o.anepkg/cache"), ("c/o.anepkg", "c")):
        made = convert(DIGITS, tmp_path / output, "--dim=batch=1", cache=tmp_path / where)
        assert made.returncode == 1 and "is inside of it" in made.stderr and not (tmp_path / output).exists()
    made = convert(DIGITS.with_name("nope.onnx"), tmp_path / "o.anepkg", cache=tmp_path / "never")
    assert made.returncode == 1 and "is not found" in made.stderr and not (tmp_path / "never").exists()
    assert convert(DIGITS, tmp_path / "o.anepkg", "--dim=batch=1", "--cache-dir=").returncode == 2
    # What is in the way of the output is not replaced from a cache either.
    assert convert(DIGITS, tmp_path / "o.anepkg", "--dim=batch=1", cache=tmp_path / "cache").returncode == 0
    (tmp_path / "mine.anepkg").mkdir()
    (tmp_path / "mine.anepkg" / "diary.txt").write_text("dear diary")
    made = convert(DIGITS, tmp_path / "mine.anepkg", "--dim=batch=1", cache=tmp_path / "cache")
    assert made.returncode == 1 and "diary.txt" in made.stderr and (tmp_path / "mine.anepkg" / "diary.txt").exists()


def test_python(tmp_path):
    cache = tmp_path / "cache"
    rows = {"image": np.zeros((1, 1, 8, 8), np.float32)}
    first, second, other = (
        ane_mlir.compile(DIGITS, dims={"batch": batch}, output=tmp_path / f"{name}.anepkg", calibration=rows if batch == 1 else "auto", options=[f"--cache-dir={cache}"])
        for name, batch in (("a", 1), ("b", 1), ("c", 2))
    )
    assert_same(tmp_path / "a.anepkg", tmp_path / "b.anepkg")
    assert len(entries(cache)) == 2
    assert first.report.ops == second.report.ops != other.report.ops
    assert first.diagnostics == second.diagnostics
