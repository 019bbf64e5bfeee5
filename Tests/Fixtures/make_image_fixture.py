# SPDX-License-Identifier: Apache-2.0
"""Prints small pictures, as base64, and what Pillow and torchvision make of them, as JSON.

For each picture: SHA-256 (its first 16 digits) over the planes of red, green and blue after convert("RGB"), after
Resize(26) and CenterCrop(21), and after Resize(64) and CenterCrop(64). Then pictures that must be refused.

    python make_image_fixture.py > images.json
"""

import base64
import hashlib
import io
import json
import sys

import numpy as np
from PIL import Image
from torchvision.transforms import functional


def encoded(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def jpeg(image, **options):
    return encoded(image, "JPEG", **options)


def png(image, **options):
    return encoded(image, "PNG", **options)


def smooth(numbers, width, height, grid):
    return Image.fromarray(numbers.integers(0, 256, (*grid, 3), dtype=np.uint8)).resize((width, height), Image.BICUBIC)


def planes(image):
    return np.asarray(image).transpose(2, 0, 1).tobytes()


def as_ycck(data):
    """The same JPEG with its CMYK planes declared to be YCCK, in the marker that Adobe introduced."""
    place = data.index(b"Adobe") + 11
    return data[:place] + b"\x02" + data[place + 1:]


def text(data):
    return base64.b64encode(data).decode()


def facts(name, data):
    image = Image.open(io.BytesIO(data))
    rgb = image.convert("RGB")
    if name == "grey-16-bit-png":  # Pillow clips such pictures at 255; the package keeps the upper 8 bits
        rgb = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
    resized = functional.center_crop(functional.resize(rgb, 26), 21)
    enlarged = functional.center_crop(functional.resize(rgb, 64), 64)
    sums = [hashlib.sha256(planes(each)).hexdigest()[:16] for each in (rgb, resized, enlarged)]
    return {"name": name, "width": image.width, "height": image.height, "decoded": sums[0], "resized": sums[1],
            "enlarged": sums[2], "first": list(planes(resized)[:6]), "base64": text(data)}


def main():
    numbers = np.random.default_rng(7)
    picture = smooth(numbers, 53, 37, (6, 8))
    tall = smooth(numbers, 31, 44, (7, 5))
    transparent = picture.copy()
    transparent.putalpha(Image.fromarray(numbers.integers(0, 256, (37, 53), dtype=np.uint8)))
    low_bits = numbers.integers(0, 256, (37, 53)).astype(np.uint16)
    deep = Image.fromarray((np.asarray(picture)[:, :, 0].astype(np.uint16) << 8) | low_bits)
    turned = Image.Exif()
    turned[0x0112] = 6
    whole = jpeg(picture, quality=90)
    inks = jpeg(Image.merge("CMYK", (*picture.convert("CMYK").split()[:3], picture.convert("L"))), quality=90)
    pictures = {
        "baseline": whole,
        "progressive": jpeg(picture, quality=80, progressive=True),
        "grey": jpeg(picture.convert("L")),
        "full-chroma": jpeg(picture, subsampling=0),
        "tall": jpeg(tall, quality=85),
        "rotated-by-exif": jpeg(picture, quality=70, exif=turned),
        "rgb-png": png(picture),
        "palette-png": png(picture.quantize(32)),
        "alpha-png": png(transparent),
        "grey-alpha-png": png(transparent.convert("LA")),
        "one-bit-png": png(picture.convert("1")),
        "grey-16-bit-png": png(deep),
        "cmyk": jpeg(picture.convert("CMYK"), quality=60),
        "cmyk-with-black": inks,
        "ycck": as_ycck(inks),
    }
    unusable = {
        "gif": encoded(picture, "GIF"),
        "truncated": whole[:len(whole) * 2 // 3],
        "truncated-png": png(picture)[:1500],
    }
    json.dump({
        "pictures": [facts(name, data) for name, data in pictures.items()],
        "unusable": [{"name": name, "base64": text(data)} for name, data in unusable.items()],
    }, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
