"""Groups what belongs to seeds of one recipe."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import TypeVar

Item = TypeVar("Item")


def groups_of_seeds(items: Iterable[Item], recipe: Callable[[Item], Hashable], most: int | None = None) -> list[list[Item]]:
    """Items of one recipe together, at most ``most`` in a group; the groups are in the order of their first items.

    ``recipe`` gives what the seeds of a recipe have in common, such as :attr:`fsl_core.recipe.recipe.TrainingRecipe.without_seed`.
    """
    groups, filling = list[list[Item]](), dict[Hashable, list[Item]]()
    for item in items:
        group = filling.get(recipe(item))
        if group is None or len(group) == most:
            group = filling[recipe(item)] = []
            groups.append(group)
        group.append(item)
    return groups
