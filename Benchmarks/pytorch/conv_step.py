# SPDX-License-Identifier: Apache-2.0
"""One SGD step of a convolutional network: forward, cross entropy, backward, update, and nothing else.

The batches are in memory in the layout that the variant wants, so no step gathers or copies images. Every eager
variant is a fair peer; the fastest is. They are named by layout and by the optimizer's implementation; "kept" has
malloc keep freed memory, without which every step asks the system for its activations anew. torch.compile is reported
beside them, as it needs a C++ compiler and a minute of its own. With --check each variant takes steps beside a plain
loop in float64, and nothing is timed.
"""

import copy
import itertools
import sys

import torch
from torch.nn import functional

import common
import conv_models

OPTIMIZERS = {"single": {"foreach": False}, "foreach": {"foreach": True}, "fused": {"fused": True}}
# "kept" comes after the others, for it cannot be undone; so does compiled: the peak memory of a process never falls
VARIANTS = [f"{layout}-{optimizer}" for layout in conv_models.LAYOUTS for optimizer in OPTIMIZERS] + [
    "channels-last-fused-kept", "contiguous-fused-kept", "compiled"]


def settings_of(variant):
    """Layout, settings of the optimizer, and whether memory is kept."""
    if variant == "compiled":
        return "channels-last", OPTIMIZERS["fused"], True
    words = variant.removesuffix("-kept")
    layout, _, optimizer = words.rpartition("-")
    return layout, OPTIMIZERS[optimizer], words != variant


def step_function(variant, model, batches, rate=0.1):
    """A function that takes one step, on each of the batches in turn."""
    layout, settings, keep = settings_of(variant)
    if keep:
        common.keep_freed_memory()
    model = model.to(memory_format=conv_models.LAYOUTS[layout])
    optimizer = torch.optim.SGD(model.parameters(), lr=rate, **settings)

    def loss_of(x, y):
        return functional.cross_entropy(model(x), y)

    if variant == "compiled":
        loss_of = torch.compile(loss_of)
    batches = itertools.cycle(batches)

    def step():
        x, y = next(batches)
        optimizer.zero_grad(set_to_none=True)
        loss_of(x, y).backward()
        optimizer.step()

    return step


def movement(model, before):
    return torch.cat([(now - then).double().flatten() for now, then in zip(model.parameters(), before)]).detach()


def check(variant, name, norm, dtype):
    """By how much steps of the variant in `dtype` move the parameters otherwise than a plain loop in float64 does."""
    rate = 1e-4
    steps = 2 if dtype == torch.float64 else 1  # what float32 rounds in one step grows in the next
    torch.manual_seed(5)
    plain = conv_models.build(name, norm).double()
    model = copy.deepcopy(plain).to(dtype)
    before = [parameter.detach().clone() for parameter in plain.parameters()]
    batches = conv_models.synthetic_batches(name, 8, min(64, conv_models.image_size(name)), settings_of(variant)[0],
                                            steps)
    step = step_function(variant, model, [(x.to(dtype), y) for x, y in batches], rate)
    parameters = list(plain.parameters())
    for x, y in batches:
        step()
        gradient = torch.autograd.grad(functional.cross_entropy(plain(x.double()), y), parameters)
        with torch.no_grad():
            for parameter, part in zip(parameters, gradient):
                parameter -= rate * part
    expected = movement(plain, before)
    error = ((movement(model, before) - expected).norm() / expected.norm()).item()
    # a new network is ill-conditioned: float32 alone puts a gradient of ResNet-50 2 % off
    assert error < (1e-9 if dtype == torch.float64 else 0.1), f"{variant} in {dtype}: {error} off"
    return error


def main():
    parser = common.parser(__doc__.splitlines()[0])
    parser.add_argument("--model", choices=conv_models.MODELS, default="resnet32")
    parser.add_argument("--norm", default="batch", help="batch or group:8")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--image", type=int, help="pixels along a side (default: the model's)")
    parser.add_argument("--variants", default="eager", help="eager, all, or any of: " + ", ".join(VARIANTS))
    parser.add_argument("--check", action="store_true", help="compare with the reference, and time nothing")
    arguments = parser.parse_args()

    common.use_threads(arguments.threads)
    name = "conv-sgd-" + arguments.model
    for variant in common.chosen_variants(VARIANTS, arguments.variants):
        try:
            if arguments.check:
                errors = [check(variant, arguments.model, arguments.norm, dtype)
                          for dtype in (torch.float64, torch.float32)]
                print(f"{name} {variant}: within {errors[0]:.0e} (float64) and {errors[1]:.0e} of the reference")
                continue
            torch.manual_seed(1)
            model = conv_models.build(arguments.model, arguments.norm)
            batches = conv_models.synthetic_batches(arguments.model, arguments.batch, arguments.image,
                                                    settings_of(variant)[0])
            step = step_function(variant, model, batches)
            step()
        except AssertionError:
            raise
        except Exception as error:  # torch.compile without a C++ compiler, for one
            sys.stderr.write(f"{name} {variant}: {type(error).__name__}: {str(error).splitlines()[0]}\n")
            continue
        common.report(name, common.time_samples(step, arguments.samples), arguments.threads, variant=variant,
                      batch_size=arguments.batch)


if __name__ == "__main__":
    main()
