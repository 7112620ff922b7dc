"""Workloads along one axis, to show how a step's time grows with it. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.workloads import Workload, maml_omniglot, prototypical
from fsl_core.recipe.recipe import TrainingRecipe


@dataclass(frozen=True, kw_only=True)
class Axis:
    """An axis: its name, its title, and the workload at each value."""

    name: str
    title: str
    points: tuple[tuple[int, Workload], ...]


def _axis(name: str, title: str, values: Sequence[int], recipe: Callable[[int], TrainingRecipe]) -> Axis:
    points = [(value, Workload(name=f"{name}_{value}", title=title, recipe=recipe(value))) for value in values]
    return Axis(name=name, title=title, points=tuple(points))


AXES = (
    _axis(
        "meta_batch",
        "MAML order 2, Omniglot 5-way 1-shot, by episodes of the meta-batch",
        (1, 4, 16, 32),
        lambda value: maml_omniglot(2, episodes=value),
    ),
    _axis("way", "Prototypical Networks, Omniglot 1-shot, 5 queries, by ways", (5, 20, 60), lambda value: prototypical(value, 1)),
    _axis(
        "shot",
        "MAML order 2, Omniglot 5-way, 8 episodes, by shots (as many queries)",
        (1, 5),
        lambda value: maml_omniglot(2, episodes=8, shot=value),
    ),
    _axis(
        "adaptation_steps_order_1",
        "MAML order 1, Omniglot 5-way 1-shot, 8 episodes, by adaptation steps",
        (1, 2, 5),
        lambda value: maml_omniglot(1, episodes=8, adaptation_steps=value),
    ),
    _axis(
        "adaptation_steps_order_2",
        "MAML order 2, Omniglot 5-way 1-shot, 8 episodes, by adaptation steps",
        (1, 2, 5),
        lambda value: maml_omniglot(2, episodes=8, adaptation_steps=value),
    ),
)
"""Every axis."""
