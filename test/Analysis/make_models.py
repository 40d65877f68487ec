"""Makes the op lists of whole models for published.py: builds each with `timm`, exports ONNX, compiles it, keeps the ops.

Weights are random; only shapes matter. Not part of the tests, which read what is stored in models/. What they were made with:
Python 3.11, timm 1.0.31, torch 2.15.0 (on the CPU), onnx 1.23.2, in an environment of their own:
  python -m venv ENV && ENV/bin/pip install timm==1.0.31 torch==2.15.0 torchvision onnx==1.23.2 onnxscript
  ENV/bin/python test/Analysis/make_models.py [NAME…]
"""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
import tempfile
import tomllib

import timm
import torch

import oplists

HERE = pathlib.Path(__file__).resolve().parent
BIN = pathlib.Path(os.environ.get("ANE_MLIR_BIN", HERE.parents[1] / "build" / "bin"))


class Attention(torch.nn.Module):
    """One block as vision transformers have it: projections, softmax, output projection."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads, self.q, self.k, self.v, self.out = heads, *(torch.nn.Linear(width, width) for _ in range(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tokens, width = x.shape
        q, k, v = (layer(x).reshape(tokens, self.heads, -1).transpose(0, 1) for layer in (self.q, self.k, self.v))
        weights = (q @ k.transpose(1, 2) * (width // self.heads) ** -0.5).softmax(-1)
        return self.out((weights @ v).transpose(0, 1).reshape(tokens, width))


def build_block(name: str) -> tuple[torch.nn.Module, list[int]] | None:
    """gemm_M_K_N (a constant matrix), conv3_CHANNELS_SIZE_LAYERS, layernorm_TOKENS_WIDTH, attention_TOKENS_WIDTH_HEADS, and its input's shape."""
    kind, *numbers = name.split("_")
    n = [int(text) for text in numbers if text.isdigit()]
    if kind == "gemm":
        return torch.nn.Linear(n[1], n[2], bias=False), n[:2]
    if kind == "conv3":
        layers = [layer for _ in range(n[2]) for layer in (torch.nn.Conv2d(n[0], n[0], 3, padding=1), torch.nn.ReLU())]
        return torch.nn.Sequential(*layers), [1, n[0], n[1], n[1]]
    if kind == "layernorm":
        return torch.nn.LayerNorm(n[1]), n
    if kind == "attention":
        return Attention(n[1], n[2]), n[:2]
    return None


def build(name: str) -> torch.nn.Module:
    """As such a net is deployed: without its training-time branches and second heads."""
    net = timm.create_model(name, pretrained=False).eval()
    try:
        net = timm.utils.model.reparameterize_model(net)
    except Exception as error:  # a model that has nothing to fold
        print(f"{name}: not reparameterised: {error}")
    if hasattr(net, "fuse"):
        net.fuse()
    return net.eval()


def randomise(net: torch.nn.Module) -> None:
    """No branch may vanish because of zeros that an initialisation left."""
    for value in [*net.parameters(), *net.buffers()]:
        if value.is_floating_point():
            with torch.no_grad():
                value.copy_(torch.rand_like(value) * 0.02 + 0.01)


def export(name: str, path: pathlib.Path) -> None:
    net, shape = build_block(name) or (build(name), [1, 3, 224, 224])
    randomise(net)
    torch.onnx.export(net.eval(), (torch.zeros(shape),), path, opset_version=17, dynamo=False, do_constant_folding=True)


def run(*command: object, **options: object) -> str:
    done = subprocess.run(command, capture_output=True, text=True, **options)
    if done.returncode:
        sys.exit(f"{command[0]}: {done.stderr[:1000]}")
    return done.stdout


def compile_ops(path: pathlib.Path, door: str) -> list[str]:
    """What is emitted for the door through which the time was measured."""
    ir = run(BIN / "onnx-to-ane", path, "--compile-to=ane", "--calibration=none")
    pipeline = f"--ane-optimize-pipeline=door={'coreml' if door == 'coreml' else 'raw'}"
    return oplists.parse(run(BIN / "ane-opt", pipeline, "--mlir-elide-resource-strings-if-larger=16", "-", input=ir))


def main() -> None:
    points = tomllib.loads((HERE / "published.toml").read_text())["point"]
    wanted = {p["model"]: p["door"] for p in points if p["kind"] == "model"}
    (HERE / "models").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(os.environ.get("ONNX_FOLDER", temporary))  # keeps the models for another run
        for name, door in wanted.items():
            if sys.argv[1:] and name not in sys.argv[1:]:
                continue
            path = folder / f"{name}.onnx"
            if not path.exists():
                export(name, path)
            lines = compile_ops(path, door)
            (HERE / "models" / f"{name}.ops").write_text("\n".join(lines) + "\n")
            print(name, len(lines), flush=True)


if __name__ == "__main__":
    main()
