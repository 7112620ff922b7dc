"""The edition that settings are of is told by the fingerprint that they are named by; checkpoints say theirs."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from fsl_core.errors import CheckpointCorruptError, CheckpointEditionError
from fsl_core.recipe.edition import FIRST_EDITION, edition_name, edition_of
from fsl_core.recipe.fingerprint import SCHEMA_VERSION, as_plain, fingerprint_of_plain
from fsl_core.recipe.recipe import Evaluation, TrainingRecipe
from fsl_core.training.trial_checkpoint import check_edition
from tests.fsl_core.test_recipe import recipes

RECIPE: dict[str, Any] = json.loads(
    '{"algorithm":{"distance":"squared_euclidean","name":"prototypical","scale":1.0},"backbone":{"filters":64,"name":"conv4"},'
    '"data":{"dataset":"omniglot","rotations":true,"split":"vinyals"},"episode":{"query":5,"shot":1,"way":60},"meta_batch_size":1,'
    '"optimiser":{"halve_every":2000,"name":"adam","outer_lr":0.001},"retrain":false,"seed":0,"steps":10000,'
    '"validation":{"episodes":200,"every":100,"patience":2000,"shape":{"query":15,"shot":1,"way":5}}}'
)
"""A recipe as the first edition wrote it: that of results/first_edition/omniglot_prototypical, 1-shot, seed 0."""
EVALUATION = {"episodes": 1000, "seed": 0, "shape": {"query": 15, "shot": 1, "way": 5}}


def test_fingerprints_of_the_first_edition_are_recognised() -> None:
    """The names are in its results, which were made before there was a second edition."""
    folder = Path(__file__).parents[2] / "results" / "first_edition" / "omniglot_prototypical"
    (cell, *_) = json.loads((folder / "table.json").read_text())["cells"]
    assert edition_of(TrainingRecipe, RECIPE, cell["trials"][0]) == edition_of(Evaluation, EVALUATION, cell["evaluation"]) == 1
    assert edition_of(TrainingRecipe, RECIPE, cell["trials"][1]) is None
    assert edition_of(Evaluation, RECIPE, cell["trials"][0]) is None


@given(recipes)
def test_a_recipe_has_another_fingerprint_in_each_edition(recipe: TrainingRecipe) -> None:
    plain = json.loads(json.dumps(as_plain(recipe)))
    before = fingerprint_of_plain("TrainingRecipe", plain, schema=FIRST_EDITION)
    assert before != recipe.fingerprint
    assert edition_of(TrainingRecipe, plain, before) == FIRST_EDITION
    assert edition_of(TrainingRecipe, plain, recipe.fingerprint) == SCHEMA_VERSION


@pytest.mark.parametrize("plain", [None, [], 3, {}, "text"])
def test_a_document_that_is_not_a_recipe_has_no_edition(plain: Any) -> None:
    assert edition_of(TrainingRecipe, plain, "a4a74d8a1d58d96c") is None


def test_editions_have_names() -> None:
    assert [edition_name(edition) for edition in (1, 2, 17)] == ["first edition", "second edition", "edition 17"]


@pytest.mark.parametrize(
    ("checkpoint", "said"),
    [
        ({"recipe": "a4a74d8a1d58d96c"}, "is of the first edition of the recipes, of trial a4a74d8a1d58d96c"),
        ({"recipe": "a4a74d8a1d58d96c", "edition": 3}, "is of the third edition"),
        ({"recipe": "a4a74d8a1d58d96c", "edition": SCHEMA_VERSION}, None),
        ({}, None),  # no checkpoint of any edition: that is for others to say
    ],
)
def test_a_checkpoint_of_another_edition_is_refused_by_name(checkpoint: dict[str, Any], said: str | None) -> None:
    if said is None:
        check_edition(checkpoint)
        return
    with pytest.raises(CheckpointEditionError, match=said) as refused:
        check_edition(checkpoint)
    assert not isinstance(refused.value, CheckpointCorruptError)  # which would set it aside as damaged
