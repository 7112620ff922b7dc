"""Sweep files: what unfolds from a good one, and the one message that a bad one gets."""

import itertools
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.errors import SweepFileError
from orchestrator.sweep.loader import load_sweep
from orchestrator.sweep.plan import build_plan
from orchestrator.sweep.spec import SweepSpec, with_dataset

SWEEPS = Path(__file__).parents[3] / "sweeps"
GOOD = """\
name: small
title: A small sweep
published: [snell_2017]
seeds: [0, 1]
fixed:
  dataset: omniglot
  split: vinyals
  steps: 500
grid:
  way: [5, 20]
  shot: [1, 5]
"""


def load(folder: Path, text: str, **overrides: object) -> SweepSpec:
    path = folder / "sweep.yaml"
    path.write_text(text)
    return load_sweep(path, **overrides)  # type: ignore[arg-type]


def refusal(folder: Path, text: str, **overrides: object) -> str:
    with pytest.raises(SweepFileError) as caught:
        load(folder, text, **overrides)
    message = str(caught.value)
    assert "\n" not in message
    return message.replace(str(folder), "")


def shapes(spec: SweepSpec) -> list[tuple[int, int]]:
    return [(cell.way, cell.shot) for cell in spec.cells]


def test_the_last_axis_of_the_grid_varies_fastest(tmp_path: Path) -> None:
    spec = load(tmp_path, GOOD)
    assert shapes(spec) == [(5, 1), (5, 5), (20, 1), (20, 5)]
    assert spec.seeds == (0, 1) and spec.overrides == ()
    assert {cell.steps for cell in spec.cells} == {500}


@given(
    st.lists(st.integers(2, 60), min_size=1, max_size=4, unique=True),
    st.lists(st.integers(1, 5), min_size=1, max_size=4, unique=True),
)
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_cells_are_the_product_of_the_axes(tmp_path: Path, ways: list[int], shots: list[int]) -> None:
    spec = load(tmp_path, GOOD.replace("[5, 20]", str(ways)).replace("[1, 5]", str(shots)))
    assert shapes(spec) == list(itertools.product(ways, shots))


def test_include_adds_and_exclude_removes(tmp_path: Path) -> None:
    text = GOOD + "include:\n  - {way: 10, shot: 1, steps: 900}\nexclude:\n  - {way: 20, shot: [1, 5]}\n"
    spec = load(tmp_path, text)
    assert [(cell.way, cell.shot, cell.steps) for cell in spec.cells] == [(5, 1, 500), (5, 5, 500), (10, 1, 900)]


@pytest.mark.parametrize(
    "pattern",
    ["way: 20, algorithm: prototypical", "train_way: 20, steps: 500", "shot: [1, 5], train_shot: [1, 5], train_way: 20"],
)
def test_exclude_matches_defaults(tmp_path: Path, pattern: str) -> None:
    assert shapes(load(tmp_path, GOOD + f"exclude:\n  - {{{pattern}}}\n")) == [(5, 1), (5, 5)]


def test_an_excluded_cell_need_not_make_a_recipe(tmp_path: Path) -> None:
    text = GOOD.replace("[5, 20]", "[5, 5000]") + "exclude:\n  - {way: 5000, algorithm: prototypical}\n"
    assert shapes(load(tmp_path, text)) == [(5, 1), (5, 5)]


def test_exclude_may_name_cells_that_the_command_line_removes(tmp_path: Path) -> None:
    text = GOOD + "exclude:\n  - {way: 20, shot: 5}\n"
    assert shapes(load(tmp_path, text, set_values=["way=5"])) == shapes(load(tmp_path, text, only=["way=5"])) == [(5, 1), (5, 5)]


def test_an_axis_may_belong_to_some_cells_only(tmp_path: Path) -> None:
    text = GOOD + "  distance: [squared_euclidean, cosine]\n  scale: {values: [1.0, 10.0], when: {distance: cosine}}\n"
    spec = load(tmp_path, text)
    assert len(spec.cells) == 4 * 3
    assert {(cell.distance, cell.scale) for cell in spec.cells} == {("squared_euclidean", 1.0), ("cosine", 1.0), ("cosine", 10.0)}


