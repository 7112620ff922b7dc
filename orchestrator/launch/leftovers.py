"""What a runs folder holds that nothing needs any more: found by what launches and sweep files want, removed under their locks."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import filelock

from fsl_core.atomic_file import unfinished_writes
from fsl_core.recipe.edition import edition_name
from fsl_core.recipe.fingerprint import SCHEMA_VERSION
from fsl_core.training.compiled_code import COMPILED_CODE
from fsl_core.training.trial_paths import TrialPaths
from orchestrator.errors import SweepLockedError
from orchestrator.launch.launches import LaunchRecord, no_launch_begins
from orchestrator.launch.wanted_trials import Wanted
from orchestrator.records.driver_lock import driver_lock, is_running
from orchestrator.records.store import Store
from orchestrator.records.trial_lock import is_held
from orchestrator.records.trial_record import TrialRecord
from orchestrator.tracking.outbox import Outbox

_LONG_FOR_A_WRITE_SECONDS = 60.0


@dataclass(frozen=True, kw_only=True)
class Leftover:
    """A file or folder inside the runs folder that nothing needs any more, and why. ``lock``: held by whoever uses it after all."""

    why: str
    path: Path
    bytes: int
    lock: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Kept:
    """Trials that no sweep file names and that stay all the same: why, how many, their bytes, and what lets them go."""

    why: str
    trials: int
    bytes: int
    lets_go: str


def kept_trials(store: Store, wanted: Wanted) -> Iterator[Kept]:
    """What stays for the launches on record alone, each launch apart; then what nobody knows the launch of."""
    folders = {folder.name: folder for folder in store.folders() if folder.name not in wanted.by_files}
    for launch in wanted.kept_launches:
        own = [folders[name] for name in launch.trials if name in folders]
        changed = " ".join(launch.overrides) or f"as in {launch.source}"
        if own:
            earlier = _no_use(launch.edition)
            yield _kept(f"{earlier}wanted by the launch of {launch.at[:16]}, {changed}", own, f"fsl gc --forget {launch.name}")
    links = [folder for name, folder in folders.items() if folder.is_symlink() and wanted.may_go(store.read(name))]
    if links:
        yield _kept(f"links to other places: {', '.join(map(str, links))}", links, "remove the link, and what it leads to")
    rest = [folder for name, folder in folders.items() if name not in wanted.named and not wanted.may_go(store.read(name))]
    if rest and wanted.launches.damaged:
        damaged = ", ".join(map(str, wanted.launches.damaged))
        yield _kept(f"may be wanted by a launch whose record is damaged: {damaged}", rest, "rename or remove that file")
    else:
        yield from _of_unknown_launches(store, rest)


def _of_unknown_launches(store: Store, rest: Sequence[Path]) -> Iterator[Kept]:
    """Trials that nobody knows the launch of, each edition of the recipes apart, today's first."""
    editions = {folder: store.edition(folder.name) for folder in rest}
    for edition in sorted(set(editions.values()), reverse=True):
        own = [folder for folder in rest if editions[folder] == edition]
        why = f"{_no_use(edition)}from before launches were put on record, so that nobody knows who wants them"
        yield _kept(why, own, "fsl gc --unrecorded")


def _edition(edition: int) -> str:
    """Beside a trial that is not of today's edition, which one it is of."""
    return "" if edition == SCHEMA_VERSION else f" of the {edition_name(edition)} of the recipes, which no sweep can use,"


def _no_use(edition: int) -> str:
    return "" if edition == SCHEMA_VERSION else f"of the {edition_name(edition)} of the recipes, which no sweep can use, "


def _kept(why: str, folders: Sequence[Path], lets_go: str) -> Kept:
    return Kept(why=why, trials=len(folders), bytes=sum(map(size_of, folders)), lets_go=lets_go)


def find_leftovers(store: Store, wanted: Wanted, *, all_held: bool = False) -> Iterator[Leftover]:
    """What could go. A trial that somebody works on now could not, nor could a link: it leads to a place of somebody's own choice.

    The files of a launch that runs stay as well. ``all_held``: none runs, because the caller holds the lock of every sweep.
    """
    yield from (leftover for leftover in _unneeded(store, wanted, all_held=all_held) if not leftover.path.is_symlink())


def _unneeded(store: Store, wanted: Wanted, *, all_held: bool) -> Iterator[Leftover]:
    for folder in store.folders():
        paths = store.paths(folder.name)
        if not is_held(paths.lock):
            yield from _of_trial(paths, store.read(folder.name), wanted)
    sweeps = store.runs_root / "sweeps"
    folders = sorted(sweeps.glob("*/"))
    idle = [folder for folder in folders if all_held or not is_running(folder)]
    for folder in idle:
        yield from _of_launches(folder)
    if idle == folders and (compiled := store.runs_root / COMPILED_CODE).is_dir():
        yield _leftover("compiled code, which a launch would compile again", compiled)
    yield from (_leftover("a write that was killed", path) for path in unfinished_writes(sweeps))
    for path in unfinished_writes(store.runs_root):
        if time.time() - path.stat().st_mtime > _LONG_FOR_A_WRITE_SECONDS:  # no lock tells whether it is being written
            yield _leftover("a write that was killed", path)
    yield from _shown_in_vain(Outbox(store.runs_root), wanted)
    for file, launch in wanted.launches.by_file.items():
        if launch in wanted.forgotten and not wanted.launches.damaged:  # for then the trials it names stay
            yield _leftover("the record of a launch, to be forgotten", file)  # last: what it names is gone by then


