"""Makes the step of a contender and a workload, in the timed process."""

from __future__ import annotations

import importlib
import itertools
from collections.abc import Callable, Iterator

import torch
import torch._dynamo  # noqa: F401 - the optimisers import it in their first step, which takes seconds

from benchmarks.allocator import keep_freed_memory
from benchmarks.baseline.sampler import EpisodeSampler
from benchmarks.contenders import BASELINE, OURS, Contender
from benchmarks.installed_peers import peer_module
from benchmarks.peers.in_memory_loader import loaded_episodes
from benchmarks.stand_in_images import stand_in_bank
from benchmarks.workloads import Workload
from fsl_core.datasets.image_bank import ImageBank
from fsl_core.episodes.episode import EpisodeBatch

_GIVEN = 4  # meta-batches given in turn to a peer without loading: trained on one only, its gradient would soon vanish


def make_step(contender: Contender, workload: Workload, *, threads: int) -> Callable[[], None]:
    """Return a function that takes one training step.

    Raises:
        ImportError: if the contender is a library that is not installed.
    """
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    if contender.our_allocator:
        keep_freed_memory()
    bank = stand_in_bank(workload.recipe)
    if contender.name in (OURS.name, BASELINE.name):
        module = "benchmarks.ours" if contender.name == OURS.name else "benchmarks.baseline.training_step"
        own: Callable[[], None] = importlib.import_module(module).step(workload.recipe, bank, threads=threads)
        return own
    return _peer_step(contender, workload, bank)


def _peer_step(contender: Contender, workload: Workload, bank: ImageBank) -> Callable[[], None]:
    dtype = getattr(torch, contender.dtype)
    learner = peer_module(contender.module).learner(workload.recipe, bank.image_shape)
    learner.trained.to(dtype)
    source = loaded_episodes(bank, workload.recipe.episode) if workload.loading else _given_episodes(workload, bank)

    def step() -> None:
        episodes = next(source)
        learner.step(EpisodeBatch(support=episodes.support.to(dtype), query=episodes.query.to(dtype)))

    return step


def _given_episodes(workload: Workload, bank: ImageBank) -> Iterator[EpisodeBatch]:
    recipe = workload.recipe
    sampler = EpisodeSampler(bank, recipe.episode, recipe.seed, "train/episodes")
    return itertools.cycle([sampler.batch(step, recipe.meta_batch_size) for step in range(_GIVEN)])
