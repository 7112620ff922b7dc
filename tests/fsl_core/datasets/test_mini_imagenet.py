"""miniImageNet: the three layouts, the pictures that need converting, and every way in which a source can be wrong."""

import dataclasses
import io
import lzma
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from fsl_core.datasets import mini_imagenet
from fsl_core.datasets.catalogue import DATASETS, is_available, open_dataset, prepare
from fsl_core.datasets.image_bank import ImageBank, join
from fsl_core.datasets.inspection import Inspection
from fsl_core.datasets.mini_imagenet import inspect, read_images
from fsl_core.datasets.mini_imagenet_source import find_source
from fsl_core.datasets.picture import fitted
from fsl_core.errors import DataCorruptError, DataMissingError
from tests.fsl_core.datasets.small_mini_imagenet import (
    EACH,
    LAYOUTS,
    PHOTOGRAPHS,
    SMALL,
    TOTAL,
    Pictures,
    as_archives,
    as_folders,
    as_tables,
    encoded,
    make_small,
    opened,
    photograph,
    regular,
    small_pictures,
    without,
    write_archive,
)
from tests.replaced_entry import replace_entry


@pytest.fixture
def pictures() -> Pictures:
    return small_pictures()


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    make_small(monkeypatch)


def read(root: Path) -> tuple[np.ndarray, list[str], list[int]]:
    source = find_source(root)
    assert source is not None
    return read_images(source, contents=SMALL)


def looked_at(root: Path) -> Inspection:
    source = find_source(root)
    assert source is not None
    return inspect(source, contents=SMALL)


def refusal(root: Path) -> str:
    with pytest.raises(DataCorruptError) as caught:
        read(root)
    return str(caught.value)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_same_array(tmp_path: Path, pictures: Pictures, layout: str) -> None:
    """Classes are sorted by wnid and images by file name, in whatever order the source has them."""
    backwards = dict(reversed(pictures.items()))
    root = LAYOUTS[layout](tmp_path, backwards)
    source = find_source(root)
    assert source is not None and source.layout == layout
    images, names, sizes = read(root)
    assert (names, sizes) == (["n1", "n2", "n3", "n4", "n5"], [EACH] * 5)
    assert images.dtype == np.uint8 and images.shape == (TOTAL, 3, 84, 84)
    in_order = sorted(pictures, key=lambda name: name.split("/")[1:])
    for shown, name in zip(images, in_order, strict=True):
        expected = np.asarray(Image.open(io.BytesIO(pictures[name]))).transpose(2, 0, 1)
        assert np.array_equal(shown, expected)  # 84x84 already: not resampled


def test_archives_are_preferred_to_folders_and_folders_to_tables(tmp_path: Path, pictures: Pictures) -> None:
    for layout in reversed(LAYOUTS):
        LAYOUTS[layout](tmp_path, pictures)
        source = find_source(tmp_path)
        assert source is not None and source.layout == layout


def test_the_published_classes() -> None:
    contents = mini_imagenet.published()
    assert {split: len(wnids) for split, wnids in contents.splits.items()} == {"train": 64, "val": 16, "test": 20}
    assert len(set(contents.class_names)) == 100 and contents.images_per_class == 600
    assert [len(names) for names in mini_imagenet.split_classes().values()] == [64, 16, 20]


@pytest.mark.parametrize("mode", ["L", "CMYK", "RGBA", "P", "1", "LA"])
def test_other_kinds_of_pictures_become_rgb(tmp_path: Path, pictures: Pictures, mode: str) -> None:
    name = "train/n1/n100000000.jpg"  # read by what it holds, whatever it is called
    image = photograph(1).convert(mode)
    root = as_folders(tmp_path, {**pictures, name: encoded(image, "JPEG" if mode == "CMYK" else "PNG")})
    shown = read(root)[0][0].astype(int)
    expected = np.asarray(image.convert("RGB"), dtype=int).transpose(2, 0, 1)
    assert np.abs(shown - expected).mean() < 3
    if mode in ("L", "1", "LA"):
        assert (shown == shown[:1]).all()


