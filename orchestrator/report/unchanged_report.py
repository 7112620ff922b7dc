"""Reuses files of a report that are unchanged and come from the same values, because pictures and exports take over a second.

A file in the runs folder records the source of such files and their digests. It is a cache, whose content may be invalid.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any

from fsl_core.atomic_file import write_atomically
from fsl_core.code_digest import code_digest
from fsl_core.json_digest import json_digest
from fsl_core.listeners import Notice
from orchestrator.records.trial_record import TrialRecord
from orchestrator.report.published import Registries
from orchestrator.sweep.plan import Plan

_LIBRARIES = ("matplotlib", "numpy", "pandas", "pyarrow", "scipy")
"""Other versions of these may write the same values differently."""


def source_digest(folder: Path, plan: Plan, records: Mapping[str, TrialRecord], registries: Registries) -> str:
    """The SHA-256 of what determines the report in ``folder``, including the code and libraries that write it.

    Only the exports also have the ids of MLflow's runs, which may become known when all else is written.
    """
    known = {name: _record(record) for name, record in records.items()}
    versions = {name: metadata.version(name) for name in _LIBRARIES}
    return json_digest([str(folder), repr(plan), known, repr(registries), code_digest(), versions])


def _record(record: TrialRecord) -> list[Any]:
    result = record.result.as_plain() if record.result else None
    scores = {name: score.as_plain() for name, score in record.evaluations.items()}
    return [result, scores, repr([record.execution, record.progress, record.failure, record.unsealed])]


def reuse_or_write(note: Path, source: str, write: Callable[[Notice], tuple[Path, ...]], notice: Notice) -> tuple[Path, ...]:
    """The files of a report or of a part of it: those in ``note``, if they were written from the same ``source`` and are all unchanged.

    Otherwise ``write`` writes them, which is recorded in ``note`` unless a file was omitted.
    """
    kept = _kept(note, source)
    if kept is not None:
        return kept
    notices: list[str] = []

    def record_notice(text: str) -> None:
        notices.append(text)
        notice(text)

    files = write(record_notice)
    if not notices:
        written = {"made_from": source, "files": {str(path): _digest(path) for path in files}}
        with suppress(OSError):  # the next launch then rewrites the report
            write_atomically(note, json.dumps(written, indent=1).encode())
    return files


def _kept(note: Path, source: str) -> tuple[Path, ...] | None:
    try:
        written = json.loads(note.read_bytes())
        files = {Path(path): digest for path, digest in written["files"].items()}
        same = written["made_from"] == source and all(_digest(path) == digest for path, digest in files.items())
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None
    return tuple(files) if same else None


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
