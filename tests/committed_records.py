"""The committed results folders, and the records behind one, put together again from its own exports."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from fsl_core.episodes.episode_classes import EpisodeClasses
from fsl_core.recipe.recipe import Evaluation
from fsl_core.training.result import EvaluationResult, TrialResult
from fsl_core.training.trial_records import ExecutionRecord, ProgressRecord, ScoringRecord
from orchestrator.records.trial_record import TrialRecord
from orchestrator.report.identifiers import PREFIXES
from orchestrator.sweep.plan import Plan, PlannedTrial
from tests.counts_by_step import counts_like

ROOT = Path(__file__).resolve().parents[1]
RESULTS = sorted(path.parent for path in (ROOT / "results").glob("*/table.json"))
"""The committed folders that today's code makes again from their records."""
FIRST_EDITION = sorted(path.parent for path in (ROOT / "results" / "first_edition").glob("*/table.json"))
"""Those of the first edition of the recipes: they must agree with themselves, and are never made again."""
COMMITTED = (*RESULTS, *FIRST_EDITION)

_STATES = {"complete": "done", "running": "stopped", "pending": "waiting"}
"""What exports of earlier versions call a trial's state, and what it is called now."""

_BEGUN = ProgressRecord(step=0, steps=0, best=None, train_seconds=0, attempts=1, started_at="", at="")


FORMERLY = {
    "fingerprint": "trial_id",
    "evaluation": "evaluation_id",
    "order": "maml_order",
    "query": "query_per_class",
    "value": "measured",
}
"""Columns of earlier exports by their names of today."""


def read_export(folder: Path, name: str) -> pd.DataFrame:
    """An export of a folder, today's or an earlier one, with the columns of today.

    Fingerprints, digests and versions are bare and accuracies of curves in 0..1, as in records; times are texts.
    """
    table = pd.read_parquet(folder / f"{name}.parquet").rename(columns=FORMERLY)
    for column in set(table.columns) & set(PREFIXES):
        table[column] = table[column].str.removeprefix(PREFIXES[column])
    for column in table.select_dtypes("datetimetz"):
        table[column] = (
            table[column].map(lambda time: time.isoformat(timespec="milliseconds"), na_action="ignore").astype("string")
        )
    if "unit" in table:
        table["measured"] = table["measured"].where(table["unit"] != "percent", table["measured"] / 100)
    return table


