"""What is known of a trial, all in one: its result, its scores, how it was executed, why it failed, how far it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from fsl_core.recipe.fingerprint import SCHEMA_VERSION
from fsl_core.training.result import EvaluationResult, TrialResult
from fsl_core.training.trial_records import ExecutionRecord, FailureRecord, ProgressRecord


@dataclass(frozen=True, kw_only=True)
class TrialRecord:
    """All that a trial's folder says; ``evaluations`` by their fingerprints. What is missing is None.

    ``edition`` is that of the recipes which the trial is of. One of an earlier edition has neither a result nor scores here: what its
    folder holds of them is kept, and is no number of today.
    ``unsealed`` names the files without a digest of their own content, from before records had one: an edit of them shows nowhere.
    """

    fingerprint: str
    result: TrialResult | None = None
    evaluations: Mapping[str, EvaluationResult] = field(default_factory=dict)
    execution: ExecutionRecord | None = None
    failure: FailureRecord | None = None
    progress: ProgressRecord | None = None
    unsealed: tuple[str, ...] = ()
    edition: int = SCHEMA_VERSION
