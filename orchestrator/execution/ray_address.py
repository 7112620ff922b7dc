"""Parses the address of a Ray cluster, and checks that something listens there."""

from __future__ import annotations

import socket

from orchestrator.errors import ExecutorError

CONNECT_SECONDS = 10.0
"""After this time without an answer a cluster counts as unreachable."""
DEFAULT_PORT = 6379
_FORMS = "host:port, or auto for the cluster that runs on this machine"


def given_address(text: str | None) -> str | None:
    """The address of a cluster; None for a Ray that the launch starts itself: no text, or ``local``."""
    return None if text is None or text.strip() in ("", "local") else text.strip()


def check_reachable(address: str) -> None:
    """Raises ExecutorError, within :data:`CONNECT_SECONDS`, unless something listens at the address; Ray itself resolves ``auto``."""
    if address == "auto":
        return
    host, port = _parse(address)
    try:
        socket.create_connection((host, port), timeout=CONNECT_SECONDS).close()
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or ("no answer" if isinstance(error, OSError) else "no host can have this name")
        raise ExecutorError(
            f"no Ray cluster answers at {address} ({reason}): is it running, and is the address (--address, RAY_ADDRESS) today's? "
            "Without an address fsl starts a Ray of its own"
        ) from error


def no_answer(address: str) -> ExecutorError:
    """The error for an address where something listens that does not answer as a Ray cluster."""
    if address == "auto":
        return ExecutorError(f"the Ray cluster that was started on this machine did not answer within {CONNECT_SECONDS:g} s")
    return ExecutorError(f"no Ray cluster answered at {address} within {CONNECT_SECONDS:g} s, though something listens there")


def _parse(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    host, port = (host, port) if host else (port, str(DEFAULT_PORT))
    if "/" in host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise ExecutorError(f"{address!r} is no address of a Ray cluster; accepted: {_FORMS}")
    return host.strip("[]"), int(port)
