"""Operations that torch.compile would compute by atomic additions, whose order differs from run to run, written without them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import product
from typing import Any

import torch

_aten = torch.ops.aten


def _scatter_add(values: torch.Tensor, axis: int, index: torch.Tensor, added: torch.Tensor) -> torch.Tensor:
    """``scatter_add`` of one place a row, the derivative of a loss that gathers one entry a row."""
    rows = [size for place, size in enumerate(values.shape) if place != axis % values.dim()]
    others = [size for place, size in enumerate(index.shape) if place != axis % values.dim()]
    if index.shape[axis] != 1 or added.shape != index.shape or rows != others:
        return NotImplemented  # type: ignore[no-any-return]  # torch then keeps the operation
    places = torch.arange(values.shape[axis], device=values.device)
    shape = [1] * values.dim()
    shape[axis] = -1
    return values + torch.where(places.view(shape) == index, added, 0)


def _folded(columns: torch.Tensor, *sizes: list[int]) -> torch.Tensor:
    """``fold``, the derivative of ``unfold``: the sum of each place of the kernel at its places in the maps."""
    sides, kernel, dilation, padding, stride = sizes
    if columns.dim() != 3 or dilation != [1, 1]:
        return NotImplemented  # type: ignore[no-any-return]
    (rows, across), whole = kernel, [side + 2 * more for side, more in zip(sides, padding, strict=True)]
    height, width = ((full - size) // step + 1 for full, size, step in zip(whole, kernel, stride, strict=True))
    parts = columns.reshape(len(columns), -1, rows, across, height, width)
    total = parts.new_zeros(parts.shape[0], parts.shape[1], *whole)
    for row, column in product(range(rows), range(across)):
        total = total + _spread(parts[:, :, row, column], whole, (row, column), stride)
    return total[:, :, padding[0] : padding[0] + sides[0], padding[1] : padding[1] + sides[1]].contiguous()


def _spread(values: torch.Tensor, whole: list[int], first: tuple[int, int], stride: list[int]) -> torch.Tensor:
    """Values ``[B, C, h, w]`` in zeros ``[B, C, *whole]``, from the place ``first`` on and ``stride`` apart."""
    rows, columns = (
        slice(start, start + step * count, step) for start, step, count in zip(first, stride, values.shape[2:], strict=True)
    )
    spread = values.new_zeros(*values.shape[:2], *whole)
    spread[:, :, rows, columns] = values
    return spread


REPEATABLE: Mapping[Any, Callable[..., Any]] = {
    _aten.scatter_add.default: _scatter_add,
    _aten.col2im.default: _folded,
}
"""By the operation that each replaces; the values are the same but for the order of additions."""