def test_the_order_of_keys_and_the_spelling_of_numbers_change_no_trial(tmp_path: Path) -> None:
    turned = GOOD.replace(
        "  dataset: omniglot\n  split: vinyals\n", "  outer_lr: 1e-3\n  scale: 1\n  split: 'vinyals'\n  dataset: omniglot\n"
    )
    plans = [build_plan(load(tmp_path, text)) for text in (GOOD, turned)]
    assert plans[0].fingerprint == plans[1].fingerprint
    assert [trial.fingerprint for trial in plans[0].trials] == [trial.fingerprint for trial in plans[1].trials]


def test_cells_of_one_training_shape_share_their_trials(tmp_path: Path) -> None:
    plan = build_plan(load(tmp_path, GOOD, set_values=["train_way=60"]))
    assert (len(plan.cells), len(plan.trials)) == (4, 4)
    assert all(len(trial.cells) == len(trial.evaluations) == 2 for trial in plan.trials)


def test_overrides_are_applied_and_recorded(tmp_path: Path) -> None:
    spec = load(tmp_path, GOOD, set_values=["steps=900", "way=[10]"], only=["shot=5"], seeds="4")
    assert [(cell.way, cell.shot, cell.steps) for cell in spec.cells] == [(10, 5, 900)]
    assert spec.seeds == (4,)
    assert spec.overrides == ("--set steps=900", "--set way=[10]", "--only shot=5", "--seeds 4")


CONDITIONAL = """
grid:
  algorithm: [prototypical, maml]
  order: {values: [1, 2], when: {algorithm: maml}}
  way: [5, 20]
  shot: [1]
include:
  - {algorithm: maml, order: 2, way: 10, shot: 1, train_query: 2}
"""


def conditional(folder: Path, **overrides: object) -> list[tuple[object, ...]]:
    spec = load(folder, GOOD.partition("grid:")[0] + CONDITIONAL, **overrides)
    return [(cell.algorithm, cell.order, cell.way, cell.adaptation_steps, cell.steps) for cell in spec.cells]


def test_an_overridden_axis_applies_to_the_same_cells(tmp_path: Path) -> None:
    assert conditional(tmp_path, set_values=["order=1"]) == [
        ("prototypical", None, 5, None, 500), ("prototypical", None, 20, None, 500),
        ("maml", 1, 5, 1, 500), ("maml", 1, 20, 1, 500), ("maml", 1, 10, 1, 500),
    ]  # fmt: skip


def test_an_override_counts_the_cells_that_it_leaves_as_they_are() -> None:
    spec = load_sweep(SWEEPS / "quick.yaml", set_values=["distance=cosine", "steps=200", "fce=null"])
    assert spec.notices == (
        "--set distance=cosine leaves 4 of 7 cells at squared_euclidean: distance is an axis of some of the sweep's cells alone",
    )
    assert load_sweep(SWEEPS / "quick.yaml", set_values=["distance=cosine"], only=["algorithm=matching"]).notices == ()


@pytest.mark.parametrize(
    ("dataset", "title"),
    [("omniglot", "A small sweep"), ("glyphs", "A small sweep (here on glyphs (invented))")],
)
def test_the_title_names_another_data_set_of_the_command_line(tmp_path: Path, dataset: str, title: str) -> None:
    text = GOOD.replace("  split: vinyals\n", "  preset: paper\n")
    assert load(tmp_path, text, set_values=[f"dataset={dataset}"]).title == title


def test_cells_that_only_rules_out_need_not_suit_the_set_values(tmp_path: Path) -> None:
    """A setting of MAML alone; without --only the message says which option it was."""
    cells = conditional(tmp_path, set_values=["adaptation_steps=3"], only=["algorithm=maml,order=2"])
    assert cells == [("maml", 2, 5, 3, 500), ("maml", 2, 20, 3, 500), ("maml", 2, 10, 3, 500)]
    with pytest.raises(SweepFileError, match=r"^--set adaptation_steps=3: .*prototypical"):
        conditional(tmp_path, set_values=["adaptation_steps=3"])


def test_a_list_of_values_is_an_axis_of_included_cells_too(tmp_path: Path) -> None:
    cells = conditional(tmp_path, set_values=["steps=[700, 900]"], only=["algorithm=maml,way=10"])
    assert cells == [("maml", 2, 10, 1, 700), ("maml", 2, 10, 1, 900)]


