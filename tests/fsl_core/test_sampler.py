"""Episodes: distinct classes, support apart from query, the same wherever they are drawn."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fsl_core.datasets.image_bank import ImageBank
from fsl_core.episode import EpisodeShape
from fsl_core.errors import EpisodeError
from fsl_core.sampler import EpisodeSampler, draw_episodes, frozen_episodes


@st.composite
def problems(draw: st.DrawFn) -> tuple[EpisodeShape, torch.Tensor, int]:
    shape = EpisodeShape(way=draw(st.integers(2, 6)), shot=draw(st.integers(1, 4)), query=draw(st.integers(1, 4)))
    sizes = draw(st.lists(st.integers(shape.images_per_class, 12), min_size=shape.way, max_size=12))
    return shape, torch.tensor(sizes), draw(st.integers(0, 2**31))


@given(problems())
@settings(deadline=None)
def test_an_episode_has_distinct_classes_and_its_query_is_apart_from_its_support(
    problem: tuple[EpisodeShape, torch.Tensor, int],
) -> None:
    shape, sizes, seed = problem
    episodes = draw_episodes(sizes, shape, 7, generator=torch.Generator().manual_seed(seed))
    assert episodes.classes.shape == (7, shape.way)
    for classes, support, query in zip(episodes.classes, episodes.support, episodes.query, strict=True):
        assert len(set(classes.tolist())) == shape.way
        for which, shown, asked in zip(classes, support, query, strict=True):
            images = shown.tolist() + asked.tolist()
            assert len(shown) == shape.shot and len(asked) == shape.query
            assert len(set(images)) == len(images)
            assert all(0 <= image < sizes[which] for image in images)


def test_classes_and_images_are_drawn_uniformly() -> None:
    shape = EpisodeShape(way=2, shot=1, query=1)
    episodes = draw_episodes(torch.full((5,), 4), shape, 20_000, generator=torch.Generator().manual_seed(0))
    for drawn, values in ((episodes.classes, 5), (episodes.support, 4), (episodes.query, 4)):
        shares = torch.bincount(drawn.flatten(), minlength=values) / drawn.numel()
        assert (shares - 1 / values).abs().max() < 0.01


def test_too_few_classes_or_images_are_named() -> None:
    generator = torch.Generator()
    with pytest.raises(EpisodeError, match="way is 5, but there are only 4 classes"):
        draw_episodes(torch.full((4,), 20), EpisodeShape(way=5, shot=1, query=1), 1, generator=generator)
    with pytest.raises(EpisodeError, match="need 20 images a class; the smallest class has 19"):
        draw_episodes(torch.tensor([20, 19, 20]), EpisodeShape(way=2, shot=5, query=15), 1, generator=generator)


def test_frozen_episodes_are_pinned() -> None:
    """The digest of the meta-test episodes: every machine and version must answer the same questions."""
    shape = EpisodeShape(way=5, shot=1, query=15)
    episodes = frozen_episodes(torch.full((1692,), 20), shape, 1000, seed=0, stream="meta-test")
    assert episodes.digest() == "c8061da6f2a0275bc3717370e9f4ca7d8cbbdfe12f3f47219c10634a288cc243"
    other = frozen_episodes(torch.full((1692,), 20), shape, 1000, seed=1, stream="meta-test")
    assert other.digest() != episodes.digest()


def a_bank(classes: int = 8, images: int = 6) -> ImageBank:
    """Images whose every pixel says which class and image they are."""
    values = torch.arange(classes * images, dtype=torch.uint8).reshape(-1, 1, 1, 1).expand(-1, 1, 28, 28).contiguous()
    starts, sizes = torch.arange(classes) * images, torch.full((classes,), images)
    return ImageBank(values, starts, sizes, tuple(f"class {c}" for c in range(classes)), rotations=False)


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
