"""A preset that leaves a setting open for a cell says so, and a cell that bears its name gives that setting itself."""

import json
from pathlib import Path
from typing import Any

import pytest

from orchestrator.errors import SweepFileError
from orchestrator.sweep.loader import load_sweep
from orchestrator.sweep.plan import build_plan
from orchestrator.sweep.shipped import PRESETS
from orchestrator.sweep.spec import SweepSpec, with_dataset

SWEEPS = PRESETS.parent
PINNED = {
    "anil": "ad55f89c97a7c4f9",
    "article_2018": "907127d1d17320ea",
    "inner_steps": "97da179d677a4a6a",
    "maml_omniglot": "c45911a81a9a898c",
    "maml_omniglot_paper": "ff918c9d8ba00faf",
    "matching_2018": "464ed06f32ce5a7a",
    "matching_omniglot": "3e17c88a26a9314f",
    "mini_imagenet": "8385083002519d0e",
    "mini_imagenet_short": "9178a23b1b3e63ae",
    "omniglot": "1f4fd6c8ce0fe7cb",
    "omniglot_prototypical": "16d4ebed4d8e5481",
    "paper": "6dbecc9f4401a5be",
    "quick": "57291d99acf7871a",
    "reptile": "83a55409bd0d1866",
    "snell_ablation": "51a7ffbc91897ccb",
}
"""The plans of the shipped sweeps by their fingerprints: if one changes, results of earlier runs are no longer found."""


def load(folder: Path, fixed: dict[str, Any], below: str = "", preset: str | None = None, **overrides: Any) -> SweepSpec:
    if preset is not None:
        (folder / "presets").mkdir(exist_ok=True)
        (folder / "presets" / "mine.yaml").write_text(preset)
    lines = "".join(f"  {key}: {json.dumps(value)}\n" for key, value in fixed.items())
    (folder / "sweep.yaml").write_text(f"name: s\ntitle: S\nseeds: [0]\nfixed:\n{lines}{below}")
    return load_sweep(folder / "sweep.yaml", **overrides)


def refusal(folder: Path, *given: Any, **options: Any) -> str:
    with pytest.raises(SweepFileError) as caught:
        load(folder, *given, **options)
    return str(caught.value).replace(f"{folder}/", "")


@pytest.mark.parametrize("name", sorted(path.stem for path in SWEEPS.glob("*.yaml")))
def test_no_shipped_sweep_has_a_silent_preset_or_a_changed_plan(name: str) -> None:
    assert build_plan(load_sweep(SWEEPS / f"{name}.yaml")).fingerprint == PINNED[name]


MAML = {"preset": "paper", "algorithm": "maml", "dataset": "omniglot"}
MATCHING_FCE = {
    "preset": "article_2018",
    "algorithm": "matching",
    "distance": "cosine",
    "fce": True,
    "dataset": "mini_imagenet",
    "way": 5,
}
OPEN = "adaptation_steps, evaluation_adaptation_steps, validation_adaptation_steps, inner_lr, meta_batch_size"
GIVEN = {
    "adaptation_steps": 3,
    "evaluation_adaptation_steps": 3,
    "validation_adaptation_steps": 3,
    "inner_lr": 0.2,
    "meta_batch_size": 8,
}


@pytest.mark.parametrize(
    ("fixed", "below", "options", "expected"),
    [
        ({**MAML, "way": 10, "shot": 1}, "", {},
         f"sweep.yaml:8: fixed.way: the preset 'paper' is silent on {OPEN} (it has rules for way 5, 20); give them in "),
        ({**MAML, "shot": 1}, "grid:\n  way:\n    - 5\n    - 10\n", {}, "sweep.yaml:12: grid.way[1]: the preset 'paper' is silent on "),
        ({**MAML, "shot": 1}, "include:\n  - {way: 10}\n", {}, f"sweep.yaml:10: include[0].way: the preset 'paper' is silent on {OPEN}"),
        ({**MAML, "way": 5, "shot": 1}, "", {"set_values": ["way=10"]}, f"--set way=10: the preset 'paper' is silent on {OPEN}"),
        ({**MAML, "way": 10, "shot": 1, "inner_lr": 0.1, "meta_batch_size": 4}, "", {},
         "is silent on adaptation_steps, evaluation_adaptation_steps, validation_adaptation_steps (it"),
        ({**MAML, "way": 5, "shot": 2}, "", {},
         "fixed.shot: the preset 'paper' is silent on query, validation_query, train_query (it has rules for shot 1, 5)"),
        ({**MATCHING_FCE, "shot": 3}, "", {}, "the preset 'article_2018' is silent on train_shot (it has rules for "),
        ({**MAML, "preset": "article_2018", "way": 5, "shot": 3}, "", {},
         "the preset 'article_2018' is silent on meta_batch_size, steps (it has rules for "),
        ({**MAML, "preset": "article_2018", "algorithm": "prototypical", "way": 20, "shot": 3}, "", {},
         "the preset 'article_2018' is silent on train_shot (it has rules for "),
        ({"preset": "paper", "algorithm": "prototypical", "dataset": "mini_imagenet", "way": 5, "shot": 3}, "", {},
         "sweep.yaml:9: fixed.shot: the preset 'paper' is silent on train_way (it has rules for shot 1, 5)"),
        ({**MAML, "preset": "reference", "way": 10, "shot": 5}, "", {}, "the preset 'reference' is silent on adaptation_steps, "),
        ({**MAML, "preset": "article_2018", "way": 10, "shot": 5}, "", {}, "the preset 'article_2018' is silent on adaptation_steps, "),
    ],
)  # fmt: skip
def test_a_silent_preset_is_reported_at_the_setting_without_a_rule(
    tmp_path: Path, fixed: dict[str, Any], below: str, options: dict[str, Any], expected: str
) -> None:
    assert expected in refusal(tmp_path, fixed, below, **options)


