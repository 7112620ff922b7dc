"""Episodes: distinct classes, support apart from query, every one as likely, the same wherever they are drawn."""

from collections import Counter
from itertools import combinations, permutations
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from fsl_core.episodes.class_pool import ClassPool
from fsl_core.episodes.episode import EpisodeShape
from fsl_core.episodes.sampler import EpisodeIndices, EpisodeSampler, frozen_episodes, sample_episodes
from fsl_core.errors import EpisodeError
from fsl_core.randomness import Stream, word_at
from tests.fsl_core.small_pools import TURNS, a_bank, pool_of
from tests.fsl_core.splitmix import key_of, nth, signed

PAIR = EpisodeShape(way=2, shot=1, query=1)


def drawn(pool: ClassPool, shape: EpisodeShape, count: int, *, seed: int = 0) -> EpisodeIndices:
    return frozen_episodes(pool, shape, count, seed=seed, stream="any")


@st.composite
def problems(draw: st.DrawFn) -> tuple[EpisodeShape, ClassPool, int]:
    shape = EpisodeShape(way=draw(st.integers(2, 6)), shot=draw(st.integers(1, 4)), query=draw(st.integers(1, 4)))
    turns = draw(st.sampled_from([1, 1, TURNS]))
    sizes = draw(st.lists(st.integers(shape.images_per_class, 12), min_size=shape.way, max_size=12))
    return shape, pool_of(*(size for size in sizes for _ in range(turns)), turns=turns), draw(st.integers(0, 2**63 - 1))


