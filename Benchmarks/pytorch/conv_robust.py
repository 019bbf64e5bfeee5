# SPDX-License-Identifier: Apache-2.0
"""One step of a robust average of gradients on a convolutional network, as a PyTorch user would write it well.

    sgd             mean
    m3              coordinate-wise median of the gradients of three parts of the batch, each normalised by itself
    rm3             median of this batch's gradient and the two before; the first two steps update nothing
    winsorized-sS   each coordinate clipped over the batch between its (S+1)-smallest and (S+1)-largest value, then mean
    winsorized-cC   the same by percentile: S is the rank of percentile C among the batch's examples, to the nearest

Winsorizing needs a gradient per example, which a network with batch norm does not have: it takes group norm.
Every variant is a fair peer, and the fastest is. Each first has to take the same steps as a plain reference in float64
on a small network; with --check that is all.
"""

import argparse
import itertools

import torch
from torch.func import functional_call, grad, vmap
from torch.nn import functional

import common
import conv_models
import robust_step
from robust_step import contiguous_examples, median_of_3, median_of_stack

RATE = 0.1


class Network:
    """A network whose parameters are views of one flat tensor, each in its own order in memory."""

    def __init__(self, name, norm, layout, dtype=torch.float32):
        self.layout = layout
        self.module = conv_models.build(name, norm).to(dtype)
        self.parameters = list(self.module.parameters())
        self.flat = self.flattened([parameter.detach() for parameter in self.parameters])
        for parameter, part in zip(self.parameters, self.flat.split([p.numel() for p in self.parameters])):
            shape = self._in_memory_order(parameter).shape
            parameter.data = self._in_memory_order(part.view(shape), back=True)

        def loss(parameters, x, y):
            return functional.cross_entropy(functional_call(self.module, parameters, x[None]), y[None])

        named = {name: parameter.detach() for name, parameter in self.module.named_parameters()}
        self._example_gradients = vmap(grad(loss), in_dims=(None, 0, 0))
        self.example_gradients = lambda x, y: list(self._example_gradients(named, x, y).values())

    def _in_memory_order(self, part, back=False):
        if part.dim() < 4 or self.layout == "contiguous":
            return part
        return part.permute((0, 3, 1, 2) if back else (0, 2, 3, 1))

    def flattened(self, parts):
        return torch.cat([self._in_memory_order(part).reshape(-1) for part in parts])

    def gradient(self, x, y):
        return torch.autograd.grad(functional.cross_entropy(self.module(x), y), self.parameters)


def mean(network):
    return network.gradient


def median_of_thirds(combine):
    def make(network):
        def direction(x, y):
            size = len(y) // 3
            return combine(*(network.gradient(*part) for part in zip(x.split(size), y.split(size))))

        return direction

    return make


def running_median(combine, flat=False):
    def make(network):
        history = []

        def direction(x, y):
            gradient = network.gradient(x, y)
            history.append([network.flattened(gradient)] if flat else gradient)
            if len(history) < 3:
                return None
            result = combine(*history)
            del history[0]
            return result

        return direction

    return make


def winsorized_by_parameter(bounds):
    def make_for(count):
        def make(network):
            # clamped in place, as the gradients serve nothing else
            return lambda x, y: [rows.clamp_(*bounds(rows, count)).mean(0) for rows in network.example_gradients(x, y)]

        return make

    return make_for


def winsorized_flat(bounds, columns):
    """All parameters side by side, so many coordinates at a time: most parameters of a network are small."""
    def make_for(count):
        def make(network):
            def direction(x, y):
                rows = torch.cat([part.flatten(1) for part in network.example_gradients(x, y)], 1)
                return [torch.cat([part.clamp_(*bounds(part, count)).mean(0) for part in rows.split(columns, 1)])]

            return direction

        return make

    return make_for


ALL = 1 << 40
WINSORIZED = {
    "vmap-topk": winsorized_by_parameter(robust_step.bounds_by_topk),
    "vmap-topk-flat": winsorized_flat(contiguous_examples(robust_step.bounds_by_topk), ALL),
    "vmap-sort-flat": winsorized_flat(contiguous_examples(robust_step.bounds_by_sort), ALL),
    "vmap-kthvalue-flat": winsorized_flat(contiguous_examples(robust_step.bounds_by_kthvalue), ALL),
    "insertion": winsorized_by_parameter(robust_step.bounds_by_insertion),
    "insertion-flat": winsorized_flat(robust_step.bounds_by_insertion, 1 << 15)}  # what fits the cache
MEDIANS = {"sgd": {"foreach": mean},
           "m3": {"foreach": median_of_thirds(median_of_3), "median": median_of_thirds(median_of_stack)},
           "rm3": {"foreach": running_median(median_of_3), "flat": running_median(median_of_3, flat=True),
                   "median": running_median(median_of_stack), "flat-median": running_median(median_of_stack, True)}}


def clipped_count(setting, batch):
    """How many of a batch are clipped at each end: "s2" says it, "c2" by percentile."""
    number = float(setting[1:])
    count = int(number) if setting[0] == "s" else round((batch - 1) * number / 100)  # round: halves to the even one
    if not 0 <= 2 * count < batch:
        raise SystemExit(f"error: {setting} clips {count} of {batch} examples at each end.")
    return count