@pytest.mark.parametrize("size", [(500, 375), (375, 500), (84, 120), (60, 40), (84, 85)])
def test_a_raw_picture_keeps_its_middle_at_its_own_proportions(size: tuple[int, int]) -> None:
    width, height = size
    across = np.linspace(-1, 1, width)[None, :] * width / min(size)  # -1..1 along the shorter side, 0 in the middle
    down = np.linspace(-1, 1, height)[:, None] * height / min(size)
    red, green = np.broadcast_arrays(127 + 60 * across, 127 + 60 * down)
    image = Image.fromarray(np.stack([red, green, np.full(red.shape, 9)], axis=2).clip(0, 255).astype(np.uint8))
    shown = fitted(image, 84).astype(float)
    assert shown.shape == (84, 84, 3)
    ramp = 127 + 60 * np.linspace(-1, 1, 84)
    assert np.abs(shown[..., 0] - ramp[None, :]).max() < 4
    assert np.abs(shown[..., 1] - ramp[:, None]).max() < 4


def test_a_resize_is_antialiased() -> None:
    board = (np.indices((840, 840)).sum(0) % 2 * 255).astype(np.uint8)
    shown = fitted(Image.fromarray(np.stack([board] * 3, axis=2)), 84)
    assert shown.min() > 120 and shown.max() < 135


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_class_without_all_its_images_is_named(tmp_path: Path, pictures: Pictures, layout: str) -> None:
    gone = [f"train/n1/n1{number:08d}.jpg" for number in (0, 7)]
    root = LAYOUTS[layout](tmp_path, without(pictures, *gone))
    assert "n1 has 23 images of 25" in refusal(root)
    assert looked_at(root).faults == ("n1 has 23 images of 25",)


def test_a_class_that_is_not_there_is_named(tmp_path: Path, pictures: Pictures) -> None:
    root = as_archives(tmp_path, without(pictures, *(name for name in pictures if "/n5/" in name)))
    assert "n5 has 0 images of 25" in refusal(root)


def test_an_image_too_many_is_named(tmp_path: Path, pictures: Pictures) -> None:
    root = as_archives(tmp_path, {**pictures, "val/n2/extra.jpg": encoded(photograph(9))})
    assert "n2 has 26 images of 25" in refusal(root)


def test_one_name_twice_is_named(tmp_path: Path, pictures: Pictures) -> None:
    first, second = "n200000000.jpg", "n200000001.jpg"
    root = as_tables(tmp_path, pictures)
    table = root / "mini_imagenet" / "val.csv"
    table.write_text(table.read_text().replace(second, first))
    assert f"n2 has {first} more than once" in refusal(root)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_class_of_another_split_is_named(tmp_path: Path, pictures: Pictures, layout: str) -> None:
    root = LAYOUTS[layout](tmp_path, {**pictures, "train/n4/stray.jpg": encoded(photograph(9))})
    assert "'n4' is not a class of train" in refusal(root)
    assert any("'n4' is not a class of train" in fault for fault in looked_at(root).faults)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_damaged_pictures_are_named_the_first_by_reading_and_all_by_inspecting(
    tmp_path: Path, pictures: Pictures, layout: str
) -> None:
    cut, noise, empty = "train/n1/n100000003.jpg", "train/n5/n500000004.jpg", "test/n4/n400000000.jpg"
    broken = {**pictures, cut: pictures[cut][:-200], noise: b"no picture at all", empty: b""}
    root = LAYOUTS[layout](tmp_path, broken)
    assert "cannot be read as a picture" in refusal(root)
    found = looked_at(root)
    assert len(found.faults) == 3 and found.sizes == {(84, 84): TOTAL - 3}
    for name in (cut, noise, empty):
        assert sum(Path(name).name in fault for fault in found.faults) == 1


