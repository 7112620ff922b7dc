"""What each launch of a sweep wants, on record before any of its trials starts: ``sweeps/<sweep>/launches/<plan>.json``.

A sweep file says what it wants today. What it wanted before an edit, or under ``--set``, is known from here alone.
"""

from __future__ import annotations

import dataclasses
import glob
import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import filelock
from pydantic import TypeAdapter

from fsl_core.atomic_file import write_atomically
from fsl_core.errors import RecordDamagedError
from fsl_core.provenance import now
from fsl_core.recipe.edition import FIRST_EDITION, edition_name
from fsl_core.recipe.fingerprint import SCHEMA_VERSION
from fsl_core.sealed import document_text
from orchestrator.errors import StoreError, SweepLockedError, SweepNameError
from orchestrator.launch.launch_times import LaunchTimes
from orchestrator.launch.record_values import Time
from orchestrator.records.sealed import read_sealed
from orchestrator.sweep.plan import Plan

MOST_TIMES = 100
"""Of so many launches of a plan the times are kept."""
_PATIENCE_SECONDS = 30.0


@dataclass(frozen=True, kw_only=True)
class LaunchRecord:
    """The last launch of one plan: the file it was read from, what the command line changed of it, and when it began (ISO, UTC).

    ``source_digest`` is the SHA-256 of the file as it was. ``trials`` maps the fingerprints of the trials wanted to those of the
    evaluations wanted of each. ``edition`` is that of the recipes; the first edition wrote none down. ``times`` are those of all launches
    of the plan that had something to do and came to their end, the newest last, of very many the newest.
    """

    sweep: str
    plan: str
    source: str
    source_digest: str
    overrides: tuple[str, ...]
    trials: Mapping[str, tuple[str, ...]]
    at: Time
    edition: int = FIRST_EDITION
    times: tuple[LaunchTimes, ...] = ()

    @property
    def name(self) -> str:
        """The launch in a word: ``<sweep>/<plan>``."""
        return f"{self.sweep}/{self.plan}"


@dataclass(frozen=True, kw_only=True)
class LaunchesOnRecord:
    """The launches of a runs folder, or of one sweep, by their files, and the files that cannot be read as one."""

    by_file: Mapping[Path, LaunchRecord] = field(default_factory=dict)
    damaged: tuple[Path, ...] = ()

    @property
    def since(self) -> datetime | None:
        """When the first of them began; None where there is none."""
        return min((datetime.fromisoformat(launch.at) for launch in self.by_file.values()), default=None)


_RECORD = TypeAdapter(LaunchRecord)


def launches_folder(sweep_folder: Path) -> Path:
    """Where the launches of one sweep are on record."""
    return sweep_folder / "launches"


def _launch_of(plan: Plan) -> LaunchRecord:
    return LaunchRecord(
        sweep=plan.spec.name,
        plan=plan.fingerprint,
        source=str(plan.spec.file.resolve()),
        source_digest=_digest_of(plan.spec.file),
        overrides=plan.spec.overrides,
        trials={trial.fingerprint: tuple(each.fingerprint for each in trial.evaluations) for trial in plan.trials},
        at=now(),
        edition=SCHEMA_VERSION,
    )


def _digest_of(source: Path) -> str:
    try:
        return hashlib.sha256(source.read_bytes()).hexdigest()
    except OSError:
        return ""  # gone since it was read: it is known by its path


def check_name_is_free(sweep_folder: Path, plan: Plan) -> None:
    """Raises SweepNameError when the last launch under the plan's name was of another sweep file and of other work."""
    if problem := name_problem(sweep_folder, plan):
        raise SweepNameError(problem)


