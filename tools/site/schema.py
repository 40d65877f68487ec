"""The JSON schema of manifest.json: what flatc says of Manifest.fbs, with the differences of the JSON form.

Usage: schema.py MANIFEST.fbs (prints it)
"""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys
import tempfile
from typing import Any

PREFIX = "anemlir_manifest_"


def by_name(table: dict[str, Any], key: str) -> dict[str, Any]:
    """An object whose keys are what lists in FlatBuffers name by a field."""
    rest = {name: kind for name, kind in table["properties"].items() if name != key}
    value = next(iter(rest.values())) if len(rest) == 1 else {**table, "properties": rest}
    return {"type": "object", "additionalProperties": value}


def make(source: pathlib.Path) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["flatc", "--jsonschema", "-o", folder, source], check=True)
        text = next(pathlib.Path(folder).iterdir()).read_text()
    described: dict[str, Any] = json.loads(text.replace(PREFIX, ""))
    tables = described["definitions"]
    tables["Weights"]["description"] = "A weight file and what the program sees of it; in JSON the path is the key."
    tables["Program"]["properties"]["weights"] = {**by_name(tables["Weights"], "path"), "description": "By the path that is written in the MIL text."}
    tables["Function"]["properties"]["dims"] = {**by_name(tables["Dim"], "name"), "description": "Extents by the names of dimensions."}
    for name in ("Weights", "Dim"):
        del tables[name]
    weights = tables["Program"]["properties"]["weights"]["additionalProperties"]
    tables["WeightFile"] = weights
    tables["Program"]["properties"]["weights"]["additionalProperties"] = {"$ref": "#/definitions/WeightFile"}
    tables["Manifest"]["required"] = ["version", "producer", "target", "dialect", "tensors", "programs", "schedule", "inputs", "outputs", "provenance", "budgets"]
    described["title"] = "manifest.json of an .anepkg"
    return described


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    print(json.dumps(make(pathlib.Path(sys.argv[1])), indent=2))
