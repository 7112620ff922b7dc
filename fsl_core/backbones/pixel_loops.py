"""The first block's passes as compiled loops over the pixels of images of one channel.

Importing this module imports numba: see :mod:`fsl_core.backbones.available_loops`.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numba.core.errors import NumbaError

from fsl_core.backbones.patches import padded_images
from fsl_core.backbones.stem_passes import Moments, Responses
from fsl_core.backbones.window_loops import WindowLoops, add_moments, window_loops
from fsl_core.errors import ExecutionPathError


@dataclass(frozen=True)
class PixelLoops:
    """Passes over images: see :class:`fsl_core.backbones.stem_passes.StemPasses`.

    ``pixels``: the padded images ``[G, B, H, W]``. Values of windows are ``[B, rows, columns, G, F]``, in memory the channels-last maps.
    """

    pixels: torch.Tensor
    moments: Moments
    rows: int
    columns: int
    pools: bool

    @staticmethod
    def over(images: torch.Tensor, *, pools: bool, pads_evenly: bool) -> PixelLoops:
        """The passes over images ``[G, B, 1, H, W]``, for windows of 2x2 places or for a convolution of stride 2."""
        height, width = images.shape[-2:]
        pixels = padded_images(images.squeeze(2), evenly=pads_evenly).contiguous()
        step = 1 if pools else 2
        places = (height, width) if pools else ((pixels.shape[2] - 1) // 2, (pixels.shape[3] - 1) // 2)
        rows, columns = (height // 2, width // 2) if pools else places
        return PixelLoops(pixels, _moments(pixels, places, step), rows, columns, pools)

    def forward(self, kernels: torch.Tensor, scale: torch.Tensor, factor: torch.Tensor, constant: torch.Tensor) -> Responses:
        """The result ``[B, rows, columns, G, F]``."""
        out = kernels.new_empty(self._shape(kernels))
        places = kernels.new_empty(out.shape if self.pools else (1,) * 5, dtype=torch.uint8)
        pixels, own, *affine = _arrays(self.pixels, kernels, factor, constant)
        with _compiling():
            self._loops(kernels).forward(pixels, own, tuple(affine), *_arrays(out, places))
        if not self.pools:
            return Responses(out, None)
        if bool((scale == 0).any()):  # without a scale all responses of a window are equal
            places[..., scale == 0] = 0
        return Responses(out, places)

    def backward(self, gradient: torch.Tensor, found: Responses) -> tuple[torch.Tensor, torch.Tensor]:
        """The sums over all windows, those of images added in float64."""
        groups, features = gradient.shape[3:]
        of_d = gradient.new_zeros(groups, features, dtype=torch.float64)
        with_patches = gradient.new_zeros(groups, 9, features, dtype=torch.float64)
        pixels, given, *sums = _arrays(self.pixels, gradient, of_d, with_patches)
        with _compiling():
            self._loops(gradient).backward(pixels, given, self._arrays_of(found), *sums)
        return of_d.to(gradient.dtype), with_patches.to(gradient.dtype)

    def double_backward(self, kernels: torch.Tensor, constant: torch.Tensor, found: Responses) -> torch.Tensor:
        """The derivative ``[B, rows, columns, G, F]`` for the gradient."""
        result = torch.empty_like(found.out)
        pixels, own, plus, derived = _arrays(self.pixels, kernels, constant, result)
        with _compiling():
            self._loops(kernels).double_backward(pixels, own, plus, self._arrays_of(found), derived)
        return result

    def as_maps(self, out: torch.Tensor) -> torch.Tensor:
        """A view."""
        return out.flatten(3).permute(0, 3, 1, 2)

    def _shape(self, kernels: torch.Tensor) -> tuple[int, ...]:
        return (self.pixels.shape[1], self.rows, self.columns, len(kernels), kernels.shape[2])

    def _arrays_of(self, found: Responses) -> tuple[np.ndarray, ...]:
        places = found.out.new_empty((1,) * 5, dtype=torch.uint8) if found.places is None else found.places
        return tuple(_arrays(found.out, places))

    def _loops(self, values: torch.Tensor) -> WindowLoops:
        return window_loops(values.shape[-1], pools=self.pools)


@contextmanager
def _compiling() -> Iterator[None]:
    """Raises ExecutionPathError if numba fails to compile a loop at its first call, or to keep or load its code."""
    try:
        yield
    except (NumbaError, OSError, EOFError, pickle.UnpicklingError) as error:
        kept = os.environ.get("NUMBA_CACHE_DIR") or Path(__file__).parent / "__pycache__"
        raise ExecutionPathError(
            f"numba cannot compile loops, or keep or load their code: {error!r}; if a file in {kept} is damaged, "
            "remove the files *.nbi and *.nbc there"
        ) from error


def _arrays(*tensors: torch.Tensor) -> list[np.ndarray]:
    """The tensors as arrays of the same memory, in rows: loops are compiled for that layout."""
    return [tensor.detach().contiguous().numpy() for tensor in tensors]


def _moments(pixels: torch.Tensor, places: tuple[int, int], step: int) -> Moments:
    groups, size = pixels.shape[:2]
    count = size * places[0] * places[1]
    total = pixels.new_zeros(groups, 9, dtype=torch.float64)
    products = pixels.new_zeros(groups, 9, 9, dtype=torch.float64)
    with _compiling():
        add_moments(pixels.numpy(), places, step, total.numpy(), products.numpy())
    mean = total / count
    lower = products / count - mean.unsqueeze(2) * mean.unsqueeze(1)
    return Moments(mean=mean.unsqueeze(1), covariance=lower.tril() + lower.tril(-1).mT, count=count)
