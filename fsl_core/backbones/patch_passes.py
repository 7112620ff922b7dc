"""The first block's passes over patches in torch's operations, in parts that fit the cache of a CPU's core.

A pass reads and writes tensors of the size of the pooled maps, ``[G, N, F]``, where ``N`` counts the windows of all images. Within a part,
every operation after the first finds its operands in the cache, which on a CPU saves up to half of the time. On CUDA the whole pass is one
part.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from fsl_core.backbones.patches import Patches
from fsl_core.backbones.stem_passes import Moments, Responses

_aten = torch.ops.aten
_VALUES_AT_ONCE = 131_072  # half a megabyte of float32: a few such tensors fit the second-level cache of a core


@dataclass(frozen=True)
class PatchPasses:
    """Passes over the patches of images: see :class:`fsl_core.backbones.stem_passes.StemPasses`."""

    patches: Patches

    @property
    def moments(self) -> Moments:
        """The moments of the patches."""
        return self.patches.moments

    def forward(self, kernels: torch.Tensor, scale: torch.Tensor, factor: torch.Tensor, constant: torch.Tensor) -> Responses:
        """The result ``[G, N, F]``."""
        # On a CPU the check is free, and most scales are not 0; on CUDA it would make the host wait for the device.
        alike = (scale == 0).unsqueeze(1)
        any_alike = scale.device.type != "cpu" or bool(alike.any())
        shape = (len(kernels), self.patches.parts[0].shape[2], kernels.shape[2])
        out = kernels.new_empty(shape)
        places = kernels.new_empty(shape, dtype=torch.uint8) if len(self.patches.parts) > 1 else None
        for block, parts in self._blocks(shape):
            own, largest = block[0], out[block]
            place = _write_largest(largest, parts, kernels[own], alike[own] if any_alike else None)
            if places is not None:
                places[block] = place
            torch.addcmul(constant[own].unsqueeze(1), largest, factor[own].unsqueeze(1), out=largest).relu_()
        return Responses(out, places)

    def backward(self, gradient: torch.Tensor, found: Responses) -> tuple[torch.Tensor, torch.Tensor]:
        """The sums over all windows."""
        groups, _, features = shape = gradient.shape
        of_d = gradient.new_zeros(groups, features)
        with_patches = gradient.new_zeros(groups, self.patches.parts[0].shape[1], features)
        for block, parts in self._blocks(shape):
            own = block[0]
            d = _aten.threshold_backward(gradient[block], found.out[block], 0)
            of_d[own].add_(d.sum(dim=1))
            places = _places(found, block)
            for place, part in enumerate(parts):
                at_place = d if places is None else _equal(places, place).mul_(d)
                with_patches[own].baddbmm_(part, at_place)
        return of_d, with_patches

    def double_backward(self, kernels: torch.Tensor, constant: torch.Tensor, found: Responses) -> torch.Tensor:
        """The derivative ``[G, N, F]`` for the gradient."""
        result = torch.empty_like(found.out)
        for block, parts in self._blocks(result.shape):
            own = block[0]
            response = _at_places(parts, kernels[own], _places(found, block)).add_(constant[own].unsqueeze(1))
            _aten.threshold_backward.grad_input(response, found.out[block], 0, grad_input=result[block])
        return result

    def as_maps(self, out: torch.Tensor) -> torch.Tensor:
        """Values of windows as maps: a view of one group's, a copy of several groups'."""
        places = torch.unflatten(out, 1, (self.patches.images, self.patches.rows, self.patches.columns))
        return places.permute(1, 2, 3, 0, 4).flatten(3).permute(0, 3, 1, 2)

    def _blocks(self, shape: Sequence[int]) -> Iterator[tuple[Block, list[torch.Tensor]]]:
        """The parts of values of this shape, and the patches ``[G, K, N]`` of each."""
        groups, windows, features = shape
        on_cpu = self.patches.parts[0].device.type == "cpu"
        at_once = max(1, _VALUES_AT_ONCE // features) if on_cpu else groups * windows
        groups_at_once = max(1, at_once // windows)
        for group in range(0, groups, groups_at_once):
            for window in range(0, windows, at_once):
                block = slice(group, group + groups_at_once), slice(window, window + at_once)
                yield block, [part[block[0], :, block[1]] for part in self.patches.parts]


Block = tuple[slice, slice]
"""Some groups and some windows of values ``[G, N, F]``."""


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
