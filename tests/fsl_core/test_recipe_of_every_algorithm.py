"""Recipes of every algorithm and backbone: their fingerprints, their documents, and what is refused."""

import dataclasses
import functools
import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fsl_core.algorithms.anil import AnilSettings
from fsl_core.algorithms.reptile import ReptileSettings
from fsl_core.episodes.episode import EpisodeShape
from fsl_core.errors import RecipeError, SettingError
from fsl_core.recipe.algorithm_settings import MamlSettings, MatchingSettings, PrototypicalSettings
from fsl_core.recipe.backbone_settings import BackboneSettings, Conv4Settings, MlpSettings
from fsl_core.recipe.data_settings import DataSettings
from fsl_core.recipe.fingerprint import as_plain, fingerprint
from fsl_core.recipe.recipe import (
    Evaluation,
    GradientDescentSettings,
    OptimiserSettings,
    TrainingRecipe,
    ValidationSettings,
    evaluation_from_plain,
    recipe_from_plain,
)
from tests.fsl_core.test_recipe import a_recipe

FIVE_WAYS = ValidationSettings(shape=EpisodeShape(way=5, shot=1, query=15), adaptation_steps=3)
MAML: dict[str, Any] = {
    "algorithm": MamlSettings(),
    "episode": EpisodeShape(way=5, shot=1, query=1),
    "validation": FIVE_WAYS,
    "backbone": Conv4Settings(batch_norm="batch"),
}
CONTEXT = MatchingSettings(fce=True, reading_steps=2, support_order="by_class")

positive = st.floats(1e-6, 100)
distances = st.sampled_from(["squared_euclidean", "cosine"])
clamps = st.none() | st.floats(1e-12, 0.49)
matching = st.builds(MatchingSettings, distance=distances, scale=positive, learn_scale=st.booleans(), clamp=clamps) | st.builds(
    MatchingSettings,
    distance=distances,
    fce=st.just(True),
    reading_steps=st.integers(1, 9),
    support_order=st.sampled_from(["by_class", "interleaved"]),
)
reductions = st.sampled_from(["mean", "sum_over_shot"])
maml = st.builds(
    MamlSettings,
    order=st.sampled_from([1, 2]),
    adaptation_steps=st.integers(0, 9),
    inner_lr=positive,
    inner_reduction=reductions,
    outer_reduction=reductions,
    adapt_batch_norm=st.booleans(),
)


anil = st.builds(
    AnilSettings, order=st.sampled_from([1, 2]), adaptation_steps=st.integers(0, 9), inner_lr=positive, inner_reduction=reductions
)
reptile = st.builds(
    ReptileSettings,
    adaptation_steps=st.integers(0, 9),
    inner_lr=positive,
    inner_optimiser=st.sampled_from(["adam", "sgd"]),
    inner_batch_size=st.integers(1, 99),
)


def backbones(statistics: str) -> st.SearchStrategy[BackboneSettings]:
    norm = {
        "batch_norm": st.just(statistics),
        "batch_norm_scale": st.booleans(),
        "batch_norm_epsilon": st.floats(1e-6, 1e-2),
        "initialisation": st.sampled_from(["fan_in", "finn_2017", "pytorch_2018"]),
    }
    filters, paddings = st.integers(1, 128), st.sampled_from(["symmetric", "same"])
    pooled = st.builds(Conv4Settings, filters=filters, **norm)
    strided = st.builds(Conv4Settings, filters=filters, downsampling=st.just("stride"), padding=paddings, **norm)
    return pooled | strided | st.builds(MlpSettings, **norm)


