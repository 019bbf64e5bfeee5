# SPDX-License-Identifier: Apache-2.0
"""Coherence of m sequences of a decoder-only transformer with tied embeddings: alpha = |S|^2 / (m Q), as in alpha.py.

The model is that of `transformer:layers=L,width=D,heads=H,tied=yes` over bytes: learned positions, normalisation before
attention and perceptron, GELU, causal attention by PyTorch's fused kernel; a sequence's loss is the mean over its
tokens' predictions. The variants end in the size of their chunk, and begin with their kind:

    plain     forward and backward alone: what the others add to
    ghost     hooks that take the squared norm of every layer's gradient per sequence from the Gram matrices of its inputs
              and of the gradients at its outputs, which never forms a gradient per sequence; the two uses of the tied table
              have their inner product added
    vmap      torch.func: the gradients of a chunk in memory, then their sum and their squares; attention by PyTorch's
              plain kernel, as the fused one has no rule for it

A sample times a part of the m sequences and is scaled to all of them, as every chunk costs the same: "examples_timed" says
how many. Each variant first has to agree with a reference in float64, one sequence after the other, on a small model.
"""

import copy

import torch
from torch import nn
from torch.func import functional_call, grad, vmap
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

import common
from alpha import Sums, reference, timed_variants

VARIANTS = ["plain-8", "plain-16", "plain-32", "ghost-8", "ghost-16", "ghost-32", "vmap-4", "vmap-8"]
VOCABULARY = 256


