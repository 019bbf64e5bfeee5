# SPDX-License-Identifier: Apache-2.0
"""Writes what torchvision's models make of deterministic weights, as one JSON file per model.

Nothing is random and no weights are stored: every number comes from a table of hashed integers that the test builds
too, bit by bit (`table`, `values`). A file holds the parameters' names and shapes in order, and for each case (image
size, batch, evaluation or training mode) the logits, the mean cross entropy, and of every parameter's gradient g: its
norm, its sum, its products with two deterministic vectors and four of its elements. In training mode it also holds the
norms of the running statistics after the pass.

Weights and inputs are float32, the computation is float64. A ReLU so close to its kink that float32 falls on the other
side changes gradients by more than rounding, so of a few inputs the one is taken on which float32 does best here;
"single" says whether it does well enough to be compared at all. Dropout and stochastic depth are off. torchvision has
no ResNet for CIFAR, so `SmallResNet` below is one, and no small vision transformer, so vit_tiny is its class of other
sizes.

    pip install torch==2.11.0 torchvision==0.26.0 numpy
    python make_zoo_fixture.py ../NeuralNetworksTests/Fixtures/Zoo [MODEL...]
"""

import json
import math
import pathlib
import sys
from functools import partial

import numpy as np
import torch
import torchvision
from torch import nn

CLASSES = 10
PERIOD = 999983  # a prime, so that no row of a weight repeats another


def table():
    """Numbers in [-1, 1): 24 bits of a hash of 0, 1, ..., exact in float32."""
    h = np.arange(PERIOD, dtype=np.uint32) * np.uint32(0x9E3779B1) + np.uint32(0x85EBCA6B)
    h ^= h >> np.uint32(16)
    h *= np.uint32(0x85EBCA6B)
    h ^= h >> np.uint32(13)
    h *= np.uint32(0xC2B2AE35)
    h ^= h >> np.uint32(16)
    return ((h >> np.uint32(8)).astype(np.int32) - (1 << 23)).astype(np.float32) * np.float32(2.0**-23)


TABLE = table()


def values(name, count):
    """`count` entries of the table, read round and round from a place that the name decides (32-bit FNV-1a)."""
    start = 0x811C9DC5
    for byte in name.encode():
        start = (start ^ byte) * 0x01000193 & 0xFFFFFFFF
    start %= PERIOD
    copies = (start + count + PERIOD - 1) // PERIOD
    return np.tile(TABLE, copies)[start : start + count]


def content(name, shape, gain):
    """What a parameter or buffer holds, float32."""
    unit = values(name, math.prod(shape))
    if name.endswith("running_var"):
        data = np.float32(1) + unit * np.float32(0.5)
    elif name.endswith("running_mean"):
        data = unit * np.float32(0.125)
    elif len(shape) > 1:
        data = unit * np.float32(math.sqrt(gain / math.prod(shape[1:])))
    elif name.endswith("weight"):
        data = np.float32(1) + unit * np.float32(0.25)
    else:
        data = unit * np.float32(0.125)
    return torch.from_numpy(data.reshape(shape))