def name_problem(sweep_folder: Path, plan: Plan) -> str | None:
    """The reason why the plan's name is not free: the last launch under it was of another sweep file and of other work.

    A file that was edited since, and one that was copied elsewhere as it is, is the same sweep.
    """
    own, launches = _launch_of(plan), read_launches(sweep_folder.parent, sweep_folder.name).by_file.values()
    last = max(launches, key=lambda launch: _order_of(launch, before=own), default=own)
    copied = own.source_digest == last.source_digest != ""
    if own.plan == last.plan or own.source == last.source or copied:
        return None
    under = "" if last.edition == own.edition else f" under the {edition_name(last.edition)} of the recipes"
    name, fallback = plan.spec.fallback_of, plan.spec.cells[0].dataset
    origin = "" if name is None else f" (the name {name!r} in the file, and _{fallback} for its fallback data set)"
    return (
        f"two sweep files share the name {own.sweep!r}{origin} and mean different trials: {own.source}, and {last.source}, launched "
        f"here on {last.at[:10]}{under}. Give one of them another name, or hand the name over with --replace; no trial is lost by that"
    )


def _order_of(launch: LaunchRecord, *, before: LaunchRecord) -> tuple[bool, datetime]:
    """Sorts launches by time; one of a later time than now, when a clock was wrong, comes before all others."""
    at = datetime.fromisoformat(launch.at)
    return at <= datetime.fromisoformat(before.at), at


def record_launch(sweep_folder: Path, plan: Plan) -> None:
    """Put on record what a launch wants. Raises StoreError when it cannot be written: then nothing may start."""
    launch, before = _launch_of(plan), launch_on_record(sweep_folder, plan)
    path = _file_of(sweep_folder, plan)
    try:
        _write(path, launch if before is None else dataclasses.replace(launch, times=before.times))
    except OSError as error:
        raise StoreError(f"{path} cannot be written ({error.strerror}); nothing was started") from error


def record_times(sweep_folder: Path, plan: Plan, times: LaunchTimes) -> None:
    """Add to the record of a launch what it took; without a record that can be read there is nothing to add it to.

    Raises:
        OSError: it cannot be written.
    """
    launch = launch_on_record(sweep_folder, plan)
    if launch is not None:
        _write(_file_of(sweep_folder, plan), dataclasses.replace(launch, times=(*launch.times, times)[-MOST_TIMES:]))


def launch_on_record(sweep_folder: Path, plan: Plan) -> LaunchRecord | None:
    """The last launch of a plan; None where there was none, or its record is damaged."""
    return _read(_file_of(sweep_folder, plan))


def _file_of(sweep_folder: Path, plan: Plan) -> Path:
    return launches_folder(sweep_folder) / f"{plan.fingerprint}.json"


def _write(path: Path, launch: LaunchRecord) -> None:
    write_atomically(path, document_text(dataclasses.asdict(launch)))


def read_launches(sweeps: Path, name: str | None = None) -> LaunchesOnRecord:
    """The launches on record under ``<runs-root>/sweeps``: of all sweeps, or of the one of that name."""
    folder = "*" if name is None else glob.escape(name)
    found = {path: _read(path) for path in sorted(sweeps.glob(f"{folder}/launches/*.json"))}
    return LaunchesOnRecord(
        by_file={path: launch for path, launch in found.items() if launch is not None},
        damaged=tuple(path for path, launch in found.items() if launch is None),
    )


def _read(path: Path) -> LaunchRecord | None:
    """The launch in a file; None where it is damaged, or gone since it was listed: what it wanted is not known either way."""
    try:
        found = read_sealed(path, lambda plain: _RECORD.validate_json(json.dumps(plain), strict=True))
    except RecordDamagedError:
        return None
    return found[0] if found and (path.parents[1].name, path.stem) == (found[0].sweep, found[0].plan) else None


@contextmanager
def no_launch_begins(sweeps: Path) -> Iterator[None]:
    """Inside the block no launch puts itself on record, and nobody clears the runs folder up.

    Raises:
        SweepLockedError: another process is inside such a block for long.
        StoreError: the folder cannot be written to.
    """
    lock = filelock.FileLock(sweeps / ".launches.lock")
    try:
        sweeps.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=_PATIENCE_SECONDS)
    except filelock.Timeout as error:
        raise SweepLockedError(f"`fsl gc` is at work in {sweeps.parent}; try again when it is done") from error
    except OSError as error:
        raise StoreError(f"the folder {sweeps} cannot be written to ({error.strerror})") from error
    try:
        yield
    finally:
        lock.release()
