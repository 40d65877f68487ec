"""Steps of training: loss and gradients of whole models against JAX, and what ane-run --train does with them."""

from __future__ import annotations

import contextlib
import csv
import json
import pathlib
import subprocess

import numpy as np
import onnx
import pytest
import training_models
from ane_mlir import find_tool
from conftest import cosine, reference, relative
from onnx import numpy_helper
from training_models import MODELS


def convert(model: onnx.ModelProto, folder: pathlib.Path, *options: str, name: str = "m", code: int = 0) -> subprocess.CompletedProcess[str]:
    onnx.save(model, folder / f"{name}.onnx")
    command = [find_tool("onnx-to-ane"), str(folder / f"{name}.onnx"), "--train", "-o", str(folder / f"{name}.anepkg"), *options]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == code, result.stderr
    return result


def train(folder: pathlib.Path, *options: str, name: str = "m", code: int = 0) -> subprocess.CompletedProcess[str]:
    command = [find_tool("ane-run"), str(folder / f"{name}.anepkg"), "--train", str(folder / "data"), *options]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == code, result.stderr
    return result


def write_data(folder: pathlib.Path, arrays: dict[str, np.ndarray]) -> None:
    (folder / "data").mkdir(exist_ok=True)
    for name, array in arrays.items():
        np.save(folder / "data" / f"{name}.npy", array)


def parameters_of(folder: pathlib.Path, name: str = "m") -> list[str]:
    manifest = json.loads((folder / f"{name}.anepkg" / "manifest.json").read_text())
    return [p["name"] for p in manifest["training"]["parameters"]]


def targets_for(model: onnx.ModelProto, loss: str, feeds: dict[str, np.ndarray], run, weights) -> np.ndarray:
    output = np.asarray(run(feeds, {}))
    rng = np.random.default_rng(5)
    if loss == "mse":
        return (output + rng.standard_normal(output.shape)).astype(np.float32)
    labels = rng.integers(0, output.shape[-1], output.shape[:-1]).astype(np.int32)
    labels.reshape(-1)[0] = -1  # does not count
    return labels


@pytest.mark.parametrize("name", MODELS)
def test_gradients_of_models(name: str, tmp_path: pathlib.Path) -> None:
    """In fp32 within 1e-4 of each gradient's largest magnitude; in engine numerics, with a loss scale, a cosine of 0.999."""
    jax = pytest.importorskip("jax", reason="JAX is the judge of gradients")
    builder, loss = MODELS[name]
    model = builder()
    feeds = training_models.feeds(model)
    weights, run = training_models.onnx_function(model)
    targets = targets_for(model, loss, feeds, run, weights)
    write_data(tmp_path, {**feeds, "targets": targets})
    convert(model, tmp_path, f"--loss={loss}", "--precision=fp32", "--quiet")
    names = parameters_of(tmp_path)
    assert {n for n in weights if n.startswith(("w_", "b_", "gamma_", "embedding", "positions"))} >= set(names) and len(names) >= 4
    trained = {n: weights[n] for n in names}
    value, gradients = jax.jit(jax.value_and_grad(lambda t: training_models.loss_of(loss, run(feeds, t), targets)))(trained)
    train(tmp_path, "--gradients", str(tmp_path / "fp32"), "--numerics=fp32")
    assert relative(np.load(tmp_path / "fp32" / "loss.npy"), np.asarray(value)) < 1e-4
    gradients = {n: np.asarray(g) for n, g in gradients.items()}
    largest = max(np.abs(g).max() for g in gradients.values())
    # The bias of keys has none: softmax does not see what is added to a whole row. There rounding alone is left.
    nothing = [n for n in names if np.abs(gradients[n]).max() < 1e-6 * largest]
    assert len(nothing) <= 2
    for n in names:
        made = np.load(tmp_path / "fp32" / f"{n}.npy")
        assert made.shape == gradients[n].shape
        assert np.abs(made).max() < 1e-6 * largest if n in nothing else relative(made, gradients[n]) < 1e-4, n
    for weights_in in ("inputs", "patch"):
        convert(model, tmp_path, f"--loss={loss}", "--loss-scale=1024", "--quiet", f"--train-weights={weights_in}", name=weights_in)
        train(tmp_path, "--gradients", str(tmp_path / weights_in), "--numerics=engine", name=weights_in)
        cosines = {n: cosine(np.load(tmp_path / weights_in / f"{n}.npy"), gradients[n]) for n in names if n not in nothing}
        print(f"\n{name}, weights in {weights_in}: {len(names)} parameters, worst cosine {min(cosines.values()):.5f}")
        assert min(cosines.values()) >= 0.999, {n: c for n, c in cosines.items() if c < 0.999}


# --------------------------------------------------------------------------------------------------------------------------------
# Training


DIGITS = pathlib.Path(__file__).parent / "digits"


