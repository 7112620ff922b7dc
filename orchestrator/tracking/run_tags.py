"""The tags of runs: those by which they are found again, and those that say where a run belongs and what code made it."""

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
"""A longer value would be cut by MLflow, in silence."""


def identity(tags: Mapping[str, str]) -> str | None:
    """What a run is the run of: one trial, or one sweep under one set of overrides and one edition of the recipes.

    None for a run that is not ours. The first edition gave its runs no tag of it.
    """
    if tags.get(KIND) == "sweep":
        return f"sweep {tags.get(OVERRIDES)} {tags.get(EDITION, str(FIRST_EDITION))}"
    return tags.get(FINGERPRINT)


def sweep_tags(shown: ShownSweep) -> dict[str, str]:
    """The identity of a sweep's parent run. A sweep with overrides has its own: its table is another one."""
    overrides = fitting("; ".join(shown.overrides)) or "none"
    return {KIND: "sweep", SWEEP: shown.name, OVERRIDES: overrides, EDITION: str(SCHEMA_VERSION)}


def trial_tags(shown: ShownSweep, trial: PlannedTrial) -> dict[str, str]:
    """The identity of a trial's run."""
    return {KIND: "trial", SWEEP: shown.name, FINGERPRINT: trial.fingerprint, EDITION: str(SCHEMA_VERSION)}


def membership_tags(shown: ShownSweep, trial: PlannedTrial, parent_id: str, tags: Mapping[str, str]) -> dict[str, str]:
    """The cells that a trial serves and its parent run, given the tags that its run has.

    A sweep with overrides adds its cells to a run of the whole sweep, and does not take the run away from it.
    """
    shared = bool(shown.overrides) and PARENT in tags
    before = tags.get(CELLS, "").split("; ") if shared else []
    cells = dict.fromkeys(filter(None, [*before, *trial.cells]))
    note = "\n".join(["One training, which serves:", "", *(f"- {cell}" for cell in cells)])
    return {CELLS: fitting("; ".join(cells)), NOTE: fitting(note), PARENT: tags[PARENT] if shared else parent_id}


def provenance_tags(context: SweepContext) -> dict[str, str]:
    """The code and the command of a launch, as far as they are known."""
    tags = {
        "mlflow.source.git.commit": context.git_commit,
        "mlflow.source.name": context.command,
        "mlflow.source.type": "LOCAL",
        "fsl.git_dirty": None if context.git_dirty is None else str(context.git_dirty).lower(),
    }
    return {key: fitting(value) for key, value in tags.items() if value}


def fitting(text: str) -> str:
    """The text as a tag's value; one that is too long is cut at the end of a line and says so."""
    if len(text) <= MOST_CHARACTERS:
        return text
    note = "\n\n(cut here: the whole of it is among the artifacts)"
    kept = text[: MOST_CHARACTERS - len(note)]
    return (kept.rpartition("\n")[0] or kept) + note
