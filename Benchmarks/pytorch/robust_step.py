# SPDX-License-Identifier: Apache-2.0
"""One step of a robust average of gradients on a fully connected network, as a PyTorch user would write it well.

A step gathers its batch by index, computes gradients, aggregates them, and subtracts the rate times the aggregate:

    sgd            mean
    winsorized-cC  each coordinate clipped over the batch between its (C+1)-smallest and (C+1)-largest value, then mean
    trimmed-sS     each coordinate's mean without its S smallest and S largest values
    m3             coordinate-wise median of the means of three parts of the batch
    rm3, ra3       median, mean of this batch's gradient and the two before; the first two steps update nothing
    mom-k5         coordinate-wise median of the means of five parts of the batch
    geomed-k5      geometric median of those: Weiszfeld from their mean until the point moves by at most 1e-6 of its
                   norm, or for 50 iterations
    sign-sum       sign of the sum
    sum-sign       sum of the examples' signs

Every variant is a fair peer, and the fastest is. Each first has to take the same six steps as a plain reference in
float64, one example after the other, on a small network; with --check that is all.
"""

import argparse

import torch
from torch import nn
from torch.func import functional_call, grad, vmap
from torch.nn import functional

import common


class Network:
    """A network whose parameters are views of one flat tensor, so that an update is one pass over memory."""

    def __init__(self, sizes, dtype=torch.float32):
        self.module = common.mlp(sizes).to(dtype)
        self.parameters = list(self.module.parameters())
        self.flat = nn.utils.parameters_to_vector(self.parameters).detach()
        nn.utils.vector_to_parameters(self.flat, self.parameters)
        named = {name: parameter.detach() for name, parameter in self.module.named_parameters()}

        def mean_loss(parameters, x, y):
            return functional.cross_entropy(functional_call(self.module, parameters, x), y)

        by_row = vmap(grad(mean_loss), in_dims=(None, 0, 0))
        self._row_gradients = lambda x, y: list(by_row(named, x, y).values())

    def gradient(self, x, y):
        return torch.autograd.grad(functional.cross_entropy(self.module(x), y), self.parameters)

    def example_gradients(self, x, y):
        """A tensor [batch, ...] per parameter."""
        return self._row_gradients(x[:, None], y[:, None])

    def groups_by_passes(self, x, y, count):
        """For each part of the batch, its mean gradient: a backward pass each."""
        size = len(y) // count
        return [self.gradient(*part) for part in zip(x.split(size), y.split(size))]

    def groups_by_vmap(self, x, y, count):
        gradients = self._row_gradients(x.unflatten(0, (count, -1)), y.unflatten(0, (count, -1)))
        return list(zip(*(gradient.unbind(0) for gradient in gradients)))


# Medians of lists of tensors. The minima and maxima are exact, unlike sum - min - max.


def median_of_3(a, b, c):
    low = torch._foreach_minimum(a, b)
    high = torch._foreach_maximum(a, b)
    torch._foreach_minimum_(high, c)
    torch._foreach_maximum_(low, high)
    return low


def median_of_5(a, b, c, d, e):
    low = torch._foreach_maximum(torch._foreach_minimum(a, b), torch._foreach_minimum(c, d))
    high = torch._foreach_minimum(torch._foreach_maximum(a, b), torch._foreach_maximum(c, d))
    return median_of_3(low, high, e)


def median_of_stack(*groups):
    return [torch.stack(parts).median(0).values for parts in zip(*groups)]


# Order statistics over the examples: the (c+1)-smallest and (c+1)-largest of every coordinate.


def bounds_by_topk(rows, c):
    return rows.topk(c + 1, 0, largest=False).values[-1], rows.topk(c + 1, 0).values[-1]


def bounds_by_sort(rows, c):
    ordered = rows.sort(0).values
    return ordered[c], ordered[-c - 1]


def bounds_by_kthvalue(rows, c):
    return rows.kthvalue(c + 1, 0).values, rows.kthvalue(len(rows) - c, 0).values


