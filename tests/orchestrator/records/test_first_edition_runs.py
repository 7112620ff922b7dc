"""Runs folders of the first edition: their records are reported and kept, never used, never called damaged."""

import datetime
import json
from pathlib import Path
from typing import Any

import pytest

from fsl_core.recipe.fingerprint import SCHEMA_VERSION
from orchestrator.cli import ui
from orchestrator.errors import SweepNameError
from orchestrator.launch.driver import sweep_folder
from orchestrator.launch.launches import check_name_is_free, read_launches, record_launch
from orchestrator.launch.leftovers import Leftover, find_leftovers, kept_trials, remove_leftovers
from orchestrator.launch.wanted_trials import wanted_trials
from orchestrator.records.remembered import NOTHING_REMEMBERED
from orchestrator.records.store import Store
from orchestrator.report.folder_owner import owner_in
from orchestrator.tracking import run_tags
from orchestrator.tracking.outbox import Outbox
from orchestrator.tracking.shown_sweep import SweepContext, shown_sweep
from tests.orchestrator.cli.test_commands import Workplace, clean_environment
from tests.orchestrator.launch.test_cost import quiet
from tests.orchestrator.records import test_remembered
from tests.orchestrator.records.edited_record import edit
from tests.orchestrator.records.first_edition_runs import (
    DONE,
    PLAN,
    STOPPED,
    contents_of,
    write_first_edition,
    write_first_table,
)
from tests.orchestrator.tracking.tracked_sweep import tiny_plan

__all__ = ["clean_environment"]
SAID = "also holds 2 trials of the first edition of the recipes: kept, used by no sweep of today and counted nowhere"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    write_first_edition(tmp_path / "runs", "tiny", source=tmp_path / "tiny.yaml")
    return Store(tmp_path / "runs")


@pytest.fixture
def workplace(tmp_path: Path) -> Workplace:
    place = Workplace(tmp_path)
    write_first_edition(place.runs, "small", source=place.sweep)
    return place


def test_a_trial_of_the_first_edition_is_recognised_and_neither_used_nor_damaged(store: Store) -> None:
    before = contents_of(store.runs_root)
    assert store.of_earlier_editions() == {DONE: 1, STOPPED: 1}
    for name in (DONE, STOPPED):
        record = store.read(name)
        assert (record.edition, record.result, record.evaluations) == (1, None, {})
    assert not store.damaged and contents_of(store.runs_root) == before


@pytest.mark.parametrize("damage", ["{", "[]", "{}", '{"steps": Infinity}', '{"name": "\\ud800"}', "[" * 99_999, None])
def test_the_recipe_or_the_result_shows_the_edition_unless_it_was_edited(store: Store, damage: str | None) -> None:
    paths = store.paths(DONE)
    paths.recipe.unlink()
    paths.recipe.mkdir() if damage is None else paths.recipe.write_text(damage)
    assert store.edition(DONE) == 1
    edit(paths.result, recipe={})
    assert store.edition(DONE) == SCHEMA_VERSION and store.read(DONE).result is None
    assert store.damaged == [paths.result]


@pytest.mark.parametrize("command", [["status"], ["plan", "--no-probe"], ["table"], ["export", "--format", "csv"]])
def test_commands_about_a_sweep_report_old_trials_and_count_none(workplace: Workplace, command: list[str]) -> None:
    before = contents_of(workplace.runs)
    result = workplace.read(*command)
    assert result.exit_code == 0, result.output
    assert result.stderr.count(SAID) == 1
    assert "damaged" not in result.output and "corrupt" not in result.output
    after = contents_of(workplace.runs)
    assert {name: after[name] for name in before} == before


def test_json_output_of_commands_counts_old_trials(workplace: Workplace) -> None:
    for command in (["status", "--json"], ["plan", "--no-probe", "--json"]):
        document = json.loads(workplace.read(*command).stdout)
        assert document["trials_of_earlier_editions"] == 2
    status = json.loads(workplace.read("status", "--json").stdout)
    assert {state: count for state, count in status["counts"].items() if count} == {"waiting": 2}


def test_a_run_keeps_old_trials_and_their_table_unless_asked_to_replace_them(workplace: Workplace) -> None:
    write_first_table(workplace.results / "small")
    trials, table = contents_of(workplace.runs / "trials"), contents_of(workplace.results / "small")
    result = workplace.run()
    assert result.exit_code == 0, result.output
    assert SAID in result.stderr and "damaged" not in result.output
    assert (
        f"{workplace.results / 'small'} holds the finished table of the first edition of the recipes and stays" in result.stderr
    )
    assert contents_of(workplace.results / "small") == table
    (own,) = workplace.results.glob("small.*")
    assert json.loads((own / "provenance.json").read_text())["edition"] == SCHEMA_VERSION
    assert {name: content for name, content in contents_of(workplace.runs / "trials").items() if name in trials} == trials
    replaced = workplace.run("--replace")
    assert "the table of the first edition of the recipes that was in" in replaced.stderr
    assert contents_of(workplace.results / f"small.{PLAN}") == table
    assert owner_in(workplace.results / "small") == "another plan"


def test_the_page_of_runs_explains_runs_without_a_tag(workplace: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ui, "_serve", lambda *given: None)
    result = workplace.fsl("ui", "--runs-root", workplace.runs)
    assert result.exit_code == 0 and SAID in result.stderr
    assert "runs of the first edition lack the tag fsl.edition" in result.stderr


