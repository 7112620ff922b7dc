"""A sweep as it is meant: its cells with every setting filled in, its seeds, what it is compared with."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fsl_core.episode import EpisodeShape
from fsl_core.errors import RecipeError
from fsl_core.recipe import (
    SPLITS_OF_DATASET,
    BackboneSettings,
    DatasetName,
    DataSettings,
    Distance,
    Evaluation,
    OptimiserSettings,
    PrototypicalSettings,
    SplitName,
    TrainingRecipe,
    ValidationSettings,
)


@dataclass(frozen=True, kw_only=True)
class CellSettings:
    """One cell of the table, flat: the keys of a sweep file.

    ``way``, ``shot``, ``query``, ``evaluation_episodes`` and ``evaluation_seed`` are the evaluation; ``train_*`` the shape of a
    training episode (``train_shot`` None: that of the evaluation); ``validation_*`` what model selection watches
    (``validation_shot`` None: the training shot). ``steps`` is the most training steps, ``patience`` the steps without a better
    validation after which training ends (None: never).

    Raises:
        RecipeError: if the settings cannot make a recipe and an evaluation.
    """

    algorithm: str = "prototypical"
    distance: Distance = "squared_euclidean"
    scale: float = 1.0
    dataset: DatasetName
    split: SplitName
    rotations: bool = True
    way: int
    shot: int
    query: int = 15
    evaluation_episodes: int = 1000
    evaluation_seed: int = 0
    train_way: int = 60
    train_shot: int | None = None
    train_query: int = 5
    validation_way: int = 5
    validation_shot: int | None = None
    validation_query: int = 15
    validation_every: int = 100
    validation_episodes: int = 200
    patience: int | None = 2000
    steps: int = 10_000
    meta_batch_size: int = 1
    outer_lr: float = 1e-3
    halve_every: int | None = 2000
    filters: int = 64
    retrain: bool = False

    def __post_init__(self) -> None:
        if self.algorithm != PrototypicalSettings.name:
            raise RecipeError(f"algorithm is {self.algorithm!r}; accepted: {PrototypicalSettings.name!r}")
        self.recipe(0)
        self.evaluation()

    def recipe(self, seed: int) -> TrainingRecipe:
        """What this cell trains with one seed."""
        shot = self.shot if self.train_shot is None else self.train_shot
        watched = shot if self.validation_shot is None else self.validation_shot
        return TrainingRecipe(
            algorithm=PrototypicalSettings(distance=self.distance, scale=float(self.scale)),
            data=DataSettings(dataset=self.dataset, split=self.split, rotations=self.rotations),
            episode=EpisodeShape(way=self.train_way, shot=shot, query=self.train_query),
            validation=ValidationSettings(
                shape=EpisodeShape(way=self.validation_way, shot=watched, query=self.validation_query),
                every=self.validation_every,
                episodes=self.validation_episodes,
                patience=self.patience,
            ),
            steps=self.steps,
            seed=seed,
            meta_batch_size=self.meta_batch_size,
            backbone=BackboneSettings(filters=self.filters),
            optimiser=OptimiserSettings(outer_lr=float(self.outer_lr), halve_every=self.halve_every),
            retrain=self.retrain,
        )

    def evaluation(self) -> Evaluation:
        """How this cell scores what it trained."""
        shape = EpisodeShape(way=self.way, shot=self.shot, query=self.query)
        return Evaluation(shape=shape, episodes=self.evaluation_episodes, seed=self.evaluation_seed)


SETTING_NAMES = tuple(field.name for field in dataclasses.fields(CellSettings))
"""Every key that a cell has."""


@dataclass(frozen=True, kw_only=True)
class SweepSpec:
    """A sweep file, read and checked.

    ``published`` names the registries it is compared with, the first that has a cell wins. ``short`` marks a run that is shorter
    than the published one on purpose. ``fallback_dataset`` replaces a data set that cannot be had. ``overrides`` are the command
    line's ``--set``, ``--only`` and ``--seeds`` in force: none for the sweep as its file has it.
    """

    name: str
    title: str
    description: str
    published: tuple[str, ...]
    short: bool
    seeds: tuple[int, ...]
    cells: tuple[CellSettings, ...]
    fallback_dataset: str | None
    overrides: tuple[str, ...]
    source: Path
    data_root: str | None = None
    runs_root: str | None = None
    results_root: str | None = None
    tracking_uri: str | None = None
    max_concurrent: int | None = None


def load_sweep(path: Path, *, set_values: Sequence[str] = (), only: Sequence[str] = (), seeds: str | None = None) -> SweepSpec:
    """Read a sweep file and what the command line changes of it.

    Args:
        path: the YAML file.
        set_values: ``key=value`` texts, each of which fixes one setting for all cells, or a list as a new axis.
        only: ``way=5,shot=1`` texts; a cell stays when it matches all parts of one of them.
        seeds: comma-separated seeds in place of the file's.

    Raises:
        SweepFileError: with the file, the line, the key path, the value and what would be accepted.
    """
    from orchestrator.sweep_schema import parse_sweep  # pydantic and ruamel.yaml, only when a file is read

    return parse_sweep(path, set_values=tuple(set_values), only=tuple(only), seeds=seeds)


def with_dataset(spec: SweepSpec, dataset: DatasetName) -> SweepSpec:
    """The same sweep on another data set, with that one's first split, under a name and a title that nobody can mistake."""
    split = SPLITS_OF_DATASET[dataset][0]
    cells = tuple(dataclasses.replace(cell, dataset=dataset, split=split) for cell in spec.cells)  # type: ignore[arg-type]
    return dataclasses.replace(
        spec, cells=cells, name=f"{spec.name}_{dataset}", title=f"On {dataset}, nothing else (meant for: {spec.title})"
    )
