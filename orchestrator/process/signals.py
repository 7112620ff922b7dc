"""Turns the signals that ask a launch to stop into a stop file or a KeyboardInterrupt."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from fsl_core.listeners import Notice
from orchestrator.process.terminal import leave_lost_terminal


def stopping_signals() -> list[int]:
    """SIGINT, SIGTERM, and SIGHUP unless it is ignored, as under ``nohup``."""
    signals = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signals.append(signal.SIGHUP)
    return [int(each) for each in signals]


@contextmanager
def interrupted_by_signals() -> Iterator[None]:
    """Raises KeyboardInterrupt on each of the signals inside the block; by default SIGTERM and SIGHUP end Python silently."""
    with _handled_by(_interrupt):
        yield


def _interrupt(signal_number: int, frame: FrameType | None) -> None:
    leave_lost_terminal()
    raise KeyboardInterrupt


@contextmanager
def stop_file_on_signals(stop_file: Path, notice: Notice) -> Iterator[None]:
    """Creates the stop file, which every worker watches, on the first SIGINT, SIGTERM or SIGHUP inside the block.

    A second signal raises KeyboardInterrupt, except SIGHUP: the kernel and the shell of a closing terminal may both send it.
    """

    def stop(signal_number: int, frame: FrameType | None) -> None:
        leave_lost_terminal()
        if stop_file.exists():
            if signal_number == signal.SIGHUP:
                return
            raise KeyboardInterrupt
        try:
            stop_file.touch()
        except OSError as error:  # without it no worker would stop
            raise KeyboardInterrupt from error
        notice("stopping: running trials write their checkpoints; interrupt again to stop at once")

    with _handled_by(stop):
        yield


@contextmanager
def _handled_by(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Inside the block the handler takes the signals; in the main thread alone, for no other is allowed to have them."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous: dict[int, Any] = {}
    try:
        for number in stopping_signals():
            previous[number] = signal.signal(number, handler)
        yield
    finally:
        for number, earlier in previous.items():
            if earlier is not None:  # a handler that was not set by Python cannot be set by it
                signal.signal(number, earlier)
