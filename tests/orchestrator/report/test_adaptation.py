"""Accuracy by adaptation step, in the exports and as a figure: where something adapts, and nowhere else."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import pytest

from fsl_core.training.result import EvaluationResult
from orchestrator.records.trial_record import TrialRecord
from orchestrator.report import adaptation_figure as adaptation_module
from orchestrator.report.adaptation_figure import adaptation_figure
from orchestrator.report.canvas import Figure
from orchestrator.report.export import frames
from orchestrator.report.table_rows import table_rows
from orchestrator.sweep.plan import Plan
from tests.orchestrator.report.reported_sweep import finished, plan_of, registries, score
from tests.orchestrator.report.test_figures import BLUE, ORANGE, inked, picture
from tests.orchestrator.report.written_report import write_report_folder

SWEEP = """
name: adapting
title: Adapting
seeds: [0, 1]
fixed: {algorithm: maml, dataset: omniglot, split: vinyals, way: 5, shot: 1, evaluation_episodes: 40, validation_adaptation_steps: 1}
grid: {order: [1, 2], evaluation_adaptation_steps: [0, 2]}
"""


def records_of(plan: Plan, *, apart: int = 0) -> Mapping[str, TrialRecord]:
    """Every trial answers 15 of 75 before it adapts and 15 more after each step; with order 2 ``apart`` more."""
    records = {}
    for trial in plan.trials:
        more = apart if getattr(trial.recipe.algorithm, "order", 1) == 2 else 0
        scores = []
        for evaluation in trial.evaluations:
            steps = evaluation.adaptation_steps or 0
            by_step = tuple((15 * (1 + step) + more,) * evaluation.episodes for step in range(steps + 1))
            whole = score(trial.recipe, dataclasses.replace(evaluation, adaptation_steps=None), [by_step[-1][0]])
            scores.append(dataclasses.replace(whole, evaluation=evaluation, correct_by_step=by_step))
        records[trial.fingerprint] = finished(trial.recipe, scores)
    return records


def test_each_score_has_a_row_for_every_step_up_to_its_own(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, SWEEP)
    assert len(plan.trials) == 4  # the evaluations of one training share it
    table = frames(plan, records_of(plan), ())["adaptation"]
    assert len(table) == 4 * (1 + 3)
    assert sorted(table["adaptation_steps"].unique()) == [0, 1, 2]
    by_step = table.groupby("adaptation_steps")["accuracy_percent"].unique()
    assert [list(values) for values in by_step] == [[pytest.approx(20)], [pytest.approx(40)], [pytest.approx(60)]]


def test_the_report_has_the_figure_and_the_export(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, SWEEP)
    files = {path.name for path in write_report_folder(tmp_path / "report", plan, records_of(plan), registries())}
    assert {"adaptation.png", "adaptation.parquet"} <= files
    pending = {path.name for path in write_report_folder(tmp_path / "pending", plan, {}, registries())}
    assert "adaptation.png" not in pending and "adaptation.parquet" in pending


def test_a_report_without_adaptation_has_neither(tmp_path: Path) -> None:
    files = {path.name for path in write_report_folder(tmp_path / "report", plan_of(tmp_path), {}, registries())}
    assert not {name for name in files if name.startswith("adaptation")}


@pytest.mark.parametrize(
    ("overrides", "blue", "orange"),
    [
        ({}, True, True),
        ({"only": ["order=1"]}, True, False),
        ({"only": ["order=2"]}, False, True),
        ({"set_values": ["steps=0"], "only": ["order=1"]}, False, False),  # the untrained network is grey
    ],
)
def test_each_order_has_its_colour(tmp_path: Path, overrides: dict[str, object], blue: bool, orange: bool) -> None:
    plan = plan_of(tmp_path, SWEEP, **overrides)
    path = adaptation_figure(plan, records_of(plan, apart=5), tmp_path / "adaptation.png")
    assert path is not None
    image = picture(path)
    assert (inked(image, BLUE) > 50, inked(image, ORANGE) > 50) == (blue, orange)


def test_inductive_scores_have_separate_lines_and_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    figures: list[Figure] = []
    monkeypatch.setattr(adaptation_module, "write_figure", lambda figure, path: figures.append(figure) or path)
    plan = plan_of(tmp_path, SWEEP.replace("evaluation_adaptation_steps: [0, 2]", "inductive: [false, true]"))
    assert len(plan.trials) == 4  # the two scorings of one training share it
    adaptation_figure(plan, records_of(plan), tmp_path / "adaptation.png")
    labels = [text.get_text() for text in figures[0].legends[0].get_texts()]
    assert len(labels) == 4 and sum("inductive" in label for label in labels) == 2
    tables = frames(plan, records_of(plan), table_rows(plan, records_of(plan), registries()))
    assert [list(tables[name].groupby("inductive").size()) for name in ("cells", "adaptation", "episodes")] == [
        [2, 2],
        [8, 8],
        [160, 160],
    ]


def test_scores_without_a_step_have_no_figure(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, SWEEP, only=["evaluation_adaptation_steps=0"])
    assert len(frames(plan, records_of(plan), ())["adaptation"]) == 4
    assert adaptation_figure(plan, records_of(plan), tmp_path / "adaptation.png") is None


def spread(record: TrialRecord) -> dict[str, EvaluationResult]:
    """The scores of a record, before the last adaptation step with one episode unlike the others."""
    scores = {}
    for name, known in record.evaluations.items():
        *before, last = known.correct_by_step or ()
        scores[name] = dataclasses.replace(known, correct_by_step=(*((75, *counts[1:]) for counts in before), last))
    return scores


def test_every_point_of_the_figure_has_its_interval(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half the 95% interval over episodes, as in the export."""
    figures: list[Figure] = []
    monkeypatch.setattr(adaptation_module, "write_figure", lambda figure, path: figures.append(figure) or path)
    plan = plan_of(tmp_path, SWEEP)
    records = {name: dataclasses.replace(record, evaluations=spread(record)) for name, record in records_of(plan).items()}
    adaptation_figure(plan, records, tmp_path / "adaptation.png")
    (bars,) = {container.has_yerr for container in figures[0].axes[0].containers}
    assert bars
    first = figures[0].axes[0].containers[0].lines[2][0].get_segments()
    table = frames(plan, records, ())["adaptation"]
    longest = table[table["trial_id" if "trial_id" in table else "fingerprint"] == table.iloc[-1].iloc[0]]
    halves = [(high - low) / 2 for (_, low), (_, high) in first]
    assert halves == pytest.approx(list(longest["ci95_points"].tail(3)))