def contiguous_examples(bounds):
    """The same with every coordinate's examples next to each other in memory."""
    return lambda rows, c: bounds(rows.flatten(1).t().contiguous().t().unflatten(1, rows.shape[1:]), c)


def bounds_by_insertion(rows, c):
    """Keeps the c+1 smallest and largest while it walks through the examples: elementwise minima and maxima alone."""
    def extreme(keep, carry_on, start):
        best = torch.full((c + 1, *rows.shape[1:]), start, dtype=rows.dtype)
        spare = torch.empty_like(rows[:2])
        for row in rows:
            for level in range(c):
                carried = carry_on(best[level], row, out=spare[level % 2])
                keep(best[level], row, out=best[level])
                row = carried
            keep(best[c], row, out=best[c])
        return best[c]

    return extreme(torch.minimum, torch.maximum, torch.inf), extreme(torch.maximum, torch.minimum, -torch.inf)


BOUNDS = {"vmap-topk": bounds_by_topk, "vmap-topk-contiguous": contiguous_examples(bounds_by_topk),
          "vmap-sort": bounds_by_sort, "vmap-sort-contiguous": contiguous_examples(bounds_by_sort),
          "vmap-kthvalue": bounds_by_kthvalue, "vmap-kthvalue-contiguous": contiguous_examples(bounds_by_kthvalue),
          "insertion": bounds_by_insertion}


def winsorized(c):
    def variant(bounds):
        def direction(network, x, y):
            # one parameter at a time; clamped in place, as the gradients serve nothing else
            return [rows.clamp_(*bounds(rows, c)).mean(0) for rows in network.example_gradients(x, y)]

        return lambda: direction

    return {name: variant(bounds) for name, bounds in BOUNDS.items()}


def trimmed(s):
    def by_sort(network, x, y):
        return [rows.sort(0).values[s:-s].mean(0) for rows in network.example_gradients(x, y)]

    def by_topk(network, x, y):
        return [(rows.sum(0) - rows.topk(s, 0).values.sum(0) - rows.topk(s, 0, largest=False).values.sum(0))
                .div_(len(y) - 2 * s) for rows in network.example_gradients(x, y)]

    return {"vmap-sort": lambda: by_sort, "vmap-topk": lambda: by_topk}


def running(combine):
    """Applies `combine` to this batch's gradient and the two before it."""
    def make():
        history = []

        def direction(network, x, y):
            history.append(network.gradient(x, y))
            if len(history) < 3:
                return None
            result = combine(*history)
            del history[0]
            return result

        return direction

    return make


def flat(combine):
    """The same on one flat tensor per gradient in place of a list of tensors."""
    def make():
        history = []

        def direction(network, x, y):
            history.append([torch.cat([part.flatten() for part in network.gradient(x, y)])])
            if len(history) < 3:
                return None
            result = combine(*history)
            del history[0]
            return result

        return direction

    return make


def mean_of_3(a, b, c):
    total = torch._foreach_add(a, b)
    torch._foreach_add_(total, c)
    torch._foreach_div_(total, 3)
    return total


def grouped(count, groups, combine):
    return lambda: lambda network, x, y: combine(*groups(network, x, y, count))


def geometric_median_direct(*groups):
    points = torch.stack([torch.cat([part.flatten() for part in group]) for group in groups])
    estimate = points.mean(0)
    for _ in range(50):
        weights = 1 / (points - estimate).norm(dim=1).clamp_min(1e-30)
        moved = (weights / weights.sum()) @ points
        done = (moved - estimate).norm() <= 1e-6 * moved.norm()
        estimate = moved
        if done:
            break
    return [estimate]


def geometric_median_gram(*groups):
    """Iterates on the weights of the points, for which their inner products suffice; two passes over memory."""
    points = torch.stack([torch.cat([part.flatten() for part in group]) for group in groups])
    centre = points.mean(0)
    offsets = points - centre
    gram = (offsets @ offsets.t()).double()
    inner = (offsets @ centre).double()
    squared_centre = centre.dot(centre).double()
    weights = torch.full((len(groups),), 1 / len(groups), dtype=torch.float64)
    for _ in range(50):
        product = gram @ weights
        distances = (gram.diagonal() - 2 * product + weights @ product).clamp_min(1e-60).sqrt()
        moved = 1 / distances
        moved /= moved.sum()
        change = moved - weights
        squared_norm = squared_centre + 2 * moved @ inner + moved @ gram @ moved
        done = change @ gram @ change <= 1e-12 * squared_norm
        weights = moved
        if done:
            break
    return [weights.to(points.dtype) @ points]


