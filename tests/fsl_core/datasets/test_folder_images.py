"""A user's own images: what is read of them, and everything that can be wrong with them, reported at once."""

import io
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fsl_core.datasets.catalogue import SplitDataset, is_available, open_dataset
from fsl_core.datasets.duplicates import identical_images
from fsl_core.datasets.extent import distinct_images, image_shape
from fsl_core.datasets.folder_images import inspect, read_images
from fsl_core.datasets.folder_source import find_folder, look, missing, what_lies
from fsl_core.datasets.picture import fitted
from fsl_core.episodes.episode import EpisodeShape
from fsl_core.errors import DataCorruptError, DataMissingError, SettingError
from fsl_core.recipe.backbone_settings import Conv4Settings
from fsl_core.recipe.data_settings import DataSettings
from fsl_core.recipe.recipe import ValidationSettings
from fsl_core.testing import check_data_set
from fsl_core.training.execution_path import ExecutionPath
from fsl_core.training.trial import run_trial
from fsl_core.training.trial_run import TrialRun
from tests.fsl_core.conftest import glyphs_recipe
from tests.fsl_core.datasets.own_images import EACH, SPLITS, write_list, write_own_images
from tests.fsl_core.datasets.small_mini_imagenet import encoded, photograph


@pytest.fixture
def zoo(tmp_path: Path) -> Path:
    return write_own_images(tmp_path)


def test_every_class_has_its_pictures_in_the_order_of_their_names(zoo: Path) -> None:
    source = look(zoo)
    images, classes, sizes = read_images(source, size=16, channels=3)
    assert source.faults == () and source.unlisted == ()
    assert images.shape == (7 * EACH, 3, 16, 16) and images.dtype == np.uint8
    assert classes == sorted(name for part in SPLITS.values() for name in part) and sizes == [EACH] * 7
    assert source.splits == {part: tuple(names) for part, names in SPLITS.items()}
    second = fitted(Image.open(zoo / "images" / "birds" / "owl" / "1.png"), 16)
    assert np.array_equal(images[1], second.transpose(2, 0, 1))


def test_pictures_of_one_channel_are_grey(zoo: Path) -> None:
    images, _, _ = read_images(look(zoo), size=20, channels=1)
    grey = Image.open(zoo / "images" / "birds" / "owl" / "0.png").convert("L")
    assert images.shape == (7 * EACH, 1, 20, 20)
    assert np.array_equal(images[0, 0], fitted(grey, 20))


def test_a_picture_that_a_telephone_stored_on_its_side_is_turned_upright(zoo: Path) -> None:
    upright = photograph(99, (30, 30))
    stored = upright.transpose(Image.Transpose.ROTATE_90)
    (zoo / "images" / "birds" / "owl" / "0.png").write_bytes(_on_its_side(stored, "PNG"))
    images, _, _ = read_images(look(zoo), size=30, channels=3)
    assert np.array_equal(images[0], np.asarray(upright).transpose(2, 0, 1))


@pytest.mark.parametrize(("form", "ending"), [("PNG", "png"), ("TIFF", "tif")])
def test_a_picture_of_16_bits_is_turned_upright_too(zoo: Path, form: str, ending: str) -> None:
    upright = np.asarray(photograph(99, (30, 30)).convert("L"))
    stored = Image.fromarray(np.rot90(upright).astype(np.uint16) * 257)
    (zoo / "images" / "birds" / "owl" / "0.png").unlink()
    (zoo / "images" / "birds" / "owl" / f"0.{ending}").write_bytes(_on_its_side(stored, form))
    images, _, _ = read_images(look(zoo), size=30, channels=1)
    assert np.array_equal(images[0, 0], upright)


def _on_its_side(stored: Image.Image, form: str) -> bytes:
    exif, out = stored.getexif(), io.BytesIO()
    exif[0x0112] = 6  # to be shown turned by 90 degrees clockwise
    stored.save(out, form, exif=exif.tobytes())
    return out.getvalue()


