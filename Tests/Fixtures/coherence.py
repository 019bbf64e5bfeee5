#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prints the reference numbers of Tests/CoherenceTests/ReferenceTests.swift, from PyTorch in float64.

A 784-16-10 network with ReLU, 12 examples, cross entropy; every number of the model and of the data comes from the
integer formula `numbers`, so that both sides have the same. Per-example gradients by autograd on batches of one.
Run with any Python that has torch: python Tests/Fixtures/coherence.py
"""

import torch

torch.set_default_dtype(torch.float64)


def numbers(seed, count, scale):
    """((seed + 7919·i + i²) mod 1009)/1009 − 1/2, times scale."""
    i = torch.arange(count, dtype=torch.int64)
    return (((seed + 7919 * i + i * i) % 1009).double() / 1009 - 0.5) * scale


M = 12
model = torch.nn.Sequential(torch.nn.Linear(784, 16), torch.nn.ReLU(), torch.nn.Linear(16, 10))
with torch.no_grad():
    for seed, parameter in enumerate(model.parameters()):
        parameter.copy_(numbers(seed + 1, parameter.numel(), 0.2).reshape(parameter.shape))
x = (numbers(100, M * 784, 1.0) + 0.5).reshape(M, 784)
y = torch.tensor([i * 3 % 10 for i in range(M)])

layers = {"0": [model[0].weight, model[0].bias], "2": [model[2].weight, model[2].bias]}
rows = {name: [] for name in layers}
losses = []
for i in range(M):
    loss = torch.nn.functional.cross_entropy(model(x[i : i + 1]), y[i : i + 1])
    losses.append(loss.item())
    flat = torch.autograd.grad(loss, list(model.parameters()))
    rows["0"].append(torch.cat([flat[0].flatten(), flat[1]]))
    rows["2"].append(torch.cat([flat[2].flatten(), flat[3]]))
rows = {name: torch.stack(part) for name, part in rows.items()}
rows["all"] = torch.cat([rows["0"], rows["2"]], dim=1)

print("losses:", [f"{value:.12g}" for value in losses])
for name, g in rows.items():
    s, q = g.sum(0).square().sum().item(), g.square().sum().item()
    print(f'"{name}": sumSquaredNorm {s:.15g}, squaredNormSum {q:.15g}, alpha {s / (M * q):.15g}')

g = rows["all"]
mean = g.mean(0)
print("dots with the mean:", [f"{value:.12g}" for value in (g @ mean).tolist()])
print("squared norms:", [f"{value:.12g}" for value in g.square().sum(1).tolist()])
normal = g / g.norm(dim=1, keepdim=True)
cosine, gram = normal @ normal.T, g @ g.T
pairs = ~torch.eye(M, dtype=torch.bool)
same = (y[:, None] == y[None, :]) & pairs
print(f"stiffness: sign {gram.sign()[pairs].mean().item():.15g}, cosine {cosine[pairs].mean().item():.15g}, "
      f"within {cosine[same].mean().item():.15g}, between {cosine[pairs & ~same].mean().item():.15g}")
print(f"confusion: minimum cosine {cosine[pairs].min().item():.15g}, product {gram[pairs].min().item():.15g}")
for name, part in rows.items():
    variance = part.var(0, unbiased=False)
    known = variance > 0
    ratio = part.mean(0)[known].square() / variance[known]
    print(f'GSNR "{name}": mean {ratio.mean().item():.15g} over {int(known.sum())} of {part.size(1)}')
