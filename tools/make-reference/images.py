"""Test pictures of odd sizes and modes, and what Pillow makes of them: preprocess.* and images/."""

import io
from pathlib import Path

import numpy as np
import PIL
from PIL import Image, features

EXIF_ORIENTATION = 0x0112


def normalise(pixels: np.ndarray) -> np.ndarray:
    """Bytes to float32, (byte - 127.5) / 127.5."""
    return (pixels.astype(np.float32) - np.float32(127.5)) / np.float32(127.5)


def resize(image: Image.Image, size: int) -> Image.Image:
    """Bicubic to size×size: the horizontal pass, rounded to bytes, then the vertical pass.

    Two calls, because the order is part of the contract: a single one does the same up to Pillow 12, but Pillow 13
    takes the vertical pass first where the height shrinks and the width grows (python-pillow/Pillow#9549), which
    moves pixels by tens of levels.
    """
    bicubic = Image.Resampling.BICUBIC
    return image.resize((size, image.height), bicubic).resize((size, size), bicubic)


def preprocess(file: Path, size: int) -> tuple[dict, dict[str, np.ndarray]]:
    """The facts of one image file for the JSON, and its `resized`, `normalised` and, for a JPEG, `decoded` arrays."""
    with Image.open(file) as image:
        rgb = image.convert("RGB")
        resized = np.asarray(resize(rgb, size)).transpose(2, 0, 1)
        facts = {
            "format": image.format,
            "mode": image.mode,
            "width": image.width,
            "height": image.height,
            "exif_orientation": image.getexif().get(EXIF_ORIENTATION, 1),
            "resized_mean": float(resized.mean()),
            "bytes": file.stat().st_size,
        }
    arrays = {"resized": np.ascontiguousarray(resized), "normalised": normalise(resized)}
    return facts, arrays | ({"decoded": np.asarray(rgb)} if facts["format"] == "JPEG" else {})


def preprocess_all(folder: Path, size: int) -> tuple[dict, dict[str, np.ndarray]]:
    """preprocess.json and the tensors of preprocess.safetensors for every file in a folder."""
    facts, tensors = {}, {}
    for file in sorted(folder.iterdir()):
        facts[file.name], arrays = preprocess(file, size)
        tensors |= {f"{file.name}/{name}": array for name, array in arrays.items()}
    two_step = [  # torchvision's ToTensor, then Normalize
        (tensors[f"{name}/resized"] / np.float32(255) - np.float32(0.5)) / np.float32(0.5) for name in facts
    ]
    gap = max(np.abs(t - tensors[f"{name}/normalised"]).max() for name, t in zip(facts, two_step))
    transform = {
        "input_size": [3, size, size], "interpolation": "bicubic", "mean": [0.5] * 3, "std": [0.5] * 3, "crop_pct": 0.9,
    }  # fmt: skip
    return {
        "pillow": PIL.__version__,
        "libjpeg_turbo": features.version("libjpeg_turbo"),
        "torchvision": "not used",
        "transform": transform,
        "largest_difference_to_ToTensor_then_Normalize": float(gap),
        "images": facts,
    }, tensors


def picture(width: int, height: int, rng: np.random.Generator) -> Image.Image:
    """A smooth coloured background with stripes, hard edges and a little noise."""
    y, x = np.mgrid[0:height, 0:width] / max(width, height)
    a, b, c = rng.uniform(3, 9, 3)
    channels = [np.sin(a * x + b * y), np.cos(c * x * y + a), np.sign(np.sin(25 * (x + y)))]
    pixels = 127 + 90 * np.stack(channels, -1) + rng.normal(0, 12, (height, width, 3))
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8), "RGB")


def test_pictures(rng: np.random.Generator) -> dict[str, bytes]:
    """Files by name: what the given reference has (RGB, EXIF, gray, RGBA, CMYK) and a few modes it does not have."""
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = 6
    files = {}

    def add(name: str, width: int, height: int, mode: str = "RGB", **options) -> None:
        image = picture(width, height, rng)
        if mode in ("RGBA", "LA"):  # alpha differs from pixel to pixel, also where the colour is kept
            alpha = Image.fromarray(rng.integers(0, 256, (height, width), dtype=np.uint8), "L")
            image = image if mode == "RGBA" else image.convert("L")
            image.putalpha(alpha)
        else:
            image = image.convert(mode)
        data = io.BytesIO()
        image.save(data, "JPEG" if name.endswith("jpg") else "PNG", **options)
        files[f"{name.rsplit('.', 1)[0]}_{width}x{height}.{name.rsplit('.', 1)[1]}"] = data.getvalue()

    add("photo.jpg", 123, 457, quality=90)
    add("fullchroma.jpg", 301, 77, quality=95, subsampling=0)
    add("progressive.jpg", 333, 251, quality=60, progressive=True)
    add("restart.jpg", 95, 61, restart_marker_rows=1)
    add("exif6.jpg", 199, 301, exif=exif)
    add("gray.jpg", 61, 45, "L")
    add("cmyk.jpg", 91, 67, "CMYK", quality=90)
    add("gray.png", 37, 53, "L")
    add("grayalpha.png", 41, 29, "LA")
    add("bilevel.png", 67, 33, "1")
    add("palette.png", 97, 71, "P")
    add("rgba.png", 259, 131, "RGBA")
    add("tiny.png", 3, 5)
    add("pixel.png", 1, 1)
    add("strip.png", 700, 2)
    return files