def test_cells_that_the_command_line_makes_equal_are_merged(tmp_path: Path) -> None:
    assert conditional(tmp_path, set_values=["way=10", "train_query=2"], only=["order=2"]) == [("maml", 2, 10, 1, 500)]


@pytest.mark.parametrize("preset", ["reference", "article_2018"])
def test_a_sweep_can_be_run_under_another_preset(preset: str) -> None:
    spec = load_sweep(SWEEPS / "paper.yaml", set_values=[f"preset={preset}"], only=["algorithm=maml"])
    assert {cell.preset for cell in spec.cells} == {preset} and len(spec.cells) == 12
    with pytest.raises(SweepFileError, match=r"^--set preset=nobody: unknown preset 'nobody'"):
        load_sweep(SWEEPS / "paper.yaml", set_values=["preset=nobody"])


def test_several_only_options_are_a_union(tmp_path: Path) -> None:
    assert shapes(load(tmp_path, GOOD, only=["way=5,shot=1", "way=20,shot=5"])) == [(5, 1), (20, 5)]


def test_the_fallback_has_a_distinct_name(tmp_path: Path) -> None:
    spec = with_dataset(load(tmp_path, GOOD), "glyphs")
    assert {cell.dataset for cell in spec.cells} == {"glyphs"}
    assert (spec.name, spec.fallback_of) == ("small_glyphs", "small")
    assert spec.title == "A small sweep on glyphs (invented): Omniglot was not found"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (GOOD.replace("seeds:", "seedz:"), "/sweep.yaml:4: seedz: unknown key; did you mean 'seeds'?"),
        (GOOD.replace("  steps: 500", "  stepz: 500"), "/sweep.yaml:8: fixed.stepz: unknown setting 'stepz'; did you mean 'steps'?"),
        (GOOD.replace("steps: 500", "steps: lots"), "/sweep.yaml:8: fixed.steps: 'lots' is not accepted: it must be a whole number"),
        (GOOD.replace("steps: 500", "steps: true"), "/sweep.yaml:8: fixed.steps: true is not accepted: it must be a whole number"),
        (GOOD.replace("steps: 500", "steps: 1e3"),
         "/sweep.yaml:8: fixed.steps: 1000.0 is not accepted: a whole number has neither point nor exponent: 1000"),
        (GOOD.replace("steps: 500", "steps: 0.5"), "/sweep.yaml:8: fixed.steps: 0.5 is not accepted: it must be a whole number"),
        (GOOD.replace("steps: 500", "retrain: null"),
         "/sweep.yaml:8: fixed.retrain: null is not accepted: it must be true or false"),
        (GOOD.replace("steps: 500", "learn_scale: true\n  algorithm: maml"), "only matching (in the cell way=5, shot=1)"),
        (GOOD.replace("steps: 500", "patience: None"), "/sweep.yaml:8: fixed.patience: 'None' is not accepted: write null"),
        (GOOD.replace("steps: 500", "steps: None"), "/sweep.yaml:8: fixed.steps: 'None' is not accepted: it must be a whole number"),
        (GOOD + "fallback_dataset: glyph\n", "/sweep.yaml:12: fallback_dataset: 'glyph' is not accepted: it must be 'glyphs'"),
        (GOOD.replace("dataset: omniglot", "dataset: omniglott"),
         "/sweep.yaml:6: fixed.dataset: unknown data set 'omniglott'; did you mean 'omniglot'?"),
        (GOOD + "  algorithm: [prototypical, mathcing]\n",
         "/sweep.yaml:12: grid.algorithm[1]: unknown algorithm 'mathcing'; did you mean 'matching'?"),
        (GOOD.replace("steps: 500", "backbone: resnet"),
         "/sweep.yaml:8: fixed.backbone: unknown backbone 'resnet'; did you mean 'resnet12'?"),
        (GOOD.replace("steps: 500", "preset: papre"), "/sweep.yaml:8: fixed.preset: unknown preset 'papre'; did you mean 'paper'?"),
        (GOOD.replace("steps: 500", "learning_rate: 0.1"),
         "/sweep.yaml:8: fixed.learning_rate: unknown setting 'learning_rate'; did you mean 'outer_lr'?"),
        (GOOD.replace("steps: 500", "zzz: 1"),
         "/sweep.yaml:8: fixed.zzz: unknown setting 'zzz'; fsl plan SWEEP --settings shows the settings"),
        (GOOD.replace("steps: 500", "seeds: [0]"),
         "/sweep.yaml:8: fixed.seeds: 'seeds' is no setting of a cell; write seeds at the top level of the file"),
        (GOOD + "  patience: [null, null]\n", "grid.patience: [null, null] repeats a value"),
        (GOOD.replace("steps: 500", "steps: -1"), "/sweep.yaml:8: fixed.steps: steps is -1; it must be an integer of at least 0"),
        (GOOD.replace("[5, 20]", "[]"), "/sweep.yaml:10: grid.way: [] is an empty axis; give at least one value"),
        (GOOD.replace("[5, 20]", "[5, 5]"), "/sweep.yaml:10: grid.way: [5, 5] repeats a value"),
        (GOOD.replace("[5, 20]", "[5, twenty]"), "/sweep.yaml:10: grid.way[1]: 'twenty' is not accepted"),
        (GOOD.replace("vinyals", "vinyal"), "/sweep.yaml:7: fixed.split: split is 'vinyal'; accepted: 'vinyals', "),
        (GOOD.replace("seeds: [0, 1]", "seeds: [0, 0]"), "/sweep.yaml:4: seeds: [0, 0] repeats a seed"),
        (GOOD.replace("seeds: [0, 1]", "seeds: []"), "/sweep.yaml:4: seeds: [] is not accepted"),
        (GOOD.replace("name: small", "name: Small Sweep"), "/sweep.yaml:1: name: 'Small Sweep' is not accepted: it may have small"),
        (GOOD + "name: twice\n", "/sweep.yaml:12: found duplicate key"),
        (GOOD + "include: [{way: 5, shot: 1}]\n", "/sweep.yaml:12: include[0]: two cells are the same: way=5, shot=1"),
        (GOOD + "exclude: [{dataset: omniglot}]\n", "/sweep.yaml:12: exclude: the sweep has no cell"),
        (GOOD + "exclude:\n  - {way: 20}\n  - {way: 21}\n", "/sweep.yaml:14: exclude[1]: no cell of the sweep matches"),
        (GOOD + "exclude: [{algorithm: maml}]\n", "/sweep.yaml:12: exclude[0]: no cell of the sweep matches"),
        (GOOD + "  distance: {values: [cosine], when: {way: 5}}\ninclude:\n  - {way: 5}\n", "/sweep.yaml:14: include[0]: every"),
        (GOOD.replace("  split: vinyals\n", ""), "/sweep.yaml:8: grid: every cell needs split; splits of omniglot: "),
        (GOOD.replace("dataset: omniglot\n  split: vinyals", "dataset: cifar_fs\n  preset: paper"), "grid: every cell needs split; "
         "the preset 'paper' has no rule that gives a split of cifar_fs; splits of cifar_fs: bertinetto (in the cell way=5, shot=1)"),
        (GOOD.replace("shot: [1, 5]", "shot: [1, 10]"), "sweep.yaml:11: grid.shot[1]: query is 15; with 10 support images that is "
         "25 images a class, but omniglot has 20; at most 10 would fit (in the cell way=5, shot=10)"),
        (GOOD.replace("shot: [1, 5]", "shot: [30]"), "with a query of 1, a shot of at most 19 would fit"),
        (GOOD + "  scale: {values: [2.0], when: {way: 7}}\n",
         "/sweep.yaml:12: grid.scale.when.way: no cell of the sweep has way 7; its values: 5, 20"),
        (GOOD + "  scale: {values: [2.0], when: {way: [5, 7]}}\n", "grid.scale.when.way: no cell of the sweep has way 7"),
        (GOOD + "  scale: {values: [2.0], when: {split: lake}}\n", "grid.scale.when.split: no cell of the sweep has split lake"),
        (GOOD + "  scale: {values: [1.0], when: {way: 5}}\n  distance: {values: [cosine], when: {way: 20, scale: 1.0}}\n",
         "/sweep.yaml:13: grid.distance.when: no cell of the sweep matches it"),
        (GOOD.replace("steps: 500", "algorithm: maml") + "  order: {values: [1, 2], when: {algorithm: malm}}\n",
         "/sweep.yaml:12: grid.order.when.algorithm: unknown algorithm 'malm'; did you mean 'maml'?"),
        (GOOD.replace("grid:", "grid:\n  steps: [1]"), "/sweep.yaml:10: grid.steps: 'steps' is fixed as well"),
        (GOOD + "  scale: {values: [2.0], if: {way: 5}}\n", "/sweep.yaml:12: grid.scale"),
        (GOOD + "  scale: {values: [2.0], when: {distance: cosine}}\n", "'distance' is neither fixed nor an axis above this one"),
        ("name: [unclosed\n", "/sweep.yaml:2: "),
        ("- a\n- b\n", "/sweep.yaml:1: a sweep file is a mapping"),
        ("", "/sweep.yaml:1: a sweep file is a mapping"),
        ("name: !!python/object:os.system x\n", "/sweep.yaml"),
        ("a: &a [x]\nb: [*a, *a]\n", "/sweep.yaml:1: a: unknown key"),
    ],
)  # fmt: skip
def test_a_bad_file_causes_one_message_with_the_place(tmp_path: Path, text: str, expected: str) -> None:
    assert expected in refusal(tmp_path, text)


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ({"set_values": ["steps"]}, "--set steps: write key=value"),
        ({"set_values": ["stepz=3"]}, "--set stepz=3: unknown setting 'stepz'; did you mean 'steps'?"),
        ({"set_values": ["seeds=3"]}, "--set seeds=3: 'seeds' is no setting of a cell; use --seeds"),
        (
            {"set_values": ["title=T"]},
            "'title' is no setting of a cell; it stands at the top level of the sweep file, and no option",
        ),
        ({"set_values": ["n-way=5"]}, "--set n-way=5: unknown setting 'n-way'; did you mean 'way'?"),
        (
            {"set_values": ["dataset=omniglott"]},
            "--set dataset=omniglott: unknown data set 'omniglott'; did you mean 'omniglot'?",
        ),
        ({"set_values": ["algorithm=maaml"]}, "--set algorithm=maaml: unknown algorithm 'maaml'; did you mean 'maml'?"),
        ({"set_values": ["steps=many"]}, "--set steps=many: 'many' is not accepted"),
        ({"set_values": ["way=[]"]}, "--set way=[]: an empty axis"),
        ({"set_values": ["way={a: 1}"]}, "is nested"),
        ({"set_values": ["way=[5"]}, "not a YAML value"),
        ({"only": ["way=7"]}, "--only way=7: no cell of the sweep matches"),
        ({"only": ["way=5", "way=7"]}, "--only way=7: no cell of the sweep matches"),
        (
            {"only": ["algorithm=protoypical"]},
            "--only algorithm=protoypical: unknown algorithm 'protoypical'; did you mean 'prototypical'?",
        ),
        ({"only": ["wey=5"]}, "did you mean 'way'?"),
        ({"only": ["way=five,shot=1"]}, "--only way=five,shot=1: way: 'five' is not accepted: it must be a whole number"),
        ({"set_values": ["way=5", "way=20"]}, "--set way=20: way is set twice; give way=[5, 20] for both"),
        ({"set_values": ["way=[5, 20]", "shot=1", "way=20"]}, "--set way=20: way is set twice; give way=[5, 20] for both"),
        (
            {"set_values": ["patience=null", "patience=9"]},
            "--set patience=9: patience is set twice; give patience=[null, 9] for both",
        ),
        ({"set_values": ["way=5", "way=5"]}, "--set way=5: way is set twice; give it once"),
        (
            {"only": ["way=5,way=20"]},
            "--only way=5,way=20: several values of way; --only takes one value per key; repeat --only for",
        ),
        (
            {"only": ["way=[5, 20]"]},
            "--only way=[5, 20]: several values of way; --only takes one value per key; repeat --only for another",
        ),
        ({"only": ["shot=1,way=[5,20]"]}, "--only shot=1,way=[5,20]: several values of way; --only takes one value per key"),
        (
            {"only": ["way=5,20"]},
            "--only way=5,20: '20' is not key=value; --only takes one value per key; repeat --only for another",
        ),
        ({"seeds": "0,x"}, "--seeds 0,x: write whole numbers"),
        ({"seeds": "٣"}, "--seeds ٣: write whole numbers"),
        ({"seeds": "1_0"}, "--seeds 1_0: write whole numbers"),
        ({"seeds": "1,1"}, "--seeds 1,1: seeds are different"),
    ],
)
def test_a_bad_override_is_reported_by_name(tmp_path: Path, overrides: dict[str, object], expected: str) -> None:
    assert expected in refusal(tmp_path, GOOD, **overrides)


