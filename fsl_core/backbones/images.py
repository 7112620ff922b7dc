"""The images of a batch, with the computations that depend on no weights done once."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from fsl_core.backbones.patches import Patches, patches_of
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
    _patches: dict[tuple[bool, bool], Patches] = field(default_factory=dict, init=False, repr=False)

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

    def patches(self, *, pools: bool, pads_evenly: bool) -> Patches:
        """Their patches with moments; see :func:`fsl_core.backbones.patches.patches_of`."""
        key = (pools, pads_evenly)
        if key not in self._patches:
            with torch.no_grad():
                self._patches[key] = patches_of(self.pixels, pools=pools, pads_evenly=pads_evenly)
        return self._patches[key]
