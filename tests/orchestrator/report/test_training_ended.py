"""A row says how its trainings ended, and one that patience cut short is never taken for a full one."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from fsl_core.training.result import TrialResult
from orchestrator.records.trial_record import TrialRecord
from orchestrator.report.export import frames
from orchestrator.report.published import PublishedCell
from orchestrator.report.table import render
from orchestrator.report.table_rows import CellRow, table_rows
from orchestrator.sweep.plan import Plan
from tests.orchestrator.report.reported_sweep import plan_of, records_of, registries

CORRECT = {0: [74], 1: [73], 2: [75]}
FULL: dict[str, Any] = {"stopped_by": "budget", "steps_done": 10_000, "selected_step": 9_700}
CUT: dict[str, Any] = {"stopped_by": "patience", "steps_done": 4_600, "selected_step": 2_600}
LATER: dict[str, Any] = {"stopped_by": "patience", "steps_done": 9_800, "selected_step": 7_800}
LOST: dict[str, Any] = {
    "status": "diverged", "stopped_by": "divergence", "steps_done": 300, "selected_step": None, "validation_loss": None,
    "validation_accuracy": None, "weights_digest": None,
}  # fmt: skip


def ended(plan: Plan, *endings: dict[str, Any]) -> dict[str, TrialRecord]:
    """The records of a plan whose seeds 0, 1, … ended so; later seeds are missing."""
    records = records_of(plan, {seed: CORRECT[seed] for seed in range(len(endings))})
    for trial in plan.trials:
        result = records[trial.fingerprint].result
        if isinstance(result, TrialResult):
            changed = dataclasses.replace(result, **endings[trial.recipe.seed])
            records[trial.fingerprint] = dataclasses.replace(records[trial.fingerprint], result=changed)
    return records


def planned(folder: Path, *, steps: int = 10_000, retrain: bool = False) -> Plan:
    return plan_of(folder, set_values=[f"steps={steps}", f"retrain={str(retrain).lower()}"])


def row_of(plan: Plan, *endings: dict[str, Any], **stated: int) -> CellRow:
    """The first row, beside published numbers that state these lengths of their training and no other."""
    known = registries()
    cells = {name: tuple(_stating(cell, stated) for cell in numbers) for name, numbers in known.cells.items()}
    return table_rows(plan, ended(plan, *endings), dataclasses.replace(known, cells=cells))[0]


def _stating(cell: PublishedCell, stated: dict[str, int]) -> PublishedCell:
    others = {key: value for key, value in cell.settings.items() if key not in ("steps", "full_steps")}
    return dataclasses.replace(cell, settings={**others, **stated})


@pytest.mark.parametrize(
    ("endings", "words", "cut_short"),
    [
        ([], None, False),
        ([FULL], "budget of 10,000, selected 9,700", False),
        ([CUT], "patience at 4,600 of 10,000, selected 2,600", True),
        ([CUT, CUT, CUT], "patience at 4,600 of 10,000, selected 2,600", True),
        ([CUT, LATER], "patience at 4,600 to 9,800 of 10,000, selected 2,600 to 7,800", True),
        (
            [CUT, FULL, LATER],
            "2 of 3 seeds: patience at 4,600 to 9,800 of 10,000, selected 2,600 to 7,800; "
            "1 of 3 seeds: budget of 10,000, selected 9,700",
            True,
        ),
        ([LOST], "divergence at 300 of 10,000", False),
        ([{**CUT, "steps_done": 10_000, "selected_step": 8_000}], "patience at 10,000 of 10,000, selected 8,000", False),
    ],
)  # fmt: skip
def test_a_row_describes_how_its_trainings_ended(
    tmp_path: Path, endings: list[dict[str, Any]], words: str | None, cut_short: bool
) -> None:
    row = row_of(planned(tmp_path), *endings)
    assert (row.training_ended, row.cut_short) == (words, cut_short)


def test_a_second_training_is_described(tmp_path: Path) -> None:
    """It is as long as the selected step and the patience of 2,000, together."""
    row = row_of(planned(tmp_path, retrain=True), CUT)
    assert row.training_ended == "patience at 4,600 of 10,000, selected 2,600, trained again for 4,600"


def test_an_untrained_network_has_no_training_that_ended(tmp_path: Path) -> None:
    assert row_of(planned(tmp_path, steps=0), {**FULL, "steps_done": 0, "selected_step": 0}).training_ended is None


@pytest.mark.parametrize(("stated", "whose"), [("steps", "the published"), ("full_steps", "a full training's")])
@pytest.mark.parametrize(
    ("endings", "short"),
    [([CUT], ["patience"]), ([LATER], []), ([FULL], []), ([FULL, CUT], ["patience"]), ([LATER, CUT, FULL], ["patience"])],
)
def test_a_training_ended_by_patience_before_the_sources_steps_is_reported(
    tmp_path: Path, stated: str, whose: str, endings: list[dict[str, Any]], short: list[str]
) -> None:
    """Each ending by itself: the one of whole budgets is not short of the source's 9,000."""
    words = row_of(planned(tmp_path), *endings, **{stated: 9_000}).training_ended or ""
    said = [each for each in words.split("; ") if each.endswith(f", short of {whose} 9,000 steps")]
    assert len(said) == len(short) == words.count("short of")
    assert all("patience at 4,600" in each for each in said)


@pytest.mark.parametrize("form", ["text", "md", "latex"])
def test_a_training_cut_short_by_patience_has_a_footnote_in_every_format(tmp_path: Path, form: str) -> None:
    plan = planned(tmp_path)
    cut, full = (render(table_rows(plan, ended(plan, ending), registries()), form, spec=plan.spec) for ending in (CUT, FULL))
    note = "training ended: patience at 4,600 of 10,000, selected 2,600"
    assert note in " ".join(cut.split())
    assert "training ended" not in full


def test_programs_find_every_ending(tmp_path: Path) -> None:
    plan = planned(tmp_path)
    rows = table_rows(plan, ended(plan, FULL), registries())
    words = "budget of 10,000, selected 9,700"
    assert json.loads(render(rows, "json", spec=plan.spec))["cells"][0]["training_ended"] == words
    assert f'"{words}"' in render(rows, "csv", spec=plan.spec)
    assert frames(plan, ended(plan, FULL), rows)["cells"]["training_ended"][0] == words
