"""Lines for a shell: another command of ``fsl`` about the same sweep, and the one that runs a single trial."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from pathlib import Path

from orchestrator.launch.places import Places
from orchestrator.launch.workspace import Workspace
from orchestrator.sweep.cell_settings import SETTING_NAMES, CellSettings
from orchestrator.sweep.plan import PlannedTrial
from orchestrator.sweep.spec import SweepSpec
from orchestrator.tracking.tracking_uri import default_address


def fsl_command(places: Places, *words: str) -> str:
    """Another command of ``fsl``, with the flags that find the same runs and store from the current folder.

    A variable stands for an address with a password, and has to be set where the line is used.
    """
    flags = [] if places.runs_root == Path("runs").absolute() else ["--runs-root", str(places.runs_root)]
    line = shlex.join(["fsl", *words, *flags])
    if places.tracking == default_address(places.runs_root):
        return line
    address = '"$MLFLOW_TRACKING_URI"' if places.tracking.has_secret else shlex.quote(places.tracking.whole)
    return f"{line} --tracking-uri {address}"


def resuming_command(workspace: Workspace) -> str:
    """The command that launches a sweep again, with the overrides of its plan."""
    spec = workspace.plan.spec
    words = [word for text in spec.set_texts for word in ("--set", text)]
    words += [word for text in spec.only_texts for word in ("--only", text)]
    words += ["--seeds", spec.seeds_text] if spec.seeds_text else []
    return fsl_command(workspace.places, "run", str(spec.file), *words)


def single_trial_command(trial: PlannedTrial, workspace: Workspace) -> str:
    """The command that runs one trial, and no other, in the user's own process."""
    spec, cells = workspace.plan.spec, workspace.plan.cells
    cell = next(cell for cell in cells if trial.recipe in cell.recipes)
    words = ["run", str(spec.file), *(word for text in spec.set_texts for word in ("--set", text))]
    words += ["--executor", "in-process", "--seeds", str(trial.recipe.seed)]
    apart = what_sets_apart(cell.settings, [other.settings for other in cells])
    narrowed = ",".join(text for text in (_only_that_keeps(cell.settings, spec), apart) if text)
    words += ["--only", narrowed] if narrowed else []
    return fsl_command(workspace.places, *words)


def _only_that_keeps(settings: CellSettings, spec: SweepSpec) -> str:
    """The sweep's own ``--only`` that a cell is there by; empty where there is none. Several are a union, so one is enough."""
    from orchestrator.sweep.overrides import parse_overrides  # ruamel.yaml, only where something failed

    return next((text for text in spec.only_texts if parse_overrides([], [text], None).keep(settings)), "")


def what_sets_apart(settings: CellSettings, among: Sequence[CellSettings]) -> str:
    """The ``--only`` text that one cell of a sweep matches and no other."""
    varying = [name for name in SETTING_NAMES if len({getattr(other, name) for other in among}) > 1]
    return ",".join(f"{name}={json.dumps(getattr(settings, name)).strip(chr(34))}" for name in varying)