def sign_of_sum(network, x, y):
    return [part.sign() for part in network.gradient(x, y)]


def sum_of_signs(network, x, y):
    return [rows.sign_().sum(0) for rows in network.example_gradients(x, y)]


PASSES, BY_VMAP = Network.groups_by_passes, Network.groups_by_vmap

OPTIMIZERS = {  # name: {variant: what makes a direction(network, x, y), which is a list of tensors or None}
    "sgd": {"foreach": lambda: Network.gradient},
    "winsorized-c1": winsorized(1),
    "winsorized-c8": winsorized(8),
    "trimmed-s2": trimmed(2),
    "m3": {"passes-foreach": grouped(3, PASSES, median_of_3), "passes-median": grouped(3, PASSES, median_of_stack),
           "vmap-groups": grouped(3, BY_VMAP, median_of_3)},
    "rm3": {"foreach": running(median_of_3), "flat": flat(median_of_3), "median": running(median_of_stack)},
    "ra3": {"foreach": running(mean_of_3), "flat": flat(mean_of_3)},
    "mom-k5": {"passes-foreach": grouped(5, PASSES, median_of_5), "passes-median": grouped(5, PASSES, median_of_stack),
               "vmap-groups": grouped(5, BY_VMAP, median_of_5)},
    "geomed-k5": {"passes-direct": grouped(5, PASSES, geometric_median_direct),
                  "passes-gram": grouped(5, PASSES, geometric_median_gram),
                  "vmap-gram": grouped(5, BY_VMAP, geometric_median_gram)},
    "sign-sum": {"foreach": lambda: sign_of_sum},
    "sum-sign": {"vmap": lambda: sum_of_signs},
}
RATES = {"sign-sum": 1e-3, "sum-sign": 1e-5}  # for all others 0.1
THIRDS = {"m3", "rm3", "ra3"}  # with batches of 99 unless told otherwise


def update(network, direction, rate):
    """Subtracts `rate` times the direction, given as one tensor per parameter or as a flat one."""
    if direction is None:
        return
    with torch.no_grad():
        if len(direction) == 1:
            network.flat.add_(direction[0], alpha=-rate)
        else:
            torch._foreach_add_(network.parameters, direction, alpha=-rate)


# The check.


