#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures this package and PyTorch against each other, in one run, on the same threads, and prints the ratios.

First every eager variant of a PyTorch twin runs once, and the fastest becomes the peer. Then both sides run by turns,
each time in a fresh process, for several rounds; whoever went second in one round goes first in the next. The ratio
is the median over the rounds, each round being compared with itself, so that a machine which speeds up or slows down
meanwhile does not tip the scale. The table goes to the terminal, everything measured to Benchmarks/results/latest.json.

Our side is `Benchmarks/.build/release/coherent-benchmarks NAME --json --threads N --samples N`, which prints lines of
JSON like those of Benchmarks/pytorch/common.py. Standard library only.
"""

import argparse
import datetime
import json
import os
import platform
import re
import statistics
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
OURS = HERE / ".build" / "release" / "coherent-benchmarks"
PYTORCH = ROOT / ".deps" / "bench-venv" / "bin" / "python"


@dataclass
class Row:
    """One line of the table: what is measured, by which twin, and how many times PyTorch's speed is asked for."""

    work: str
    name: str  # what both sides call it
    twin: str  # the script in pytorch/
    arguments: list = field(default_factory=list)  # for the twin alone
    shared: list = field(default_factory=list)  # for both sides
    reach: float = 1.0
    rounds: int = 0  # 0: as many as asked for
    needs_mnist: bool = False


ROWS = [
    Row("SGD step 784-2048-10, B=100", "sgd-784-2048-10", "sgd_step.py", ["--model", "784-2048-10"], reach=1.7),
    Row("SGD step 784-256x3-10, B=100", "sgd-784-256-256-256-10", "sgd_step.py", ["--model", "784-256-256-256-10"],
        reach=1.5),
    Row("loss and accuracy of 60 000 examples, 784-2048-10", "evaluate-784-2048-10", "evaluate.py",
        ["--model", "784-2048-10"]),
    Row("MNIST with 50 % label noise, ms per step", "train-mnist", "train_mnist.py",
        shared=["--noise", "0.5", "--noise-kind", "permute", "--steps", "2000", "--eval-every", "500"],
        reach=1.0, rounds=2, needs_mnist=True),
]


def run_side(command, threads):
    """The results that a side prints, one dictionary a line, or the text of why there are none."""
    environment = dict(os.environ, OMP_NUM_THREADS=str(threads), MKL_NUM_THREADS=str(threads))
    try:
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    except OSError as error:
        return [], f"{command[0]}: {error.strerror}"
    results = []
    for line in done.stdout.decode(errors="replace").splitlines():
        if line.startswith("{"):
            results.append(json.loads(line))
    said = done.stderr.decode(errors="replace").strip().splitlines()
    if done.returncode != 0 or not results:
        return [], said[-1] if said else f"exit code {done.returncode}, no result"
    return results, "\n".join(line for line in said if "Error" in line)


def machine(threads):
    cpu = platform.processor()
    try:
        cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())[1]
    except (OSError, TypeError):
        pass

    def line_of(*command):
        try:
            return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=ROOT,
                                  check=True).stdout.decode().splitlines()[0].strip()
        except (OSError, subprocess.CalledProcessError, IndexError):
            return None

    return {"cpu": cpu, "cores": os.cpu_count(), "threads": threads, "system": platform.platform(),
            "swift": line_of("swift", "--version"),
            "pytorch": line_of(str(PYTORCH), "-c", "import torch; print(torch.__version__)"),
            "commit": line_of("git", "rev-parse", "HEAD"),
            "load_at_start": round(os.getloadavg()[0], 2)}


def measure(row, arguments):
    """Everything measured for one row."""
    common = ["--threads", str(arguments.threads), "--samples", str(arguments.samples)]
    shared = row.shared + (["--data-dir", str(arguments.data_dir)] if row.needs_mnist else [])
    twin = [str(PYTORCH), str(HERE / "pytorch" / row.twin), *row.arguments, *shared, *common]
    ours = [str(OURS), row.name, "--json", *shared, *common]
    record = {"work": row.work, "name": row.name, "reach": row.reach, "variants": [], "pytorch": [], "ours": [],
              "notes": []}

    variants, note = run_side(twin + ["--variants", "all" if arguments.compile else "eager"], arguments.threads)
    record["variants"] = variants
    record["notes"] += [note] if note else []
    eager = [result for result in variants if result.get("variant") != "compiled"]
    if not eager:
        return record
    peer = min(eager, key=lambda result: result["median_ms"])["variant"]

    sides = [("pytorch", twin + ["--variants", peer]), ("ours", ours)]
    for number in range(row.rounds or arguments.rounds):
        for side, command in sides if number % 2 == 0 else reversed(sides):
            if side == "ours" and record["notes"] and not record["ours"] and number > 0:
                continue  # it is not there, and will not be
            results, note = run_side(command, arguments.threads)
            if results:
                record[side].append(min(results, key=lambda result: result["median_ms"]))
            elif note not in record["notes"]:
                record["notes"].append(note)
        sys.stderr.write(f"\r{row.name}: round {number + 1} of {row.rounds or arguments.rounds}")
    sys.stderr.write("\n")

    pairs = [(theirs["median_ms"], mine["median_ms"]) for theirs, mine in zip(record["pytorch"], record["ours"])]
    if pairs and len(record["pytorch"]) == len(record["ours"]):
        ratios = [theirs / mine for theirs, mine in pairs]
        record.update(ratio=statistics.median(ratios), ratio_low=min(ratios), ratio_high=max(ratios),
                      met=statistics.median(ratios) >= row.reach)
    return record


