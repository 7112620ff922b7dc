"""How long a unit of work takes here: measured, where nothing like it ever ran.

What is measured does not depend on what the images show, so that random ones of the right shape stand in for a data set: nothing is
read, prepared or downloaded for a prediction.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import cast

import torch
from torch import nn

from fsl_core.algorithms.algorithm import AdaptingAlgorithm, MetricAlgorithm
from fsl_core.algorithms.catalogue import build_algorithm
from fsl_core.datasets.extent import IMAGE_SHAPES
from fsl_core.datasets.image_bank import ImageBank
from fsl_core.episodes.episode import EpisodeBatch, EpisodeShape
from fsl_core.episodes.evaluation import compared_at_once, embedded_at_once
from fsl_core.episodes.sampler import EpisodeSampler
from fsl_core.randomness import Stream, uniform
from fsl_core.recipe.algorithm_settings import MamlSettings, PrototypicalSettings
from fsl_core.recipe.data_settings import DataSettings
from fsl_core.recipe.recipe import TrainingRecipe, ValidationSettings
from fsl_core.training.execution_path import ExecutionPath
from fsl_core.training.training import StepSettings, start_training, train_step
from fsl_core.training.unit_work import UnitWork

ENOUGH_SECONDS = 1.0
"""After so many measured seconds nothing is repeated: what takes long varies little."""
LONG_SECONDS = 10.0
"""A first time that takes longer counts: what happens once only is little beside it."""

_ANY_SHAPE = EpisodeShape(way=2, shot=1, query=1)


def measure(work: UnitWork, *, device: str = "cpu", threads: int = 1, times: int = 3) -> tuple[float, ...]:
    """The seconds of one unit of ``work``, measured up to ``times`` times, after a first time that counts only where it is long.

    On a CPU they are the seconds that the processor spent, for each thread: what else runs on a busy machine is not in them. On CUDA
    they are wall clock, for the processor only waits.
    """
    with ExecutionPath(device=device, threads=threads).active() as there:
        repeat, units = _prepared(work, there)
        began = time.perf_counter()
        first = _seconds(repeat, there, threads)
        seconds = [first] if time.perf_counter() - began > LONG_SECONDS else []
        while len(seconds) < times and sum(seconds) < ENOUGH_SECONDS:
            seconds.append(_seconds(repeat, there, threads))
    return tuple(each / units for each in seconds)


def _seconds(repeat: Callable[[], object], device: torch.device, threads: int) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize()
        started = time.perf_counter()
        repeat()
        torch.cuda.synchronize()
        return time.perf_counter() - started
    started = time.process_time()
    repeat()
    return (time.process_time() - started) / threads


def _prepared(work: UnitWork, device: torch.device) -> tuple[Callable[[], object], int]:
    """What computes the work, and how many units of it that is."""
    recipe = _recipe(work)
    algorithm = build_algorithm(recipe, image_shape=work.image_shape, stage="probe", device=device)
    if work.kind == "train":
        return _training(recipe, algorithm, work, device), 1
    algorithm.eval()
    if work.kind == "embed":
        return _embedding(algorithm, work, device)
    if work.kind == "compare":
        return _comparison(algorithm, work, device)
    return _adaptation(algorithm, work, device), 1


def _recipe(work: UnitWork) -> TrainingRecipe:
    shape, algorithm = work.shape or _ANY_SHAPE, work.algorithm or PrototypicalSettings()
    adaptation = 1 if isinstance(algorithm, MamlSettings) else None
    photographs = work.image_shape == IMAGE_SHAPES["mini_imagenet"]
    return TrainingRecipe(
        algorithm=algorithm,
        data=DataSettings(
            dataset="mini_imagenet" if photographs else "glyphs", split="ravi" if photographs else "glyphs", rotations=False
        ),
        episode=shape,
        validation=ValidationSettings(shape=shape, every=1, patience=None, adaptation_steps=adaptation),
        steps=1,
        seed=0,
        backbone=work.backbone,
    )


def _training(recipe: TrainingRecipe, algorithm: nn.Module, work: UnitWork, device: torch.device) -> Callable[[], object]:
    state = start_training(algorithm, recipe.optimiser)
    sampler = EpisodeSampler(_stand_in(work, device), recipe.episode, recipe.seed, "probe/episodes")
    settings = StepSettings.of(recipe, episodes_at_once=1)
    return lambda: train_step(state, sampler, settings)


@torch.no_grad()
def _embedding(algorithm: nn.Module, work: UnitWork, device: torch.device) -> tuple[Callable[[], object], int]:
    images = _noise(embedded_at_once(work.image_shape), *work.image_shape, device=device)
    return torch.no_grad()(lambda: cast(MetricAlgorithm, algorithm).embed(images)), len(images)


@torch.no_grad()
def _comparison(algorithm: nn.Module, work: UnitWork, device: torch.device) -> tuple[Callable[[], object], int]:
    metric, shape = cast(MetricAlgorithm, algorithm), work.shape or _ANY_SHAPE
    features = metric.embed(_noise(1, *work.image_shape, device=device)).shape[1]
    episodes = compared_at_once(shape, features=features)
    embedded = EpisodeBatch(
        support=_noise(episodes, shape.way, shape.shot, features, device=device),
        query=_noise(episodes, shape.way, shape.query, features, device=device),
    )
    return torch.no_grad()(lambda: metric.logits(embedded)), episodes


def _adaptation(algorithm: nn.Module, work: UnitWork, device: torch.device) -> Callable[[], object]:
    steps, answers = work.adaptation_steps or 0, work.answers or 1
    episodes = EpisodeSampler(_stand_in(work, device), work.shape or _ANY_SHAPE, 0, "probe/episodes").batch(0)
    after = range(steps - answers + 1, steps + 1)
    adapting, inductive = cast(AdaptingAlgorithm, algorithm), bool(work.inductive)
    return torch.no_grad()(lambda: adapting.logits_after(episodes, after, inductive=inductive))


def _stand_in(work: UnitWork, device: torch.device) -> ImageBank:
    """Just enough random images for the episodes of the work, on ``device``."""
    shape = work.shape or _ANY_SHAPE
    images = _noise(shape.way * shape.images_per_class, *work.image_shape, device=device, below=256, dtype=torch.uint8)
    sizes = torch.full((shape.way,), shape.images_per_class, device=device)
    return ImageBank(images, sizes.cumsum(0) - sizes, sizes, tuple(map(str, range(shape.way))), rotations=False)


def _noise(*shape: int, device: torch.device, below: int = 1, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """Uniform values from 0 to ``below``, the same every time."""
    return (uniform(Stream(0, "probe/noise").key, shape) * below).to(dtype).to(device)