class Layer(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.in_proj, self.out_proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        q, k, v = self.in_proj(self.ln_1(x)).unflatten(-1, (3, self.heads, -1)).transpose(-4, -2).unbind(-3)
        attended = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out_proj(attended.transpose(-3, -2).flatten(-2))
        return x + self.down(functional.gelu(self.up(self.ln_2(x))))


class Transformer(nn.Module):
    def __init__(self, layers, width, heads, length):
        super().__init__()
        self.table = nn.Embedding(VOCABULARY, width)
        self.positions = nn.Parameter(0.02 * torch.randn(length, width))
        self.layers = nn.Sequential(*(Layer(width, heads) for _ in range(layers)))
        self.ln = nn.LayerNorm(width)
        nn.init.normal_(self.table.weight, std=0.02)
        self.watched = None  # told of the sum of tokens and positions, and of what goes into the last product

    def forward(self, tokens):
        x = self.table(tokens) + self.positions
        hidden = self.ln(self.layers(x))
        logits = functional.linear(hidden, self.table.weight)
        if self.watched is not None:
            self.watched(x, hidden, logits)
        return logits


def losses(logits, targets):
    """The mean over its tokens for each sequence."""
    return functional.cross_entropy(logits.flatten(0, -2), targets.flatten(), reduction="none").view_as(targets).mean(-1)


class Ghost:
    """Squared norms of the gradients per sequence, without the gradients."""

    def __init__(self, model):
        self.model, self.norms = model, None
        for module in model.modules():
            if isinstance(module, nn.Linear):
                module.register_forward_hook(self.watch_linear)
            elif isinstance(module, nn.LayerNorm):
                module.register_forward_hook(self.watch_norm)
        model.watched = self.watch_ends

    def add(self, squares):
        self.norms = self.norms + squares

    def watch_linear(self, module, inputs, output):
        x = inputs[0].detach()

        def at(g):
            self.add(((x @ x.mT) * (g @ g.mT)).sum((1, 2)) + g.sum(1).square().sum(1))

        output.register_hook(at)

    def watch_norm(self, module, inputs, output):
        x = functional.layer_norm(inputs[0].detach(), module.normalized_shape, eps=module.eps)
        output.register_hook(lambda g: self.add((g * x).sum(1).square().sum(1) + g.sum(1).square().sum(1)))

    def watch_ends(self, x, hidden, logits):
        hidden, kept = hidden.detach(), {}
        logits.register_hook(lambda g: kept.update(logits=g))

        def at(g):
            self.add(g.square().sum((1, 2)))  # positions
            tokens, delta = self.tokens, kept["logits"]
            same = tokens[:, :, None] == tokens[:, None, :]
            gram = g @ g.mT
            # of the table as the first layer, as the last, and twice their inner product
            self.add((gram * same).sum((1, 2)) + ((hidden @ hidden.mT) * (delta @ delta.mT)).sum((1, 2)))
            at_tokens = delta.gather(2, tokens[:, None, :].expand(-1, delta.shape[1], -1))
            self.add(2 * (at_tokens * (hidden @ g.mT)).sum((1, 2)))

        x.register_hook(at)

    def __call__(self, tokens, targets, sums):
        """Adds to the parameters' .grad, which `alpha_function` takes into the sums at the end."""
        self.tokens, self.norms = tokens, torch.zeros(len(tokens), dtype=self.model.positions.dtype)
        losses(self.model(tokens), targets).sum().backward()
        sums.squared_norms += self.norms.double().sum().item()


def vmap_pass(model):
    parameters = {name: parameter.detach() for name, parameter in model.named_parameters()}

    def loss(parameters, x, y):
        return losses(functional_call(model, parameters, x[None]), y[None])[0]

    gradients_of = vmap(grad(loss), in_dims=(None, 0, 0))

    def add(x, y, sums):
        with sdpa_kernel(SDPBackend.MATH):
            sums.add_rows(gradients_of(parameters, x, y).values())

    return add


def plain_pass(model):
    def add(x, y, sums):
        model.zero_grad(set_to_none=True)
        losses(model(x), y).sum().backward()

    return add


PASSES = {"plain": plain_pass, "ghost": Ghost, "vmap": vmap_pass}


def alpha_function(kind, model, tokens, targets, chunk):
    model = copy.deepcopy(model)
    add = PASSES[kind](model)
    parameters = list(model.parameters())

    def alpha():
        sums = None if kind == "plain" else Sums(parameters)
        model.zero_grad(set_to_none=True)
        for x, y in zip(tokens.split(chunk), targets.split(chunk)):
            add(x, y, sums)
        if kind == "ghost":
            sums.add([parameter.grad for parameter in parameters], 0)
        return None if kind == "plain" else sums.alpha(len(targets))

    return alpha


def sequences(count, length):
    """Random bytes and what follows each; every second one is the one before, so that tokens occur more than once."""
    generator = torch.Generator().manual_seed(7)
    tokens = torch.randint(VOCABULARY, (count, length + 1), generator=generator)
    tokens[:, 1::2] = tokens[:, 0::2][:, :tokens[:, 1::2].shape[1]]
    return tokens[:, :-1].contiguous(), tokens[:, 1:].contiguous()


def main():
    parser = common.parser(__doc__.splitlines()[0])
    parser.add_argument("--layers", type=int, default=8)
    parser.add_argument("--width", type=int, default=320)
    parser.add_argument("--heads", type=int, default=8)
    parser.add_argument("--tokens", type=int, default=64, help="tokens of a sequence")
    parser.add_argument("--examples", type=int, default=512, help="m, for which the time is reported")
    parser.add_argument("--timed", type=int, default=256, help="sequences that a sample times")
    parser.add_argument("--batch", type=int, help="no effect but on our side: variants end in the size of their chunk")
    parser.add_argument("--variants", default="eager", help="eager (all), or some of: " + ", ".join(VARIANTS) +
                        "; the word before the hyphen means every size")
    arguments = parser.parse_args()

    common.use_threads(arguments.threads)
    common.keep_freed_memory()
    small, few = Transformer(2, 24, 3, 10), sequences(7, 10)
    expected = reference(small, *few, losses)
    model = Transformer(arguments.layers, arguments.width, arguments.heads, arguments.tokens)
    timed = min(arguments.timed, arguments.examples)
    tokens, targets = sequences(timed, arguments.tokens)

    def check(kind):
        return alpha_function(kind, small, *few, 3)()  # the last chunk is a short one

    def measure(variant, kind, chunk):
        alpha = alpha_function(kind, model, tokens, targets, chunk)
        milliseconds = common.time_samples(alpha, max(5, arguments.samples // 8))
        common.report(f"tokens-{'pass' if kind == 'plain' else 'alpha'}",
                      [time * arguments.examples / timed for time in milliseconds], arguments.threads, variant=variant,
                      examples=arguments.examples, examples_timed=timed,
                      parameters=sum(p.numel() for p in model.parameters()), alpha=alpha())

    timed_variants(common.chosen_variants(VARIANTS, arguments.variants), check, expected, measure)


if __name__ == "__main__":
    main()
