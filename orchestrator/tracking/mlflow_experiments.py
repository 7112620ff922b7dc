"""Which experiments a store holds, asked for through MLflow's own client, which knows how to sign in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from orchestrator.errors import TrackingError
from orchestrator.tracking.address import TrackingAddress
from orchestrator.tracking.client_settings import prepare_client

if TYPE_CHECKING:
    from mlflow.entities import Experiment


def experiment_ids(address: TrackingAddress) -> Mapping[str, str]:
    """The ids of a store's experiments by their names, the newest first; without MLflow's own, which is empty.

    Raises:
        TrackingError: if the store does not answer.
    """
    try:
        return {each.name: str(each.experiment_id) for each in _every_experiment(address) if each.name != "Default"}
    except Exception as error:  # MLflow raises many kinds
        reason = " ".join(str(error).split())[:300]
        raise TrackingError(address.redact(f"MLflow at {address} does not list its experiments: {reason}")) from error


def _every_experiment(address: TrackingAddress) -> Iterator[Experiment]:
    prepare_client()
    from mlflow import MlflowClient

    client, token = MlflowClient(tracking_uri=address.whole), None
    while True:
        page = client.search_experiments(order_by=["creation_time DESC"], page_token=token)
        yield from page
        token = page.token
        if not token:
            return
