# SPDX-License-Identifier: Apache-2.0
"""Reads a folder's TensorBoard event files with the real tensorboard package and prints its scalars as JSON.

usage: check-tensorboard.py FOLDER          prints {"tag": [[step, value], ...], ...}
"""

import json
import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

try:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
except ImportError:
    sys.exit("tensorboard is not installed: python3 -m pip install tensorboard")


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    accumulator = EventAccumulator(sys.argv[1], size_guidance={"scalars": 0, "tensors": 0})
    accumulator.Reload()
    tags = accumulator.Tags()
    print(json.dumps({tag: [[e.step, e.value] for e in accumulator.Scalars(tag)] for tag in tags["scalars"]}))


if __name__ == "__main__":
    main()
