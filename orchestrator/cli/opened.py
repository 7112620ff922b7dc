"""A sweep file, its plan, and what the runs folder already holds of it: where every command about a sweep begins."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import click

from fsl_core.recipe.data_settings import DataSettings
from orchestrator.cli.image_words import images_text
from orchestrator.cli.options import Given, Places, Selection
from orchestrator.counted import counted
from orchestrator.records.store import Store
from orchestrator.records.trial_edition import earlier_editions_text
from orchestrator.records.trial_lock import is_held
from orchestrator.records.trial_record import TrialRecord
from orchestrator.records.trial_state import TrialState, trial_state
from orchestrator.sweep.plan import Plan, PlannedTrial, build_plan
from orchestrator.sweep.spec import SweepSpec, with_dataset
from orchestrator.tracking.tracking_uri import default_address

MANY_TRIALS = 5_000
"""Above so many trials it takes seconds to plan them, and is said."""


@dataclass(frozen=True)
class OpenedSweep:
    """The plan in force, the places, and the store."""

    plan: Plan
    places: Places
    store: Store

    @cached_property
    def records(self) -> Mapping[str, TrialRecord]:
        """What is known of the plan's trials, by fingerprint.

        Damaged records are named on stderr; unsealed ones and the trials of earlier editions are counted there.
        """
        records = self.store.records([trial.fingerprint for trial in self.plan.trials])
        for path in self.store.damaged:
            click.echo(f"{path} is damaged and taken as missing", err=True)
        if unsealed := sum(bool(record.unsealed) for record in records.values()):
            click.echo(
                f"{counted(unsealed, 'trial')} with records from before records carried their own digest: an edit would not show",
                err=True,
            )
        if notice := earlier_editions_text(self.earlier_trials, self.places.runs_root):
            click.echo(notice, err=True)
        return records

    @cached_property
    def earlier_trials(self) -> Mapping[str, int]:
        """The trials of earlier editions of the recipes in the runs folder, of whatever sweep, and the edition of each."""
        return self.store.of_earlier_editions()

    def state(self, trial: PlannedTrial) -> TrialState:
        """What a trial of the plan is doing."""
        return trial_state(trial, self.records[trial.fingerprint], held=is_held(self.store.paths(trial.fingerprint).lock))

    def command(self, *words: str) -> str:
        """Another command of ``fsl`` as a line for a shell, with the flags that find the same runs and store from this folder.

        An address with a password is named by its variable, which has to be set where the line is used.
        """
        places, flags = self.places, []
        if places.runs_root != Path("runs").absolute():
            flags += ["--runs-root", str(places.runs_root)]
        line = shlex.join(["fsl", *words, *flags])
        if places.tracking == default_address(places.runs_root):
            return line
        address = '"$MLFLOW_TRACKING_URI"' if places.tracking.has_secret else shlex.quote(places.tracking.whole)
        return f"{line} --tracking-uri {address}"


def open_sweep(selection: Selection, given: Given, *, has_data: Callable[[SweepSpec, Places], bool] | None = None) -> OpenedSweep:
    """Open the sweep that the command line names, on its fallback data set where that is the one to show.

    ``has_data`` says whether the sweep's own data set can be had, by work that writes if need be; by default only what is already on
    this machine counts.
    """
    spec = selection.load()
    if len(spec.cells) * len(spec.seeds) > MANY_TRIALS:
        click.echo(f"planning {len(spec.cells):,} cells, seeds {', '.join(map(str, spec.seeds))}", err=True)
    places = Places.resolve(given, spec)
    if has_data is not None:
        places.check_writable(finished=None if spec.overrides else spec.name)
    plan, store = build_plan(spec), Store(places.runs_root)
    if spec.fallback_dataset and not _began(plan, store) and not (has_data or data_is_here)(spec, places):
        plan = build_plan(with_dataset(spec, spec.fallback_dataset))
        _warn_of_fallback(spec, places)
    return OpenedSweep(plan, places, store)


def _began(plan: Plan, store: Store) -> bool:
    """Whether some trial of the plan has a result: then its data set was had, and its numbers are the ones to show."""
    return any(record.result is not None for record in store.records([trial.fingerprint for trial in plan.trials]).values())


def data_is_here(spec: SweepSpec, places: Places) -> bool:
    """Whether all of the sweep's images are on this machine, so that no network is needed."""
    return all(_is_here(data, places) for data in images_of(spec))


def _is_here(data: DataSettings, places: Places) -> bool:
    from fsl_core.datasets.catalogue import is_available

    return is_available(data, data_root=places.data_root, cache_root=places.cache_root)


def images_of(spec: SweepSpec) -> tuple[DataSettings, ...]:
    """The images that the sweep needs: one of the settings that share what is prepared."""
    from fsl_core.datasets.catalogue import prepared_once

    return prepared_once(cell.data() for cell in spec.cells)


def unprepared_images(spec: SweepSpec, places: Places) -> tuple[DataSettings, ...]:
    """Those of the sweep's images that are not prepared."""
    from fsl_core.datasets.catalogue import prepared_folder

    return tuple(data for data in images_of(spec) if not prepared_folder(data, places.cache_root).exists())


def _warn_of_fallback(spec: SweepSpec, places: Places) -> None:
    from fsl_core.datasets.catalogue import DATASETS

    lacking = [data for data in images_of(spec) if not _is_here(data, places)] or images_of(spec)
    wanted = ", ".join(map(images_text, lacking))
    where = f"not under {places.data_root}" if places.data_root else "no --data-root and no FSL_DATA_ROOT"
    name = spec.fallback_dataset
    lines = (
        f"{wanted.upper()} IS NOT HERE ({where}).",
        f"EVERY NUMBER BELOW IS OF '{name}', A PROCEDURAL DATA SET: NOT OF {wanted.upper()}, AND NOT COMPARABLE WITH A PAPER.",
    )
    rule = "!" * max(len(line) for line in lines)
    names = dict.fromkeys(data.dataset for data in lacking)
    found = [f"{name}, found: {DATASETS[name].what_lies(places.data_root)}" for name in names if places.data_root]
    click.echo("\n".join((rule, *lines, rule, *found)), err=True)
