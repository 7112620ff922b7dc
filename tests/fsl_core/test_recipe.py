"""Recipes, evaluations and the fingerprints that name them."""

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fsl_core.episodes.episode import EpisodeShape
from fsl_core.errors import RecipeError
from fsl_core.recipe.algorithm_settings import PrototypicalSettings
from fsl_core.recipe.backbone_settings import Conv4Settings
from fsl_core.recipe.data_settings import DataSettings
from fsl_core.recipe.fingerprint import as_plain, canonical_json
from fsl_core.recipe.recipe import (
    Evaluation,
    OptimiserSettings,
    TrainingRecipe,
    ValidationSettings,
    evaluation_from_plain,
    recipe_from_plain,
)
from fsl_core.written import quoted


def a_recipe(**changes: object) -> TrainingRecipe:
    settings: dict[str, object] = {
        "algorithm": PrototypicalSettings(),
        "data": DataSettings(dataset="omniglot", split="vinyals"),
        "episode": EpisodeShape(way=60, shot=1, query=5),
        "validation": ValidationSettings(shape=EpisodeShape(way=5, shot=1, query=15)),
        "steps": 10_000,
        "seed": 0,
    }
    return TrainingRecipe(**{**settings, **changes})  # type: ignore[arg-type]


shapes = st.builds(EpisodeShape, way=st.integers(2, 80), shot=st.integers(1, 10), query=st.integers(1, 20))
recipes = st.builds(
    TrainingRecipe,
    algorithm=st.builds(
        PrototypicalSettings, distance=st.sampled_from(["squared_euclidean", "cosine"]), scale=st.floats(0.01, 100)
    ),
    data=st.builds(DataSettings, dataset=st.just("omniglot"), split=st.sampled_from(["vinyals", "background-evaluation"])),
    episode=shapes,
    validation=st.builds(
        ValidationSettings,
        shape=shapes,
        every=st.integers(1, 100),
        patience=st.none() | st.integers(100, 5000),
        selection=st.sampled_from(["loss", "accuracy"]),
    ),
    steps=st.integers(100, 100_000),
    seed=st.integers(0, 2**31),
    optimiser=st.builds(OptimiserSettings, outer_lr=st.floats(1e-6, 1), halve_every=st.none() | st.integers(1, 5000)),
    backbone=st.builds(Conv4Settings, filters=st.integers(1, 128)),
    retrain=st.booleans(),
)


@given(recipes)
def test_a_recipe_survives_json(recipe: TrainingRecipe) -> None:
    read_back = recipe_from_plain(json.loads(json.dumps(as_plain(recipe))))
    assert read_back == recipe
    assert read_back.fingerprint == recipe.fingerprint


@given(shapes, st.integers(2, 5000), st.integers(0, 2**31))
def test_an_evaluation_survives_json(shape: EpisodeShape, episodes: int, seed: int) -> None:
    evaluation = Evaluation(shape=shape, episodes=episodes, seed=seed)
    assert evaluation_from_plain(json.loads(json.dumps(as_plain(evaluation)))) == evaluation


def test_every_field_changes_the_fingerprint() -> None:
    base = a_recipe()
    changed = [
        a_recipe(algorithm=PrototypicalSettings(distance="cosine")),
        a_recipe(algorithm=PrototypicalSettings(scale=2.0)),
        a_recipe(data=DataSettings(dataset="omniglot", split="background-evaluation")),
        a_recipe(data=DataSettings(dataset="omniglot", split="vinyals", rotations=False)),
        a_recipe(episode=EpisodeShape(way=60, shot=5, query=5)),
        a_recipe(validation=dataclasses.replace(base.validation, patience=None)),
        a_recipe(validation=dataclasses.replace(base.validation, shape=EpisodeShape(way=5, shot=5, query=15))),
        a_recipe(steps=9_999),
        a_recipe(seed=1),
        a_recipe(meta_batch_size=2),
        a_recipe(backbone=Conv4Settings(filters=32)),
        a_recipe(optimiser=OptimiserSettings(outer_lr=2e-3)),
        a_recipe(optimiser=OptimiserSettings(halve_every=None)),
        a_recipe(retrain=True),
        a_recipe(matmul_precision="tf32"),
    ]
    assert len({recipe.fingerprint for recipe in [base, *changed]}) == len(changed) + 1


def test_an_integer_written_as_a_float_is_the_same_work() -> None:
    assert a_recipe(algorithm=PrototypicalSettings(scale=1)).fingerprint == a_recipe().fingerprint


def test_the_fingerprint_of_a_known_recipe_never_changes() -> None:
    """If this fails, old results are no longer found: give SCHEMA_VERSION a new number instead of changing what it means."""
    assert a_recipe().fingerprint == "311ef2bab1d33009"
    assert Evaluation(shape=EpisodeShape(way=5, shot=1, query=15)).fingerprint == "9b0e9dc9c7faefef"


def test_canonical_json_has_sorted_keys_and_omits_none() -> None:
    text = canonical_json(a_recipe(optimiser=OptimiserSettings(halve_every=None)))
    assert "halve_every" not in text
    assert text == json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"))


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"steps": -1}, "steps is -1"),
        ({"steps": True}, "steps is true"),
        ({"seed": -1}, "seed is -1"),
        ({"steps": 50}, "never happens"),
        ({"meta_batch_size": 0}, "meta_batch_size"),
        ({"retrain": "no"}, "retrain is 'no'; it must be true or false"),
    ],
)
def test_an_impossible_recipe_is_refused_naming_the_setting(changes: dict[str, object], named: str) -> None:
    with pytest.raises(RecipeError, match=named):
        a_recipe(**changes)


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(RecipeError, match="way is 1"):
        EpisodeShape(way=1, shot=1, query=1)
    with pytest.raises(RecipeError, match="distance is 'euclid'"):
        PrototypicalSettings(distance="euclid")  # type: ignore[arg-type]
    with pytest.raises(RecipeError, match="split is 'ravi'; accepted: 'vinyals'"):
        DataSettings(dataset="omniglot", split="ravi")  # type: ignore[arg-type]
    for value in (float("nan"), float("inf"), 10**400, 0, -1.0, True, "1"):
        with pytest.raises(RecipeError, match=f"outer_lr is {quoted(value)}; it must be a number from 1e-38 to 1e38"):
            OptimiserSettings(outer_lr=value)  # type: ignore[arg-type]
    with pytest.raises(RecipeError, match="first_halving is 1900; the rate is constant"):
        OptimiserSettings(halve_every=None, first_halving=1900)
    with pytest.raises(RecipeError, match="first_halving is 0"):
        OptimiserSettings(first_halving=0)


def test_the_last_weights_are_those_of_the_whole_budget() -> None:
    shape = EpisodeShape(way=5, shot=1, query=15)
    with pytest.raises(RecipeError, match="selection is 'best'; accepted: 'loss', 'accuracy', 'last'"):
        ValidationSettings(shape=shape, selection="best")  # type: ignore[arg-type]
    with pytest.raises(RecipeError, match=r"patience is 2000; .*; give patience: null"):
        ValidationSettings(shape=shape, selection="last")
    last = ValidationSettings(shape=shape, selection="last", patience=None)
    assert a_recipe(validation=last).fingerprint != a_recipe(validation=dataclasses.replace(last, selection="loss")).fingerprint
    with pytest.raises(RecipeError, match=r"retrain is true; .*; give retrain: false"):
        a_recipe(validation=last, retrain=True)


def test_a_document_that_is_not_a_recipe_is_refused() -> None:
    with pytest.raises(RecipeError, match="algorithm is missing"):
        recipe_from_plain({"steps": 3})
