"""Chooses the execution path of a kind of training step: measured once, on the machine that takes it, and stored.

Every later attempt, executor and stage of a trial uses the stored choice, so that the bits of its result do not depend on a timer.
"""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

import torch

from fsl_core.atomic_file import write_atomically, write_if_absent
from fsl_core.backbones.kernels import Layout
from fsl_core.errors import ExecutionPathError, StopRequested
from fsl_core.json_digest import json_digest
from fsl_core.processor import processor_name
from fsl_core.recipe.fingerprint import as_plain
from fsl_core.recipe.recipe import TrainingRecipe
from fsl_core.training.episode_memory import most_episodes_at_once
from fsl_core.training.execution_path import ExecutionPath
from fsl_core.training.path_file import path_as_document, path_as_plain, read_path
from fsl_core.training.path_repetition import Repetition, not_repeating, repeats_exactly
from fsl_core.training.path_timing import stopwatch_of
from fsl_core.training.unit_work import step_bill

_PIXELS_AT_ONCE_ON_CUDA = 25_000_000  # of the episodes differentiated together: bounds memory
_USUAL_PIXELS_AT_ONCE = 80_000  # on a CPU, where larger maps outgrow its caches
_STEPS_THAT_REPAY_COMPILING = 10_000
_HOPELESS = 1.5  # times the best: slower paths are not measured again
_ROUNDS = 5
_ENOUGH_SECONDS = 2.0

Stopwatch = Callable[[TrainingRecipe, ExecutionPath, tuple[int, int, int]], Callable[[], float]]
"""Times a recipe on a path, for images of a shape: each call of the result takes a step and returns the seconds per episode."""


