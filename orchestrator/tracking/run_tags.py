"""The tags of runs: their identity, the sweep and cells they belong to, and the code that computed them."""

from __future__ import annotations

from collections.abc import Mapping

from fsl_core.recipe.edition import FIRST_EDITION
from fsl_core.recipe.fingerprint import SCHEMA_VERSION
from orchestrator.sweep.plan import PlannedTrial
from orchestrator.tracking.shown_sweep import ShownSweep, SweepContext

KIND, SWEEP, OVERRIDES = "fsl.kind", "fsl.sweep", "fsl.overrides"
FINGERPRINT, CELLS = "fsl.fingerprint", "fsl.cells"
EDITION = "fsl.edition"
SYNCED = "fsl.synced"
CONFIRMED = "fsl.confirmed"
PARENT, NOTE = "mlflow.parentRunId", "mlflow.note.content"

MOST_CHARACTERS = 8000
"""MLflow silently cuts longer values."""


def identity(tags: Mapping[str, str]) -> str | None:
    """The identity of a run: one trial, or one sweep with its overrides and edition of the recipes.

    None for a run that is not ours. A run without a tag for the edition is of the first one.
    """
    if tags.get(KIND) == "sweep":
        return f"sweep {tags.get(OVERRIDES)} {tags.get(EDITION, str(FIRST_EDITION))}"
    return tags.get(FINGERPRINT)


def sweep_tags(shown: ShownSweep) -> dict[str, str]:
    """The identity of a sweep's parent run. A sweep with overrides has its own, because its table differs."""
    overrides = fitting("; ".join(shown.overrides)) or "none"
    return {KIND: "sweep", SWEEP: shown.name, OVERRIDES: overrides, EDITION: str(SCHEMA_VERSION)}


def trial_tags(shown: ShownSweep, trial: PlannedTrial) -> dict[str, str]:
    """The identity of a trial's run."""
    return {KIND: "trial", SWEEP: shown.name, FINGERPRINT: trial.fingerprint, EDITION: str(SCHEMA_VERSION)}


def membership_tags(shown: ShownSweep, trial: PlannedTrial, parent_id: str, tags: Mapping[str, str]) -> dict[str, str]:
    """The cells that a trial serves and its parent run, given the current tags of its run.

    A sweep with overrides adds its cells to a run of the whole sweep, which stays that run's parent.
    """
    shared = bool(shown.overrides) and PARENT in tags
    before = tags.get(CELLS, "").split("; ") if shared else []
    cells = dict.fromkeys(filter(None, [*before, *trial.cells]))
    note = "\n".join(["One training, which serves:", "", *(f"- {cell}" for cell in cells)])
    return {CELLS: fitting("; ".join(cells)), NOTE: fitting(note), PARENT: tags[PARENT] if shared else parent_id}


def provenance_tags(context: SweepContext) -> dict[str, str]:
    """The code and the command of a launch, where they are known."""
    tags = {
        "mlflow.source.git.commit": context.git_commit,
        "mlflow.source.name": context.command,
        "mlflow.source.type": "LOCAL",
        "fsl.git_dirty": None if context.git_dirty is None else str(context.git_dirty).lower(),
    }
    return {key: fitting(value) for key, value in tags.items() if value}


def fitting(text: str) -> str:
    """The text as a tag's value; a longer text is cut at the end of a line, with a note."""
    if len(text) <= MOST_CHARACTERS:
        return text
    note = "\n\n(cut here: the full text is among the artifacts)"
    kept = text[: MOST_CHARACTERS - len(note)]
    return (kept.rpartition("\n")[0] or kept) + note