@given(problems())
@settings(deadline=None)
def test_an_episode_has_distinct_classes_and_its_query_is_apart_from_its_support(
    problem: tuple[EpisodeShape, ClassPool, int],
) -> None:
    shape, pool, seed = problem
    episodes = drawn(pool, shape, 7, seed=seed)
    assert episodes.classes.shape == (7, shape.way)
    for classes, support, query in zip(episodes.classes, episodes.support, episodes.query, strict=True):
        assert len({which // pool.turns for which in classes.tolist()}) == shape.way
        for which, shown, asked in zip(classes, support, query, strict=True):
            images = shown.tolist() + asked.tolist()
            assert len(shown) == shape.shot and len(asked) == shape.query
            assert len(set(images)) == len(images)
            assert all(0 <= image < pool.sizes[which] for image in images)


@given(problems(), st.integers(0, 2**40))
@settings(deadline=None, max_examples=40)
def test_episodes_are_those_of_plain_integers(problem: tuple[EpisodeShape, ClassPool, int], step: int) -> None:
    """Each sample is the places of the largest keys, by an implementation without tensors."""
    shape, pool, seed = problem
    episodes = sample_episodes(pool, shape, 2, word=word_at(Stream(seed, "train").key, step))
    word = nth(key_of(seed, "train"), step)
    by_character, by_turn, by_image = (nth(word, use) for use in range(3))
    for episode, (classes, support, query) in enumerate(zip(episodes.classes, episodes.support, episodes.query, strict=True)):
        keys = [signed(nth(by_character, episode * pool.characters + place)) for place in range(pool.characters)]
        for place, character in enumerate(largest(keys, shape.way)):
            slot = episode * shape.way + place
            turn = signed(nth(by_turn, slot)) % TURNS if pool.turns > 1 else 0
            assert classes[place] == character * pool.turns + turn
            size = int(pool.sizes[classes[place]])
            images = largest(
                [signed(nth(by_image, slot * pool.largest + image)) for image in range(size)], shape.images_per_class
            )
            assert support[place].tolist() + query[place].tolist() == images


def largest(keys: list[int], count: int) -> list[int]:
    """The places of the largest keys, in descending order."""
    return sorted(range(len(keys)), key=lambda place: -keys[place])[:count]


def assert_uniform(seen: list[Any], possible: list[Any]) -> None:
    """Pearson's chi-square: uniform draws fail it once in a thousand seeds, and these seeds are fixed."""
    counts = Counter(seen)
    assert set(counts) <= set(possible)
    assert len(seen) >= 50 * len(possible)
    assert stats.chisquare([counts[value] for value in possible]).pvalue > 0.001


@pytest.mark.parametrize("turns", [1, TURNS])
def test_every_admissible_ordered_pair_of_classes_is_equally_likely(turns: int) -> None:
    episodes = drawn(pool_of(*[3] * 12, turns=turns), PAIR, 30_000)
    possible = [pair for pair in permutations(range(12), 2) if turns == 1 or pair[0] // turns != pair[1] // turns]
    assert_uniform(list(map(tuple, episodes.classes.tolist())), possible)
    assert_uniform(episodes.classes.flatten().tolist(), list(range(12)))
    assert_uniform((episodes.classes % TURNS).flatten().tolist(), list(range(TURNS)))


@pytest.mark.parametrize("step_of_pair", [(0, 1), (0, 1000)])
def test_the_classes_of_two_steps_are_independent(step_of_pair: tuple[int, int]) -> None:
    """Over many seeds, and over the steps of one."""
    classes = []
    for seed in range(2_000):
        key, pool = Stream(seed, "train").key, pool_of(*[2] * 5)
        first, second = (sample_episodes(pool, PAIR, 1, word=word_at(key, step)).classes[0, 0] for step in step_of_pair)
        classes.append((int(first), int(second)))
    assert_uniform(classes, [(one, other) for one in range(5) for other in range(5)])


def test_images_within_a_class_are_uniform_and_independent_of_the_class_and_its_turn() -> None:
    episodes = drawn(pool_of(*[4] * 8, turns=TURNS), PAIR, 30_000)
    images = torch.cat([episodes.support, episodes.query], dim=2)
    ordered = list(permutations(range(4), 2))
    assert_uniform(list(map(tuple, images.flatten(0, 1).tolist())), ordered)
    beside = zip(episodes.classes.flatten().tolist(), images.flatten(0, 1).tolist(), strict=True)
    assert_uniform([(which, *pair) for which, pair in beside], [(which, *pair) for which in range(8) for pair in ordered])
    of_two_classes = list(map(tuple, images[:, :, 0].tolist()))
    assert_uniform(of_two_classes, [(one, other) for one in range(4) for other in range(4)])


def test_images_of_classes_of_unequal_sizes_are_uniform_in_each() -> None:
    episodes = drawn(pool_of(2, 3, 5), PAIR, 10_000)
    for which, size in enumerate((2, 3, 5)):
        there = episodes.classes == which
        assert_uniform(episodes.support[there].flatten().tolist(), list(range(size)))
        assert_uniform(episodes.query[there].flatten().tolist(), list(range(size)))


def test_every_set_of_classes_is_equally_likely() -> None:
    episodes = drawn(pool_of(*[2] * 6), EpisodeShape(way=3, shot=1, query=1), 20_000)
    assert_uniform([tuple(sorted(classes)) for classes in episodes.classes.tolist()], list(combinations(range(6), 3)))


def test_too_few_classes_or_images_are_named() -> None:
    with pytest.raises(EpisodeError, match="way is 5, but there are only 4 classes"):
        drawn(pool_of(*[20] * 4), EpisodeShape(way=5, shot=1, query=1), 1)
    with pytest.raises(EpisodeError, match="way is 3, but there are only 2 characters"):
        drawn(pool_of(*[20] * 8, turns=TURNS), EpisodeShape(way=3, shot=1, query=1), 1)
    with pytest.raises(EpisodeError, match="need 20 images a class; the smallest class has 19"):
        drawn(pool_of(20, 19, 20), EpisodeShape(way=2, shot=5, query=15), 1)
    with pytest.raises(EpisodeError, match="way is 2, but there are only 0 classes"):
        drawn(ClassPool(torch.zeros(0, dtype=torch.int64)), PAIR, 1)
    with pytest.raises(ValueError, match="6 classes are not a whole number of characters with 4 turns each"):
        pool_of(*[20] * 6, turns=TURNS)


OMNIGLOT_TRAIN, OMNIGLOT_VALIDATION, OMNIGLOT_TEST = 4112, 688, 1692  # classes, of 20 images
PINS = [
    ("select/episodes", OMNIGLOT_TRAIN, 1, "28e35441629f9c11daa11725aa019cd328987491502f65b3be106df6f9df2574"),
    ("select/episodes", OMNIGLOT_TRAIN, TURNS, "90dc16c55f1fadebaa47b937937a2ebec0fcbdb1de899f78b7080a07769c0426"),
    (
        "retrain/episodes",
        OMNIGLOT_TRAIN + OMNIGLOT_VALIDATION,
        1,
        "6b9cdfc482fc6227a5c5f0203290a43cc0165ec84a09776c642b5506699401f1",
    ),
    ("validation", OMNIGLOT_VALIDATION, 1, "bc2563bbef1e1615d56c42c43a1d74dbf7c4c278ab94696efb6c03e9338b8ee4"),
    ("validation", OMNIGLOT_VALIDATION, TURNS, "9dacb2651de3547babafff6608b4dd78e4cca5e1f273d949045480eec79b5782"),
    ("meta-test", OMNIGLOT_TEST, 1, "1f09501a3498d22135483d0893612a603786df9acb4045ae0610e77f5db3e312"),
    ("meta-test", OMNIGLOT_TEST, TURNS, "ee461ec946843a73117821ad0281a1efa20e08ef9e5ee93241a447ecb6944433"),
]


@pytest.mark.parametrize(("stream", "classes", "turns", "digest"), PINS)
def test_the_first_episodes_of_every_stream_are_pinned(stream: str, classes: int, turns: int, digest: str) -> None:
    """Every machine, device and version must ask the same questions."""
    pool, shape = pool_of(*[20] * classes, turns=turns), EpisodeShape(way=5, shot=1, query=15)
    assert frozen_episodes(pool, shape, 100, seed=0, stream=stream).digest() == digest


def test_more_episodes_begin_with_the_same_ones() -> None:
    pool, shape = pool_of(*[5] * 16, turns=TURNS), EpisodeShape(way=3, shot=1, query=2)
    many, few = (drawn(pool, shape, count) for count in (8, 3))
    first = next(many.parts(3))
    assert first.digest() == few.digest()
    assert len({part.digest() for part in many.parts(1)}) == 8


def test_the_batch_shows_the_images_that_its_indices_name() -> None:
    sampler = EpisodeSampler(a_bank(), EpisodeShape(way=4, shot=2, query=3), seed=1, stream="train")
    indices, batch = sampler.indices(5, 3), sampler.batch(5, 3)
    shown = (batch.support[..., 0, 0, 0] * 255).round().long()
    asked = (batch.query[..., 0, 0, 0] * 255).round().long()
    assert torch.equal(shown, indices.classes.unsqueeze(2) * 6 + indices.support)
    assert torch.equal(asked, indices.classes.unsqueeze(2) * 6 + indices.query)
    assert batch.support.shape == (3, 4, 2, 1, 28, 28)


def test_a_step_is_a_function_of_seed_stream_and_step_alone() -> None:
    shape = EpisodeShape(way=4, shot=2, query=3)
    sampler = EpisodeSampler(a_bank(), shape, seed=1, stream="train")
    late = sampler.indices(400).digest()
    for step in range(3):
        sampler.indices(step)
    assert sampler.indices(400).digest() == late
    others = [
        EpisodeSampler(a_bank(), shape, seed=2, stream="train").indices(400),
        EpisodeSampler(a_bank(), shape, seed=1, stream="validation").indices(400),
        sampler.indices(401),
    ]
    assert len({late, *(other.digest() for other in others)}) == 4


@pytest.mark.parametrize("bit", [0, 31, 32, 33, 62])
def test_every_bit_of_a_seed_changes_the_episodes(bit: int) -> None:
    shape = EpisodeShape(way=4, shot=2, query=3)
    one, other = (EpisodeSampler(a_bank(), shape, seed=seed, stream="train") for seed in (5, 5 ^ (1 << bit)))
    assert one.indices(0, 20).digest() != other.indices(0, 20).digest()


def test_a_sampler_keeps_rotations_of_a_character_apart_on_request() -> None:
    bank, shape = a_bank(3, rotations=True), EpisodeShape(way=3, shot=1, query=1)
    apart = EpisodeSampler(bank, shape, seed=1, stream="train", distinct_characters=True).indices(0, 200)
    together = EpisodeSampler(bank, shape, seed=1, stream="train").indices(0, 200)
    assert {len(set(classes)) for classes in (apart.classes // TURNS).tolist()} == {3}
    assert {len(set(classes)) for classes in (together.classes // TURNS).tolist()} == {1, 2, 3}
    with pytest.raises(EpisodeError, match="only 3 characters"):
        EpisodeSampler(bank, EpisodeShape(way=4, shot=1, query=1), seed=1, stream="train", distinct_characters=True)
