# SPDX-License-Identifier: Apache-2.0
"""Prints what PyTorch makes of a small perceptron, as JSON: logits, per-example losses and gradients of the mean loss.

Nothing is random: numbers come from formulas that the test repeats, so the fixture holds results only. Everything is
computed in float64.

    python make_mlp_fixture.py > ../NeuralNetworksTests/Fixtures/mlp-20-13-7-5.json
"""

import json

import torch

WIDTHS = [20, 13, 7, 5]
BATCH = 6


def wave(count, phase):
    """((37·i + 11·phase) mod 101)/101 − 1/2 for i = 0, 1, ..."""
    index = torch.arange(count, dtype=torch.int64)
    return ((37 * index + 11 * phase) % 101).double() / 101 - 0.5


def main():
    x = wave(BATCH * WIDTHS[0], 1).reshape(BATCH, WIDTHS[0]) * 4
    targets = torch.arange(BATCH) * 2 % WIDTHS[-1]
    layers = []
    for index, (inputs, outputs) in enumerate(zip(WIDTHS, WIDTHS[1:])):
        layer = torch.nn.Linear(inputs, outputs).double()
        with torch.no_grad():
            layer.weight.copy_(wave(inputs * outputs, 2 + 2 * index).reshape(outputs, inputs))
            layer.bias.copy_(wave(outputs, 3 + 2 * index))
        layers.append(layer)
    value = x
    for index, layer in enumerate(layers):
        value = layer(value)
        if index + 1 < len(layers):
            value = torch.relu(value)
    losses = torch.nn.functional.cross_entropy(value, targets, reduction="none")
    losses.mean().backward()
    gradients = {}
    for index, layer in enumerate(layers):
        gradients[f"fc{index + 1}.weight"] = layer.weight.grad.flatten().tolist()
        gradients[f"fc{index + 1}.bias"] = layer.bias.grad.tolist()
    result = {
        "torch": torch.__version__.split("+")[0],
        "widths": WIDTHS,
        "targets": targets.tolist(),
        "logits": value.detach().flatten().tolist(),
        "losses": losses.tolist(),
        "gradients": gradients,
    }
    print(json.dumps(result, indent=0))


if __name__ == "__main__":
    main()
