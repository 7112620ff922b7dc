"""``fsl gc``: what old runs could free. Nothing is removed without ``-y``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import click

from orchestrator.cli.options import echo_notice, json_option, resolved_places
from orchestrator.cli.text_layout import aligned, size_text
from orchestrator.counted import counted
from orchestrator.launch.leftovers import Kept, Leftover, find_leftovers, kept_trials, remove_leftovers
from orchestrator.launch.places import Places
from orchestrator.launch.wanted_trials import Wanted, wanted_trials
from orchestrator.records.store import Store
from orchestrator.sweep.shipped import find_sweep, named_files, names_another_file, source_text


def _found(name: str) -> Path:
    """The sweep file that a name stands for, which is printed on stderr."""
    file = find_sweep(name)
    if names_another_file(name, file):
        echo_notice(source_text(file))
    return file


@click.command()
@click.argument("sweeps", nargs=-1, type=_found)
@resolved_places("runs_root")
@click.option(
    "--forget", multiple=True, metavar="SWEEP[/PLAN]", help="Also what only this launch, or this sweep's, wanted; repeatable."
)
@click.option("--unrecorded", is_flag=True, help="Also trials from before launches were put on record.")
@click.option("--dry-run", is_flag=True, help="Only list (what happens without -y too).")
@click.option("-y", "--yes", is_flag=True, help="Remove what is listed.")
@json_option
def gc(
    sweeps: tuple[Path, ...],
    places: Places,
    *,
    forget: tuple[str, ...],
    unrecorded: bool,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """List, or with -y remove, what old runs could free.

    These are trials that no launch on record and none of SWEEPS names, training checkpoints of finished trials, Ray's folders,
    compiled code (a later launch compiles it again), and what a killed write left.

    Every `fsl run` puts on record what it wants, with its --set, --only and --seeds; --forget lets go of that. Without SWEEPS the
    files sweeps/*.yaml of the current folder and the sweeps of this package count. What stays for a launch alone is listed on stderr.
    """
    store = Store(places.runs_root)
    files = sweeps or named_files()

    def wanted() -> Wanted:
        return wanted_trials(store.runs_root, sweeps=files, forget=forget, unrecorded=unrecorded)

    before, removes = wanted(), yes and not dry_run
    kept = tuple(kept_trials(store, before))
    if removes:
        leftovers = remove_leftovers(store.runs_root, lambda: find_leftovers(store, wanted(), all_held=True))
    else:
        leftovers = tuple(find_leftovers(store, before))
    _show(leftovers, kept, removed=removes, as_json=as_json)


def _show(leftovers: Sequence[Leftover], kept: Sequence[Kept], *, removed: bool, as_json: bool) -> None:
    if as_json:
        plain = [{"why": item.why, "path": str(item.path), "bytes": item.bytes} for item in leftovers]
        click.echo(json.dumps({"removed": removed, "leftovers": plain, "kept": [asdict(each) for each in kept]}, indent=2))
        return
    if leftovers:
        click.echo(aligned([(size_text(item.bytes), item.why, str(item.path)) for item in leftovers], right=(0,)))
    for each in kept:
        click.echo(f"kept: {counted(each.trials, 'trial')}, {size_text(each.bytes)}, {each.why} ({each.lets_go})", err=True)
    total = size_text(sum(item.bytes for item in leftovers))
    click.echo(f"removed {total}" if removed else f"{total} could be freed; nothing was removed (-y removes it)", err=True)
