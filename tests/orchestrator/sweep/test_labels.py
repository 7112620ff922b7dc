"""Trials and cells are named by all that sets them apart from those beside them, what differs first."""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fsl_core.errors import RecipeError
from fsl_core.recipe.recipe import TrainingRecipe
from orchestrator.sweep.cell_settings import SETTING_NAMES, CellSettings
from orchestrator.sweep.labels import cell_names, full_name, trial_names
from orchestrator.sweep.loader import load_sweep
from orchestrator.sweep.plan import build_plan
from orchestrator.sweep.spelling import cell_words, trial_words


def a_cell(**changes: Any) -> CellSettings:
    return CellSettings(**{"dataset": "omniglot", "split": "vinyals", "way": 5, "shot": 1, **changes})


def recipes_of(cells: Sequence[CellSettings], seeds: Sequence[int] = (0, 1)) -> tuple[TrainingRecipe, ...]:
    every = [cell.recipe(seed) for cell in cells for seed in seeds]
    return tuple({recipe.fingerprint: recipe for recipe in every}.values())


def named(*cells: CellSettings, seeds: Sequence[int] = (0,)) -> list[str]:
    return [each.name for each in trial_names(recipes_of(cells, seeds))]


MAML = {"algorithm": "maml"}


@pytest.mark.parametrize(
    ("cells", "told"),
    [
        ([{}], ["prototypical squared Euclidean · omniglot 5w1s · s0"]),
        ([{"distance": "cosine", "scale": 2.5, "backbone": "mlp"}], ["prototypical cosine, scale 2.5, MLP · omniglot 5w1s · s0"]),
        ([{"algorithm": "matching", "scale": 10.0, "fce": True, "reading_steps": 2, "support_order": "by_class"}],
         ["matching cosine, scale 10, FCE · omniglot 5w1s · s0"]),
        ([{"algorithm": "matching", "learn_scale": True}], ["matching cosine, learned scale 1 · omniglot 5w1s · s0"]),
        ([{**MAML, "order": 1}, {**MAML, "order": 2}], ["order 1 · maml · omniglot 5w1s · s0", "order 2 · maml · omniglot 5w1s · s0"]),
        ([{"shot": 5}, {**MAML, "dataset": "mini_imagenet", "split": "ravi"}],
         ["prototypical squared Euclidean · omniglot 5w5s · s0", "maml order 2 · mini_imagenet 5w1s · s0"]),
        ([{"outer_lr": rate, "filters": 8} for rate in (1e-3, 2e-3, 1e-05)],
         [f"{rate} · prototypical squared Euclidean · omniglot 5w1s · s0" for rate in ("lr 0.001", "lr 0.002", "lr 1e-05")]),
        ([{**MAML, "order": order, "steps": steps} for order, steps in ((1, 1000), (1, 0), (2, 1000))],
         ["order 1 · 1000 steps · maml · omniglot 5w1s · s0", "order 1 · untrained · maml · omniglot 5w1s · s0",
          "order 2 · 1000 steps · maml · omniglot 5w1s · s0"]),
        ([{"algorithm": "matching", "scale": scale} for scale in (1.0, 10.0)],
         ["scale 1 · matching cosine · omniglot 5w1s · s0", "scale 10 · matching cosine · omniglot 5w1s · s0"]),
        ([{"train_way": way, "train_query": query} for way, query in ((60, 5), (20, 15))],  # the queries follow the ways
         ["60w1s · prototypical squared Euclidean · omniglot · s0", "20w1s · prototypical squared Euclidean · omniglot · s0"]),
        ([{"patience": None}, {"patience": 500}],
         ["no patience · prototypical squared Euclidean · omniglot 5w1s · s0",
          "patience 500 · prototypical squared Euclidean · omniglot 5w1s · s0"]),
    ],
)  # fmt: skip
def test_a_trial_is_named_by_its_differences(cells: list[dict[str, Any]], told: list[str]) -> None:
    assert named(*(a_cell(**changes) for changes in cells)) == told


def test_trials_of_a_kind_differ_only_in_the_seed() -> None:
    first, second, *_ = trial_names(recipes_of([a_cell(), a_cell(shot=5)]))
    assert (first.name, second.name) == (
        "5w1s · s0 · prototypical squared Euclidean · omniglot",
        "5w1s · s1 · prototypical squared Euclidean · omniglot",
    )
    assert first.kind == second.kind == "5w1s · prototypical squared Euclidean · omniglot"