distinct = st.booleans()
data = (
    st.builds(
        DataSettings,
        dataset=st.just("omniglot"),
        split=st.sampled_from(["vinyals", "background-evaluation"]),
        distinct_characters=distinct,
        black_on_white=st.booleans(),
        resize=st.none() | st.sampled_from(["antialiased", "nearest"]),
    )
    | st.builds(
        DataSettings,
        dataset=st.just("mini_imagenet"),
        split=st.just("ravi"),
        rotations=st.just(False),
        normalise=st.none() | st.booleans(),
    )
    | st.builds(DataSettings, dataset=st.just("glyphs"), split=st.just("glyphs"), distinct_characters=distinct)
)
clips = {"clip_norm": st.none() | positive, "clip_value": st.none() | positive}
optimisers = st.builds(OptimiserSettings, first_halving=st.none() | st.integers(1, 5000), **clips) | st.builds(
    GradientDescentSettings, halve_every=st.none(), decay_steps=st.none() | st.integers(1, 5000), **clips
)
prototypical = st.builds(PrototypicalSettings, distance=distances, scale=positive)
watched = {"shape": st.just(FIVE_WAYS.shape), "adaptation_steps": st.integers(0, 20)}
validations = st.builds(ValidationSettings, selection=st.sampled_from(["loss", "accuracy"]), **watched) | st.builds(
    ValidationSettings, selection=st.just("last"), patience=st.none(), **watched
)
recipes = st.builds(
    a_recipe, algorithm=prototypical | matching, data=data, backbone=backbones("running"), optimiser=optimisers
) | st.builds(
    a_recipe,
    algorithm=maml | anil | reptile,
    data=data,
    backbone=backbones("batch"),
    optimiser=optimisers,
    episode=st.just(MAML["episode"]),
    validation=validations,
    meta_batch_size=st.integers(1, 32),
)


@given(recipes)
def test_a_recipe_survives_json(recipe: TrainingRecipe) -> None:
    read_back = recipe_from_plain(json.loads(json.dumps(as_plain(recipe))))
    assert read_back == recipe
    assert read_back.fingerprint == recipe.fingerprint


@given(st.none() | st.integers(0, 20), st.booleans())
def test_an_evaluation_survives_json(steps: int | None, inductive: bool) -> None:
    evaluation = Evaluation(shape=EpisodeShape(way=5, shot=1, query=15), adaptation_steps=steps, inductive=inductive)
    assert evaluation_from_plain(json.loads(json.dumps(as_plain(evaluation)))) == evaluation


PHOTOGRAPHS = DataSettings(dataset="mini_imagenet", split="ravi", rotations=False)
NORM = {"batch_norm_scale": False, "batch_norm_epsilon": 1e-3, "initialisation": "finn_2017"}
OWN = {"dataset": "folder", "split": "mine", "rotations": False}
FIELDS: list[tuple[str, Any, dict[str, Any], dict[str, Any]]] = [
    ("algorithm", PrototypicalSettings(), {}, {"distance": "cosine", "scale": 2.0}),
    ("algorithm", CONTEXT, {}, {
        "distance": "squared_euclidean", "scale": 10.0, "learn_scale": True, "reading_steps": 3, "support_order": "interleaved",
        "clamp": 1e-8,
        "fce": {"fce": False, "reading_steps": None, "support_order": None},
    }),
    ("algorithm", MamlSettings(), MAML, {
        "order": 1, "adaptation_steps": 2, "inner_lr": 0.1, "inner_reduction": "sum_over_shot", "outer_reduction": "sum_over_shot",
        "adapt_batch_norm": False,
    }),
    ("algorithm", AnilSettings(), MAML, {
        "order": 1, "adaptation_steps": 2, "inner_lr": 0.1, "inner_reduction": "sum_over_shot", "outer_reduction": "sum_over_shot",
    }),
    ("algorithm", ReptileSettings(), MAML, {
        "adaptation_steps": 2, "inner_lr": 0.1, "inner_optimiser": "sgd", "inner_batch_size": 3, "evaluation_inner_batch_size": 3,
    }),
    ("backbone", Conv4Settings(downsampling="stride"), {}, {"filters": 32, "downsampling": "max_pool", "padding": "same", **NORM}),
    ("backbone", MlpSettings(batch_norm="running"), {}, NORM),
    ("data", DataSettings(dataset="omniglot", split="vinyals"), {}, {
        "dataset": {"dataset": "glyphs", "split": "glyphs", "resize": None}, "split": "background-evaluation", "rotations": False,
        "distinct_characters": True, "black_on_white": True,
        "resize": "nearest", "normalise": {"dataset": "mini_imagenet", "split": "ravi", "rotations": False, "resize": None},
        "image_size": {**OWN, "resize": None, "image_size": 32}, "channels": {**OWN, "resize": None, "channels": 1},
    }),
    ("data", PHOTOGRAPHS, {}, {
        "dataset": {"dataset": "glyphs", "split": "glyphs", "normalise": None},
        "split": {"dataset": "omniglot", "split": "background-evaluation", "normalise": None},
        "rotations": {"dataset": "glyphs", "split": "glyphs", "normalise": None, "rotations": True},
        "distinct_characters": {
            "dataset": "glyphs", "split": "glyphs", "normalise": None, "rotations": True, "distinct_characters": True,
        },
        "black_on_white": {"dataset": "glyphs", "split": "glyphs", "normalise": None, "black_on_white": True},
        "resize": {"dataset": "omniglot", "split": "vinyals", "normalise": None, "resize": "nearest"}, "normalise": False,
        "image_size": {**OWN, "normalise": None, "image_size": 32}, "channels": {**OWN, "normalise": None, "channels": 1},
    }),
    ("episode", EpisodeShape(way=60, shot=1, query=5), {}, {"way": 20, "shot": 5, "query": 15}),
    ("optimiser", OptimiserSettings(), {}, {
        "outer_lr": 1e-2, "halve_every": None, "first_halving": 1900, "clip_norm": 1.0, "clip_value": 1.0,
        "decay_steps": {"halve_every": None, "decay_steps": 9},
    }),
    ("validation", FIVE_WAYS, MAML, {
        "shape": EpisodeShape(way=5, shot=5, query=15), "every": 50, "episodes": 100, "patience": None, "selection": "accuracy",
        "adaptation_steps": 0,
    }),
]  # fmt: skip
"""Where settings stand in a recipe, the settings, what else their recipe has, and another value for each of their fields."""