def test_a_different_sweep_file_of_the_same_name_is_refused_with_its_edition(tmp_path: Path, store: Store) -> None:
    folder = store.runs_root / "sweeps" / "tiny"
    check_name_is_free(folder, tiny_plan(tmp_path))
    (tmp_path / "elsewhere").mkdir()
    other = tiny_plan(tmp_path / "elsewhere")
    with pytest.raises(SweepNameError, match="launched here on 2025-01-01 under the first edition of the recipes"):
        check_name_is_free(folder, other)
    record_launch(folder, other)
    assert {launch.edition for launch in read_launches(folder.parent).by_file.values()} == {1, SCHEMA_VERSION}
    (tmp_path / "third").mkdir()
    third = tiny_plan(tmp_path / "third", only=("distance=cosine",))
    third.spec.file.write_text(third.spec.file.read_text() + "# edited")
    with pytest.raises(SweepNameError) as refused:
        check_name_is_free(folder, third)
    assert "edition" not in str(refused.value)


def test_gc_keeps_trials_of_a_launch_and_shows_their_edition(store: Store) -> None:
    assert leftovers(store) == {}
    (kept,) = kept_trials(store, wanted_trials(store.runs_root, sweeps=()))
    assert kept.trials == 2 and kept.lets_go == f"fsl gc --forget tiny/{PLAN}"
    assert kept.why.startswith("of the first edition of the recipes, which no sweep can use, wanted by the launch of 2025")


def test_gc_removes_a_forgotten_launch_and_gives_the_reason(tmp_path: Path, store: Store) -> None:
    why = "a trial of the first edition of the recipes, which no sweep can use, that no launch and no sweep file names"
    gone = {f"trials/{DONE}": why, f"trials/{STOPPED}": why}
    shown = {"sweeps/tiny/mlflow/whole.json": "what MLflow shall show of a launch, to be forgotten"}
    launch = {f"sweeps/tiny/launches/{PLAN}.json": "the record of a launch, to be forgotten"}
    assert leftovers(store, forget=("tiny",)) == gone | shown | launch
    today = tiny_plan(tmp_path)
    record_launch(sweep_folder(store.runs_root, today), today)
    Outbox(store.runs_root).write(shown_sweep(today, SweepContext()))
    assert leftovers(store, forget=(f"tiny/{PLAN}",)) == gone | launch
    removed = remove_leftovers(store.runs_root, lambda: found(store, forget=(f"tiny/{PLAN}",)))
    assert len(removed) == 3 and not list(store.trials.iterdir())


def test_gc_lists_trials_of_unknown_launches_separately(tmp_path: Path) -> None:
    write_first_edition(tmp_path / "runs", "tiny", source=tmp_path / "tiny.yaml", launch=False)
    store = Store(tmp_path / "runs")
    (kept,) = kept_trials(store, wanted_trials(store.runs_root, sweeps=()))
    assert kept.why.startswith("of the first edition of the recipes, which no sweep can use, from before launches were")
    assert set(leftovers(store, unrecorded=True)) == {f"trials/{DONE}", f"trials/{STOPPED}"}


def found(store: Store, **given: Any) -> list[Leftover]:
    return list(find_leftovers(store, wanted_trials(store.runs_root, sweeps=(), **given)))


def leftovers(store: Store, **given: Any) -> dict[str, str]:
    return {str(each.path.relative_to(store.runs_root)): each.why for each in found(store, **given)}


def test_the_old_mlflow_view_is_not_sent_again(tmp_path: Path, store: Store) -> None:
    """Otherwise its trials, whose recipes are readable, would appear in the store under current names."""
    outbox = Outbox(store.runs_root)
    (path,) = outbox.paths()
    assert outbox.read(path) is None and outbox.edition(path) == 1
    shown = shown_sweep(tiny_plan(tmp_path), SweepContext())
    outbox.write(shown)
    assert outbox.edition(outbox.path(shown)) == SCHEMA_VERSION and outbox.read(outbox.path(shown)) == shown


def test_a_sweep_has_one_parent_run_per_edition(tmp_path: Path) -> None:
    plan = tiny_plan(tmp_path)
    today = run_tags.sweep_tags(shown_sweep(plan, SweepContext()))
    before = {key: value for key, value in today.items() if key != run_tags.EDITION}
    assert run_tags.identity(today) != run_tags.identity(before) is not None
    assert run_tags.trial_tags(shown_sweep(plan, SweepContext()), plan.trials[0])[run_tags.EDITION] == str(SCHEMA_VERSION)


def test_costs_of_the_first_edition_are_kept_and_not_used(tmp_path: Path) -> None:
    path = tmp_path / "cost.json"
    test_remembered.probes(path).write({test_remembered.WORK: quiet(0.5)})
    written = json.loads(path.read_text())
    (before,) = written["probes"]
    del before["edition"]
    path.write_text(json.dumps(written))
    assert test_remembered.probes(path).read() == NOTHING_REMEMBERED
    test_remembered.probes(path).write({test_remembered.WORK: quiet(9.0)})
    assert list(test_remembered.known(path).values()) == [quiet(9.0)]
    assert [entry["edition"] for entry in json.loads(path.read_text())["probes"]] == [1, SCHEMA_VERSION]
    assert datetime.datetime.fromisoformat(before["at"]) == test_remembered.NOW


def test_old_trials_predict_no_cost(workplace: Workplace) -> None:
    """Their seconds measure other work: a plan without probes knows no cost."""
    document = json.loads(workplace.read("plan", "--no-probe", "--json").stdout)
    assert {trial["predicted_from"] for trial in document["trials"]} == {"unknown"}
