"""Runs all contenders of a workload in turn, so that other load on the machine affects all of them equally."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack

from benchmarks.contenders import Contender, contenders_of
from benchmarks.installed_peers import is_installed
from benchmarks.score import Score
from benchmarks.timed_process import ContenderError, TimedProcess
from benchmarks.workloads import Workload
from fsl_core.listeners import Notice


def duel(
    workload: Workload,
    contenders: Sequence[Contender],
    *,
    rounds: int,
    seconds: float,
    threads: int = 1,
    notice: Notice = print,
) -> tuple[Score, ...]:
    """Give each contender one turn of this many processor seconds per round.

    A contender that fails is absent from then on, and the others continue.
    """
    scores = [Score(contender=contender) for contender in contenders]
    with ExitStack() as processes:
        started = {score.contender.name: _started(score, workload, threads, processes) for score in scores}
        for number in range(rounds):
            for score in scores:
                process, most = started[score.contender.name], score.contender.rounds
                if process is not None and score.absent is None and (most is None or number < most):
                    _take_turn(score, process, seconds)
            notice(f"{workload.name}: round {number + 1} of {rounds}")
    return tuple(scores)


def _started(score: Score, workload: Workload, threads: int, processes: ExitStack) -> TimedProcess | None:
    needs = score.contender.needs
    if needs is not None and not is_installed(needs):
        score.absent = f"{needs} is not installed"
        return None
    try:
        process = TimedProcess(score.contender, workload, threads=threads)
    except ContenderError as error:
        score.absent = str(error)
        return None
    processes.callback(process.close)
    return process


def _take_turn(score: Score, process: TimedProcess, seconds: float) -> None:
    try:
        score.turns.append(process.turn(seconds))
    except ContenderError as error:
        score.absent = str(error)


def chosen(workload: Workload, names: Sequence[str]) -> tuple[Contender, ...]:
    """The named contenders that have a workload; all if none is named."""
    return tuple(each for each in contenders_of(workload) if not names or each.name in names)
