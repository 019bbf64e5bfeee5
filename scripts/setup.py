#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Fills .deps/ with everything the build needs and the system does not have. Safe to run again at any time.

    .deps/torch, .deps/nvidia     libtorch, from the wheels pinned in requirements-libtorch.txt
    .deps/python                  the Vega-Lite renderer, pinned in requirements-vega.txt
    .deps/vega/vega-bundle.js     its JavaScript, for reports that work offline
    .deps/test-venv               with --venv test: what the tests need from Python
    .deps/bench-venv              with --venv bench: PyTorch, for `make bench`

Each part is installed into .deps/.partial, checked, moved into place, and only then stamped in .deps/stamps; an
interrupted run leaves no part that looks complete. A part whose stamp matches its pinned requirements is left alone.
LIBTORCH in the environment names another libtorch 2.11, and then none is downloaded.

Run from a checkout that SwiftPM made for another package, ROOT/.build/checkouts/NAME, it fills ROOT/.deps, which is where
that build looks; --into names another folder.
"""

import argparse
import fcntl
import glob
import hashlib
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parent
ROOT = SCRIPTS.parent

MINIMUM_SWIFT = (6, 2)
MINIMUM_PYTHON = (3, 9)
MINIMUM_PIP = (20, 3)  # the first that takes --platform more than once
MINIMUM_GLIBC = (2, 28)  # what the libtorch wheels were built for
LIBTORCH_VERSION = "2.11.0"
GIGABYTE = 10**9

# The platform tags that the pinned wheels carry. pip does not add older tags by itself when it is told a platform.
WHEEL_PLATFORMS = ("manylinux_2_28", "manylinux_2_25", "manylinux_2_17")

VENVS = {"test": (0.4, MINIMUM_PYTHON), "bench": (8.5, (3, 10))}  # free gigabytes needed, oldest Python


class Problem(Exception):
    """Something the person has to put right: one sentence on what is wrong, one on what to do."""

    def __init__(self, what, remedy):
        super().__init__(what)
        self.remedy = remedy


def say(text):
    print(text, flush=True)


def version_text(parts):
    return ".".join(str(part) for part in parts)


def output_of(*command):
    """Standard output and error of a command, or None when it is missing or fails."""
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
    except OSError:
        return None
    return done.stdout.decode(errors="replace") if done.returncode == 0 else None


# ---------------------------------------------------------------------------------------------------------------------
# System packages


def install_command(packages):
    """The command that installs system packages here, as a list, or None when the package manager is unknown."""
    for manager, options, column in (("apt-get", ["-y"], 0), ("dnf", ["-y"], 1), ("brew", [], 2)):
        if shutil.which(manager) and all(len(names) > column for names in packages):
            return [manager, "install", *options] + [names[column] for names in packages]
    return None


def require_packages(what, packages, satisfied):
    """Installs system packages when this is root on a Debian or Ubuntu machine; otherwise names the exact command.

    `packages` holds an apt name, a dnf name and, where there is one, a Homebrew name for each; `satisfied` says whether
    the need is met now.
    """
    command = install_command(packages)
    is_root = os.geteuid() == 0
    if command is None:
        names = " ".join(names[0] for names in packages)
        raise Problem(f"{what}.", f"Install it with your system's package manager (on Debian: {names}).")
    by_hand = ("" if is_root or command[0] == "brew" else "sudo ") + shlex.join(command)
    if not is_root or command[0] != "apt-get":
        raise Problem(f"{what}.", f"Run: {by_hand}")

    say(f"{what}; installing {' '.join(command[3:])} ...")
    environment = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    quiet = ["apt-get", "-qq", "-o", "Dpkg::Use-Pty=0"]
    log = b""
    for refresh in (False, True):
        if refresh:
            log += subprocess.run(
                quiet + ["update"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
            ).stdout
        done = subprocess.run(
            quiet + command[1:], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        log += done.stdout
        if done.returncode == 0 and satisfied():
            return
    sys.stderr.write(log.decode(errors="replace")[-2000:])
    raise Problem(f"{what}, and installing it did not work (see above).", f"Run: apt-get update && {by_hand}")


def check_git():
    if not shutil.which("git"):
        require_packages("git is missing (SwiftPM fetches packages with it)", [("git", "git")],
                         lambda: shutil.which("git") is not None)


def check_swift():
    remedy = "Install Swift from https://www.swift.org/install and put it on the PATH."
    if not shutil.which("swift"):
        raise Problem(f"Swift is missing; this package needs {version_text(MINIMUM_SWIFT)} or newer.", remedy)
    text = output_of("swift", "--version") or ""
    found = re.search(r"Swift version (\d+)\.(\d+)", text)
    if not found:
        raise Problem(f"`swift --version` did not report a version: {text.strip()[:200]!r}.", remedy)
    if (int(found[1]), int(found[2])) < MINIMUM_SWIFT:
        raise Problem(
            f"Swift {found[1]}.{found[2]} is too old; this package needs {version_text(MINIMUM_SWIFT)} or newer.",
            remedy)


def clang():
    """The C++ compiler of the Swift toolchain, which is the one SwiftPM will call."""
    beside = Path(os.path.realpath(shutil.which("swift"))).with_name("clang++")
    return str(beside) if beside.exists() else shutil.which("clang++") or shutil.which("c++") or "clang++"


def compiles(*includes):
    source = "".join(f"#include <{name}>\n" for name in includes)
    flags = (output_of("pkg-config", "--cflags", "libjpeg", "libpng") or "").split()  # where SwiftPM looks, too
    try:
        done = subprocess.run([clang(), *flags, "-x", "c++", "-std=c++20", "-E", "-o", os.devnull, "-"],
                              input=source.encode(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    except OSError:
        return False
    return done.returncode == 0


# Header, its apt, dnf and Homebrew packages, and what it is called.
LIBRARIES = [
    ("zlib.h", ("zlib1g-dev", "zlib-devel", "zlib"), "zlib"),
    ("jpeglib.h", ("libjpeg-dev", "libjpeg-turbo-devel", "jpeg-turbo"), "libjpeg-turbo"),
    ("png.h", ("libpng-dev", "libpng-devel", "libpng"), "libpng"),
]


def check_headers():
    headers = ["cstddef", "cstdio", *(header for header, _, _ in LIBRARIES)]
    if compiles(*headers):
        return
    packages = []
    missing = []
    if not compiles("cstddef"):
        # clang takes the newest GCC folder it finds, and wants the headers of that very version.
        probe = subprocess.run([clang(), "-v", "-x", "c++", "-E", "-o", os.devnull, os.devnull],
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT).stdout.decode(errors="replace")
        gcc = re.search(r"Selected GCC installation: \S*/(\d+)", probe)
        packages.append((f"libstdc++-{gcc[1]}-dev" if gcc else "g++", "libstdc++-devel"))
        missing.append("the C++ standard library's headers")
    for header, names, library in LIBRARIES:
        # Without the C++ headers nothing compiles, and only the usual places can be looked at.
        found = (any(os.path.exists(f"{folder}/{header}") for folder in ("/usr/include", "/usr/local/include"))
                 if packages and missing[0].startswith("the C++") else compiles("cstddef", "cstdio", header))
        if not found:
            packages.append(names)
            missing.append(f"the headers of {library}")
    if not packages:
        raise Problem(f"{clang()} cannot compile a file that includes {', '.join(f'<{name}>' for name in headers)}.",
                      f"Try it: echo '#include <zlib.h>' | {clang()} -x c++ -E - > /dev/null")
    require_packages("Missing: " + ", ".join(missing), packages, lambda: compiles(*headers))


# ---------------------------------------------------------------------------------------------------------------------
# pip


def pip_environment(temporary):
    """The person's own pip settings (mirror, proxy, certificates) without those that redirect an installation."""
    dropped = ("PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_PYTHON", "PIP_CONSTRAINT", "PIP_REQUIREMENT",
               "PIP_NO_BINARY", "PIP_PLATFORM", "PYTHONPATH", "PYTHONHOME")
    environment = {key: value for key, value in os.environ.items() if key not in dropped}
    environment.update(PIP_USER="0", PIP_REQUIRE_VIRTUALENV="0", PIP_NO_INPUT="1", PIP_DISABLE_PIP_VERSION_CHECK="1",
                       PIP_ROOT_USER_ACTION="ignore",
                       TMPDIR=str(temporary))  # /tmp may be small, and a move within one disk is free
    return environment


