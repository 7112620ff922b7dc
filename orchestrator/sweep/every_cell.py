"""The keys that every cell of a sweep has, whatever its algorithm, backbone and data set, each described at its field."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field

from fsl_core.recipe.algorithm_settings import PrototypicalSettings
from fsl_core.recipe.backbone_settings import BackboneSettings, Conv4Settings
from fsl_core.recipe.data_settings import DataSettings
from fsl_core.recipe.matmul_precision import MatmulPrecision
from fsl_core.recipe.recipe import OptimiserName, OptimiserSettings
from fsl_core.recipe.setting import Lighter, called, counting, either, named, setting
from fsl_core.training.model_selection import Selection

_IMAGES = {item.name: item.metadata for item in dataclasses.fields(DataSettings)}
_PACE = "the same objective, approached at another pace"
_SURER = "a query is answered by itself, so that more of them make the same score surer"


@dataclass(frozen=True, kw_only=True)
class EveryCell:
    """The settings of every cell; :mod:`orchestrator.sweep.cell_settings` adds those that a choice brings."""

    preset: str | None = field(default=None, metadata=setting("preset that gives what the sweep does not"))
    algorithm: str = field(default=PrototypicalSettings.name, metadata=setting("algorithm", word=str, form="always"))
    evaluation_adaptation_steps: int | None = field(
        default=None,
        metadata=setting("gradient steps on the support of a scored episode", word=counting("adaptation step"), form="always"),
    )
    inductive: bool | None = field(
        default=None,
        metadata=setting(
            "whether BatchNorm normalises a query by the support's statistics, not by the query's",
            word=either("inductive", "transductive"),
            form="unless_usual",
        ),
    )
    dataset: str = field(metadata=setting("data set", word=str))
    split: str = field(metadata=_IMAGES["split"])
    rotations: bool | None = field(default=None, metadata=_IMAGES["rotations"])
    distinct_characters: bool = field(default=False, metadata=_IMAGES["distinct_characters"])
    black_on_white: bool = field(default=False, metadata=_IMAGES["black_on_white"])
    way: int = field(metadata=setting("classes of a scored episode"))
    shot: int = field(metadata=setting("support images per class of a scored episode"))
    query: int = field(
        default=15,
        metadata=setting(
            "query images per class of a scored episode",
            lighter=(
                Lighter(reason=_SURER, where={"adapts": False}),
                Lighter(reason=_SURER, where={"adapts": True, "inductive": True}),
            ),
        ),
    )
    evaluation_episodes: int = field(
        default=1000,
        metadata=setting(
            "frozen episodes of meta-test classes",
            weight="noted",
            reason="more episodes make the same score surer",
            word=called("test episodes"),
        ),
    )
    evaluation_seed: int = field(default=0, metadata=setting("seed of the frozen meta-test episodes", word=called("test seed")))
    train_way: int | None = field(default=None, metadata=setting("classes of a training episode"))
    train_shot: int | None = field(default=None, metadata=setting("support images per class of a training episode"))
    train_query: int = field(default=5, metadata=setting("query images per class of a training episode"))
    validation_way: int | None = field(default=None, metadata=setting("classes of a validation episode"))
    validation_shot: int | None = field(default=None, metadata=setting("support images per class of a validation episode"))
    validation_query: int = field(default=15, metadata=setting("query images per class of a validation episode"))
    validation_every: int = field(default=100, metadata=setting("training steps between two validations"))
    validation_episodes: int = field(default=200, metadata=setting("frozen episodes of meta-validation classes"))
    validation_adaptation_steps: int | None = field(
        default=None,
        metadata=setting(
            "gradient steps on the support of a validation episode", word=counting("adaptation step", " in validation")
        ),
    )
    selection: Selection = field(
        default="loss",
        metadata=setting(
            "what selects the weights: loss, accuracy or last",
            weight="noted",
            reason="other weights of the same training",
            word=named({"loss": "selected by loss", "accuracy": "selected by accuracy", "last": "last weights"}),
        ),
    )
    patience: int | None = field(
        default=2000, metadata=setting("training steps without a better validation after which training ends", none_is_off=True)
    )
    steps: int = field(
        default=10_000,
        metadata=setting(
            "most training steps",
            weight="budget",
            reason="a shorter training says nothing of a longer one",
            word=lambda value: counting("step")(value) if value else "untrained",
        ),
    )
    meta_batch_size: int = field(
        default=1,
        metadata=setting(
            "episodes of a training step",
            weight="noted",
            reason="a less noisy gradient of the same objective",
            word=called("meta-batch"),
        ),
    )
    optimiser: OptimiserName = field(
        default=OptimiserSettings.name,
        metadata=setting(
            "what descends the gradient: adam, or sgd, which has no moments",
            word=named({"adam": "Adam", "sgd": "gradient descent"}),
            presumed=True,
        ),
    )
    outer_lr: float = field(default=1e-3, metadata=setting("learning rate of the optimiser", word=called("lr")))
    halve_every: int | None = field(
        default=2000,
        metadata=setting(
            "training steps after which the learning rate is halved, again and again",
            weight="noted",
            reason=_PACE,
            word=lambda value: f"lr halved every {value}" if value else "constant lr",
            none_is_off=True,
        ),
    )
    first_halving: int | None = field(
        default=None,
        metadata=setting(
            "training steps before the first halving, where it is not halve_every",
            weight="noted",
            reason=_PACE,
            word=lambda value: f"lr first halved at {value}" if value else "no first halving",
            none_is_off=True,
        ),
    )
    decay_steps: int | None = field(
        default=None,
        metadata=setting(
            "training steps over which the learning rate falls linearly to zero, where it is not halved",
            weight="noted",
            reason=_PACE,
            word=lambda value: f"lr zero after {value}" if value else "no linear decay",
            none_is_off=True,
        ),
    )
    clip_norm: float | None = field(
        default=None,
        metadata=setting(
            "bound of the gradient's norm",
            lighter=(Lighter(reason="Adam's step depends little on a gradient's size", where={"optimiser": "adam"}),),
            none_is_off=True,
        ),
    )
    clip_value: float | None = field(
        default=None,
        metadata=setting(
            "bound of the gradient's entries",
            weight="noted",
            reason="the text says nothing of it, so that a number made without it answers the text's question",
            none_is_off=True,
        ),
    )
    backbone: str = field(
        default=Conv4Settings.name,
        metadata=setting("embedding network", word=lambda value: _title_of_backbone(value), form="unless_usual"),
    )
    retrain: bool = field(
        default=False,
        metadata=setting(
            "whether the training is repeated with the meta-validation classes added",
            weight="noted",
            reason="a sixth to a quarter more classes of the same data set",
        ),
    )
    matmul_precision: MatmulPrecision = field(
        default="float32",
        metadata=setting(
            "precision of the training's products on CUDA: float32 or tf32",
            weight="noted",
            reason="the same training, rounded more coarsely; what scores is in full float32",
            word=named({"tf32": "TF32"}),
            presumed=True,
        ),
    )


def _title_of_backbone(name: str) -> str:
    return BackboneSettings.kinds()[name].title
