"""Picture files: read with 8 bits per channel, or reported as unreadable; resized to squares."""

from __future__ import annotations

from pathlib import Path, PurePath
from typing import IO, Literal

import numpy as np
from PIL import Image

from fsl_core.datasets.source_search import is_hidden
from fsl_core.errors import DataCorruptError

_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".gif", ".ppm", ".tif", ".tiff", ".webp"}
_FORMATS = ("JPEG", "PNG", "BMP", "GIF", "PPM", "TIFF", "WEBP")
_SIXTEEN_BITS_IN_32 = ("PNG", "PPM")
"""Formats without 32-bit values: PIL opens some of their 16-bit pictures as 32-bit."""
_LONGEST = 50
"""How many times as long as wide a picture may be where it is resized as a whole."""


def is_picture(path: PurePath) -> bool:
    """Whether a file is a picture by its name, and was not left by a system beside the data."""
    return path.suffix.lower() in _SUFFIXES and not is_hidden(path.parts)


def read_picture(file: Path | IO[bytes], where: str, mode: Literal["L", "RGB"]) -> Image.Image:
    """Read a picture as one grey channel (``L``) or three colours (``RGB``) of 8 bits.

    16 bits are scaled to 8, not clipped. Raises DataCorruptError naming ``where`` if it cannot be read.
    """
    try:
        with Image.open(file, formats=_FORMATS) as image:
            return _in_eight_bits(image).convert(mode)
    except Exception as error:  # on a damaged picture PIL raises errors of almost every kind
        raise DataCorruptError(f"{where} cannot be read as a picture ({type(error).__name__}: {error})") from error


def fitted(image: Image.Image, size: int) -> np.ndarray:
    """A picture as uint8 ``[size, size, ...]``: its shorter side resized (antialiased), its middle kept; one of that size as it is."""
    if max(image.size) > _LONGEST * min(image.size):
        image = _middle_of(image)
    if image.size != (size, size):
        width, height = (max(size, round(side * size / min(image.size))) for side in image.size)
        left, top = (width - size) // 2, (height - size) // 2
        image = image.resize((width, height), Image.Resampling.LANCZOS).crop((left, top, left + size, top + size))
    return np.asarray(image)


def _middle_of(strip: Image.Image) -> Image.Image:
    """The middle of a long picture: a strip of one row would need memory for its length times the square of a size."""
    width, height = (min(side, _LONGEST * min(strip.size)) for side in strip.size)
    left, top = (strip.width - width) // 2, (strip.height - height) // 2
    return strip.crop((left, top, left + width, top + height))


def _in_eight_bits(image: Image.Image) -> Image.Image:
    """PIL scales 16-bit colours itself but clips 16-bit greys: every value above 255, nearly the whole picture, would turn white."""
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format in _SIXTEEN_BITS_IN_32):
        values = np.asarray(image).astype(np.uint32)
        eight = Image.fromarray(((values * 255 + 32767) // 65535).astype(np.uint8))
        eight.info["exif"] = image.getexif().tobytes()  # it says which side is up
        return eight
    if image.mode in ("I", "F"):
        raise ValueError("it has 32-bit values, and its white level is unknown: save it with 8 or 16 bits")
    return image
