"""Measures each part of the benchmark and writes it to its own document."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.contenders import BASELINE, OURS, Contender
from benchmarks.duel import chosen, duel
from benchmarks.machine import this_machine
from benchmarks.own_process import in_own_process
from benchmarks.scaling import Axis
from benchmarks.score import score_rows
from benchmarks.workloads import Workload

_ROOFLINE_TIMES = 5  # each operation, per round


@dataclass(frozen=True, kw_only=True)
class Rounds:
    """The number of rounds, the processor seconds per turn, and the threads."""

    count: int
    seconds: float
    threads: int


def measure_steps(folder: Path, rounds: Rounds, workloads: Sequence[Workload], names: Sequence[str]) -> None:
    """Measure the named contenders of each workload, or all, into ``steps_<workload>.json``."""
    for workload in workloads:
        path = folder / f"steps_{workload.name}.json"
        _write(path, workload.title, rounds, partial(_rows, workload, chosen(workload, names), rounds))


def measure_roofline(folder: Path, rounds: Rounds) -> None:
    """Measure the machine's best rates into ``roofline.json``."""
    from benchmarks.roofline import roofline  # imports torch, needed only in its process

    times = _ROOFLINE_TIMES * rounds.count
    measure = partial(in_own_process, rounds.threads, roofline, rounds.threads, times)
    _write(folder / "roofline.json", "Roofline", rounds, measure)


def measure_profile(folder: Path, rounds: Rounds, workloads: Sequence[Workload]) -> None:
    """Profile the steps of ours and the baseline into ``profile_<workload>.json``."""
    for workload in workloads:
        _write(folder / f"profile_{workload.name}.json", workload.title, rounds, partial(_profiles, workload, rounds))
        print(f"{workload.name}: profiled")


def measure_scaling(folder: Path, rounds: Rounds, axes: Sequence[Axis]) -> None:
    """Measure ours and the baseline along each axis into ``scaling_<axis>.json``."""
    for axis in axes:
        _write(folder / f"scaling_{axis.name}.json", axis.title, rounds, partial(_along, axis, rounds))
        print(f"{axis.name}: measured")


def _rows(workload: Workload, contenders: Sequence[Contender], rounds: Rounds) -> Iterator[dict[str, Any]]:
    scores = duel(workload, contenders, rounds=rounds.count, seconds=rounds.seconds, threads=rounds.threads)
    yield from score_rows(workload, scores)


def _profiles(workload: Workload, rounds: Rounds) -> Iterator[dict[str, Any]]:
    from benchmarks.step_profile import profiled_step

    for contender in (OURS, BASELINE):
        yield in_own_process(rounds.threads, profiled_step, contender, workload, rounds.threads)


def _along(axis: Axis, rounds: Rounds) -> Iterator[dict[str, Any]]:
    for value, workload in axis.points:
        yield from ({"value": value, **row} for row in _rows(workload, (OURS, BASELINE), rounds))


def _write(path: Path, title: str, rounds: Rounds, measure: Callable[[], Iterable[dict[str, Any]]]) -> None:
    machine = this_machine()  # before measuring: the commit may change meanwhile
    document = {"title": title, "machine": machine, "rounds": rounds, "rows": list(measure())}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, default=_plain, indent=1) + "\n", encoding="utf-8")


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {name: _rounded(each) for name, each in dataclasses.asdict(value).items()}
    raise TypeError(f"{type(value).__name__} cannot be part of a document")


def _rounded(value: Any) -> Any:
    return float(f"{value:.5g}") if isinstance(value, float) else value