def digits(folder: pathlib.Path) -> tuple[np.ndarray, np.ndarray]:
    """Writes the training images; returns the held-back ones with their labels."""
    from conftest import read_tensor

    write_data(folder, {"image": (np.load(DIGITS / "train_images.npy") / 16).astype(np.float32), "targets": np.load(DIGITS / "train_labels.npy").astype(np.int32)})
    return read_tensor(DIGITS / "test_data_set_0" / "input_0.pb"), np.load(DIGITS / "labels.npy")


def losses(path: pathlib.Path) -> list[float]:
    with path.open() as file:
        return [float(row["loss"]) for row in csv.DictReader(file)]


def accuracy(model: pathlib.Path, images: np.ndarray, labels: np.ndarray) -> float:
    return float((reference(model, {"image": images})[0].argmax(1) == labels).mean())


def test_digits(tmp_path: pathlib.Path) -> None:
    """From random weights to 95 % of the held-back images, in the engine's numerics; the curve is a picture, the model one again."""
    held, labels = digits(tmp_path)
    model = training_models.build_cnn("batch")
    convert(model, tmp_path, "--loss=cross-entropy", "--batch=48", "--learning-rate=15e-3", "--quiet")
    assert accuracy(tmp_path / "m.onnx", held, labels) < 0.3
    out = train(tmp_path, "--steps=350", "--schedule=cosine", "--numerics=engine", "--csv", str(tmp_path / "l.csv"), "--curve", str(tmp_path / "l.svg"), "--export", str(tmp_path / "out.onnx"))
    assert "step 350/350" in out.stdout and "steps/s" in out.stdout
    made = losses(tmp_path / "l.csv")
    assert len(made) == 350 and np.mean(made[-10:]) < 0.1 * made[0]
    assert (tmp_path / "l.svg").read_text().count("<polyline") == 2
    found = accuracy(tmp_path / "out.onnx", held, labels)
    print(f"\ndigits: {found:.4f} of {len(labels)} held-back images")
    assert found >= 0.95


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adam", "adamw"])
def test_optimisers(optimizer: str, tmp_path: pathlib.Path) -> None:
    """Ten steps with decay, clipping and accumulation are those of the same rules in NumPy on JAX's gradients."""
    jax = pytest.importorskip("jax", reason="JAX is the judge of gradients")
    model = training_models.build_mlp(batch=4)
    weights, run = training_models.onnx_function(model)
    rng = np.random.default_rng(3)
    # As many examples as a run takes, so that their order does not matter.
    data = {"image": rng.standard_normal((4, 1, 8, 8)).astype(np.float32), "targets": rng.integers(0, 10, 4).astype(np.int32)}
    write_data(tmp_path, data)
    options = ["--loss=cross-entropy", "--precision=fp32", f"--optimizer={optimizer}", "--learning-rate=0.05", "--weight-decay=0.1", "--clip-norm=0.7", "--accumulate=2", "--loss-scale=8", "--quiet"]
    convert(model, tmp_path, *options)
    train(tmp_path, "--steps=10", "--numerics=fp32", "--csv", str(tmp_path / "l.csv"), "--export", str(tmp_path / "w.safetensors"), "--quiet")
    gradient = jax.jit(jax.value_and_grad(lambda t: training_models.loss_of("cross-entropy", run({"image": data["image"]}, t), data["targets"])))
    p = {n: weights[n].astype(np.float64) for n in parameters_of(tmp_path)}
    m, v = {n: 0 * x for n, x in p.items()}, {n: 0 * x for n, x in p.items()}
    expected = []
    for t in range(1, 11):
        loss, g = gradient({n: x.astype(np.float32) for n, x in p.items()})
        expected.append(float(loss))
        g = {n: np.asarray(x, np.float64) for n, x in g.items()}
        norm = np.sqrt(sum((x**2).sum() for x in g.values()))
        for n in p:
            d = g[n] * min(1, 0.7 / norm)
            if optimizer == "adamw":
                p[n] -= 0.05 * 0.1 * p[n]
            else:
                d = d + 0.1 * p[n]
            if optimizer.startswith("adam"):
                m[n], v[n] = 0.9 * m[n] + 0.1 * d, 0.999 * v[n] + 0.001 * d**2
                p[n] -= 0.05 * (m[n] / (1 - 0.9**t)) / (np.sqrt(v[n] / (1 - 0.999**t)) + 1e-8)
            else:
                m[n] = (0.9 if optimizer == "momentum" else 0) * m[n] + d
                p[n] -= 0.05 * m[n]
    assert relative(np.array(losses(tmp_path / "l.csv")), np.array(expected)) < 1e-3
    from safetensors.numpy import load_file

    made = load_file(tmp_path / "w.safetensors")
    for n in p:
        assert relative(made[n] - weights[n], p[n] - weights[n]) < 2e-2, n


