"""Presets, and the sweeps of the whole table that stand on them."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from fsl_core.algorithms.catalogue import ALGORITHMS
from orchestrator.errors import SweepFileError
from orchestrator.launch.setting_origins import settings_of
from orchestrator.report.protocol import differences
from orchestrator.report.published import load_registries
from orchestrator.report.table import render
from orchestrator.report.table_rows import CellRow, table_rows
from orchestrator.sweep.cell_settings import CellSettings
from orchestrator.sweep.loader import load_sweep
from orchestrator.sweep.plan import Plan, build_plan
from orchestrator.sweep.preset_file import load_presets
from orchestrator.sweep.presets import Preset, Rule
from orchestrator.sweep.shipped import PRESETS
from orchestrator.sweep.spec import SweepSpec, with_dataset

SWEEPS = PRESETS.parent
NAMES = sorted(path.stem for path in SWEEPS.glob("*.yaml"))
REGISTRIES = load_registries(SWEEPS / "published")


def plan_of(name: str, **overrides: Any) -> Plan:
    return build_plan(load_sweep(SWEEPS / f"{name}.yaml", **overrides))


def rows_of(name: str, **overrides: Any) -> tuple[CellRow, ...]:
    return table_rows(plan_of(name, **overrides), {}, REGISTRIES)


def trials(plan: Plan) -> set[str]:
    return {trial.fingerprint for trial in plan.trials}


def find(plan: Plan, **wanted: Any) -> CellSettings:
    (cell,) = [
        cell.settings for cell in plan.cells if all(getattr(cell.settings, name) == value for name, value in wanted.items())
    ]
    return cell


def rule(when: Mapping[str, Any], **give: Any) -> Rule:
    return Rule(when=when, give=give)


def test_a_later_rule_overrides_an_earlier_one_and_matches_its_settings() -> None:
    preset = Preset(
        id="p",
        title="",
        description="",
        published=("snell_2017",),
        rules=(
            rule({"dataset": "omniglot"}, steps=100, filters=32),
            rule({"filters": [16, 32], "way": 5}, steps=200),
            rule({"steps": 100}, outer_lr=1.0),
        ),
    )
    assert preset.given_to({"dataset": "omniglot", "way": 5}) == {"steps": 200, "filters": 32}
    assert preset.given_to({"dataset": "omniglot", "way": 20}) == {"steps": 100, "filters": 32, "outer_lr": 1.0}
    assert preset.given_to({"dataset": "omniglot", "way": 5, "filters": 64, "steps": 7}) == {"steps": 100, "filters": 32}
    assert preset.given_to({"dataset": "glyphs"}) is None


def sweep(folder: Path, fixed: str, preset: str | None = None) -> SweepSpec:
    if preset is not None:
        (folder / "presets").mkdir()
        (folder / "presets" / "mine.yaml").write_text(preset)
    (folder / "sweep.yaml").write_text(f"name: s\ntitle: S\nseeds: [0]\nfixed: {{way: 5, shot: 1, {fixed}}}\n")
    return load_sweep(folder / "sweep.yaml")


MINE = """id: mine
title: Mine
description: d
published: [snell_2017]
rules:
  - when: {dataset: omniglot}
    give: {split: vinyals, steps: 123, train_way: 7}
"""


OURS = (
    MINE
    + """    ours: {steps: "123 steps, for the text is silent", train_way: 7 ways}
  - when: {dataset: omniglot, shot: 5}
    give: {train_way: 8}