def test_inspection_counts_sizes_and_names_grey_pictures(tmp_path: Path, pictures: Pictures) -> None:
    grey, large = "train/n3/n300000002.jpg", "val/n2/n200000002.jpg"
    changed = {grey: encoded(photograph(3).convert("L")), large: encoded(photograph(4, (500, 333)))}
    found = looked_at(as_archives(tmp_path, {**pictures, **changed}))
    assert found.sizes == {(84, 84): TOTAL - 1, (500, 333): 1} and found.faults == ()
    assert len(found.grey) == 1 and found.grey[0].endswith(grey)


def test_files_that_are_not_pictures_are_skipped(tmp_path: Path, pictures: Pictures) -> None:
    extra = {"train/n1/._n100000000.jpg": b"finder", "train/n1/Thumbs.db": b"", "train/README.txt": b"hello"}
    assert len(read(as_archives(tmp_path / "a", {**pictures, **extra}))[0]) == TOTAL
    assert len(read(as_folders(tmp_path / "f", {**pictures, **extra}))[0]) == TOTAL


@pytest.mark.parametrize("keep", [0.0, 0.3, 0.9, -1, -13])
def test_a_truncated_archive_is_named(tmp_path: Path, pictures: Pictures, keep: float) -> None:
    root = as_archives(tmp_path, pictures)
    path = root / "mini_imagenet" / "train.tar.xz"
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep) if keep >= 0 else int(keep)])
    assert "train.tar.xz is damaged" in refusal(root)
    assert any("train.tar.xz is damaged" in fault for fault in looked_at(root).faults)
    assert looked_at(root).sizes[84, 84] >= 2 * EACH  # the other archives are looked at all the same


@pytest.mark.parametrize("place", [0.1, 0.5, 0.97])
def test_a_flipped_byte_in_an_archive_is_named(tmp_path: Path, pictures: Pictures, place: float) -> None:
    root = as_archives(tmp_path, pictures)
    path = root / "mini_imagenet" / "train.tar.xz"
    data = bytearray(path.read_bytes())
    data[int(len(data) * place)] ^= 0x55
    path.write_bytes(bytes(data))
    assert "train.tar.xz" in refusal(root)


