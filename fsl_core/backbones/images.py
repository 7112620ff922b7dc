"""The images of a batch, with the computations that depend on no weights done once."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from fsl_core.backbones.available_loops import load_pixel_loops
from fsl_core.backbones.patch_passes import PatchPasses
from fsl_core.backbones.patches import patches_of
from fsl_core.backbones.stem_passes import StemPasses
from fsl_core.randomness import uniform_of_each


@dataclass(frozen=True, eq=False)
class Images:
    """``pixels``: the images ``[G, B, C, H, W]`` of each group, without gradients. ``reused``: they are embedded more than once.

    ``words``: in training, a random int64 of each group's own, ``[G]``; None in scoring, where nothing is random. ``part``: what they are
    of an episode, such as its query.
    """

    pixels: torch.Tensor
    reused: bool = False
    words: torch.Tensor | None = None
    part: str = ""
    _passes: dict[tuple[bool, bool, bool], StemPasses] = field(default_factory=dict, init=False, repr=False)

    @property
    def groups(self) -> int:
        """The number of groups, ``G``."""
        return len(self.pixels)

    def uniform(self, name: str, shape: tuple[int, ...]) -> torch.Tensor | None:
        """Random float64 values ``[G, *shape]`` in [0, 1), such as those by which a layer drops activations; None in scoring.

        They are a function of the group's word, the part of its episode and the name alone: images that are embedded again, as by MAML's
        next adaptation step, get the same values.
        """
        return None if self.words is None else uniform_of_each(self.words, f"{self.part}/{name}", shape)

    def passes(self, *, pools: bool, pads_evenly: bool, loops: bool) -> StemPasses:
        """The passes over their windows, by compiled ``loops`` or by torch's operations on their patches."""
        key = (pools, pads_evenly, loops)
        if key not in self._passes:
            self._passes[key] = _passes_over(self.pixels, pools=pools, pads_evenly=pads_evenly, loops=loops)
        return self._passes[key]


@torch.no_grad()
def _passes_over(pixels: torch.Tensor, *, pools: bool, pads_evenly: bool, loops: bool) -> StemPasses:
    if loops:
        return load_pixel_loops().over(pixels, pools=pools, pads_evenly=pads_evenly)
    return PatchPasses(patches_of(pixels, pools=pools, pads_evenly=pads_evenly))
