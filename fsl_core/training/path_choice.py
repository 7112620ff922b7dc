"""Chooses the execution path of a kind of training step: measured once, on the machine that takes it, and stored.

Every later attempt, executor and stage of a trial uses the stored choice, so that the bits of its result do not depend on a timer.
"""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable
from pathlib import Path

import torch

from fsl_core.atomic_file import write_atomically, write_if_absent
from fsl_core.errors import ExecutionPathError, StopRequested
from fsl_core.json_digest import json_digest
from fsl_core.listeners import Notice
from fsl_core.recipe.recipe import TrainingRecipe
from fsl_core.training.execution_path import ExecutionPath
from fsl_core.training.path_file import path_as_document, path_as_plain, read_path
from fsl_core.training.path_repetition import Repetition, not_repeating, repeats_exactly
from fsl_core.training.path_timing import stopwatch_of
from fsl_core.training.step_kind import StepKind

_HOPELESS = 1.5  # times the best: slower paths are not measured again
_ROUNDS = 5
_ENOUGH_SECONDS = 2.0

Stopwatch = Callable[[TrainingRecipe, ExecutionPath, tuple[int, int, int]], Callable[[], float]]
"""Times a recipe on a path, for images of a shape: each call of the result takes a step and returns the seconds per episode."""


def choose_path(
    kind: StepKind,
    choices: Path | None,
    stopwatch: Stopwatch | None = None,
    repetition: Repetition | None = None,
    *,
    should_stop: Callable[[], bool] = lambda: False,
    notice: Notice = lambda message: None,
) -> ExecutionPath:
    """Choose the path of this kind of step: the one stored in ``choices``, or the fastest, which is stored before any training.

    A path on CUDA must repeat to the bit. If several processes measure concurrently, the first to write decides for all. The default
    stopwatch is :func:`fsl_core.training.path_timing.stopwatch_of`; the default ``repetition``, on CUDA alone,
    :func:`fsl_core.training.path_repetition.repeats_exactly`. ``should_stop`` is asked around candidates that are compiled, for minutes:
    an interrupt ends the compiler's processes too, which is no reason against their paths. ``notice`` receives a sentence before one is
    compiled.

    Raises:
        ExecutionPathError: no path works here, or none repeats.
        StopRequested: ``should_stop`` said so; nothing is stored.
    """
    plain = kind.as_plain()
    file = None if choices is None else choices / f"{json_digest(plain)[:16]}.json"
    if file is not None and (kept := read_path(file)) is not None:
        return kept
    measured, problems = _measured(kind, stopwatch_of if stopwatch is None else stopwatch, should_stop, notice)
    without_loops = next((problem for path, problem in problems.items() if path.stem == "loops"), None)
    if without_loops is not None:
        notice(f"a training without loops is slower: {without_loops}")
    if repetition is None and kind.device == "cuda":  # on a CPU every path repeats
        repetition = repeats_exactly
    by_speed = sorted(measured, key=lambda path: measured[path])
    others = [] if repetition is None else not_repeating(kind.recipe, by_speed, kind.image_shape, repetition)
    fastest = by_speed[len(others)]
    if kind.device == "cuda":
        _leave_no_trace()
    if any(path.compiled for path in measured):
        _stop_if(should_stop)
    if file is None or without_loops is not None:  # that depends on the environment and on files, which no kind names
        return fastest
    seconds = [
        {"path": path_as_plain(path), "seconds_an_episode": each, **({"repeats": False} if path in others else {})}
        for path, each in measured.items()
    ]
    document = path_as_document(fastest, kind=plain, measured=seconds)
    if not write_if_absent(file, document) and read_path(file) is None:
        write_atomically(file, document)  # damaged: without a replacement each later trial would measure its own
    return read_path(file) or fastest


def _leave_no_trace() -> None:
    """Release the memory of all measurements, and count the trial's own peak from here."""
    gc.collect()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()


def _stop_if(should_stop: Callable[[], bool]) -> None:
    if should_stop():
        raise StopRequested("stopped while execution paths were measured")


def _measured(
    kind: StepKind, stopwatch: Stopwatch, should_stop: Callable[[], bool], notice: Notice
) -> tuple[dict[ExecutionPath, float], dict[ExecutionPath, str]]:
    """Measure the least seconds per episode of each candidate that works here; also say why the others do not.

    Hopeless candidates are released at once: each captured step holds the memory of all its activations.
    """
    with kind.usual_path().active(kind.recipe.matmul_precision):
        takes: dict[ExecutionPath, Callable[[], float]] = {}
        least: dict[ExecutionPath, float] = {}
        problems: dict[ExecutionPath, str] = {}
        for path in kind.candidates():
            if not kind.may_pay(path, min(least.values(), default=math.inf)):
                continue
            if path.compiled:
                _stop_if(should_stop)
                notice("compiling the steps of this training, which may take a minute")
            timed = _first_time(kind, path, stopwatch)
            if path.compiled:
                _stop_if(should_stop)
            if isinstance(timed, str):
                problems[path] = timed
            else:
                takes[path], least[path] = timed
            del timed
            takes = _hopeful(takes, least)
        began = time.perf_counter()
        for _ in range(_ROUNDS):  # in turn, so that other load on the machine affects all of them
            for path, take in takes.items():
                took = _repeat(take)
                least[path] = took if math.isinf(took) else min(least[path], took)
            takes = _hopeful(takes, least)
            if time.perf_counter() - began > _ENOUGH_SECONDS:
                break
    if not least or math.isinf(min(least.values())):
        first = next(iter(problems.values()), "each failed after a first step")
        raise ExecutionPathError(f"no execution path on {kind.device} works here now: {first}")
    return {path: seconds for path, seconds in least.items() if math.isfinite(seconds)}, problems


def _repeat(take: Callable[[], float]) -> float:
    """Measure a candidate again; infinity if it no longer works, for example for lack of memory."""
    try:
        return take()
    except (RuntimeError, ExecutionPathError):
        return math.inf


def _hopeful(
    takes: dict[ExecutionPath, Callable[[], float]], least: dict[ExecutionPath, float]
) -> dict[ExecutionPath, Callable[[], float]]:
    """The candidates that may still be the fastest."""
    best = min(least.values(), default=math.inf)
    return {path: take for path, take in takes.items() if least[path] <= _HOPELESS * best and math.isfinite(least[path])}


def _first_time(kind: StepKind, path: ExecutionPath, stopwatch: Stopwatch) -> tuple[Callable[[], float], float] | str:
    """The timer of a candidate and its first measurement; or why it does not work here."""
    try:
        take = stopwatch(kind.recipe, path, kind.image_shape)
        take()  # not counted: the first call includes one-time costs of the process and would look hopeless
        return take, take()
    except (RuntimeError, ExecutionPathError) as error:  # such as an operation that this device lacks, or a lack of memory
        if path == kind.usual_path() and path.device == "cpu":
            raise
        return str(error)  # not the error: its traceback keeps the tensors alive
