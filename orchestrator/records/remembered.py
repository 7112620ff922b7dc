"""Probes that are remembered in ``<runs-root>/cost.json``: on which machine, when, how many seconds a unit of work took, and how many of
wall clock passed, which says whether the machine was busy.

The file is a cache and may hold anything: what is not an entry, or not of a possible size, or old, is measured again.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fsl_core.atomic_file import write_atomically
from fsl_core.recipe.edition import FIRST_EDITION
from fsl_core.recipe.fingerprint import SCHEMA_VERSION, as_plain
from fsl_core.training.timing import Timing
from fsl_core.training.unit_work import UnitWork

MOST_AGE = datetime.timedelta(days=30)
"""A probe that is older is measured again: drivers, libraries and what else runs on a machine change."""
_MOST_SECONDS = 1e6
_MOST_SAMPLES = 100


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What a unit of work costs depends on, beside the work: the device and its model, threads of an operation, the torch version.

    ``device_name`` is None where it is not known, such as that of a cluster's GPUs.
    """

    device: str
    device_name: str | None
    threads: int
    torch: str


@dataclass(frozen=True)
class _Entry:
    work: str
    machine: str
    at: datetime.datetime
    timing: Timing
    edition: int = SCHEMA_VERSION


class RememberedProbes:
    """The file of probes. ``now`` is the time that ages are counted from."""

    def __init__(self, path: Path, *, machine: Machine, now: datetime.datetime) -> None:
        self._path, self._machine, self._now = path, _text(as_plain(machine)), now

    def read(self) -> Mapping[str, Timing]:
        """The timing of each unit of work that was probed on this machine lately, by :func:`key`.

        What was timed under an earlier edition of the recipes is kept and not used: the same settings may mean other work since.
        """
        today = (entry for entry in self._entries() if entry.edition == SCHEMA_VERSION)
        return {entry.work: entry.timing for entry in today if entry.machine == self._machine}

    def write(self, probes: Mapping[UnitWork, Timing]) -> None:
        """Add probes of this machine; of two of one work the surer one is kept. Raises OSError where the file cannot be written."""
        kept = {(entry.work, entry.machine, entry.edition): entry for entry in self._entries()}
        for work, timing in probes.items():
            new = _Entry(key(work), self._machine, self._now, timing)
            before = kept.get((new.work, new.machine, new.edition))
            if before is None or timing.surer_than(before.timing):
                kept[new.work, new.machine, new.edition] = new
        write_atomically(self._path, json.dumps({"probes": [_plain(entry) for entry in kept.values()]}, indent=1).encode())

    def _entries(self) -> list[_Entry]:
        try:
            plain = json.loads(self._path.read_text(encoding="utf-8"))["probes"]
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return []
        entries = [_entry(each) for each in plain] if isinstance(plain, list) else []
        return [entry for entry in entries if entry is not None and abs(self._now - entry.at) < MOST_AGE]


def key(work: UnitWork) -> str:
    """The text that stands for a unit of work in the file."""
    return _text(as_plain(work))


def _entry(plain: Any) -> _Entry | None:
    """The entry that a JSON value is, or None."""
    try:
        at = datetime.datetime.fromisoformat(plain["at"])
        timing = Timing(seconds=tuple(plain["seconds"]), wall=tuple(plain.get("wall", ())))
        if at.tzinfo is None or not timing.seconds or not _samples(timing.seconds) or not _samples(timing.wall):
            return None
        if type(plain.get("edition", FIRST_EDITION)) is not int:
            return None
        if not isinstance(plain["work"], dict) or not isinstance(plain["machine"], dict):
            return None
        return _Entry(_text(plain["work"]), _text(plain["machine"]), at, timing, plain.get("edition", FIRST_EDITION))
    except (AttributeError, KeyError, TypeError, ValueError):
        return None


def _samples(seconds: Sequence[Any]) -> bool:
    return len(seconds) <= _MOST_SAMPLES and all(map(_possible, seconds))


def _possible(seconds: Any) -> bool:
    number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    return number and 0 < seconds < _MOST_SECONDS


def _plain(entry: _Entry) -> Mapping[str, Any]:
    return {
        "work": json.loads(entry.work),
        "machine": json.loads(entry.machine),
        "at": entry.at.isoformat(timespec="seconds"),
        "seconds": list(entry.timing.seconds),
        "wall": list(entry.timing.wall),
        "edition": entry.edition,
    }


def _text(plain: Any) -> str:
    return json.dumps(plain, sort_keys=True)
