# SPDX-License-Identifier: Apache-2.0
"""One SGD step of a fully connected network, as a PyTorch user would write it well.

A step gathers its batch by index from images that stay in memory, then forward, cross entropy, backward, update.
Every eager variant is a fair peer; the fastest is. torch.compile is reported beside them, as it needs a C++ compiler
and a minute of its own.
"""

import sys

import torch
from torch.nn import functional

import common

EAGER = {"single": {"foreach": False}, "foreach": {"foreach": True}, "fused": {"fused": True}}
VARIANTS = ["eager-" + name for name in EAGER] + ["compiled"]


def step_function(variant, arguments, images, labels):
    model = common.mlp(arguments.model)
    settings = EAGER.get(variant.partition("-")[2], EAGER["fused"])
    optimizer = torch.optim.SGD(model.parameters(), lr=arguments.lr, momentum=arguments.momentum, **settings)

    def loss_of(x, y):
        return functional.cross_entropy(model(x), y)

    if variant == "compiled":
        loss_of = torch.compile(loss_of)
    batches = common.batches_forever(len(images), arguments.batch_size)

    def step():
        batch = next(batches)
        optimizer.zero_grad(set_to_none=True)
        loss_of(images[batch], labels[batch]).backward()
        optimizer.step()

    return step


def main():
    parser = common.parser(__doc__.splitlines()[0])
    parser.add_argument("--model", type=common.layer_sizes, default="784-2048-10", help="layer sizes")
    parser.add_argument("--batch-size", type=int, default=100)
    parser.add_argument("--lr", type=float, default=0.1)
    parser.add_argument("--momentum", type=float, default=0.0)
    parser.add_argument("--examples", type=int, default=60_000, help="size of the data set that batches come from")
    parser.add_argument("--variants", default="eager", help="eager, all, or any of: " + ", ".join(VARIANTS))
    arguments = parser.parse_args()

    common.use_threads(arguments.threads)
    images, labels = common.synthetic_digits(arguments.examples, arguments.model[0], arguments.model[-1])
    name = "sgd-" + "-".join(map(str, arguments.model))
    # compiled comes last: the peak memory of a process never falls
    for variant in common.chosen_variants(VARIANTS, arguments.variants):
        try:
            step = step_function(variant, arguments, images, labels)
            step()
        except Exception as error:  # torch.compile without a C++ compiler, for one
            sys.stderr.write(f"{name} {variant}: {type(error).__name__}: {str(error).splitlines()[0]}\n")
            continue
        common.report(name, common.time_samples(step, arguments.samples), arguments.threads, variant=variant,
                      batch_size=arguments.batch_size)


if __name__ == "__main__":
    main()