"""
)


def test_a_preset_states_its_choices_where_its_source_is_silent(tmp_path: Path) -> None:
    spec = sweep(tmp_path, "preset: mine, dataset: omniglot", OURS)
    assert spec.choices_of(spec.cells[0]) == ("123 steps, for the text is silent", "7 ways")
    assert spec.choices_of(dataclasses.replace(spec.cells[0], steps=456)) == ("7 ways",)  # no choice of the preset any more
    assert spec.choices_of(dataclasses.replace(spec.cells[0], shot=5, train_way=8)) == ("123 steps, for the text is silent",)
    (row,) = table_rows(build_plan(spec), {}, REGISTRIES)
    assert row.choices == ("123 steps, for the text is silent", "7 ways")
    for form in ("text", "md", "latex", "csv", "json"):
        assert "123 steps, for the text is silent" in " ".join(render([row], form, spec=spec).split()), form


def test_the_sweeps_settings_override_the_preset_and_the_plan_shows_it(tmp_path: Path) -> None:
    spec = sweep(tmp_path, "preset: mine, dataset: omniglot, steps: 456", MINE)
    (cell,) = spec.cells
    assert (cell.steps, cell.train_way, cell.split) == (456, 7, "vinyals")
    assert spec.compared_with(cell) == ("snell_2017",)
    told = settings_of(spec, cell)
    assert told["preset"] == {"split": "vinyals", "train_way": 7}
    assert told["instead"] == {"steps": [456, 123]}
    assert told["sweep"] == {} and told["default"]["query"] == 15


def test_a_setting_that_the_sweep_gives_is_distinguished_from_a_default(tmp_path: Path) -> None:
    spec = sweep(tmp_path, "preset: mine, dataset: omniglot, query: 15", MINE)
    parts = settings_of(spec, spec.cells[0])
    assert parts["sweep"] == {"query": 15} and parts["default"]["train_query"] == 5


@pytest.mark.parametrize(
    ("fixed", "preset", "message"),
    [
        ("preset: papper, dataset: omniglot", None, "sweep.yaml:4: fixed.preset: unknown preset 'papper'; did you mean 'paper'?"),
        ("preset: mine, dataset: glyphs", MINE, "sweep.yaml:4: fixed.preset: the preset 'mine' has no rule for such a cell"),
        ("preset: mine, dataset: omniglot", MINE.replace("steps", "stepz"), "mine.yaml:7: rules[0].give.stepz: unknown setting"),
        (
            "preset: mine, dataset: omniglot",
            MINE.replace("steps: 123", "preset: paper"),
            "mine.yaml:7: rules[0].give.preset: a preset gives",
        ),
        (
            "preset: mine, dataset: omniglot",
            OURS.replace("{steps:", "{filters: 64 of them, steps:"),
            "mine.yaml:8: rules[0].ours.filters: the rule does not give 'filters'",
        ),
        ("preset: mine, dataset: omniglot", MINE.replace("123", "many"), "mine.yaml:7: rules[0].give.steps: 'many' is not"),
        ("preset: mine, dataset: omniglot", MINE.replace("id: mine", "id: yours"), "mine.yaml:1: id: 'yours' must be"),
        ("preset: mine, dataset: omniglot", MINE.replace("{dataset: omniglot}", "{data: 1}"), "mine.yaml:6: rules[0].when.data"),
    ],
)
def test_a_fault_is_reported_with_its_place(tmp_path: Path, fixed: str, preset: str | None, message: str) -> None:
    with pytest.raises(SweepFileError) as caught:
        sweep(tmp_path, fixed, preset)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", NAMES)
def test_every_shipped_sweep_loads_with_distinct_cell_names(name: str) -> None:
    plan = plan_of(name)
    assert plan.spec.name == name
    names = [cell.name for cell in plan.cells]
    assert len(set(names)) == len(names)
    assert {name for trial in plan.trials for name in trial.cells} == set(names)


def test_every_preset_names_its_sources() -> None:
    """The sources of its own settings first; what others measured of the same method after them."""
    follows = {
        "paper": ("snell_2017", "vinyals_2016", "finn_2017"),
        "reference": ("snell_2017", "finn_2017"),
        "article_2018": ("knagg_2018",),
    }
    published = {preset.id: preset.published for preset in load_presets(SWEEPS)}
    assert {name: sources[: len(follows[name])] for name, sources in published.items()} == follows
    assert set(REGISTRIES.cells) == {source for sources in published.values() for source in sources}


def test_the_papers_table_has_every_algorithm_on_both_data_sets() -> None:
    plan = plan_of("paper")
    assert len(plan.cells) == 42
    halves = [plan_of(name) for name in ("omniglot", "mini_imagenet")]
    assert trials(plan) == trials(halves[0]) | trials(halves[1])
    assert not trials(halves[0]) & trials(halves[1])
    assert trials(plan_of("omniglot_prototypical")) < trials(halves[0])


def unlike(sweep: str, algorithm: str, dataset: str, **overrides: Any) -> set[str]:
    """What differs from the published runs in any row of an algorithm on a data set, without its value."""
    rows = [row for row in rows_of(sweep, **overrides) if (row.algorithm, row.dataset) == (algorithm, dataset)]
    assert rows
    return {text if text.startswith("published: ") else text.split()[0] for row in rows for text in row.differs}


ORDER_OF_A_DIRECTORY = "published: its characters were drawn in the order of a directory"


NETWORK = {"initialisation", "batch_norm_scale", "batch_norm_epsilon"}
"""What MAML's authors' code has of its own where the text is silent, and the preset of the papers has not."""


def test_the_papers_preset_differs_from_the_papers_only_as_documented() -> None:
    """No second training on meta-validation classes, a scale where the sweep gives one, and what is of the codes' networks and pixels."""
    assert unlike("paper", "prototypical", "omniglot") == {"trained", "resize", "initialisation"}
    assert unlike("paper", "prototypical", "mini_imagenet") == set()
    assert unlike("paper", "matching", "omniglot", only=["distance=cosine"]) == {"scale"}
    assert unlike("paper", "matching", "mini_imagenet") == {"scale", "clip_norm"}
    scored = {"evaluation_episodes"}
    assert unlike("paper", "maml", "omniglot") == {*NETWORK, *scored, "padding", "resize", ORDER_OF_A_DIRECTORY}
    assert unlike("paper", "maml", "mini_imagenet") == {*NETWORK, *scored, "normalise", "clip_value"}


