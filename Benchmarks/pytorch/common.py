# SPDX-License-Identifier: Apache-2.0
"""What every PyTorch twin shares: threads, networks, timing, and the line of JSON that compare.py reads."""

import argparse
import ctypes
import json
import math
import resource
import statistics
import sys
import time

import torch
from torch import nn


def parser(description):
    """An argument parser with the options that both sides of every benchmark understand."""
    result = argparse.ArgumentParser(description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    result.add_argument("--threads", type=int, default=2, help="threads for the mathematics")
    result.add_argument("--samples", type=int, default=40, help="timed samples, of which the median is reported")
    result.add_argument("--json", action="store_true", help="no effect here: the output is JSON lines in any case")
    return result


def use_threads(count):
    torch.set_num_threads(count)
    torch.manual_seed(1)


def keep_freed_memory():
    """Has malloc keep what is freed, for the next step to use, in place of giving it back and asking for it anew.

    What MALLOC_MMAP_THRESHOLD_ and MALLOC_TRIM_THRESHOLD_ in the environment, or another malloc, would do. glibc only;
    without effect elsewhere.
    """
    try:
        set_option = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    trim_threshold, mmap_threshold = -1, -3
    for option in (trim_threshold, mmap_threshold):
        set_option(option, 1 << 30)


def mlp(sizes):
    """784-2048-10 and the like: Linear and ReLU, with the authors' initialisation, sqrt(2) times Xavier."""
    layers = []
    for inputs, outputs in zip(sizes, sizes[1:]):
        linear = nn.Linear(inputs, outputs)
        nn.init.normal_(linear.weight, std=2 / math.sqrt(inputs + outputs))
        nn.init.zeros_(linear.bias)
        layers += [linear, nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def layer_sizes(text):
    try:
        sizes = [int(size) for size in text.split("-")]
    except ValueError:
        sizes = []
    if len(sizes) < 2 or min(sizes) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of layer sizes such as 784-2048-10")
    return sizes


def synthetic_digits(count, features=784, classes=10):
    """MNIST's shape and range: float32 images [count, features] in 0...1, most pixels zero, and int64 labels."""
    generator = torch.Generator().manual_seed(7)
    images = torch.empty(count, features)
    for part in images.split(1000):  # in place, so that the peak memory is that of the images alone
        part.uniform_(generator=generator)
        part[part < 0.8] = 0  # about MNIST's share of ink
    return images, torch.randint(classes, (count,), generator=generator)


def batches_forever(count, size, seed=3):
    """Row indices, batch by batch, in a new random order every epoch; a short last batch is left out."""
    generator = torch.Generator().manual_seed(seed)
    while True:
        for batch in torch.randperm(count, generator=generator).split(size):
            if len(batch) == size:
                yield batch


def chosen_variants(variants, wanted):
    """Those of `variants` that `wanted` names, comma-separated: whole names, or what several begin with.

    "vmap" chooses vmap-50 and vmap-100, "all" everything, and "eager" everything but "compiled".
    """
    def is_chosen(word, variant):
        if word in ("all", "eager"):
            return word == "all" or variant != "compiled"
        return variant == word if word in variants else variant.startswith(word + "-")

    return [variant for variant in variants if any(is_chosen(word, variant) for word in wanted.split(","))]


def time_samples(work, samples, warm_up_seconds=1.0, sample_seconds=0.02, limit_seconds=15.0):
    """Milliseconds per call of `work`, once per sample; a sample repeats short work until it lasts long enough.

    On a machine busy with something else the samples end after `limit_seconds`, and are then fewer (at least five).
    """
    start = time.perf_counter()
    calls = 0
    while calls < 3 or time.perf_counter() - start < warm_up_seconds:
        work()
        calls += 1
    repeats = max(1, math.ceil(sample_seconds / ((time.perf_counter() - start) / calls)))
    result = []
    limit = time.perf_counter() + limit_seconds
    while len(result) < samples and (len(result) < 5 or time.perf_counter() < limit):
        start = time.perf_counter()
        for _ in range(repeats):
            work()
        result.append((time.perf_counter() - start) / repeats * 1e3)
    return result


def peak_rss_bytes():
    """The largest resident set of this process so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # bytes on macOS, kilobytes on Linux


def report(name, milliseconds, threads, **more):
    """Prints one result: {"name", "median_ms", "p10_ms", "p90_ms", "samples", "peak_rss_bytes", "threads", ...}."""
    deciles = statistics.quantiles(milliseconds, n=10, method="inclusive") if len(milliseconds) > 1 else milliseconds
    print(json.dumps({
        "name": name,
        "median_ms": round(statistics.median(milliseconds), 5),
        "p10_ms": round(deciles[0], 5),
        "p90_ms": round(deciles[-1], 5),
        "samples": len(milliseconds),
        "peak_rss_bytes": peak_rss_bytes(),
        "threads": threads,
        "torch_version": torch.__version__,
        **more,
    }), flush=True)
