# SPDX-License-Identifier: Apache-2.0
"""The inputs that each target of `make fuzz` begins with, by target: small, sound files of every kind, made here."""

import base64
import gzip
import io
import json
import pathlib
import random
import struct
import tarfile

ROOT = pathlib.Path(__file__).resolve().parent.parent


def pictures():
    fixtures = json.loads((ROOT / "Tests/Fixtures/images.json").read_text())["pictures"]
    # The last 16 bytes choose the views.
    return [base64.b64decode(f["base64"]) + bytes([i, 2, 3, 4, 9 + i, 1, 12, 5, 6, 1, 2, i, 0, 0, 0, i])
            for i, f in enumerate(fixtures) if "base64" in f and len(f["base64"]) < 8000]


def tensors():
    generator = random.Random(1)
    # The first byte chooses the kind of call: some of each.
    return [bytes([kind]) + bytes(generator.randrange(200) for _ in range(generator.randrange(20, 160)))
            for kind in range(15) for _ in range(4)]


def idx(dimensions, values):
    return bytes([0, 0, 8, len(dimensions)]) + b"".join(struct.pack(">I", d) for d in dimensions) + values


def idx_files():
    pictures, labels = idx([3, 4, 4], bytes(range(48))), idx([5], bytes(5))
    return [bytes([kind]) + content for kind in (0, 1, 2, 3, 4, 6) for content in (pictures, labels, idx([0, 28, 28], b""))]


def gzip_files():
    packed = gzip.compress(bytes(range(200)) * 3, mtime=0)
    return [b"\0" + bytes(range(90)), b"\1" + packed, b"\1" + packed + gzip.compress(b"", mtime=0), b"\1" + packed[:-9]]


def tar_files():
    found = []
    for form in (tarfile.USTAR_FORMAT, tarfile.PAX_FORMAT, tarfile.GNU_FORMAT):
        memory = io.BytesIO()
        with tarfile.open(fileobj=memory, mode="w", format=form) as archive:
            for name, size in (("c/a.bin", 700), ("d/" + "x" * 120 + "/b", 1), ("c/test_batch.bin", 512)):
                entry = tarfile.TarInfo(name)
                entry.size = size
                archive.addfile(entry, io.BytesIO(bytes(size)))
        found.append(b"\1" + memory.getvalue().rstrip(b"\0") + bytes(1024))
    return found


def npy(values, kind, header=None):
    text = (header or "{'descr': '%s', 'fortran_order': False, 'shape': (%d,), }\n" % (kind, values)).encode()
    size = int(kind[2:]) if kind[2:].isdigit() else 1
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(text)) + text + bytes(values * size)


def npy_files():
    sound = [b"\0" + npy(20, kind) for kind in ("<i8", ">i4", "|u1", "|b1", "<u2", "|i1")]
    return sound + [bytes([1 + 4 * 16]) + b"{'descr': '<i4', 'fortran_order': False, 'shape': (4,), }"]


def label_files():
    tables = ["".join(f"{i % 10}\n" for i in range(20)),
              "sample_id,label\n" + "".join(f"{i},{i % 10}\n" for i in range(20)),
              "index,original,assigned,is_corrupt\r\n" + "".join(f"{i},{i % 10},{(i + 1) % 10},1\r\n" for i in range(20)),
              "label\n" + "".join("cat\n" if i % 2 else "\"a,b\"\n" for i in range(20))]
    return [b"\0" + npy(20, "<i8"), b"\2" + bytes(i % 10 for i in range(20))] + [
        bytes([kind]) + table.encode() for table in tables for kind in (1, 4)] + [
        bytes([kind]) + ("file,label\n" + "".join(f"{19 - i}.png,{i % 10}\n" for i in range(20))).encode() for kind in (7, 28)]


def split_files():
    return ["index,split,group\n".encode() + "".join(
        f"{i},{'train' if i % 3 else 'test'},{'easy' if i % 2 else ''}\n" for i in range(20)).encode()]


