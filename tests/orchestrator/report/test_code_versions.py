"""A row says when more than one version of the code computed its seeds."""

import dataclasses
import json
from pathlib import Path

import pytest

from orchestrator.records.trial_record import TrialRecord
from orchestrator.report.export import frames
from orchestrator.report.table import render
from orchestrator.report.table_rows import table_rows
from orchestrator.sweep.plan import Plan
from tests.orchestrator.report.reported_sweep import plan_of, records_of, registries

NOTE = "2 versions of the code, of one edition of the recipes, computed the seeds; provenance.json has the digest of each"


def trained_by(plan: Plan, *codes: str | None) -> dict[str, TrialRecord]:
    """The records of a plan: these versions of the code, None if unknown, computed its seeds 0, 1, …; later seeds are missing."""
    records = records_of(plan, {seed: [74] for seed in range(len(codes))})
    for trial in plan.trials:
        execution = records[trial.fingerprint].execution
        if execution is not None:
            execution = dataclasses.replace(execution, code_digest=codes[trial.recipe.seed])
            records[trial.fingerprint] = dataclasses.replace(records[trial.fingerprint], execution=execution)
    return records


@pytest.mark.parametrize(
    ("codes", "versions"),
    [
        ((), 0),
        (("a",), 1),
        (("a", "a", "a"), 1),
        (("a", "b"), 2),
        (("a", "b", "a"), 2),
        (("a", "b", "c"), 3),
        ((None, "a"), 1),
        ((None, None), 0),
    ],
)
def test_a_row_counts_the_versions_of_the_code_of_its_seeds(tmp_path: Path, codes: tuple[str | None, ...], versions: int) -> None:
    plan = plan_of(tmp_path)
    rows = table_rows(plan, trained_by(plan, *codes), registries())
    assert [row.code_versions for row in rows] == [versions, versions]
    assert ("versions of the code" in render(rows, "md", spec=plan.spec)) == (versions > 1)


@pytest.mark.parametrize("form", ["text", "md", "latex"])
def test_several_versions_have_a_footnote_in_every_format(tmp_path: Path, form: str) -> None:
    plan = plan_of(tmp_path)
    shown = render(table_rows(plan, trained_by(plan, "a", "b"), registries()), form, spec=plan.spec)
    assert NOTE in " ".join(shown.split())


def test_programs_find_the_count(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    records = trained_by(plan, "a", "b", "b")
    rows = table_rows(plan, records, registries())
    assert json.loads(render(rows, "json", spec=plan.spec))["cells"][0]["code_versions"] == 2
    assert list(frames(plan, records, rows)["cells"]["code_versions"]) == [2, 2]


def test_a_seed_that_the_numbers_leave_out_is_not_counted(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    records = trained_by(plan, "a", "b")
    for trial in plan.trials:
        if trial.recipe.seed == 1:
            record = records[trial.fingerprint]
            records[trial.fingerprint] = dataclasses.replace(
                record,
                evaluations={
                    name: dataclasses.replace(score, data_digest="others") for name, score in record.evaluations.items()
                },
            )
    assert [row.code_versions for row in table_rows(plan, records, registries())] == [1, 1]