@pytest.mark.parametrize("shape", [(1, 60), (60, 1)])
def test_a_strip_is_cut_to_its_middle_before_it_is_resized(shape: tuple[int, int]) -> None:
    """Which shows the same as the whole of it, of which a longer one would take gigabytes."""
    strip = Image.fromarray(np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8))
    whole = np.asarray(strip.resize((21 * shape[1], 21 * shape[0]), Image.Resampling.LANCZOS))
    assert np.array_equal(fitted(strip, 21), whole[:, 619:640] if shape[0] == 1 else whole[619:640])


def test_a_long_strip_takes_little_memory() -> None:
    strip = Image.new("RGB", (30_000, 1))
    with pytest.MonkeyPatch.context() as patched:
        made: list[int] = []
        plain = Image.Image.resize
        patched.setattr(
            Image.Image, "resize", lambda image, size, *more: made.append(size[0] * size[1]) or plain(image, size, *more)
        )
        assert fitted(strip, 84).shape == (84, 84, 3)
    assert made == [50 * 84 * 84]


def test_other_files_hidden_ones_and_those_below_a_class_do_not_count(zoo: Path) -> None:
    before = look(zoo)
    for name in ("notes.txt", ".hidden.png", "deeper/4.png"):
        path = zoo / "images" / "cat" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(encoded(photograph(50)))
    after = look(zoo)
    assert after.pictures == before.pictures and after.version == before.version
    assert after.unlisted == ("cat/deeper",)


def test_a_list_may_have_blank_lines_a_byte_order_mark_and_windows_line_ends(zoo: Path) -> None:
    (zoo / "meta_train.txt").write_bytes("\ufeffcat\r\n\r\ndog\r\n  birds/owl  \r\n".encode())
    assert look(zoo).splits["meta_train"] == ("cat", "dog", "birds/owl")


def relisted(part: str, *classes: str) -> Callable[[Path], None]:
    return lambda zoo: write_list(zoo, part, classes)


def shorter(zoo: Path) -> None:
    for number in (1, 2):
        (zoo / "images" / "cow" / f"{number}.png").unlink()


def linked_file(zoo: Path) -> None:
    (zoo / "images" / "cow" / "3.png").symlink_to(zoo.parents[1] / "elsewhere.png")
    (zoo.parents[1] / "elsewhere.png").write_bytes(encoded(photograph(51)))


def linked_class(zoo: Path) -> None:
    shutil.move(zoo / "images" / "cow", zoo.parents[1] / "cow")
    (zoo / "images" / "cow").symlink_to(zoo.parents[1] / "cow")


def unreadable_list(zoo: Path) -> None:
    (zoo / "meta_test.txt").write_bytes(b"\xff\xfe\xff")


def same_folder(zoo: Path) -> None:
    (zoo / "images" / "kitty").symlink_to("cat")
    write_list(zoo, "meta_test", ["cow", "kitty"])


def turned_name(zoo: Path) -> None:
    (zoo / "images" / "cow").rename(zoo / "images" / "cow@90")
    write_list(zoo, "meta_test", ["horse", "cow@90"])


