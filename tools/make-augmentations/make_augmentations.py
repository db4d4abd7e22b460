"""Writes what Pillow makes of a small image, for the changes of TrivialAugment that Pillow has under the same name."""

import base64
import json
import sys

import numpy as np
from PIL import Image, ImageEnhance, ImageOps
from PIL import __version__ as pillow

SIDE = 12
# equalize leaves an image with fewer pixels than grey levels as it is, and rounds where there are twice as many
LARGE = 24


def image(side: int) -> Image.Image:
    """Smooth, with noise, darker than white and lighter than black; many pixels share the lightest byte of the second channel."""
    random = np.random.default_rng(0)
    y, x = np.mgrid[0:side, 0:side] / side
    channels = [40 + 150 * x, 220 - 120 * y, 90 + 60 * x * y]
    pixels = np.stack([c + random.normal(0, 12, c.shape) for c in channels], axis=-1)
    return Image.fromarray(pixels.round().clip(10, 200).astype(np.uint8), "RGB")


def enhanced(kind, strength):
    return lambda picture: kind(picture).enhance(1 + 0.9 * strength)


def cases():
    yield "autocontrast", 0, ImageOps.autocontrast
    yield "equalize", 0, ImageOps.equalize
    yield "equalize", 0, ImageOps.equalize, LARGE
    for lost in (0, 1, 2, 4):
        yield "posterize", lost / 4, lambda picture, lost=lost: ImageOps.posterize(picture, 8 - lost)
    for strength in (0, 0.25, 0.5, 1):
        yield "solarize", strength, lambda picture, s=strength: ImageOps.solarize(picture, 256 * (1 - s))
    kinds = {
        "brightness": ImageEnhance.Brightness,
        "color": ImageEnhance.Color,
        "contrast": ImageEnhance.Contrast,
        "sharpness": ImageEnhance.Sharpness,
    }
    for name, kind in kinds.items():
        for strength in (-1, -0.5, 0, 0.5, 1):
            yield name, strength, enhanced(kind, strength)


def planar(picture: Image.Image) -> str:
    return base64.b64encode(np.asarray(picture).transpose(2, 0, 1).tobytes()).decode()


if __name__ == "__main__":
    originals = {side: image(side) for side in (SIDE, LARGE)}

    def case(change, strength, f, side=SIDE):
        return {"change": change, "strength": strength, "side": side, "bytes": planar(f(originals[side]))}

    fixture = {
        "pillow": pillow,
        "originals": {side: planar(picture) for side, picture in originals.items()},
        "cases": [case(*one) for one in cases()],
    }
    with open(sys.argv[1], "w") as file:
        json.dump(fixture, file, indent=1)
        file.write("\n")
