"""``fsl ui``: MLflow's own web interface on the store in use."""

from __future__ import annotations

from collections.abc import Mapping

import click

from orchestrator.cli.options import resolved_places
from orchestrator.errors import TrackingError
from orchestrator.launch.places import Places
from orchestrator.launch.trackers import backlog_of
from orchestrator.records.store import Store
from orchestrator.records.trial_edition import earlier_editions_text
from orchestrator.tracking.backlog import BacklogSender
from orchestrator.tracking.mlflow_experiments import experiment_ids, refuse_broken_file
from orchestrator.tracking.mlflow_server import runs_page, ui_server
from orchestrator.tracking.run_tags import EDITION
from orchestrator.tracking.tracking_uri import artifact_root

PATIENCE = 10.0
"""Seconds that the pages wait for what earlier commands left unsent; the rest is sent while they are looked at."""


@click.command()
@resolved_places("runs_root", "tracking_uri")
@click.option("--port", type=click.IntRange(0, 65535), default=5000, show_default=True, help="Port on 127.0.0.1; 0 = a free one.")
@click.option("--experiment", metavar="SWEEP", help="Print the page of this sweep's runs alone.")
def ui(places: Places, port: int, experiment: str | None) -> None:
    """Serve MLflow's UI on this machine, until Ctrl-C.

    It shows the store in use and listens on loopback only. The page of every sweep's runs is printed.

    What earlier launches did not send to this store is sent meanwhile, from the records: all of it where the store is gone. The runs
    folder's own store gets what launches without tracking computed, too.
    """
    if earlier := earlier_editions_text(Store(places.runs_root).of_earlier_editions(), places.runs_root):
        click.echo(f"{earlier}; runs of the first edition lack the tag {EDITION}", err=True)
    refuse_broken_file(places.tracking)
    sender = BacklogSender(backlog_of(places))
    if places.tracking.is_server:
        _send_to_server(places, sender, experiment)
    else:
        _serve(places, sender, port, experiment)


def _send_to_server(places: Places, sender: BacklogSender, experiment: str | None) -> None:
    address = places.tracking
    experiment_ids(address)  # first, for a server that is away is soon said to be
    sender.start()
    sender.wait(PATIENCE)
    _tell_what_is_left(sender, "the next command on it sends the rest")
    pages = _chosen(experiment_ids(address), experiment)
    click.echo(f"{address} is a tracking server with a UI of its own:", err=True)
    _print_pages(address.page, pages)


def _serve(places: Places, sender: BacklogSender, port: int, experiment: str | None) -> None:
    file, log = places.tracking.sqlite_file, places.runs_root / "mlflow-ui.log"
    is_there = file is None or file.exists()
    if is_there:
        experiment_ids(places.tracking)  # first: a store that is half made would end the server without a reason
    sender.start()
    if experiment or not is_there:
        sender.wait_for_experiments()  # a new store's tables are made by one process alone
    if experiment:
        _chosen(experiment_ids(places.tracking), experiment)  # before twenty seconds of a server's start
    click.echo(f"starting MLflow's server on {places.tracking}", err=True)
    with ui_server(places.tracking, artifacts=artifact_root(places.runs_root), log=log, port=port) as server:
        sender.wait_for_experiments(PATIENCE)
        _print_pages(server.url, _chosen(experiment_ids(places.tracking), experiment))
        _tell_what_is_left(sender, "reload a page to see more")
        click.echo("Ctrl-C ends it", err=True)
        try:
            server.wait()
        except KeyboardInterrupt:
            click.echo("ended", err=True)
            return
    raise TrackingError(f"MLflow's server ended by itself; what it said is in {log}")


def _tell_what_is_left(sender: BacklogSender, remedy: str) -> None:
    if sender.error is not None:
        click.echo(f"not all that earlier commands left could be sent: {sender.error}", err=True)
    elif sender.is_sending:
        click.echo(f"runs that earlier commands left are still being sent; {remedy}", err=True)


def _chosen(known: Mapping[str, str], experiment: str | None) -> Mapping[str, str]:
    """The experiments to print; one that is asked for and not there is an error that names those that are."""
    if experiment is None:
        return known
    if experiment not in known:
        names = ", ".join(known) or "no sweep yet"
        raise TrackingError(f"there is no sweep {experiment!r} in this store; it has {names}")
    return {experiment: known[experiment]}


def _print_pages(base_url: str, experiments: Mapping[str, str]) -> None:
    if not experiments:
        click.echo(f"no sweep is in this store yet: {base_url}", err=True)
    for name, experiment_id in experiments.items():
        page = runs_page(base_url, experiment_id)
        click.echo(page if len(experiments) == 1 else f"{name}: {page}")
