"""Which execution path a kind of training step takes: measured once, on the machine that takes it, and kept.

What is kept is obeyed by every later attempt, executor and stage of a trial, so that the bits of its result do not hang on a timer.
"""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, get_args

import torch

from fsl_core.atomic_file import write_atomically, write_if_absent
from fsl_core.backbones.kernels import Layout
from fsl_core.errors import ExecutionPathError
from fsl_core.json_digest import json_digest
from fsl_core.processor import processor_name
from fsl_core.recipe.fingerprint import as_plain
from fsl_core.recipe.recipe import TrainingRecipe
from fsl_core.training.episode_memory import most_episodes_at_once
from fsl_core.training.execution_path import ExecutionPath
from fsl_core.training.path_file import path_as_document, read_path
from fsl_core.training.path_timing import stopwatch_of
from fsl_core.training.unit_work import step_bill

_PIXELS_AT_ONCE_ON_CUDA = 25_000_000  # of the episodes differentiated together: bounds the memory
_USUAL_PIXELS_AT_ONCE = 80_000  # on a CPU, where maps of more outgrow its caches
_HOPELESS = 1.5  # times the best: a path that takes so long is not measured again
_ROUNDS = 5
_ENOUGH_SECONDS = 2.0

Stopwatch = Callable[[TrainingRecipe, ExecutionPath, tuple[int, int, int]], Callable[[], float]]
"""What times a recipe along a path, for images of a shape: each call takes a step and answers the seconds of an episode."""


@dataclass(frozen=True, kw_only=True)
class StepKind:
    """What the choice of a path depends on: the work of a step, and the machine and libraries that do it."""

    recipe: TrainingRecipe
    image_shape: tuple[int, int, int]
    device: str
    threads: int

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
        }

    def usual_path(self) -> ExecutionPath:
        """The path that is taken where nothing is measured, as for a prediction."""
        on_cuda = self.device == "cuda"
        at_once = self._most() if on_cuda else min(self._most(), self._fitting(_USUAL_PIXELS_AT_ONCE))
        return ExecutionPath(device=self.device, threads=self.threads, episodes_at_once=at_once, captured=on_cuda)

    def candidates(self) -> Iterator[ExecutionPath]:
        """The paths that are measured, the usual one first."""
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

    def _most(self) -> int:
        """How many episodes the memory allows to differentiate together."""
        if self.device == "cuda":
            return self._fitting(_PIXELS_AT_ONCE_ON_CUDA)
        return most_episodes_at_once(self.recipe, self.image_shape)

    def _fitting(self, pixels: int) -> int:
        """How many episodes of a meta-batch have so many pixels together: one at least."""
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


def choose_path(kind: StepKind, choices: Path | None, stopwatch: Stopwatch | None = None) -> ExecutionPath:
    """The path of this kind of step: that which ``choices`` keeps, or the fastest, which is kept there before anything is trained.

    Of several processes that measure at once the first to write decides for all. The stopwatch is
    :func:`fsl_core.training.path_timing.stopwatch_of` where none is given.
    """
    plain = kind.as_plain()
    file = None if choices is None else choices / f"{json_digest(plain)[:16]}.json"
    if file is not None and (kept := read_path(file)) is not None:
        return kept
    measured = _measured(kind, stopwatch_of if stopwatch is None else stopwatch)
    if kind.device == "cuda":
        _leave_no_trace()
    fastest = min(measured, key=lambda path: measured[path])
    if file is None:
        return fastest
    seconds = [{"path": asdict(path), "seconds_an_episode": each} for path, each in measured.items()]
    document = path_as_document(fastest, kind=plain, measured=seconds)
    if not write_if_absent(file, document) and read_path(file) is None:
        write_atomically(file, document)  # a damaged one: without another each later trial would measure its own
    return read_path(file) or fastest


def _leave_no_trace() -> None:
    """Hand the memory of all measurements back, which other trials may share, and count the trial's own from here on."""
    gc.collect()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()


def _measured(kind: StepKind, stopwatch: Stopwatch) -> dict[ExecutionPath, float]:
    """The least seconds of an episode along each candidate that works here.

    What is hopeless is released at once: each recorded step holds the memory of all its activations.
    """
    with kind.usual_path().active(kind.recipe.matmul_precision):
        takes: dict[ExecutionPath, Callable[[], float]] = {}
        least: dict[ExecutionPath, float] = {}
        problem = ""
        for path in kind.candidates():
            timed = _first_time(kind, path, stopwatch)
            if isinstance(timed, str):
                problem = problem or timed
            else:
                takes[path], least[path] = timed
            del timed
            takes = _hopeful(takes, least)
        began = time.perf_counter()
        for _ in range(_ROUNDS):  # in turns, so that what else the machine does meets all of them
            for path, take in takes.items():
                took = _again(take)
                least[path] = took if math.isinf(took) else min(least[path], took)
            takes = _hopeful(takes, least)
            if time.perf_counter() - began > _ENOUGH_SECONDS:
                break
    if not least or math.isinf(min(least.values())):
        raise ExecutionPathError(
            f"no execution path on {kind.device} works here now: {problem or 'each failed after a first step'}"
        )
    return {path: seconds for path, seconds in least.items() if math.isfinite(seconds)}


def _again(take: Callable[[], float]) -> float:
    """What a candidate takes this time; infinitely long where it no longer works, such as for want of memory."""
    try:
        return take()
    except RuntimeError:
        return math.inf


def _hopeful(
    takes: dict[ExecutionPath, Callable[[], float]], least: dict[ExecutionPath, float]
) -> dict[ExecutionPath, Callable[[], float]]:
    """Those that may yet turn out to be the fastest."""
    best = min(least.values(), default=math.inf)
    return {path: take for path, take in takes.items() if least[path] <= _HOPELESS * best and math.isfinite(least[path])}


def _first_time(kind: StepKind, path: ExecutionPath, stopwatch: Stopwatch) -> tuple[Callable[[], float], float] | str:
    """What times a candidate, and what it took first; or why it does not work here."""
    try:
        take = stopwatch(kind.recipe, path, kind.image_shape)
        take()  # does not count: the first candidate's has what happens once in a process, and would look hopeless
        return take, take()
    except RuntimeError as error:  # such as an operation that this device lacks, or no memory for it
        if path == kind.usual_path() and path.device == "cpu":
            raise
        return str(error)  # not the error: its traceback holds the tensors
