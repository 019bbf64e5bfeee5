# SPDX-License-Identifier: Apache-2.0
"""Mean loss and accuracy over 60 000 x 784, in batches, without gradients.

The batch size that suits PyTorch best is its to choose, so several are tried; the fastest is the peer.
"""

import torch
from torch.nn import functional

import common

VARIANTS = [500, 1000, 2000, 10_000, 60_000]


def evaluate(model, images, labels, batch_size):
    loss = 0.0
    correct = 0
    with torch.inference_mode():
        for x, y in zip(images.split(batch_size), labels.split(batch_size)):
            logits = model(x)
            loss += functional.cross_entropy(logits, y, reduction="sum").item()
            correct += (logits.argmax(1) == y).sum().item()
    return loss / len(labels), correct / len(labels)


def main():
    parser = common.parser(__doc__.splitlines()[0])
    parser.add_argument("--model", type=common.layer_sizes, default="784-2048-10", help="layer sizes")
    parser.add_argument("--examples", type=int, default=60_000)
    parser.add_argument("--variants", default="eager", help="eager (all of them) or some of: " +
                        ", ".join(f"batch-{size}" for size in VARIANTS))
    arguments = parser.parse_args()

    common.use_threads(arguments.threads)
    model = common.mlp(arguments.model).eval()
    images, labels = common.synthetic_digits(arguments.examples, arguments.model[0], arguments.model[-1])
    name = "evaluate-" + "-".join(map(str, arguments.model))
    variants = {f"batch-{size}": size for size in VARIANTS}
    for variant in common.chosen_variants(variants, arguments.variants):
        size = variants[variant]  # ascending, because the peak memory of a process never falls
        samples = common.time_samples(lambda: evaluate(model, images, labels, size), max(5, arguments.samples // 4))
        common.report(name, samples, arguments.threads, variant=variant)


if __name__ == "__main__":
    main()
