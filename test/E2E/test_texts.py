"""What users read: ten messages as they are, colours and progress on a terminal, completion, manual pages, JSON of the tools."""

from __future__ import annotations

import json
import os
import fcntl
import pty
import re
import select
import shutil
import signal
import struct
import subprocess
import termios
import time

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import ane_mlir

FLOAT = TensorProto.FLOAT
TOOLS = ("onnx-to-ane", "ane-check", "ane-run", "ane-info", "ane-diff", "mil-verify")


def save(path, nodes, inputs, outputs, initializers=(), extra=()):
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info(n, t, s) for n, t, s in inputs], [helper.make_tensor_value_info(n, t, None) for n, t in outputs], list(initializers))
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17), *extra], ir_version=8), path)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("texts")
    save(folder / "foo.onnx", [helper.make_node("Foo", ["x"], ["y"], name="/odd", domain="my.ops")], [("x", FLOAT, [2])], [("y", FLOAT)], extra=[helper.make_opsetid("my.ops", 1)])
    save(folder / "open.onnx", [helper.make_node("Relu", ["x"], ["y"], name="/relu")], [("x", FLOAT, ["batch", 3])], [("y", FLOAT)])
    save(folder / "product.onnx", [helper.make_node("MatMul", ["x", "w"], ["y"], name="/fc")], [("x", FLOAT, [4, 7])], [("y", FLOAT)], [numpy_helper.from_array(np.zeros((8, 5), np.float32), "w")])
    save(folder / "sum.onnx", [helper.make_node("CumSum", ["x", "a"], ["y"], name="/cum")], [("x", FLOAT, [1, 8])], [("y", FLOAT)], [numpy_helper.from_array(np.int64(1), "a")])
    save(folder / "large.onnx", [helper.make_node("Mul", ["x", "k"], ["y"], name="/scale")], [("x", FLOAT, [1, 8])], [("y", FLOAT)], [numpy_helper.from_array(np.float32(3e6), "k")])
    save(folder / "huge.onnx", [helper.make_node("ConstantOfShape", ["s"], ["c"], name="/huge"), helper.make_node("ReduceSum", ["c"], ["r"], keepdims=0), helper.make_node("Add", ["x", "r"], ["y"])], [("x", FLOAT, [1])], [("y", FLOAT)], [numpy_helper.from_array(np.array([1 << 20, 1 << 16]), "s")])
    save(folder / "words.onnx", [helper.make_node("Identity", ["x"], ["y"], name="/id")], [("x", TensorProto.STRING, [2])], [("y", TensorProto.STRING)])
    (folder / "cut.onnx").write_bytes((folder / "open.onnx").read_bytes()[:60])
    (folder / "old.mlpackage").mkdir()
    (folder / "old.mlpackage" / "Manifest.json").write_text("{}")
    return folder


def say(folder, *arguments, tool="onnx-to-ane", **options) -> tuple[int, str]:
    done = subprocess.run([ane_mlir.find_tool(tool), *map(str, arguments)], capture_output=True, text=True, cwd=folder, **options)
    return done.returncode, done.stdout + done.stderr


