"""A cell's settings: what is filled in, and what is refused."""

from pathlib import Path
from typing import Any

import pytest

from fsl_core.errors import RecipeError
from fsl_core.recipe.algorithm_settings import MamlSettings, MatchingSettings, PrototypicalSettings
from fsl_core.recipe.backbone_settings import Conv4Settings, MlpSettings
from orchestrator.errors import SweepFileError
from orchestrator.sweep.cell_settings import CellSettings
from orchestrator.sweep.loader import load_sweep


def a_cell(**changes: Any) -> CellSettings:
    return CellSettings(**{"dataset": "omniglot", "split": "vinyals", "way": 20, "shot": 5, **changes})


def test_training_takes_the_shape_of_the_evaluation_by_default() -> None:
    recipe = a_cell().recipe(3)
    assert (recipe.episode.way, recipe.episode.shot, recipe.seed) == (20, 5, 3)
    assert (recipe.validation.shape.way, recipe.validation.shape.shot) == (5, 5)
    assert recipe.data.rotations
    assert recipe.algorithm == PrototypicalSettings() and recipe.backbone == Conv4Settings()


def test_maml_is_validated_and_scored_with_its_own_ways_and_batch_statistics() -> None:
    cell = a_cell(algorithm="maml", adaptation_steps=2)
    recipe, evaluation = cell.recipe(0), cell.evaluation()
    assert recipe.algorithm == MamlSettings(adaptation_steps=2)
    assert recipe.backbone.batch_norm == "batch"
    assert recipe.validation.shape.way == 20
    assert (recipe.validation.adaptation_steps, evaluation.adaptation_steps) == (2, 2)
    apart = a_cell(algorithm="maml", evaluation_adaptation_steps=7)
    assert (apart.recipe(0).validation.adaptation_steps, apart.evaluation().adaptation_steps) == (7, 7)


def test_maml_is_scored_transductively_by_default() -> None:
    """An evaluation of the same training."""
    usual, inductive = (a_cell(algorithm="maml", **given) for given in ({}, {"inductive": True}))
    assert (usual.evaluation().inductive, inductive.evaluation().inductive) == (False, True)
    assert usual.recipe(0) == inductive.recipe(0)
    assert a_cell().inductive is None and not a_cell().evaluation().inductive


def test_every_setting_reaches_the_recipe() -> None:
    cell = a_cell(algorithm="matching", distance="cosine", scale=10, learn_scale=True, fce=True, reading_steps=3,
                  support_order="interleaved", clip_norm=1, clip_value=2, downsampling="stride", filters=32,
                  clamp=1e-8, padding="same", batch_norm_scale=False, batch_norm_epsilon=1e-3, initialisation="finn_2017")  # fmt: skip
    recipe = cell.recipe(0)
    assert recipe.algorithm == MatchingSettings(
        distance="cosine", scale=10.0, learn_scale=True, fce=True, reading_steps=3, support_order="interleaved", clamp=1e-8
    )
    norm: dict[str, Any] = {"batch_norm_scale": False, "batch_norm_epsilon": 1e-3, "initialisation": "finn_2017"}
    assert recipe.backbone == Conv4Settings(filters=32, downsampling="stride", padding="same", **norm)
    assert (recipe.optimiser.clip_norm, recipe.optimiser.clip_value) == (1.0, 2.0)
    assert a_cell(algorithm="maml", backbone="mlp").recipe(0).backbone == MlpSettings()


def test_photographs_are_not_rotated() -> None:
    assert not a_cell(dataset="mini_imagenet", split="ravi", way=5).recipe(0).data.rotations


def test_only_some_data_sets_have_a_choice_of_images() -> None:
    drawings, photographs = a_cell(), a_cell(dataset="mini_imagenet", split="ravi", way=5)
    invented = a_cell(dataset="glyphs", split="glyphs")
    assert [(cell.resize, cell.normalise) for cell in (drawings, photographs, invented)] == [
        ("antialiased", None), (None, True), (None, None)
    ]  # fmt: skip
    assert [drawings.has(key) for key in ("resize", "normalise")] == [True, False]
    assert a_cell(resize="nearest").recipe(0).data.resize == "nearest"
    assert a_cell(dataset="mini_imagenet", split="ravi", way=5, normalise=False).recipe(0).data.normalise is False


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"normalise": True}, "normalise is true; dataset 'omniglot' has none, only mini_imagenet"),
        (
            {"dataset": "glyphs", "split": "glyphs", "resize": "nearest"},
            "resize is 'nearest'; dataset 'glyphs' has none, only omniglot",
        ),
        ({"resize": "bilinear"}, "resize is 'bilinear'; accepted: 'antialiased', 'nearest'"),
        ({"algorithm": "leo"}, "algorithm is 'leo'"),
        ({"order": 1}, "order is 1; algorithm 'prototypical' has none, only maml"),
        ({"algorithm": "maml", "distance": "cosine"}, "distance is 'cosine'; algorithm 'maml' has none"),
        ({"algorithm": "maml", "backbone": "mlp", "filters": 64}, "filters is 64; backbone 'mlp' has none, only conv4"),
        ({"evaluation_adaptation_steps": 3}, "prototypical does not adapt"),
        ({"algorithm": "maml", "train_way": 5}, "way is 20; maml answers the 5 ways"),
        ({"algorithm": "matching", "fce": True}, "reading_steps is not given"),
    ],
)
def test_a_setting_that_an_algorithm_does_not_have_is_refused_by_name(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(RecipeError, match=named):
        a_cell(**changes)


BOTH = """name: both
title: Both
seeds: [0]
fixed: {dataset: omniglot, split: vinyals, way: 5, shot: 1}
grid:
  algorithm: [prototypical, maml]
  order: ORDERS
"""


def test_an_axis_of_mamls_order_applies_only_to_mamls_cells(tmp_path: Path) -> None:
    path = tmp_path / "both.yaml"
    path.write_text(BOTH.replace("ORDERS", "{values: [1, 2], when: {algorithm: maml}}"))
    cells = load_sweep(path).cells
    assert [(cell.algorithm, cell.order) for cell in cells] == [("prototypical", None), ("maml", 1), ("maml", 2)]
    path.write_text(BOTH.replace("ORDERS", "[1, 2]"))
    with pytest.raises(
        SweepFileError, match=r"both\.yaml:7: grid\.order\[0\]: order is 1; algorithm 'prototypical' has none, only maml"
    ):
        load_sweep(path)


def test_defaults_and_given_values_make_the_same_cell() -> None:
    given = a_cell(
        algorithm="maml", order=2, adaptation_steps=1, inner_lr=0.4, batch_norm="batch", train_way=20, validation_shot=5
    )
    assert given == a_cell(algorithm="maml")
    assert a_cell(scale=1, distance="squared_euclidean", filters=64) == a_cell()