@pytest.mark.parametrize(("place", "settings", "beside", "changes"), FIELDS, ids=lambda value: type(value).__name__)
def test_every_field_of_all_settings_changes_the_fingerprint(
    place: str, settings: Any, beside: dict[str, Any], changes: dict[str, Any]
) -> None:
    assert set(changes) == {item.name for item in dataclasses.fields(settings)} - {"batch_norm"}  # the algorithm decides that one
    recipes = [a_recipe(**{**beside, place: settings})]
    for name, value in changes.items():
        change = value if isinstance(value, dict) else {name: value}
        recipes.append(a_recipe(**{**beside, place: dataclasses.replace(settings, **change)}))
    assert len({recipe.fingerprint for recipe in recipes}) == len(changes) + 1


@pytest.mark.parametrize("kind", [Conv4Settings, MlpSettings])
def test_normalisation_changes_the_fingerprint_of_a_backbone(kind: Any) -> None:
    assert fingerprint(kind(batch_norm="batch")) != fingerprint(kind(batch_norm="running"))


def test_the_kind_of_algorithm_and_of_backbone_changes_the_fingerprint() -> None:
    """Also where two kinds have the same fields with the same values."""
    recipes = [
        a_recipe(backbone=backbone, algorithm=algorithm)
        for backbone in (Conv4Settings(), MlpSettings(batch_norm="running"))
        for algorithm in (PrototypicalSettings(distance="cosine"), MatchingSettings())
    ]
    recipes += [a_recipe(steps=0), a_recipe(optimiser=GradientDescentSettings())]
    assert len({recipe.fingerprint for recipe in recipes}) == 6


def test_the_fingerprints_of_known_recipes_never_change() -> None:
    """See the test of the same name in test_recipe.py."""
    assert a_recipe(algorithm=CONTEXT).fingerprint == "beb14b101e794cc1"
    assert a_recipe(**MAML).fingerprint == "fe7deb02a78e250d"