class SmallBlock(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.stride = stride

    def forward(self, x):
        y = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        shortcut = torch.zeros_like(y)
        shortcut[:, : x.shape[1]] = x[:, :, :: self.stride, :: self.stride]
        return torch.relu(y + shortcut)


class SmallResNet(nn.Module):
    """The network of He et al. (2016), section 4.2, with identity shortcuts padded by zeros (option A)."""

    def __init__(self, layers, channels=3):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        inputs = 16
        for stage, outputs in enumerate([16, 32, 64]):
            blocks = []
            for block in range((layers - 2) // 6):
                blocks.append(SmallBlock(inputs, outputs, 2 if stage > 0 and block == 0 else 1))
                inputs = outputs
            setattr(self, f"layer{stage + 1}", nn.Sequential(*blocks))
        self.fc = nn.Linear(64, CLASSES)

    def forward(self, x):
        x = torch.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.fc(x.mean([2, 3]))


def small_stem(model):
    model.conv1 = nn.Conv2d(3, 64, 3, 1, 1, bias=False)
    model.maxpool = nn.Identity()
    return model


def make(name):
    known = torchvision.models
    if name in ("resnet20", "resnet32", "resnet44", "resnet56"):
        return SmallResNet(int(name[6:]))
    if name == "resnet20-gray":
        return SmallResNet(20, channels=1)
    if name == "resnet18-group8":
        return known.resnet18(num_classes=CLASSES, norm_layer=partial(nn.GroupNorm, 8))
    if name.endswith("-32"):
        return small_stem(getattr(known, name[:-3])(num_classes=CLASSES))
    if name == "inception_v3":
        return known.inception_v3(num_classes=CLASSES, aux_logits=False, init_weights=False)
    if name == "vit_tiny":
        return known.VisionTransformer(
            image_size=16, patch_size=4, num_layers=12, num_heads=3, hidden_dim=192, mlp_dim=768, num_classes=CLASSES)
    if name == "vit_b_16":
        return known.vit_b_16(image_size=32, num_classes=CLASSES)
    return getattr(known, name)(num_classes=CLASSES)


# Of the weights: E[w²] = gain/3 over the fan in. Chosen for logits of a moderate size.
RESIDUAL, PLAIN = 3.0, 6.0
EVALUATE, TRAIN = "evaluate", "train"
MODELS = {
    "resnet20": (RESIDUAL, [(EVALUATE, [2, 3, 16, 20])]),
    "resnet20-gray": (RESIDUAL, [(EVALUATE, [2, 1, 14, 14])]),
    "resnet32": (RESIDUAL, [(EVALUATE, [2, 3, 32, 28]), (TRAIN, [4, 3, 32, 28])]),
    "resnet44": (RESIDUAL, [(EVALUATE, [2, 3, 16, 20])]),
    "resnet56": (RESIDUAL, [(EVALUATE, [2, 3, 16, 20])]),
    "resnet18": (RESIDUAL, [(EVALUATE, [2, 3, 64, 48]), (TRAIN, [4, 3, 64, 64])]),
    "resnet18-32": (RESIDUAL, [(EVALUATE, [2, 3, 16, 20])]),
    "resnet18-group8": (RESIDUAL, [(EVALUATE, [2, 3, 64, 48])]),
    "resnet34": (RESIDUAL, [(EVALUATE, [2, 3, 64, 48])]),
    "resnet34-32": (RESIDUAL, [(EVALUATE, [2, 3, 16, 12])]),
    "resnet50": (RESIDUAL, [(EVALUATE, [2, 3, 64, 48])]),
    "resnet50-32": (RESIDUAL, [(EVALUATE, [2, 3, 16, 12])]),
    "vgg11": (PLAIN, [(EVALUATE, [2, 3, 32, 64])]),
    "vgg11_bn": (PLAIN, [(EVALUATE, [2, 3, 32, 64]), (TRAIN, [4, 3, 32, 64])]),
    "vgg13": (PLAIN, [(EVALUATE, [2, 3, 32, 64])]),
    "vgg13_bn": (PLAIN, [(EVALUATE, [2, 3, 32, 64])]),
    "vgg16": (PLAIN, [(EVALUATE, [2, 3, 32, 64])]),
    "vgg16_bn": (PLAIN, [(EVALUATE, [2, 3, 32, 64])]),
    "inception_v3": (PLAIN, [(EVALUATE, [2, 3, 75, 80]), (TRAIN, [4, 3, 107, 107])]),
    "efficientnet_b0": (PLAIN, [(EVALUATE, [2, 3, 64, 48]), (TRAIN, [4, 3, 64, 64])]),
    **{f"efficientnet_b{index}": (PLAIN, [(EVALUATE, [2, 3, 32, 40])]) for index in range(1, 8)},
    "alexnet": (PLAIN, [(EVALUATE, [2, 3, 63, 95])]),
    "vit_tiny": (RESIDUAL, [(EVALUATE, [2, 3, 16, 16])]),
    "vit_b_16": (RESIDUAL, [(EVALUATE, [2, 3, 32, 32])]),
}


def digits(number):
    return float(f"{number:.8g}")


def summary(name, gradient):
    """norm, sum, two products, four elements."""
    flat = gradient.detach().double().flatten().numpy()
    numbers = [np.sqrt(flat @ flat), flat.sum()]
    numbers += [flat @ values(f"{name}#{index}", flat.size).astype(np.float64) for index in (1, 2)]
    numbers += [flat[index * (flat.size - 1) // 3] for index in range(4)]
    return [digits(number) for number in numbers]


def prepare(model, mode, gain, dtype):
    model.to(dtype)
    with torch.no_grad():
        for name, tensor in list(model.named_parameters()) + list(model.named_buffers()):
            if not name.endswith("num_batches_tracked"):
                tensor.copy_(content(name, tuple(tensor.shape), gain))
    model.train(mode == TRAIN)
    model.zero_grad()
    for module in model.modules():
        if isinstance(module, (nn.Dropout, torchvision.ops.StochasticDepth)):
            module.p = 0.0


def step(model, mode, shape, gain, word, dtype, shake=0.0):
    prepare(model, mode, gain, dtype)
    x = torch.from_numpy(values(word, math.prod(shape)).reshape(shape)).to(dtype)
    if shake:
        x *= 1 + shake * torch.from_numpy(values("shake", math.prod(shape)).reshape(shape))
    logits = model(x.contiguous(memory_format=torch.channels_last))
    loss = nn.functional.cross_entropy(logits, torch.arange(shape[0]) * 3 % CLASSES)
    loss.backward()
    return logits, loss, [p.grad.double() for p in model.parameters()]


def deviation(model, mode, shape, gain, word):
    """The largest relative error of a float32 gradient, those aside that are 0 but for rounding.

    Float32 rounds in as many ways as there are orders of summation: other numbers of threads, and inputs off by some
    units in the last place, stand for them.
    """
    double = step(model, mode, shape, gain, word, torch.float64)[2]
    least = 1e-10 * max(g.norm() for g in double)
    worst = 0.0
    for threads, shake in ((2, 0.0), (1, 0.0), (3, 0.0), (2, 3e-6), (2, -3e-6)):
        torch.set_num_threads(threads)
        single = step(model, mode, shape, gain, word, torch.float32, shake)[2]
        worst = max([worst] + [((a - b).norm() / b.norm()).item() for a, b in zip(single, double) if b.norm() > least])
        if worst > 5e-4:
            break
    return worst


def run(model, mode, shape, gain):
    best = None
    for attempt in range(12):
        word = f"input{attempt}"
        error = deviation(model, mode, shape, gain, word)
        if best is None or error < best[0]:
            best = (error, word)
        if error < 1e-4:
            break
    error, word = best
    logits, loss, gradients = step(model, mode, shape, gain, word, torch.float64)
    case = {
        "mode": mode,
        "shape": shape,
        "input": word,
        "single": error < 5e-4,
        "logits": [digits(v) for v in logits.detach().flatten().tolist()],
        "loss": digits(loss.item()),
        "gradients": [summary(n, g) for (n, _), g in zip(model.named_parameters(), gradients)],
    }
    print(f"  {mode} {word}: float32 is off by {error:.2g}")
    if mode == TRAIN:
        case["buffers"] = {
            name: digits(tensor.norm().item())
            for name, tensor in model.named_buffers()
            if not name.endswith("num_batches_tracked")
        }
    return case


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name in sys.argv[2:] or MODELS:
        gain, cases = MODELS[name]
        model = make(name)
        results = [run(model, mode, shape, gain) for mode, shape in cases]
        fixture = {
            "torch": torch.__version__.split("+")[0],
            "torchvision": torchvision.__version__.split("+")[0],
            "gain": gain,
            "parameters": [[n, list(p.shape)] for n, p in model.named_parameters()],
            "cases": results,
        }
        (folder / f"{name}.json").write_text(json.dumps(fixture, separators=(",", ":")) + "\n")
        for case in results:
            logits = np.array(case["logits"])
            norms = [g[0] for g in case["gradients"]]
            print(f"{name} {case['mode']}: logits {logits.std():.3g}, loss {case['loss']:.3g}, "
                  f"gradient norms {min(norms):.2g} to {max(norms):.2g}", flush=True)


if __name__ == "__main__":
    main()
