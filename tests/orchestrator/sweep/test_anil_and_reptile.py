"""The sweeps of ANIL and Reptile: what they plan, what its cells are called, and which published numbers stand beside them."""

from pathlib import Path
from typing import Any

import pytest

from fsl_core.algorithms.anil import AnilSettings
from fsl_core.algorithms.reptile import ReptileSettings
from fsl_core.errors import SettingError
from fsl_core.recipe.recipe import GradientDescentSettings, OptimiserSettings
from orchestrator.report.published import load_registries
from orchestrator.sweep.cell_settings import CellSettings
from orchestrator.sweep.loader import load_sweep
from orchestrator.sweep.plan import Cell, Plan, build_plan
from orchestrator.sweep.shipped import PRESETS

SWEEPS = PRESETS.parent
REGISTRIES = load_registries(SWEEPS / "published")


def plan_of(name: str) -> Plan:
    return build_plan(load_sweep(SWEEPS / f"{name}.yaml"))


def the_cell(plan: Plan, **wanted: Any) -> Cell:
    (cell,) = [cell for cell in plan.cells if all(getattr(cell.settings, name) == value for name, value in wanted.items())]
    return cell


def published(cell: Cell, source: str) -> list[float]:
    return [number.accuracy for number in REGISTRIES.find_all([source], cell.settings)]


def test_reptile_is_trained_by_the_commands_of_its_authors() -> None:
    cell = the_cell(plan_of("reptile"), dataset="omniglot", way=20, shot=1, inductive=False)
    recipe = cell.recipes[0]
    assert recipe.algorithm == ReptileSettings(
        adaptation_steps=10, inner_lr=5e-4, inner_batch_size=20, evaluation_inner_batch_size=10
    )
    assert recipe.optimiser == GradientDescentSettings(outer_lr=1.0, halve_every=None, decay_steps=200_000)
    assert (recipe.episode.way, recipe.episode.shot, recipe.steps, recipe.meta_batch_size) == (20, 10, 200_000, 5)
    assert recipe.validation.shape.shot == cell.evaluation.shape.shot == 1
    assert (cell.evaluation.adaptation_steps, cell.evaluation.shape.query, cell.evaluation.episodes) == (50, 1, 10_000)


@pytest.mark.parametrize(("inductive", "number"), [(True, 47.07), (False, 49.97)])
def test_a_score_of_reptile_stands_beside_that_with_the_same_statistics(inductive: bool, number: float) -> None:
    cell = the_cell(plan_of("reptile"), dataset="mini_imagenet", shot=1, inductive=inductive)
    assert published(cell, "nichol_2018") == [number]
    assert ("inductive" if inductive else "transductive") in cell.name


def test_one_training_of_reptile_is_scored_both_ways() -> None:
    plan = plan_of("reptile")
    assert (len(plan.cells), len(plan.trials)) == (12, 18)
    assert {len(trial.evaluations) for trial in plan.trials} == {2}


def test_anil_has_the_settings_of_maml_and_its_own_number() -> None:
    plan = plan_of("anil")
    ours, mamls = (the_cell(plan, algorithm=name, dataset="mini_imagenet", shot=5) for name in ("anil", "maml"))
    assert ours.recipes[0].algorithm == AnilSettings(
        adaptation_steps=5, inner_lr=0.01, inner_reduction="sum_over_shot", outer_reduction="sum_over_shot"
    )
    assert ours.recipes[0].backbone == mamls.recipes[0].backbone
    assert ours.recipes[0].episode == mamls.recipes[0].episode
    assert ours.evaluation == mamls.evaluation
    assert (published(ours, "raghu_2020"), published(mamls, "raghu_2020")) == ([61.5], [63.1])
    assert "anil" in ours.name and "5-way 5-shot" in ours.name


@pytest.mark.parametrize(("name", "source"), [("anil", "raghu_2020"), ("reptile", "nichol_2018")])
def test_a_number_of_conv4_stands_beside_no_other_network(name: str, source: str) -> None:
    for each in (each for each in plan_of(name).cells if each.settings.algorithm == name):
        assert published(each, source)
        assert {number.variant["backbone"] for number in REGISTRIES.find_all([source], each.settings)} == {"conv4"}


def test_reptiles_numbers_state_how_its_authors_descend_and_adapt() -> None:
    for each in plan_of("reptile").cells:
        (number,) = REGISTRIES.find_all(["nichol_2018"], each.settings)
        keys = ("optimiser", "decay_steps", "inner_optimiser", "inner_batch_size", "evaluation_inner_batch_size")
        assert {key: number.settings.get(key) for key in keys} == {key: getattr(each.settings, key) for key in keys}


@pytest.mark.parametrize("dataset", ["omniglot", "mini_imagenet"])
@pytest.mark.parametrize("algorithm", ["prototypical", "maml", "anil", "reptile"])
def test_the_papers_preset_leaves_resnet12_its_own_settings(algorithm: str, dataset: str, tmp_path: Path) -> None:
    fixed = f"preset: paper, algorithm: {algorithm}, dataset: {dataset}, backbone: resnet12, way: 5, shot: 1"
    path = tmp_path / "sweep.yaml"
    path.write_text(f"name: sweep\ntitle: ResNet-12\nseeds: [0]\nfixed: {{{fixed}}}\n")
    spec = load_sweep(path)
    (chosen,) = spec.cells
    assert (chosen.filters, chosen.growth, chosen.downsampling, chosen.initialisation) == (64, "wide", None, None)
    stands_in = "ResNet-12 has its own widths and first weights: no paper of the preset has this network"
    assert (stands_in in spec.choices_of(chosen)) == (algorithm != "prototypical")


def cell(**settings: Any) -> CellSettings:
    return CellSettings(dataset="glyphs", split="glyphs", way=5, shot=1, **settings)


@pytest.mark.parametrize(
    ("settings", "wrong"),
    [
        ({"algorithm": "anil", "adapt_batch_norm": False}, "adapt_batch_norm"),
        ({"algorithm": "reptile", "order": 1}, "order"),
        ({"algorithm": "maml", "inner_batch_size": 3}, "inner_batch_size"),
        ({"optimiser": "rmsprop"}, "optimiser"),
        ({"decay_steps": 9}, "decay_steps"),
    ],
)
def test_a_setting_that_does_not_apply_is_refused_by_its_key(settings: dict[str, Any], wrong: str) -> None:
    with pytest.raises(SettingError) as error:
        cell(**settings)
    assert error.value.setting == wrong


def test_a_sweep_chooses_the_optimiser() -> None:
    chosen = [cell(halve_every=None, decay_steps=9, **given).recipe(0).optimiser for given in ({}, {"optimiser": "sgd"})]
    assert chosen == [kind(halve_every=None, decay_steps=9) for kind in (OptimiserSettings, GradientDescentSettings)]
    assert type(chosen[0]) is not type(chosen[1])
