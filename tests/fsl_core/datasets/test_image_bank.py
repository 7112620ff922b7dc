"""Images by class: gathered, turned, joined."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fsl_core.datasets.image_bank import ImageBank, join


def a_bank(sizes: list[int], *, rotations: bool, side: int = 5, channels: int = 1, seed: int = 0) -> ImageBank:
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(256, (sum(sizes), channels, side, side), generator=generator, dtype=torch.uint8)
    counts = torch.tensor(sizes)
    return ImageBank(images, counts.cumsum(0) - counts, counts, tuple(f"c{i}" for i in range(len(sizes))), rotations)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 5), min_size=1, max_size=6), st.booleans(), st.sampled_from([1, 3]), st.integers(0, 99))
def test_gather_rotates_each_image_as_its_class_requires(sizes: list[int], rotations: bool, channels: int, seed: int) -> None:
    bank = a_bank(sizes, rotations=rotations, channels=channels, seed=seed)
    assert len(bank.class_sizes) == len(sizes) * (4 if rotations else 1)
    pairs = [(c, i) for c in range(len(bank.class_sizes)) for i in range(int(bank.class_sizes[c]))]
    classes, images = torch.tensor(pairs).T
    for (c, i), shown in zip(pairs, bank.gather(classes, images), strict=True):
        base, turn = divmod(c, 4) if rotations else (c, 0)
        expected = torch.rot90(bank.images[int(bank.starts[base]) + i].float() / 255, turn, dims=(1, 2))
        torch.testing.assert_close(shown, expected)


def test_gather_keeps_the_shape_of_its_indices() -> None:
    bank = a_bank([4, 4], rotations=True)
    index = torch.zeros(2, 3, 4, dtype=torch.int64)
    assert bank.gather(index, index).shape == (2, 3, 4, 1, 5, 5)


@pytest.mark.parametrize("shared", [True, False])
def test_joined_banks_have_the_classes_of_both(shared: bool) -> None:
    first = a_bank([2, 3], rotations=True)
    other = (
        ImageBank(first.images, first.starts.flip(0), first.sizes.flip(0), ("x", "y"), True)
        if shared
        else a_bank([4], rotations=True, seed=1)
    )
    both = join(first, other)
    assert len(both.class_sizes) == len(first.class_sizes) + len(other.class_sizes)
    assert (both.images.data_ptr() == first.images.data_ptr()) == shared
    zero = torch.zeros(1, dtype=torch.int64)
    for bank, offset in ((first, 0), (other, len(first.class_sizes))):
        for c in range(len(bank.class_sizes)):
            torch.testing.assert_close(both.gather(zero + offset + c, zero), bank.gather(zero + c, zero))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 5), min_size=2, max_size=6), st.booleans(), st.integers(0, 99), st.data())
def test_a_moved_bank_has_its_own_images_only_and_shows_the_same(
    sizes: list[int], rotations: bool, seed: int, data: st.DataObject
) -> None:
    """``cpu:0`` is the CPU by another name, hence a move whose result can be looked at everywhere."""
    everything = a_bank(sizes, rotations=rotations, seed=seed)
    order = torch.tensor(data.draw(st.permutations(range(len(sizes)))))[: data.draw(st.integers(1, len(sizes)))]
    own = ImageBank(everything.images, everything.starts[order], everything.sizes[order], ("c",) * len(order), rotations)
    moved = own.to("cpu:0")
    assert len(moved.images) == own.to("meta").images.shape[0] == int(own.sizes.sum())
    assert moved.class_sizes.equal(own.class_sizes)
    classes, images = torch.tensor([(c, i) for c in range(len(own.class_sizes)) for i in range(int(own.class_sizes[c]))]).T
    assert moved.gather(classes, images).equal(own.gather(classes, images))


def test_a_bank_that_stays_keeps_sharing_its_images() -> None:
    bank = a_bank([2, 3], rotations=False)
    part = ImageBank(bank.images, bank.starts[1:], bank.sizes[1:], ("b",), False)
    assert part.to("cpu").images is bank.images


def test_banks_joined_after_a_move_are_those_joined_before() -> None:
    bank = a_bank([3, 3], rotations=True)
    first, second = (ImageBank(bank.images, bank.starts[i : i + 1], bank.sizes[i : i + 1], ("c",), True) for i in (0, 1))
    before = join(first, second)
    after = join(first.to("cpu:0"), second.to("cpu:0"))
    classes, images = torch.tensor([(c, i) for c in range(8) for i in range(3)]).T
    assert after.gather(classes, images).equal(before.gather(classes, images))
    assert len(join(first.to("meta"), second.to("meta")).images) == len(before.to("meta").images) == 6


def test_banks_with_and_without_rotations_are_not_joined() -> None:
    with pytest.raises(ValueError, match="rotations"):
        join(a_bank([2], rotations=True), a_bank([2], rotations=False))
