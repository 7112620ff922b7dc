"""``fsl bring``: take up trials that were trained on another machine."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import click

from orchestrator.cli.exit_codes import ExitCode
from orchestrator.cli.options import echo_notice, resolved_places
from orchestrator.launch.places import Places
from orchestrator.records.store import Store


@click.command()
@click.argument("folders", nargs=-1, required=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
@resolved_places("data_root", "runs_root")
def bring(folders: tuple[Path, ...], places: Places) -> None:
    """Take up trials that were trained on another machine.

    FOLDERS hold those that `fsl plan SWEEP --write-trials` wrote and `python -m fsl_core.train` trained, or are the runs folder of
    that machine.

    Each is checked against its fingerprint, its digests and the images of this machine, and refused by name where it does not fit.
    The next `fsl run` counts the others as finished. Exit code 3: some trial was refused; 4: some is not finished.
    """
    from orchestrator.records.bringing import bring, trial_folders  # torch, only where trials are checked
    from orchestrator.records.brought_trial import TrialCheck, dataset_opener

    places.check_writable()
    check = TrialCheck(dataset_opener(data_root=places.data_root, cache_root=places.cache_root, notice=echo_notice))
    found = [each for folder in folders for each in trial_folders(folder)]
    outcomes = Counter[str]()
    for each in bring(found, Store(places.runs_root), check):
        outcomes[each.outcome] += 1
        click.echo(f"{each.outcome}: {each.folder} ({each.why})", err=each.outcome == "refused")
    echo_notice(", ".join(f"{count} {outcome}" for outcome, count in outcomes.items()) or "no folder of a trial is there")
    if outcomes["refused"]:
        raise SystemExit(ExitCode.TRIAL_FAILED)
    if outcomes["unfinished"] or not found:
        raise SystemExit(ExitCode.INCOMPLETE)