PINNED = {
    "unsupported op": (["foo.onnx"], 1, 'foo.onnx: error: 1 unsupported ONNX op: my.ops.Foo@1 (1 node, first "/odd")\n'),
    "unbound dimension": (["open.onnx"], 1, "open.onnx: error: input 'x' has the symbolic dimension 'batch' (axis 0); add --dim batch=N\n"),
    "wrong dimension": (["open.onnx", "--dim=btach=1"], 1, "open.onnx: error: --dim names 'btach', which is no dimension of an input; did you mean 'batch'?\n"),
    "shape mismatch": (["product.onnx"], 1, "product.onnx: error: '/fc': 'ane.matmul' op expects inner dimensions to agree, but got 7 and 8 of 'float[4,7]' and 'float[8,5]'\n"),
    "host reason": (["sum.onnx", "--require-ane"], 1, "sum.onnx: error: '/cum': 'ane.cumsum' op is not legal on h16: cumsum does not compile (L05); what to do: "),
    "fp16": (["open.onnx", "--dim=batch=1", "--max-error=1e-9"], 1, "onnx-to-ane: error: output 'y' has cosine "),
    "kept in fp32": (["large.onnx", "--placement=ane"], 1, "large.onnx: error: '/scale': 'ane.mul' op is not legal on h16: computed in fp32: fp16 cannot hold its constants (L07); what to do: "),
    "budget": (["huge.onnx"], 1, "huge.onnx: error: '/huge': 'ane.constant' op needs a value of shape [1048576, 65536], which takes 274877906944 bytes, and all that is computed while converting may take "),
    "damaged file": (["cut.onnx"], 1, "cut.onnx: error: is truncated or no ONNX protobuf (end of buffer exception)\n"),
    "unknown rule": (["open.onnx", "--dim=batch=1", "--rule=L9=on"], 2, "onnx-to-ane: no rule is named 'L9'; did you mean L09?; see --help\n"),
    "refused package": (["old.mlpackage"], 1, "old.mlpackage: error: Manifest.json names no root model\n"),
    "missing file": (["nothing.onnx"], 1, "nothing.onnx: error: 'nothing.onnx' is not found\n"),
    "strings": (["words.onnx"], 1, "words.onnx: error: input 'x' holds strings, which no model takes; cut the model behind what turns them into numbers\n"),
    "a word": (["open.onnx", "--check=ful"], 2, "onnx-to-ane: expects --check to be fast, full or off, but got 'ful'; did you mean 'full'?; see --help\n"),
    "a pass": (["open.onnx", "--dim=batch=1", "--disable-pass=ane-simplfy"], 2, "onnx-to-ane: no optional pass is named 'ane-simplfy'; did you mean 'ane-simplify'?; see --help\n"),
}


@pytest.mark.parametrize("case", PINNED)
def test_pinned(models, case):
    arguments, status, text = PINNED[case]
    code, said = say(models, *arguments, "-o", "o.anepkg", "--quiet")
    lines = said.splitlines(keepends=True)
    found = next((line for line in lines if line.startswith(text[:20])), "")
    assert code == status and found.startswith(text), said
    assert lines.count(found) == 1  # told once, however often it was tried
    assert not re.search(r"tensor<|loc\(", said), said


def test_choices_name_their_tool(models):
    code, said = say(models, "--format=other", "open.onnx", tool="ane-check")
    assert code == 2 and said == "ane-check: error: expects --format to be text, json, sarif, junit or markdown, but got 'other'; see --help\n"


def on_terminal(command: list[str], folder, columns: int = 0, **environment: str) -> tuple[int, str]:
    """What a command writes to a terminal (of a width that is not known)."""
    master, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = subprocess.Popen(command, cwd=folder, stdin=terminal, stdout=terminal, stderr=terminal, env={**os.environ, "TERM": "xterm", **environment})
    text = b""
    # The terminal is held open until all is read: what is in it when its last
    # user closes it may be lost.
    while True:
        ended = process.poll() is not None
        while select.select([master], [], [], 0.05)[0]:
            text += os.read(master, 4096)
        if ended:
            break
    os.close(terminal)
    os.close(master)
    return process.returncode, text.decode()


def test_colours(models):
    command = [ane_mlir.find_tool("onnx-to-ane"), "open.onnx", "-o", "o.anepkg"]
    code, text = on_terminal(command, models)
    assert re.search("converting\r+\033\\[Kopen.onnx: ", text), repr(text)
    assert code == 1 and re.search("\033\\[[0-9;]*31m(\033\\[[0-9;]*m)*error", text), repr(text)
    _, text = on_terminal(command, models, NO_COLOR="1")
    assert "\033[" not in text.replace("\033[K", "") and "error: input 'x'" in text, repr(text)
    _, text = on_terminal(command, models, NO_COLOR="")
    assert "31m" in text, repr(text)
    assert "\033" not in say(models, *command[1:])[1]


@pytest.mark.parametrize(("arguments", "first"), [(["--compile-to=placed"], "module"), (["--report=-", "-o", "o.anepkg"], "{"), (["--trace=-", "-o", "o.anepkg"], "{")])
def test_standard_output_on_a_terminal(models, arguments, first):
    """What is written there does not run into a line of progress, which is no longer than the terminal is wide."""
    code, text = on_terminal([ane_mlir.find_tool("onnx-to-ane"), "open.onnx", "--dim=batch=1", *arguments], models)
    assert code == 0, text
    assert text[: text.index(first)].endswith("\r\033[K"), repr(text)


def test_narrow_terminal(models):
    """A line of progress that were longer than the terminal is wide could not be rewritten in place."""
    code, text = on_terminal([ane_mlir.find_tool("onnx-to-ane"), "open.onnx", "--dim=batch=1", "-o", "o.anepkg"], models, columns=20, NO_COLOR="1")
    lines = re.findall(r"\r\033\[K([^\r\n]*)", text)
    assert code == 0 and len(lines) > 3 and max(map(len, lines)) == 19, lines


