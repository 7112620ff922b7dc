"""Every form of algorithm and of backbone, small, and every way to compute a backbone: what the proofs of equality run over."""

from __future__ import annotations

from itertools import product
from typing import get_args

import pytest

from fsl_core.algorithms.anil import AnilSettings
from fsl_core.backbones.kernels import Convolution, Kernels, Layout, Normalisation, Stem
from fsl_core.recipe.algorithm_settings import AlgorithmSettings, MamlSettings, MatchingSettings, PrototypicalSettings
from fsl_core.recipe.backbone_settings import BackboneSettings, Conv4Settings, MlpSettings

CONTEXT = MatchingSettings(scale=5.0, fce=True, reading_steps=2, support_order="interleaved", clamp=1e-8)
FIRST_ORDER = MamlSettings(order=1, adaptation_steps=2, inner_lr=0.1)
SECOND_ORDER = MamlSettings(order=2, adaptation_steps=2, inner_lr=0.1)
ALGORITHMS: dict[str, AlgorithmSettings] = {
    "prototypical": PrototypicalSettings(),
    "prototypical cosine": PrototypicalSettings(distance="cosine", scale=10.0),
    "matching learned scale": MatchingSettings(scale=10.0, learn_scale=True),
    "matching full context": CONTEXT,
    "maml order 1": FIRST_ORDER,
    "maml order 2": SECOND_ORDER,
    "maml order 2, summed, fixed norms": MamlSettings(
        order=2,
        adaptation_steps=2,
        inner_lr=0.05,
        inner_reduction="sum_over_shot",
        outer_reduction="sum_over_shot",
        adapt_batch_norm=False,
    ),
    "maml without steps": MamlSettings(adaptation_steps=0),
    "anil order 2": AnilSettings(adaptation_steps=2, inner_lr=0.5, outer_reduction="sum_over_shot"),
}


def backbones(algorithm: AlgorithmSettings) -> dict[str, BackboneSettings]:
    """The forms of backbones with the statistics that suit an algorithm."""
    statistics = "batch" if algorithm.adapts else "running"
    return {
        "max_pool": Conv4Settings(filters=4, batch_norm=statistics),  # type: ignore[arg-type]
        "shift alone": Conv4Settings(filters=4, batch_norm=statistics, batch_norm_scale=False, batch_norm_epsilon=1e-3),  # type: ignore[arg-type]
        "stride": Conv4Settings(filters=4, batch_norm=statistics, downsampling="stride"),  # type: ignore[arg-type]
        "stride, padded at the end, shift alone": Conv4Settings(
            filters=4,
            batch_norm=statistics,  # type: ignore[arg-type]
            downsampling="stride",
            padding="same",
            batch_norm_scale=False,
        ),
        "mlp": MlpSettings(batch_norm=statistics),  # type: ignore[arg-type]
    }


_ALWAYS = {"max_pool", "mlp"}
"""The forms of backbones that every run of the tests looks at; the slow tests look at the others."""
FORMS = [
    pytest.param(name, form, marks=() if form in _ALWAYS else pytest.mark.slow)
    for name, algorithm in ALGORITHMS.items()
    for form in backbones(algorithm)
]
EVERY_KERNELS = [
    *(
        Kernels(layout=layout, normalisation=normalisation, convolution=convolution, stem="maps")
        for layout, normalisation, convolution in product(get_args(Layout), get_args(Normalisation), get_args(Convolution))
    ),
    *(Kernels(layout=layout, stem=stem) for layout in get_args(Layout) for stem in get_args(Stem) if stem != "maps"),
]


def kernels_of(backbone: BackboneSettings, device: str = "cpu") -> list[Kernels]:
    """The ways that differ for a backbone; loops are compiled for a CPU alone."""
    every = [kernels for kernels in EVERY_KERNELS if device == "cpu" or kernels.stem != "loops"]
    return list({tuple(getattr(kernels, form) for form in backbone.forms): kernels for kernels in every}.values())