def test_the_preset_of_the_authors_code_keeps_their_protocol() -> None:
    """The code's own meta-batch of 4 on 5 shots is not the text's, and its classes cannot be had again."""
    asked = {"set_values": ["preset=reference"], "only": ["algorithm=maml"]}
    assert unlike("paper", "maml", "omniglot", **asked) == {ORDER_OF_A_DIRECTORY}
    assert unlike("paper", "maml", "mini_imagenet", **asked) == {"meta_batch_size"}


WATCHED = "published: the training watched the test classes"
PLATEAUS = "published: learning rate lowered on plateaus of the test accuracy"


def test_the_2018_reproduction_has_all_its_runs_and_numbers() -> None:
    rows = rows_of("article_2018")
    assert len(rows) == 34
    own = [row for row in rows if row.published and row.published[0].registry == "knagg_2018"]
    assert len(own) == 30
    scored = {"query", "evaluation_episodes", WATCHED}
    assert unlike("article_2018", "prototypical", "omniglot") == {*scored, "train_classes"}
    assert unlike("article_2018", "prototypical", "mini_imagenet") == {*scored, "split"}
    assert unlike("article_2018", "matching", "omniglot") == {*scored, "train_classes", PLATEAUS}
    assert unlike("article_2018", "maml", "omniglot") == {*scored, "train_classes", PLATEAUS} - {"query"}
    assert unlike("article_2018", "maml", "mini_imagenet") == {*scored, PLATEAUS, "split"} - {"query"}
    in_context = [row for row in own if row.variant.endswith(", FCE")]
    assert len(in_context) == 2
    assert all(any("read-out" in text for text in row.differs) for row in in_context)


def test_every_published_number_states_the_length_of_a_full_training() -> None:
    for cells in REGISTRIES.cells.values():
        for cell in cells:
            if cell.algorithm in ALGORITHMS:
                assert {"steps", "full_steps"} & set(cell.settings), (cell.source, cell.dataset)


def test_the_ablation_is_compared_with_rows_of_its_own_training_shape() -> None:
    plan = plan_of("snell_ablation")
    assert len(plan.cells) == 64
    for cell in plan.cells:
        published = REGISTRIES.find(plan.spec.compared_with(cell.settings), cell.settings)
        assert published is not None, cell.name
        assert published.table in {"Table 4", "Table 5", "Table 6"}
        assert not [each for each in differences(cell.settings, published) if each.text.startswith("train_")], cell.name


def test_the_adaptation_steps_share_their_trainings() -> None:
    plan = plan_of("inner_steps")
    assert len(plan.cells) == 2 * 2 * 2 * 6
    assert len(plan.trials) == 2 * 2 * 2 * len(plan.spec.seeds)
    assert trials(plan) < trials(plan_of("paper"))


def test_every_algorithm_and_order_is_in_the_quick_look_and_on_glyphs_too() -> None:
    spec = load_sweep(SWEEPS / "quick.yaml")
    assert {(cell.algorithm, cell.order) for cell in spec.cells} == {
        ("prototypical", None), ("matching", None), ("maml", 1), ("maml", 2),
    }  # fmt: skip
    fallback = with_dataset(spec, "glyphs")
    assert [dataclasses.replace(cell, dataset="omniglot", split="vinyals") for cell in fallback.cells] == list(spec.cells)
    assert not trials(build_plan(fallback)) & trials(build_plan(spec))


def test_the_short_sweeps_reuse_trials_of_the_long_ones() -> None:
    matching = plan_of("matching_omniglot")
    fixed_scale = {trial.fingerprint for trial in matching.trials if not getattr(trial.recipe.algorithm, "learn_scale", True)}
    assert fixed_scale and fixed_scale < trials(matching) and fixed_scale <= trials(plan_of("paper"))
    as_in_2018 = plan_of("matching_2018")
    assert (len(as_in_2018.cells), len(as_in_2018.trials)) == (8, 6) and trials(as_in_2018) <= trials(plan_of("article_2018"))
    black_on_white = plan_of("maml_omniglot", only=["black_on_white=true"])
    trained = {trial.fingerprint for trial in black_on_white.trials if trial.recipe.steps}
    assert len(trained) == 6 and trained <= trials(plan_of("article_2018"))
    as_in_the_paper = trials(plan_of("maml_omniglot_paper"))
    assert len(as_in_the_paper) == 6 and as_in_the_paper <= trials(plan_of("omniglot")) & trials(plan_of("paper"))


