"""Who wants the trials of a runs folder: the launches on record there, and the sweep files that somebody names."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from orchestrator.errors import StoreError
from orchestrator.launch.launches import LaunchesOnRecord, LaunchRecord, read_launches
from orchestrator.launch.loading import load
from orchestrator.records.trial_record import TrialRecord
from orchestrator.sweep.plan import Plan, build_plan
from orchestrator.sweep.spec import with_dataset


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Who wants trials: the launches on record but for the ``forgotten`` ones, and ``by_files``, the trials of sweep files.

    A trial that began before the first launch on record may have been wanted by a launch that nobody wrote down: it is kept, unless
    ``unrecorded`` ones are to go too. Where the record of a launch is damaged every trial is kept.
    """

    launches: LaunchesOnRecord
    forgotten: Collection[LaunchRecord] = ()
    by_files: frozenset[str] = frozenset()
    unrecorded: bool = False

    @property
    def kept_launches(self) -> tuple[LaunchRecord, ...]:
        """The launches that are not forgotten."""
        return tuple(launch for launch in self.launches.by_file.values() if launch not in self.forgotten)

    @property
    def named(self) -> frozenset[str]:
        """The trials that a launch or a sweep file names."""
        return self.by_files.union(*(launch.trials for launch in self.kept_launches))

    def may_go(self, record: TrialRecord) -> bool:
        """Whether nobody wants a trial, and that is known."""
        if self.launches.damaged or record.fingerprint in self.named:
            return False
        if any(record.fingerprint in launch.trials for launch in self.forgotten):
            return True
        return self.unrecorded or not self._began_before_launches_were_recorded(record)

    def _began_before_launches_were_recorded(self, record: TrialRecord) -> bool:
        began, since = _began(record), self.launches.since
        return since is None or began is None or began < since


def _began(record: TrialRecord) -> datetime | None:
    known = record.execution or record.progress
    try:
        return None if known is None else datetime.fromisoformat(known.started_at)
    except ValueError:
        return None


def wanted_trials(runs_root: Path, *, sweeps: Iterable[Path], forget: Collection[str] = (), unrecorded: bool = False) -> Wanted:
    """Who wants trials of a runs folder: its launches, but for those that ``forget`` names, and the files of ``sweeps``.

    Raises:
        StoreError: no launch on record is called so.
        SweepFileError: a sweep file cannot be read, so that nobody knows what it wants.
    """
    launches = read_launches(runs_root / "sweeps")
    names = {name for launch in launches.by_file.values() for name in (launch.sweep, launch.name)}
    if unknown := sorted(set(forget) - names):
        raise StoreError(f"no launch on record is called {', '.join(unknown)}; there are: {', '.join(sorted(names)) or 'none'}")
    forgotten = tuple(launch for launch in launches.by_file.values() if {launch.sweep, launch.name} & set(forget))
    by_files = frozenset(trial.fingerprint for sweep in sweeps for plan in _plans(sweep) for trial in plan.trials)
    return Wanted(launches=launches, forgotten=forgotten, by_files=by_files, unrecorded=unrecorded)


def _plans(sweep: Path) -> Iterator[Plan]:
    """What a sweep file wants, on its fallback data set too."""
    spec = load(sweep)
    yield build_plan(spec)
    if spec.fallback_dataset:
        yield build_plan(with_dataset(spec, spec.fallback_dataset))
