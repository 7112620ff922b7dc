"""The passes over all patches that the first block and its derivatives need, in blocks that fit the cache of a CPU's core.

A pass reads and writes tensors of the size of the pooled maps. Within a block, every operation after the first finds its operands in the
cache, which on a CPU saves up to half of the time. On CUDA the whole pass is one block.

The letters are those of :mod:`fsl_core.backbones.fused_stem`. ``N`` counts the windows of all images, ``F`` the kernels, ``K`` the numbers
of a patch. Kernels are ``[G, K, F]`` here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from fsl_core.backbones.patches import Patches

_aten = torch.ops.aten
_VALUES_AT_ONCE = 131_072  # half a megabyte of float32: a few such tensors fit the second-level cache of a core


@dataclass(frozen=True)
class Responses:
    """The first block's result ``out``, and the largest response of each window, ``chosen``: ``[G, N, F]`` each.

    ``places``, bytes of the same shape, has the place of the largest response in its window; None if each window is a single place.
    """

    out: torch.Tensor
    chosen: torch.Tensor
    places: torch.Tensor | None


@dataclass(frozen=True)
class Sums:
    """Sums over all windows: ``sum d`` and ``sum d P w c``, ``[G, F]``, and ``sum d P c``, ``[G, K, F]``.

    ``d`` itself is ``[G, N, F]``; None unless it was wanted.
    """

    of_d: torch.Tensor
    with_responses: torch.Tensor
    with_patches: torch.Tensor
    d: torch.Tensor | None


def forward_pass(
    patches: Patches, kernels: torch.Tensor, scale: torch.Tensor, factor: torch.Tensor, constant: torch.Tensor
) -> Responses:
    """``relu(factor P w c + constant)``, where scale, factor and constant are ``[G, F]``.

    Where the scale is 0 all responses of a window are equal after scaling, and its first place is chosen.
    """
    # On a CPU the check is free, and most scales are not 0; on CUDA it would make the host wait for the device.
    alike = (scale == 0).unsqueeze(1)
    any_alike = scale.device.type != "cpu" or bool(alike.any())
    shape = (len(kernels), patches.parts[0].shape[2], kernels.shape[2])
    out, chosen = kernels.new_empty(shape), kernels.new_empty(shape)
    places = kernels.new_empty(shape, dtype=torch.uint8) if len(patches.parts) > 1 else None
    for block, parts in _blocks(patches, shape):
        own, largest = block[0], chosen[block]
        place = _write_largest(largest, parts, kernels[own], alike[own] if any_alike else None)
        if places is not None:
            places[block] = place
        torch.addcmul(constant[own].unsqueeze(1), largest, factor[own].unsqueeze(1), out=out[block]).relu_()
    return Responses(out, chosen, places)


def backward_pass(patches: Patches, gradient: torch.Tensor, found: Responses, *, keeps_d: bool) -> Sums:
    """The sums over ``d = 1[out > 0] gradient``, for a gradient ``[G, N, F]``."""
    groups, _, features = shape = gradient.shape
    of_d, with_responses = gradient.new_zeros(groups, features), gradient.new_zeros(groups, features)
    with_patches = gradient.new_zeros(groups, patches.parts[0].shape[1], features)
    kept = torch.empty_like(found.out) if keeps_d else None
    for block, parts in _blocks(patches, shape):
        own = block[0]
        d = torch.empty_like(found.out[block]) if kept is None else kept[block]
        _aten.threshold_backward.grad_input(gradient[block], found.out[block], 0, grad_input=d)
        of_d[own].add_(d.sum(dim=1))
        with_responses[own].add_((d * found.chosen[block]).sum(dim=1))
        places = _places(found, block)
        for place, part in enumerate(parts):
            at_place = d if places is None else _equal(places, place).mul_(d)
            with_patches[own].baddbmm_(part, at_place)
    return Sums(of_d, with_responses, with_patches, kept)


def double_backward_pass(
    patches: Patches, found: Responses, d: torch.Tensor, u: torch.Tensor, weights: tuple[torch.Tensor, torch.Tensor, torch.Tensor]
) -> tuple[torch.Tensor, torch.Tensor]:
    """``sum d P u c``, ``[G, F]``, and ``1[out > 0] (a P u c + b P w c + e)``, ``[G, N, F]``, for weights ``a, b, e`` ``[G, F]``."""
    total, result = d.new_zeros(len(d), d.shape[2]), torch.empty_like(d)
    for block, parts in _blocks(patches, d.shape):
        own = block[0]
        a, b, e = (each[own].unsqueeze(1) for each in weights)
        response = _at_places(parts, u[own], _places(found, block))
        total[own].add_((d[block] * response).sum(dim=1))
        combined = torch.addcmul(e, found.chosen[block], b).addcmul_(response, a)
        _aten.threshold_backward.grad_input(combined, found.out[block], 0, grad_input=result[block])
    return total, result


Block = tuple[slice, slice]
"""Some groups and some windows of values ``[G, N, F]``."""


def _blocks(patches: Patches, shape: Sequence[int]) -> Iterator[tuple[Block, list[torch.Tensor]]]:
    """The blocks of values of this shape, and the patches ``[G, K, N]`` of each."""
    groups, windows, features = shape
    on_cpu = patches.mean.device.type == "cpu"
    at_once = max(1, _VALUES_AT_ONCE // features) if on_cpu else groups * windows
    groups_at_once = max(1, at_once // windows)
    for group in range(0, groups, groups_at_once):
        for window in range(0, windows, at_once):
            block = slice(group, group + groups_at_once), slice(window, window + at_once)
            yield block, [part[block[0], :, block[1]] for part in patches.parts]


def _places(found: Responses, block: Block) -> torch.Tensor | None:
    """The places of a block, in the type of its responses: comparing and multiplying other types takes longer on a CPU."""
    return None if found.places is None else found.places[block].to(found.out.dtype)


def _equal(places: torch.Tensor, place: int) -> torch.Tensor:
    """1 at this place and 0 at others, in the same type."""
    return torch.eq(places, place, out=torch.empty_like(places))


def _write_largest(
    largest: torch.Tensor, parts: Sequence[torch.Tensor], kernels: torch.Tensor, alike: torch.Tensor | None
) -> torch.Tensor:
    """Write the largest response ``[G, N, F]`` of each window; return its place, the first among equals, in the same type.

    If a window is a single place, the result means nothing.
    """
    torch.bmm(parts[0].transpose(1, 2), kernels, out=largest)
    places = largest
    for place, part in enumerate(parts[1:], start=1):
        response = torch.bmm(part.transpose(1, 2), kernels)
        if alike is not None:
            response = torch.where(alike, largest, response)
        beats = torch.gt(response, largest, out=torch.empty_like(largest))
        places = beats if place == 1 else torch.maximum(places, beats.mul_(place), out=places)
        torch.maximum(largest, response, out=largest)
    return places


def _at_places(parts: Sequence[torch.Tensor], kernels: torch.Tensor, places: torch.Tensor | None) -> torch.Tensor:
    """The responses ``[G, N, F]`` to ``kernels`` at the given places."""
    response = torch.bmm(parts[0].transpose(1, 2), kernels)
    if places is not None:
        for place, part in enumerate(parts[1:], start=1):
            response.lerp_(torch.bmm(part.transpose(1, 2), kernels), _equal(places, place))
    return response
