"""Data that lies elsewhere than usual is read where it is clear what it is; else the message says what lies there."""

import os
import pickle
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torchvision.datasets import Omniglot as TorchvisionOmniglot

from fsl_core.datasets import mini_imagenet_source, omniglot, omniglot_source
from fsl_core.datasets.catalogue import prepare
from fsl_core.datasets.file_kind import kind_of
from fsl_core.datasets.inspection import Inspection
from fsl_core.datasets.mini_imagenet import read_images
from fsl_core.datasets.prepared_images import content_digest
from fsl_core.datasets.source_search import is_hidden
from fsl_core.errors import DataCorruptError, DataError, DataMissingError
from fsl_core.recipe.data_settings import DataSettings, data_sets, usual_data
from tests.fsl_core.datasets.small_mini_imagenet import (
    LAYOUTS,
    PHOTOGRAPHS,
    SMALL,
    Pictures,
    as_archives,
    as_folders,
    encoded,
    photograph,
    regular,
    small_pictures,
    write_archive,
)

HALVES = {"images_background": 3, "images_evaluation": 2}
"""A small Omniglot: how many characters each half has."""

DRAWINGS = DataSettings(dataset="omniglot", split="vinyals")


@pytest.fixture(autouse=True)
def small_omniglot(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name, characters in HALVES.items():
        monkeypatch.setitem(omniglot_source.HALVES, name, characters)
    yield


def drawings(half: str) -> Iterator[tuple[str, bytes]]:
    """The files of one half by their names below it, none like another."""
    seed = len(half)
    for character in range(HALVES[half]):
        for drawer in range(20):
            seed += 1
            ink = np.random.default_rng(seed).random((15, 15)) > 0.3
            picture = Image.fromarray(np.kron(ink, np.ones((7, 7))).astype(bool))
            yield (
                f"{half[7].upper()}lphabet/character{character + 1:02d}/{seed:04d}_{drawer + 1:02d}.png",
                encoded(picture, "PNG"),
            )


def zipped(folder: Path, half: str, top: str = "") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(folder / f"{half}.zip", "w") as file:
        for name, content in drawings(half):
            file.writestr(f"{top}{half}/{name}", content)


def extracted(folder: Path, half: str, top: str = "") -> None:
    for name, content in drawings(half):
        path = folder / f"{top}{half}" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def both(write: Callable[..., None], folder: Path, top: str = "") -> None:
    for half in HALVES:
        write(folder, half, top)


def with_droppings(folder: Path) -> None:
    both(extracted, folder)
    for name in (".ipynb_checkpoints", "__MACOSX", "@eaDir"):
        for place in (folder / "images_background", folder / "images_background" / "Blphabet" / "character01"):
            hidden = place / name / "images_background" / "A" / "character01" / "0001_01.png"
            hidden.parent.mkdir(parents=True)
            hidden.write_bytes(b"no picture")


OMNIGLOT: dict[str, Callable[[Path], object]] = {
    "archives": lambda root: both(zipped, root / "omniglot"),
    "archives with one more folder": lambda root: both(zipped, root / "omniglot", "omniglot-master/"),
    "folders": lambda root: both(extracted, root / "omniglot"),
    "folders extracted into one of their name": lambda root: [
        extracted(root / "omniglot" / half, half) for half in omniglot_source.HALVES
    ],
    "a capital": lambda root: both(zipped, root / "Omniglot"),
    "torchvision's archives": lambda root: both(zipped, root / "omniglot-py"),
    "torchvision's folders": lambda root: both(extracted, root / "omniglot-py"),
    "torchvision's both": lambda root: (both(zipped, root / "omniglot-py"), both(extracted, root / "omniglot-py")),
    "the author's repository": lambda root: both(zipped, root / "omniglot" / "python"),
    "the root itself": lambda root: both(zipped, root),
    "folders in the root itself": lambda root: both(extracted, root),
    "one half of each kind": lambda root: (
        zipped(root / "omniglot", "images_background"),
        extracted(root / "omniglot", "images_evaluation"),
    ),
    "hidden folders": lambda root: with_droppings(root / "omniglot"),
}


def omniglot_digest(root: Path) -> str:
    source = omniglot_source.find_source(root)
    assert source is not None
    assert all(str(path) in str(data_sets()["omniglot"].found(usual_data("omniglot"), root)) for path in source.values())
    return content_digest(*omniglot.read_images(source))


@pytest.mark.parametrize("layout", OMNIGLOT)
def test_omniglot_is_found_in_every_usual_place(tmp_path: Path, layout: str) -> None:
    both(zipped, tmp_path / "usual" / "omniglot")
    OMNIGLOT[layout](tmp_path / "other")
    source = omniglot_source.find_source(tmp_path / "other")
    assert source is not None and omniglot.inspect(source) == Inspection({(105, 105): 100}, None, ())
    assert omniglot_digest(tmp_path / "other") == omniglot_digest(tmp_path / "usual")


@pytest.mark.parametrize("name", ["omniglot", "anything"])
def test_the_data_root_may_be_the_omniglot_folder_itself(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    both(zipped, tmp_path / name)
    digest = omniglot_digest(tmp_path / name)
    monkeypatch.chdir(tmp_path / name)
    assert omniglot_digest(Path()) == digest


def test_two_copies_in_one_archive_are_refused(tmp_path: Path) -> None:
    both(zipped, tmp_path / "omniglot")
    with zipfile.ZipFile(tmp_path / "omniglot" / "images_background.zip", "a") as file:
        for name, content in drawings("images_background"):
            file.writestr(f"copy/images_background/{name}", content)
    with pytest.raises(DataCorruptError, match=r"each character needs 20 drawings; wrong: Blphabet/character01 \(40\)"):
        omniglot_digest(tmp_path)


def test_an_incomplete_folder_is_named(tmp_path: Path) -> None:
    both(extracted, tmp_path / "omniglot")
    gone = next((tmp_path / "omniglot" / "images_background").rglob("*.png"))
    gone.unlink()
    source = omniglot_source.find_source(tmp_path)
    assert source is not None
    (fault,) = omniglot.inspect(source).faults
    assert "images_background is incomplete" in fault and "(19)" in fault


def test_a_drawing_that_unpacks_to_an_impossible_size_is_refused(tmp_path: Path) -> None:
    both(zipped, tmp_path / "omniglot")
    with zipfile.ZipFile(tmp_path / "omniglot" / "images_background.zip", "a", zipfile.ZIP_DEFLATED) as file:
        file.writestr("images_background/A/character01/0001_01.png", bytes(2**21))
    with pytest.raises(DataCorruptError, match="2097152 bytes"):
        omniglot_digest(tmp_path)


@pytest.mark.parametrize(
    ("content", "kind"), [(b"<html>", "a web page"), (b"", "an empty file"), (b"\x1f\x8b\x08", "a gzip file")]
)
def test_a_file_misnamed_zip_is_named(tmp_path: Path, content: bytes, kind: str) -> None:
    both(zipped, tmp_path / "omniglot")
    (tmp_path / "omniglot" / "images_evaluation.zip").write_bytes(content)
    with pytest.raises(DataCorruptError, match=rf"images_evaluation\.zip is damaged: it is {kind}"):
        omniglot_digest(tmp_path)


def test_the_message_about_an_incomplete_omniglot_says_what_was_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TorchvisionOmniglot, "download_url_prefix", "http://127.0.0.1:9")
    zipped(tmp_path / "data" / "Omniglot", "images_background")
    (tmp_path / "data" / "omniglot.tar.gz").write_bytes(b"\x1f\x8b\x08")
    said: list[str] = []
    with pytest.raises(DataMissingError) as caught:
        prepare(DRAWINGS, data_root=tmp_path / "data", cache_root=tmp_path / "cache", notice=said.append)
    for message in (str(caught.value), "\n".join(said)):
        assert "images_background.zip (a ZIP archive)" in message and "omniglot.tar.gz (a gzip file)" in message
    with pytest.raises(DataMissingError, match=r"the data root .*absent does not exist"):
        prepare(DRAWINGS, data_root=tmp_path / "absent", cache_root=tmp_path / "cache")


def renamed(root: Path, old: str, new: str) -> None:
    target = root / new
    target.parent.mkdir(parents=True, exist_ok=True)
    (root / old).rename(target)


def archives_with_one_more_folder(root: Path, pictures: Pictures) -> None:
    for split in SMALL.splits:
        members = [regular(f"miniImageNet/{name}", data) for name, data in pictures.items() if name.startswith(f"{split}/")]
        write_archive(root, split, members)


def extracted_into_their_names(root: Path, pictures: Pictures) -> None:
    as_folders(root, {f"{name.split('/')[0]}/{name}": data for name, data in pictures.items()})


def with_hidden_folders(root: Path, pictures: Pictures, write: Callable[[Path, Pictures], Path]) -> None:
    hidden = {
        f"{place}{name}/{picture}": b"no picture"
        for place in ("train/", "train/n1/", "test/")
        for name in (".ipynb_checkpoints", "__MACOSX", "@eaDir")
        for picture in ("n1-checkpoint.jpg", "n1/n100000001.jpg")
    }
    write(root, {**pictures, **hidden})


MINI_IMAGENET: dict[str, Callable[[Path, Pictures], object]] = {
    **LAYOUTS,
    "another spelling": lambda root, pictures: renamed(as_folders(root, pictures), "mini_imagenet", "miniImageNet"),
    "a hyphen": lambda root, pictures: renamed(as_archives(root, pictures), "mini_imagenet", "mini-imagenet"),
    "one more folder": lambda root, pictures: renamed(
        as_folders(root / "x", pictures), "mini_imagenet", "../mini_imagenet/images"
    ),
    "archives with one more folder": archives_with_one_more_folder,
    "folders extracted into one of their name": extracted_into_their_names,
    "hidden folders": lambda root, pictures: with_hidden_folders(root, pictures, as_folders),
    "hidden folders in archives": lambda root, pictures: with_hidden_folders(root, pictures, as_archives),
}


def mini_imagenet_digest(root: Path) -> str:
    source = mini_imagenet_source.find_source(root)
    assert source is not None
    assert data_sets()["mini_imagenet"].found(usual_data("mini_imagenet"), root) == str(source)
    return content_digest(*read_images(source, contents=SMALL))


@pytest.mark.parametrize("layout", MINI_IMAGENET)
def test_mini_imagenet_is_found_in_every_usual_place(tmp_path: Path, layout: str) -> None:
    as_archives(tmp_path / "usual", small_pictures())
    MINI_IMAGENET[layout](tmp_path / "other", small_pictures())
    assert mini_imagenet_digest(tmp_path / "other") == mini_imagenet_digest(tmp_path / "usual")


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", ["mini_imagenet", "anything"])
def test_the_data_root_may_be_the_mini_imagenet_folder_itself(tmp_path: Path, layout: str, name: str) -> None:
    LAYOUTS[layout](tmp_path, small_pictures())
    digest = mini_imagenet_digest(tmp_path)
    (tmp_path / "mini_imagenet").rename(tmp_path / name)
    assert mini_imagenet_digest(tmp_path / name) == digest


def test_another_data_set_in_the_root_is_not_taken_for_mini_imagenet(tmp_path: Path) -> None:
    """Elsewhere the three parts have the same classes; here no two share one."""
    for split in ("train", "val", "test"):
        (tmp_path / "folders" / split / "n01440764").mkdir(parents=True)
        (tmp_path / "tables" / "images").mkdir(parents=True, exist_ok=True)
        (tmp_path / "tables" / f"{split}.csv").write_text("image,text\na.jpg,a cat\n")
    for root in ("folders", "tables"):
        assert mini_imagenet_source.find_source(tmp_path / root) is None


def test_a_pickle_is_named_and_never_opened(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(tmp_path / "sprung"),)

    folder = tmp_path / "mini_imagenet"
    folder.mkdir()
    for split in ("train", "val", "test"):
        (folder / f"mini-imagenet-cache-{split}.pkl").write_bytes(pickle.dumps(Trap()))
    with pytest.raises(DataMissingError, match=r"mini-imagenet-cache-train\.pkl \(a pickle, never opened here: unpickling runs"):
        prepare(PHOTOGRAPHS, data_root=tmp_path, cache_root=tmp_path / "cache")
    assert not (tmp_path / "sprung").exists()


def test_a_picture_that_unpacks_to_an_impossible_size_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mini_imagenet_source, "_MOST_PICTURE_BYTES", 2**16)
    as_archives(tmp_path, {**small_pictures(), "val/n2/n200000000.jpg": bytes(2**17)})
    with pytest.raises(DataCorruptError, match=r"val/n2/n200000000\.jpg' of 131072 bytes; do not trust"):
        mini_imagenet_digest(tmp_path)