def test_checkpoints_go_on_to_the_same_bits(tmp_path: pathlib.Path) -> None:
    digits(tmp_path)
    convert(training_models.build_mlp("batch"), tmp_path, "--loss=cross-entropy", "--batch=16", "--quiet")
    whole = ["--steps=12", "--seed=4", "--export"]
    train(tmp_path, *whole, str(tmp_path / "whole.onnx"), "--csv", str(tmp_path / "whole.csv"), "--quiet")
    checkpoint = ["--checkpoint", str(tmp_path / "c.safetensors"), "--checkpoint-every=3", "--seed=4"]
    # Killed while it runs: what is there is a whole checkpoint, of whichever step.
    command = [find_tool("ane-run"), str(tmp_path / "m.anepkg"), "--train", str(tmp_path / "data"), "--steps=100000", *checkpoint]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    while not (tmp_path / "c.safetensors").exists() and process.poll() is None:
        pass
    process.kill()
    process.wait()
    from safetensors import safe_open

    with safe_open(tmp_path / "c.safetensors", "np") as file:
        reached = int(file.metadata()["step"])
    if reached > 12:  # a fast machine: then the first steps once more
        (tmp_path / "c.safetensors").unlink()
        train(tmp_path, "--steps=6", *checkpoint, "--quiet")
    out = train(tmp_path, "--steps=12", *checkpoint, "--csv", str(tmp_path / "parts.csv"), "--export", str(tmp_path / "parts.onnx"))
    assert "goes on from step" in out.stdout
    assert (tmp_path / "parts.onnx").read_bytes() == (tmp_path / "whole.onnx").read_bytes()
    assert (tmp_path / "parts.csv").read_text() == (tmp_path / "whole.csv").read_text()
    wrong = train(tmp_path, "--steps=12", "--checkpoint", str(tmp_path / "c.safetensors"), "--seed=5", code=1)
    assert "was made with seed 4" in wrong.stderr


def test_dynamic_loss_scale(tmp_path: pathlib.Path) -> None:
    """A scale at which fp16 overflows halves until steps are taken; nothing of a skipped step is kept."""
    digits(tmp_path)
    model = training_models.build_mlp("batch")
    # Gradients of the last layer beyond 65504 at the first scale.
    for w in model.graph.initializer:
        if w.name == "w_1":
            w.CopyFrom(numpy_helper.from_array(60 * numpy_helper.to_array(w), "w_1"))
    convert(model, tmp_path, "--loss=mse", "--batch=16", "--loss-scale=dynamic:32768", "--learning-rate=1e-4", "--quiet")
    rng = np.random.default_rng(0)
    write_data(tmp_path, {"image": np.load(tmp_path / "data" / "image.npy")[:64], "targets": 1000 * rng.standard_normal((64, 10)).astype(np.float32)})
    out = train(tmp_path, "--steps=12", "--csv", str(tmp_path / "l.csv"))
    with (tmp_path / "l.csv").open() as file:
        rows = list(csv.DictReader(file))
    skipped = [int(r["skipped"]) for r in rows]
    assert skipped[0] == 1 and skipped[-1] == 0
    assert [float(r["loss_scale"]) for r in rows] == [32768 / 2 ** sum(skipped[:i]) for i in range(12)]
    norms = [float(r["gradient_norm"]) for r in rows]
    assert all(np.isfinite(n) != s for n, s in zip(norms, skipped))
    assert f"{sum(skipped)} steps were skipped" in out.stderr


