# SPDX-License-Identifier: Apache-2.0
"""Convolutional networks and the batches they are timed on, for the twins that begin with conv_.

    resnet20, resnet32   for CIFAR (He et al. 2016, section 4.2): shortcuts without parameters
    resnet18-32          ResNet-18 for CIFAR: a 3 x 3 convolution first, and no pooling after it
    resnet18, resnet50   torchvision's, for ImageNet
"""

import argparse
from functools import partial

import torch
from torch import nn
from torch.nn import functional

try:
    import torchvision
except ImportError:  # resnet18-32 does without it
    torchvision = None

CIFAR_BLOCKS = {"resnet8": 1, "resnet20": 3, "resnet32": 5}  # per stage; resnet8 is for checks
TORCHVISION = ("resnet18", "resnet50")
MODELS = ["resnet20", "resnet32", "resnet18-32", *TORCHVISION]
LAYOUTS = {"channels-last": torch.channels_last, "contiguous": torch.contiguous_format}


class Block(nn.Module):
    """relu(norm(conv(relu(norm(conv(x))))) + x), where x is thinned out and padded with channels of zeros to fit."""

    def __init__(self, inputs, outputs, stride, norm, inplace):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.bn1 = norm(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = norm(outputs)
        self.stride, self.added, self.inplace = stride, outputs - inputs, inplace

    def forward(self, x):
        y = functional.relu(self.bn1(self.conv1(x)), inplace=self.inplace)
        y = self.bn2(self.conv2(y))
        if self.added:
            x = functional.pad(x[:, :, ::self.stride, ::self.stride], (0, 0, 0, 0, 0, self.added))
        y = y.add_(x) if self.inplace else y + x
        return functional.relu(y, inplace=self.inplace)


class CifarResNet(nn.Module):
    """6n + 2 layers: three stages of n blocks with 16, 32 and 64 channels. Names of parameters as in torchvision."""

    def __init__(self, blocks, classes=10, norm=nn.BatchNorm2d, inplace=True):
        super().__init__()
        self.inplace = inplace
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.bn1 = norm(16)
        self.layer1 = self._stage(blocks, 16, 16, norm)
        self.layer2 = self._stage(blocks, 16, 32, norm)
        self.layer3 = self._stage(blocks, 32, 64, norm)
        self.fc = nn.Linear(64, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def _stage(self, blocks, inputs, outputs, norm):
        first = Block(inputs, outputs, outputs // inputs, norm, self.inplace)
        return nn.Sequential(first, *(Block(outputs, outputs, 1, norm, self.inplace) for _ in range(blocks - 1)))

    def forward(self, x):
        x = functional.relu(self.bn1(self.conv1(x)), inplace=self.inplace)
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.fc(x.mean((2, 3)))


class WideBlock(nn.Module):
    """torchvision's BasicBlock: as above, with a convolution in the shortcut where sizes change."""

    def __init__(self, inputs, outputs, stride, norm):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.bn1 = norm(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = norm(outputs)
        self.downsample = None if stride == 1 and inputs == outputs else nn.Sequential(
            nn.Conv2d(inputs, outputs, 1, stride, bias=False), norm(outputs))

    def forward(self, x):
        y = functional.relu(self.bn1(self.conv1(x)), inplace=True)
        y = self.bn2(self.conv2(y))
        y += x if self.downsample is None else self.downsample(x)
        return functional.relu(y, inplace=True)


class SmallImageResNet18(nn.Module):
    """torchvision's resnet18 with a 3 x 3 convolution first and no pooling after it, for where there is no torchvision.

    The same names of parameters, the same results, the same distributions of new weights.
    """

    def __init__(self, classes=10, norm=nn.BatchNorm2d):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
        self.bn1 = norm(64)
        widths = [64, 64, 128, 256, 512]
        for stage, (inputs, outputs) in enumerate(zip(widths, widths[1:]), start=1):
            setattr(self, f"layer{stage}", nn.Sequential(
                WideBlock(inputs, outputs, 1 if stage == 1 else 2, norm), WideBlock(outputs, outputs, 1, norm)))
        self.fc = nn.Linear(512, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x):
        x = functional.relu(self.bn1(self.conv1(x)), inplace=True)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(x.mean((2, 3)))


def normalization(text):
    """What makes a layer from a number of channels: "batch", or "group:8" with its number of groups."""
    kind, _, groups = text.partition(":")
    if text == "batch":
        return nn.BatchNorm2d
    if kind == "group" and groups.isdigit() and int(groups) > 0:
        return partial(nn.GroupNorm, int(groups))
    raise argparse.ArgumentTypeError(f"{text!r} is not a normalisation such as batch or group:8")


def build(name, norm="batch", inplace=True, layout="contiguous"):
    """A new model. `inplace` is for the CIFAR ones; torchvision's always are."""
    norm = normalization(norm)
    if name in CIFAR_BLOCKS:
        model = CifarResNet(CIFAR_BLOCKS[name], norm=norm, inplace=inplace)
    elif name == "resnet18-32" and torchvision is None:
        model = SmallImageResNet18(norm=norm)
    elif torchvision is None:
        raise RuntimeError(f"{name} is torchvision's, which is not installed. Run: python3 -m pip install torchvision")
    elif name == "resnet18-32":
        model = torchvision.models.resnet18(weights=None, num_classes=10, norm_layer=norm)
        model.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
        nn.init.kaiming_normal_(model.conv1.weight, mode="fan_out", nonlinearity="relu")
        model.maxpool = nn.Identity()
    else:
        model = getattr(torchvision.models, name)(weights=None, norm_layer=norm)
    return model.to(memory_format=LAYOUTS[layout])


def image_size(name):
    """Pixels along a side, unless told otherwise."""
    return 224 if name in TORCHVISION else 32


def class_count(name):
    return 1000 if name in TORCHVISION else 10


def synthetic_images(name, count, size=None):
    """`count` normalised images [count, 3, size, size], float32, and int64 labels; the same at every call."""
    generator = torch.Generator().manual_seed(7)
    size = size or image_size(name)
    images = torch.empty(count, 3, size, size)
    for part in images.split(100):
        part.normal_(generator=generator)
    return images, torch.randint(class_count(name), (count,), generator=generator)


def synthetic_batches(name, batch, size=None, layout="contiguous", count=4):
    """`count` batches to take by turns: on a single one the loss, and with it the gradients, would soon vanish."""
    images, labels = synthetic_images(name, batch * count, size)
    return [(x.contiguous(memory_format=LAYOUTS[layout]), y) for x, y in zip(images.split(batch), labels.split(batch))]
