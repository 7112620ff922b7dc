"""A table never lands on the table of another plan of the same name."""

import json
from pathlib import Path

import pytest

from orchestrator.report.folder_owner import UNKNOWN, cleared_folder, free_folder, plan_in
from orchestrator.sweep.plan import Plan
from tests.orchestrator.tracking.tracked_sweep import tiny_plan


@pytest.fixture
def plans(tmp_path: Path) -> tuple[Plan, Plan]:
    return tiny_plan(tmp_path), tiny_plan(tmp_path, only=("distance=cosine",))


def table_of(plan: Plan, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "provenance.json").write_text(json.dumps({"plan": plan.fingerprint}))


def test_a_folder_that_is_absent_empty_or_the_plans_own_is_free(tmp_path: Path, plans: tuple[Plan, Plan]):
    folder = tmp_path / "tiny"
    assert free_folder(folder, plans[0]) == folder
    folder.mkdir()
    assert free_folder(folder, plans[0]) == folder
    table_of(plans[0], folder)
    assert free_folder(folder, plans[0]) == folder
    assert free_folder(folder, plans[1]) == tmp_path / f"tiny.{plans[1].fingerprint}"


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"plan": 3}', '{"plan": "../x"}', "[" * 100_000])
def test_a_folder_that_does_not_say_whose_it_is_is_not_free(tmp_path: Path, plans: tuple[Plan, Plan], content: str):
    folder = tmp_path / "tiny"
    folder.mkdir()
    (folder / "provenance.json").write_text(content)
    assert plan_in(folder) == UNKNOWN
    assert free_folder(folder, plans[0]) != folder


def test_two_tables_that_do_not_say_whose_they_are_are_both_kept(tmp_path: Path, plans: tuple[Plan, Plan]):
    folder, asides = tmp_path / "tiny", []
    for content in ("first", "second", "third"):
        folder.mkdir()
        (folder / "table.md").write_text(content)
        asides.append(cleared_folder(folder, plans[0])[1])
    assert asides == [tmp_path / f"tiny.unknown-{number}" for number in (1, 2, 3)]
    assert [(aside / "table.md").read_text() for aside in asides if aside] == ["first", "second", "third"]


def test_what_lies_in_the_place_aside_and_is_of_another_plan_is_kept(tmp_path: Path, plans: tuple[Plan, Plan]):
    folder, (one, other) = tmp_path / "tiny", plans
    taken = tmp_path / f"tiny.{one.fingerprint}"
    table_of(one, folder), table_of(other, taken)
    (taken / "notes.txt").write_text("mine")
    assert cleared_folder(folder, other)[1] == tmp_path / f"tiny.{one.fingerprint}-1"
    assert (taken / "notes.txt").read_text() == "mine"


def test_each_plan_keeps_one_table_whichever_has_the_place(tmp_path: Path, plans: tuple[Plan, Plan]):
    folder, (one, other) = tmp_path / "report", plans
    for plan in (one, other, one, other, other):
        assert cleared_folder(folder, plan)[0] == folder
        assert plan_in(folder) in (None, plan.fingerprint)
        table_of(plan, folder)
    assert {path.name: plan_in(path) for path in tmp_path.glob("report*")} == {
        "report": other.fingerprint, f"report.{one.fingerprint}": one.fingerprint,
    }  # fmt: skip
