"""Measures the time of a unit of work that never ran here.

The time does not depend on the content of the images, so random ones of the right shape replace the data set: a prediction reads,
prepares and downloads nothing.
"""

from __future__ import annotations

import functools
import gc
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import cast

import torch

from fsl_core.algorithms.algorithm import AdaptingAlgorithm, MetricAlgorithm, Model
from fsl_core.algorithms.catalogue import build_algorithm
from fsl_core.backbones.kernels import Kernels
from fsl_core.episodes.episode import EpisodeBatch, EpisodeShape
from fsl_core.episodes.evaluation import adapted_at_once, compared_at_once, embedded_at_once
from fsl_core.episodes.sampler import EpisodeSampler
from fsl_core.randomness import Stream
from fsl_core.recipe.algorithm_settings import PrototypicalSettings
from fsl_core.recipe.data_settings import DataSettings
from fsl_core.recipe.recipe import TrainingRecipe, ValidationSettings
from fsl_core.training.execution_path import ExecutionPath
from fsl_core.training.path_timing import step_along
from fsl_core.training.stand_in import noise, stand_in_bank
from fsl_core.training.step_kind import StepKind
from fsl_core.training.timing import Timing, counted_seconds
from fsl_core.training.trained_model import trained_model
from fsl_core.training.unit_work import UnitWork, probed_episodes

ENOUGH_SECONDS = 1.0
"""Measurements stop after this many seconds of wall clock: long work varies little."""
LONG_SECONDS = 10.0
"""A first measurement that takes longer is counted: one-time costs are small beside it."""

_ANY_SHAPE = EpisodeShape(way=2, shot=1, query=1)


def measure(work: UnitWork, *, device: str = "cpu", threads: int = 1, times: int = 3) -> Timing:
    """Measure the seconds of one unit of ``work`` up to ``times`` times, after a first time that counts only if it is long.

    On a CPU they are processor seconds (:func:`fsl_core.training.timing.counted_seconds`), which exclude other work on a busy machine;
    the wall clock shows whether it was busy. On CUDA they are wall clock, as the processor only waits, and the peak memory of the
    tensors is measured too; afterwards that memory is free for other processes.
    """
    recipe = _recipe(work)
    path = StepKind(recipe=recipe, image_shape=work.image_shape, device=device, threads=threads).usual_path()
    with path.active(recipe.matmul_precision) as there, _peak_memory(there) as peak:
        repeat, units = _prepared(work, recipe, path, there)
        timed = [_seconds(repeat, there, threads)]
        if timed[0][1] <= LONG_SECONDS:
            timed.clear()
        while len(timed) < times and sum(wall for _, wall in timed) < ENOUGH_SECONDS:
            timed.append(_seconds(repeat, there, threads))
        del repeat
    return Timing(
        seconds=tuple(counts / units for counts, _ in timed),
        wall=tuple(wall / units for _, wall in timed),
        peak_bytes=max(peak, default=None),
    )


@contextmanager
def _peak_memory(device: torch.device) -> Iterator[list[int]]:
    """A list that gets, at the end of the block, the peak bytes of tensors on a GPU; what the block held there is released."""
    peak: list[int] = []
    if device.type != "cuda":
        yield peak
        return
    torch.cuda.reset_peak_memory_stats()
    try:
        yield peak
        peak.append(torch.cuda.max_memory_allocated())
    finally:
        gc.collect()
        torch.cuda.empty_cache()


def _seconds(repeat: Callable[[], object], device: torch.device, threads: int) -> tuple[float, float]:
    """The counted seconds, and those of wall clock."""
    _wait_for(device)
    began, spent = time.perf_counter(), time.process_time()
    repeat()
    _wait_for(device)
    wall, processor = time.perf_counter() - began, time.process_time() - spent
    return (wall if device.type == "cuda" else counted_seconds(wall=wall, processor=processor, threads=threads)), wall


def _wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def _prepared(
    work: UnitWork, recipe: TrainingRecipe, path: ExecutionPath, device: torch.device
) -> tuple[Callable[[], object], int]:
    """A function that computes the work, and the number of units that it computes."""
    if work.kind == "train":
        return step_along(recipe, path, work.image_shape, device), recipe.meta_batch_size
    algorithm = build_algorithm(recipe, image_shape=work.image_shape)
    first = {**algorithm.initial_weights(Stream(recipe.seed, "probe/weights")), **algorithm.initial_statistics()}
    model = trained_model(algorithm, first, device)
    if work.kind == "embed":
        return _embedding(model, work, path.kernels, device)
    if work.kind == "compare":
        return _comparison(model, work, path.kernels, device)
    return _adaptation(model, work, path.kernels, device)


def _recipe(work: UnitWork) -> TrainingRecipe:
    shape, algorithm = work.shape or _ANY_SHAPE, work.algorithm or PrototypicalSettings()
    adaptation = 1 if algorithm.adapts else None
    return TrainingRecipe(
        algorithm=algorithm,
        data=DataSettings(
            dataset="glyphs", split="glyphs", rotations=False
        ),  # placeholder: the images are random, of the shape of the work
        episode=shape,
        validation=ValidationSettings(shape=shape, every=1, patience=None, adaptation_steps=adaptation),
        steps=1,
        seed=0,
        meta_batch_size=probed_episodes(algorithm),
        backbone=work.backbone,
        matmul_precision=work.matmul_precision,
    )


@torch.no_grad()
def _embedding(model: Model, work: UnitWork, kernels: Kernels, device: torch.device) -> tuple[Callable[[], object], int]:
    images = noise(embedded_at_once(work.image_shape), *work.image_shape, device=device)
    metric = cast(MetricAlgorithm, model.algorithm)
    return torch.no_grad()(lambda: metric.embed(model.weights, model.statistics, images, kernels)), len(images)


@torch.no_grad()
def _comparison(model: Model, work: UnitWork, kernels: Kernels, device: torch.device) -> tuple[Callable[[], object], int]:
    metric, shape = cast(MetricAlgorithm, model.algorithm), work.shape or _ANY_SHAPE
    one = noise(1, *work.image_shape, device=device)
    features = metric.embed(model.weights, model.statistics, one, kernels).shape[1]
    episodes = compared_at_once(shape, features=features)
    embedded = EpisodeBatch(
        support=noise(episodes, shape.way, shape.shot, features, device=device),
        query=noise(episodes, shape.way, shape.query, features, device=device),
    )
    return torch.no_grad()(lambda: metric.logits(model.weights, embedded)), episodes


def _adaptation(model: Model, work: UnitWork, kernels: Kernels, device: torch.device) -> tuple[Callable[[], object], int]:
    steps, answers, shape = work.adaptation_steps or 0, work.answers or 1, work.shape or _ANY_SHAPE
    count = adapted_at_once(shape, work.image_shape, device)
    episodes = EpisodeSampler(stand_in_bank(shape, work.image_shape, device), shape, 0, "probe/episodes").batch(0, count)
    after = range(steps - answers + 1, steps + 1)
    adapting, inductive = cast(AdaptingAlgorithm, model.algorithm), bool(work.inductive)
    ask = functools.partial(adapting.logits_after, model.weights, episodes, after, kernels=kernels, inductive=inductive)
    return torch.no_grad()(ask), count