def variants_of(optimizer, batch):
    """{name: (layout, what makes a direction(x, y) for a network)}"""
    if optimizer in MEDIANS:
        return {f"{name}-{layout}": (layout, make)
                for name, make in MEDIANS[optimizer].items() for layout in conv_models.LAYOUTS}
    count = clipped_count(optimizer.partition("-")[2], batch)
    # vmap is faster on contiguous images than with channels last
    return {name: ("contiguous", make_for(count)) for name, make_for in WINSORIZED.items()}


def optimizer_name(text):
    kind, _, setting = text.partition("-")
    if text in MEDIANS or kind == "winsorized" and setting[:1] in ("s", "c") and setting[1:].isdigit():
        return text
    raise argparse.ArgumentTypeError(f"{text!r} is not one of {', '.join(MEDIANS)}, winsorized-s2 and winsorized-c2")


def reference_direction(optimizer, module, x, y, history):
    """From the gradients in float64, flat, of the parts, the batches so far or the examples one by one."""
    parameters = list(module.parameters())

    def gradient(x, y):
        parts = torch.autograd.grad(functional.cross_entropy(module(x), y), parameters)
        return torch.cat([part.flatten() for part in parts])

    if optimizer == "m3":
        return torch.stack([gradient(*part) for part in zip(x.chunk(3), y.chunk(3))]).sort(0).values[1]
    if optimizer in ("sgd", "rm3"):
        history.append(gradient(x, y))
        if optimizer == "sgd":
            return history[-1]
        return torch.stack(history[-3:]).sort(0).values[1] if len(history) > 2 else torch.zeros_like(history[0])
    rows = torch.stack([gradient(x[i:i + 1], y[i:i + 1]) for i in range(len(y))])
    count = clipped_count(optimizer.partition("-")[2], len(y))
    ordered = rows.sort(0).values
    return torch.minimum(torch.maximum(rows, ordered[count]), ordered[len(rows) - 1 - count]).mean(0)


def check(optimizer, variant, norm, dtype):
    """Four steps of a variant and of the reference on a small network; an assertion fails where they part."""
    batch, rate = 12, 1e-2
    layout, make = variants_of(optimizer, batch)[variant]
    torch.manual_seed(5)
    network = Network("resnet8", norm, layout, dtype)
    torch.manual_seed(5)
    plain = conv_models.build("resnet8", norm).double()
    parameters = list(plain.parameters())
    start = torch.nn.utils.parameters_to_vector(parameters).detach()
    direction_of = make(network)
    history = []
    for x, y in conv_models.synthetic_batches("resnet8", batch, 16, layout):
        robust_step.update(network, direction_of(x.to(dtype), y), rate)
        moved = torch.nn.utils.parameters_to_vector(parameters).detach()
        moved = moved - rate * reference_direction(optimizer, plain, x.double(), y, history)
        torch.nn.utils.vector_to_parameters(moved, parameters)
    found = torch.cat([parameter.detach().double().flatten() for parameter in network.parameters])
    error = ((found - moved).norm() / (moved - start).norm()).item()
    assert error < (1e-9 if dtype == torch.float64 else 1e-2), f"{optimizer} {variant} in {dtype}: {error} off"
    return error


def main():
    parser = common.parser(__doc__.splitlines()[0])
    parser.add_argument("--model", choices=conv_models.MODELS, default="resnet32")
    parser.add_argument("--optimizer", type=optimizer_name, default="m3")
    parser.add_argument("--norm", help="batch or group:8 (default: batch; group:8 for winsorized)")
    parser.add_argument("--batch", type=int, help="(default: 32; 33 for m3 and rm3)")
    parser.add_argument("--image", type=int, help="pixels along a side (default: the model's)")
    parser.add_argument("--variants", default="eager", help="eager (all), or some of those that --check lists")
    parser.add_argument("--check", action="store_true", help="compare with the reference, and time nothing")
    arguments = parser.parse_args()

    common.use_threads(arguments.threads)
    common.keep_freed_memory()
    optimizer = arguments.optimizer
    batch = arguments.batch or (33 if optimizer in ("m3", "rm3") else 32)
    norm = arguments.norm or ("group:8" if optimizer.startswith("winsorized") else "batch")
    if optimizer == "m3" and batch % 3:
        parser.error(f"{batch} examples do not make three equal parts")
    if optimizer.startswith("winsorized") and norm == "batch":
        parser.error("with batch norm an example has no gradient of its own; choose --norm group:8")
    name = f"conv-{optimizer}-{arguments.model}"
    variants = variants_of(optimizer, batch)
    for variant in common.chosen_variants(variants, arguments.variants):
        errors = [check(optimizer, variant, norm, dtype) for dtype in (torch.float64, torch.float32)]
        if arguments.check:
            print(f"{name} {variant}: within {errors[0]:.0e} (float64) and {errors[1]:.0e} of the reference")
            continue
        layout, make = variants[variant]
        network = Network(arguments.model, norm, layout)
        direction_of = make(network)
        batches = itertools.cycle(conv_models.synthetic_batches(arguments.model, batch, arguments.image, layout))

        def step():
            robust_step.update(network, direction_of(*next(batches)), RATE)

        common.report(name, common.time_samples(step, arguments.samples), arguments.threads, variant=variant,
                      batch_size=batch, norm=norm)


if __name__ == "__main__":
    main()