def pip_version(python):
    found = re.match(r"pip (\d+)\.(\d+)", output_of(python, "-m", "pip", "--version") or "")
    return (int(found[1]), int(found[2])) if found else None


def find_pip(deps):
    """A Python whose pip is new enough: this one, or a private one in .deps that the standard library can make."""
    found = pip_version(sys.executable)
    if found and found >= MINIMUM_PIP:
        return sys.executable
    private = deps / "pip-venv"
    python = str(private / "bin" / "python")
    if (pip_version(python) or (0, 0)) >= MINIMUM_PIP:
        return python
    shutil.rmtree(private, ignore_errors=True)
    if output_of(sys.executable, "-m", "venv", str(private)) and (pip_version(python) or (0, 0)) >= MINIMUM_PIP:
        return python
    if (pip_version(python) or (0, 0)) >= MINIMUM_PIP:  # venv prints nothing when all is well
        return python
    shutil.rmtree(private, ignore_errors=True)
    if found:
        raise Problem(f"pip {version_text(found)} is too old; the set-up needs {version_text(MINIMUM_PIP)} or newer.",
                      f"Run: {sys.executable} -m pip install --upgrade pip")
    what = f"pip is missing for {sys.executable}"
    if os.path.realpath(sys.executable).startswith("/usr/bin/") and install_command([("", "")]):
        require_packages(what, [("python3-pip", "python3-pip")], lambda: pip_version(sys.executable) is not None)
        return sys.executable
    raise Problem(f"{what}.", f"Run: {sys.executable} -m ensurepip --upgrade")


