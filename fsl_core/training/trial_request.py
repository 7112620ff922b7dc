"""A request to another machine to train and score a trial: the content of its folder before any work."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fsl_core.errors import RecipeError
from fsl_core.plain_values import digest, member
from fsl_core.recipe.edition import edition_name
from fsl_core.recipe.fingerprint import SCHEMA_VERSION, as_plain
from fsl_core.recipe.recipe import Evaluation, TrainingRecipe, evaluation_from_plain, recipe_from_plain


@dataclass(frozen=True, kw_only=True)
class TrialRequest:
    """A recipe, its requested evaluations, its name in words, and the digest of its images, if known."""

    name: str
    recipe: TrainingRecipe
    evaluations: tuple[Evaluation, ...]
    data_digest: str | None = None

    def as_plain(self) -> dict[str, Any]:
        """This request as plain JSON types."""
        return {
            "edition": SCHEMA_VERSION,
            "name": self.name,
            "fingerprint": self.recipe.fingerprint,
            "recipe": as_plain(self.recipe),
            "evaluations": [as_plain(each) for each in self.evaluations],
            "data_digest": self.data_digest,
        }


def request_from_plain(plain: Mapping[str, Any]) -> TrialRequest:
    """Read a request from the document of :meth:`TrialRequest.as_plain`.

    Raises:
        RecipeError: the document is not one, or is of another edition of the recipes.
    """
    edition = plain.get("edition")
    if edition != SCHEMA_VERSION:
        theirs = edition_name(edition) if isinstance(edition, int) else f"edition {edition!r:.20}"
        raise RecipeError(f"it is of the {theirs} of the recipes, and this code of the {edition_name(SCHEMA_VERSION)}")
    recipe = recipe_from_plain(member(plain, "recipe", dict))
    if recipe.fingerprint != plain.get("fingerprint"):
        raise RecipeError(f"the recipe's fingerprint is {recipe.fingerprint}, the document says {plain.get('fingerprint')!r:.40}")
    evaluations = tuple(
        evaluation_from_plain(member({"an evaluation": each}, "an evaluation", dict))
        for each in member(plain, "evaluations", list)
    )
    for evaluation in evaluations:
        evaluation.check_suits(recipe)
    return TrialRequest(
        name=member(plain, "name", str),
        recipe=recipe,
        evaluations=evaluations,
        data_digest=None if plain.get("data_digest") is None else digest(plain, "data_digest"),
    )
