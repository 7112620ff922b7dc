"""Runs each contender in its own process, as allocator settings apply to a whole process; the parent assigns the turns."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from benchmarks.allocator import forget_peak, hand_back_freed_memory, held_mb, peak_mb
from benchmarks.contenders import Contender
from benchmarks.own_process import own_processes
from benchmarks.workloads import Workload

_KEPT_MB = 800.0  # processes with more release it after each turn: a dozen wait at a time


@dataclass(frozen=True, kw_only=True)
class Turn:
    """One turn: the processor milliseconds of each step, and the peak memory in MB above that before any step."""

    milliseconds: tuple[float, ...]
    peak_mb: float | None


class ContenderError(Exception):
    """A contender's process failed; the message says why."""


class TimedProcess:
    """The process of one contender and one workload. It waits for its turn to take steps."""

    def __init__(self, contender: Contender, workload: Workload, *, threads: int) -> None:
        context = own_processes(threads)
        self.contender = contender
        self._here, there = context.Pipe()
        self._process = context.Process(target=_serve, args=(there, contender, workload, threads), daemon=True)
        self._process.start()
        there.close()
        self._answer()

    def turn(self, seconds: float) -> Turn:
        """Take steps for this many processor seconds, at least one; an uncounted step comes first if memory was released."""
        self._here.send(seconds)
        turn: Turn = self._answer()
        return turn

    def close(self) -> None:
        """End the process."""
        if self._process.is_alive():
            self._here.send(None)
        self._process.join()

    def _answer(self) -> Any:
        try:
            answer = self._here.recv()
        except EOFError:
            self._process.join()
            raise ContenderError(f"its process ended with exit code {self._process.exitcode}") from None
        if isinstance(answer, str):
            raise ContenderError(answer)
        return answer


def _serve(parent: Connection, contender: Contender, workload: Workload, threads: int) -> None:
    try:
        step = _prepared(contender, workload, threads)
        parent.send(True)
        base = _held()
        warm = False
        while (seconds := parent.recv()) is not None:
            if not warm:
                step()  # it allocates
            turn = _turn(step, seconds, base)
            warm = turn.peak_mb is None or turn.peak_mb < _KEPT_MB
            if not warm:
                hand_back_freed_memory()
            parent.send(turn)
    except Exception as error:  # the parent shows it in the table and continues with the others
        parent.send(f"{type(error).__name__}: {error}")


def _prepared(contender: Contender, workload: Workload, threads: int) -> Callable[[], None]:
    from benchmarks.step_maker import make_step  # only these processes import torch

    return make_step(contender, workload, threads=threads)


def _held() -> float | None:
    hand_back_freed_memory()
    forget_peak()
    return held_mb()


def _turn(step: Callable[[], None], seconds: float, base: float | None) -> Turn:
    milliseconds: list[float] = []
    while sum(milliseconds) < 1000 * seconds or not milliseconds:
        began = time.process_time()
        step()
        milliseconds.append(1000 * (time.process_time() - began))
    peak = peak_mb()
    return Turn(milliseconds=tuple(milliseconds), peak_mb=None if base is None or peak is None else peak - base)
