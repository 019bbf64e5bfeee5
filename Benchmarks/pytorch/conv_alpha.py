# SPDX-License-Identifier: Apache-2.0
"""Coherence of m examples of a convolutional network: alpha = |S|^2 / (m Q), as in alpha.py.

With batch norm an example has a gradient of its own once the statistics are frozen: "batch-running" takes the running
ones, as in evaluation. The variants end in the size of their chunk, and begin with their kind:

    plain     forward and backward alone, over the same examples in the same mode: what the others add to
    backpack  BackPACK's BatchL2Grad; it has no rule for group norm
    ghost     Opacus's FastGradientClipping, whose norms of convolutions come from gradients per example all the same
    vmap      torch.func: the gradients of a chunk in memory, then their sum and their squares
    opacus    the same with Opacus's GradSampleModule

A sample times a part of the m examples and is scaled to all of them, as every chunk costs the same: "examples_timed"
says how many. Each variant first has to agree with a reference in float64, one example after the other, on a small
network; with --check that is all.
"""

import statistics
import sys
import warnings

import torch
from torch import nn
from torch.nn import functional

import alpha
import common
import conv_models

# Small chunks first, as the peak memory of a process never falls. A kind on images that are not contiguous says so.
VARIANTS = ["plain-contiguous-50", *(f"plain-channels-last-{chunk}" for chunk in (25, 50, 100, 250)),
            "backpack-25", "backpack-50", "vmap-25", "vmap-50", "vmap-100", "ghost-25",
            "ghost-50", "ghost-100", "opacus-25", "opacus-50", "opacus-100"]


class FrozenNorm(nn.Module):
    """Batch norm with its running statistics as constants, also in training mode, without which Opacus does nothing."""

    def __init__(self, source):
        super().__init__()
        self.weight, self.bias = source.weight, source.bias
        self.mean, self.variance, self.eps = source.running_mean, source.running_var, source.eps

    def forward(self, x):
        return functional.batch_norm(x, self.mean, self.variance, self.weight, self.bias, eps=self.eps)


def freeze(module):
    """Puts a FrozenNorm in place of every batch norm, and teaches Opacus its gradients per example."""
    from opacus.grad_sample import register_grad_sampler

    @register_grad_sampler(FrozenNorm)
    def gradients(layer, activations, backprops):
        normal = functional.batch_norm(activations[0], layer.mean, layer.variance, eps=layer.eps)
        return {layer.weight: (backprops * normal).sum((2, 3)), layer.bias: backprops.sum((2, 3))}

    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.BatchNorm2d):
                setattr(parent, name, FrozenNorm(child))
    return module.train()


def settings_of(variant):
    """Kind, layout, and size of the chunk."""
    words, _, chunk = variant.rpartition("-")
    kind, _, layout = words.partition("-")
    return kind, layout or "contiguous", int(chunk)


def built(name, norm, variant):
    """The model in evaluation mode, with running statistics of synthetic images, as the kind of variant needs it."""
    kind, layout, _ = settings_of(variant)
    hooked = kind not in ("plain", "vmap")  # hooks forbid changing a layer's output in place
    torch.manual_seed(1)
    model = conv_models.build(name, norm.partition("-")[0], inplace=not hooked)
    with torch.no_grad():
        for _ in range(10):
            model(conv_models.synthetic_images(name, 100)[0])
    model = model.to(memory_format=conv_models.LAYOUTS[layout]).eval()
    return freeze(model) if kind in ("opacus", "ghost") else model


def check(variant, norm):
    kind, layout, _ = settings_of(variant)
    if kind == "plain":
        return
    images, labels = conv_models.synthetic_images("resnet8", 32)
    expected = alpha.reference(built("resnet8", norm, "plain-contiguous-0"), images, labels)
    images = images.contiguous(memory_format=conv_models.LAYOUTS[layout])
    # the last chunk is a short one
    found = alpha.alpha_function(kind, built("resnet8", norm, variant), images, labels, 10)()
    assert abs(found / expected - 1) < 1e-4, f"{variant}: alpha is {found}, not {expected}"


def main():
    parser = common.parser(__doc__.splitlines()[0])
    parser.add_argument("--model", choices=["resnet20", "resnet32"], default="resnet32")
    parser.add_argument("--norm", choices=["batch-running", "group:8"], default="batch-running")
    parser.add_argument("--examples", type=int, default=2000, help="m, for which the time is reported")
    parser.add_argument("--timed", type=int, default=500, help="examples that a sample times")
    parser.add_argument("--variants", default="eager", help="eager (all), or some of: " + ", ".join(VARIANTS) +
                        "; the words before the last hyphen mean every size")
    parser.add_argument("--check", action="store_true", help="compare with the reference, and time nothing")
    arguments = parser.parse_args()

    common.use_threads(arguments.threads)
    common.keep_freed_memory()
    warnings.filterwarnings("ignore", "Full backward hook is firing")  # as it should, on images without gradients
    warnings.filterwarnings("ignore", "Extension saving to batch_l2")  # the network as a whole needs no rule
    images, labels = conv_models.synthetic_images(arguments.model, arguments.examples)
    timed = min(arguments.timed, arguments.examples)
    for variant in common.chosen_variants(VARIANTS, arguments.variants):
        kind, layout, chunk = settings_of(variant)
        name = f"conv-{'pass' if kind == 'plain' else 'alpha'}-{arguments.model}"
        if kind == "backpack" and arguments.norm != "batch-running":
            continue
        try:
            check(variant, arguments.norm)
        except ImportError as error:
            sys.stderr.write(f"{name} {variant}: {type(error).__name__}: {error}\n")
            continue
        if arguments.check:
            print(f"{name} {variant}: " + ("has nothing to check" if kind == "plain" else "agrees with the reference"))
            continue
        part = images[:timed].contiguous(memory_format=conv_models.LAYOUTS[layout])
        model = built(arguments.model, arguments.norm, variant)
        work = alpha.alpha_function(kind, model, part, labels[:timed], chunk)
        milliseconds = [time * arguments.examples / timed
                        for time in common.time_samples(work, max(5, arguments.samples // 8))]
        seconds = statistics.median(milliseconds) / 1e3
        common.report(name, milliseconds, arguments.threads, variant=variant, examples=arguments.examples,
                      examples_timed=timed, seconds=round(seconds, 4), norm=arguments.norm,
                      images_per_second=round(arguments.examples / seconds, 1), alpha=work())


if __name__ == "__main__":
    main()
