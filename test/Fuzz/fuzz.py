"""Fuzzes every reader: coverage-guided, and ONNX with models that mutate_onnx.py damages. Prints `N passed, N failed`.

A target that finds nothing in its time passes, and so does each hundred of damaged models without a finding. What is found is kept, with
what was said, in build/fuzz-findings. Called by tools/dev/fuzz and tools/dev/test.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import json
import os
import pathlib
import shutil
import struct
import subprocess
import sys
import time

import numpy as np
import onnx

import mutate_onnx

ROOT = pathlib.Path(__file__).resolve().parents[2]
TARGETS = ("onnx", "mil", "package", "bundle", "weights", "npy", "safetensors")
LIMITS = ["-timeout=20", "-rss_limit_mb=2560", "-malloc_limit_mb=2048", "-verbosity=0", "-print_final_stats=1"]
ENVIRONMENT = {**os.environ, "ASAN_OPTIONS": "allow_user_poisoning=0:detect_leaks=0:allocator_may_return_null=1", "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1"}
# Damaged models in one process.
BATCH = 100


class Fuzzer:
    def __init__(self, options: argparse.Namespace) -> None:
        self.bin = options.bin
        self.work = options.work
        self.findings = options.findings
        self.seconds = options.seconds
        shutil.rmtree(self.work, ignore_errors=True)
        self.findings.mkdir(parents=True, exist_ok=True)
        self.bases = {kind: self.work / f"base.{suffix}" for kind, suffix in (("package", "mlpackage"), ("bundle", "anepkg"))}

    def corpus(self, target: str) -> pathlib.Path:
        folder = self.work / target
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def seed(self, target: str, name: str, content: bytes) -> None:
        (self.corpus(target) / name).write_bytes(content)

    def convert(self, model: pathlib.Path, out: pathlib.Path) -> bool:
        return not subprocess.run([self.bin / "onnx-to-ane", model, "-o", out, "--quiet", "--check=off"], capture_output=True, env=ENVIRONMENT).returncode

    def make_corpora(self) -> None:
        """Out of onnx's node tests and one model with several ops."""
        models = mutate_onnx.bases()
        for i, model in enumerate(models[::3]):
            self.seed("onnx", f"{i}.onnx", model.SerializeToString())
        chain = self.work / "chain.onnx"
        onnx.save(mutate_onnx.chain(), chain)
        for kind, base in self.bases.items():
            if not self.convert(chain, base):
                sys.exit(f"cannot make {base}")
            for i, file in enumerate(sorted(p for p in base.rglob("*") if p.is_file())):
                self.seed(kind, f"{i}", bytes([i]) + file.read_bytes())
                if "weight" in file.name or file.suffix == ".bin":
                    self.seed("weights", f"{kind}{i}", struct.pack("<Q", 64) + file.read_bytes())
        text = self.work / "texts"
        text.mkdir()
        for i, model in enumerate([mutate_onnx.chain(), *models[::40]]):
            onnx.save(model, text / "m.onnx")
            if self.convert(text / "m.onnx", text / "m.mil"):
                self.seed("mil", f"{i}.mil", (text / "m.mil").read_bytes())
        for i, dtype in enumerate((np.float32, np.float16, np.int32, np.int64, np.uint8, np.bool_, np.float64)):
            for j, shape in enumerate(((), (0,), (3,), (2, 3, 4))):
                array = np.asfortranarray(np.ones(shape, dtype)) if j == 3 else np.ones(shape, dtype)
                np.save(self.corpus("npy") / f"{i}-{j}.npy", array)

        for i, names in enumerate(((), ("w",), ("w", "b", "empty"))):
            header: dict[str, object] = {"__metadata__": {"step": "3"}} if i else {}
            data = b""
            for name, shape in zip(names, ((2, 3), (), (0, 4))):
                content = np.ones(shape, np.float32).tobytes()
                header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [len(data), len(data) + len(content)]}
                data += content
            head = json.dumps(header).encode()
            self.seed("safetensors", f"{i}.safetensors", struct.pack("<Q", len(head)) + head + data)

    def environment(self, target: str) -> dict[str, str]:
        return {**ENVIRONMENT, "ANEMLIR_FUZZ_BASE": str(self.bases[target])} if target in self.bases else ENVIRONMENT

    def run(self, target: str) -> str | None:
        """What was found, or nothing."""
        command = [self.bin / f"fuzz-{target}", *LIMITS, f"-max_total_time={self.seconds}", "-max_len=65536", f"-artifact_prefix={self.findings}/{target}-", self.corpus(target)]
        log = self.work / f"{target}.log"
        with open(log, "wb") as out:
            status = subprocess.run(command, stdout=out, stderr=out, env=self.environment(target)).returncode
        text = log.read_text(errors="replace")
        runs = next((line.split()[-1] for line in text.splitlines() if "number_of_executed_units" in line), "?")
        print(f"   {target}: {runs} inputs in {self.seconds} s{', a finding' if status else ''}", flush=True)
        return f"fuzz-{target}: {self.blame(text)}" if status else None

    @staticmethod
    def blame(text: str) -> str:
        """The lines that say what happened and where in our sources."""
        lines = [line for line in text.splitlines() if any(mark in line for mark in ("finding:", "ERROR", "runtime error", "Assertion", "written to", "LLVM ERROR"))]
        frames = [line.strip() for line in text.splitlines() if line.lstrip().startswith("#") and ("/lib/" in line or "/dialects/" in line) and "llvm-22" not in line]
        return "\n      ".join([*lines[:4], *frames[:6]])[:3000]

    def run_mutations(self, first: int, seed: int, models: list[onnx.ModelProto]) -> list[str]:
        """A batch of damaged models in one process; behind a finding it goes on."""
        folder = self.work / f"mutations-{first}"
        folder.mkdir(parents=True)
        files = []
        for i in range(first, first + BATCH):
            rng = mutate_onnx.random.Random(seed * 1_000_003 + i)
            files.append(folder / f"{i:06}.onnx")
            files[-1].write_bytes(mutate_onnx.mutate(mutate_onnx.pick(rng, models), rng))
        found = []
        while files:
            run = subprocess.run([self.bin / "fuzz-onnx", *LIMITS, f"-artifact_prefix={folder}/", *files], capture_output=True, env=ENVIRONMENT)
            if run.returncode == 0:
                break
            text = run.stderr.decode(errors="replace")
            started = [line.split()[1] for line in text.splitlines() if line.startswith("Running: ")]
            at = next((i for i, file in enumerate(files) if started and str(file) == started[-1]), len(files) - 1)
            shutil.copy(files[at], self.findings / files[at].name)
            found.append(f"{self.findings / files[at].name}: {self.blame(text)}")
            files = files[at + 1 :]
        shutil.rmtree(folder)
        return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=pathlib.Path, default=ROOT / "build" / "asan" / "bin", help="the fuzzers and onnx-to-ane, built with -DANEMLIR_FUZZERS=ON")
    parser.add_argument("--seconds", type=int, default=600, help="for each target (default: 600)")
    parser.add_argument("--targets", default=",".join(TARGETS), help="with commas between; nothing for none")
    parser.add_argument("--mutations", type=int, default=20000, help="damaged ONNX models (default: 20000)")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of the damages (default: the time)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--work", type=pathlib.Path, default=ROOT / "build" / "fuzz", help="a folder for corpora, emptied first")
    parser.add_argument("--findings", type=pathlib.Path, default=ROOT / "build" / "fuzz-findings")
    options = parser.parse_args()
    fuzzer = Fuzzer(options)
    fuzzer.make_corpora()
    print(f"   seed {options.seed}", flush=True)
    failures: list[str] = []
    passed = 0
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        models = mutate_onnx.bases()
        batches = [pool.submit(fuzzer.run_mutations, first, options.seed, models) for first in range(0, options.mutations, BATCH)]
        targets = [pool.submit(fuzzer.run, target) for target in options.targets.split(",") if target]
        for result in [*batches, *targets]:
            found = result.result()
            found = [found] if isinstance(found, str) else found or []
            for message in found:
                print(f"   FAILED {message}", flush=True)
            failures += found
            passed += not found
    print(f"{passed} passed, {len(failures)} failed")
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
