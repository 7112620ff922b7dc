"""Writes the trials that a sweep lacks into folders that a machine without the orchestrator can train."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from fsl_core.atomic_file import write_atomically
from fsl_core.datasets.catalogue import open_dataset, prepared_folder
from fsl_core.recipe.data_settings import DataSettings
from fsl_core.recipe.edition import edition_name
from fsl_core.recipe.fingerprint import SCHEMA_VERSION
from fsl_core.training.trial_folder import TrialFolder
from fsl_core.training.trial_request import TrialRequest
from orchestrator.records.trial_record import TrialRecord
from orchestrator.sweep.plan import Plan, PlannedTrial

_README = """Trials of the sweep {sweep}, to be trained on another machine

Each folder is one trial, named by its recipe's fingerprint; its request.json says what is wanted. The other machine
needs this version of few-shot-sweeps with torch, numpy and Pillow, and the images or their source. There:

    python -m fsl_core.train {folder}/* --data-root DATA --prepared PREPARED

PREPARED is a folder of prepared images, such as the folder data of a runs folder; what it lacks is prepared there
from DATA. The same command resumes, and several processes may share the trials. Copy the folder back, then:

    fsl bring {folder}
    fsl run {source}     (with the --set, --only and --seeds of the plan)

Edition: the {edition} of the recipes. Digests of the images:
{digests}
"""


def write_requests(
    plan: Plan, records: Mapping[str, TrialRecord], folder: Path, *, data_root: Path | None, cache_root: Path
) -> tuple[PlannedTrial, ...]:
    """Ask in ``folder`` for every trial of the plan that is not trained; what is there of earlier work on one stays. Returns the trials.

    The digest of the images goes with the request where they are prepared here; no image is prepared for it.
    """
    wanted = tuple(trial for trial in plan.trials if records[trial.fingerprint].result is None)
    digests = {data: _digest(data, data_root, cache_root) for data in dict.fromkeys(trial.recipe.data for trial in wanted)}
    for trial in wanted:
        request = TrialRequest(
            name=trial.full_name, recipe=trial.recipe, evaluations=trial.evaluations, data_digest=digests[trial.recipe.data]
        )
        TrialFolder.at(folder / trial.fingerprint).write_request(request)
    if wanted:
        write_atomically(folder / "README.txt", _readme(plan, folder, digests).encode())
    return wanted


def _digest(data: DataSettings, data_root: Path | None, cache_root: Path) -> str | None:
    if not prepared_folder(data, cache_root).exists():
        return None
    return open_dataset(data, data_root=data_root, cache_root=cache_root).digest


def _readme(plan: Plan, folder: Path, digests: Mapping[DataSettings, str | None]) -> str:
    lines = [f"  {data.dataset} ({data.split}): {digest or 'unknown, not prepared yet'}" for data, digest in digests.items()]
    return _README.format(
        sweep=plan.spec.name,
        folder=folder.name,
        source=plan.spec.file.name,
        edition=edition_name(SCHEMA_VERSION),
        digests="\n".join(lines),
    )
