# SPDX-License-Identifier: Apache-2.0
"""Writes what torchvision's models, with torchvision's preprocessing, make of the photographs in a folder: the logits
that `coherent evaluate --logits` is to give. Weights follow from the names of parameters (see make_zoo_fixture.py).

    pip install torch==2.11.0 torchvision==0.26.0 numpy pillow
    python make_evaluate_fixture.py DATA/ants-bees ../CommandTests/Fixtures/evaluate.json
"""

import json
import pathlib
import sys

import torch
import torchvision
from make_zoo_fixture import PLAIN, RESIDUAL, content
from PIL import Image
from torchvision import transforms

PREPARE = transforms.Compose([
    transforms.Resize(256),
    transforms.CenterCrop(224),
    transforms.ToTensor(),
    transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
])


def main(folder, target):
    files = [path for group in ("ants", "bees") for path in sorted(pathlib.Path(folder, "val", group).iterdir())]
    images = torch.stack([PREPARE(Image.open(path).convert("RGB")) for path in files]).double()
    fixture = {}
    for name, gain in (("resnet18", RESIDUAL), ("efficientnet_b0", PLAIN)):
        model = getattr(torchvision.models, name)(num_classes=2).double().eval()
        with torch.no_grad():
            state = model.state_dict()
            entries = [(key, list(value.shape)) for key, value in state.items() if value.is_floating_point()]
            for key, shape in entries:
                state[key].copy_(content(key, tuple(shape), gain))
            logits = torch.cat([model(part) for part in images.split(8)])
        fixture[name] = {
            "gain": gain, "entries": entries, "files": [path.name for path in files],
            "logits": [float(f"{value:.9g}") for value in logits.flatten().tolist()],
        }
        print(name, logits.abs().max().item())
    pathlib.Path(target).write_text(json.dumps(fixture, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
