# SPDX-License-Identifier: Apache-2.0
"""Training on MNIST with label noise: the twin of `coherent train`, with the same names for the same options.

Prints one line of JSON: steps per second without the evaluations, the accuracies, and the peak memory of the run.
The random numbers are PyTorch's own, so accuracies agree with ours in kind, not digit by digit.
"""

import gzip
import math
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

import common


def read_idx(folder, name):
    """The array in an IDX file, gzipped or not."""
    path = Path(folder) / (name + ".gz")
    raw = gzip.decompress(path.read_bytes()) if path.exists() else (Path(folder) / name).read_bytes()
    if raw[:3] != b"\0\0\x08":
        sys.exit(f"error: {path} is not an IDX file of bytes.")
    shape = np.frombuffer(raw, ">u4", count=raw[3], offset=4)
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * raw[3]).reshape(shape)


def add_noise(labels, share, kind, generator):
    """`permute` shuffles labels among the chosen examples; `uniform` draws each anew from all ten classes."""
    noisy = labels.clone()
    chosen = (torch.rand(len(labels), generator=generator) < share).nonzero().squeeze(1)
    if kind == "permute":
        noisy[chosen] = labels[chosen[torch.randperm(len(chosen), generator=generator)]]
    else:
        noisy[chosen] = torch.randint(10, (len(chosen),), generator=generator)
    return noisy


def is_correct(model, images, labels):
    """For every example, whether the model gives it its label."""
    right = torch.empty(len(labels), dtype=torch.bool)  # made first: small results in between would scatter the heap
    with torch.inference_mode():
        for x, y, part in zip(images.split(1000), labels.split(1000), right.split(1000)):
            torch.eq(model(x).argmax(1), y, out=part)
    return right


def accuracies_of(model, train, test, corrupt):
    """Accuracy on the test set, and on the training set as a whole and by whether the label is corrupt."""
    right = is_correct(model, *train)
    groups = {"test": is_correct(model, *test), "train": right}
    if corrupt.any():
        groups.update(pristine=right[~corrupt], corrupt=right[corrupt])
    return {name: round(group.float().mean().item(), 4) for name, group in groups.items()}


def hidden_sizes(text):
    kind, _, sizes = text.partition(":")
    if kind != "mlp" or not all(size.isdigit() for size in sizes.split(",")):
        sys.exit(f"error: {text!r} is not a model such as mlp:2048 or mlp:256,256,256.")
    return [int(size) for size in sizes.split(",")]


def main():
    parser = common.parser(__doc__.splitlines()[0])
    parser.add_argument("--data-dir", required=True, help="folder with the four MNIST IDX files")
    parser.add_argument("--model", default="mlp:2048")
    parser.add_argument("--noise", type=float, default=0.0)
    parser.add_argument("--noise-kind", choices=["permute", "uniform"], default="permute")
    parser.add_argument("--lr", type=float, default=0.1)
    parser.add_argument("--momentum", type=float, default=0.0)
    parser.add_argument("--weight-decay", type=float, default=0.0)
    parser.add_argument("--batch-size", type=int, default=100)
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--eval-every", type=int, default=1000)
    parser.add_argument("--subset", type=int, default=60_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--variants", default="eager", help="no effect here")
    arguments = parser.parse_args()

    common.use_threads(arguments.threads)
    torch.manual_seed(arguments.seed)
    generator = torch.Generator().manual_seed(arguments.seed)

    def load(prefix, count=None):
        images = read_idx(arguments.data_dir, prefix + "-images-idx3-ubyte")[:count]
        labels = read_idx(arguments.data_dir, prefix + "-labels-idx1-ubyte")[:count]
        scaled = torch.from_numpy(images.reshape(len(images), -1).astype(np.float32))
        return scaled.div_(255), torch.from_numpy(labels.astype(np.int64))

    images, original = load("train", arguments.subset)
    test = load("t10k")
    labels = add_noise(original, arguments.noise, arguments.noise_kind, generator)
    corrupt = labels != original

    model = common.mlp([images.shape[1], *hidden_sizes(arguments.model), 10])
    optimizer = torch.optim.SGD(model.parameters(), lr=arguments.lr, momentum=arguments.momentum,
                                weight_decay=arguments.weight_decay, fused=True)

    batches = common.batches_forever(len(images), arguments.batch_size)
    milliseconds = []  # per step, one sample per stretch between evaluations
    accuracies = {}
    done = 0
    start = time.perf_counter()
    while done < arguments.steps:
        stretch = min(arguments.eval_every - done % arguments.eval_every, arguments.steps - done)
        began = time.perf_counter()
        for _ in range(stretch):
            batch = next(batches)
            optimizer.zero_grad(set_to_none=True)
            loss = functional.cross_entropy(model(images[batch]), labels[batch])
            loss.backward()
            optimizer.step()
        milliseconds.append((time.perf_counter() - began) / stretch * 1e3)
        done += stretch
        if not math.isfinite(loss.item()):
            sys.exit(f"error: the loss is {loss.item()} at step {done}.")
        accuracies = accuracies_of(model, (images, labels), test, corrupt)
        sys.stderr.write(f"step {done}: {accuracies}\n")

    seconds = time.perf_counter() - start
    common.report("train-mnist", milliseconds, arguments.threads, variant="eager-fused", steps=arguments.steps,
                  steps_per_second=round(1e3 / (sum(milliseconds) / len(milliseconds)), 1), seconds=round(seconds, 2),
                  accuracies=accuracies)


if __name__ == "__main__":
    main()