# What pip says, in the order to look for it: (pattern, what is wrong, what to do, worth another try at once).
PIP_FAILURES = (
    (r"DO NOT MATCH THE HASHES|Hashes are required|does not match the expected hash",
     "A downloaded file does not have the pinned SHA-256, so it was damaged or replaced in transit; "
     "nothing was installed.",
     "Run `{pip} cache purge` and try again. If it happens again, the mirror or proxy in use serves other files.",
     False),
    (r"No space left on device|Disk quota exceeded|\[Errno 28\]|\[Errno 122\]",
     "The disk is full.", "Make room (about {gigabytes:g} GB under {deps}) and run the same command again.", False),
    (r"CERTIFICATE_VERIFY_FAILED|SSLError",
     "The download server's certificate could not be verified.",
     "Behind a company proxy, point to its certificate: export PIP_CERT=/path/to/ca.pem", False),
    (r"IncompleteRead|Connection broken|ConnectionResetError|Read timed out|ProtocolError|ChunkedEncodingError",
     "The connection was lost during the download.", "Run the same command again.", True),
    (r"NewConnectionError|NameResolutionError|Temporary failure in name resolution|Network is unreachable|"
     r"ConnectTimeout|ProxyError|Connection refused|Failed to establish a new connection",
     "The Python package index cannot be reached.",
     "Check the network (and HTTPS_PROXY, or PIP_INDEX_URL for a mirror) and run the same command again. Without a "
     "network, put the wheels named in {requirements} into a folder and run: PIP_NO_INDEX=1 PIP_FIND_LINKS=FOLDER "
     "make setup", False),
    (r"No matching distribution found|Could not find a version",
     "The package index in use does not offer a pinned version that fits this machine.",
     "Check PIP_INDEX_URL and `{pip} config list`; the versions are in {requirements}.", False),
    (r"Permission denied|Read-only file system", "{deps} cannot be written.", "Make it writable, or run as its owner.",
     False),
)


def pip_install(deps, partial, target, requirements, gigabytes, options=()):
    """Runs pip into `target`, and turns what it says on failure into a Problem."""
    require_space(deps, gigabytes)
    python = find_pip(deps)
    temporary = partial / "tmp"
    temporary.mkdir(exist_ok=True)
    command = [python, "-m", "pip", "install", "--target", str(target), "--only-binary=:all:", "--upgrade",
               "--requirement", str(requirements), *options]
    if not sys.stdout.isatty():
        command.append("--quiet")
    for last in (False, False, True):
        process = subprocess.Popen(command, env=pip_environment(temporary), stdin=subprocess.DEVNULL,
                                   stderr=subprocess.PIPE)
        said = []
        try:
            for line in process.stderr:
                said.append(line.decode(errors="replace"))
                sys.stderr.write(said[-1])
            process.wait()
        except BaseException:  # Ctrl-C: pip must be gone before its folder is
            process.kill()
            process.wait()
            raise
        if process.returncode == 0:
            return
        text = "".join(said)
        for pattern, what, remedy, again in PIP_FAILURES:
            if re.search(pattern, text):
                break
        else:
            what, remedy, again = "pip failed (see above).", "Run the command by hand: {command}", False
        if again and not last:
            say(f"{what} Trying again ...")
            continue
        words = dict(pip=f"{python} -m pip", deps=deps, gigabytes=gigabytes, requirements=requirements,
                     command=shlex.join(command))
        raise Problem(what.format(**words), remedy.format(**words))