@pytest.mark.parametrize("name", ["maml_omniglot", "mini_imagenet_short"])
def test_each_form_has_an_untrained_network(name: str) -> None:
    """One for both orders of MAML, which begin with the same weights."""
    cells = plan_of(name).cells
    trained, untrained = (
        {
            (cell.algorithm, cell.settings.fce, cell.settings.black_on_white)
            for cell in cells
            if bool(cell.settings.steps) == learnt
        }
        for learnt in (True, False)
    )
    assert trained == untrained
    assert all(cell.label.endswith("untrained") == (cell.settings.steps == 0) for cell in cells)


@pytest.mark.parametrize(
    ("other", "fixed", "expected"),
    [
        ("reference", "algorithm: maml, dataset: mini_imagenet", {*NETWORK, "normalise", "clip_value", "evaluation_episodes"}),
        ("reference", "algorithm: maml, dataset: omniglot", {*NETWORK, "padding", "resize", "evaluation_episodes"}),
        ("reference", "algorithm: maml, dataset: omniglot, backbone: mlp", {*NETWORK, "resize", "evaluation_episodes"}),
        ("reference", "algorithm: prototypical, dataset: omniglot",
         {"initialisation", "resize", "steps", "patience", "retrain", "validation_episodes"}),
        ("article_2018", "algorithm: prototypical, dataset: omniglot",
         {"initialisation", "black_on_white", "split", "selection", "first_halving", "steps", "patience"}),
        ("article_2018", "algorithm: matching, dataset: omniglot",
         {"initialisation", "black_on_white", "split", "selection", "clamp", "halve_every", "patience"}),
        ("article_2018", "algorithm: maml, dataset: mini_imagenet",
         {"initialisation", "inner_reduction", "outer_reduction", "adapt_batch_norm", "selection", "filters", "query",
          "validation_query", "train_query", "evaluation_episodes", "steps"}),
    ],
)  # fmt: skip
def test_presets_differ_from_the_papers_in_this_and_nothing_else(
    tmp_path: Path, other: str, fixed: str, expected: set[str]
) -> None:
    cells = {}
    for name in ("paper", other):
        (tmp_path / name).mkdir()
        (cells[name],) = sweep(tmp_path / name, f"preset: {name}, {fixed}").cells
    differing = {key for key in vars(cells["paper"]) if getattr(cells["paper"], key) != getattr(cells[other], key)}
    assert differing == {"preset", *expected}


def test_matching_networks_have_no_published_code(tmp_path: Path) -> None:
    with pytest.raises(SweepFileError, match="the preset 'reference' has no rule for such a cell"):
        sweep(tmp_path, "preset: reference, algorithm: matching, dataset: omniglot")


@pytest.mark.parametrize(
    ("wanted", "stated"),
    [
        ({"algorithm": "maml", "dataset": "omniglot", "way": 5, "shot": 1, "order": 2},
         {"adaptation_steps": 1, "evaluation_adaptation_steps": 3, "inner_lr": 0.4, "meta_batch_size": 32, "downsampling": "stride"}),
        ({"algorithm": "maml", "dataset": "omniglot", "way": 20, "shot": 5, "order": 1},
         {"adaptation_steps": 5, "evaluation_adaptation_steps": 5, "inner_lr": 0.1, "meta_batch_size": 16, "steps": 60_000}),
        ({"algorithm": "maml", "dataset": "mini_imagenet", "shot": 5, "order": 2},
         {"adaptation_steps": 5, "evaluation_adaptation_steps": 10, "inner_lr": 0.01, "meta_batch_size": 2, "filters": 32}),
        ({"algorithm": "prototypical", "dataset": "mini_imagenet", "shot": 1}, {"train_way": 30, "train_query": 15}),
        ({"algorithm": "prototypical", "dataset": "mini_imagenet", "shot": 5}, {"train_way": 20, "train_shot": 5}),
    ],
)  # fmt: skip
def test_the_papers_settings_are_as_printed(wanted: dict[str, Any], stated: dict[str, Any]) -> None:
    cell = find(plan_of("paper"), **wanted)
    assert {name: getattr(cell, name) for name in stated} == stated