def test_a_gzip_file_misnamed_xz_is_named(tmp_path: Path) -> None:
    as_archives(tmp_path, small_pictures())
    (tmp_path / "mini_imagenet" / "val.tar.xz").write_bytes(b"\x1f\x8b\x08" + bytes(100))
    with pytest.raises(
        DataCorruptError,
        match=r"val\.tar\.xz is damaged or misnamed: it is a gzip file\. Expected: a tar archive compressed by xz",
    ):
        mini_imagenet_digest(tmp_path)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM"])
def test_sixteen_bits_are_scaled_and_not_clipped(tmp_path: Path, kind: str) -> None:
    """White is 65535, so that each value of 8 bits stands for 257 times as much."""
    grey = np.asarray(photograph(1).convert("L"))
    deep = Image.fromarray(grey.astype(np.uint16) * 257)
    name = "train/n1/n100000000.jpg"
    shallow = as_folders(tmp_path / "8", {**small_pictures(), name: encoded(Image.fromarray(grey), "PNG")})
    root = as_folders(tmp_path / "16", {**small_pictures(), name: encoded(deep, kind)})
    assert mini_imagenet_digest(root) == mini_imagenet_digest(shallow)


def test_a_drawing_of_sixteen_bits_is_scaled(tmp_path: Path) -> None:
    both(extracted, tmp_path / "omniglot")
    before = omniglot_digest(tmp_path)
    for path in (tmp_path / "omniglot").rglob("*.png"):
        deep = np.asarray(Image.open(path).convert("L")).astype(np.uint16) * 257
        path.write_bytes(encoded(Image.fromarray(deep), "PNG"))
    assert omniglot_digest(tmp_path) == before


