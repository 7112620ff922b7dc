"""The seconds before a training on CUDA in which its execution path is chosen and its steps are compiled.

The first trial of each kind of step chooses, and may compile; later ones load the compiled code. On a CPU a choice takes a few steps and
is not counted.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fsl_core.datasets.extent import image_shape
from fsl_core.json_digest import json_digest
from fsl_core.recipe.recipe import TrainingRecipe
from fsl_core.training.recorded_kind import most_steps, recorded_kind, repays_compiling
from orchestrator.launch.cost import CostBook
from orchestrator.launch.span import NOTHING, Span
from orchestrator.records.remembered import Machine
from orchestrator.records.trial_record import TrialRecord
from orchestrator.sweep.plan import Plan

CHOOSING = Span(low=5, likely=15, high=40)
"""Seconds to time the paths and to repeat two short trainings: an estimate."""
COMPILING = Span(low=45, likely=70, high=160)
"""Seconds to compile a step,"""
LOADING = Span(low=3, likely=5, high=11)
"""and to load its code in a later process, both as measured on the host of an H200 (docs/performance.md)."""


@dataclass(frozen=True, kw_only=True)
class PathChoice:
    """What a trial does before its first step: it ``chooses`` its path, ``compiles`` its steps, or ``loads`` their compiled code."""

    chooses: bool = False
    compiles: bool = False
    loads: bool = False

    @property
    def seconds(self) -> Span:
        """The seconds that this takes."""
        parts = ((self.chooses, CHOOSING), (self.compiles, COMPILING), (self.loads, LOADING))
        return sum((span for wanted, span in parts if wanted), start=NOTHING)


NO_CHOICE = PathChoice()


@dataclass(frozen=True)
class KnownPaths:
    """Execution paths that need no choice, each only as far as its steps are ``compiled``.

    ``stored``: by the digest of the kind of step, the choices of earlier trials on this machine. ``given``: the path of every trial that
    has none yet.
    """

    stored: Mapping[str, bool] = field(default_factory=dict)
    given: bool | None = None

    @staticmethod
    def read(choices: Path, machine: Machine, *, given: Path | None) -> KnownPaths:
        """The choices in a folder that were made on such a machine, and the path in the file ``given``; what is damaged is left out."""
        documents = map(_document, sorted(choices.glob("*.json")) if machine.device == "cuda" else ())
        stored = {json_digest(kind): compiled for document in documents for kind, compiled in _of_machine(document, machine)}
        return KnownPaths(stored, None if given is None else _is_compiled(_document(given)))


def path_choices(
    plan: Plan, records: Mapping[str, TrialRecord], book: CostBook, known: KnownPaths | None = None
) -> Mapping[str, PathChoice]:
    """What the trials of a plan that still train on CUDA do before they do, by fingerprint; nothing on a CPU.

    Trials of unknown cost are left out.
    """
    if book.machine.device != "cuda":
        return {}
    paths, choices = known or KnownPaths(), dict[str, PathChoice]()
    compiled = dict(paths.stored)
    for trial in plan.trials:
        recipe, record = trial.recipe, records[trial.fingerprint]
        training = book.training(recipe, Span.of([most_steps(recipe)])).seconds
        if record.result is not None or not recipe.steps or training is None:
            continue
        kind = _kind(recipe)
        if paths.given is not None and record.progress is None:
            choices[trial.fingerprint] = PathChoice(
                compiles=paths.given and kind not in compiled, loads=paths.given and kind in compiled
            )
            compiled[kind] = paths.given
        elif kind in compiled:
            choices[trial.fingerprint] = PathChoice(loads=compiled[kind])
        elif record.progress is None:
            compiled[kind] = repays_compiling(training.likely)
            choices[trial.fingerprint] = PathChoice(chooses=True, compiles=compiled[kind])
    return choices


def _kind(recipe: TrainingRecipe) -> str:
    return json_digest(recorded_kind(recipe, image_shape(recipe.data), "cuda"))


def _document(file: Path) -> Any:
    try:
        return json.loads(file.read_bytes())
    except (OSError, ValueError):
        return None


def _of_machine(document: Any, machine: Machine) -> Iterator[tuple[dict[str, Any], bool]]:
    """The recorded kind of a stored choice, and whether its path is compiled, if the choice was made on such a machine."""
    kind = document.get("kind") if isinstance(document, dict) else None
    if not isinstance(kind, dict):
        return
    machines = {"device": machine.device, "device_name": machine.device_name, "threads": machine.threads, "torch": machine.torch}
    if all(kind.get(name) == value for name, value in machines.items()):
        of_machine = {"device_name", "threads", "torch", "instructions", "seeds"}
        yield {name: value for name, value in kind.items() if name not in of_machine}, _is_compiled(document)


def _is_compiled(document: Any) -> bool:
    path = document.get("path") if isinstance(document, dict) else None
    return isinstance(path, dict) and path.get("compiled") is True
