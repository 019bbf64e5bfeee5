#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures this package and PyTorch against each other, in one run, on the same threads, and prints the ratios.

First every eager variant of a PyTorch twin runs once, and the fastest becomes the peer. Then both sides run by turns,
each time in a fresh process, for several rounds; whoever went second in one round goes first in the next. The ratio
is the median over the rounds, each round being compared with itself, so that a machine which speeds up or slows down
meanwhile does not tip the scale. Some works are measured against another of our own in the same way. The tables go to
the terminal, everything measured to Benchmarks/results/latest.json.

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
from typing import Optional

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
OURS = HERE / ".build" / "release" / "coherent-benchmarks"
PYTORCH = ROOT / ".deps" / "bench-venv" / "bin" / "python"


@dataclass
class Row:
    """One line of a table: a work of ours against PyTorch's twin, or against a work of our own where `base` names one.

    Against PyTorch, the ratio is how many times faster ours is; against our own base, how many times longer it takes.
    """

    work: str
    name: str  # what our side calls it
    twin: str = ""  # the script in pytorch/
    arguments: list = field(default_factory=list)  # for the twin alone
    shared: list = field(default_factory=list)  # for both sides
    peer: str = ""  # the twin's variant, or what several begin with; the fastest of them counts. "": of all of them
    reach: Optional[float] = 1.0  # how many times PyTorch's speed is asked for; None: shown, and nothing asked
    base: str = ""  # what our side calls the work that this one is a multiple of
    at_most: Optional[float] = None  # how many times the base's time is allowed
    memory_above: Optional[float] = None  # how many MB of peak memory above the base's are allowed
    rounds: int = 0  # at most so many; 0: as many as asked for
    needs_mnist: bool = False
    needs_pictures: bool = False
    by_name_only: bool = False  # too slow for a run in which nothing is named

    def is_named(self, word):
        return self.name == word or self.name.startswith((word + "-", word + ":"))


def alpha_row(against, peer, reach=None):
    return Row(f"coherence of 50 000 examples, 784-2048-10, against {against}", "alpha-784-2048-10", "alpha.py",
               ["--model", "784-2048-10"], ["--examples", "50000"], peer=peer, reach=reach, rounds=3)


def winsorized_row(count, against, peer, reach=None):
    return Row(f"winsorized step c={count}, 784-256x3-10, B=100, against {against}",
               f"robust-winsorized:c={count}-784-256-256-256-10", "robust_step.py",
               ["--model", "784-256-256-256-10", "--optimizer", f"winsorized-c{count}"], ["--batch", "100"], peer=peer,
               reach=reach)


def median_row(optimizer):
    return Row(f"{optimizer.upper()} step 784-2048-10, B=99", f"robust-{optimizer}-784-2048-10", "robust_step.py",
               ["--model", "784-2048-10", "--optimizer", optimizer], ["--batch", "99"])


def own_step_row(work, optimizer, sizes, batch, at_most, memory_above=None):
    return Row(f"{work}, B={batch}, in SGD steps", f"robust-{optimizer}-{sizes}", base=f"robust-sgd-{sizes}",
               shared=["--batch", str(batch)], at_most=at_most, memory_above=memory_above)


def conv_sgd_row(work, model, batch, image, reach, **more):
    return Row(f"SGD step {work}, B={batch}", f"conv-sgd-{model}", "conv_step.py", ["--model", model],
               ["--batch", str(batch), "--image", str(image)], reach=reach, **more)


def conv_median_row(optimizer):
    return Row(f"{optimizer.upper()} step ResNet-32, B=33", f"conv-{optimizer}-resnet32", "conv_robust.py",
               ["--model", "resnet32", "--optimizer", optimizer], ["--batch", "33", "--image", "32"])


def conv_winsorized_row(against, peer):
    """With group norm on both sides, as PyTorch's examples have no gradients of their own without it."""
    return Row(f"winsorized step {CLIPPED}, ResNet-32 with group norm, B=32, against {against}",
               f"conv-winsorized:{CLIPPED}-resnet32", "conv_robust.py",
               ["--model", "resnet32", "--optimizer", "winsorized-" + CLIPPED.replace("=", "")],
               ["--batch", "32", "--image", "32", "--norm", "group:8"], peer=peer)


