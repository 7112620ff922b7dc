"""Chooses a table's folder, so that it never overwrites the table of another plan with the same name."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from fsl_core.recipe.edition import FIRST_EDITION, edition_name
from fsl_core.recipe.fingerprint import SCHEMA_VERSION
from orchestrator.sweep.plan import Plan

UNKNOWN = "unknown"
"""Stands for the plan of a folder that names none."""


def plan_in(folder: Path) -> str | None:
    """The fingerprint of the plan whose table a folder holds; None for a folder that is absent or empty."""
    if not folder.is_dir() or not any(folder.iterdir()):
        return None
    try:
        plan = json.loads((folder / "provenance.json").read_bytes())["plan"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return UNKNOWN
    return plan if isinstance(plan, str) and plan.isalnum() else UNKNOWN


def owner_in(folder: Path) -> str:
    """The owner of a folder's table in words: ``another plan``, or the edition where it is an earlier one."""
    try:
        edition = json.loads((folder / "provenance.json").read_bytes()).get("edition", FIRST_EDITION)
    except (OSError, ValueError, AttributeError, RecursionError):
        return "another plan"
    earlier = isinstance(edition, int) and edition != SCHEMA_VERSION
    return f"the {edition_name(edition)} of the recipes" if earlier else "another plan"


def free_folder(folder: Path, plan: Plan) -> Path:
    """The folder itself, or ``<folder>.<plan>`` beside it where it holds the table of another plan."""
    return folder if plan_in(folder) in (None, plan.fingerprint) else folder.with_name(f"{folder.name}.{plan.fingerprint}")


def cleared_folder(folder: Path, plan: Plan) -> tuple[Path, Path | None]:
    """The folder itself, and the new place of another plan's table that it held: ``<folder>.<that plan>``.

    A table of an unknown plan is moved to the next free ``<folder>.unknown-<n>``. A table of this plan that was set aside is moved back.
    """
    other, aside = plan_in(folder), None
    own = folder.with_name(f"{folder.name}.{plan.fingerprint}")
    if other not in (None, plan.fingerprint):
        aside = _place_aside(folder, other)
        folder.rename(aside)
    if own.is_dir() and plan_in(folder) is None:
        own.replace(folder)
    return folder, aside


def _place_aside(folder: Path, plan: str) -> Path:
    """The place to move the table of ``plan`` to. It replaces an older table of the same plan, and nothing else."""
    own = folder.with_name(f"{folder.name}.{plan}")
    if plan != UNKNOWN:
        if plan_in(own) == plan:
            shutil.rmtree(own)
        if not own.exists():
            return own
    number = 1
    while (aside := own.with_name(f"{own.name}-{number}")).exists():
        number += 1
    return aside
