"""Fails with the ops of the coverage table (first argument) that no round-trip test (further arguments) holds."""

import pathlib
import re
import sys

ops = set(re.findall(r"^\| `ane\.(\w+)`", pathlib.Path(sys.argv[1]).read_text(), re.MULTILINE))
tested = {op for file in sys.argv[2:] for op in re.findall(r"CHECK: .*\bane\.(\w+)", pathlib.Path(file).read_text())}
missing = sorted(ops - tested)
print(f"{len(ops)} ops, missing: {missing}")
sys.exit(bool(missing) or len(ops) == 0)
