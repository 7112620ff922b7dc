"""Keeps the MLflow views of a runs folder's sweeps in files, from which a lost store is refilled."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock

from fsl_core.atomic_file import write_atomically
from fsl_core.errors import RecipeError
from orchestrator.tracking.shown_sweep import OWN_STORE, ShownSweep, edition_shown, shown_sweep_from_plain


class Outbox:
    """The files ``sweeps/<sweep>/mlflow/<overrides>[-<store>].json`` of a runs folder: one per sweep, overrides and store.

    A file holds what to show; only the store knows whether it has it. Views of an earlier edition of the recipes stay in their stores and
    are not sent again.
    """

    def __init__(self, runs_root: Path) -> None:
        self._sweeps = runs_root / "sweeps"

    def path(self, shown: ShownSweep) -> Path:
        """The path of a sweep's file."""
        named = hashlib.sha256(json.dumps(shown.overrides).encode()).hexdigest()[:16] if shown.overrides else "whole"
        store = "" if shown.store == OWN_STORE else f"-{shown.store[:16]}"
        return self._sweeps / shown.name / "mlflow" / f"{named}{store}.json"

    def write(self, shown: ShownSweep) -> None:
        """Write the view of a sweep over that of its earlier launch. Raises OSError."""
        path = self.path(shown)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, json.dumps(shown.as_plain(), sort_keys=True).encode())

    def paths(self) -> list[Path]:
        """The existing files, newest first."""
        return sorted(self._sweeps.glob("*/mlflow/*.json"), key=lambda path: path.stat().st_mtime, reverse=True)

    def read(self, path: Path) -> ShownSweep | None:
        """The view in a file; None where it is damaged or of an earlier edition. The next launch of its sweep rewrites it."""
        try:
            return shown_sweep_from_plain(json.loads(path.read_bytes()))
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecipeError):
            return None

    def edition(self, path: Path) -> int | None:
        """The edition of the recipes that a file's sweep is of; None where it is damaged."""
        try:
            return edition_shown(json.loads(path.read_bytes()))
        except (OSError, ValueError, TypeError, AttributeError):
            return None

    def of_sweep(self, name: str) -> list[Path]:
        """The files of one sweep."""
        return sorted((self._sweeps / name / "mlflow").glob("*.json"))

    @staticmethod
    def lock(path: Path) -> Path:
        """The lock that the sender of a file holds."""
        return path.with_suffix(".lock")

    @contextmanager
    def held(self, path: Path) -> Iterator[bool]:
        """Lock a sweep for sending; the block gets False where another process is sending it. No driver's lock is needed."""
        lock = filelock.FileLock(self.lock(path), timeout=0, thread_local=False)
        try:
            lock.acquire()
        except filelock.Timeout:
            yield False
            return
        try:
            yield True
        finally:
            lock.release()