def test_lora(tmp_path: pathlib.Path) -> None:
    """Rank 8 beside frozen weights: the loss falls, the base stays bit for bit, the merged model gives what the adapted one did."""
    model = training_models.build_char_gpt()
    feeds = training_models.feeds(model)
    rng = np.random.default_rng(2)
    tokens = rng.integers(0, 24, (16, 12)).astype(np.int64)
    write_data(tmp_path, {"tokens": tokens, "targets": np.roll(tokens, -1, 1).astype(np.int32)})
    convert(model, tmp_path, "--loss=cross-entropy", "--lora=8:w_*:16", "--learning-rate=1e-2", "--quiet")
    names = parameters_of(tmp_path)
    assert len(names) == 2 * 12 and all(n.endswith((".lora_A", ".lora_B")) for n in names)
    before = {w.file: (tmp_path / "m.anepkg" / w.file).read_bytes() for w in weights_of(tmp_path)}
    assert before
    train(tmp_path, "--steps=100", "--csv", str(tmp_path / "l.csv"), "--export", str(tmp_path / "out.onnx"), "--quiet")
    train(tmp_path, "--steps=100", "--export", str(tmp_path / "a.safetensors"), "--quiet")
    made = losses(tmp_path / "l.csv")
    assert np.mean(made[-5:]) < 0.75 * made[0]
    assert before == {w: (tmp_path / "m.anepkg" / w).read_bytes() for w in before}
    from safetensors.numpy import load_file

    adapters, merged = load_file(tmp_path / "a.safetensors"), onnx.load(tmp_path / "out.onnx")
    old = {w.name: numpy_helper.to_array(w) for w in model.graph.initializer}
    adapted = {n.rsplit(".lora_", 1)[0] for n in names}
    for w in merged.graph.initializer:
        value = numpy_helper.to_array(w)
        if w.name in adapted:
            assert relative(value - old[w.name], 2 * adapters[f"{w.name}.lora_A"] @ adapters[f"{w.name}.lora_B"]) < 1e-4
        else:
            assert value.tobytes() == old[w.name].tobytes(), w.name
    # The loss that the adapted programs give is that of the merged model.
    expected = reference(tmp_path / "out.onnx", feeds)[0]
    assert expected.shape == (2, 12, 24)
    convert(merged, tmp_path, "--loss=cross-entropy", "--precision=fp32", "--quiet", name="merged")
    few = {"tokens": tokens[:2], "targets": np.roll(tokens, -1, 1)[:2].astype(np.int32)}
    write_data(tmp_path, few)
    train(tmp_path, "--gradients", str(tmp_path / "g"), "--numerics=fp32", name="merged")
    logits = reference(tmp_path / "out.onnx", {"tokens": few["tokens"]})[0]
    logs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    assert abs(float(np.load(tmp_path / "g" / "loss.npy")) + np.take_along_axis(logs, few["targets"][..., None], -1).mean()) < 1e-4


def windows(text: str, sequence: int, count: int, letters: str, seed: int) -> dict[str, np.ndarray]:
    """Pieces of a text, each with the one that begins a character later."""
    codes = np.array([letters.index(c) for c in text if c in letters], np.int64)
    starts = np.random.default_rng(seed).integers(0, len(codes) - sequence - 1, count)
    pieces = np.stack([codes[s : s + sequence + 1] for s in starts])
    return {"tokens": pieces[:, :-1], "targets": pieces[:, 1:].astype(np.int32)}


