# SPDX-License-Identifier: Apache-2.0
"""One step of differentially private SGD, as a user of Opacus writes it: clipping to length 1, noise 1, flat.

    opacus   the gradients of the mini-batch's examples in memory (GradSampleModule), clipped by DPOptimizer
    ghost    their norms alone, and a second backward pass over the weighted losses ("fast gradient clipping")

The network is fully connected (784-2048-10 and the like) or a residual one with group normalisation.
"""

import sys
import warnings

import torch
from torch import nn

import common
import conv_models

VARIANTS = ["opacus", "ghost"]


def step_function(variant, model, inputs, labels):
    from opacus import GradSampleModule, GradSampleModuleFastGradientClipping
    from opacus.optimizers import DPOptimizer, DPOptimizerFastGradientClipping
    from opacus.utils.fast_gradient_clipping_utils import DPLossFastGradientClipping

    ghost = variant == "ghost"
    if ghost:
        wrapped = GradSampleModuleFastGradientClipping(model, max_grad_norm=1.0, use_ghost_clipping=True)
    else:
        wrapped = GradSampleModule(model)
    kind = DPOptimizerFastGradientClipping if ghost else DPOptimizer
    optimizer = kind(torch.optim.SGD(wrapped.parameters(), lr=1e-3), noise_multiplier=1.0, max_grad_norm=1.0,
                     expected_batch_size=len(labels))
    loss_of = nn.CrossEntropyLoss(reduction="mean")
    if ghost:
        loss_of = DPLossFastGradientClipping(wrapped, optimizer, loss_of)

    def step():
        optimizer.zero_grad()
        loss_of(wrapped(inputs), labels).backward()
        optimizer.step()

    return step


def main():
    parser = common.parser(__doc__.splitlines()[0])
    parser.add_argument("--model", default="784-256-256-256-10", help="layer sizes, or resnet20 or resnet32")
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--image", type=int, default=32, help="no effect but on our side")
    parser.add_argument("--norm", choices=["group:8"], default="group:8", help="of residual networks")
    parser.add_argument("--variants", default="eager", help="eager (both), or: " + ", ".join(VARIANTS))
    arguments = parser.parse_args()

    common.use_threads(arguments.threads)
    common.keep_freed_memory()
    warnings.filterwarnings("ignore")  # Opacus's, about hooks and secure random numbers
    for variant in common.chosen_variants(VARIANTS, arguments.variants):
        if arguments.model.startswith("resnet"):
            # Hooks forbid changing a layer's output in place.
            model = conv_models.build(arguments.model, arguments.norm, inplace=False)
            inputs, labels = conv_models.synthetic_images(arguments.model, arguments.batch)
        else:
            sizes = common.layer_sizes(arguments.model)
            model = common.mlp(sizes)
            inputs, labels = common.synthetic_digits(arguments.batch, sizes[0], sizes[-1])
        try:
            step = step_function(variant, model.train(), inputs, labels)
            step()
        except Exception as error:  # a layer without a rule, for one
            sys.stderr.write(f"{arguments.model} {variant}: {type(error).__name__}: {str(error).splitlines()[0]}\n")
            continue
        common.report(f"private-{arguments.model}", common.time_samples(step, arguments.samples), arguments.threads,
                      variant=variant, batch_size=arguments.batch)


if __name__ == "__main__":
    main()
