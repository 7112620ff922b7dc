"""Times one training step on each execution path: seconds to prepare it, milliseconds per step, and its memory."""

from __future__ import annotations

import functools
import gc
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch

from benchmarks.score import Spread, quartiles
from benchmarks.stand_in_images import stand_in_bank
from fsl_core.algorithms.catalogue import build_algorithm
from fsl_core.datasets.extent import image_shape
from fsl_core.datasets.image_bank import ImageBank
from fsl_core.episodes.sampler import EpisodeSampler
from fsl_core.errors import ExecutionPathError
from fsl_core.randomness import Stream
from fsl_core.recipe.recipe import TrainingRecipe
from fsl_core.training.execution_path import ExecutionPath
from fsl_core.training.state import start_training
from fsl_core.training.step import StepSettings
from fsl_core.training.step_kind import StepKind
from fsl_core.training.step_runner import step_runner

_BATCH_SECONDS = 0.02  # of steps launched before the host waits: a wait takes some 20 microseconds
_MOST_STEPS = 200  # per batch
_ENOUGH_SECONDS = 0.2
_LEAST_BATCHES, _MOST_BATCHES = 5, 100
_SLOW_SECONDS = 0.3  # a slower step is a batch of its own, and three are enough
_HOPELESS = 3.0  # times the best: one batch is enough


@dataclass(frozen=True, kw_only=True)
class PathTiming:
    """A step on a path: ``milliseconds`` per step over ``batches`` batches of ``steps`` steps; None if ``problem`` says why not.

    Where seeds train together they are milliseconds per step and seed.
    ``preparing``: the seconds until the first step is done, including compilation and capture. ``allocated_mb``: the peak of tensors,
    including the images; ``reserved_mb``: the peak of all that the process held on the device; both None on a CPU.
    """

    path: ExecutionPath
    milliseconds: Spread | None = None
    batches: int = 0
    steps: int = 0
    preparing: float | None = None
    allocated_mb: float | None = None
    reserved_mb: float | None = None
    problem: str | None = None

    def as_plain(self) -> dict[str, Any]:
        """This timing as JSON types."""
        return asdict(self)


def kind_of(recipe: TrainingRecipe, device: str) -> StepKind:
    """The kind of a recipe's step."""
    return StepKind(recipe=recipe, image_shape=image_shape(recipe.data), device=device, threads=1)


def timed_paths(recipe: TrainingRecipe, paths: Iterable[ExecutionPath], *, until: float) -> Iterator[PathTiming]:
    """Time the step on each path in turn until ``until`` on the monotonic clock; the first one in any case."""
    best = None
    for number, path in enumerate(paths):
        if number and time.monotonic() > until:
            yield PathTiming(path=path, problem="no time was left")
            continue
        timing = _timed(recipe, path, best)  # a path of several seeds is compared by its time for each
        if timing.milliseconds is not None:
            best = min(best or timing.milliseconds.median, timing.milliseconds.median)
        yield timing


def fastest(timings: Iterable[PathTiming]) -> PathTiming | None:
    """The timing with the least median."""
    timed = [(each.milliseconds.median, place, each) for place, each in enumerate(timings) if each.milliseconds is not None]
    return min(timed)[2] if timed else None


def _timed(recipe: TrainingRecipe, path: ExecutionPath, best: float | None) -> PathTiming:
    _release(path)
    try:
        with path.active(recipe.matmul_precision) as device:
            return _measured(recipe, path, device, best)
    except (RuntimeError, ExecutionPathError) as error:  # an unsupported operation, or out of memory: the next path may work
        return PathTiming(path=path, problem=f"{type(error).__name__}: {str(error).partition(chr(10))[0]:.200}")


def _measured(recipe: TrainingRecipe, path: ExecutionPath, device: torch.device, best: float | None) -> PathTiming:
    began = time.perf_counter()
    take_step = _step(recipe, path, device)
    _seconds(take_step, 1, device)
    preparing = time.perf_counter() - began
    one = min(_seconds(take_step, 1, device) for _ in range(2))
    size = max(1, min(_MOST_STEPS, round(_BATCH_SECONDS / one)))
    batches = _batches(take_step, size, device, least=_least_batches(one, best))
    on_cuda = device.type == "cuda"
    return PathTiming(
        path=path,
        milliseconds=quartiles([1000 * each / (size * path.seeds_together) for each in batches]),
        batches=len(batches),
        steps=size,
        preparing=preparing,
        allocated_mb=torch.cuda.max_memory_allocated() / 2**20 if on_cuda else None,
        reserved_mb=torch.cuda.max_memory_reserved() / 2**20 if on_cuda else None,
    )


def _least_batches(one: float, best: float | None) -> int:
    if best is not None and 1000 * one > _HOPELESS * best:
        return 1
    return 3 if one > _SLOW_SECONDS else _LEAST_BATCHES


def _batches(take_step: Callable[[], None], size: int, device: torch.device, *, least: int) -> list[float]:
    batches = [_seconds(take_step, size, device)]
    while len(batches) < least or (least > 1 and sum(batches) < _ENOUGH_SECONDS and len(batches) < _MOST_BATCHES):
        batches.append(_seconds(take_step, size, device))
    return batches


def _seconds(take_step: Callable[[], None], times: int, device: torch.device) -> float:
    """The wall clock of this many completed steps."""
    _wait(device)
    began = time.perf_counter()
    for _ in range(times):
        take_step()
    _wait(device)
    return time.perf_counter() - began


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def _step(recipe: TrainingRecipe, path: ExecutionPath, device: torch.device) -> Callable[[], None]:
    """Return a function that takes a step, from a bank as large as the data set's, as sampling depends on its classes."""
    bank, seeds = _images(recipe).to(device), [recipe.seed + place for place in range(path.seeds_together)]
    state = start_training(
        build_algorithm(recipe, image_shape=bank.image_shape),
        recipe.optimiser,
        streams=[Stream(seed, "train/weights") for seed in seeds],
        kernels=path.kernels,
        device=device,
        captured=path.captured,
    )
    samplers = [EpisodeSampler(bank, recipe.episode, seed, "train/episodes", recipe.data.distinct_characters) for seed in seeds]
    settings = StepSettings.of(recipe, episodes_at_once=path.episodes_at_once, kernels=path.kernels)
    return step_runner(state, samplers, settings, captured=path.captured, compiled=path.compiled)


@functools.lru_cache(maxsize=1)
def _images(recipe: TrainingRecipe) -> ImageBank:
    return stand_in_bank(recipe)


def _release(path: ExecutionPath) -> None:
    """Release the memory of the previous path, and reset the peak."""
    gc.collect()
    if path.device == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def suited(path: ExecutionPath, kind: StepKind) -> ExecutionPath:
    """The forms of a path for another kind of step on the same device."""
    return replace(path, episodes_at_once=kind.usual_path().episodes_at_once)
