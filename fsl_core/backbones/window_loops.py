"""Loops over the windows of images of one channel, compiled for a CPU by numba.

Each reads the images and the pooled maps once and keeps everything else in registers or the first-level cache: torch's operations on
patches write and read several tensors of the size of the pooled maps. The loops are compiled for a number of kernels, and unrolled for it.
Photographs would need three times as many registers, more than a processor has.

numba keeps the compiled code beside this file or, if it may not write there, in the user's cache. It compiles again only if this file
changes, so what a loop calls belongs here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numba import njit

_OPTIONS: dict[str, Any] = {"cache": True, "nogil": True, "error_model": "numpy", "fastmath": {"contract", "nsz"}}
_WITH_SUMS_IN_ANY_ORDER: dict[str, Any] = {**_OPTIONS, "fastmath": {"contract", "nsz", "reassoc"}}


@njit(**_WITH_SUMS_IN_ANY_ORDER)
def add_moments(pixels: Any, places: tuple[int, int], step: int, total: Any, products: Any) -> None:
    """Add the sums of patches to ``total`` ``[G, 9]``, and of their products to the lower triangle of ``products`` ``[G, 9, 9]``.

    Both are float64. ``places``: the rows and columns of places, ``step`` pixels apart, in ``pixels`` ``[G, B, H, W]``.
    """
    groups, size = pixels.shape[:2]
    rows, columns = places
    patches = np.empty((9, rows * columns))
    for group in range(groups):
        for b in range(size):
            for k in range(9):
                for row in range(rows):
                    source = pixels[group, b, row * step + k // 3]
                    target = patches[k, row * columns : (row + 1) * columns]
                    for column in range(columns):
                        target[column] = source[column * step + k % 3]
            for k in range(9):
                one, summed = patches[k], 0.0
                for place in range(rows * columns):
                    summed += one[place]
                total[group, k] += summed
                for j in range(k + 1):
                    other, summed = patches[j], 0.0
                    for place in range(rows * columns):
                        summed += one[place] * other[place]
                    products[group, k, j] += summed


@njit(**_OPTIONS)
def _response(image: Any, kernels: Any, y: int, x: int, f: int) -> Any:
    """Of the place whose patch begins at this pixel, to a kernel."""
    summed = kernels[0, f] * image[y, x]
    for k in range(1, 9):
        summed += kernels[k, f] * image[y + k // 3, x + k % 3]
    return summed


@dataclass(frozen=True)
class WindowLoops:
    """The passes of :class:`fsl_core.backbones.stem_passes.StemPasses` on arrays, into arrays that they fill or add to.

    Values of windows are ``[B, rows, columns, G, F]``; ``found`` is the result and its places, ``affine`` the factor and the constant.
    """

    forward: Callable[..., None]
    backward: Callable[..., None]
    double_backward: Callable[..., None]


@lru_cache
def window_loops(features: int, *, pools: bool) -> WindowLoops:
    """The loops for so many kernels.

    The ReLU keeps a NaN, as torch's does. A largest response may pass over a NaN of its window, but a NaN in one response is a NaN in the
    mean of all responses of its kernel, and so in every result.
    """
    return WindowLoops(_forward(features, pools), _backward(features, pools), _double_backward(features, pools))


# In the loops below ``y`` and ``x`` are the first pixel of a window's first patch.


def _forward(features: int, pools: bool) -> Any:
    @njit(**_OPTIONS)
    def forward(pixels: Any, kernels: Any, affine: Any, out: Any, places: Any) -> None:
        size, rows, columns, groups, _ = out.shape
        zero = kernels.dtype.type(0)
        for group in range(groups):
            own, times, plus = kernels[group], affine[0][group], affine[1][group]
            for b in range(size):
                image = pixels[group, b]
                for row in range(rows):
                    for column in range(columns):
                        y, x = 2 * row, 2 * column
                        values = out[b, row, column, group]
                        if pools:
                            chosen = places[b, row, column, group]
                            for f in range(features):
                                largest, place = _response(image, own, y, x, f), np.uint8(0)
                                second = _response(image, own, y, x + 1, f)
                                place = np.uint8(1) if second > largest else place
                                largest = second if second > largest else largest
                                third = _response(image, own, y + 1, x, f)
                                place = np.uint8(2) if third > largest else place
                                largest = third if third > largest else largest
                                fourth = _response(image, own, y + 1, x + 1, f)
                                place = np.uint8(3) if fourth > largest else place
                                largest = fourth if fourth > largest else largest
                                values[f], chosen[f] = largest, place
                        else:
                            for f in range(features):
                                values[f] = _response(image, own, y, x, f)
                        for f in range(features):
                            value = values[f] * times[f] + plus[f]
                            values[f] = zero if value <= 0 else value

    return forward


def _backward(features: int, pools: bool) -> Any:
    @njit(**_OPTIONS)
    def backward(pixels: Any, gradient: Any, found: Any, of_d: Any, with_patches: Any) -> None:
        out, places = found
        size, rows, columns, groups, _ = out.shape
        zero = gradient.dtype.type(0)
        d, sums = np.empty(features, gradient.dtype), np.empty(features, gradient.dtype)
        sparse = np.empty((9, features), gradient.dtype)
        for group in range(groups):
            for b in range(size):
                image = pixels[group, b]
                sums[:], sparse[:] = zero, zero
                for row in range(rows):
                    for column in range(columns):
                        y, x = 2 * row, 2 * column
                        for f in range(features):
                            d[f] = zero if out[b, row, column, group, f] <= 0 else gradient[b, row, column, group, f]
                        for f in range(features):
                            sums[f] += d[f]
                        if pools:
                            for f in range(features):
                                place = places[b, row, column, group, f]
                                first, second = d[f] if place == 0 else zero, d[f] if place == 1 else zero
                                third, fourth = d[f] if place == 2 else zero, d[f] if place == 3 else zero
                                for k in range(9):
                                    i, j = y + k // 3, x + k % 3
                                    upper = image[i, j] * first + image[i, j + 1] * second
                                    lower = image[i + 1, j] * third + image[i + 1, j + 1] * fourth
                                    sparse[k, f] += upper + lower
                        else:
                            for f in range(features):
                                for k in range(9):
                                    sparse[k, f] += image[y + k // 3, x + k % 3] * d[f]
                of_d[group] += sums
                with_patches[group] += sparse

    return backward


def _double_backward(features: int, pools: bool) -> Any:
    @njit(**_OPTIONS)
    def double_backward(pixels: Any, kernels: Any, constant: Any, found: Any, result: Any) -> None:
        out, places = found
        size, rows, columns, groups, _ = out.shape
        zero, one = kernels.dtype.type(0), kernels.dtype.type(1)
        for group in range(groups):
            own, plus = kernels[group], constant[group]
            for b in range(size):
                image = pixels[group, b]
                for row in range(rows):
                    for column in range(columns):
                        y, x = 2 * row, 2 * column
                        derived, values = result[b, row, column, group], out[b, row, column, group]
                        if pools:
                            chosen = places[b, row, column, group]
                            for f in range(features):
                                value = zero
                                first, second = one if chosen[f] == 0 else zero, one if chosen[f] == 1 else zero
                                third, fourth = one if chosen[f] == 2 else zero, one if chosen[f] == 3 else zero
                                for k in range(9):
                                    i, j = y + k // 3, x + k % 3
                                    upper = image[i, j] * first + image[i, j + 1] * second
                                    lower = image[i + 1, j] * third + image[i + 1, j + 1] * fourth
                                    value += own[k, f] * (upper + lower)
                                derived[f] = value
                        else:
                            for f in range(features):
                                derived[f] = _response(image, own, y, x, f)
                        for f in range(features):
                            derived[f] = zero if values[f] <= 0 else derived[f] + plus[f]

    return double_backward