def median_of(results, key):
    return statistics.median(result[key] for result in results) if results else None


def table(records):
    def number(value, form):
        return form.format(value) if value is not None else "-"

    lines = ["| work | PyTorch ms | ours ms | ratio (range) | reach | met? | peak RSS PyTorch | peak RSS ours |",
             "|---|--:|--:|--:|--:|---|--:|--:|"]
    for record in records:
        memory = [median_of(record[side], "peak_rss_bytes") for side in ("pytorch", "ours")]
        ratio = "{ratio:.2f}x ({ratio_low:.2f}-{ratio_high:.2f})".format(**record) if "ratio" in record else "-"
        lines.append("| " + " | ".join([
            record["work"],
            number(median_of(record["pytorch"], "median_ms"), "{:.3f}"),
            number(median_of(record["ours"], "median_ms"), "{:.3f}"),
            ratio, f"{record['reach']:g}x", {True: "yes", False: "no", None: "-"}[record.get("met")],
            *(number(bytes and bytes / 2**20, "{:.0f} MiB") for bytes in memory)]) + " |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0],
                                     formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("names", nargs="*", help="only these benchmarks: " + ", ".join(row.name for row in ROWS))
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="threads for both sides")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--samples", type=int, default=40, help="timed samples per process")
    parser.add_argument("--data-dir", type=Path, help="folder with the MNIST files (default: mnist in the folder that "
                        "COHERENT_TEST_DATA names); without it the training run is left out")
    parser.add_argument("--no-compile", dest="compile", action="store_false", help="leave torch.compile out")
    parser.add_argument("--output", type=Path, default=HERE / "results" / "latest.json")
    arguments = parser.parse_args()

    unknown = set(arguments.names) - {row.name for row in ROWS}
    if unknown:
        parser.error(f"no benchmark is called {', '.join(sorted(unknown))}")
    if not PYTORCH.exists():
        sys.exit("error: PyTorch is not installed for the comparison.\n       Run: make bench")
    if not OURS.exists():
        sys.stderr.write(f"{OURS} is not built; only PyTorch is measured (`make bench` builds it).\n")
    if arguments.data_dir is None and os.environ.get("COHERENT_TEST_DATA"):
        arguments.data_dir = Path(os.environ["COHERENT_TEST_DATA"]) / "mnist"

    described = machine(arguments.threads)
    if described["load_at_start"] > 0.5:
        sys.stderr.write(f"note: the machine is busy (load {described['load_at_start']}); ratios hold better than "
                         "times, but neither well.\n")
    records = []
    for row in ROWS:
        if arguments.names and row.name not in arguments.names:
            continue
        if row.needs_mnist and (arguments.data_dir is None or not arguments.data_dir.is_dir()):
            sys.stderr.write(f"{row.name}: left out; name the MNIST files with --data-dir or COHERENT_TEST_DATA\n")
            continue
        records.append(measure(row, arguments))
        for note in records[-1]["notes"]:
            sys.stderr.write(f"  {note}\n")

    result = {"date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
              "machine": described, "rounds": arguments.rounds, "benchmarks": records}
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    temporary = arguments.output.with_suffix(".tmp")
    temporary.write_text(json.dumps(result, indent=2) + "\n")
    os.replace(temporary, arguments.output)

    print(f"\n{described['cpu']}, {described['cores']} cores, {arguments.threads} threads, PyTorch "
          f"{described['pytorch']}, {described['swift']}\n")
    print(table(records))
    for record in records:
        compiled = [result for result in record["variants"] if result.get("variant") == "compiled"]
        if compiled:
            print(f"\ntorch.compile, {record['work']}: {compiled[0]['median_ms']:.3f} ms")
    print(f"\nEvery round is in {arguments.output}.")
    return 1 if any(record["notes"] and not record["pytorch"] for record in records) else 0


if __name__ == "__main__":
    sys.exit(main())