@pytest.fixture(scope="module")
def trained_gpt(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A character GPT that has learned what Python's documentation looks like."""
    from pydoc_data import topics

    folder = tmp_path_factory.mktemp("gpt")
    text = topics.topics["assignment"] + topics.topics["lambda"] + topics.topics["class"]
    letters = "".join(sorted({c for c in text if " " <= c <= "~"}))
    (folder / "letters.txt").write_text(letters)
    model = training_models.build_char_gpt(len(letters), layers=2, width=64, heads=4, sequence=32, batch=8)
    write_data(folder, windows(text, 32, 800, letters, 0))
    convert(model, folder, "--loss=cross-entropy", "--learning-rate=4e-3", "--precision=fp32", "--quiet")
    train(folder, "--steps=100", "--schedule=cosine", "--numerics=fp32", "--csv", str(folder / "l.csv"), "--export", str(folder / "trained.onnx"), "--quiet")
    made = losses(folder / "l.csv")
    assert np.mean(made[-5:]) < 0.75 * made[0]
    return folder


def cross_entropy(logits: np.ndarray, labels: np.ndarray) -> float:
    top = logits.max(-1, keepdims=True)
    logs = logits - top - np.log(np.exp(logits - top).sum(-1, keepdims=True))
    return -float(np.take_along_axis(logs, labels[..., None], -1).mean())


@pytest.mark.parametrize("form", ["fp16", "int8"])
def test_lora_of_a_trained_gpt(form: str, trained_gpt: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """Rank 8 beside a base of fp16 or int8: on another text the loss falls, the files of the base are the same bit for bit, and the merged model has the
    loss that the adapted programs had: the form of the base apart."""
    with contextlib.redirect_stdout(None):
        import this

    text = "".join(this.d.get(c, c) for c in this.s)
    data = windows(text, 32, 8, (trained_gpt / "letters.txt").read_text(), 1)
    write_data(tmp_path, data)  # as many as a run takes
    model = onnx.load(trained_gpt / "trained.onnx")
    convert(model, tmp_path, "--loss=cross-entropy", "--lora=8:w_*:16", "--learning-rate=5e-3", "--quiet", *([f"--weights={form}"] if form != "fp16" else []))
    texts = "".join(p.read_text() for p in (tmp_path / "m.anepkg" / "programs").iterdir())
    assert ("constexpr_blockwise_shift_scale" in texts) == (form == "int8")
    before = {w.file: (tmp_path / "m.anepkg" / w.file).read_bytes() for w in weights_of(tmp_path)}
    options = ["--numerics=engine", "--checkpoint", str(tmp_path / "c.safetensors"), "--quiet"]
    train(tmp_path, "--steps=60", "--export", str(tmp_path / "out.onnx"), "--csv", str(tmp_path / "l.csv"), *options)
    made = losses(tmp_path / "l.csv")
    assert made[-1] < 0.8 * made[0], (made[0], made[-1])
    assert before and before == {w: (tmp_path / "m.anepkg" / w).read_bytes() for w in before}
    # The next step's loss is that of the adapted programs.
    train(tmp_path, "--steps=61", "--csv", str(tmp_path / "next.csv"), *options)
    adapted = losses(tmp_path / "next.csv")[-1]
    merged = cross_entropy(reference(tmp_path / "out.onnx", {"tokens": data["tokens"]})[0], data["targets"])
    old = cross_entropy(reference(trained_gpt / "trained.onnx", {"tokens": data["tokens"]})[0], data["targets"])
    print(f"\nbase {form}: {old:.4f} before, {made[-1]:.4f} after 60 steps, adapted {adapted:.4f}, merged {merged:.4f}")
    assert abs(merged - adapted) < (0.004 if form == "fp16" else 0.02) * adapted < 0.2 * (old - adapted)


def test_lora_of_a_trained_classifier(tmp_path: pathlib.Path) -> None:
    """The digits' classifier learns other labels by its adapters alone; the model with them merged has learned them."""
    held, labels = digits(tmp_path)
    turned = (np.load(DIGITS / "train_labels.npy") + 1) % 10
    np.save(tmp_path / "data" / "targets.npy", turned.astype(np.int32))
    model = onnx.load(DIGITS / "digits.onnx")
    convert(model, tmp_path, "--loss=cross-entropy", "--lora=8:*:16", "--batch=48", "--learning-rate=2e-2", "--quiet")
    assert {n.rsplit(".lora_", 1)[0] for n in parameters_of(tmp_path)} == {"conv1.weight", "conv2.weight", "fc.weight"}
    train(tmp_path, "--steps=100", "--schedule=cosine", "--numerics=engine", "--export", str(tmp_path / "out.onnx"), "--quiet")
    before, after = (accuracy(tmp_path / name, held, (labels + 1) % 10) for name in ("m.onnx", "out.onnx"))
    print(f"\nlabels turned by one: {before:.3f} before, {after:.3f} behind 100 steps")
    assert before < 0.1 and after > 0.6
    old, new = ({w.name: numpy_helper.to_array(w) for w in onnx.load(tmp_path / n).graph.initializer} for n in ("m.onnx", "out.onnx"))
    assert all(new[n].tobytes() == old[n].tobytes() for n in old if n.endswith("bias"))


def test_lora_of_a_face_detector(shared: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """A trained detector of others: adapters of its classification heads learn scores that are turned round."""
    model = onnx.load(shared / "models" / "face-rfb-320.onnx")
    images = np.random.default_rng(0).standard_normal((2, 3, 240, 320)).astype(np.float32)
    scores = np.concatenate([reference(shared / "models" / "face-rfb-320.onnx", {"input": image[None]})[0] for image in images])
    write_data(tmp_path, {"input": images, "targets": np.ascontiguousarray(scores[..., ::-1])})
    convert(model, tmp_path, "--loss=mse", "--lora=8:classification*", "--loss-scale=1024", "--learning-rate=1e-2", "--quiet")
    before = {w.file: (tmp_path / "m.anepkg" / w.file).read_bytes() for w in weights_of(tmp_path)}
    train(tmp_path, "--steps=12", "--numerics=engine", "--csv", str(tmp_path / "l.csv"), "--quiet")
    made = losses(tmp_path / "l.csv")
    assert made[-1] < 0.95 * made[0], made
    assert before == {w: (tmp_path / "m.anepkg" / w).read_bytes() for w in before}


def test_convolutions_of_kernels_are_on_the_engine(tmp_path: pathlib.Path) -> None:
    """Run-time weights of 3x3, strided, grouped: forward and backward all are 1x1 convolutions of the engine; their gradients are those of JAX
    (test_gradients_of_models). One that the host does in less time stays there."""
    convert(training_models.build_small_resnet(), tmp_path, "--loss=cross-entropy", "--loss-scale=1024", "--report", str(tmp_path / "r.json"), "--quiet")
    manifest = json.loads((tmp_path / "m.anepkg" / "manifest.json").read_text())
    texts = {kind: "".join((tmp_path / "m.anepkg" / p["text"]).read_text() for p in manifest["programs"] if p["kind"] == kind) for kind in ("ane", "host")}
    assert "conv" not in texts["host"] and texts["ane"].count("= conv(") >= 9 and "L19" not in (tmp_path / "r.json").read_text()
    copies = [c for p in manifest["training"]["parameters"] for c in p.get("copies", [])]
    assert {c["groups"] for c in copies} == {1, 2} and sum(c["transposed"] for c in copies) >= 4
    assert [p["kind"] for p in manifest["programs"]].count("ane") <= 3
    convert(training_models.build_cnn(48), tmp_path, "--loss=cross-entropy", "--report", str(tmp_path / "c.json"), "--quiet", name="cnn")
    report = (tmp_path / "c.json").read_text()
    assert "run-time weight left to the host: " in report and "run-time weight over columns: " in report


def test_gradients_are_measured_at_conversion(tmp_path: pathlib.Path) -> None:
    """Loss and gradients of what was written, in engine numerics beside fp32, on guessed inputs and the first weights; a loss scale that loses them is
    warned of, with what to do about it."""
    model = training_models.build_char_gpt()
    out = convert(model, tmp_path, "--loss=cross-entropy", "--report", str(tmp_path / "r.json"))
    names = parameters_of(tmp_path)
    assert "accuracy, engine numerics against fp32" in out.stdout and "warning" not in out.stderr, out.stdout + out.stderr
    measured = {o["name"]: o for o in json.loads((tmp_path / "r.json").read_text())["accuracy"]["outputs"]}
    assert set(measured) == {"loss", *(f"{n}.gradient" for n in names)}
    assert min(o["cosine"] for o in measured.values()) >= 0.999
    out = convert(model, tmp_path, "--loss=cross-entropy", "--loss-scale=0.0001")
    assert ".gradient' has cosine" in out.stderr and "a larger --loss-scale, or dynamic" in out.stderr, out.stderr
    out = convert(training_models.build_mlp(batch=1), tmp_path, "--loss=cross-entropy", "--loss-scale=65504")
    assert ".gradient' is not finite" in out.stderr and "a smaller --loss-scale, or dynamic" in out.stderr, out.stderr
    out = convert(model, tmp_path, "--loss=cross-entropy", "--check=off")
    assert "accuracy was not measured: --check=off" in out.stdout, out.stdout


def test_damaged_checkpoints(tmp_path: pathlib.Path) -> None:
    """A header that nests without end, and tensors in one place: refused, with the file's name."""
    write_data(tmp_path, {"image": np.zeros((4, 1, 8, 8), np.float32), "targets": np.zeros(4, np.int32)})
    convert(training_models.build_mlp(batch=4), tmp_path, "--loss=cross-entropy", "--quiet")
    entry = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
    for header, words in ((b'{"a":' + b"[" * 3_000_000, "no JSON of safetensors"), (json.dumps({"a": entry, "b": entry}).encode(), "'a' and 'b' in one place")):
        (tmp_path / "c.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(8))
        out = train(tmp_path, "--steps=1", "--checkpoint", str(tmp_path / "c.safetensors"), code=1)
        assert words in out.stderr and "c.safetensors" in out.stderr, out.stderr


def test_frozen_recurrent_layers(tmp_path: pathlib.Path) -> None:
    """What is before a recurrent layer whose weights stay constants receives its gradient through the layer's steps."""
    jax = pytest.importorskip("jax", reason="JAX is the judge of gradients")
    model = training_models.build_lstm(front=True)
    (layer,) = (n for n in model.graph.node if n.op_type == "LSTM")
    feeds = training_models.feeds(model)
    weights, run = training_models.onnx_function(model)
    targets = np.arange(3).astype(np.int32)
    write_data(tmp_path, {**feeds, "targets": targets})
    convert(model, tmp_path, "--loss=cross-entropy", "--precision=fp32", f"--frozen={','.join(n for n in layer.input if n in weights)}", "--quiet")
    names = parameters_of(tmp_path)
    assert names and not set(names) & set(layer.input)
    value, gradients = jax.value_and_grad(lambda t: training_models.loss_of("cross-entropy", run(feeds, t), targets))({n: weights[n] for n in names})
    train(tmp_path, "--gradients", str(tmp_path / "g"), "--numerics=fp32")
    assert relative(np.load(tmp_path / "g" / "loss.npy"), np.asarray(value)) < 1e-4
    for n in names:
        assert relative(np.load(tmp_path / "g" / f"{n}.npy"), np.asarray(gradients[n])) < 1e-4, n


class _File:
    def __init__(self, file: str) -> None:
        self.file = file


def weights_of(folder: pathlib.Path, name: str = "m") -> list[_File]:
    manifest = json.loads((folder / f"{name}.anepkg" / "manifest.json").read_text())
    return [_File(w["file"]) for p in manifest["programs"] for w in p["weights"].values()]


@pytest.mark.parametrize("kind", ["conv", "gemm"])
def test_lora_of_other_nodes(kind: str, tmp_path: pathlib.Path) -> None:
    """Adapters of convolutions and Gemm: their gradients are those of the weight through the product (JAX)."""
    jax = pytest.importorskip("jax", reason="JAX is the judge of gradients")
    model = training_models.build_cnn(4) if kind == "conv" else training_models.build_mlp(4)
    weights, run = training_models.onnx_function(model)
    base = next(n.input[1] for n in model.graph.node if n.op_type == {"conv": "Conv", "gemm": "Gemm"}[kind])
    feeds = training_models.feeds(model)
    targets = np.arange(4).astype(np.int32)
    write_data(tmp_path, {**feeds, "targets": targets})
    convert(model, tmp_path, "--loss=cross-entropy", f"--lora=3:{base}:6", "--precision=fp32", "--quiet")
    train(tmp_path, "--gradients", str(tmp_path / "g"), "--numerics=fp32")
    from safetensors.numpy import load_file

    adapter = load_file(tmp_path / "m.anepkg" / "training" / "parameters.safetensors")
    a, b = adapter[f"{base}.lora_A"], adapter[f"{base}.lora_B"]
    assert np.abs(b).max() == 0 and np.abs(a).max() > 0
    w = weights[base]

    def loss(t):
        return training_models.loss_of("cross-entropy", run(feeds, {base: w + 2 * (t[1] @ t[0]).reshape(w.shape)}), targets)

    value, (ga, gb) = jax.value_and_grad(loss)((a, b))
    assert abs(float(np.load(tmp_path / "g" / "loss.npy")) - float(value)) < 1e-4
    assert relative(np.load(tmp_path / "g" / f"{base}.lora_B.npy"), np.asarray(gb)) < 1e-4
    assert np.abs(np.load(tmp_path / "g" / f"{base}.lora_A.npy")).max() == 0 == np.abs(np.asarray(ga)).max()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--loss=mae"], "no output is named 'mae' to be the loss"),
        (["--loss=logits"], "is no loss, which has one element"),
        (["--loss=mse", "--trainable=none*"], "no initializer of floats has a name like 'none*'"),
        (["--loss=mse", "--frozen=*"], "has nothing to train"),
        (["--loss=mse", "--lora=4:b_*"], "no weight of MatMul, Gemm or Conv has a name like 'b_*'"),
        (["--loss=mse", "--batch=3"], "--batch is for models whose inputs leave their first axis open"),
        (["--loss=cross-entropy:5"], "cross-entropy along axis 5"),
    ],
)
def test_refused(options: list[str], message: str, tmp_path: pathlib.Path) -> None:
    assert message in convert(training_models.build_mlp(), tmp_path, *options, code=1).stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--lora=0"], "expects --lora=RANK"),
        (["--loss-scale=0"], "expects --loss-scale to be a number above 0"),
        (["--calibration=none"], "--calibration measures a model's outputs"),
        (["--accumulate=0"], "expects --accumulate from 1"),
        (["--momentum=0.5"], "--momentum is for --optimizer=momentum"),
    ],
)
def test_usage(options: list[str], message: str, tmp_path: pathlib.Path) -> None:
    assert message in convert(training_models.build_mlp(), tmp_path, "--loss=mse", *options, code=2).stderr


