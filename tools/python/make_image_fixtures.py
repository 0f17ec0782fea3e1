#!/usr/bin/env python3
"""Writes small images of every kind that decode_image reads, with what Pillow reads of them, for tests/data/image_file_test.cpp.

    pip install pillow==13.0.0 numpy pypng
    tools/python/make_image_fixtures.py tests/fixtures/images

OUT_DIR/expected.json holds for every file its size (width, height) and the crc32 of its RGB bytes.
"""
import argparse
import json
import pathlib
import zlib

import numpy as np
import png
from PIL import Image

WIDTH, HEIGHT = 37, 26


def picture():
    """Smooth enough that JPEG keeps it, with an edge, and different in each channel; every byte of alpha occurs."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    rgb = np.stack([5 * x + 2 * y, 255 - 6 * x, 9 * y + (x > 20) * 25], 2) % 256
    return rgb.astype(np.uint8), ((7 * x + 11 * y) % 256).astype(np.uint8)


def write_images(out):
    rgb, alpha = picture()
    image = Image.fromarray(rgb)
    rgba = Image.fromarray(np.concatenate([rgb, alpha[..., None]], 2))
    grey, ink, palette = image.convert("L"), image.convert("CMYK"), image.quantize(16)
    turned = Image.Exif()
    turned[0x0112] = 6  # "turn by 90 degrees"

    image.save(out / "rgb.jpg", quality=90)
    image.save(out / "full_chroma.jpg", quality=95, subsampling=0)
    image.save(out / "progressive.jpg", quality=80, progressive=True)
    image.save(out / "turned.jpg", quality=90, exif=turned)
    grey.save(out / "grey.jpg")
    ink.save(out / "cmyk.jpg")
    image.save(out / "rgb.png")
    rgba.save(out / "alpha.png")
    grey.save(out / "grey.png")
    rgba.convert("LA").save(out / "grey_alpha.png")
    image.convert("1").save(out / "bits.png")
    palette.save(out / "palette.png")
    palette.save(out / "palette_clear.png", transparency=3)
    image.save(out / "rgb_clear.png", transparency=tuple(int(v) for v in rgb[0, 0]))
    wide = rgb.astype(np.uint16) * 256 + 200  # rounding would give other bytes than cutting
    with open(out / "rgb16.png", "wb") as file:
        png.Writer(WIDTH, HEIGHT, greyscale=False, bitdepth=16).write(file, wide.reshape(HEIGHT, -1).tolist())
    with open(out / "interlaced.png", "wb") as file:
        png.Writer(WIDTH, HEIGHT, greyscale=False, interlace=True).write(file, rgb.reshape(HEIGHT, -1).tolist())
    image.save(out / "lossy.webp", quality=80)
    image.save(out / "lossless.webp", lossless=True)
    rgba.save(out / "alpha.webp", lossless=True, exact=True)
    image.save(out / "rgb.bmp")
    grey.save(out / "grey.bmp")
    image.save(out / "rgb.ppm")
    grey.save(out / "grey.pgm")
    image.save(out / "rgb.tif")
    image.save(out / "deflated.tiff", compression="tiff_adobe_deflate")

    truth = {}
    for file in sorted(out.glob("*.*")):
        if file.suffix != ".json":
            read = Image.open(file)
            truth[file.name] = {"size": read.size, "rgb_crc32": zlib.crc32(np.asarray(read.convert("RGB")).tobytes())}
    (out / "expected.json").write_text(json.dumps(truth, indent=1) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("out", type=pathlib.Path)
    write_images(parser.parse_args().out)
