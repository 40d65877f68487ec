"""Op lists of engine programs: one line per op, enough for the cost model, written from and expanded to `ane` IR.

A line is `op operands {attributes} > result types`. Operands are line numbers (`12`, or `12.1` for the second result), `@0` for
an argument of the program, or `c` and a type for a constant (`c64x3x7x7`; `c64x64x1x1/2` where two bits each are stored). The first line holds the types of the arguments,
the last one (`return`) the outputs. Types are shapes of f16 unless they end in another element type; attributes that are
what they nearly always are (DEFAULTS) are left out.
"""

from __future__ import annotations

import re

DEFAULTS = {"strides": "[1, 1]", "dilations": "[1, 1]", "pad": "[0, 0, 0, 0]", "pad_type": '"custom"', "interleave": "false"}
# Which attributes are filled in for which op.
FILLED = {
    "conv": ("strides", "dilations", "pad", "pad_type"),
    "conv_transpose": ("strides", "dilations", "pad", "pad_type"),
    "concat": ("interleave",),
}


def split_top(text: str) -> list[str]:
    """At commas outside of brackets."""
    parts, depth, start = [], 0, 0
    for i, ch in enumerate(text):
        depth += ch in "([{<"
        depth -= ch in ")]}>" and text[i - 1] != "-"
        if ch == "," and depth == 0:
            parts.append(text[start:i].strip())
            start = i + 1
    last = text[start:].strip()
    return parts + [last] if last else parts


def short(tensor: str) -> str:
    return re.fullmatch(r"tensor<(.*?)x?(?:f16)?>", tensor)[1] or "scalar"


def long(shape: str) -> str:
    if shape == "scalar":
        return "tensor<f16>"
    return f"tensor<{shape}>" if re.search(r"(^|x)(i|ui|si|f)\d+$", shape) else f"tensor<{shape}xf16>"


LINE = re.compile(r"(?:(%[\w#:]+) = )?ane\.(\w+) (.*)")


def parse(ir: str) -> list[str]:
    """The op list of the function of an optimised module."""
    known: dict[str, str] = {}
    out: list[str] = []
    arguments: list[str] = []
    returned: list[str] = []
    for line in ir.splitlines():
        line = line.strip()
        if line.startswith("func.func"):
            inside = line[line.index("(") + 1 : line.index(") -> ")]
            for i, argument in enumerate(split_top(inside)):
                known[argument.split(":")[0].strip()] = f"@{i}"
                arguments.append(short(re.search(r"tensor<[^>]*>", argument)[0]))
        elif line.startswith("return "):
            returned = [known[v] for v in split_top(line[7:].split(" : ")[0])]
            break
        elif found := LINE.match(line):
            one_line(found, known, out)
    return ["arguments " + " ".join(arguments)] + out + ["return " + " ".join(returned)]


def one_line(found: re.Match, known: dict[str, str], out: list[str]) -> None:
    """Appends an op's line; `known` maps values of the IR to references."""
    ssa, op, rest = found[1], found[2], found[3]
    name = ssa.split(":")[0]
    signature = rest[rest.rindex(" : ") + 3 :] if op != "constant" else ""
    if op == "constant":
        known[name] = "c" + short(re.search(r"tensor<[^<>]*>$", rest)[0])
        return
    body = rest[: rest.rindex(" : ")]
    attributes = ""
    if brace := re.search(r" ?\{(.*)\}$", body):
        attributes, body = brace[1], body[: brace.start()]
    operands = [known[o] for o in split_top(re.sub(r"[()\[\]]", "", body)) if o.startswith("%")]
    takes, makes = signature.rsplit(" -> ", 1)
    results = [short(t) for t in re.findall(r"tensor<[^>]*>", makes)]
    if operands and all(o.startswith("c") for o in operands):
        for i, r in enumerate(results):
            known[name if len(results) == 1 else f"{name}#{i}"] = "c" + r
        return
    kept = []
    for attribute in split_top(attributes):
        key, _, value = attribute.partition(" = ")
        value = re.sub(r"array<i64(?:: )?([^>]*)>", r"[\1]", value)
        if op in FILLED and value == '"valid"':
            value = '"custom"'  # the pads are zeros
        if not key.startswith("ane.") and DEFAULTS.get(key) != value or (key in DEFAULTS and key not in FILLED.get(op, ())):
            kept.append(f"{key} = {value}")
    number = len(out) + 1
    out.append(f"{op} {' '.join(operands)}" + (" {" + ", ".join(kept) + "}" if kept else "") + " > " + " ".join(results))
    for i in range(len(results)):
        known[name if len(results) == 1 else f"{name}#{i}"] = str(number) if len(results) == 1 else f"{number}.{i}"


def expand(lines: list[str], name: str) -> str:
    """The op list as one engine program."""
    types: dict[str, str] = {}
    arguments = [long(t) for t in lines[0].split()[1:]]
    for i, tensor in enumerate(arguments):
        types[f"@{i}"] = tensor
    body, constants = [], {}

    def use(reference: str) -> str:
        if not reference.startswith("c"):
            return ("%a" if reference[0] == "@" else "%v") + reference.lstrip("@").replace(".", "#")
        shape, _, bits = reference[1:].partition("/")
        tensor = types[reference] = long(shape)
        if reference not in constants and bits:
            stored = tensor.replace("f16", f"i{bits}")
            constants[reference] = f"%c{len(constants)}"
            body.append(f"{constants[reference]}s = ane.constant dense<0> : {stored}")
            body.append(f"{constants[reference]} = ane.cast {constants[reference]}s {{ane.compressed, dtype = f16}} : ({stored}) -> {tensor}")
        elif reference not in constants:
            constants[reference] = f"%c{len(constants)}"
            element = re.search(r"x?([a-z]+)\d+>$", tensor)[1]
            splat = {"i1": "false"}.get(tensor[-3:-1], "0") if element in ("i", "ui", "si") else "0.0"
            body.append(f"{constants[reference]} = ane.constant dense<{splat}> : {tensor}")
        return constants[reference]

    for number, line in enumerate(lines[1:], 1):
        if line.startswith("return"):
            outputs = line.split()[1:]
            break
        attributes = ""
        if brace := re.search(r" \{(.*)\}", line):
            attributes, line = brace[1], line[: brace.start()] + line[brace.end() :]
        op, *operands = line.partition(" > ")[0].split()
        results = [long(w) for w in line.partition(" > ")[2].split()]
        written = split_top(attributes)
        keys = [a.partition(" = ")[0] for a in written]
        written += [f"{key} = {DEFAULTS[key]}" for key in FILLED.get(op, ()) if key not in keys]
        written = [re.sub(r"\[(.*)\]", lambda m: f"array<i64{': ' if m[1] else ''}{m[1]}>", a) for a in written]
        names = [use(o) for o in operands]
        for i, result in enumerate(results):
            types[str(number) if len(results) == 1 else f"{number}.{i}"] = result
        makes = results[0] if len(results) == 1 else "(" + ", ".join(results) + ")"
        body.append(
            f"%v{number}{f':{len(results)}' if len(results) > 1 else ''} = ane.{op} {', '.join(names)} {{{', '.join(written)}}} : ({', '.join(types[o] for o in operands)}) -> {makes}"
        )
    head = ", ".join(f"%a{i}: {t}" for i, t in enumerate(arguments))
    returned = ", ".join(use(o) for o in outputs)
    makes = ", ".join(types[o] for o in outputs)
    return f"ane.program ane @{name}({head}) -> ({makes}) {{\n  " + "\n  ".join(body) + f"\n  ane.return {returned} : {makes}\n}}"

