"""Loads a sweep with all that it names: the file, its presets, and the registries of published numbers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from orchestrator.report.published import registries_beside
from orchestrator.sweep.loader import load_sweep
from orchestrator.sweep.spec import SweepSpec


def load(path: Path, *, set_values: Sequence[str] = (), only: Sequence[str] = (), seeds: str | None = None) -> SweepSpec:
    """Load a sweep as :func:`~orchestrator.sweep.loader.load_sweep` does, and check that every registry it names exists.

    Raises:
        SweepFileError: with the file, the line, the key path, the value and what would be accepted.
        RegistryError: if a file of published numbers is wrong, likewise.
    """
    spec = load_sweep(path, set_values=set_values, only=only, seeds=seeds)
    registries = registries_beside(spec.file.parent)
    for source, place in spec.named_registries:
        if problem := registries.problem_with(source):
            raise place.fault(problem)
    return spec
