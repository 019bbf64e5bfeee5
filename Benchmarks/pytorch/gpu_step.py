# SPDX-License-Identifier: Apache-2.0
"""One SGD step of ResNet-18 or ResNet-50 on a GPU: bfloat16 by autocast, channels last, batches on the device.

The device works behind Python's back, so a sample is a row of steps between two waits for it. Every eager variant is a
fair peer; "compiled" and "compiled-graphs", which replays CUDA graphs, are reported beside them. --device cpu is there
to try the script.
"""

import itertools
import sys
import time

import torch
from torch.nn import functional

import common
import conv_models

OPTIMIZERS = {"foreach": {"foreach": True}, "fused": {"fused": True}}
COMPILED = {"compiled": "default", "compiled-graphs": "reduce-overhead"}
VARIANTS = [f"eager-{name}" for name in OPTIMIZERS] + list(COMPILED)


def step_function(variant, model, batches, device):
    settings = OPTIMIZERS.get(variant.partition("-")[2], OPTIMIZERS["fused"])
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, **settings)

    def loss_of(x, y):
        with torch.autocast(device.type, torch.bfloat16):
            return functional.cross_entropy(model(x), y)

    if variant in COMPILED:
        loss_of = torch.compile(loss_of, mode=COMPILED[variant])
    batches = itertools.cycle(batches)

    def step():
        x, y = next(batches)
        optimizer.zero_grad(set_to_none=True)
        loss_of(x, y).backward()
        optimizer.step()

    return step


def time_on(device, step, samples, sample_seconds=0.2):
    """Milliseconds per step, once per sample."""
    wait = torch.cuda.synchronize if device.type == "cuda" else lambda: None

    def seconds_for(count):
        wait()
        start = time.perf_counter()
        for _ in range(count):
            step()
        wait()
        return time.perf_counter() - start

    seconds_for(5)
    repeats = max(1, round(sample_seconds / (seconds_for(5) / 5)))
    return [seconds_for(repeats) / repeats * 1e3 for _ in range(samples)]


def main():
    parser = common.parser(__doc__.splitlines()[0])
    parser.add_argument("--model", choices=conv_models.MODELS, default="resnet50")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--image", type=int, help="pixels along a side (default: the model's)")
    parser.add_argument("--device", type=torch.device, default="cuda")
    parser.add_argument("--variants", default="all", help="all, or any of: " + ", ".join(VARIANTS))
    arguments = parser.parse_args()

    device = arguments.device
    if device.type == "cuda" and not torch.cuda.is_available():
        sys.exit("error: PyTorch finds no CUDA device here. Try the script with --device cpu.")
    common.use_threads(arguments.threads)
    torch.backends.cudnn.benchmark = True
    described = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
    name = f"gpu-sgd-{arguments.model}"
    batches = [(x.to(device), y.to(device)) for x, y in
               conv_models.synthetic_batches(arguments.model, arguments.batch, arguments.image, "channels-last")]
    for variant in common.chosen_variants(VARIANTS, arguments.variants):
        torch.manual_seed(1)
        model = conv_models.build(arguments.model, layout="channels-last").to(device)
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        try:
            milliseconds = time_on(device, step_function(variant, model, batches, device), arguments.samples)
        except Exception as error:  # torch.compile without what it needs, for one
            sys.stderr.write(f"{name} {variant}: {type(error).__name__}: {str(error).splitlines()[0]}\n")
            continue
        more = {"peak_device_bytes": torch.cuda.max_memory_allocated(device)} if device.type == "cuda" else {}
        fastest = arguments.batch / min(milliseconds) * 1e3
        common.report(name, milliseconds, arguments.threads, variant=variant, batch_size=arguments.batch,
                      device=described, dtype="bfloat16", most_images_per_second=round(fastest, 1), **more)


if __name__ == "__main__":
    main()
