"""The measured workloads: training steps with published settings. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from fsl_core.episodes.episode import EpisodeShape
from fsl_core.recipe.algorithm_settings import AlgorithmSettings, MamlSettings, MatchingSettings, PrototypicalSettings
from fsl_core.recipe.backbone_settings import Conv4Settings
from fsl_core.recipe.data_settings import DataSettings
from fsl_core.recipe.recipe import OptimiserSettings, TrainingRecipe, ValidationSettings

Kind = Literal["prototypical", "matching", "matching_fce", "maml_order_1", "maml_order_2"]


@dataclass(frozen=True, kw_only=True)
class Workload:
    """A timed training step. With ``loading`` the peers load the images of each episode within it; otherwise they get them.

    Ours and the baseline always sample and gather their own.
    """

    name: str
    title: str
    recipe: TrainingRecipe
    loading: bool = False

    @property
    def kind(self) -> Kind:
        """The kind, which determines the peers that have it."""
        algorithm = self.recipe.algorithm
        if isinstance(algorithm, MamlSettings):
            return "maml_order_2" if algorithm.order == 2 else "maml_order_1"
        if isinstance(algorithm, MatchingSettings):
            return "matching_fce" if algorithm.fce else "matching"
        return "prototypical"

    @property
    def strides(self) -> bool:
        """Whether its convolutions have strides instead of max-pools."""
        return isinstance(self.recipe.backbone, Conv4Settings) and self.recipe.backbone.downsampling == "stride"


OMNIGLOT = DataSettings(dataset="omniglot", split="vinyals")
MINI_IMAGENET = DataSettings(dataset="mini_imagenet", split="ravi", rotations=False)
_STEPS = 60_000  # of a training that repays compiling: ours takes the path that it would choose


def training_recipe(
    algorithm: AlgorithmSettings,
    data: DataSettings,
    episode: EpisodeShape,
    *,
    backbone: Conv4Settings | None = None,
    meta_batch_size: int = 1,
    clip_norm: float | None = None,
) -> TrainingRecipe:
    """The recipe of a step; its validation is never run."""
    adapts = isinstance(algorithm, MamlSettings)
    settings = Conv4Settings() if backbone is None else backbone
    return TrainingRecipe(
        algorithm=algorithm,
        data=data,
        episode=episode,
        validation=ValidationSettings(shape=episode, every=_STEPS, patience=None, adaptation_steps=1 if adapts else None),
        steps=_STEPS,
        seed=0,
        meta_batch_size=meta_batch_size,
        backbone=replace(settings, batch_norm="batch" if adapts else "running"),
        optimiser=OptimiserSettings(clip_norm=clip_norm),
    )


def prototypical(way: int, shot: int) -> TrainingRecipe:
    """A step of Prototypical Networks on Omniglot, 5 queries per class."""
    return training_recipe(PrototypicalSettings(), OMNIGLOT, EpisodeShape(way=way, shot=shot, query=5))


def matching(shot: int, *, fce: bool) -> TrainingRecipe:
    """A step of Matching Networks on Omniglot, 5-way, 15 queries per class, the gradient's norm clipped to 1."""
    context = MatchingSettings(fce=True, reading_steps=2, support_order="by_class")
    settings = context if fce else MatchingSettings()
    return training_recipe(settings, OMNIGLOT, EpisodeShape(way=5, shot=shot, query=15), clip_norm=1.0)


def maml_omniglot(
    order: Literal[1, 2], *, strides: bool = False, episodes: int = 32, way: int = 5, shot: int = 1, adaptation_steps: int = 1
) -> TrainingRecipe:
    """A step of MAML on Omniglot, as many queries as shots."""
    settings = MamlSettings(order=order, adaptation_steps=adaptation_steps, inner_lr=0.4)
    shape = EpisodeShape(way=way, shot=shot, query=shot)
    backbone = Conv4Settings(downsampling="stride" if strides else "max_pool")
    return training_recipe(settings, OMNIGLOT, shape, backbone=backbone, meta_batch_size=episodes)


def maml_mini_imagenet(order: Literal[1, 2]) -> TrainingRecipe:
    """A step of MAML on miniImageNet: 5-way 5-shot, 15 queries per class, 2 episodes, 5 adaptation steps, 32 filters."""
    settings = MamlSettings(order=order, adaptation_steps=5, inner_lr=0.01)
    shape = EpisodeShape(way=5, shot=5, query=15)
    return training_recipe(settings, MINI_IMAGENET, shape, backbone=Conv4Settings(filters=32), meta_batch_size=2)


def _every() -> tuple[Workload, ...]:
    found = [
        Workload(
            name="prototypical_omniglot",
            title="Prototypical Networks, Omniglot 60-way 1-shot, 5 queries, loading in",
            recipe=prototypical(60, 1),
            loading=True,
        )
    ]
    for shot in (1, 5):
        for fce in (False, True):
            title = f"Matching Networks{' with full context' if fce else ''}, Omniglot 5-way {shot}-shot, 15 queries"
            name = f"matching{'_fce' if fce else ''}_omniglot_{shot}_shot"
            found.append(Workload(name=name, title=title, recipe=matching(shot, fce=fce)))
    orders: tuple[Literal[1, 2], ...] = (1, 2)
    for strides in (False, True):
        for order in orders:
            title = f"MAML order {order}, Omniglot 5-way 1-shot, 32 episodes, {'strides' if strides else 'max-pool'}"
            name = f"maml_omniglot{'_strides' if strides else ''}_order_{order}"
            found.append(Workload(name=name, title=title, recipe=maml_omniglot(order, strides=strides)))
    for order in orders:
        title = f"MAML order {order}, miniImageNet 5-way 5-shot, 15 queries, 2 episodes, 5 steps, 32 filters"
        recipe = maml_mini_imagenet(order)
        found.append(Workload(name=f"maml_mini_imagenet_order_{order}", title=title, recipe=recipe))
    return tuple(found)


WORKLOADS = {workload.name: workload for workload in _every()}
"""Every workload by name."""
