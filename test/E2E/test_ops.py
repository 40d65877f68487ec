"""Every op of the round-trip tests with altered shapes and attributes: it is refused with a message or evaluated."""

from __future__ import annotations

import concurrent.futures
import os
import pathlib
import re
import subprocess

import pytest

BIN = pathlib.Path(os.environ["ANE_MLIR_BIN"])
FILES = sorted((pathlib.Path(__file__).parents[1] / "Dialect" / "ANE" / "RoundTrip").glob("*.mlir"))


def with_constants(function: str) -> str:
    """The function with its arguments as constants."""
    head = re.match(r"(func\.func @\w+\()(.*?)(\) -> .*?\{\n)", function, re.DOTALL)
    constants = ""
    for name, tensor in re.findall(r"(%arg\d+): (tensor<[^>]*>)", head[2]):
        element = tensor[7:-1].split("x")[-1]
        value = "true" if element == "i1" else "1.0" if element[0] in "fb" else "1"
        constants += f"  {name} = ane.constant dense<{value}> : {tensor}\n"
    return head[1] + head[3] + constants + function[head.end() :]


def variants(function: str):
    yield function
    for tensor in dict.fromkeys(re.findall(r"tensor<[^>]*>", function)):
        dims, element = re.findall(r"\d+(?=x)", tensor), tensor[7:-1].split("x")[-1]
        for altered in ([*dims, "3"], dims[1:], [*dims[:-1], "9"], ["0", *dims[1:]], ["?"] * len(dims)):
            yield function.replace(tensor, "tensor<" + "x".join([*altered, element]) + ">")
    line = next(i for i, text in enumerate(function.splitlines()) if " ane." in text)
    lines = function.splitlines()
    attributes = re.search(r"\{.*\}", lines[line])
    for number in re.finditer(r"(?<=[ :,])-?\d+(?=[ ,>])", attributes[0]) if attributes else []:
        for value in ("-9", "-1", "0", "7", "1099511627776", "9223372036854775807", "-9223372036854775808"):
            text = attributes[0][: number.start()] + value + attributes[0][number.end() :]
            yield "\n".join([*lines[:line], lines[line].replace(attributes[0], text), *lines[line + 1 :]])


def evaluate(text: str) -> str:
    command = [BIN / "ane-opt", "-", "--ane-evaluate-constants=numerics=fp32"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=120)
    if done.returncode == 0 or (done.returncode == 1 and "error: " in done.stderr):
        return ""
    return f"exit {done.returncode}: {done.stderr[:1500]}\n{text}"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_altered(file: pathlib.Path) -> None:
    functions = re.findall(r"^func\.func.*?^\}", file.read_text(), re.DOTALL | re.MULTILINE)
    assert functions
    assert not evaluate(with_constants(functions[0]))
    texts = [with_constants(variant) for function in functions for variant in variants(function)]
    with concurrent.futures.ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        bad = [message for message in pool.map(evaluate, texts) if message]
    assert not bad, f"{len(bad)} of {len(texts)}\n" + "\n".join(bad[:4])