FAULTS: dict[str, tuple[Callable[[Path], None], str]] = {
    "a class of two splits": (
        relisted("meta_test", "cat", "cow"),
        "class 'cat' is listed 2 times: meta_train.txt, meta_test.txt",
    ),
    "a class twice in a list": (
        relisted("meta_test", "cow", "cow"),
        "class 'cow' is listed 2 times: meta_test.txt, meta_test.txt",
    ),
    "a class without a folder": (relisted("meta_test", "cow", "unicorn"), "class 'unicorn' of meta_test.txt has no folder "),
    "a class outside": (
        relisted("meta_test", "../images/cow"),
        "class '../images/cow' of meta_test.txt is no path of a folder in images",
    ),
    "an absolute class": (relisted("meta_test", "/tmp"), "class '/tmp' of meta_test.txt is no path of a folder in images"),
    "an empty list": (relisted("meta_test"), "meta_test.txt names no class"),
    "a list of other bytes": (unreadable_list, "meta_test.txt cannot be read (UnicodeDecodeError"),
    "a class of one picture": (shorter, "class 'cow' of meta_test.txt has 1 picture in "),
    "a picture from outside": (linked_file, "3.png is a link to what lies outside of "),
    "a class that is another by a link": (same_folder, "class 'kitty' of meta_test.txt has the folder of class 'cat', by a link"),
    "a class named as a turned one": (turned_name, "class 'cow@90' of meta_test.txt has the name of a turned class"),
    "a class from outside": (linked_class, "cow that is a link to what lies outside of "),
}


@pytest.mark.parametrize(("spoil", "message"), FAULTS.values(), ids=FAULTS)
def test_what_is_wrong_is_named_before_any_picture_is_opened(zoo: Path, spoil: Callable[[Path], None], message: str) -> None:
    spoil(zoo)
    for picture in zoo.rglob("*.png"):
        if not picture.is_symlink():
            picture.write_bytes(b"no picture")
    with pytest.raises(DataCorruptError) as raised:
        read_images(look(zoo), size=16, channels=3)
    assert message in str(raised.value) and "1 fault:" in str(raised.value)
    assert any(message in fault for fault in inspect(look(zoo)).faults)


def test_every_fault_is_named_at_once_and_ten_are_shown(zoo: Path) -> None:
    write_list(zoo, "meta_test", [f"absent{number}" for number in range(12)])
    with pytest.raises(DataCorruptError, match=r"12 faults: .*absent9'.*…$") as raised:
        read_images(look(zoo), size=16, channels=3)
    assert "absent10" not in str(raised.value)
    assert len(inspect(look(zoo)).faults) == 12


def test_pictures_that_cannot_be_read_are_named(zoo: Path) -> None:
    wrong = [zoo / "images" / "cat" / "0.png", zoo / "images" / "cow" / "2.png"]
    for path in wrong:
        path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(DataCorruptError, match="2 faults"):
        read_images(look(zoo), size=16, channels=3)
    inspection = inspect(look(zoo))
    assert all(str(path) in fault for path, fault in zip(wrong, inspection.faults, strict=True))
    assert inspection.sizes == {(24, 20): 7 * EACH - 2}


def test_an_inspection_counts_sizes_and_names_grey_pictures(zoo: Path) -> None:
    grey = zoo / "images" / "dog" / "1.png"
    grey.write_bytes(encoded(photograph(3, (40, 30)).convert("L"), "PNG"))
    told: list[tuple[int, int]] = []
    inspection = inspect(look(zoo), progress=lambda done, total: told.append((done, total)))
    assert inspection.sizes == {(24, 20): 7 * EACH - 1, (40, 30): 1}
    assert inspection.grey == (str(grey),) and inspection.faults == () and told == [(21, 21)]


def test_the_version_changes_with_a_list_and_with_a_picture(zoo: Path) -> None:
    versions = [look(zoo).version, look(zoo).version]
    assert versions[0] == versions[1]
    write_list(zoo, "meta_test", ["cow", "horse"])
    versions.append(look(zoo).version)
    picture = zoo / "images" / "cow" / "0.png"
    picture.write_bytes(encoded(photograph(77), "PNG"))
    versions.append(look(zoo).version)
    os.utime(picture, ns=(1, 1))
    versions.append(look(zoo).version)
    (zoo / "images" / "cow" / "0.png").rename(zoo / "images" / "cow" / "9.png")
    versions.append(look(zoo).version)
    assert len(set(versions)) == 5


