# SPDX-License-Identifier: Apache-2.0
"""Coherence of m examples of a fully connected network: alpha = |S|^2 / (m Q).

S is the sum of the per-example gradients and Q the sum of their squared norms, weights and biases alike. A chunk of
examples is summed in float32 and the chunks in double, so that neither depends on m. The variants end in the size of
their chunk:

    vmap      torch.func: the gradients of a chunk in memory, then their sum and their squares
    opacus    the same with Opacus's GradSampleModule
    ghost     Opacus's "ghost" norms: never forms a gradient per example; S is what backward leaves in .grad
    backpack  BackPACK's BatchL2Grad, the same idea
    plain     forward and backward alone, and no alpha: what the others add to

A sample times a part of the m examples and is scaled to all of them, as every chunk costs the same: "examples_timed"
says how many. Each variant first has to agree with a reference in float64, one example after the other.
"""

import copy
import sys

import torch
from torch import nn
from torch.func import functional_call, grad, vmap
from torch.nn import functional

import common

# Small chunks first, as the peak memory of a process never falls.
VARIANTS = ["plain-100", "plain-500", "plain-1000", "backpack-100", "backpack-500", "backpack-1000", "ghost-100",
            "ghost-500", "ghost-1000", "vmap-50", "vmap-100", "vmap-200", "opacus-50", "opacus-100", "opacus-200"]


class Sums:
    """S and Q so far, in double."""

    def __init__(self, parameters):
        self.gradient = [torch.zeros_like(parameter, dtype=torch.float64) for parameter in parameters]
        self.squared_norms = 0.0

    def add(self, gradients, squared_norms):
        torch._foreach_add_(self.gradient, gradients)
        self.squared_norms += squared_norms

    def add_rows(self, rows):
        """Adds gradients that are laid out one example after the other, a tensor [chunk, ...] per parameter."""
        rows = [part.flatten(1) for part in rows]
        norms = [torch.linalg.vector_norm(part, dim=1) for part in rows]
        sums = [part.sum(0).view_as(total) for part, total in zip(rows, self.gradient)]
        self.add(sums, sum(norm.double().square().sum().item() for norm in norms))

    def alpha(self, count):
        total = sum(part.square().sum().item() for part in self.gradient)
        return total / (count * self.squared_norms)


def vmap_pass(model):
    parameters = {name: parameter.detach() for name, parameter in model.named_parameters()}

    def loss(parameters, x, y):
        return functional.cross_entropy(functional_call(model, parameters, x[None]), y[None])

    gradients_of = vmap(grad(loss), in_dims=(None, 0, 0))
    return lambda x, y, sums: sums.add_rows(gradients_of(parameters, x, y).values())


def opacus_pass(model):
    from opacus import GradSampleModule

    wrapped = GradSampleModule(model, loss_reduction="sum")

    def add(x, y, sums):
        wrapped.zero_grad(set_to_none=True)
        functional.cross_entropy(wrapped(x), y, reduction="sum").backward()
        sums.add_rows(parameter.grad_sample for parameter in wrapped.parameters())

    return add


def ghost_pass(model):
    from opacus import GradSampleModuleFastGradientClipping

    wrapped = GradSampleModuleFastGradientClipping(model, loss_reduction="sum", max_grad_norm=1.0,
                                                   use_ghost_clipping=True)

    def add(x, y, sums):
        wrapped.zero_grad(set_to_none=True)
        functional.cross_entropy(wrapped(x), y, reduction="sum").backward()
        sums.add([parameter.grad for parameter in wrapped.parameters()],
                 wrapped.get_norm_sample().double().square().sum().item())

    return add


def backpack_pass(model):
    from backpack import backpack, extend
    from backpack.extensions import BatchL2Grad

    extended = extend(model)
    loss = extend(nn.CrossEntropyLoss(reduction="sum"))

    def add(x, y, sums):
        extended.zero_grad(set_to_none=True)
        with backpack(BatchL2Grad()):
            loss(extended(x), y).backward()
        sums.add([parameter.grad for parameter in extended.parameters()],
                 sum(parameter.batch_l2.double().sum().item() for parameter in extended.parameters()))

    return add


def plain_pass(model):
    def add(x, y, sums):
        model.zero_grad(set_to_none=True)
        functional.cross_entropy(model(x), y, reduction="sum").backward()

    return add


PASSES = {"vmap": vmap_pass, "opacus": opacus_pass, "ghost": ghost_pass, "backpack": backpack_pass,
          "plain": plain_pass}


def alpha_function(kind, model, images, labels, chunk):
    model = copy.deepcopy(model)
    add = PASSES[kind](model)
    parameters = list(model.parameters())

    def alpha():
        sums = Sums(parameters)
        for x, y in zip(images.split(chunk), labels.split(chunk)):
            add(x, y, sums)
        return None if kind == "plain" else sums.alpha(len(labels))

    return alpha


def reference(model, inputs, targets, losses=functional.cross_entropy):
    """Alpha in float64 from every gradient in turn."""
    model = copy.deepcopy(model).double()
    sums = Sums(model.parameters())
    for x, y in zip(inputs, targets):
        x = x.double() if x.is_floating_point() else x
        gradient = torch.autograd.grad(losses(model(x[None]), y[None]).sum(), list(model.parameters()))
        sums.add(gradient, sum(part.square().sum().item() for part in gradient))
    return sums.alpha(len(targets))


def timed_variants(chosen, check, expected, measure):
    """Each variant's kind and chunk: `check` has to give the expected alpha before `measure` is called."""
    for variant in chosen:
        kind, chunk = variant.split("-")
        try:
            found = check(kind)
        except ImportError as error:
            sys.stderr.write(f"{variant}: {type(error).__name__}: {error}\n")
            continue
        assert kind == "plain" or abs(found / expected - 1) < 1e-4, f"{variant}: alpha is {found}, not {expected}"
        measure(variant, kind, int(chunk))


def main():
    parser = common.parser(__doc__.splitlines()[0])
    parser.add_argument("--model", type=common.layer_sizes, default="784-2048-10", help="layer sizes")
    parser.add_argument("--examples", type=int, default=50_000, help="m, for which the time is reported")
    parser.add_argument("--timed", type=int, default=2000, help="examples that a sample times")
    parser.add_argument("--variants", default="eager", help="eager (all), or some of: " + ", ".join(VARIANTS) +
                        "; the word before the hyphen means every size")
    arguments = parser.parse_args()

    common.use_threads(arguments.threads)
    model = common.mlp(arguments.model)
    images, labels = common.synthetic_digits(arguments.examples, arguments.model[0], arguments.model[-1])
    expected = reference(model, images[:32], labels[:32])
    timed = min(arguments.timed, arguments.examples)
    name = "alpha-" + "-".join(map(str, arguments.model))

    def check(kind):
        return alpha_function(kind, model, images[:32], labels[:32], 10)()  # the last chunk is a short one

    def measure(variant, kind, chunk):
        alpha = alpha_function(kind, model, images[:timed], labels[:timed], chunk)
        milliseconds = common.time_samples(alpha, max(5, arguments.samples // 8))
        common.report(name, [time * arguments.examples / timed for time in milliseconds], arguments.threads,
                      variant=variant, examples=arguments.examples, examples_timed=timed, alpha=alpha())

    timed_variants(common.chosen_variants(VARIANTS, arguments.variants), check, expected, measure)


if __name__ == "__main__":
    main()