@pytest.mark.parametrize(
    ("fixed", "below", "options"),
    [
        ({**MAML, **GIVEN, "way": 10, "shot": 1}, "", {}),
        ({**MAML, "shot": 1}, f"include:\n  - {json.dumps({'way': 10, **GIVEN})}\n", {}),
        ({**MAML, "shot": 1}, "grid:\n  way: [10]\n" + "".join(f"  {key}: [{value}]\n" for key, value in GIVEN.items()), {}),
        ({**MAML, "way": 10, "shot": 1}, "", {"set_values": [f"{key}={value}" for key, value in GIVEN.items()]}),
    ],
)
def test_a_cell_may_give_settings_on_which_its_preset_is_silent(
    tmp_path: Path, fixed: dict[str, Any], below: str, options: dict[str, Any]
) -> None:
    (cell,) = load(tmp_path, fixed, below, **options).cells
    assert {key: getattr(cell, key) for key in GIVEN} == GIVEN
    assert (cell.preset, cell.steps, cell.filters) == ("paper", 60_000, 64)


def test_no_preset_is_silent_on_settings_that_the_cell_cannot_have(tmp_path: Path) -> None:
    """The reading steps of full context embeddings are nothing to a cell without them; those of MAML nothing to the others."""
    spec = load(
        tmp_path,
        {"preset": "paper", "dataset": "omniglot", "way": 10, "shot": 1},
        "grid:\n  algorithm: [prototypical, matching]\n",
    )
    assert [(cell.algorithm, cell.reading_steps, cell.steps) for cell in spec.cells] == [
        ("prototypical", None, 10_000), ("matching", None, 10_000),
    ]  # fmt: skip


def test_rules_match_defaults(tmp_path: Path) -> None:
    """Who leaves the algorithm or MAML's order to the default has the rules of that one."""
    unsaid, said = {"preset": "paper", "dataset": "omniglot", "way": 5, "shot": 1}, {"algorithm": "prototypical"}
    assert load(tmp_path, unsaid).cells == load(tmp_path, {**unsaid, **said}).cells
    unsaid, said = {**MAML, "preset": "article_2018", "way": 20, "shot": 1}, {"order": 2}
    assert load(tmp_path, unsaid).cells == load(tmp_path, {**unsaid, **said}).cells
    assert load(tmp_path, unsaid).cells[0].steps == 10_000


PRESET = """id: mine
title: Mine
description: d
published: [snell_2017]
rules:
  - when: {algorithm: prototypical}
    give: {outer_lr: 0.002}
  - when: {algorithm: prototypical, dataset: omniglot}
    give: {split: vinyals, steps: 700}
  - when: {algorithm: maml, dataset: omniglot}
    give: {split: vinyals, inner_lr: 0.1}
"""


def test_only_the_algorithm_is_reported_where_it_has_no_rule(tmp_path: Path) -> None:
    message = refusal(
        tmp_path, {**MAML, "preset": "reference", "algorithm": "matching", "dataset": "glyphs", "way": 10, "shot": 1}
    )
    assert message.startswith("sweep.yaml:6: fixed.algorithm: the preset 'reference' is silent on distance, train_way, ")
    assert "(it has rules for algorithm prototypical, maml);" in message


def test_a_preset_is_silent_on_all_settings_of_a_data_set_without_a_rule(tmp_path: Path) -> None:
    cell = {"preset": "mine", "algorithm": "prototypical", "dataset": "mini_imagenet", "split": "ravi", "way": 5, "shot": 1}
    message = refusal(tmp_path, cell, preset=PRESET)
    assert message.startswith(
        "sweep.yaml:7: fixed.dataset: the preset 'mine' is silent on steps (it has rules for dataset omniglot)"
    )
    (made,) = load(tmp_path, {**cell, "steps": 900}, preset=PRESET).cells
    assert (made.steps, made.outer_lr) == (900, 0.002)


@pytest.mark.parametrize("preset", ["paper", "reference", "article_2018"])
@pytest.mark.parametrize("algorithm", ["prototypical", "maml"])
@pytest.mark.parametrize("shot", [1, 5])
def test_glyphs_replace_omniglot_under_every_preset(tmp_path: Path, preset: str, algorithm: str, shot: int) -> None:
    cell = {"preset": preset, "algorithm": algorithm, "dataset": "omniglot", "way": 20, "shot": shot}
    omniglot, glyphs = (load(tmp_path, {**cell, "dataset": name}) for name in ("omniglot", "glyphs"))
    assert glyphs.cells == with_dataset(omniglot, "glyphs").cells


def test_the_quick_look_on_glyphs_is_its_fallback() -> None:
    asked, spec = load_sweep(SWEEPS / "quick.yaml", set_values=["dataset=glyphs"]), load_sweep(SWEEPS / "quick.yaml")
    assert asked.cells == with_dataset(spec, "glyphs").cells
    assert build_plan(asked).fingerprint == build_plan(with_dataset(spec, "glyphs")).fingerprint == "b05cc0e3d0353f04"