def test_refused_data(tmp_path: pathlib.Path) -> None:
    model = training_models.build_mlp()
    convert(model, tmp_path, "--loss=cross-entropy", "--quiet")
    assert "input 'image'" in train(tmp_path, "--steps=1", code=1).stderr
    write_data(tmp_path, {"image": np.zeros((9, 1, 8, 7), np.float32), "targets": np.zeros(9, np.int32)})
    assert "is to hold examples [N, 1, 8, 8], but it holds [9, 1, 8, 7]" in train(tmp_path, "--steps=1", code=1).stderr
    write_data(tmp_path, {"image": np.zeros((9, 1, 8, 8), np.float32), "targets": np.zeros(10, np.int32)})
    assert "holds 10 examples, other inputs hold 9" in train(tmp_path, "--steps=1", code=1).stderr
    write_data(tmp_path, {"image": np.zeros((5, 1, 8, 8), np.float32), "targets": np.zeros(5, np.int32)})
    assert "holds 5 examples, a run takes 8" in train(tmp_path, "--steps=1", code=1).stderr
    write_data(tmp_path, {"image": np.zeros((8, 1, 8, 8), np.float32), "targets": np.full(8, 10, np.int32)})
    assert "'targets.npy' holds the label 10, but there are 10 classes" in train(tmp_path, "--steps=1", code=1).stderr
    assert "--steps" in train(tmp_path, code=2).stderr
    assert "expects --export=FILE.onnx or FILE.safetensors" in train(tmp_path, "--steps=1", "--export=x.bin", code=1).stderr
    plain = subprocess.run([find_tool("onnx-to-ane"), str(tmp_path / "m.onnx"), "-o", str(tmp_path / "plain.anepkg"), "--quiet"], capture_output=True, text=True)
    assert plain.returncode == 0, plain.stderr
    assert "does not train; make it with onnx-to-ane --train" in train(tmp_path, "--steps=1", name="plain", code=1).stderr
    damaged = tmp_path / "m.anepkg" / "training" / "parameters.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:200])
    assert "parameters.safetensors" in train(tmp_path, "--steps=1", code=1).stderr