def test_folders_are_found_by_their_name(zoo: Path) -> None:
    root = zoo.parents[1]
    birds = write_own_images(root, "birds")
    (birds / "meta_test.txt").unlink()
    (root / "folder" / ".hidden").mkdir()
    assert find_folder(root, "zoo") == zoo
    assert find_folder(root, "birds") is None and find_folder(root, "fish") is None and find_folder(None, "zoo") is None
    assert what_lies(root) == f"birds (without meta_test.txt), zoo in {root}/folder"
    assert what_lies(root / "empty") == f"no folder in {root}/empty/folder"


def test_what_is_missing_is_said_and_where_it_belongs(tmp_path: Path) -> None:
    message = str(missing(tmp_path, "zoo"))
    assert f"found: no folder in {tmp_path}/folder" in message and f"{tmp_path}/folder/zoo/images/<class>" in message
    assert "<data root>/folder/zoo/images/<class>" in str(missing(None, "zoo"))


def settings(**changes: Any) -> DataSettings:
    return DataSettings(**{"dataset": "folder", "split": "zoo", "rotations": False, "image_size": 16, **changes})


def opened(zoo: Path, said: list[str] | None = None) -> SplitDataset:
    root = zoo.parents[1]
    return open_dataset(settings(), data_root=root, cache_root=root / "cache", notice=(said if said is not None else []).append)


def test_its_shape_is_a_setting_and_what_it_holds_is_not_known_before_it_is_read(zoo: Path) -> None:
    assert image_shape(settings()) == (3, 16, 16) and image_shape(settings(image_size=None, channels=1)) == (1, 84, 84)
    assert distinct_images(settings()) is None
    assert opened(zoo).meta_train.image_shape == (3, 16, 16)
    assert (
        len({glyphs_recipe(data=each).fingerprint for each in (settings(), settings(image_size=17), settings(channels=1))}) == 3
    )


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("image_size", 15),
        ("image_size", 2000),
        ("image_size", 32.0),
        ("channels", 2),
        ("split", "../zoo"),
        ("split", "a/b"),
        ("split", ""),
        ("rotations", True),
        ("resize", "nearest"),
        ("normalise", True),
    ],
)
def test_impossible_settings_are_refused(field: str, value: object) -> None:
    with pytest.raises(SettingError) as raised:
        settings(**{field: value})
    assert raised.value.setting == field


def test_only_own_images_have_a_size(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="dataset 'glyphs' has none, only folder"):
        DataSettings(dataset="glyphs", split="glyphs", image_size=28)


def test_the_splits_are_those_of_the_lists_and_a_trial_is_trained_on_them(zoo: Path, tmp_path: Path) -> None:
    check_data_set(settings(), folder=tmp_path / "checked", data_root=zoo.parents[1])
    dataset = opened(zoo)
    for part, classes in SPLITS.items():
        assert getattr(dataset, part).class_names == tuple(classes)
    shape = EpisodeShape(way=2, shot=1, query=1)
    validation = ValidationSettings(shape=shape, every=2, episodes=2, patience=None)
    recipe = glyphs_recipe(data=settings(), episode=shape, validation=validation, steps=2, backbone=Conv4Settings(filters=2))
    assert (
        run_trial(recipe, TrialRun(folder=tmp_path / "trial", dataset=dataset, path=ExecutionPath())).data_digest
        == dataset.digest
    )


def test_images_that_were_prepared_need_no_source_and_are_announced(zoo: Path) -> None:
    before = opened(zoo)
    shutil.rmtree(zoo)
    assert is_available(settings(), data_root=None, cache_root=zoo.parents[1] / "cache")
    said: list[str] = []
    after = opened(zoo, said)
    assert after.digest == before.digest and after.meta_test.class_names == before.meta_test.class_names
    assert len(said) == 1 and "own images 'zoo' are absent" in said[0] and "prepared from them earlier" in said[0]


@pytest.mark.parametrize("lost", ["meta_train.txt", "meta_test.txt", "images"])
def test_a_folder_that_lost_a_part_is_refused_although_its_images_are_prepared(zoo: Path, lost: str) -> None:
    opened(zoo)
    (zoo / lost).rename(zoo / "elsewhere")
    with pytest.raises(DataMissingError, match=f"{re.escape(str(zoo))} lacks {re.escape(lost)}"):
        opened(zoo)