@pytest.mark.parametrize(
    ("first", "second", "told"),
    [
        ({}, {"way": 20}, ("squared Euclidean",) * 2),  # the table has columns for way, shot and data set
        ({}, {"distance": "cosine"}, ("squared Euclidean", "cosine")),
        ({"train_way": 60, "train_query": 5}, {"train_way": 20, "train_query": 15},
         ("squared Euclidean, trained on 60w1s", "squared Euclidean, trained on 20w1s")),  # the queries follow the ways
        ({"train_query": 5}, {"train_query": 15}, ("squared Euclidean, train query 5", "squared Euclidean, train query 15")),
        ({"validation_way": 5}, {"validation_way": 20}, ("squared Euclidean, validation 5w1s", "squared Euclidean, validation 20w1s")),
        ({"steps": 1000}, {"steps": 0}, ("squared Euclidean, 1000 steps", "squared Euclidean, untrained")),
        ({"preset": "a", "steps": 10_000}, {"preset": "b", "steps": 4000, "patience": None},
         ("squared Euclidean, preset a", "squared Euclidean, preset b")),
        ({**MAML, "order": 1}, {**MAML, "order": 2}, ("order 1, 1 adaptation step", "order 2, 1 adaptation step")),
        ({**MAML, "evaluation_adaptation_steps": 3, "validation_adaptation_steps": 1},
         {**MAML, "evaluation_adaptation_steps": 0, "validation_adaptation_steps": 1},
         ("order 2, 3 adaptation steps", "order 2, 0 adaptation steps")),
        ({**MAML, "inner_lr": 0.1}, {**MAML, "inner_lr": 0.4},
         ("order 2, 1 adaptation step, inner lr 0.1", "order 2, 1 adaptation step, inner lr 0.4")),
        ({**MAML, "inductive": False}, {**MAML, "inductive": True},
         ("order 2, 1 adaptation step, transductive", "order 2, 1 adaptation step, inductive")),
        ({**MAML, "inductive": True}, {"query": 15}, ("order 2, 1 adaptation step, inductive", "squared Euclidean")),
        ({"query": 5}, {"query": 15}, ("squared Euclidean, query 5", "squared Euclidean, query 15")),
    ],
)  # fmt: skip
def test_labels_distinguish_cells_that_no_column_distinguishes(
    first: dict[str, Any], second: dict[str, Any], told: tuple[str, str]
) -> None:
    assert tuple(each.label for each in cell_names([a_cell(**first), a_cell(**second)])) == told
    assert tuple(each.label for each in cell_names([a_cell(**second), a_cell(**first)])) == told[::-1]


AXES: dict[str, tuple[Any, ...]] = {
    "preset": (None, "a", "b"),
    "dataset": ("omniglot", "glyphs"),
    "way": (5, 20),
    "shot": (1, 5),
    "query": (5, 15),
    "train_way": (None, 60, 20, 5),
    "train_query": (5, 15),
    "steps": (0, 1, 500, 1000),
    "outer_lr": (1e-3, 2e-3, 1e-05, 0.1234567, 0.12345671),
    "halve_every": (None, 1, 2000),
    "first_halving": (None, 1, 1900),
    "selection": ("loss", "accuracy", "last"),
    "clip_norm": (None, 1.0, 10.0),
    "meta_batch_size": (1, 4, 32),
    "filters": (1, 32, 64),
    "patience": (None, 500, 2000),
    "validation_every": (1, 100),
    "validation_way": (None, 5, 20),
    "retrain": (False, True),
    "matmul_precision": ("float32", "tf32"),
    "rotations": (False, True),
    "distinct_characters": (False, True),
    "black_on_white": (False, True),
    "resize": ("antialiased", "nearest"),
    "downsampling": ("max_pool", "stride"),
    "padding": ("symmetric", "same"),
    "batch_norm_scale": (False, True),
    "batch_norm_epsilon": (1e-5, 1e-3),
    "initialisation": ("fan_in", "finn_2017", "pytorch_2018"),
    "evaluation_seed": (0, 1),
    "evaluation_episodes": (600, 1000),
}
OF_ALGORITHM: dict[str, dict[str, tuple[Any, ...]]] = {
    "prototypical": {"distance": (None, "cosine"), "scale": (None, 0.5, 10.0)},
    "matching": {"distance": (None, "squared_euclidean"), "scale": (None, 10.0), "learn_scale": (False, True), "fce": (False, True),
                 "clamp": (None, 1e-8)},
    "maml": {"order": (1, 2), "inner_lr": (0.1, 0.4), "adaptation_steps": (1, 5), "evaluation_adaptation_steps": (None, 3, 10),
             "inductive": (False, True),
             "adapt_batch_norm": (False, True), "outer_reduction": ("mean", "sum_over_shot")},
    "anil": {"order": (1, 2), "inner_lr": (0.1, 0.4), "evaluation_adaptation_steps": (None, 3)},
    "reptile": {"inner_optimiser": ("adam", "sgd"), "inner_batch_size": (None, 3), "evaluation_inner_batch_size": (5, 6),
                "inductive": (False, True)},
}  # fmt: skip
SPLITS = {"omniglot": "vinyals", "glyphs": "glyphs"}


@st.composite
def grids(draw: st.DrawFn) -> tuple[CellSettings, ...]:
    """The possible cells of a grid over a few axes, of one to three algorithms."""
    cells: dict[CellSettings, None] = {}
    for algorithm in draw(st.sets(st.sampled_from(sorted(OF_ALGORITHM)), min_size=1)):
        offered = AXES | OF_ALGORITHM[algorithm]
        axes = draw(st.sets(st.sampled_from(sorted(offered)), max_size=4))
        values = [draw(st.lists(st.sampled_from(offered[axis]), min_size=1, max_size=3, unique=True)) for axis in sorted(axes)]
        for chosen in itertools.product(*values):
            given = {"algorithm": algorithm, **dict(zip(sorted(axes), chosen, strict=True))}
            try:
                cells[_cell(given)] = None
            except RecipeError:
                continue  # no such cell
    return tuple(cells)


