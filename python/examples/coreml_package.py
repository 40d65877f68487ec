"""Somebody's Core ML package: what it is, what would be refused, where it would run, and what compiling changes.

    python coreml_package.py theirs.mlpackage        (without one, it makes a package first)
"""

from __future__ import annotations

import pathlib
import sys
import tempfile

import ane_mlir

DIGITS = pathlib.Path(__file__).resolve().parents[2] / "test" / "E2E" / "digits" / "digits.onnx"


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        theirs = sys.argv[1] if len(sys.argv) > 1 else str(ane_mlir.compile(DIGITS, dims={"batch": 1}, output=f"{folder}/theirs.mlpackage").path)
        info = ane_mlir.info(theirs)
        print(f"specification {info['specification']}, from {', '.join(info['deployment'])} on")
        for function in info["functions"]:
            for port in function["inputs"] + function["outputs"]:
                print(" ", port["name"], port["kind"], port["dtype"], port["shape"])
        for finding in ane_mlir.verify(theirs):
            print(finding)

        for target in ("m1", "m4", "a17"):
            print(target, repr(ane_mlir.check(theirs, target=target)))

        ours = ane_mlir.compile(theirs, output=f"{folder}/ours.anepkg")
        difference = ane_mlir.diff(theirs, ours.path)
        graph = difference["graph"]
        print(f"{len(graph['added'])} operations added, {len(graph['removed'])} removed, {len(graph['changed'])} changed; results {'agree' if difference['same'] else 'differ'}")
        return 0 if difference["same"] else 1


if __name__ == "__main__":
    sys.exit(main())