def test_progress(models):
    code, text = on_terminal([ane_mlir.find_tool("onnx-to-ane"), "open.onnx", "--dim=batch=1", "-o", "o.anepkg"], models, NO_COLOR="1")
    assert code == 0 and re.search(r"optimising 1/\d+ ", text) and "writing" in text, repr(text)
    done, total = map(int, re.findall(r"optimising (\d+)/(\d+) ", text)[-1])
    assert 1 < done <= total
    _, text = on_terminal([ane_mlir.find_tool("onnx-to-ane"), "open.onnx", "--dim=batch=1", "-o", "o.anepkg", "--quiet"], models)
    assert text == ""


@pytest.mark.parametrize("tool", TOOLS)
def test_tables(models, tool):
    help_text = say(models, "--help", tool=tool)[1]
    options = set(re.findall(r"^  --?([a-z][\w-]*)", help_text, re.MULTILINE)) - {"help", "help-list", "version"}
    assert options
    for shell in ("bash", "zsh", "fish"):
        code, script = say(models, f"--completion={shell}", tool=tool)
        assert code == 0
        for option in options:
            assert re.search(rf"(--?|-[sl] ){re.escape(option)}\b", script), (shell, option)
        if shutil.which(shell):
            checked = subprocess.run([shell, "--no-execute" if shell == "fish" else "-n"], input=script, capture_output=True, text=True)
            assert checked.returncode == 0, checked.stderr
    assert say(models, "--completion=powershell", tool=tool) == (2, f"{tool}: expects --completion to be bash, zsh or fish, but got 'powershell'\n")
    code, page = say(models, "--man", tool=tool)
    assert code == 0 and page.startswith(f".TH {tool.upper()} 1") and all(option.replace("-", "\\-") in page for option in options)
    if shutil.which("man"):
        shown = subprocess.run(["man", "-l", "-"], input=page, capture_output=True, text=True, env={**os.environ, "MANPAGER": "cat", "LC_ALL": "C.UTF-8"})
        assert shown.returncode == 0 and "SYNOPSIS" in shown.stdout and not shown.stderr, shown.stderr


def complete(script: str, line: list[str]) -> list[str]:
    program = script + f"\nCOMP_WORDS=({' '.join(line)}); COMP_CWORD={len(line) - 1}; _onnx_to_ane; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    return subprocess.run(["bash", "-c", program], capture_output=True, text=True).stdout.split()


def test_bash_completes(models):
    script = say(models, "--completion=bash")[1]
    assert complete(script, ["onnx-to-ane", "--prec"]) == ["--precision="]
    assert complete(script, ["onnx-to-ane", "--precision", "=", "f"]) == ["fp16", "fp32"]
    assert complete(script, ["onnx-to-ane", "--check", "="]) == ["fast", "full", "off"]
    assert "--target=" in complete(script, ["onnx-to-ane", "-"])


def test_json(models, tmp_path):
    ane_mlir.compile(models / "open.onnx", dims={"batch": 1}, output=tmp_path / "a.mlpackage")
    ane_mlir.compile(models / "open.onnx", dims={"batch": 1}, output=tmp_path / "a.anepkg")
    (tmp_path / "labels.txt").write_text("cat\ndog\nowl\n")
    save(tmp_path / "class.onnx", [helper.make_node("Softmax", ["x"], ["y"], name="/soft")], [("x", FLOAT, [1, 3])], [("y", FLOAT)])
    assert say(tmp_path, "class.onnx", "-o", "c.mlpackage", "--class-labels=labels.txt", "--author=Me", "--quiet")[0] == 0
    info = json.loads(say(tmp_path, "c.mlpackage", "--json", tool="ane-info")[1])
    (function,) = info["functions"]
    assert info["version"] == 1 and info["kind"] == "package" and info["metadata"]["author"] == "Me" and "iOS 15" in info["deployment"]
    assert function["labels"] == ["cat", "dog", "owl"] and function["predicted_feature"] == "classLabel"
    assert [port["kind"] for port in function["outputs"]] == ["string", "dictionary"]
    text = say(tmp_path, "c.mlpackage", tool="ane-info")[1]
    assert "classes 3: cat, dog, owl" in text and "input   x: fp32 [1, 3]" in text
    info = json.loads(say(tmp_path, "a.anepkg", "--json", tool="ane-info")[1])
    assert info["kind"] == "bundle" and info["target"] == "h16" and info["programs"][0]["kind"] in ("ane", "host") and info["operations"]["relu"] == 1
    assert info["bytes"] == sum(p.stat().st_size for p in (tmp_path / "a.anepkg").rglob("*") if p.is_file())
    assert info == ane_mlir.info(tmp_path / "a.anepkg") | {"artifact": "a.anepkg"}
    assert say(tmp_path, "nothing.mil", tool="ane-info") == (1, "nothing.mil: error: is not found\n")
    assert "ane-check tells about it" in say(models, "open.onnx", tool="ane-info")[1]

    assert json.loads(say(tmp_path, "a.mlpackage", "--json", tool="mil-verify")[1])["findings"] == []
    (tmp_path / "bad.mil").write_text("program(1.3)\n{\n    func main<ios18>(tensor<fp16, [2]> x) {\n        tensor<fp16, [2]> y = relux(x = x)[name = string(\"y\")];\n    } -> (y);\n}\n")
    code, text = say(tmp_path, "bad.mil", "--json", tool="mil-verify")
    findings = json.loads(text)["findings"]
    assert code == 1 and findings and {"rule", "place", "message"} <= findings[0].keys()


