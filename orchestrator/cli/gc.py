"""``fsl gc``: what old runs could free. Nothing is removed without ``-y``."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast

import click

from fsl_core.recipe import DatasetName
from orchestrator.cli.columns import aligned, size_text
from orchestrator.cli.options import Given, Places, json_option, takes_places, type_of_file
from orchestrator.cli.status import is_held
from orchestrator.driver_lock import driver_lock
from orchestrator.plan import Plan, build_plan
from orchestrator.spec import with_dataset
from orchestrator.store import Store
from orchestrator.sweep_loader import load_sweep


@dataclass(frozen=True, kw_only=True)
class Leftover:
    """A folder inside the runs folder that nothing needs any more, and why."""

    why: str
    path: Path
    bytes: int


@click.command()
@click.argument("sweeps", nargs=-1, type=type_of_file)
@takes_places("runs_root")
@click.option("--dry-run", is_flag=True, help="Only list (what happens without -y too).")
@click.option("-y", "--yes", is_flag=True, help="Remove what is listed.")
@json_option
def gc(sweeps: tuple[Path, ...], given: Given, dry_run: bool, yes: bool, as_json: bool) -> None:
    """List what old runs could free: trials that none of SWEEPS uses, training checkpoints of finished trials, Ray's folders.

    Without SWEEPS the files sweeps/*.yaml of the current folder count, with none of them no trial is listed.
    """
    places = Places.resolve(given)
    known = sweeps or tuple(sorted(Path("sweeps").glob("*.yaml")))
    leftovers = tuple(find_leftovers(places.runs_root, used_trials(known) if known else None))
    if yes and not dry_run:
        with every_sweep_held(places.runs_root):
            for leftover in leftovers:
                shutil.rmtree(leftover.path)
    _show(leftovers, removed=yes and not dry_run, as_json=as_json)


def used_trials(sweeps: Iterable[Path]) -> frozenset[str]:
    """The fingerprints of every trial of these sweep files, on their fallback data sets too."""
    plans = [plan for sweep in sweeps for plan in _plans(sweep)]
    return frozenset(trial.fingerprint for plan in plans for trial in plan.trials)


def _plans(sweep: Path) -> Iterator[Plan]:
    spec = load_sweep(sweep)
    yield build_plan(spec)
    if spec.fallback_dataset:
        yield build_plan(with_dataset(spec, cast(DatasetName, spec.fallback_dataset)))


def find_leftovers(runs_root: Path, used: frozenset[str] | None) -> Iterator[Leftover]:
    """What could go. ``used`` names the trials that are needed; None keeps every trial."""
    store = Store(runs_root)
    for folder in sorted(path for path in (runs_root / "trials").glob("*") if path.is_dir()):
        paths = store.paths(folder.name)
        if is_held(paths.lock):  # a worker that outlived its driver
            continue
        if used is not None and folder.name not in used:
            yield _leftover("a trial that no sweep uses", folder)
        elif paths.result.exists() and paths.checkpoints.is_dir():
            yield _leftover("training checkpoints of a finished trial", paths.checkpoints)
    for folder in sorted((runs_root / "sweeps").glob("*/ray")):
        yield _leftover("Ray's own files", folder)


def _leftover(why: str, path: Path) -> Leftover:
    return Leftover(why=why, path=path, bytes=sum(file.lstat().st_size for file in path.rglob("*") if not file.is_dir()))


@contextmanager
def every_sweep_held(runs_root: Path) -> Iterator[None]:
    """Hold the lock of every sweep of a runs folder, so that no trial loses its files while it runs. Raises SweepLockedError."""
    with ExitStack() as locks:
        for folder in sorted((runs_root / "sweeps").glob("*/")):
            locks.enter_context(driver_lock(folder))
        yield


def _show(leftovers: tuple[Leftover, ...], *, removed: bool, as_json: bool) -> None:
    if as_json:
        plain = [asdict(leftover) | {"path": str(leftover.path)} for leftover in leftovers]
        click.echo(json.dumps({"removed": removed, "leftovers": plain}, indent=2))
        return
    if leftovers:
        click.echo(aligned([(size_text(item.bytes), item.why, str(item.path)) for item in leftovers], right=(0,)))
    total = size_text(sum(item.bytes for item in leftovers))
    click.echo(f"removed {total}" if removed else f"{total} could be freed; nothing was removed (-y removes it)", err=True)
