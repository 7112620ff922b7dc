"""A table never lands on the table of another plan of the same name."""

import json
from pathlib import Path

import pytest

from orchestrator.plan import Plan
from orchestrator.report.place import UNKNOWN, cleared_folder, free_folder, plan_in
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


def test_each_plan_keeps_one_table_whichever_has_the_place(tmp_path: Path, plans: tuple[Plan, Plan]):
    folder, (one, other) = tmp_path / "report", plans
    for plan in (one, other, one, other, other):
        assert cleared_folder(folder, plan)[0] == folder
        assert plan_in(folder) in (None, plan.fingerprint)
        table_of(plan, folder)
    assert {path.name: plan_in(path) for path in tmp_path.glob("report*")} == {
        "report": other.fingerprint, f"report.{one.fingerprint}": one.fingerprint,
    }  # fmt: skip