def test_images_are_prepared_again_when_a_picture_or_a_list_changes_and_only_then(zoo: Path) -> None:
    first = opened(zoo)
    said: list[str] = []
    assert opened(zoo, said).digest == first.digest and said == []
    (zoo / "images" / "cow" / "0.png").write_bytes(encoded(photograph(77), "PNG"))
    changed = opened(zoo, said)
    assert changed.digest != first.digest and any("its source has changed since" in each for each in said)
    write_list(zoo, "meta_test", ["cow"])
    assert opened(zoo).meta_test.class_names == ("cow",)
    first.check_unchanged()  # who maps the earlier images keeps them
    assert first.meta_test.images.shape == changed.meta_test.images.shape
    assert [path.name for path in (zoo.parents[1] / "cache").iterdir() if path.is_dir()] == ["folder-zoo-16x3"]


def test_a_touched_picture_changes_no_digest_and_keeps_the_array(zoo: Path) -> None:
    first, array = opened(zoo), zoo.parents[1] / "cache" / "folder-zoo-16x3" / "images.npy"
    before = array.stat()
    os.utime(zoo / "images" / "cow" / "0.png", ns=(1, 1))
    said: list[str] = []
    assert opened(zoo, said).digest == first.digest
    assert any("the images are the same" in each for each in said)
    now = array.stat()
    assert (now.st_ino, now.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    said.clear()
    assert opened(zoo, said).digest == first.digest and said == []


def test_a_class_of_another_split_moves_without_a_new_array(zoo: Path) -> None:
    first, array = opened(zoo), zoo.parents[1] / "cache" / "folder-zoo-16x3" / "images.npy"
    before = array.stat().st_ino
    write_list(zoo, "meta_train", ["cat", "dog"])
    write_list(zoo, "meta_test", ["horse", "cow", "birds/owl"])
    moved = opened(zoo)
    assert moved.digest != first.digest and moved.meta_test.class_names == ("horse", "cow", "birds/owl")
    assert array.stat().st_ino == before


def test_a_change_for_the_worse_is_refused_and_what_was_prepared_stays(zoo: Path) -> None:
    first = opened(zoo)
    write_list(zoo, "meta_test", ["cat", "cow"])
    with pytest.raises(
        DataCorruptError, match=r"its source has changed since. It cannot be prepared again: .*'cat' is listed 2 times"
    ):
        opened(zoo)
    write_list(zoo, "meta_test", SPLITS["meta_test"])
    assert opened(zoo).digest == first.digest


def test_lists_that_were_edited_in_the_manifest_are_not_believed(zoo: Path) -> None:
    opened(zoo)
    shutil.rmtree(zoo)
    manifest = zoo.parents[1] / "cache" / "folder-zoo-16x3" / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"cow"', '"cat"', 1))
    with pytest.raises(DataCorruptError):
        opened(zoo)


def test_identical_images_are_found_within_and_across_splits(zoo: Path) -> None:
    pictures = zoo / "images"
    shutil.copy(pictures / "cat" / "0.png", pictures / "cow" / "1.png")
    (pictures / "fish" / "9.png").symlink_to(pictures / "fish" / "0.png")
    found = identical_images(opened(zoo))
    assert [(pair.first, pair.second) for pair in found.across] == [("meta_train: cat #0", "meta_test: cow #1")]
    assert [(pair.first, pair.second) for pair in found.within] == [("meta_validation: fish #0", "meta_validation: fish #3")]


def test_folders_that_no_list_names_are_said_to_be_left_out(zoo: Path) -> None:
    write_list(zoo, "meta_test", ["cow"])
    said: list[str] = []
    opened(zoo, said)
    assert "left out, for no list names them: horse" in said