def require_space(folder, gigabytes):
    free = shutil.disk_usage(folder).free / GIGABYTE
    if free < gigabytes:
        raise Problem(f"{folder} has {free:.1f} GB free; this step needs {gigabytes:g} GB while it runs.",
                      "Make room, or make .deps a link to a folder on a larger disk, and run the same command again.")


# ---------------------------------------------------------------------------------------------------------------------
# Parts


class Part:
    """One installed thing: stamped with what it was made from, and trusted only when its key files are there."""

    def __init__(self, deps, name, made_from, key_files):
        self.stamp = deps / "stamps" / name
        self.key = hashlib.sha256("\0".join(made_from).encode()).hexdigest() + "\n"
        self.key_files = [deps / path for path in key_files]

    def is_complete(self):
        try:
            return self.stamp.read_text() == self.key and all(path.exists() for path in self.key_files)
        except OSError:
            return False

    def begin(self):
        self.stamp.unlink() if self.stamp.exists() else None

    def finish(self):
        missing = [path for path in self.key_files if not path.exists()]
        if missing:
            raise Problem(f"The installation finished without {missing[0]}.", "Remove .deps and run the set-up again.")
        self.stamp.parent.mkdir(exist_ok=True)
        temporary = self.stamp.with_name(self.stamp.name + ".tmp")
        temporary.write_text(self.key)
        os.replace(temporary, self.stamp)


def move_into_place(source, destination, partial):
    """Puts `source` where `destination` is, by renames alone; the old one is deleted afterwards."""
    old = partial / ("old-" + destination.name)
    if destination.is_symlink() or destination.is_file():
        destination.unlink()
    elif destination.exists():
        os.rename(destination, old)
    os.rename(source, destination)
    shutil.rmtree(old, ignore_errors=True)