def test_a_field_added_later_is_omitted_at_its_default() -> None:
    assert "black_on_white" not in as_plain(DataSettings(dataset="omniglot", split="vinyals"))
    assert as_plain(OptimiserSettings()) == {"name": "adam", "outer_lr": 1e-3, "halve_every": 2000}


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({**MAML, "backbone": Conv4Settings()}, "batch_norm is 'running'; maml normalises"),
        (
            {"backbone": Conv4Settings(batch_norm="batch")},
            "batch_norm is 'batch'; prototypical normalises by the running statistics",
        ),
        ({"algorithm": MatchingSettings(), "backbone": MlpSettings()}, "batch_norm is 'batch'; matching normalises"),
        ({**MAML, "episode": EpisodeShape(way=20, shot=1, query=1)}, "validation.shape.way is 5"),
        ({**MAML, "validation": dataclasses.replace(FIVE_WAYS, adaptation_steps=None)}, "adaptation_steps is not given"),
        ({"validation": FIVE_WAYS}, "prototypical does not adapt"),
        ({"data": {"dataset": "mini_imagenet", "split": "ravi"}}, "rotations is true"),
        ({"algorithm": {"fce": True}}, "reading_steps is not given"),
        (
            {"backbone": {"padding": "same"}},
            "padding is 'same'; without strides the two paddings are the same; give padding: symmetric",
        ),
        ({"backbone": {"padding": "valid"}}, "padding is 'valid'"),
        ({"backbone": {"batch_norm_epsilon": 0.0}}, "batch_norm_epsilon is 0.0"),
        ({"backbone": {"batch_norm_scale": 1}}, "batch_norm_scale is 1"),
        ({"backbone": {"initialisation": "he"}}, "initialisation is 'he'"),
        ({"algorithm": {"reading_steps": 2}}, "without fce"),
        ({"algorithm": {"clamp": 0.5}}, "clamp is 0.5; it must be below 0.5"),
        ({"algorithm": {"clamp": 0.0}}, "clamp is 0.0"),
    ],
)
def test_impossible_settings_are_refused_by_name(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(RecipeError, match=named):
        if isinstance(changes.get("data"), dict):
            changes = {"data": DataSettings(**changes["data"])}
        if isinstance(changes.get("algorithm"), dict):
            changes = {"algorithm": MatchingSettings(**changes["algorithm"])}
        if isinstance(changes.get("backbone"), dict):
            changes = {"backbone": Conv4Settings(**changes["backbone"])}
        a_recipe(**changes)


@pytest.mark.parametrize("value", [True, 1.0, "1", 3, None])
def test_an_order_is_the_integer_1_or_2(value: Any) -> None:
    with pytest.raises(RecipeError, match=re.escape(str(SettingError("order", value, "accepted: 1, 2")))):
        MamlSettings(order=value)


@pytest.mark.parametrize("value", [-3, True, 1.5])
def test_adaptation_steps_of_a_validation_are_counted(value: Any) -> None:
    with pytest.raises(
        RecipeError, match=re.escape(str(SettingError("adaptation_steps", value, "it must be an integer of at least 0")))
    ):
        ValidationSettings(shape=FIVE_WAYS.shape, adaptation_steps=value)


@pytest.mark.parametrize("value", ["no", 1, None])
def test_rotations_are_true_or_false(value: Any) -> None:
    with pytest.raises(RecipeError, match=re.escape(str(SettingError("rotations", value, "it must be true or false")))):
        DataSettings(dataset="omniglot", split="vinyals", rotations=value)


@pytest.mark.parametrize("name", ["distinct_characters", "black_on_white"])
@pytest.mark.parametrize("value", ["no", 1, None])
def test_distinct_characters_and_black_on_white_are_true_or_false(name: str, value: Any) -> None:
    with pytest.raises(RecipeError, match=re.escape(str(SettingError(name, value, "it must be true or false")))):
        DataSettings(dataset="omniglot", split="vinyals", **{name: value})


def test_photographs_are_not_black_on_white() -> None:
    problem = "dataset 'mini_imagenet' is not inverted, only omniglot, glyphs; give black_on_white: false"
    with pytest.raises(SettingError, match=problem) as caught:
        dataclasses.replace(PHOTOGRAPHS, black_on_white=True)
    assert caught.value.beside == ("dataset",)


@pytest.mark.parametrize(
    ("dataset", "split", "where", "beside"),
    [("omniglot", "vinyals", "without rotations", "rotations"), ("mini_imagenet", "ravi", "in mini_imagenet", "dataset")],
)
def test_distinct_characters_need_rotations(dataset: Any, split: Any, where: str, beside: str) -> None:
    problem = f"{where} there are no turns of a character to keep apart; give distinct_characters: false"
    with pytest.raises(SettingError, match=problem) as caught:
        DataSettings(dataset=dataset, split=split, rotations=False, distinct_characters=True)
    assert caught.value.beside == (beside,)


@pytest.mark.parametrize("kind", [PrototypicalSettings, MatchingSettings, functools.partial(MatchingSettings, learn_scale=True)])
@pytest.mark.parametrize(
    "value", [1e39, 3.4028235e38, 1e-46, pytest.param(10**400, id="10**400"), 0, float("inf"), float("nan"), True]
)
def test_a_scale_is_one_that_float32_holds(kind: Any, value: Any) -> None:
    with pytest.raises(RecipeError, match=re.escape(str(SettingError("scale", value, "it must be a number from 1e-38 to 1e38")))):
        kind(scale=value)


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (lambda plain: plain.update(stepz=3), "unknown stepz"),
        (lambda plain: plain["optimiser"].update(name="rmsprop"), "'rmsprop' is none of 'adam', 'sgd'"),
        (lambda plain: plain["algorithm"].update(distance="cosine"), "not settings of MamlSettings: unknown distance"),
        (lambda plain: plain["algorithm"].pop("order"), "order is missing"),
        (lambda plain: plain["algorithm"].pop("name"), "None is none of 'prototypical', 'matching', 'maml'"),
        (lambda plain: plain["validation"].pop("every"), "every is missing"),
        (lambda plain: plain["validation"].pop("adaptation_steps"), "validation.adaptation_steps is not given"),
        (lambda plain: plain["backbone"].pop("batch_norm"), "batch_norm is missing"),
        (lambda plain: plain["algorithm"].update(name="leo"), "'leo' is none of"),
        (lambda plain: plain.update(backbone=3), "None is none of"),
        (lambda plain: plain["algorithm"].update(order=3), "order is 3"),
        (lambda plain: plain["algorithm"].update(order=True), "order is true"),
        (lambda plain: plain["validation"].update(adaptation_steps=-3), "validation.adaptation_steps is -3"),
        (lambda plain: plain["data"].update(rotations="no"), "rotations is 'no'"),
    ],
)
def test_a_damaged_document_is_refused(spoil: Any, named: str) -> None:
    plain = as_plain(a_recipe(**MAML))
    spoil(plain)
    with pytest.raises(RecipeError, match=named):
        recipe_from_plain(plain)


