"""The images of a batch, with the computations that depend on no weights done once."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from fsl_core.backbones.patches import Patches, patches_of


@dataclass(frozen=True, eq=False)
class Images:
    """``pixels``: the images ``[G, B, C, H, W]`` of each group, without gradients. ``reused``: they are embedded more than once."""

    pixels: torch.Tensor
    reused: bool = False
    _patches: dict[tuple[bool, bool], Patches] = field(default_factory=dict, init=False, repr=False)

    @property
    def groups(self) -> int:
        """The number of groups, ``G``."""
        return len(self.pixels)

    def patches(self, *, pools: bool, pads_evenly: bool) -> Patches:
        """Their patches with moments; see :func:`fsl_core.backbones.patches.patches_of`."""
        key = (pools, pads_evenly)
        if key not in self._patches:
            with torch.no_grad():
                self._patches[key] = patches_of(self.pixels, pools=pools, pads_evenly=pads_evenly)
        return self._patches[key]
