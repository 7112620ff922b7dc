"""Combines the seeds of a cell into one number with two error bars."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from fsl_core.episodes.statistics import Z_95, mean, sample_std, standard_error
from fsl_core.training.result import EvaluationResult, TrialResult
from orchestrator.records.trial_record import TrialRecord
from orchestrator.report.class_bootstrap import ci95_classes
from orchestrator.report.episode_spread import EpisodeSpread, measured_spread
from orchestrator.report.seed_spread import Trainings
from orchestrator.report.verdict import Measured
from orchestrator.sweep.plan import Cell


@dataclass(frozen=True, kw_only=True)
class CellScore:
    """The combined score of a cell's finished seeds; accuracies in percent.

    ``ci95_episodes``: half the 95% interval over episodes of the seeds' mean accuracy in each episode. ``std_seeds``: the
    standard deviation of the seeds' accuracies. The two are never pooled, because the seeds share their episodes. ``answers``: the
    correlation of a training's answers in an episode. ``trained``: the results of all seeds whose training ended, even if it diverged.
    ``ci95_classes``: half the 95% interval that covers other test classes, see :mod:`orchestrator.report.class_bootstrap`.
    ``data_digest``: of the images of the seeds combined; None without any. ``code_versions``: how many
    versions of the code, as far as known, computed their trainings.
    """

    measured: Measured | None
    answers: EpisodeSpread | None
    seeds_done: int
    diverged: int
    mixed: str | None
    trained: tuple[TrialResult, ...]
    ci95_classes: float | None = None
    data_digest: str | None = None
    code_versions: int = 0

    @property
    def reproduced(self) -> float | None:
        """The mean accuracy over the finished seeds."""
        return None if self.measured is None else self.measured.accuracy

    @property
    def trainings(self) -> Trainings | None:
        """The spread of the finished seeds; None for fewer than two."""
        found = self.measured
        if found is None or found.std_seeds is None:
            return None
        return Trainings(accuracy=found.accuracy, std=found.std_seeds, seeds=found.seeds)

    @property
    def ci95_episodes(self) -> float | None:
        """Half the 95% interval over episodes."""
        return None if self.measured is None else Z_95 * self.measured.se_episodes

    @property
    def std_seeds(self) -> float | None:
        """The standard deviation over seeds; None for fewer than two."""
        return None if self.measured is None else self.measured.std_seeds


def score_cell(cell: Cell, records: Mapping[str, TrialRecord]) -> CellScore:
    """Combine the finished seeds of a cell, without those whose images or episodes differ from the first seed's."""
    finished: list[tuple[EvaluationResult, str | None]] = []
    trained: list[TrialResult] = []
    for recipe in cell.recipes:
        record = records.get(recipe.fingerprint)
        if record is None or record.result is None:
            continue
        trained.append(record.result)
        score = record.evaluations.get(cell.evaluation.fingerprint)
        if score is not None:
            finished.append((score, record.execution.code_digest if record.execution else None))
    combined = [(score, code) for score, code in finished if _questions(score) == _questions(finished[0][0])]
    alike = [score for score, _ in combined]
    left_out = len(finished) - len(alike)
    mixed = f"{left_out} of {len(finished)} seeds left out: they saw other images or episodes" if left_out else None
    diverged = sum(result.status == "diverged" for result in trained)
    by_episode = [100 * mean(accuracies) for accuracies in zip(*(score.accuracies for score in alike), strict=True)]
    return CellScore(
        measured=_measure(alike, by_episode),
        answers=_answers(alike),
        seeds_done=len(alike),
        diverged=diverged,
        mixed=mixed,
        trained=tuple(trained),
        ci95_classes=ci95_classes(np.array(by_episode), alike[0].classes.characters()) if alike else None,
        data_digest=alike[0].data_digest if alike else None,
        code_versions=len({code for _, code in combined if code is not None}),
    )


def _questions(score: EvaluationResult) -> tuple[str, str]:
    return score.data_digest, score.episodes_digest


def _measure(scores: list[EvaluationResult], by_episode: list[float]) -> Measured | None:
    if not scores:
        return None
    by_seed = [100 * score.accuracy for score in scores]
    return Measured(
        accuracy=mean(by_seed),
        seeds=len(scores),
        episodes=len(by_episode),
        se_episodes=standard_error(by_episode),
        std_seeds=sample_std(by_seed) if len(scores) > 1 else None,
    )


def _answers(scores: list[EvaluationResult]) -> EpisodeSpread | None:
    if not scores:
        return None
    variance = mean([sample_std(score.accuracies) ** 2 for score in scores])
    return measured_spread(
        100 * mean([score.accuracy for score in scores]), 100 * math.sqrt(variance), scores[0].evaluation.shape.queries
    )
