# SPDX-License-Identifier: Apache-2.0
"""One SGD step on a GPU, batches on the device: ResNets channels last, or a fully connected network such as 784-2048-10.

--dtype float32 computes in float32 throughout (TF32 off unless --tf32), bfloat16 by autocast. The device works behind
Python's back, so a sample is a row of steps between two waits for it. Every eager variant is a fair peer; "compiled" and
"compiled-graphs", which replays CUDA graphs, are reported beside them; "eager-repeatable" takes convolutions that give the
same bits again, without trying which is fastest. --device cpu is there to try the script.
"""

import itertools
import sys
import time

import torch
from torch.nn import functional

import common
import conv_models

OPTIMIZERS = {"foreach": {"foreach": True}, "fused": {"fused": True}, "repeatable": {"fused": True}}
COMPILED = {"compiled": "default", "compiled-graphs": "reduce-overhead"}
VARIANTS = [f"eager-{name}" for name in OPTIMIZERS] + list(COMPILED)
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def model_name(text):
    """A ResNet's name, or layer sizes such as 784-2048-10."""
    if text not in conv_models.MODELS:
        common.layer_sizes(text)
    return text


def build(name):
    if name in conv_models.MODELS:
        return conv_models.build(name, layout="channels-last")
    return common.mlp(common.layer_sizes(name))


def batches_for(name, size, image, count=4):
    if name in conv_models.MODELS:
        return conv_models.synthetic_batches(name, size, image, "channels-last", count)
    sizes = common.layer_sizes(name)
    images, labels = common.synthetic_digits(size * count, sizes[0], sizes[-1])
    return list(zip(images.split(size), labels.split(size)))


def step_function(variant, model, batches, device, dtype=torch.bfloat16, rate=0.1):
    settings = OPTIMIZERS.get(variant.partition("-")[2], OPTIMIZERS["fused"])
    optimizer = torch.optim.SGD(model.parameters(), lr=rate, **settings)

    def loss_of(x, y):
        with torch.autocast(device.type, torch.bfloat16, enabled=dtype == torch.bfloat16):
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
    parser.add_argument("--model", type=model_name, default="resnet50",
                        help="layer sizes such as 784-2048-10, or one of: " + ", ".join(conv_models.MODELS))
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--image", type=int, help="pixels along a side (default: the model's)")
    parser.add_argument("--device", type=torch.device, default="cuda")
    parser.add_argument("--dtype", choices=DTYPES, default="bfloat16")
    parser.add_argument("--tf32", action="store_true", help="let float32 products be computed in TF32")
    parser.add_argument("--variants", default="all", help="all, or any of: " + ", ".join(VARIANTS))
    arguments = parser.parse_args()

    device = arguments.device
    if device.type == "cuda" and not torch.cuda.is_available():
        sys.exit("error: PyTorch finds no CUDA device here. Try the script with --device cpu.")
    common.use_threads(arguments.threads)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = arguments.tf32
    described = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
    name = f"gpu-sgd-{arguments.model}"
    batches = [(x.to(device), y.to(device)) for x, y in
               batches_for(arguments.model, arguments.batch, arguments.image)]
    for variant in common.chosen_variants(VARIANTS, arguments.variants):
        torch.manual_seed(1)
        repeatable = variant == "eager-repeatable"
        torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic = not repeatable, repeatable
        model = build(arguments.model).to(device)
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        try:
            step = step_function(variant, model, batches, device, DTYPES[arguments.dtype])
            milliseconds = time_on(device, step, arguments.samples)
        except Exception as error:  # torch.compile without what it needs, for one
            sys.stderr.write(f"{name} {variant}: {type(error).__name__}: {str(error).splitlines()[0]}\n")
            continue
        more = {"peak_device_bytes": torch.cuda.max_memory_allocated(device)} if device.type == "cuda" else {}
        fastest = arguments.batch / min(milliseconds) * 1e3
        common.report(name, milliseconds, arguments.threads, variant=variant, batch_size=arguments.batch,
                      device=described, dtype=arguments.dtype, most_images_per_second=round(fastest, 1), **more)


if __name__ == "__main__":
    main()
