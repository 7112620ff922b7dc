"""Units of work name what costs, and nothing else."""

import dataclasses
from typing import Any

import pytest

from fsl_core.datasets import glyphs, mini_imagenet, omniglot
from fsl_core.datasets.extent import distinct_images, image_shape
from fsl_core.episodes.episode import EpisodeShape
from fsl_core.recipe.algorithm_settings import AlgorithmSettings, MamlSettings, MatchingSettings, PrototypicalSettings
from fsl_core.recipe.backbone_settings import Conv4Settings
from fsl_core.recipe.data_settings import DataSettings, usual_data
from fsl_core.recipe.recipe import Evaluation, OptimiserSettings, TrainingRecipe, ValidationSettings
from fsl_core.recipe.setting import description_of
from fsl_core.training.unit_work import (
    earliest_end,
    evaluation_bill,
    expected_distinct,
    step_bill,
    validation_bill,
)

SHAPE = EpisodeShape(way=5, shot=1, query=15)


def recipe(**changes: Any) -> TrainingRecipe:
    algorithm = changes.get("algorithm", PrototypicalSettings())
    adaptation = 3 if isinstance(algorithm, MamlSettings) else None
    settings: dict[str, Any] = {
        "algorithm": algorithm,
        "data": DataSettings(dataset="glyphs", split="glyphs"),
        "episode": SHAPE,
        "validation": ValidationSettings(shape=SHAPE, adaptation_steps=adaptation),
        "steps": 1000,
        "seed": 0,
        "backbone": Conv4Settings(batch_norm="batch" if adaptation else "running"),
    }
    return TrainingRecipe(**{**settings, **changes})


CONTEXT = MatchingSettings(fce=True, reading_steps=2, support_order="by_class")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (recipe(), recipe(seed=5)),
        (recipe(), recipe(steps=2000)),
        (recipe(), recipe(retrain=True)),
        (recipe(), recipe(optimiser=OptimiserSettings(outer_lr=0.1, halve_every=None))),
        (recipe(), recipe(validation=ValidationSettings(shape=SHAPE, patience=None))),
        (recipe(), recipe(algorithm=PrototypicalSettings(scale=3.0))),
        (recipe(algorithm=MatchingSettings()), recipe(algorithm=MatchingSettings(learn_scale=True, scale=9.0))),
        (recipe(algorithm=CONTEXT), recipe(algorithm=dataclasses.replace(CONTEXT, support_order="interleaved"))),
        (recipe(algorithm=MamlSettings()), recipe(algorithm=MamlSettings(inner_lr=0.01, inner_reduction="sum_over_shot"))),
    ],
)
def test_settings_without_a_cost_change_no_bill(one: TrainingRecipe, other: TrainingRecipe) -> None:
    assert step_bill(one) == step_bill(other)
    assert validation_bill(one) == validation_bill(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (recipe(), recipe(episode=EpisodeShape(way=6, shot=1, query=15))),
        (recipe(), recipe(meta_batch_size=2)),
        (recipe(), recipe(backbone=Conv4Settings(filters=8))),
        (recipe(), recipe(data=DataSettings(dataset="mini_imagenet", split="ravi", rotations=False))),
        (recipe(algorithm=MatchingSettings()), recipe(algorithm=CONTEXT)),
        (recipe(algorithm=MamlSettings(order=1)), recipe(algorithm=MamlSettings(order=2))),
        (recipe(algorithm=MamlSettings()), recipe(algorithm=MamlSettings(adaptation_steps=5))),
    ],
)
def test_settings_with_a_cost_change_the_bill(one: TrainingRecipe, other: TrainingRecipe) -> None:
    assert step_bill(one) != step_bill(other)


def test_scoring_maml_costs_its_adaptation_steps_and_not_its_order() -> None:
    evaluation = Evaluation(shape=SHAPE, adaptation_steps=10)
    first, second = (evaluation_bill(recipe(algorithm=MamlSettings(order=order)), evaluation) for order in (1, 2))  # type: ignore[arg-type]
    assert first == second
    assert first != evaluation_bill(recipe(algorithm=MamlSettings()), dataclasses.replace(evaluation, adaptation_steps=5))


def test_an_inductive_answer_costs_one_more_pass_over_the_support() -> None:
    maml = recipe(algorithm=MamlSettings())
    bills = [evaluation_bill(maml, Evaluation(shape=SHAPE, adaptation_steps=3, inductive=chosen)) for chosen in (False, True)]
    assert bills[0] != bills[1]


@pytest.mark.parametrize("kind", [PrototypicalSettings, MatchingSettings, MamlSettings])
def test_settings_that_cost_nothing_do_not_change_the_work(kind: type[AlgorithmSettings]) -> None:
    alike = {item.name: description_of(item).alike for item in dataclasses.fields(kind)}
    assert "scale" in alike or "inner_lr" in alike
    one = kind()
    for name in (name for name, value in alike.items() if value is not None and getattr(one, name) is not None):
        assert dataclasses.replace(one, **{name: alike[name]}).as_costs_go() == one.as_costs_go(), name


def test_images_sampled_repeatedly_are_embedded_once() -> None:
    assert expected_distinct(1000, 10) == pytest.approx(10, rel=0.01)
    assert expected_distinct(1000, 100_000) == pytest.approx(1000)
    embedded = {work.kind: count for work, count in evaluation_bill(recipe(), Evaluation(shape=SHAPE, episodes=10_000))}["embed"]
    assert embedded == pytest.approx(distinct_images(recipe().data)["meta_test"])


@pytest.mark.parametrize(
    ("patience", "end"), [(None, 1000), (100, 200), (250, 400), (2000, 1000)], ids=["none", "exact", "rounded up", "beyond"]
)
def test_patience_ends_a_training_at_a_validation(patience: int | None, end: int) -> None:
    assert earliest_end(recipe(validation=ValidationSettings(shape=SHAPE, every=100, patience=patience))) == end


@pytest.mark.parametrize(
    ("patience", "steps", "end"),
    [(100, 1000, 200 + 100 + 100), (250, 1000, 400 + 100 + 250), (2000, 1000, 1000 + 100 + 2000), (100, 0, 0), (None, 1000, 2 * 1000)],
)  # fmt: skip
def test_the_second_training_takes_the_best_step_and_the_patience(patience: int | None, steps: int, end: int) -> None:
    validation = ValidationSettings(shape=SHAPE, every=100, patience=patience)
    assert earliest_end(recipe(validation=validation, steps=steps, retrain=True)) == end


def test_the_shapes_of_images_are_those_of_every_data_set() -> None:
    sizes = {"omniglot": (1, omniglot.SIZE), "glyphs": (1, glyphs.SIZE), "mini_imagenet": (3, mini_imagenet.SIZE)}
    assert {name: image_shape(usual_data(name)) for name in sizes} == {name: (c, size, size) for name, (c, size) in sizes.items()}


def test_a_rotated_image_counts_as_another_image() -> None:
    plain = DataSettings(dataset="omniglot", split="vinyals", rotations=False)
    turned = DataSettings(dataset="omniglot", split="vinyals", rotations=True)
    assert distinct_images(plain) == {"meta_train": 20 * 1028, "meta_validation": 20 * 172, "meta_test": 20 * 423}
    assert distinct_images(turned) == {part: 4 * count for part, count in distinct_images(plain).items()}