def test_a_grid_of_more_cells_than_anybody_trains_is_refused_before_it_is_unfolded(tmp_path: Path) -> None:
    many = list(range(2, 503))
    axes = f"  evaluation_seed: {many}\n  validation_episodes: {many}\n"
    assert "/sweep.yaml:13: grid.validation_episodes: with this axis the grid has 1,004,004 cells" in refusal(
        tmp_path, GOOD + axes
    )
    option = [f"{key}={many}" for key in ("evaluation_seed", "validation_episodes")]
    assert "--set validation_episodes: with this axis the grid has 1,004,004 cells" in refusal(tmp_path, GOOD, set_values=option)
    conditional = f"{axes.splitlines()[0]}\n  validation_episodes: {{values: {many}, when: {{evaluation_seed: 2}}}}\n"
    assert len(load(tmp_path, GOOD + conditional, only=["evaluation_seed=2"]).cells) == 4 * 501


def test_files_without_text_are_reported_by_name(tmp_path: Path) -> None:
    with pytest.raises(SweepFileError, match=r"nothing\.yaml: cannot be read"):
        load_sweep(tmp_path / "nothing.yaml")
    with pytest.raises(SweepFileError, match="cannot be read"):
        load_sweep(tmp_path)
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SweepFileError, match="not UTF-8"):
        load_sweep(tmp_path / "binary.yaml")