def conv_alpha_row(against, peer, reach=None, timed=500, **more):
    return Row(f"coherence of 2000 examples, ResNet-32, against {against}", "conv-alpha-resnet32", "conv_alpha.py",
               ["--model", "resnet32", "--timed", str(timed)], ["--examples", "2000"], peer=peer, reach=reach, rounds=3,
               **more)


def conv_own_step_row(work, optimizer, batch, at_most):
    return Row(f"{work} ResNet-32, B={batch}, in SGD steps", f"conv-{optimizer}-resnet32", base="conv-sgd-resnet32",
               shared=["--batch", str(batch), "--image", "32"], at_most=at_most)


def agreement_row(optimizer):
    return own_step_row(f"{optimizer} step, 784-256x3-10", optimizer, PERCEPTRON, 100, 1.5)


def conv_agreement_row(optimizer):
    """With group norm, so that every example has a gradient of its own in either step."""
    return Row(f"{optimizer} step ResNet-32 with group norm, B=32, in SGD steps", f"conv-{optimizer}-resnet32",
               base="conv-sgd-resnet32", shared=["--batch", "32", "--image", "32", "--norm", "group:8"], at_most=1.5)


def transformer_row(against, peer, reach=None):
    return Row(f"coherence of 512 sequences of 64 bytes, transformer of 10 M parameters, against {against}",
               f"tokens-alpha-{TRANSFORMER}", "transformer_alpha.py", [], ["--examples", "512", "--batch", "16"], peer=peer,
               reach=reach, rounds=3)


def ranks_row(work, optimizer, batch, at_most):
    """A process for each thread, against one process with all threads."""
    return Row(f"{work} ResNet-32, B={batch}, a process a thread, in steps of one process", f"ranks-{optimizer}-resnet32",
               base=f"conv-{optimizer}-resnet32", shared=["--batch", str(batch), "--image", "32"], at_most=at_most)


PERCEPTRON = "784-256-256-256-10"
TRANSFORMER = "transformer:layers=8,width=320,heads=8,tied=yes"
PRIVATE = "dp-sgd:clip=1,noise=1"
AGREEMENT = ["and-mask:t=0.2", "sand-mask:t=0.2", "gaf:t=0.97", "agra", "sign-ema"]
CLIPPED = "s=2"  # in ResNet-32's winsorized rows; a percentile, which of 32 examples clips one at each end
ORDER_STATISTICS = "vmap with topk, sort or kthvalue"
BY_HAND = "vmap with minima and maxima by hand"

