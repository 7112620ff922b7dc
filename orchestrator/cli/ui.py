"""``fsl ui``: MLflow's own web interface on the store in use."""

from __future__ import annotations

import signal
from collections.abc import Mapping

import click

from orchestrator.cli.options import Given, Places, takes_places
from orchestrator.errors import TrackingError
from orchestrator.tracking.location import artifact_root
from orchestrator.tracking.mlflow_experiments import experiment_ids
from orchestrator.tracking.mlflow_server import runs_page, ui_server


@click.command()
@takes_places("runs_root", "tracking_uri")
@click.option("--port", type=click.IntRange(0, 65535), default=5000, show_default=True, help="Port on 127.0.0.1; 0 = a free one.")
@click.option("--experiment", help="Print the page of this sweep's runs alone.")
def ui(given: Given, port: int, experiment: str | None) -> None:
    """Serve MLflow's UI on the store in use, on loopback only, until Ctrl-C; the page of every sweep's runs is printed."""
    places = Places.resolve(given)
    address = places.tracking
    if address.is_server:
        click.echo(f"{address} is a tracking server with a UI of its own:", err=True)
        _print_pages(address.page, _chosen(experiment_ids(address), experiment))
        return
    click.echo(f"starting MLflow's server on {address}", err=True)
    log = places.runs_root / "mlflow-ui.log"
    with ui_server(address, artifacts=artifact_root(places.runs_root), log=log, port=port) as server:
        _print_pages(server.url, _chosen(experiment_ids(address), experiment))
        click.echo("Ctrl-C ends it", err=True)
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # told to end, it ends the server too
        try:
            server.wait()
        except KeyboardInterrupt:
            click.echo("ended", err=True)
            return
    raise TrackingError(f"MLflow's server ended by itself; what it said is in {log}")


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
        click.echo(
            f"{name}: {runs_page(base_url, experiment_id)}" if len(experiments) > 1 else runs_page(base_url, experiment_id)
        )
