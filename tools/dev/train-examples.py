"""Trains a character GPT of 0.8 million parameters and the digits' classifier in the interpreter; draws their losses.

The GPT reads the topics of Python's own documentation (pydoc_data, part of the standard library) for 300 steps: in fp32, and in the
engine's numerics with a dynamic loss scale from the same weights and examples. Writes .github/training-gpt.svg and
.github/training-digits.svg, and prints the losses that the README quotes. Minutes on two cores.
Needs: a build, and numpy and onnx (build/venv has them).
"""

from __future__ import annotations

import csv
import pathlib
import re
import subprocess
import sys
import tempfile

import numpy as np
import onnx

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "test" / "E2E"), str(ROOT / "python")]
import training_models  # noqa: E402
from ane_mlir import find_tool  # noqa: E402


def run(*command: object) -> None:
    subprocess.run([str(c) for c in command], check=True)


def losses(path: pathlib.Path) -> list[float]:
    with path.open() as file:
        return [float(row["loss"]) for row in csv.DictReader(file)]


def text_data(folder: pathlib.Path, sequence: int, count: int) -> int:
    """Windows of the text, each with the one that begins a character later; returns how many characters there are."""
    from pydoc_data import topics

    text = re.sub(r"[^\n -~]", "", "\n\n".join(topics.topics[k] for k in sorted(topics.topics)))
    letters = sorted(set(text))
    codes = np.array([letters.index(c) for c in text[:400_000]], np.int64)
    starts = np.random.default_rng(0).integers(0, len(codes) - sequence - 1, count)
    windows = np.stack([codes[s : s + sequence + 1] for s in starts])
    folder.mkdir(exist_ok=True)
    np.save(folder / "tokens.npy", windows[:, :-1])
    np.save(folder / "targets.npy", windows[:, 1:].astype(np.int32))
    return len(letters)


def draw(path: pathlib.Path, curves: dict[str, list[float]], colours: dict[str, str]) -> None:
    top = max(max(c) for c in curves.values())
    last = max(len(c) for c in curves.values())
    x = lambda i: 56 + 568 * i / last  # noqa: E731
    y = lambda v: 288 - 272 * v / top  # noqa: E731
    parts = ['<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 640 320" font-family="sans-serif" font-size="12">', '<rect width="640" height="320" fill="white"/>']
    for i in range(5):
        parts.append(f'<line x1="56" x2="624" y1="{y(top * i / 4):.1f}" y2="{y(top * i / 4):.1f}" stroke="#ddd"/>')
        parts.append(f'<text x="50" y="{y(top * i / 4) + 4:.1f}" text-anchor="end">{top * i / 4:.2g}</text>')
        parts.append(f'<text x="{x(last * i / 4):.1f}" y="306" text-anchor="middle">{last * i // 4}</text>')
    for row, (name, curve) in enumerate(curves.items()):
        points = " ".join(f"{x(i + 1):.1f},{y(v):.1f}" for i, v in enumerate(curve))
        parts.append(f'<polyline fill="none" stroke="{colours[name]}" stroke-width="1.5" points="{points}"/>')
        parts.append(f'<text x="620" y="{30 + 16 * row}" text-anchor="end" fill="{colours[name]}">{name}</text>')
    parts += ['<text x="340" y="318" text-anchor="middle">step</text>', "</svg>", ""]
    path.write_text("\n".join(parts))


def character_gpt(folder: pathlib.Path, steps: int) -> None:
    letters = text_data(folder / "data", sequence=64, count=8 * steps)
    model = training_models.build_char_gpt(letters, layers=4, width=128, heads=4, sequence=64, batch=8)
    onnx.save(model, folder / "gpt.onnx")
    weights = sum(int(np.prod(w.dims)) for w in model.graph.initializer if w.data_type == 1 and w.name != "mask")
    print(f"character GPT: {weights} parameters, {letters} characters")
    curves = {}
    for name, options, numerics in (("fp32", ["--precision=fp32"], "fp32"), ("engine numerics", [], "engine")):
        run(find_tool("onnx-to-ane"), folder / "gpt.onnx", "--train", "--loss=cross-entropy", "--optimizer=adamw", "--learning-rate=2e-3", "--weight-decay=0.01", "--clip-norm=1",
            *options, "-o", folder / f"{numerics}.anepkg", "--quiet")  # fmt: skip
        run(find_tool("ane-run"), folder / f"{numerics}.anepkg", "--train", folder / "data", f"--steps={steps}", "--warmup=20", "--schedule=cosine", f"--numerics={numerics}", "--csv", folder / f"{numerics}.csv")
        curves[name] = losses(folder / f"{numerics}.csv")
    ends = {name: float(np.mean(c[-20:])) for name, c in curves.items()}
    print(f"mean loss of the last 20 steps: {ends}; {ends['engine numerics'] / ends['fp32'] - 1:+.2%}")
    draw(ROOT / ".github" / "training-gpt.svg", curves, {"fp32": "#888", "engine numerics": "#1f5f9e"})


def digits(folder: pathlib.Path) -> None:
    source = ROOT / "test" / "E2E" / "digits"
    (folder / "digits").mkdir()
    np.save(folder / "digits" / "image.npy", (np.load(source / "train_images.npy") / 16).astype(np.float32))
    np.save(folder / "digits" / "targets.npy", np.load(source / "train_labels.npy").astype(np.int32))
    onnx.save(training_models.build_cnn("batch"), folder / "digits.onnx")
    run(find_tool("onnx-to-ane"), folder / "digits.onnx", "--train", "--loss=cross-entropy", "--batch=48", "--learning-rate=15e-3", "-o", folder / "digits.anepkg", "--quiet")
    run(find_tool("ane-run"), folder / "digits.anepkg", "--train", folder / "digits", "--steps=350", "--schedule=cosine", "--numerics=engine", "--curve", ROOT / ".github" / "training-digits.svg")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        digits(pathlib.Path(place))
        character_gpt(pathlib.Path(place), int(sys.argv[1]) if len(sys.argv) > 1 else 300)