def _cell(given: dict[str, Any]) -> CellSettings:
    more = {"reading_steps": 2, "support_order": "by_class"} if given.get("fce") else {}
    return a_cell(**{**more, "split": SPLITS[given.get("dataset", "omniglot")], **given})


@settings(max_examples=60, deadline=None)
@given(grids())
def test_no_two_trials_or_cells_of_a_plan_share_a_name(cells: tuple[CellSettings, ...]) -> None:
    recipes = recipes_of(cells)
    names = trial_names(recipes)
    assert len({each.name for each in names}) == len(recipes)
    assert len({each.kind for each in names}) == len(recipes) / 2  # two seeds
    assert len({each.name for each in cell_names(cells)}) == len(cells)
    columns = [(cell.algorithm, cell.dataset, cell.way, cell.shot) for cell in cells]
    assert len(set(zip(columns, (each.label for each in cell_names(cells)), strict=True))) == len(cells)
    assert len({full_name(recipe) for recipe in recipes}) == len(recipes)


@settings(max_examples=60, deadline=None)
@given(grids())
def test_all_names_of_a_plan_state_the_same_settings(cells: tuple[CellSettings, ...]) -> None:
    """A bare "order 2" beside "order 1, 1000 steps" left open whether it had as many steps."""
    for names, words in (
        ([each.name for each in trial_names(recipes_of(cells))], [trial_words(each) for each in recipes_of(cells)]),
        ([each.name for each in cell_names(cells)], [cell_words(each) for each in cells]),
    ):
        stated = {key for name, told in zip(names, words, strict=True) for key, word in told.items() if word in _said(name)}
        for name, told in zip(names, words, strict=True):
            missing = [told[key] for key in stated if key in told and told[key] not in _said(name)]
            assert not missing, f"{missing} is not said by {name!r}"


@settings(max_examples=60, deadline=None)
@given(grids())
def test_names_state_all_settings_that_vary_within_a_kind(cells: tuple[CellSettings, ...]) -> None:
    recipes = recipes_of(cells)
    words = [trial_words(recipe) for recipe in recipes]
    kind = ("algorithm", "distance", "scale", "fce", "order", "dataset", "shape")
    for name, told in zip((each.name for each in trial_names(recipes)), words, strict=True):
        alike = [other for other in words if all(other.get(key) == told.get(key) for key in kind)]
        for key in told:
            if len({other[key] for other in alike}) > 1:
                assert told[key] in _said(name)


def _said(name: str) -> set[str]:
    """The words of a name; those after an algorithm's or a data set's own name have no comma before them."""
    parts = [part for group in name.split(" · ") for part in group.split(", ")]
    heads = ("prototypical", "matching", "maml", "anil", "reptile", "omniglot", "glyphs")
    return {word for part in parts for word in (part, *(part.split(" ", 1) if part.split(" ")[0] in heads else ()))}


def test_a_full_name_does_not_depend_on_the_plan_and_keeps_its_seed() -> None:
    plain = a_cell(steps=500).recipe(3)
    assert full_name(plain) == "prototypical squared Euclidean · omniglot 5w1s · 500 steps · s3"
    changes = {"steps": 1, "outer_lr": 2e-3, "halve_every": None, "clip_norm": 0.5, "meta_batch_size": 4, "filters": 8, "patience": 7,
               "validation_every": 1, "validation_episodes": 5, "validation_query": 3, "rotations": False, "retrain": True,
               "train_query": 9, "downsampling": "stride"}  # fmt: skip
    long = a_cell(**changes).recipe(4)
    assert len(full_name(long)) < 250 and long.fingerprint in full_name(long) and full_name(long).endswith(" · s4")


@pytest.mark.parametrize("path", sorted((Path(__file__).parents[3] / "sweeps").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_trial_of_every_sweep_has_a_unique_full_name(path: Path) -> None:
    """A training of 30 ways had none where the data set has 20 test classes, and so no run in MLflow."""
    recipes = [trial.recipe for trial in build_plan(load_sweep(path)).trials]
    assert len({full_name(recipe) for recipe in recipes}) == len(recipes)


def test_every_setting_has_its_word() -> None:
    """A setting without one could set two trials apart that read the same."""
    given = {"matching": {"fce": True, "clamp": 1e-8}}
    cells = [_cell({"algorithm": algorithm, **given.get(algorithm, {})}) for algorithm in OF_ALGORITHM]
    cells.append(a_cell(dataset="mini_imagenet", split="ravi"))
    cells += [a_cell(dataset="folder", split="zoo"), a_cell(backbone="resnet12")]
    said_with_another = {"way", "shot", "train_shot", "validation_shot", "learn_scale"}
    assert {key for cell in cells for key in cell_words(cell)} == {*SETTING_NAMES, "shape"} - said_with_another