ROWS = [
    Row("SGD step 784-2048-10, B=100", "sgd-784-2048-10", "sgd_step.py", ["--model", "784-2048-10"], reach=1.7),
    Row("SGD step 784-256x3-10, B=100", "sgd-784-256-256-256-10", "sgd_step.py", ["--model", "784-256-256-256-10"],
        reach=1.5),
    Row("loss and accuracy of 60 000 examples, 784-2048-10", "evaluate-784-2048-10", "evaluate.py",
        ["--model", "784-2048-10"]),
    alpha_row("vmap", "vmap", reach=15),
    alpha_row("Opacus", "opacus"),
    alpha_row("Opacus's ghost norms", "ghost"),
    alpha_row("BackPACK's norms", "backpack"),
    alpha_row("a plain pass without alpha", "plain"),
    Row("coherence of 50 000 examples, 784-2048-10, in plain passes", "alpha-784-2048-10", base="pass-784-2048-10",
        shared=["--examples", "50000"], at_most=1.2),
    winsorized_row(1, ORDER_STATISTICS, "vmap", reach=80),
    winsorized_row(1, BY_HAND, "insertion"),
    winsorized_row(8, ORDER_STATISTICS, "vmap", reach=60),
    winsorized_row(8, BY_HAND, "insertion"),
    own_step_row("winsorized step c=1, 784-256x3-10", "winsorized:c=1", "784-256-256-256-10", 100, 2.5, 50),
    own_step_row("winsorized step c=8, 784-256x3-10", "winsorized:c=8", "784-256-256-256-10", 100, 5, 50),
    median_row("rm3"),
    median_row("m3"),
    own_step_row("RM3 step 784-2048-10", "rm3", "784-2048-10", 99, 1.10),
    own_step_row("M3 step 784-2048-10", "m3", "784-2048-10", 99, 1.15),
    Row("an image folder, per image: decoded, resized to 256, cropped to 224", "decode", "decode.py", reach=1.0,
        rounds=3, needs_pictures=True),
    Row("MNIST with 50 % label noise, ms per step", "train-mnist", "train_mnist.py",
        shared=["--noise", "0.5", "--noise-kind", "permute", "--steps", "2000", "--eval-every", "500"],
        reach=1.0, rounds=2, needs_mnist=True),
    conv_sgd_row("ResNet-32", "resnet32", 32, 32, reach=1.15),
    Row("SGD step ResNet-20 with group norm, B=32", "conv-sgd-resnet20", "conv_step.py", ["--model", "resnet20"],
        ["--batch", "32", "--image", "32", "--norm", "group:8"]),
    conv_sgd_row("ResNet-18 at 224", "resnet18", 16, 224, reach=1.0, peer="eager", rounds=3, by_name_only=True),
    conv_sgd_row("ResNet-50 at 224", "resnet50", 8, 224, reach=1.0, peer="eager", rounds=3, by_name_only=True),
    conv_median_row("rm3"),
    conv_median_row("m3"),
    conv_winsorized_row(ORDER_STATISTICS, "vmap"),
    conv_winsorized_row(BY_HAND, "insertion"),
    conv_own_step_row("RM3 step", "rm3", 33, 1.02),
    conv_own_step_row("M3 step", "m3", 33, 1.05),
    conv_own_step_row(f"winsorized step {CLIPPED},", f"winsorized:{CLIPPED}", 32, 1.5),
    conv_alpha_row("vmap", "vmap", reach=1.7),
    conv_alpha_row("Opacus", "opacus", timed=200, by_name_only=True),
    conv_alpha_row("Opacus's ghost norms", "ghost", timed=200, by_name_only=True),
    conv_alpha_row("BackPACK's norms", "backpack", timed=200, by_name_only=True),
    conv_alpha_row("a plain pass without alpha", "plain"),
    Row("plain pass over 2000 examples, ResNet-32", "conv-pass-resnet32", "conv_alpha.py", ["--model", "resnet32"],
        ["--examples", "2000"], peer="plain", reach=None, rounds=3),
    Row("coherence of 2000 examples, ResNet-32, in plain passes", "conv-alpha-resnet32", base="conv-pass-resnet32",
        shared=["--examples", "2000"], at_most=1.2, rounds=3),
    *(agreement_row(optimizer) for optimizer in AGREEMENT),
    *(conv_agreement_row(optimizer) for optimizer in AGREEMENT),
    own_step_row("private step 784-256x3-10", PRIVATE, PERCEPTRON, 100, 1.25),
    Row("private step 784-256x3-10, B=100, against Opacus", f"robust-{PRIVATE}-{PERCEPTRON}", "private_step.py",
        ["--model", PERCEPTRON], ["--batch", "100"]),
    Row("private step ResNet-20 with group norm, B=32, in SGD steps", f"conv-{PRIVATE}-resnet20", base="conv-sgd-resnet20",
        shared=["--batch", "32", "--image", "32", "--norm", "group:8"], at_most=1.25),
    Row("private step ResNet-20 with group norm, B=32, against Opacus", f"conv-{PRIVATE}-resnet20", "private_step.py",
        ["--model", "resnet20"], ["--batch", "32", "--image", "32", "--norm", "group:8"]),
    transformer_row("ghost norms by hooks", "ghost", reach=1.0),
    transformer_row("vmap", "vmap", reach=1.0),
    Row("plain pass over 512 sequences, transformer of 10 M parameters", f"tokens-pass-{TRANSFORMER}",
        "transformer_alpha.py", [], ["--examples", "512", "--batch", "16"], peer="plain", reach=None, rounds=3),
    Row("coherence of 512 sequences, transformer of 10 M parameters, in plain passes", f"tokens-alpha-{TRANSFORMER}",
        base=f"tokens-pass-{TRANSFORMER}", shared=["--examples", "512", "--batch", "16"], at_most=1.1, rounds=3),
    ranks_row("SGD step", "sgd", 96, 1.15),
    ranks_row("M3 step", "m3", 96, None),
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
    shared += ["--data-dir", str(arguments.pictures)] if row.needs_pictures else []
    other = "base" if row.base else "pytorch"
    record = {"work": row.work, "name": row.name, "variants": [], other: [], "ours": [], "notes": []}

    def ours(name):
        return [str(OURS), name, "--json", *shared, *common]

    if row.base:
        record.update(base_name=row.base, at_most=row.at_most, memory_above_mb=row.memory_above)
        sides = [("base", ours(row.base)), ("ours", ours(row.name))]
    else:
        record.update(reach=row.reach)
        twin = [str(PYTORCH), str(HERE / "pytorch" / row.twin), *row.arguments, *shared, *common]
        variants, note = run_side(twin + ["--variants", row.peer or ("all" if arguments.compile else "eager")],
                                  arguments.threads)
        record["variants"] = variants
        record["notes"] += [note] if note else []
        eager = [result for result in variants if result.get("variant") != "compiled"]
        if not eager:
            return record
        peer = min(eager, key=lambda result: result["median_ms"])["variant"]
        record["peer"] = peer
        sides = [("pytorch", twin + ["--variants", peer]), ("ours", ours(row.name))]

    rounds = min(row.rounds or arguments.rounds, arguments.rounds)
    for number in range(rounds):
        for side, command in sides if number % 2 == 0 else reversed(sides):
            if record["notes"] and not record[side] and number > 0:
                continue  # it is not there, and will not be
            results, note = run_side(command, arguments.threads)
            if results:
                record[side].append(min(results, key=lambda result: result["median_ms"]))
            elif note not in record["notes"]:
                record["notes"].append(note)
        sys.stderr.write(f"\r{row.name}: round {number + 1} of {rounds}")
    sys.stderr.write("\n")

    judge(row, record, record[other], record["ours"])
    return record


def judge(row, record, theirs, mine):
    """Adds the ratio, its range, and whether it is what was asked for."""
    if not mine or len(theirs) != len(mine):
        return
    slower, faster = (mine, theirs) if row.base else (theirs, mine)
    ratios = [long["median_ms"] / short["median_ms"] for long, short in zip(slower, faster)]
    ratio = statistics.median(ratios)
    record.update(ratio=ratio, ratio_low=min(ratios), ratio_high=max(ratios))
    asked = []
    if row.base:
        above = (median_of(mine, "peak_rss_bytes") - median_of(theirs, "peak_rss_bytes")) / 1e6
        record.update(measured_above_mb=above)
        asked += [ratio <= row.at_most] if row.at_most is not None else []
        asked += [above <= row.memory_above] if row.memory_above is not None else []
    elif row.reach is not None:
        asked.append(ratio >= row.reach)
    if asked:
        record.update(met=all(asked))


def median_of(results, key):
    return statistics.median(result[key] for result in results) if results else None


def shown(value, form):
    return form.format(value) if value is not None else "-"


def lines_of(records, other, headings, asked):
    """A table of the records whose other side is `other`; `asked` gives the cells of what was asked for."""
    lines = ["| " + " | ".join(headings) + " |", "|---|--:|--:|--:|" + "--:|" * (len(headings) - 7) + "---|--:|--:|"]
    for record in records:
        times = [shown(median_of(record[side], "median_ms"), "{:.3f}") for side in (other, "ours")]
        memory = [median_of(record[side], "peak_rss_bytes") for side in (other, "ours")]
        ratio = "{ratio:.2f}x ({ratio_low:.2f}-{ratio_high:.2f})".format(**record) if "ratio" in record else "-"
        lines.append("| " + " | ".join([
            record["work"], *times, ratio, *asked(record), {True: "yes", False: "no", None: "-"}[record.get("met")],
            *(shown(bytes and bytes / 2**20, "{:.0f} MiB") for bytes in memory)]) + " |")
    return lines


def tables(records):
    """What was measured against PyTorch, and what against ourselves."""
    against_pytorch = [record for record in records if "pytorch" in record]
    against_ourselves = [record for record in records if "base" in record]
    parts = []
    if against_pytorch:
        parts.append(lines_of(
            against_pytorch, "pytorch",
            ["work", "PyTorch ms", "ours ms", "ratio (range)", "reach", "met?", "peak RSS PyTorch", "peak RSS ours"],
            lambda record: [shown(record["reach"], "{:g}x")]))
    if against_ourselves:
        parts.append(lines_of(
            against_ourselves, "base",
            ["work", "base ms", "ours ms", "ratio (range)", "at most", "above the base's RSS", "at most", "met?",
             "peak RSS base", "peak RSS ours"],
            lambda record: [shown(record["at_most"], "{:g}x"), shown(record.get("measured_above_mb"), "{:.0f} MB"),
                            shown(record["memory_above_mb"], "{:g} MB")]))
    return "\n\n".join("\n".join(part) for part in parts)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0],
                                     formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("names", nargs="*", help="only benchmarks of these names or prefixes (alpha, robust-rm3): " +
                        ", ".join(dict.fromkeys(row.name for row in ROWS)))
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="threads for both sides")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--samples", type=int, default=40, help="timed samples per process")
    parser.add_argument("--data-dir", type=Path, help="folder with the MNIST files (default: mnist in the folder that "
                        "COHERENT_TEST_DATA names); without it the training run is skipped")
    parser.add_argument("--pictures", type=Path, help="folder with train/CLASS/... and val/CLASS/... (default: ants-bees "
                        "in the folder that COHERENT_TEST_DATA names); without it decoding is skipped")
    parser.add_argument("--no-compile", dest="compile", action="store_false", help="skip torch.compile")
    parser.add_argument("--output", type=Path, default=HERE / "results" / "latest.json")
    arguments = parser.parse_args()

    unknown = {word for word in arguments.names if not any(row.is_named(word) for row in ROWS)}
    if unknown:
        parser.error(f"no benchmark is called {', '.join(sorted(unknown))}")
    if not PYTORCH.exists():
        sys.exit("error: PyTorch is not installed for the comparison.\n       Run: make bench")
    if not OURS.exists():
        sys.stderr.write(f"{OURS} is not built; only PyTorch is measured (`make bench` builds it).\n")
    if arguments.data_dir is None and os.environ.get("COHERENT_TEST_DATA"):
        arguments.data_dir = Path(os.environ["COHERENT_TEST_DATA"]) / "mnist"
    if arguments.pictures is None and os.environ.get("COHERENT_TEST_DATA"):
        arguments.pictures = Path(os.environ["COHERENT_TEST_DATA"]) / "ants-bees"

    described = machine(arguments.threads)
    if described["load_at_start"] > 0.5:
        sys.stderr.write(f"note: the machine is busy (load {described['load_at_start']}); ratios are more reliable "
                         "than times, but neither is reliable.\n")
    records = []
    for row in ROWS:
        if arguments.names and not any(row.is_named(word) for word in arguments.names):
            continue
        if row.by_name_only and not arguments.names:
            sys.stderr.write(f"{row.name}: skipped, as it takes minutes; name it to run it\n")
            continue
        if row.needs_mnist and (arguments.data_dir is None or not arguments.data_dir.is_dir()):
            sys.stderr.write(f"{row.name}: skipped; give the folder of MNIST with --data-dir or COHERENT_TEST_DATA\n")
            continue
        if row.needs_pictures and (arguments.pictures is None or not arguments.pictures.is_dir()):
            sys.stderr.write(f"{row.name}: skipped; give a folder of pictures with --pictures\n")
            continue
        try:
            records.append(measure(row, arguments))
        except KeyboardInterrupt:
            sys.stderr.write("\nstopped; what was measured follows\n")
            break
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
    print(tables(records))
    for record in records:
        compiled = [result for result in record["variants"] if result.get("variant") == "compiled"]
        if compiled:
            print(f"\ntorch.compile, {record['work']}: {compiled[0]['median_ms']:.3f} ms")
    sent = {record["name"]: median_of(record["ours"], "bytes_sent") for record in records
            if record["ours"] and "bytes_sent" in record["ours"][0]}
    if sent:
        print("\nSent by a rank in a step: " + ", ".join(f"{name} {bytes / 1e6:.2f} MB" for name, bytes in sent.items()))
    print(f"\nEvery round is in {arguments.output}.")
    return 1 if any(record["notes"] and not record.get("pytorch", True) for record in records) else 0


if __name__ == "__main__":
    sys.exit(main())