def test_a_tar_cut_short_inside_a_whole_xz_is_named(tmp_path: Path, pictures: Pictures) -> None:
    root = as_archives(tmp_path, pictures)
    path = root / "mini_imagenet" / "train.tar.xz"
    content = lzma.decompress(path.read_bytes())
    for size in (len(content) // 2 // 512 * 512, len(content) // 2 + 100):
        path.write_bytes(lzma.compress(content[:size]))
        message = refusal(root)
        assert "train.tar.xz is damaged" in message or "images of 25" in message


def test_a_file_that_is_not_an_archive_is_named(tmp_path: Path, pictures: Pictures) -> None:
    root = as_archives(tmp_path, pictures)
    (root / "mini_imagenet" / "val.tar.xz").write_bytes(b"<html>please log in</html>")
    assert "val.tar.xz is damaged" in refusal(root)


@pytest.mark.parametrize("name", ["/etc/n1/x.jpg", "../n1/x.jpg", "train/../../x.jpg", "train\\..\\x.jpg"])
def test_a_member_that_points_outside_is_refused(tmp_path: Path, pictures: Pictures, name: str) -> None:
    root = as_archives(tmp_path, pictures)
    write_archive(root, "train", [regular(name, b"x")])
    assert "points outside" in refusal(root)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_a_link_or_device_is_refused(tmp_path: Path, pictures: Pictures, kind: bytes) -> None:
    root = as_archives(tmp_path, pictures)
    member = tarfile.TarInfo("train/n1/n100000000.jpg")
    member.type, member.linkname = kind, "/etc/passwd"
    write_archive(root, "train", [(member, b"")])
    assert "holds a link or a device" in refusal(root)


@pytest.mark.parametrize("name", ["n100000000.jpg", "train/n100000000.jpg", "val/n1/x.jpg", "train/n1/deep/x.jpg"])
def test_a_picture_in_another_place_of_an_archive_is_named(tmp_path: Path, pictures: Pictures, name: str) -> None:
    root = as_archives(tmp_path, pictures)
    write_archive(root, "train", [regular(name, b"x")])
    assert "which is not train/<wnid>/<picture>" in refusal(root)


@pytest.mark.parametrize("name", ["../../secret.jpg", "/etc/secret.jpg", "..\\secret.jpg"])
def test_a_table_that_points_outside_is_refused(tmp_path: Path, pictures: Pictures, name: str) -> None:
    root = as_tables(tmp_path, pictures)
    table = root / "mini_imagenet" / "val.csv"
    table.write_text(table.read_text().replace("n200000003.jpg", name))
    assert "points outside" in refusal(root)


@pytest.mark.parametrize("text", ["name,class\nx.jpg,n2\n", 'filename,label\n"x.jpg,n2', "filename,label\n\xff\n"])
def test_a_table_of_another_kind_is_named(tmp_path: Path, pictures: Pictures, text: str) -> None:
    root = as_tables(tmp_path, pictures)
    (root / "mini_imagenet" / "val.csv").write_bytes(text.encode("latin-1"))
    assert "val.csv is not a table with the columns filename,label" in refusal(root)


def test_an_absent_picture_of_a_table_is_named(tmp_path: Path, pictures: Pictures) -> None:
    root = as_tables(tmp_path, pictures)
    (root / "mini_imagenet" / "images" / "n200000003.jpg").unlink()
    assert "n200000003.jpg cannot be read as a picture" in refusal(root)


def test_the_error_about_absent_files_says_how_to_get_them(tmp_path: Path) -> None:
    assert not is_available(PHOTOGRAPHS, data_root=tmp_path, cache_root=tmp_path / "cache")
    for root in (None, tmp_path):
        with pytest.raises(DataMissingError) as caught:
            prepare(PHOTOGRAPHS, data_root=root, cache_root=tmp_path / "cache")
        message = str(caught.value)
        for words in (
            "train.tar.xz, val.tar.xz and test.tar.xz",
            "folders train, val and test",
            "train.csv, val.csv and test.csv",
        ):
            assert words in message
        assert "research use only" in message and "FSL_DATA_ROOT" in message and "found: nothing" in message
    (tmp_path / "mini_imagenet").mkdir()
    (tmp_path / "mini_imagenet" / "val.tar.xz").touch()
    with pytest.raises(DataMissingError, match=r"found: val\.tar\.xz"):
        prepare(PHOTOGRAPHS, data_root=tmp_path, cache_root=tmp_path / "cache")
    assert {path.name for path in (tmp_path / "cache").iterdir()} == {".mini_imagenet-84.lock"}


@pytest.mark.usefixtures("small")
def test_damaged_files_leave_nothing_half_written(tmp_path: Path, pictures: Pictures) -> None:
    name = "test/n4/n400000024.jpg"
    root = as_archives(tmp_path, {**pictures, name: b"noise"})
    with pytest.raises(DataCorruptError, match=r"n400000024\.jpg cannot be read"):
        opened(root)
    assert {path.name for path in (root / "cache").iterdir()} == {".mini_imagenet-84.lock"}


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("layout", LAYOUTS)
def test_progress_is_reported_every_hundred_images_and_at_the_end(tmp_path: Path, pictures: Pictures, layout: str) -> None:
    told: list[tuple[int, int]] = []
    root = LAYOUTS[layout](tmp_path, pictures)
    opened(root, lambda done, total: told.append((done, total)))
    assert told == [(100, TOTAL), (TOTAL, TOTAL)]
    opened(root, lambda done, total: told.append((done, total)))
    assert len(told) == 2  # it lies prepared: nothing is read


@pytest.mark.usefixtures("small")
def test_images_are_normalised_by_channel(tmp_path: Path, pictures: Pictures) -> None:
    dataset = opened(as_folders(tmp_path, pictures))
    bank = dataset.meta_train
    assert bank.class_names == ("n3", "n1", "n5")  # in the order of the split's list
    index = torch.arange(3)
    pixels = bank.pixels(index, index)
    expected = bank.images[bank.starts + index].float() / 255
    assert pixels.equal(expected)
    mean, std = (torch.tensor(values) for values in ((120.1, 114.8, 103.4), (69.3, 67.5, 71.0)))
    by_hand = (expected * 255 - mean.view(3, 1, 1)) / std.view(3, 1, 1)
    torch.testing.assert_close(bank.gather(index, index), by_hand, rtol=1e-4, atol=1e-5)
    assert bank.pixels(index, index).equal(expected)  # the bank's own images are as before


@pytest.mark.usefixtures("small")
def test_the_normalisation_is_part_of_the_digest(tmp_path: Path, pictures: Pictures, monkeypatch: pytest.MonkeyPatch) -> None:
    root = as_folders(tmp_path, pictures)
    digests = {opened(root).digest}
    mean, std = mini_imagenet.CHANNEL_MEAN, mini_imagenet.CHANNEL_STD
    for other in (None, (mean, (*std[:2], 0.5)), ((*mean[:2], 0.5), std)):
        changed = dataclasses.replace(DATASETS["mini_imagenet"], normalisation=other)
        replace_entry(monkeypatch, DATASETS, changed)
        digests.add(opened(root).digest)
    assert len(digests) == 4


@pytest.mark.usefixtures("small")
def test_without_normalisation_pixels_are_in_0_to_1_and_nothing_else_is_prepared(tmp_path: Path, pictures: Pictures) -> None:
    """As in the code of Finn et al. (2017): x/255 alone."""
    root = as_folders(tmp_path, pictures)
    plain = dataclasses.replace(PHOTOGRAPHS, normalise=False)
    said: list[str] = []
    usual = opened(root)
    other = open_dataset(plain, data_root=None, cache_root=root / "cache", notice=said.append)
    assert not said  # the same prepared folder, whose source is not looked at
    index = torch.arange(3)
    bank = other.meta_train
    assert bank.gather(index, index).equal(bank.images[bank.starts + index].float() / 255)
    assert other.digest != usual.digest


def a_bank(mean: tuple[float, ...] | None, std: tuple[float, ...] | None, *, seed: int = 0) -> ImageBank:
    images = torch.randint(256, (4, 3, 2, 2), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)
    values = [None if given is None else torch.tensor(given) for given in (mean, std)]
    return ImageBank(images, torch.tensor([0, 2]), torch.tensor([2, 2]), ("a", "b"), False, *values)


def test_a_moved_and_a_joined_bank_keep_their_normalisation() -> None:
    bank, other = (a_bank((0.1, 0.2, 0.3), (0.5, 0.6, 0.7), seed=seed) for seed in (0, 1))
    index = torch.tensor([0, 1])
    assert bank.to("cpu").gather(index, index).equal(bank.gather(index, index))
    assert bank.to("meta").mean.device.type == bank.to("meta").std.device.type == "meta"  # type: ignore[union-attr]
    both = join(bank, other)
    assert both.gather(index, index).equal(bank.gather(index, index))
    assert both.gather(index + 2, index).equal(other.gather(index, index))


@pytest.mark.parametrize("mean", [None, (0.1, 0.2, 0.4)])
def test_banks_normalised_differently_are_not_joined(mean: tuple[float, ...] | None) -> None:
    std = None if mean is None else (0.5, 0.6, 0.7)
    with pytest.raises(ValueError, match="mean or std"):
        join(a_bank((0.1, 0.2, 0.3), (0.5, 0.6, 0.7)), a_bank(mean, std))


@pytest.mark.parametrize(("mean", "std"), [((0.1, 0.2, 0.3), None), (None, (1.0, 1.0, 1.0)), ((0.1,), (1.0,))])
def test_an_impossible_normalisation_is_refused(mean: tuple[float, ...] | None, std: tuple[float, ...] | None) -> None:
    with pytest.raises(ValueError, match="mean"):
        a_bank(mean, std)