class CommittedResults:
    """A folder under ``results/``, read back.

    What its exports leave out is made up, alike for all, and shows in nothing: the seconds of each evaluation, the counts after
    each adaptation step, of which their mean and their interval are known.
    """

    def __init__(self, folder: Path) -> None:
        self.provenance: dict[str, Any] = json.loads((folder / "provenance.json").read_text())
        self._trials = read_export(folder, "trials").set_index("trial_id")
        self._episodes = read_export(folder, "episodes").groupby(["trial_id", "evaluation_id"])
        adapts = (folder / "adaptation.parquet").is_file()
        self._steps = read_export(folder, "adaptation").groupby(["trial_id", "evaluation_id"]) if adapts else None
        self._curves = read_export(folder, "curves").groupby(["trial_id", "metric"])

    def run_ids(self) -> dict[str, str]:
        """The MLflow runs of the trials that had one."""
        return {str(name): str(run) for name, run in self._trials["mlflow_run_id"].dropna().items()}

    def records(self, plan: Plan) -> dict[str, TrialRecord]:
        """The record of every trial of a plan; an empty one for a trial that the folder does not list."""
        return {
            trial.fingerprint: self._record(trial)
            if trial.fingerprint in self._trials.index
            else TrialRecord(fingerprint=trial.fingerprint)
            for trial in plan.trials
        }

    def _record(self, trial: PlannedTrial) -> TrialRecord:
        row = self._trials.loc[trial.fingerprint]
        state = _STATES.get(row["status"], row["status"])
        if state not in ("done", "diverged"):
            return TrialRecord(fingerprint=trial.fingerprint, progress=_BEGUN if state == "stopped" else None)
        result = TrialResult(
            recipe=trial.recipe,
            status="complete" if state == "done" else "diverged",
            stopped_by=row["stopped_by"],
            steps_done=int(row["steps_done"]),
            selected_step=int(row["selected_step"]),
            validation_loss=_known(row.get("validation_loss_nats")),
            validation_accuracy=float(row["validation_accuracy_percent"]) / 100,
            weights_digest=row["weights_digest"],
            data_digest=row["data_digest"],
            curves={
                metric: tuple(zip(map(int, points["step"]), map(float, points["measured"]), strict=True))
                for (name, metric), points in self._curves
                if name == trial.fingerprint
            },
        )
        scores = [self._score(trial, evaluation, row) for evaluation in trial.evaluations]
        evaluations = {score.evaluation.fingerprint: score for score in scores if score is not None}
        execution = self._execution(trial.fingerprint, row, list(evaluations))
        return TrialRecord(fingerprint=trial.fingerprint, result=result, evaluations=evaluations, execution=execution)

    def _score(self, trial: PlannedTrial, evaluation: Evaluation, row: pd.Series[Any]) -> EvaluationResult | None:
        key = (trial.fingerprint, evaluation.fingerprint)
        if key not in self._episodes.groups:
            return None
        episodes = self._episodes.get_group(key).sort_values("episode")
        correct = tuple(map(int, episodes["correct"]))
        return EvaluationResult(
            recipe_fingerprint=trial.fingerprint,
            evaluation=evaluation,
            weights_digest=row["weights_digest"],
            data_digest=row["data_digest"],
            episodes_digest=episodes["episodes_digest"].iloc[0],
            correct=correct,
            answers=tuple(episodes["answers"]),
            classes=_classes(episodes["class_ids"]),
            correct_by_step=None if evaluation.adaptation_steps is None else (*self._on_the_way(key, evaluation), correct),
        )

    def _on_the_way(self, key: tuple[str, str], evaluation: Evaluation) -> list[tuple[int, ...]]:
        """Counts after every adaptation step before the last."""
        assert self._steps is not None
        scores = self._steps.get_group(key).sort_values("adaptation_steps")[:-1]
        return [
            counts_like(accuracy, interval, episodes=evaluation.episodes, queries=evaluation.shape.queries)
            for accuracy, interval in zip(scores["accuracy_percent"], scores["ci95_points"], strict=True)
        ]

    def _execution(self, fingerprint: str, row: pd.Series[Any], evaluations: list[str]) -> ExecutionRecord:
        computed: dict[str, Any] = {
            "host": row["host"],
            "device": "cpu",
            "device_name": row["device"],
            "threads": int(row["threads"]),
            "finished_at": row["finished_at"],
            "git_commit": _known(row["git_commit"]),
            "git_dirty": _known(row["git_dirty"], bool),
            "git_problem": _known(row.get("git_problem")),
            "code_digest": _known(row.get("code_digest")),
            "lock_digest": _known(row["lock_digest"]),
            "versions": self.provenance["trials"][fingerprint]["versions"],
            "peak_memory_bytes": _known(row["peak_memory_bytes"], int),
        }
        seconds = _known(row["evaluation_seconds"], float)
        return ExecutionRecord(
            train_seconds=float(row["train_seconds"]),
            steps=int(row["steps_done"]),
            attempts=int(row["attempts"]),
            started_at=row["started_at"],
            evaluations={
                name: ScoringRecord(seconds=seconds / len(evaluations), **computed) for name in evaluations if seconds is not None
            },
            **computed,
        )


def _classes(ids: Iterable[Sequence[str]]) -> EpisodeClasses:
    """The classes of episodes, which are given by name."""
    rows = [list(row) for row in ids]
    numbers = {name: str(number) for number, name in enumerate(sorted({name for row in rows for name in row}))}
    return EpisodeClasses(tuple(numbers), tuple(" ".join(numbers[name] for name in row) for row in rows))


def _known(value: Any, kind: Callable[[Any], Any] = str) -> Any:
    """A value of an export; None where it is missing, or the export is from before there was such a column."""
    return None if pd.isna(value) else kind(value)
