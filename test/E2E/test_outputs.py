"""What is at an output's path: links, devices, pipes, other people's files, leftovers; and weights that are not what their names say.

How each call of the file system may fail is test/Faults.
"""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import ane_mlir


def run(tool: str, *arguments, **options) -> subprocess.CompletedProcess[str]:
    return subprocess.run([ane_mlir.find_tool(tool), *map(str, arguments)], capture_output=True, text=True, timeout=120, **options)


def convert(model: Path, output, *arguments, **options) -> subprocess.CompletedProcess[str]:
    return run("onnx-to-ane", model, "-o", output, "--quiet", "--check=off", *arguments, **options)


def save(path: Path, scale: float = 1, channels: int = 3) -> Path:
    weight = (np.random.default_rng(0).standard_normal((4, channels, 3, 3)) * scale).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "w"], ["c"]), helper.make_node("Relu", ["c"], ["y"])], "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, channels, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)], [numpy_helper.from_array(weight, "w")])  # fmt: skip
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


@pytest.fixture
def model(tmp_path):
    (tmp_path / "in").mkdir()
    return save(tmp_path / "in" / "m.onnx")


@pytest.fixture
def out(tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


def names(folder: Path) -> set[str]:
    return {p.name for p in folder.iterdir()}


def result(artifact: Path) -> str:
    done = run("ane-run", artifact, "--random-inputs=0")
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_texts_in_one_folder_keep_their_weights(tmp_path, out):
    files = [save(tmp_path / f"{i}.onnx", scale) for i, scale in enumerate((1, 7))]
    assert convert(files[0], out / "a.mil").returncode == 0
    before = result(out / "a.mil")
    assert convert(files[1], out / "b.mil").returncode == 0
    assert result(out / "a.mil") == before != result(out / "b.mil")
    # The same weights are one file; a text that is replaced leaves the other's.
    assert convert(files[1], out / "a.mil").returncode == 0
    assert len(names(out / "weights")) == 2 and result(out / "a.mil") == result(out / "b.mil")
    # Another's file of a conventional name stays.
    (out / "weights" / "weight.bin").write_text("mine")
    assert convert(files[0], out / "c.mil").returncode == 0
    assert (out / "weights" / "weight.bin").read_text() == "mine" and result(out / "c.mil") == before


def test_text_beside_a_corrupt_weight_file(model, out):
    assert convert(model, out / "a.mil").returncode == 0
    (weights,) = (out / "weights").iterdir()
    weights.write_bytes(b"something else")
    text = (out / "a.mil").read_bytes()
    done = convert(model, out / "a.mil")
    assert done.returncode == 1 and f"'{weights}' is corrupt" in done.stderr
    assert weights.read_bytes() == b"something else" and (out / "a.mil").read_bytes() == text


@pytest.mark.parametrize("form", ["anepkg", "mlpackage"])
def test_only_ours_is_replaced(model, out, form):
    folder = out / f"m.{form}"
    folder.mkdir()  # an empty one may be
    assert convert(model, folder).returncode == 0 and convert(model, folder).returncode == 0
    inner = next(p for p in sorted(folder.rglob("*")) if p.is_dir())
    (inner / "notes.txt").write_text("mine")
    before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    done = convert(model, folder)
    assert done.returncode == 1 and f"holds '{(inner / 'notes.txt').relative_to(folder)}'" in done.stderr
    assert before == {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()} and names(out) == {folder.name}
    # That is told before the model is read.
    (out / "broken.onnx").write_text("no model")
    assert "notes.txt" in convert(out / "broken.onnx", folder).stderr
    (out / "broken.onnx").unlink()
    # Not even where a manifest of ours names nothing of it.
    other = out / f"other.{form}"
    other.mkdir()
    (other / "manifest.fb").write_bytes(b"")
    (other / "Manifest.json").write_text("{}")
    assert convert(model, other).returncode == 1 and names(other) == {"manifest.fb", "Manifest.json"}
    (out / f"file.{form}").write_text("mine")
    done = convert(model, out / f"file.{form}")
    assert done.returncode == 1 and "exists and is a file" in done.stderr and (out / f"file.{form}").read_text() == "mine"


def test_links_lead_to_what_is_replaced(model, out):
    (out / "real").mkdir()
    assert convert(model, out / "real" / "v1.anepkg").returncode == 0
    (out / "latest.anepkg").symlink_to("real/v1.anepkg")
    (out / "r.json").symlink_to("real/report.json")  # which is not there yet
    assert convert(save(model, 3), out / "latest.anepkg", f"--report={out}/r.json").returncode == 0
    assert (out / "latest.anepkg").is_symlink() and (out / "r.json").is_symlink()
    assert result(out / "latest.anepkg") == result(out / "real" / "v1.anepkg")
    assert names(out / "real") == {"v1.anepkg", "report.json"} and json.loads((out / "real" / "report.json").read_text())
    (out / "loop.json").symlink_to("loop.json")
    done = convert(model, out / "latest.anepkg", f"--report={out}/loop.json")
    assert done.returncode == 1 and "symbolic links" in done.stderr


def test_pipes_and_standard_output(model, out):
    fifo = out / "pipe"
    os.mkfifo(fifo)
    got = []
    reader = threading.Thread(target=lambda: got.append(fifo.read_text()), daemon=True)
    reader.start()
    assert convert(model, out / "m.anepkg", f"--report={fifo}").returncode == 0
    reader.join(20)
    assert json.loads(got[0])["summary"] and stat.S_ISFIFO(fifo.lstat().st_mode)
    # Through a name of this process's output, which no program can replace.
    for name in ("-", "/proc/self/fd/1"):
        done = convert(model, out / "m.anepkg", f"--report={name}")
        assert done.returncode == 0 and json.loads(done.stdout)["summary"]
    # A summary for people does not end up between.
    done = run("onnx-to-ane", model, "-o", out / "m.anepkg", "--report=-")
    assert done.returncode == 0 and json.loads(done.stdout) and "predicted" in done.stderr
    # `> file` is a file, but that one.
    with open(out / "log", "w") as log:
        log.write("before\n")
        log.flush()
        command = [ane_mlir.find_tool("onnx-to-ane"), str(model), "-o", str(out / "m.anepkg"), "--quiet", "--trace=/proc/self/fd/1"]
        assert subprocess.run(command, stdout=log).returncode == 0
    assert (out / "log").read_text().startswith("before\n") and json.loads((out / "log").read_text()[7:])
    done = run("onnx-to-ane", model, "--compile-to=ane", "-o", "-")
    assert done.returncode == 0 and "ane.conv" in done.stdout
    assert names(out) == {"pipe", "m.anepkg", "log"}


@pytest.mark.skipif(not hasattr(os, "mknod") or os.geteuid() != 0, reason="makes a device, as root can")
def test_devices_stay(model, out):
    device = out / "null.anepkg"
    try:
        os.mknod(device, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
        device.write_text("")
    except OSError:
        pytest.skip("no devices on this file system")
    assert convert(model, out / "m.anepkg", f"--report={device}", f"--trace={device}").returncode == 0
    done = convert(model, device)
    assert done.returncode == 1 and "device or pipe" in done.stderr
    assert run("ane-run", out / "m.anepkg", "--random-inputs=0", f"--output-dir={device}").returncode == 1
    assert stat.S_ISCHR(device.lstat().st_mode)


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="mounts an overlay, as root can")
@pytest.mark.parametrize("form", ["anepkg", "mlpackage", "mil"])
def test_what_an_image_holds_can_be_replaced(tmp_path, form):
    """A folder of a lower layer cannot be renamed (EXDEV), as in a container whose image holds an older bundle."""
    for name in ("layers", "place"):
        (tmp_path / name).mkdir()
    files = [save(tmp_path / f"{i}.onnx", scale) for i, scale in enumerate((1, 7))]
    tool = ane_mlir.find_tool("onnx-to-ane")
    script = f"""
        set -e
        mount -t tmpfs none {tmp_path}/layers || exit 77
        cd {tmp_path}/layers; mkdir lower upper work
        {tool} {files[0]} -o lower/m.{form} --quiet --check=off
        mount -t overlay overlay -o lowerdir=lower,upperdir=upper,workdir=work {tmp_path}/place || exit 77
        cd {tmp_path}/place
        {tool} {files[1]} -o m.{form} --quiet --check=off
        ls -A; {ane_mlir.find_tool("ane-run")} m.{form} --random-inputs=0
    """
    done = subprocess.run(["unshare", "-m", "bash", "-c", script], capture_output=True, text=True)
    if done.returncode == 77:
        pytest.skip("no overlays here")
    assert done.returncode == 0, done.stderr
    assert convert(files[1], tmp_path / f"m.{form}").returncode == 0
    assert done.stdout == "\n".join([f"m.{form}"] + (["weights"] if form == "mil" else [])) + "\n" + result(tmp_path / f"m.{form}")


def test_folders_have_the_mode_that_umask_leaves(model, out):
    for mask in (0o022, 0o077, 0o002):
        for form in ("anepkg", "mlpackage"):
            path = out / f"{mask}.{form}"
            assert convert(model, path, preexec_fn=lambda mask=mask: os.umask(mask)).returncode == 0
            for p in [path, *path.rglob("*")]:
                assert p.stat().st_mode & 0o777 == (0o777 if p.is_dir() else 0o666) & ~mask, p


def test_reports_come_with_their_bundle(model, out):
    assert convert(model, out / "m.anepkg", f"--report={out}/r.json").returncode == 0
    before = (out / "r.json").read_bytes()
    (out / "m.anepkg" / "mine").write_text("")
    # The report is written before the bundle is refused, or never.
    assert convert(save(model, 2), out / "m.anepkg", f"--report={out}/r.json", f"--trace={out}/t.json").returncode == 1
    assert (out / "r.json").read_bytes() == before and names(out) == {"m.anepkg", "r.json"}
    (out / "m.anepkg" / "mine").unlink()
    done = convert(model, out / "m.anepkg", f"--report={out}/none/r.json")
    assert done.returncode == 1 and f"'{out}/none/r.json'" in done.stderr
    for other in ("r.json", "m.anepkg", "m.anepkg/r.json"):
        done = convert(model, out / "m.anepkg", f"--report={out}/r.json", f"--trace={out}/{other}")
        assert done.returncode == 1 and ("in one place" in done.stderr or "is a folder" in done.stderr), other
    assert (out / "r.json").read_bytes() == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_leave_nothing(tmp_path, out, number):
    model = save(tmp_path / "large.onnx", channels=4000)
    ends = set()
    for delay in np.linspace(0.01, 0.6, 6):
        process = subprocess.Popen([ane_mlir.find_tool("onnx-to-ane"), model, "-o", out / "m.anepkg", "--quiet"], stderr=subprocess.DEVNULL, preexec_fn=lambda: signal.signal(number, signal.SIG_DFL))  # nohup ignores one
        time.sleep(delay)
        process.send_signal(number)
        ends.add(process.wait(60))
        assert names(out) <= {"m.anepkg"} and (not names(out) or (out / "m.anepkg" / "manifest.json").exists())
    assert -number in ends and ends <= {-number, 0}


def test_leftovers_of_the_dead_are_removed_and_those_of_the_living_stay(model, out):
    dead, alive = out / ".ane-mlir-0123456789abcdef", out / ".ane-mlir-fedcba9876543210"
    for folder in (dead, alive):
        (folder / "new" / "m.anepkg").mkdir(parents=True)
        (folder / "new" / "m.anepkg" / "file").write_text("")
    holder = subprocess.Popen(
        [sys.executable, "-c", f"import fcntl, os, sys; fcntl.flock(os.open({str(alive)!r}, os.O_RDONLY), fcntl.LOCK_EX); print(flush=True); sys.stdin.read()"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # fmt: skip
    assert holder.stdout is not None and holder.stdin is not None
    holder.stdout.readline()
    try:
        assert convert(model, out / "m.anepkg").returncode == 0
        assert names(out) == {"m.anepkg", alive.name}
    finally:
        holder.stdin.close()
        holder.wait(20)
    assert convert(model, out / "m.anepkg").returncode == 0 and names(out) == {"m.anepkg"}


def test_corrupt_weights_are_refused(model, out):
    for artifact in ("m.anepkg", "m.mil"):
        assert convert(model, out / artifact).returncode == 0
        before = result(out / artifact)
        folder = out / artifact / "weights" if artifact == "m.anepkg" else out / "weights"
        (file,) = folder.iterdir()
        data = bytearray(file.read_bytes())
        data[131] ^= 0x40  # an exponent of the first weight
        file.write_bytes(data)
        done = run("ane-run", out / artifact, "--random-inputs=0")
        assert done.returncode == 1 and f"'{file}' is corrupt" in done.stderr
        assert ("'programs/000.mil'" if artifact == "m.anepkg" else "'m.mil'") in done.stderr
        done = run("ane-run", out / artifact, "--random-inputs=0", "--no-verify")
        assert done.returncode == 0 and done.stdout != before
        if artifact == "m.mil":
            assert run("mil-verify", out / artifact).stdout.count("is corrupt") == 1
        assert run("ane-diff", out / artifact, out / artifact).returncode == 1
        assert run("ane-diff", out / artifact, out / artifact, "--no-verify").returncode == 0


def test_what_ane_run_cannot_write(model, out):
    assert convert(model, out / "m.anepkg").returncode == 0
    (out / "file").write_text("")
    for option in ("--dump-intermediates", "--output-dir"):
        for place in ("/proc/foo", out / "file", out / "file" / "below"):
            done = run("ane-run", out / "m.anepkg", "--random-inputs=0", f"{option}={place}")
            assert done.returncode == 1 and str(place) in done.stderr, done
        folder = out / option
        assert run("ane-run", out / "m.anepkg", "--random-inputs=0", f"{option}={folder}").returncode == 0
        # A folder where a file should be: none of them appears.
        (first,) = [p for p in sorted(folder.iterdir())][:1]
        for p in folder.iterdir():
            p.unlink()
        first.mkdir()
        done = run("ane-run", out / "m.anepkg", "--random-inputs=0", f"{option}={folder}")
        assert done.returncode == 1 and f"'{first}'" in done.stderr and names(folder) == {first.name}


def test_a_file_that_may_not_grow(tmp_path):
    """A limit of file sizes is an error with the file's name, and leaves nothing behind."""
    import resource

    done = subprocess.run(
        [ane_mlir.find_tool("onnx-to-ane"), Path(__file__).parent / "digits" / "digits.onnx", "--dim=batch=1", "-o", tmp_path / "m.anepkg", "--quiet"], capture_output=True, text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)))  # fmt: skip
    assert done.returncode == 1 and "too large" in done.stderr.lower() and "Stack dump" not in done.stderr, done.stderr
    assert not list(tmp_path.iterdir())
