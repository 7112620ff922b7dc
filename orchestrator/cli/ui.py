"""``fsl ui``: MLflow's own web interface on the store in use."""

from __future__ import annotations

import signal

import click

from orchestrator.cli.options import Given, Places, takes_places
from orchestrator.errors import TrackingError
from orchestrator.tracking.location import artifact_root, is_server, without_password
from orchestrator.tracking.mlflow_server import ui_link, ui_server


@click.command()
@takes_places("runs_root", "tracking_uri")
@click.option("--port", type=click.IntRange(0, 65535), default=5000, show_default=True, help="Port on 127.0.0.1; 0 = a free one.")
@click.option("--experiment", help="Go to the runs of this sweep.")
def ui(given: Given, port: int, experiment: str | None) -> None:
    """Serve MLflow's UI on the store in use, on loopback only, until Ctrl-C; its address is printed."""
    places = Places.resolve(given)
    uri = places.tracking_uri
    if is_server(uri):
        click.echo(f"{without_password(uri)} is a tracking server with a UI of its own:", err=True)
        click.echo(without_password(ui_link(uri, experiment)))
        return
    click.echo(f"starting MLflow's server on {without_password(uri)}", err=True)
    log = places.runs_root / "mlflow-ui.log"
    with ui_server(uri, artifacts=artifact_root(places.runs_root), log=log, port=port) as server:
        click.echo(server.link(experiment))
        click.echo("Ctrl-C ends it", err=True)
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # told to end, it ends the server too
        try:
            server.wait()
        except KeyboardInterrupt:
            click.echo("ended", err=True)
            return
    raise TrackingError(f"MLflow's server ended by itself; what it said is in {log}")