def loading_error(libtorch):
    """What the dynamic loader says about torch_cpu, or None when it loads. Tried in a process of its own."""
    done = subprocess.run([sys.executable, "-c", "import ctypes, sys; ctypes.CDLL(sys.argv[1])",
                           str(libtorch / "lib" / "libtorch_cpu.so")],
                          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    return None if done.returncode == 0 else done.stderr.decode(errors="replace").strip().split("\n")[-1][:300]


def libtorch_version(folder):
    """The version that the headers state, or None."""
    for header in ("include/torch/headeronly/version.h", "include/torch/csrc/api/include/torch/version.h"):
        try:
            text = (folder / header).read_text(errors="replace")
        except OSError:
            continue
        parts = [re.search(rf"#define TORCH_VERSION_{name} (\d+)", text) for name in ("MAJOR", "MINOR", "PATCH")]
        if all(parts):
            return version_text(part[1] for part in parts)
    return None


def check_own_libtorch(place):
    """Checks the libtorch that LIBTORCH names."""
    remedy = ("Let it name a folder with include/ and lib/ (the `torch` folder of a Python installation, or an "
              "unpacked libtorch archive), or unset it to have the pinned one installed.")
    folder = Path(place).expanduser()
    if not folder.is_absolute():
        raise Problem(f"LIBTORCH is {place!r}, which is not an absolute path.", remedy)
    if not folder.is_dir():
        raise Problem(f"LIBTORCH names {place}, which is not a folder.", remedy)
    suffix = "dylib" if sys.platform == "darwin" else "so"
    for part in ("include/torch/csrc/api/include/torch/torch.h", f"lib/libtorch_cpu.{suffix}", f"lib/libc10.{suffix}"):
        if not (folder / part).exists():
            raise Problem(f"LIBTORCH names {place}, which has no {part}.", remedy)
    found = libtorch_version(folder)
    wanted = LIBTORCH_VERSION.rsplit(".", 1)[0]
    if found is None or not found.startswith(wanted + "."):
        raise Problem(f"LIBTORCH names libtorch {found or 'of unknown version'}; this package needs {wanted}.", remedy)
    return f"libtorch {found} from LIBTORCH ({place})"


def install_libtorch(deps, partial):
    machine = platform.machine()
    requirements = SCRIPTS / "requirements-libtorch.txt"
    part = Part(deps, "libtorch", [requirements.read_text(), machine],
                ["torch/include/torch/csrc/api/include/torch/torch.h", "torch/lib/libtorch_cpu.so",
                 "torch/lib/libc10.so"])
    if part.is_complete():
        return None
    if sys.platform != "linux" or machine not in ("x86_64", "aarch64"):
        raise Problem(f"No libtorch is pinned for {platform.system()} on {machine}.",
                      f"Install libtorch {LIBTORCH_VERSION} and name its folder: export LIBTORCH=/path/to/torch")
    libc = re.match(r"glibc (\d+)\.(\d+)", os.confstr("CS_GNU_LIBC_VERSION") or "") \
        if "CS_GNU_LIBC_VERSION" in os.confstr_names else None
    if not libc or (int(libc[1]), int(libc[2])) < MINIMUM_GLIBC:
        raise Problem(f"libtorch needs glibc {version_text(MINIMUM_GLIBC)} or newer; this system has "
                      f"{libc[0] if libc else 'another C library'}.",
                      "Use a newer distribution, or build libtorch and name its folder in LIBTORCH.")

    say(f"Installing libtorch {LIBTORCH_VERSION} (a download of 0.5 GB, 1.2 GB on disk) ...")
    part.begin()
    staging = partial / "libtorch"
    platforms = [word for name in WHEEL_PLATFORMS for word in ("--platform", f"{name}_{machine}")]
    pip_install(deps, partial, staging, requirements, 2.2, [
        "--no-deps", "--require-hashes", "--no-compile",
        "--python-version", "3.11", "--implementation", "cp", "--abi", "cp311", *platforms])
    error = loading_error(staging / "torch")
    if error:
        raise Problem(f"The installed libtorch does not load: {error}.",
                      "Install the system library that this names, and run the same command again.")
    shutil.rmtree(staging / "bin", ignore_errors=True)  # launchers for Python, of no use here
    for entry in sorted(staging.iterdir(), key=lambda entry: entry.name == "torch"):
        move_into_place(entry, deps / entry.name, partial)
    part.finish()
    return f"libtorch {LIBTORCH_VERSION}"


def install_vega(deps, partial):
    requirements = SCRIPTS / "requirements-vega.txt"
    script = SCRIPTS / "make-vega-bundle.py"
    changed = []

    renderer = Part(deps, "vega-renderer", [requirements.read_text(), platform.machine()],
                    ["python/vl_convert/__init__.py"])
    if not renderer.is_complete():
        say("Installing the Vega-Lite renderer (a download of 34 MB) ...")
        renderer.begin()
        pip_install(deps, partial, partial / "python", requirements, 0.3, ["--no-deps", "--require-hashes"])
        move_into_place(partial / "python", deps / "python", partial)
        renderer.finish()
        changed.append("Vega-Lite renderer")

    bundle = Part(deps, "vega-bundle", [requirements.read_text(), script.read_text()], ["vega/vega-bundle.js"])
    if not bundle.is_complete():
        bundle.begin()
        staging = partial / "vega"
        staging.mkdir()
        output = staging / "vega-bundle.js"
        done = subprocess.run([sys.executable, str(script), str(output)],
                              env=dict(os.environ, PYTHONPATH=str(deps / "python")),
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if done.returncode != 0 or not output.exists() or output.stat().st_size == 0:
            sys.stderr.write(done.stdout.decode(errors="replace"))
            raise Problem(f"{script.name} did not write the Vega bundle (see above).",
                          f"Try it: PYTHONPATH={deps / 'python'} {sys.executable} {script} /tmp/vega-bundle.js")
        move_into_place(staging, deps / "vega", partial)
        bundle.finish()
        changed.append(f"Vega bundle ({(deps / 'vega/vega-bundle.js').stat().st_size / 1e6:.1f} MB)")
    return ", ".join(changed) or None


def install_venv(deps, partial, name):
    """A virtual environment with the pinned packages, made without ensurepip (which Debian packages apart)."""
    gigabytes, oldest = VENVS[name]
    requirements = SCRIPTS / f"requirements-{name}.txt"
    folder = deps / f"{name}-venv"
    part = Part(deps, f"{name}-venv", [requirements.read_text(), platform.machine(), sys.version, sys.base_prefix],
                [f"{name}-venv/bin/python"])
    if part.is_complete():
        return None
    if sys.version_info[:2] < oldest:
        raise Problem(f"The {name} environment needs Python {version_text(oldest)} or newer; "
                      f"{sys.executable} is {platform.python_version()}.",
                      "Name a newer one: make PYTHON=python3.12 " + ("bench" if name == "bench" else "test"))
    say(f"Installing the {name} environment ({'several GB' if gigabytes > 2 else 'a download of 30 MB'}) ...")
    part.begin()
    staging = partial / "packages"
    pip_install(deps, partial, staging, requirements, gigabytes, ["--no-warn-conflicts"])
    if folder.exists() or folder.is_symlink():
        os.rename(folder, partial / f"old-{name}-venv")
    done = subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode != 0:
        sys.stderr.write(done.stdout.decode(errors="replace"))
        raise Problem(f"{sys.executable} cannot make a virtual environment (see above).",
                      "On Debian and Ubuntu: apt-get install python3-venv")
    packages = Path(glob.glob(str(folder / "lib" / "python*" / "site-packages"))[0])
    for entry in staging.iterdir():
        move_into_place(entry, packages / entry.name, partial)
    part.finish()
    return f"{name} environment"


# ---------------------------------------------------------------------------------------------------------------------


def hold_lock(deps):
    """Lets one set-up at a time work on a folder; the lock goes with the process."""
    lock = open(deps / ".lock", "w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        say(f"Another set-up is running in {deps}; waiting for it ...")
        fcntl.flock(lock, fcntl.LOCK_EX)
    return lock


def set_up(deps, venvs):
    if sys.version_info[:2] < MINIMUM_PYTHON:
        raise Problem(f"Python {platform.python_version()} is too old; the set-up needs "
                      f"{version_text(MINIMUM_PYTHON)} or newer.", "Name a newer one: make setup PYTHON=python3.12")
    check_git()
    check_swift()
    check_headers()
    place = os.environ.get("LIBTORCH")
    own = check_own_libtorch(place) if place else None
    if own:
        say(f"Using {own}.")

    try:
        deps.mkdir(parents=True, exist_ok=True)
        lock = hold_lock(deps)
        partial = deps / ".partial"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
    except OSError as error:
        raise Problem(f"{deps} cannot be written: {error.strerror}.", "Make it writable, or run as its owner.")
    try:
        done = [] if own else [install_libtorch(deps, partial)]
        done.append(install_vega(deps, partial))
        done += [install_venv(deps, partial, name) for name in venvs]
    except OSError as error:
        raise Problem(f"{error.filename or deps}: {error.strerror or error}.",
                      "Check that the disk has room and can be written, and run the same command again.")
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        lock.close()
    return [text for text in done if text]


def usual_deps():
    """Where Package.swift looks: .deps beside it, or in the package that it is checked out for."""
    is_checkout = ROOT.parent.name == "checkouts" and ROOT.parent.parent.name == ".build"
    return (ROOT.parents[2] if is_checkout else ROOT) / ".deps"


def main():
    parser = argparse.ArgumentParser(description="Installs what the build needs into .deps. Safe to run again.")
    parser.add_argument("--into", "--deps", dest="deps", metavar="DIR", type=Path,
                        default=Path(os.environ.get("DEPS") or usual_deps()),
                        help="the folder to fill (default: DEPS in the environment, or .deps of the package that is "
                             "built, where the build looks; for another folder set LIBTORCH=DIR/torch when building)")
    parser.add_argument("--venv", action="append", choices=sorted(VENVS), default=[],
                        help="also make this Python environment; may be given twice")
    arguments = parser.parse_args()
    start = time.monotonic()
    try:
        deps = Path(os.path.abspath(os.path.expanduser(arguments.deps)))
        done = set_up(deps, list(dict.fromkeys(arguments.venv)))
    except Problem as problem:
        sys.stdout.flush()
        sys.stderr.write(f"\nerror: {problem}\n       {problem.remedy}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("\nStopped; nothing is left half installed. Run the same command to continue.\n")
        return 130
    seconds = time.monotonic() - start
    if done:
        say(f"Set-up complete in {seconds:.0f} s: {', '.join(done)}, in {deps}.")
    else:
        say(f"Set-up is complete; nothing to do ({seconds:.1f} s).")
    return 0


if __name__ == "__main__":
    sys.exit(main())