def test_trainer(tmp_path: pathlib.Path) -> None:
    """From Python: two runs are one, and what is exported is a model."""
    from ane_mlir.training import Trainer, compile_training

    onnx.save(training_models.build_mlp("batch"), tmp_path / "m.onnx")
    bundle = compile_training(tmp_path / "m.onnx", loss="cross-entropy", batch=16, options=["--learning-rate=3e-3"])
    images, labels = (np.load(DIGITS / "train_images.npy") / 16).astype(np.float32), np.load(DIGITS / "train_labels.npy").astype(np.int32)
    whole, parts = (Trainer(bundle, {"image": images, "targets": labels}, seed=2) for _ in range(2))
    assert whole.run(30) == parts.run(10) + parts.run(20)
    assert np.mean(whole.losses[-5:]) < whole.losses[0]
    whole.export(tmp_path / "a.onnx")
    parts.export(tmp_path / "b.onnx")
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()
    assert reference(tmp_path / "a.onnx", {"image": images[:3]})[0].shape == (3, 10)
    # One that finds a checkpoint goes on from it; one that has trained nothing exports the first weights.
    first, second, untouched = (Trainer(bundle, {"image": images, "targets": labels}, seed=2, checkpoint=c) for c in (tmp_path / "c", None, None))
    assert first.run(10) == second.run(10)
    assert Trainer(bundle, {"image": images, "targets": labels}, seed=2, checkpoint=tmp_path / "c").run(5) == second.run(5)
    untouched.export(tmp_path / "c.onnx")
    before, after = ({w.name: numpy_helper.to_array(w) for w in onnx.load(tmp_path / name).graph.initializer} for name in ("m.onnx", "c.onnx"))
    assert all(np.array_equal(before[name], after[name]) for name in before)


