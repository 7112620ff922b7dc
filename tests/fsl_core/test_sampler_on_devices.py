"""Drawing never waits for a device, stays within its memory, and gives the same episodes on every device."""

import pytest
import torch

from fsl_core.episodes.class_pool import ClassPool
from fsl_core.episodes.episode import EpisodeShape
from fsl_core.episodes.sampler import EpisodeSampler, frozen_episodes, sample_episodes
from fsl_core.randomness import Stream, word_at
from tests.fsl_core.small_pools import TURNS, a_bank, pool_of
from tests.fsl_core.watched_tensors import LargestTensor, ReadsOfTheDevice


@pytest.mark.parametrize("turns", [1, TURNS])
def test_many_frozen_episodes_stay_within_their_memory_and_equal_those_of_one_call(turns: int) -> None:
    """A thousand episodes of 20 classes of 600 images draw by 12 million keys, of which a whole test has ten times as many."""
    pool, shape = pool_of(*[600] * 20 * turns, turns=turns), EpisodeShape(way=20, shot=1, query=5)
    with LargestTensor() as largest:
        episodes = frozen_episodes(pool, shape, 1_000, seed=0, stream="meta-test")
    assert largest.elements <= 4_000_000
    with LargestTensor() as largest:
        whole = sample_episodes(pool, shape, 1_000, word=word_at(Stream(0, "meta-test").key, 0))
    assert largest.elements == 12_000_000
    assert len(episodes) == 1_000
    assert episodes.digest() == whole.digest()


def test_a_step_that_is_a_tensor_gives_the_same_episodes() -> None:
    sampler = EpisodeSampler(a_bank(), EpisodeShape(way=4, shot=2, query=3), seed=1, stream="train")
    step = torch.tensor(400)
    assert sampler.indices(step, 3).digest() == sampler.indices(400, 3).digest()
    assert step == 400


@pytest.mark.parametrize("distinct_characters", [False, True])
def test_sampling_never_waits_for_the_device(distinct_characters: bool) -> None:
    bank, shape, step = a_bank(rotations=True), EpisodeShape(way=4, shot=2, query=3), torch.tensor(3)
    sampler = EpisodeSampler(bank, shape, seed=1, stream="train", distinct_characters=distinct_characters)
    with ReadsOfTheDevice() as reads:
        sampler.indices(step, 2)
    assert not reads.seen
    with ReadsOfTheDevice() as reads:
        ClassPool(bank.class_sizes)
        int(step)
    assert reads.seen


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("distinct_characters", [False, True])
def test_cuda_and_cpu_sample_the_same_episodes(distinct_characters: bool) -> None:
    bank, shape = a_bank(40, rotations=True), EpisodeShape(way=20, shot=2, query=3)
    here, there = (
        EpisodeSampler(bank.to(device), shape, seed=1, stream="train", distinct_characters=distinct_characters)
        for device in ("cpu", "cuda")
    )
    for step in range(20):
        wanted = here.indices(step, 8).digest()
        assert there.indices(step, 8).digest() == wanted
        assert there.indices(torch.tensor(step, device="cuda"), 8).digest() == wanted
