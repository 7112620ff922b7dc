"""Which precisions a launch's trainings multiply in, and whether its device has them."""

from __future__ import annotations

from collections.abc import Mapping

from fsl_core.errors import ExecutionPathError
from fsl_core.recipe.matmul_precision import device_has
from orchestrator.records.trial_record import TrialRecord
from orchestrator.sweep.plan import Plan


def reject_missing_precision(plan: Plan, records: Mapping[str, TrialRecord], device: str) -> None:
    """Refuse to train on a device without the precision that a recipe asks for. Trials that are trained are scored anywhere.

    Raises:
        ExecutionPathError: with the setting, its value, and how many trials ask for it.
    """
    asking = [
        trial
        for trial in plan.trials
        if records[trial.fingerprint].result is None and not device_has(device, trial.recipe.matmul_precision)
    ]
    if asking:
        precision = asking[0].recipe.matmul_precision
        raise ExecutionPathError(
            f"matmul_precision is {precision!r} in {len(asking)} of {len(plan.trials)} trials, and device is {device!r}, which does not "
            "have it; run them on CUDA, or give matmul_precision: float32"
        )
