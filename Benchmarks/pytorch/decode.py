# SPDX-License-Identifier: Apache-2.0
"""Milliseconds per image of a torchvision ImageFolder behind a DataLoader: Resize(256), CenterCrop(224), normalised.

Shuffled batches of the training pictures, each repeated so that a pass is long enough; the workers are started, and
one pass is made, before the clock starts.
"""

import time

import torch
from torch.utils.data import ConcatDataset, DataLoader
from torchvision import datasets, transforms

import common


def main():
    parser = common.parser(__doc__.splitlines()[0])
    parser.add_argument("--data-dir", required=True, help="folder with train/CLASS/...")
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=40, help="times that each picture occurs in a pass")
    parser.add_argument("--variants", default="eager", help="eager: the one there is")
    arguments = parser.parse_args()

    common.use_threads(arguments.threads)
    transform = transforms.Compose([
        transforms.Resize(256), transforms.CenterCrop(224), transforms.ToTensor(),
        transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])])
    folder = datasets.ImageFolder(f"{arguments.data_dir}/train", transform)
    data = ConcatDataset([folder] * arguments.repeats)
    loader = DataLoader(data, batch_size=arguments.batch, shuffle=True, num_workers=arguments.threads,
                        persistent_workers=True, prefetch_factor=2)
    samples = []
    for number in range(max(3, arguments.samples // 8) + 1):
        start = time.perf_counter()
        for images, _ in loader:
            assert images.dtype == torch.float32
        if number > 0:
            samples.append((time.perf_counter() - start) * 1e3 / len(data))
    common.report("decode", samples, arguments.threads, variant=f"workers-{arguments.threads}",
                  images_per_second=round(1e3 / min(samples)))


if __name__ == "__main__":
    main()