def test_graph_diff(tmp_path):
    weight = np.random.default_rng(0).standard_normal((4, 3, 3, 3)).astype(np.float32)
    for name, last, factor in (("a", "Relu", 1), ("b", "Sigmoid", 2)):
        nodes = [helper.make_node("Conv", ["x", "w"], ["c"], name="/conv"), helper.make_node(last, ["c"], ["r"], name="/act")]
        nodes += [helper.make_node("Tanh", ["r"], ["y"], name="/new")] if name == "b" else [helper.make_node("Abs", ["r"], ["y"], name="/old")]
        save(tmp_path / f"{name}.onnx", nodes, [("x", FLOAT, [1, 3, 8, 8])], [("y", FLOAT)], [numpy_helper.from_array(weight * factor, "w")])
        ane_mlir.compile(tmp_path / f"{name}.onnx", output=tmp_path / f"{name}.mil")
    code, text = say(tmp_path, "a.mil", "b.mil", "--json", tool="ane-diff")
    found = json.loads(text)
    graph = found["graph"]
    assert code == 1 and not found["same"]
    changed = {op["name"]: op for op in graph["changed"]}
    assert changed["_conv"]["what"] == ["weights"] and changed["_act"]["a"] == "relu" and changed["_act"]["b"] == "sigmoid" and "kind" in changed["_act"]["what"]
    assert found["weights"]["only_a"]["count"] == 1 == found["weights"]["only_b"]["count"]
    assert found == ane_mlir.diff(tmp_path / "a.mil", tmp_path / "b.mil") | {"a": "a.mil", "b": "b.mil"}
    code, text = say(tmp_path, "a.mil", "b.mil", tool="ane-diff")
    assert "~ _act: relu is sigmoid" in text and "~ _conv: conv (weights)" in text
    same = json.loads(say(tmp_path, "a.mil", "a.mil", "--json", tool="ane-diff")[1])
    assert same["same"] and same["graph"] == {"added": [], "removed": [], "changed": []}


def test_an_interrupted_check_leaves_nothing(tmp_path):
    """With --min-cosine it compiles into a temporary folder."""
    width, nodes, weights, value = 512, [], [], "x"
    for i in range(16):
        weights.append(numpy_helper.from_array(np.random.default_rng(i).standard_normal((width, width)).astype(np.float32) / 23, f"w{i}"))
        nodes += [helper.make_node("MatMul", [value, f"w{i}"], [f"m{i}"]), helper.make_node("Tanh", [f"m{i}"], [f"t{i}"])]
        value = f"t{i}"
    save(tmp_path / "m.onnx", nodes, [("x", FLOAT, [1, 512, width])], [(value, FLOAT)], weights)
    scratch = tmp_path / "tmp"
    scratch.mkdir()
    process = subprocess.Popen([ane_mlir.find_tool("ane-check"), tmp_path / "m.onnx", "--min-cosine=0.9"], env={**os.environ, "TMPDIR": str(scratch)}, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not any(scratch.iterdir()) and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.01)
    assert any(scratch.iterdir())
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == -signal.SIGTERM
    assert list(scratch.iterdir()) == []
