"""Everything that is known of a trial: result, scores, execution, failure and progress."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from fsl_core.recipe.fingerprint import SCHEMA_VERSION
from fsl_core.training.result import EvaluationResult, TrialResult
from fsl_core.training.trial_records import ExecutionRecord, FailureRecord, ProgressRecord


@dataclass(frozen=True, kw_only=True)
class TrialRecord:
    """The content of a trial's folder; ``evaluations`` by their fingerprints. A missing record is None.

    ``edition`` is that of the trial's recipe. A trial of an earlier edition has no result and no scores here: its folder keeps them, and
    no table uses them.
    ``unsealed`` names the files without a digest of their own content, written before records had one: edits of them go undetected.
    """

    fingerprint: str
    result: TrialResult | None = None
    evaluations: Mapping[str, EvaluationResult] = field(default_factory=dict)
    execution: ExecutionRecord | None = None
    failure: FailureRecord | None = None
    progress: ProgressRecord | None = None
    unsealed: tuple[str, ...] = ()
    edition: int = SCHEMA_VERSION
