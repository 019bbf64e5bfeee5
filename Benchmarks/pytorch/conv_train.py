# SPDX-License-Identifier: Apache-2.0
"""Training a CIFAR ResNet on the binary files of CIFAR-10: the twin of `coherent train`, with the same names.

Prints a line of JSON after every epoch, with the accuracies, and one of timings at the end. Images are not
augmented. The random numbers are PyTorch's own, so accuracies agree with ours in kind, not digit by digit.
"""

import argparse
import json
import math
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

import common
import conv_models
from train_mnist import accuracies_of, add_noise

MEAN, DEVIATION = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)  # red, green, blue


def read_cifar(folder, names):
    """Normalised images [count, 3, 32, 32], channels last in memory, and labels."""
    records = []
    for name in names:
        try:
            bytes_read = np.fromfile(Path(folder) / name, np.uint8)
        except OSError as error:
            sys.exit(f"error: {error.filename}: {error.strerror}.")
        if len(bytes_read) == 0 or len(bytes_read) % 3073 != 0:
            sys.exit(f"error: {Path(folder) / name} is not a binary file of CIFAR-10, which has records of 3073 bytes.")
        records.append(bytes_read.reshape(-1, 3073))
    records = np.concatenate(records)
    images = torch.from_numpy(records[:, 1:].reshape(-1, 3, 32, 32)).contiguous(memory_format=torch.channels_last)
    images = images.float().div_(255)
    images.sub_(torch.tensor(MEAN)[:, None, None]).div_(torch.tensor(DEVIATION)[:, None, None])
    return images, torch.from_numpy(records[:, 0].astype(np.int64))


def schedule(text):
    """The factor on the learning rate for the update after `step` finished ones, of `steps` in all."""
    kind, *settings = text.split(":")
    try:
        if text == "constant":
            return lambda step, steps: 1.0
        if text == "cosine":
            return lambda step, steps: 0.5 * (1 + math.cos(math.pi * step / max(steps, 1)))
        if kind == "step" and len(settings) in (1, 2):
            milestones = [int(word) for word in settings[0].split(",")]
            factor = float(settings[1]) if len(settings) == 2 else 0.1
            return lambda step, steps: factor ** sum(milestone <= step for milestone in milestones)
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"{text!r} is not one of constant, cosine and step:STEP[,STEP...][:FACTOR]")


def main():
    parser = common.parser(__doc__.splitlines()[0])
    parser.add_argument("--data-dir", required=True, help="folder with CIFAR-10's binary files")
    parser.add_argument("--files", default="data_batch_1.bin,data_batch_2.bin", help="those to train on")
    parser.add_argument("--model", choices=["resnet20", "resnet32"], default="resnet32")
    parser.add_argument("--norm", default="batch", help="batch or group:8")
    parser.add_argument("--noise", type=float, default=0.0, help="share of labels drawn for noise")
    parser.add_argument("--noise-kind", choices=["permute", "uniform"], default="uniform")
    parser.add_argument("--lr", type=float, default=0.1)
    parser.add_argument("--schedule", type=schedule, default="constant",
                        help="constant, cosine or step:STEP[,STEP...][:FACTOR]")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--steps", type=int, help="at most so many in all, the schedule's length too")
    parser.add_argument("--subset", type=int, help="only the first so many training images")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--variants", default="eager", help="no effect here")
    arguments = parser.parse_args()

    common.use_threads(arguments.threads)
    common.keep_freed_memory()
    torch.manual_seed(arguments.seed)
    generator = torch.Generator().manual_seed(arguments.seed)
    images, original = read_cifar(arguments.data_dir, arguments.files.split(","))
    images, original = images[:arguments.subset], original[:arguments.subset]
    test = read_cifar(arguments.data_dir, ["test_batch.bin"])
    labels = add_noise(original, arguments.noise, arguments.noise_kind, generator)
    corrupt = labels != original

    model = conv_models.build(arguments.model, arguments.norm, layout="channels-last")
    optimizer = torch.optim.SGD(model.parameters(), lr=arguments.lr, fused=True)
    steps_an_epoch = len(images) // arguments.batch_size
    if steps_an_epoch == 0:
        sys.exit(f"error: {len(images)} images are too few for a batch of {arguments.batch_size}.")
    steps = min(arguments.steps or math.inf, arguments.epochs * steps_an_epoch)
    batches = common.batches_forever(len(images), arguments.batch_size, arguments.seed)
    milliseconds = []  # per step, one sample an epoch, without the evaluations
    accuracies = {}
    done = 0
    start = time.perf_counter()
    while done < steps:
        stretch = min(steps_an_epoch, steps - done)
        total = torch.zeros(())
        model.train()
        began = time.perf_counter()
        for step in range(done, done + stretch):
            for group in optimizer.param_groups:
                group["lr"] = arguments.lr * arguments.schedule(step, steps)
            batch = next(batches)
            optimizer.zero_grad(set_to_none=True)
            x = images[batch].contiguous(memory_format=torch.channels_last)
            loss = functional.cross_entropy(model(x), labels[batch])
            loss.backward()
            optimizer.step()
            total += loss.detach()
        milliseconds.append((time.perf_counter() - began) / stretch * 1e3)
        done += stretch
        loss = total.item() / stretch
        if not math.isfinite(loss):
            sys.exit(f"error: the loss is {loss} at step {done}.")
        accuracies = accuracies_of(model.eval(), (images, labels), test, corrupt)
        print(json.dumps({"epoch": len(milliseconds), "step": done, "lr": optimizer.param_groups[0]["lr"],
                          "loss": round(loss, 5), **accuracies,
                          "seconds": round(time.perf_counter() - start, 2)}), flush=True)

    common.report(f"conv-train-{arguments.model}", milliseconds, arguments.threads, variant="channels-last-fused",
                  steps=done, batch_size=arguments.batch_size, seconds=round(time.perf_counter() - start, 2),
                  seed=arguments.seed, accuracies=accuracies)


if __name__ == "__main__":
    main()