def test_report_of_a_step(tmp_path: pathlib.Path) -> None:
    """What a step dispatches, moves and compiles; products with weights read them as the engine convolves."""
    out = convert(training_models.build_char_gpt(width=64, sequence=64, batch=1), tmp_path, "--loss=cross-entropy", f"--report={tmp_path / 'r.json'}").stdout
    assert "a step of training: 36 weights" in out and "before the first step, none later" in out
    report = json.loads((tmp_path / "r.json").read_text())
    step, manifest = report["training"], json.loads((tmp_path / "m.anepkg" / "manifest.json").read_text())
    engines = [p for p in manifest["programs"] if p["kind"] == "ane"]
    assert step["parameters"] == 36 and step["dispatches"] == len(engines) == manifest["budgets"]["compiles"] and step["compiles_per_step"] == 0
    surfaces = {"input": 0, "output": 0}
    for tensor in manifest["tensors"]:
        for s in tensor["surfaces"]:
            surfaces[s["role"]] += 2 * int(np.prod(s["shape"]))
    assert step["weight_bytes"] + step["gradient_bytes"] + step["other_bytes"] == sum(surfaces.values())
    # Forward products read transposed copies, [1,O,1,I] on their surfaces.
    copies = {c["input"]: p for p in manifest["training"]["parameters"] for c in p["copies"] if c["transposed"]}
    assert len(copies) >= 8
    for index, parameter in copies.items():
        tensor = manifest["tensors"][manifest["inputs"][index]["tensor"]]
        assert tensor["shape"] == parameter["shape"][::-1]
        assert all(s["view"] == [1, tensor["shape"][0], 1, tensor["shape"][1]] for s in tensor["surfaces"])


def test_recompute(tmp_path: pathlib.Path) -> None:
    """Computing again moves fewer bytes and gives the same bits."""
    model = training_models.build_char_gpt()
    feeds = training_models.feeds(model)
    write_data(tmp_path, {**feeds, "targets": np.ones((2, 12), np.int32)})
    moved = {}
    for mode in ("none", "all"):
        convert(model, tmp_path, "--loss=cross-entropy", f"--recompute={mode}", f"--report={tmp_path / 'r.json'}", name=mode)
        moved[mode] = json.loads((tmp_path / "r.json").read_text())["training"]["other_bytes"]
        train(tmp_path, "--gradients", str(tmp_path / f"g-{mode}"), name=mode)
    assert moved["all"] < 0.9 * moved["none"]
    for name in parameters_of(tmp_path, "none"):
        assert (tmp_path / "g-none" / f"{name}.npy").read_bytes() == (tmp_path / "g-all" / f"{name}.npy").read_bytes(), name