@dataclass(frozen=True, kw_only=True)
class StepKind:
    """The inputs of the choice: the work of a step, and the machine and libraries that do it.

    ``seeds``: the number of seeds of the recipe that one process trains; on CUDA they may train together.
    """

    recipe: TrainingRecipe
    image_shape: tuple[int, int, int]
    device: str
    threads: int
    seeds: int = 1

    def as_plain(self) -> dict[str, Any]:
        """The kind as JSON types."""
        (work, _), *_ = step_bill(self.recipe)
        return {
            "work": as_plain(work),
            "meta_batch_size": self.recipe.meta_batch_size,
            "image_shape": list(self.image_shape),
            "device": self.device,
            "device_name": torch.cuda.get_device_name() if self.device == "cuda" else processor_name(),
            "threads": self.threads,
            "torch": torch.__version__,
            "instructions": torch.backends.cpu.get_cpu_capability(),
            **({"seeds": self.seeds} if self.seeds > 1 else {}),
            **({"compiled": True} if self._repays_compiling() else {}),
        }

    def usual_path(self) -> ExecutionPath:
        """The default path, used without measurement, for example in a prediction."""
        on_cuda = self.device == "cuda"
        at_once = self._most() if on_cuda else min(self._most(), self._fitting(_USUAL_PIXELS_AT_ONCE))
        return ExecutionPath(device=self.device, threads=self.threads, episodes_at_once=at_once, captured=on_cuda)

    def candidates(self) -> Iterator[ExecutionPath]:
        """The paths to measure, the usual one first. On CUDA several seeds are also tried together."""
        yield from self._of_one_seed()
        if self.device == "cuda" and self.seeds > 1:
            yield from map(self.together, self._of_one_seed())
        if self._repays_compiling():  # several seeds only together: compiling takes up to minutes, and that is as fast for each
            yield from map(self.together, self.compiled()) if self.seeds > 1 else self.compiled()

    def compiled(self) -> Iterator[ExecutionPath]:
        """The compiled paths of one seed."""
        plain = replace(self.usual_path(), normalisation="plain", stem="maps", compiled=True)
        if plain.episodes_at_once > 1:
            yield replace(plain, convolution="unfolded", layout="channels_first")
        yield plain

    def together(self, path: ExecutionPath) -> ExecutionPath:
        """The path of all seeds together whose episodes take no more memory than those of one seed may."""
        at_once = min(path.episodes_at_once, self._fitting(_PIXELS_AT_ONCE_ON_CUDA // self.seeds))
        return replace(path, episodes_at_once=at_once, seeds_together=self.seeds)

    def _of_one_seed(self) -> Iterator[ExecutionPath]:
        usual, most = self.usual_path(), self._most()
        yield usual
        near = [2**power for power in range(10) if usual.episodes_at_once <= 4 * 2**power <= 8 * usual.episodes_at_once]
        for size in near if self.device == "cpu" else [most]:
            if size != usual.episodes_at_once and size <= most:
                yield replace(usual, episodes_at_once=size)
        yield replace(usual, stem="maps")
        if self.recipe.algorithm.adapts:
            yield replace(usual, stem="reused_patches")
        yield replace(usual, layout="channels_first")
        if self.device == "cuda":
            yield from _on_cuda(usual)

    def _repays_compiling(self) -> bool:
        """Whether compiled paths are candidates: a training must be long, and on a CPU compiled code is slower (docs/performance.md)."""
        return self.device == "cuda" and self.recipe.steps >= _STEPS_THAT_REPAY_COMPILING

    def _most(self) -> int:
        """The number of episodes that memory allows to differentiate together."""
        if self.device == "cuda":
            return self._fitting(_PIXELS_AT_ONCE_ON_CUDA)
        return most_episodes_at_once(self.recipe, self.image_shape)

    def _fitting(self, pixels: int) -> int:
        """The number of episodes of a meta-batch with at most so many pixels together, at least one."""
        shape = self.recipe.episode
        each = shape.way * shape.images_per_class * math.prod(self.image_shape)
        return max(1, min(self.recipe.meta_batch_size, pixels // each))


def _on_cuda(usual: ExecutionPath) -> Iterator[ExecutionPath]:
    yield replace(usual, stem="maps", layout="channels_first")
    for layout in get_args(Layout):
        yield replace(usual, normalisation="plain", layout=layout)
        yield replace(usual, normalisation="plain", stem="maps", layout=layout)
    if usual.episodes_at_once > 1:
        yield replace(usual, convolution="unfolded", layout="channels_first")
        yield replace(usual, convolution="unfolded", normalisation="plain", layout="channels_first")
    yield replace(usual, captured=False)


def choose_path(
    kind: StepKind,
    choices: Path | None,
    stopwatch: Stopwatch | None = None,
    repetition: Repetition | None = None,
    *,
    should_stop: Callable[[], bool] = lambda: False,
) -> ExecutionPath:
    """Choose the path of this kind of step: the one stored in ``choices``, or the fastest, which is stored before any training.

    A path on CUDA must repeat to the bit. If several processes measure concurrently, the first to write decides for all. The default
    stopwatch is :func:`fsl_core.training.path_timing.stopwatch_of`; the default ``repetition``, on CUDA alone,
    :func:`fsl_core.training.path_repetition.repeats_exactly`. ``should_stop`` is asked around candidates that are compiled, for minutes:
    an interrupt ends the compiler's processes too, which is no reason against their paths.

    Raises:
        ExecutionPathError: no path works here, or none repeats.
        StopRequested: ``should_stop`` said so; nothing is stored.
    """
    plain = kind.as_plain()
    file = None if choices is None else choices / f"{json_digest(plain)[:16]}.json"
    if file is not None and (kept := read_path(file)) is not None:
        return kept
    measured = _measured(kind, stopwatch_of if stopwatch is None else stopwatch, should_stop)
    if repetition is None and kind.device == "cuda":  # on a CPU every path repeats
        repetition = repeats_exactly
    by_speed = sorted(measured, key=lambda path: measured[path])
    others = [] if repetition is None else not_repeating(kind.recipe, by_speed, kind.image_shape, repetition)
    fastest = by_speed[len(others)]
    if kind.device == "cuda":
        _leave_no_trace()
    if any(path.compiled for path in kind.candidates()):
        _stop_if(should_stop)
    if file is None:
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


def _measured(kind: StepKind, stopwatch: Stopwatch, should_stop: Callable[[], bool]) -> dict[ExecutionPath, float]:
    """Measure the least seconds per episode of each candidate that works here.

    Hopeless candidates are released at once: each captured step holds the memory of all its activations.
    """
    with kind.usual_path().active(kind.recipe.matmul_precision):
        takes: dict[ExecutionPath, Callable[[], float]] = {}
        least: dict[ExecutionPath, float] = {}
        problem = ""
        for path in kind.candidates():
            if path.compiled:
                _stop_if(should_stop)
            timed = _first_time(kind, path, stopwatch)
            if isinstance(timed, str):
                problem = problem or timed
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
        raise ExecutionPathError(
            f"no execution path on {kind.device} works here now: {problem or 'each failed after a first step'}"
        )
    return {path: seconds for path, seconds in least.items() if math.isfinite(seconds)}


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
