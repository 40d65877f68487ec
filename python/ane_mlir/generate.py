"""Text from a decoder in a bundle, with the model's own tokenizer.

    python -m ane_mlir.generate decoder.anepkg --tokenizer tokenizer.json --prompt "Once upon a time" --tokens 64

Needs `tokenizers` (PyPI) beside what the compiler needs. The tool ane-generate runs the bundle, in the interpreter; the
tokens/s that it prints are predicted for the target that the bundle was compiled for, not measured.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ._messages import Diagnostic, RunError
from ._tools import find_tool

__all__ = ["Generated", "generate", "load_tokenizer"]


@dataclasses.dataclass(frozen=True)
class Generated:
    """What was made. `summary` is what the tool says of predicted times, with the bundle's target."""

    ids: list[int]
    text: str
    target: str
    summary: str


def load_tokenizer(path: str | os.PathLike[str]) -> Any:
    """The tokenizer of a tokenizer.json; ModuleNotFoundError with a remedy where tokenizers is not installed."""
    try:
        from tokenizers import Tokenizer
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("a tokenizer.json needs the package tokenizers: pip install tokenizers") from error
    if not Path(path).is_file():
        raise FileNotFoundError(f"'{path}' is not found")
    try:
        return Tokenizer.from_file(os.fspath(path))
    except Exception as error:
        # The package raises Exception itself.
        raise ValueError(f"'{path}' is no tokenizer.json: {error}") from error


def _read_ids(stream: Any) -> Iterator[int]:
    """Numbers as they come, between commas, up to the end of a line."""
    digits = ""
    while (character := stream.read(1)) not in ("", "\n"):
        if character == ",":
            yield int(digits)
            digits = ""
        else:
            digits += character
    if digits:
        yield int(digits)


def generate(
    bundle: str | os.PathLike[str],
    tokenizer: Any,
    prompt: str,
    *,
    tokens: int = 64,
    numerics: str = "fp16",
    temperature: float = 0.0,
    top_k: int = 0,
    seed: int = 0,
    end: str | None = None,
    on_text: Callable[[str], None] | None = None,
) -> Generated:
    """Goes on with `prompt` for at most `tokens` tokens; `on_text` gets each new part of the text. `end` is the token that ends it."""
    ids: Sequence[int] = tokenizer.encode(prompt).ids
    if not ids:
        raise ValueError("the prompt has no tokens")
    command = [find_tool("ane-generate"), os.fspath(bundle), f"--prompt-ids={','.join(map(str, ids))}", f"--tokens={tokens}"]
    command += [f"--numerics={numerics}", f"--temperature={temperature}", f"--top-k={top_k}", f"--seed={seed}"]
    if end is not None:
        number = tokenizer.token_to_id(end)
        if number is None:
            raise ValueError(f"the tokenizer has no token '{end}'")
        command.append(f"--end-id={number}")
    made: list[int] = []
    shown = ""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1)
    with process:
        for number in _read_ids(process.stdout):
            made.append(number)
            text = tokenizer.decode(made)
            # A character of several tokens is shown when it is whole.
            if on_text and not text.endswith("\ufffd"):
                if text.startswith(shown):
                    on_text(text[len(shown) :])
                shown = text
        message = process.stderr.read().strip() if process.stderr else ""
    if process.returncode:
        why = message or f"ane-generate exited with {process.returncode}"
        raise RunError(os.fspath(bundle), [Diagnostic("error", "", "", why, "")])
    manifest = json.loads(Path(bundle, "manifest.json").read_text())
    return Generated(made, tokenizer.decode(made), manifest["target"], message)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m ane_mlir.generate", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", help="a decoder, compiled with --state=auto and one length that is 1")
    parser.add_argument("--tokenizer", required=True, help="tokenizer.json")
    parser.add_argument("--prompt", required=True)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--numerics", choices=("fp16", "fp32", "engine"), default="fp16")
    parser.add_argument("--temperature", type=float, default=0.0, help="0 takes the likeliest token")
    parser.add_argument("--top-k", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--end", help="the token that ends the text, such as <|endoftext|>")
    options = parser.parse_args(arguments)

    def show(text: str) -> None:
        print(text, end="", flush=True)

    print(options.prompt, end="", flush=True)
    try:
        made = generate(
            options.bundle,
            load_tokenizer(options.tokenizer),
            options.prompt,
            tokens=options.tokens,
            numerics=options.numerics,
            temperature=options.temperature,
            top_k=options.top_k,
            seed=options.seed,
            end=options.end,
            on_text=show,
        )
    except (OSError, ValueError, ModuleNotFoundError, RunError) as error:
        print(f"\nerror: {error}", file=sys.stderr)
        return 1
    print()
    print(f"{made.target}: {made.summary}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