def _of_launches(folder: Path) -> Iterator[Leftover]:
    """What the launches of one sweep left, of which none runs."""
    if (ray := folder / "ray").exists():
        yield _leftover("Ray's own files", ray)
    for place in (folder, *sorted(folder.glob("*/"))):
        yield from (_leftover("a write that was killed", path) for path in unfinished_writes(place))


def _of_trial(paths: TrialPaths, record: TrialRecord, wanted: Wanted) -> Iterator[Leftover]:
    if wanted.may_go(record):
        yield _leftover(f"a trial{_edition(record.edition)} that no launch and no sweep file names", paths.folder, paths.lock)
        return
    # Checkpoints are what lost weights, or a lost result, are cheaply made from: they go only where both are there.
    if (
        record.result is not None
        and paths.checkpoints.is_dir()
        and (paths.selected.is_file() or record.result.status == "diverged")
    ):
        yield _leftover("training checkpoints of a finished trial", paths.checkpoints, paths.lock)
    elif paths.checkpoints.is_dir():
        for folder in sorted(paths.checkpoints.glob("**/")):
            yield from (_leftover("a write that was killed", path, paths.lock) for path in unfinished_writes(folder))
    for folder in (paths.folder, paths.evaluations):
        yield from (_leftover("a write that was killed", path, paths.lock) for path in unfinished_writes(folder))


def _shown_in_vain(outbox: Outbox, wanted: Wanted) -> Iterator[Leftover]:
    """What would bring a forgotten launch back to MLflow."""
    for name in sorted({launch.sweep for launch in wanted.forgotten}):
        gone, kept = (
            [launch for launch in launches if launch.sweep == name] for launches in (wanted.forgotten, wanted.kept_launches)
        )
        for path in outbox.of_sweep(name):
            if _shows(outbox, path, gone) and not _shows(outbox, path, kept):
                yield _leftover("what MLflow shall show of a launch, to be forgotten", path, outbox.lock(path))


def _shows(outbox: Outbox, path: Path, launches: Sequence[LaunchRecord]) -> bool:
    """Whether a file shows one of these launches; one of an earlier edition may be any launch of that edition."""
    shown = outbox.read(path)
    if shown is not None:
        return any(shown.wanted == launch.trials for launch in launches)
    edition = outbox.edition(path)
    return edition != SCHEMA_VERSION and any(edition == launch.edition for launch in launches)


def _leftover(why: str, path: Path, lock: Path | None = None) -> Leftover:
    return Leftover(why=why, path=path, bytes=size_of(path), lock=lock)


def size_of(path: Path) -> int:
    """The bytes of a file, or of all files in a folder; what vanishes meanwhile counts nothing."""
    total = 0
    for file in (path, *path.rglob("*")):
        try:
            total += file.lstat().st_size if not file.is_dir() else 0
        except FileNotFoundError:
            continue
    return total


def remove_leftovers(runs_root: Path, find: Callable[[], Iterable[Leftover]]) -> tuple[Leftover, ...]:
    """Remove what ``find`` finds once no launch runs or begins, and return what was removed.

    What was listed before is not asked: a launch may have begun, or ended, since. Raises SweepLockedError while a sweep runs, with
    nothing removed.
    """
    with ExitStack() as held:
        try:
            held.enter_context(no_launch_begins(runs_root / "sweeps"))
            held.enter_context(every_sweep_held(runs_root))
        except SweepLockedError as error:
            raise SweepLockedError(f"{error}; nothing was removed") from error
        return tuple(leftover for leftover in find() if _removed(leftover))


def _removed(leftover: Leftover) -> bool:
    """Remove one leftover, unless a worker that outlived its driver has taken up its trial."""
    with ExitStack() as held:
        if leftover.lock is not None:
            try:
                held.enter_context(filelock.FileLock(leftover.lock, timeout=0))
            except filelock.Timeout:
                return False
        shutil.rmtree(leftover.path) if leftover.path.is_dir() else leftover.path.unlink(missing_ok=True)
        return True


@contextmanager
def every_sweep_held(runs_root: Path) -> Iterator[None]:
    """Hold the lock of every sweep of a runs folder, so that no trial loses its files while it runs. Raises SweepLockedError."""
    with ExitStack() as locks:
        for folder in sorted((runs_root / "sweeps").glob("*/")):
            locks.enter_context(driver_lock(folder))
        yield
