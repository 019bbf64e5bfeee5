# SPDX-License-Identifier: Apache-2.0
"""The pack as a Python wheel: `pip install` gives the command `coherent`, on the torch that the wheel depends on."""

import base64
import hashlib
import os
import platform
import zipfile

PACKAGE = "coherent_gradients"
TORCH = "2.11.0"

MAIN = '''# SPDX-License-Identifier: Apache-2.0
"""Starts the program coherent on the libtorch of this Python's torch."""

import importlib.metadata
import importlib.util
import os
import sys


def libtorch():
    """The folder of torch, which must be the version that the program was built with."""
    own = os.environ.get("LIBTORCH")
    if own:
        return own
    found = importlib.util.find_spec("torch")
    if found is None or not found.submodule_search_locations:
        sys.exit("error: this Python has no torch. Run: python3 -m pip install torch==@TORCH@")
    try:
        version = importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        version = "@TORCH@"
    if version.split("+")[0] != "@TORCH@":
        sys.exit(f"error: torch {version} is installed, but coherent was built with @TORCH@. "
                 "Run: python3 -m pip install torch==@TORCH@")
    return list(found.submodule_search_locations)[0]


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    paths = [os.path.join(libtorch(), "lib"), os.environ.get("LD_LIBRARY_PATH", "")]
    os.environ["LD_LIBRARY_PATH"] = ":".join(path for path in paths if path)
    program = os.path.join(here, "pack", "bin", "coherent")
    try:
        os.execv(program, ["coherent", *sys.argv[1:]])
    except OSError as error:
        sys.exit(f"error: {program} cannot be started: {error.strerror}. Install the wheel again.")


if __name__ == "__main__":
    main()
'''

METADATA = """Metadata-Version: 2.1
Name: coherent-gradients
Version: @VERSION@
Summary: Measures, exploits and explains coherent gradients; the program coherent
License: Apache-2.0
Requires-Python: >=3.9
Requires-Dist: torch==@TORCH@
Description-Content-Type: text/markdown

# CoherentGradients

The program `coherent` on the libtorch of PyTorch @TORCH@, on the CPU or, with a torch for CUDA, on a GPU.

    coherent demo
    coherent train --dataset digits --model mlp:256 --noise 0.5 --optimizer m3 --steps 500 --out runs/first
    torchrun --no-python --nproc-per-node 3 coherent train --dataset digits --model mlp:256 --optimizer m3 --out runs/second

The system needs glibc @GLIBC@ or newer.
"""


def write(stage, version, glibc, folder):
    """Writes the wheel of a staged pack; the same bytes for the same files. Gives its path."""
    tag = f"py3-none-manylinux_{glibc[0]}_{glibc[1]}_{platform.machine()}"
    info = f"{PACKAGE}-{version}.dist-info"
    def text(template):
        for key, value in (("VERSION", version), ("TORCH", TORCH), ("GLIBC", ".".join(map(str, glibc)))):
            template = template.replace(f"@{key}@", value)
        return template.encode()

    files = [
        (f"{PACKAGE}/__init__.py", f'"""The program coherent."""\n\n__version__ = "{version}"\n'.encode(), 0o644),
        (f"{PACKAGE}/__main__.py", text(MAIN), 0o644),
    ]
    for path in sorted(stage.rglob("*")):
        # The launcher and its page are those of the tarball.
        if path.is_file() and path.relative_to(stage).as_posix() not in ("coherent", "README.md"):
            files.append((f"{PACKAGE}/pack/{path.relative_to(stage).as_posix()}", path.read_bytes(),
                          0o755 if os.access(path, os.X_OK) else 0o644))
    files += [
        (f"{info}/METADATA", text(METADATA), 0o644),
        (f"{info}/WHEEL", f"Wheel-Version: 1.0\nGenerator: make-dist\nRoot-Is-Purelib: false\nTag: {tag}\n".encode(), 0o644),
        (f"{info}/entry_points.txt", f"[console_scripts]\ncoherent = {PACKAGE}.__main__:main\n".encode(), 0o644),
    ]
    record = "".join(
        f"{name},sha256={base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b'=').decode()},{len(data)}\n"
        for name, data, _ in files)
    files.append((f"{info}/RECORD", (record + f"{info}/RECORD,,\n").encode(), 0o644))

    folder.mkdir(exist_ok=True)
    wheel = folder / f"{PACKAGE}-{version}-{tag}.whl"
    partial = wheel.with_name(wheel.name + ".part")
    with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, data, mode in files:
            member = zipfile.ZipInfo(name)
            member.external_attr = (0o100000 | mode) << 16
            member.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(member, data)
    os.replace(partial, wheel)
    return wheel