def reference_direction(optimizer, rows, history):
    """From the gradients of the examples, [batch, parameters], and the batch gradients so far, this one included."""
    kind, _, setting = optimizer.partition("-")
    count = int(setting[1:]) if setting[1:].isdigit() else 0
    ordered = rows.sort(0).values

    def group_means(count):
        return torch.stack([part.mean(0) for part in rows.chunk(count)])

    if kind == "winsorized":
        return torch.minimum(torch.maximum(rows, ordered[count]), ordered[len(rows) - 1 - count]).mean(0)
    if kind == "trimmed":
        return ordered[count:len(rows) - count].mean(0)
    if kind in ("rm3", "ra3"):
        if len(history) < 3:
            return torch.zeros_like(rows[0])
        last = torch.stack(history[-3:])
        return last.sort(0).values[1] if kind == "rm3" else last.mean(0)
    if kind in ("m3", "mom"):
        count = 3 if kind == "m3" else count
        return group_means(count).sort(0).values[count // 2]
    if kind == "geomed":
        points = group_means(count)
        point, moved = points.mean(0), None
        for _ in range(50):
            weights = [1 / (other - point).norm() for other in points]
            moved = sum(weight * other for weight, other in zip(weights, points)) / sum(weights)
            is_near = (moved - point).norm() <= 1e-6 * moved.norm()
            point = moved
            if is_near:
                break
        return point
    if optimizer == "sign-sum":
        return rows.mean(0).sign()
    if optimizer == "sum-sign":
        return rows.sign().sum(0)
    assert optimizer == "sgd"
    return rows.mean(0)


def check(optimizer, variant, dtype):
    """Six steps of a variant and of the reference on a small network; an assertion fails where they part."""
    steps, batch, rate, sizes = 6, 30, RATES.get(optimizer, 0.1), [12, 9, 7, 4]
    torch.manual_seed(5)
    network = Network(sizes, dtype)
    torch.manual_seed(5)
    plain = Network(sizes).module.double()
    parameters = list(plain.parameters())
    images = torch.randn(steps, batch, sizes[0], dtype=torch.float64)
    labels = torch.randint(sizes[-1], (steps, batch))
    start = nn.utils.parameters_to_vector(parameters).detach().clone()
    direction_of = OPTIMIZERS[optimizer][variant]()
    history = []
    for x, y in zip(images, labels):
        update(network, direction_of(network, x.to(dtype), y), rate)
        rows = []
        for i in range(batch):
            gradient = torch.autograd.grad(functional.cross_entropy(plain(x[i:i + 1]), y[i:i + 1]), parameters)
            rows.append(torch.cat([part.flatten() for part in gradient]))
        rows = torch.stack(rows)
        history.append(rows.mean(0))
        moved = nn.utils.parameters_to_vector(parameters).detach()
        moved -= rate * reference_direction(optimizer, rows, history)
        nn.utils.vector_to_parameters(moved, parameters)
        error = (network.flat.double() - moved).abs().max().item()
        assert error < (1e-9 if dtype == torch.float64 else 2e-5), \
            f"{optimizer} {variant} in {dtype}: {error} off after {len(history)} steps"
    assert not torch.equal(start, network.flat.double()), f"{optimizer} {variant} does not move"


def check_all(optimizer, variant):
    check(optimizer, variant, torch.float64)
    if "sign" not in optimizer:  # the sign of what cancels hangs on the rounding
        check(optimizer, variant, torch.float32)


def main():
    parser = common.parser(__doc__.splitlines()[0])
    parser.add_argument("--model", type=common.layer_sizes, default="784-256-256-256-10", help="layer sizes")
    parser.add_argument("--optimizer", default=argparse.SUPPRESS, choices=OPTIMIZERS, help="(default: all)")
    parser.add_argument("--batch", type=int, default=argparse.SUPPRESS, help="(default: 100; 99 for m3, rm3 and ra3)")
    parser.add_argument("--examples", type=int, default=60_000, help="size of the data set that batches come from")
    parser.add_argument("--variants", default="eager", help="eager (all), or some of those that --check lists")
    parser.add_argument("--check", action="store_true", help="compare with the reference, and time nothing")
    arguments = parser.parse_args()

    common.use_threads(arguments.threads)
    chosen = [arguments.optimizer] if "optimizer" in arguments else list(OPTIMIZERS)
    pairs = [(optimizer, variant) for optimizer in chosen
             for variant in common.chosen_variants(OPTIMIZERS[optimizer], arguments.variants)]
    for optimizer, variant in pairs:
        check_all(optimizer, variant)
        if arguments.check:
            print(f"{optimizer} {variant}: agrees with the reference")
    if arguments.check:
        return

    images, labels = common.synthetic_digits(arguments.examples, arguments.model[0], arguments.model[-1])
    for optimizer, variant in pairs:
        size = getattr(arguments, "batch", 99 if optimizer in THIRDS else 100)
        network = Network(arguments.model)
        direction_of = OPTIMIZERS[optimizer][variant]()
        batches = common.batches_forever(len(images), size)
        rate = RATES.get(optimizer, 0.1)

        def step():
            batch = next(batches)
            update(network, direction_of(network, images[batch], labels[batch]), rate)

        name = "-".join([optimizer, *map(str, arguments.model)])
        common.report(name, common.time_samples(step, arguments.samples), arguments.threads, variant=variant,
                      batch_size=size)


if __name__ == "__main__":
    main()
