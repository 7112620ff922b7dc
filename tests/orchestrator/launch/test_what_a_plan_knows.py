"""What can be known without an image is said when a sweep is read, with its place: before anything is prepared, probed or trained."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from orchestrator.cli.main import main
from orchestrator.errors import OrchestratorError
from orchestrator.launch.loading import load

OMNIGLOT = {"dataset": "omniglot", "split": "vinyals", "way": 5, "shot": 1}
MINI = {"dataset": "mini_imagenet", "split": "ravi", "way": 5, "shot": 1}
GLYPHS = {"dataset": "glyphs", "split": "glyphs", "way": 5, "shot": 1}
SHIPPED = Path(__file__).parents[3] / "sweeps"


def refusal(folder: Path, fixed: dict[str, Any], top: str = "", **overrides: Any) -> str:
    lines = "".join(f"  {key}: {json.dumps(value)}\n" for key, value in fixed.items())
    path = folder / "sweep.yaml"
    path.write_text(f"name: s\ntitle: S\nseeds: [0]\nfixed:\n{lines}{top}")
    with pytest.raises(OrchestratorError) as caught:
        load(path, **overrides)
    return str(caught.value).replace(f"{folder}/", "")


@pytest.mark.parametrize(
    ("fixed", "expected"),
    [
        ({**MINI, "way": 21}, "sweep.yaml:7: fixed.way: way is 21; meta_test of mini_imagenet has 20 classes (split ravi)"),
        ({**MINI, "train_way": 65}, "sweep.yaml:9: fixed.train_way: train_way is 65; meta_train of mini_imagenet has 64 classes"),
        ({**MINI, "validation_way": 17}, "sweep.yaml:9: fixed.validation_way: validation_way is 17; meta_validation of"),
        ({**MINI, "algorithm": "maml", "way": 17}, "sweep.yaml:7: fixed.way: validation_way is 17; meta_validation of mini"),
        ({**MINI, "query": 600}, "sweep.yaml:9: fixed.query: query is 600; with 1 support images that is 601 images a class"),
        ({**OMNIGLOT, "train_way": 5000}, "sweep.yaml:9: fixed.train_way: train_way is 5000; meta_train of omniglot has 4112 classes "
                                          "(split vinyals, with rotations)"),
        ({**OMNIGLOT, "rotations": False, "train_way": 1029}, "fixed.train_way: train_way is 1029; meta_train of omniglot has 1028"),
        ({**OMNIGLOT, "distinct_characters": True, "train_way": 1029}, "train_way is 1029; meta_train of omniglot has 1028 distinct "
                                                                       "characters (split vinyals)"),
        ({**GLYPHS, "distinct_characters": True, "way": 61}, "sweep.yaml:7: fixed.way: way is 61; meta_test of glyphs has 60 distinct"),
        ({**GLYPHS, "distinct_characters": True, "validation_way": 41}, "validation_way is 41; meta_validation of glyphs has 40 dist"),
        ({**OMNIGLOT, "split": "background-evaluation", "train_way": 3245}, "meta_train of omniglot has 3244 classes"),
        ({**OMNIGLOT, "shot": 6}, "sweep.yaml:8: fixed.shot: query is 15; with 6 support images that is 21 images a class, "
                                  "but omniglot has 20"),
        ({**OMNIGLOT, "train_query": 20}, "sweep.yaml:9: fixed.train_query: train_query is 20; with 1 support images"),
        ({**OMNIGLOT, "validation_query": 20}, "sweep.yaml:9: fixed.validation_query: validation_query is 20"),
        ({**GLYPHS, "rotations": False, "way": 61}, "sweep.yaml:7: fixed.way: way is 61; meta_test of glyphs has 60 classes"),
        ({"preset": "paper", "algorithm": "maml", "dataset": "mini_imagenet", "way": 21, "shot": 1}, "sweep.yaml:8: fixed.way: "),
    ],
)  # fmt: skip
def test_an_episode_that_the_data_set_has_not_is_refused(tmp_path: Path, fixed: dict[str, Any], expected: str) -> None:
    assert expected in refusal(tmp_path, fixed)


def test_what_the_command_line_gives_is_looked_at_too(tmp_path: Path) -> None:
    assert refusal(tmp_path, MINI, set_values=["way=[5, 21]"]).startswith("--set way=[5, 21]: way is 21; meta_test of")


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("snel_2017", "'snel_2017' is not a registry; did you mean 'snell_2017'?"),
        ("snell_2017/Table 9", "'snell_2017' has no 'Table 9'; did you mean 'Table"),
        ("", "'' is not a registry; accepted: bertinetto_2019, chen_2019, devos_2019"),
    ],
)
def test_a_source_that_is_not_there_is_refused(tmp_path: Path, source: str, problem: str) -> None:
    top = f"published:\n  - vinyals_2016\n  - {json.dumps(source)}\n"
    assert f"sweep.yaml:11: published[1]: {problem}" in refusal(tmp_path, OMNIGLOT, top)


def test_a_preset_that_follows_no_registry_is_refused_where_it_says_so(tmp_path: Path) -> None:
    (tmp_path / "presets").mkdir()
    for name in ("mine", "unused"):
        preset = (
            f"id: {name}\ntitle: M\ndescription: d\npublished: [snell_2071]\nrules:\n  - when: {{}}\n    give: {{steps: 500}}\n"
        )
        (tmp_path / "presets" / f"{name}.yaml").write_text(preset)
    message = refusal(tmp_path, {**OMNIGLOT, "preset": "mine"})
    assert message == "presets/mine.yaml:4: published[0]: 'snell_2071' is not a registry; did you mean 'snell_2017'?"


def test_the_registries_of_a_preset_are_not_asked_for_where_the_sweep_has_its_own(tmp_path: Path) -> None:
    (tmp_path / "presets").mkdir()
    mine = "id: mine\ntitle: M\ndescription: d\npublished: [not_here]\nrules:\n  - when: {}\n    give: {steps: 500}\n"
    (tmp_path / "presets" / "mine.yaml").write_text(mine)
    path = tmp_path / "sweep.yaml"
    path.write_text(
        f"name: s\ntitle: S\npublished: [snell_2017]\nseeds: [0]\nfixed: {json.dumps({**OMNIGLOT, 'preset': 'mine'})}\n"
    )
    sweep = load(path)
    assert sweep.compared_with(sweep.cells[0]) == ("snell_2017",)


@pytest.mark.parametrize(
    ("broken", "place"),
    [
        (("accuracy: 98.8,", "accuracy: 988,"), "snell_2017.yaml:43: cells[0].accuracy: 988"),
        (("dataset: omniglot, way: 5, shot: 1,", "dataset: omniglt, way: 5, shot: 1,"), "snell_2017.yaml:43: cells[0].dataset: 'omniglt'"),
        (("  omniglot:\n", "  omniglt:\n"), "snell_2017.yaml:8: protocols.omniglt"),
    ],
)  # fmt: skip
def test_a_broken_registry_is_refused(tmp_path: Path, broken: tuple[str, str], place: str) -> None:
    shutil.copytree(SHIPPED / "published", tmp_path / "published")
    registry = tmp_path / "published" / "snell_2017.yaml"
    registry.write_text(registry.read_text().replace(*broken, 1))
    assert f"published/{place}" in refusal(tmp_path, OMNIGLOT)


def test_a_fallback_must_serve_every_cell(tmp_path: Path) -> None:
    message = refusal(tmp_path, {**OMNIGLOT, "way": 300}, "fallback_dataset: glyphs\n")
    assert message.startswith(
        "sweep.yaml:9: fallback_dataset: glyphs cannot replace the data set: way is 300; meta_test of glyphs has 240 classes"
    )


@pytest.mark.parametrize("command", ["plan", "run", "status", "table"])
def test_every_command_says_so_before_it_does_anything(tmp_path: Path, command: str) -> None:
    path, runs = tmp_path / "sweep.yaml", tmp_path / "runs"
    path.write_text(f"name: s\ntitle: S\nseeds: [0]\nfixed: {json.dumps({**GLYPHS, 'train_way': 5000})}\n")
    result = CliRunner().invoke(main, [command, str(path), "--runs-root", str(runs)])
    assert result.exit_code == 2
    assert "sweep.yaml:4: fixed.train_way: train_way is 5000; meta_train of glyphs has 400 classes" in result.output
    assert not runs.exists()


def test_a_setting_at_the_top_of_a_file_is_told_its_place(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text("name: s\ntitle: S\npreset: paper\nseeds: [0]\n", encoding="utf-8")
    with pytest.raises(OrchestratorError, match=r"s.yaml:3: preset: a setting: write it under fixed, or its values under grid"):
        load(path)