@pytest.mark.parametrize("values", [np.float32, np.int32])
def test_values_without_a_known_white_are_refused(tmp_path: Path, values: type[np.generic]) -> None:
    picture = Image.fromarray(np.ones((84, 84), dtype=values))
    root = as_folders(tmp_path, {**small_pictures(), "train/n1/n100000000.jpg": encoded(picture, "TIFF")})
    with pytest.raises(DataCorruptError, match="its white level is unknown"):
        mini_imagenet_digest(root)


KINDS = {
    "a.zip": (b"PK\x03\x04rest", "a ZIP archive"),
    "a.tar.xz": (b"\xfd7zXZ\x00rest", "an xz file"),
    "b.tar.xz": (b"\x1f\x8b\x08rest", "a gzip file"),
    "c.tar.xz": (b"version https://git-lfs.github.com/spec/v1", "a Git LFS pointer in place of the file"),
    "d.tar": (bytes(257) + b"ustar\x0000", "a tar archive"),
    "e.csv": (b"filename,label", "a file"),
    "f.xyz": (b"", "an empty file"),
}


@pytest.mark.parametrize("name", KINDS)
def test_a_file_is_recognised_by_its_content_and_not_its_name(tmp_path: Path, name: str) -> None:
    content, kind = KINDS[name]
    (tmp_path / name).write_bytes(content)
    assert kind_of(tmp_path / name) == kind
    assert kind_of(tmp_path) == "a folder"
    assert kind_of(tmp_path / "absent").startswith("unreadable")


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=12), max_size=4))
def test_only_names_of_systems_are_hidden(parts: list[str]) -> None:
    assert is_hidden(parts) == any(part[0] in ".@$" or part == "__MACOSX" for part in parts)


@settings(max_examples=40, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["train", "val.tar.xz", "images_background.zip", "x.pkl", "train.csv"]), st.binary(max_size=40)
    )
)
def test_a_data_set_is_found_or_reported_missing_whatever_the_root_contains(files: dict[str, bytes]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name, content in files.items():
            (root / name).write_bytes(content)
        assert data_sets()["mini_imagenet"].found(usual_data("mini_imagenet"), root) is None
        with pytest.raises(DataError) as caught:
            prepare(PHOTOGRAPHS, data_root=root, cache_root=root / "cache")
        assert all(name in str(caught.value) for name in files)
        str(caught.value).encode(sys.getfilesystemencoding())
