"""What the sweeps under a runs folder show, kept in files until a store has it, and long after: a lost store is filled again."""

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
    """The files ``sweeps/<sweep>/mlflow/<overrides>[-<store>].json`` of a runs folder: one a sweep, overrides and store.

    A file says what to show, not whether a store has it: the store knows that itself. What an earlier edition of the recipes showed
    stays as the stores have it: it is not sent again.
    """

    def __init__(self, runs_root: Path) -> None:
        self._sweeps = runs_root / "sweeps"

    def path(self, shown: ShownSweep) -> Path:
        """Where a sweep's file lies."""
        named = hashlib.sha256(json.dumps(shown.overrides).encode()).hexdigest()[:16] if shown.overrides else "whole"
        store = "" if shown.store == OWN_STORE else f"-{shown.store[:16]}"
        return self._sweeps / shown.name / "mlflow" / f"{named}{store}.json"

    def write(self, shown: ShownSweep) -> None:
        """Keep what a sweep shows, in place of what an earlier launch of it showed. Raises OSError."""
        path = self.path(shown)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, json.dumps(shown.as_plain(), sort_keys=True).encode())

    def paths(self) -> list[Path]:
        """The files that are there, the newest first."""
        return sorted(self._sweeps.glob("*/mlflow/*.json"), key=lambda path: path.stat().st_mtime, reverse=True)

    def read(self, path: Path) -> ShownSweep | None:
        """What a file says; None where it is damaged, or of an earlier edition: the next launch of its sweep writes it again."""
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
        """Held by whoever sends what a file says."""
        return path.with_suffix(".lock")

    @contextmanager
    def held(self, path: Path) -> Iterator[bool]:
        """Be the one process that sends a sweep; False inside the block where another one does. It needs no driver's lock."""
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