def tensor_headers():
    def header(entries):
        place, table = 0, {"__metadata__": {"format": "pt", "split": "train", "mean_squared_norm": "1.5"}}
        for name, kind, shape, size in entries:
            table[name] = {"dtype": kind, "shape": shape, "data_offsets": [place, place + size]}
            place += size
        text = json.dumps(table).encode()
        return bytes([place]) + text if place % 4 and place < 256 else (
            b"\0" + struct.pack("<Q", len(text)) + text + bytes(place))

    one = [("w", "F32", [3, 4], 48), ("b", "I64", [2], 16), ("c", "BOOL", [5], 5), ("e", "F16", [0, 7], 0)]
    records = [("index", "I64", [2], 16), ("label", "I64", [2], 16), ("is_corrupt", "BOOL", [2], 2),
               ("dot", "F64", [2], 16), ("squared_norm", "F64", [2], 16), ("loss", "F64", [2], 16),
               ("margin", "F64", [2], 16), ("correct", "BOOL", [2], 2)]
    dynamics = [(name, "I64", [1], 8) for name in (
        "class_count", "moments", "index", "label", "visits", "wrong", "forgetting", "streak", "first_streak")]
    return [header(one), header(records), header(dynamics), header([("s", "BF16", [], 2)])]


def configurations():
    keys = {"dataset": "digits", "model": "mlp:32", "optimizer": "winsorized:c=2", "lr": "0.1", "batch-size": "30",
            "steps": "10", "noise": "0.5", "probe": "[coherence:m=4@log, examples:m=40@every:50]", "schedule": "cosine",
            "augment": "flip+crop", "seed": "7", "momentum": "0.9", "weight-decay": "1e-4", "epochs": "2.5", "keep": "all"}
    whole = "".join(f"{key}: {value}\n" for key, value in keys.items() if key != "epochs")
    words = ["sgd", "m3", "rm3:decay=after", "mom:k=5", "geomed:k=5", "trimmed:s=2", "adam", "ra3", "m3:successive", "sand-mask"]
    return [whole.encode(), b"epochs: 2.5\nlr: 1e-3\n", b"{lr: 0.1, model: 'resnet20'}", b"a: [[[[1]]]]\n? b\n: c\n",
            b"a: &x 1\nb: *x\n"] + [f"optimizer: {word}\nsteps: 3\nschedule: step:3\n".encode() for word in words]


def launchers():
    return [b"RANK=1\nWORLD_SIZE=4\nLOCAL_WORLD_SIZE=2\nMASTER_ADDR=host\nMASTER_PORT=29501\n",
            b"OMPI_COMM_WORLD_RANK=0\nOMPI_COMM_WORLD_SIZE=2\nOMPI_COMM_WORLD_LOCAL_SIZE=1\n"
            b"OMPI_MCA_orte_hnp_uri=1234.0;tcp://10.0.0.1,10.1.0.1:4711\nOMPI_MCA_ess_base_jobid=9\n",
            b"PMI_RANK=0\nPMI_SIZE=2\nMPI_LOCALNRANKS=2\n",
            b"SLURM_PROCID=3\nSLURM_STEP_NUM_TASKS=4\nSLURM_STEP_TASKS_PER_NODE=2(x3),1\n"
            b"SLURM_STEP_NODELIST=node[03-05,9],other\nSLURM_JOB_ID=1\nSLURM_STEP_ID=0\n"]


def corrections():
    head = b"index,file,given,decision,label,time\n"
    lines = [b'0,a.png,cat,relabel,"dog, big",2026-01-31T12:00:00Z\n', b'1,"b,c.png","dog, big",keep,,\n',
             b"2,'=d .png,\"\"\"bird\"\" <b>&\",drop,,\n", b"3,,'=1+1,undo,,\n", b"0,a.png,cat,keep,,\n"]
    whole = head + b"".join(lines)
    return [bytes([kind]) + text for kind in (0, 1, 8, 13) for text in (
        b"", whole, whole[:-1], whole[:-9], head, head[:7], head + lines[0].replace(b"\n", b"\r\n"))]


SEEDS = {
    "pictures": pictures, "tensors": tensors, "idx": idx_files, "gzip": gzip_files, "tar": tar_files,
    "cifar": lambda: [bytes([0, 1, 2, 3]), bytes([1, 99, 4, 8]), bytes([0, 10]), bytes([0, 200, 1])],
    "labels": label_files, "npy": npy_files, "split": split_files, "safetensors": tensor_headers,
    "arrays": tensor_headers, "yaml": configurations, "launch": launchers, "corrections": corrections,
}