def test_aliases_cannot_expand_without_bound(tmp_path: Path) -> None:
    lines = ["a: &x0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"b{i}: &x{i} [{', '.join([f'*x{i - 1}'] * 10)}]" for i in range(1, 9)]
    assert "too many" in refusal(tmp_path, "\n".join(lines))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=200) | st.binary(max_size=200))
def test_no_text_raises_another_error(tmp_path: Path, content: str | bytes) -> None:
    path = tmp_path / "fuzzed.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass"))
    with pytest.raises(SweepFileError):
        load_sweep(path)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 99) | st.floats(allow_nan=True) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["way", "when", "values", "x"]), inner, max_size=2)
    ),
    max_leaves=5,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(st.sampled_from(["name", "seeds", "fixed", "grid", "include", "exclude", "short", "published"]), VALUES, max_size=3),
    st.dictionaries(st.sampled_from(["way", "shot", "steps", "scale", "dataset", "patience", "filters"]), VALUES, max_size=2),
)  # fmt: skip
def test_a_mutated_file_loads_or_is_refused(tmp_path: Path, top: dict[str, object], fixed: dict[str, object]) -> None:
    document = {
        "name": "n", "title": "t", "seeds": [0], "fixed": {"dataset": "omniglot", "split": "vinyals", "way": 5, "shot": 1, **fixed}, **top,
    }  # fmt: skip
    path = tmp_path / "mutated.yaml"
    path.write_text(json.dumps(document))
    try:
        build_plan(load_sweep(path))
    except SweepFileError as error:
        assert str(path) in str(error)


@pytest.mark.parametrize("path", sorted(SWEEPS.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_committed_sweep_loads_and_is_named_as_its_file(path: Path) -> None:
    spec = load_sweep(path)
    assert spec.name == path.stem
    assert build_plan(spec) == build_plan(load_sweep(path))


def test_the_trials_behind_the_committed_table_keep_their_names() -> None:
    """If this fails, the results of earlier runs are no longer found."""
    plan = build_plan(load_sweep(SWEEPS / "omniglot_prototypical.yaml"))
    assert [trial.fingerprint for trial in plan.trials if trial.recipe.seed == 0] == ["23d104e75cb42aac", "e185f58cca7cb639"]