@pytest.mark.parametrize(
    ("evaluation", "recipe", "named"),
    [
        (Evaluation(shape=FIVE_WAYS.shape, adaptation_steps=3), a_recipe(), "prototypical does not adapt"),
        (
            Evaluation(shape=FIVE_WAYS.shape, inductive=True),
            a_recipe(),
            "evaluation.inductive is true; prototypical answers no query by",
        ),
        (Evaluation(shape=FIVE_WAYS.shape), a_recipe(**MAML), "adaptation_steps is not given"),
        (Evaluation(shape=EpisodeShape(way=20, shot=1, query=1), adaptation_steps=3), a_recipe(**MAML), "way is 20"),
    ],
)
def test_an_evaluation_must_suit_the_recipe(evaluation: Evaluation, recipe: TrainingRecipe, named: str) -> None:
    with pytest.raises(RecipeError, match=named):
        evaluation.check_suits(recipe)


def test_the_loss_factor_is_that_of_the_reduction() -> None:
    """Its sum over the images divided by the shot is way * query / shot times the mean."""
    summed = {**MAML, "algorithm": MamlSettings(outer_reduction="sum_over_shot"), "episode": EpisodeShape(way=5, shot=2, query=6)}
    assert a_recipe(**summed).outer_loss_factor == 15.0
    assert a_recipe(**MAML).outer_loss_factor == a_recipe(algorithm=PrototypicalSettings()).outer_loss_factor == 1.0
