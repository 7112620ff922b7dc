"""Remembers probes in ``<runs-root>/cost.json``: machine, code, time, seconds of each unit of work, and wall-clock seconds, which show
whether the machine was busy.

The file is a cache: invalid, impossible and old entries are ignored, and their work is measured again.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fsl_core.atomic_file import write_atomically
from fsl_core.recipe.edition import FIRST_EDITION
from fsl_core.recipe.fingerprint import SCHEMA_VERSION, as_plain
from fsl_core.training.timing import Timing
from fsl_core.training.unit_work import UnitWork

MOST_AGE = datetime.timedelta(days=30)
"""Older probes are measured again: drivers, libraries and the machine's other load change."""
_MOST_SECONDS = 1e6
_MOST_SAMPLES = 100


@dataclass(frozen=True, kw_only=True)
class Machine:
    """The part of a unit's cost that is not the work itself: the device and its model, the threads per operation, the torch version.

    ``device_name`` is None where it is unknown, such as that of a cluster's GPUs.
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
    code: str | None
    edition: int = SCHEMA_VERSION


@dataclass(frozen=True, kw_only=True)
class Remembered:
    """The recent timings of one machine, by the :func:`key` of their unit of work: those of the running code, and those of other code."""

    of_this_code: Mapping[str, Timing] = field(default_factory=dict)
    of_other_code: Mapping[str, Timing] = field(default_factory=dict)


NOTHING_REMEMBERED = Remembered()


class RememberedProbes:
    """The file of probes. ``code`` is the digest of the code that is timed; ages are measured from ``now``."""

    def __init__(self, path: Path, *, machine: Machine, code: str, now: datetime.datetime) -> None:
        self._path, self._machine, self._code, self._now = path, _text(as_plain(machine)), code, now

    def read(self) -> Remembered:
        """The recent timings of this machine. One without a digest, from an earlier version, counts as one of other code.

        Timings of an earlier edition of the recipes are kept and not used: the same settings may mean different work there.
        """
        today = [each for each in self._entries() if each.edition == SCHEMA_VERSION and each.machine == self._machine]
        return Remembered(
            of_this_code={entry.work: entry.timing for entry in today if entry.code == self._code},
            of_other_code={entry.work: entry.timing for entry in today if entry.code != self._code},
        )

    def write(self, probes: Mapping[UnitWork, Timing]) -> None:
        """Add probes of this machine and code. They replace those of other code, and of two of this code the more reliable is kept.

        Raises:
            OSError: the file cannot be written.
        """
        kept = {(entry.work, entry.machine, entry.edition): entry for entry in self._entries()}
        for work, timing in probes.items():
            new = _Entry(key(work), self._machine, self._now, timing, self._code)
            before = kept.get((new.work, new.machine, new.edition))
            if before is None or before.code != self._code or timing.surer_than(before.timing):
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
    """The text that identifies a unit of work in the file."""
    return _text(as_plain(work))


def _entry(plain: Any) -> _Entry | None:
    """The entry that a JSON value describes; None where it is invalid."""
    try:
        at = datetime.datetime.fromisoformat(plain["at"])
        timing = Timing(seconds=tuple(plain["seconds"]), wall=tuple(plain.get("wall", ())), peak_bytes=plain.get("peak_bytes"))
        if at.tzinfo is None or not timing.seconds or not _samples(timing.seconds) or not _samples(timing.wall):
            return None
        code, edition = plain.get("code"), plain.get("edition", FIRST_EDITION)
        if type(edition) is not int or not isinstance(code, str | None) or not _bytes_or_none(timing.peak_bytes):
            return None
        if not isinstance(plain["work"], dict) or not isinstance(plain["machine"], dict):
            return None
        return _Entry(_text(plain["work"]), _text(plain["machine"]), at, timing, code, edition)
    except (AttributeError, KeyError, TypeError, ValueError):
        return None


def _samples(seconds: Sequence[Any]) -> bool:
    return len(seconds) <= _MOST_SAMPLES and all(map(_possible, seconds))


def _possible(seconds: Any) -> bool:
    number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    return number and 0 < seconds < _MOST_SECONDS


def _bytes_or_none(peak: Any) -> bool:
    return peak is None or (type(peak) is int and peak >= 0)


def _plain(entry: _Entry) -> Mapping[str, Any]:
    return {
        "work": json.loads(entry.work),
        "machine": json.loads(entry.machine),
        "at": entry.at.isoformat(timespec="seconds"),
        "seconds": list(entry.timing.seconds),
        "wall": list(entry.timing.wall),
        "peak_bytes": entry.timing.peak_bytes,
        "code": entry.code,
        "edition": entry.edition,
    }


def _text(plain: Any) -> str:
    return json.dumps(plain, sort_keys=True)
