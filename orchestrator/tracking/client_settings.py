"""Sets up MLflow's client in this process: quiet on the terminal, fails fast; telemetry off."""

from __future__ import annotations

import logging
import os

# MLflow's own retries would let a dead server hold each call for four minutes.
ENVIRONMENT = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
NOISY_LOGGERS = ("mlflow", "alembic", "urllib3.connectionpool")


LOOPBACK = ("127.0.0.1", "localhost", "::1")


def prepare_client() -> None:
    """Set the variables that the user has not set. Call it before mlflow is imported, which reads them."""
    _ask_loopback_directly()
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    for name in NOISY_LOGGERS:
        logging.getLogger(name).setLevel(logging.ERROR)


def _ask_loopback_directly() -> None:
    """Bypasses the environment's proxy for servers on this machine, which it cannot reach."""
    named = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    if named != "*":
        os.environ["no_proxy"] = ",".join(dict.fromkeys(filter(None, [*named.split(","), *LOOPBACK])))
