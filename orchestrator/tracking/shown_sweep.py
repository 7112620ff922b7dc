"""The MLflow view of a sweep, without its trials' records, as a value that a later command can read and show."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fsl_core.errors import RecipeError
from fsl_core.provenance import now
from fsl_core.recipe.edition import FIRST_EDITION, edition_name
from fsl_core.recipe.fingerprint import SCHEMA_VERSION, as_plain, from_plain
from fsl_core.recipe.recipe import Evaluation, TrainingRecipe
from orchestrator.sweep.plan import Plan, PlannedTrial
from orchestrator.sweep.tracking_address import without_password

OWN_STORE = "default"
"""The key of a runs folder's own store, wherever the folder is."""


@dataclass(frozen=True, kw_only=True)
class SweepContext:
    """The context of a launch: the code's commit, whether the tree was dirty, and the command."""

    git_commit: str | None = None
    git_dirty: bool | None = None
    command: str | None = None


@dataclass(frozen=True, kw_only=True)
class ShownTable:
    """A sweep's table in Markdown, its files, and a summary in metrics; ``complete`` says that no trial is missing."""

    files: tuple[Path, ...]
    markdown: str
    complete: bool
    summary: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ShownSweep:
    """A sweep as one launch shows it: its texts, its file, its trials, and its table once it exists.

    ``document`` is the text of the sweep file without passwords; ``since``, the start, distinguishes launches. ``store`` is the key, by
    :func:`~orchestrator.tracking.tracking_uri.store_key`, of the only store that this may be sent to.
    """

    name: str
    title: str
    description: str
    overrides: tuple[str, ...]
    document: str
    trials: tuple[PlannedTrial, ...]
    context: SweepContext
    table: ShownTable | None = None
    since: str = field(default_factory=now)
    store: str = OWN_STORE

    @property
    def digest(self) -> str:
        """The digest of the whole value."""
        return hashlib.sha256(json.dumps(self.as_plain(), sort_keys=True).encode()).hexdigest()[:32]

    @property
    def wanted(self) -> Mapping[str, tuple[str, ...]]:
        """The fingerprints of the evaluations wanted of each trial, by the trial's fingerprint, as in the record of a launch."""
        return {trial.fingerprint: tuple(each.fingerprint for each in trial.evaluations) for trial in self.trials}

    def as_plain(self) -> dict[str, Any]:
        """The value as JSON types."""
        return {
            "edition": SCHEMA_VERSION,
            "name": self.name,
            "title": self.title,
            "description": self.description,
            "overrides": list(self.overrides),
            "document": self.document,
            "trials": [_plain_trial(trial) for trial in self.trials],
            "context": dataclasses.asdict(self.context),
            "table": None if self.table is None else {**vars(self.table), "files": [str(path) for path in self.table.files]},
            "since": self.since,
            "store": self.store,
        }


def shown_sweep(plan: Plan, context: SweepContext) -> ShownSweep:
    """The view of a launch before its table exists."""
    spec = plan.spec
    return ShownSweep(
        name=spec.name,
        title=spec.title,
        description=spec.description,
        overrides=spec.overrides,
        document=_document(spec.file),
        trials=plan.trials,
        context=context,
    )


def _document(source: Path) -> str:
    """The sweep file's text; empty where the file no longer exists."""
    try:
        return without_password(source.read_text(encoding="utf-8"))
    except OSError:
        return ""


def shown_sweep_from_plain(plain: Mapping[str, Any]) -> ShownSweep:
    """The inverse of :meth:`ShownSweep.as_plain`.

    Raises KeyError, TypeError or RecipeError where the value is invalid or of another edition of the recipes.
    """
    if edition_shown(plain) != SCHEMA_VERSION:
        raise RecipeError(f"the view is of the {edition_name(edition_shown(plain))} of the recipes")
    table = plain["table"]
    return ShownSweep(
        **{
            **{key: value for key, value in plain.items() if key != "edition"},
            "overrides": tuple(plain["overrides"]),
            "trials": tuple(map(_trial_from_plain, plain["trials"])),
            "context": SweepContext(**plain["context"]),
            "table": None if table is None else ShownTable(**{**table, "files": tuple(map(Path, table["files"]))}),
        }
    )


def edition_shown(plain: Mapping[str, Any]) -> int:
    """The edition of the recipes that a view is of: the first where it names none. Raises TypeError where it is no number."""
    edition = plain.get("edition", FIRST_EDITION)
    if type(edition) is not int:
        raise TypeError(f"no edition: {edition!r}")
    return edition


def _plain_trial(trial: PlannedTrial) -> dict[str, Any]:
    evaluations = [as_plain(evaluation) for evaluation in trial.evaluations]
    return {**vars(trial), "recipe": as_plain(trial.recipe), "evaluations": evaluations, "cells": list(trial.cells)}


def _trial_from_plain(plain: Mapping[str, Any]) -> PlannedTrial:
    evaluations = tuple(from_plain(Evaluation, each) for each in plain["evaluations"])
    recipe = from_plain(TrainingRecipe, plain["recipe"])
    return PlannedTrial(**{**plain, "recipe": recipe, "evaluations": evaluations, "cells": tuple(plain["cells"])})
