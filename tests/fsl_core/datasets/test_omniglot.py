"""Omniglot: the real archives where they are, and what happens to those that are not right."""

import http.server
import io
import os
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torchvision.datasets import Omniglot as TorchvisionOmniglot

from fsl_core.datasets import omniglot_source
from fsl_core.datasets.catalogue import SplitDataset, is_available, open_dataset, prepare
from fsl_core.errors import DataCorruptError, DataMissingError
from fsl_core.recipe.data_settings import DataSettings, Resize

DATA_ROOT = os.environ.get("FSL_DATA_ROOT")
needs_omniglot = pytest.mark.skipif(
    DATA_ROOT is None or omniglot_source.find_source(Path(DATA_ROOT)) is None,
    reason="needs Omniglot: set FSL_DATA_ROOT to a folder that holds omniglot/*.zip",
)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("omniglot")


OMNIGLOT = DataSettings(dataset="omniglot", split="vinyals")


def real(cache: Path, split: str, resize: Resize = "antialiased") -> SplitDataset:
    assert DATA_ROOT is not None
    return open_dataset(
        DataSettings(dataset="omniglot", split=split, resize=resize),  # type: ignore[arg-type]
        data_root=Path(DATA_ROOT),
        cache_root=cache,
    )


@needs_omniglot
def test_the_vinyals_split_has_the_published_classes(cache: Path) -> None:
    dataset = real(cache, "vinyals")
    banks = (dataset.meta_train, dataset.meta_validation, dataset.meta_test)
    assert [len(bank.class_names) for bank in banks] == [1028, 172, 423]
    assert [len(bank.class_sizes) for bank in banks] == [4112, 688, 1692]
    assert all(set(bank.sizes.tolist()) == {20} for bank in banks)
    assert tuple(dataset.meta_train.images.shape) == (32460, 1, 28, 28)


@needs_omniglot
def test_the_background_evaluation_split_keeps_alphabets_apart(cache: Path) -> None:
    dataset = real(cache, "background-evaluation")
    banks = (dataset.meta_train, dataset.meta_validation, dataset.meta_test)
    alphabets = [{name.split("/")[0] for name in bank.class_names} for bank in banks]
    assert [len(names) for names in alphabets] == [25, 5, 20]
    assert len(set().union(*alphabets)) == 50
    assert len(dataset.meta_test.class_names) == 659


@needs_omniglot
@pytest.mark.parametrize("split", ["vinyals", "background-evaluation"])
def test_no_class_and_no_image_is_in_two_splits(cache: Path, split: str) -> None:
    dataset = real(cache, split)
    banks = (dataset.meta_train, dataset.meta_validation, dataset.meta_test)
    names = [set(bank.class_names) for bank in banks]
    assert sum(map(len, names)) == len(set().union(*names)) == 1623
    rows = [set((bank.starts.unsqueeze(1) + torch.arange(20)).flatten().tolist()) for bank in banks]
    assert sum(map(len, rows)) == len(set().union(*rows)) == 32460


@needs_omniglot
def test_ink_is_one_on_paper_of_zero(cache: Path) -> None:
    bank = real(cache, "vinyals").meta_train
    index = torch.arange(50)
    images = bank.gather(index, index % 20)
    assert images.dtype == torch.float32
    assert float(images.min()) >= 0 and float(images.max()) <= 1
    assert float(images.mean()) < 0.3  # mostly paper
    assert float(images.amax(dim=(1, 2, 3)).min()) > 0.6  # and ink in every picture
    assert len(images.unique()) > 10  # grey edges: it was not resized as a 1-bit picture


@needs_omniglot
def test_nearest_pixels_are_those_of_the_authors_own_pipelines(cache: Path) -> None:
    """Snell et al. (2017) open a drawing, turn it and resize it, all in its own 1 bit; Finn et al. (2017) ask for Lanczos."""
    bank = real(cache, "background-evaluation", "nearest").meta_train
    assert set(bank.images[:: 20 * 7].unique().tolist()) == {0, 255}
    source = omniglot_source.find_source(Path(str(DATA_ROOT)))
    assert source is not None
    with omniglot_source.opened_half(source, "images_background") as drawings:
        drawing = next(each for each in drawings if each.character == bank.class_names[5])
        raw = Image.open(io.BytesIO(drawing.read()))
    assert raw.mode == "1"
    own = [1 - np.asarray(raw.rotate(90 * turn).resize((28, 28)), dtype=np.float32) for turn in range(4)]
    ours = bank.gather(torch.arange(20, 24), torch.zeros(4, dtype=torch.int64)).squeeze(1)
    assert ours.equal(torch.tensor(np.stack(own)))
    assert ours[0].equal(1 - torch.tensor(np.asarray(raw.resize((28, 28), Image.Resampling.LANCZOS), dtype=np.float32)))


@needs_omniglot
def test_both_resizings_show_the_same_drawings(cache: Path) -> None:
    """Their pixels are correlated by 0.936; those of two drawings of one character by a third of that."""
    grey, binary = (real(cache, "vinyals", resize) for resize in ("antialiased", "nearest"))
    assert grey.digest != binary.digest
    assert grey.meta_test.class_names == binary.meta_test.class_names
    pixels = torch.stack([bank.images[::50].flatten().float() for bank in (grey.meta_train, binary.meta_train)])
    assert 0.93 < float(torch.corrcoef(pixels)[0, 1]) < 0.94


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 3))
def test_nearest_sampling_commutes_with_quarter_turns(seed: int, turn: int) -> None:
    """Whether a drawing is turned before it is resized, as in the code of Snell et al. (2017), or afterwards, as here, is the same."""
    drawing = Image.fromarray(np.random.default_rng(seed).integers(0, 2, (105, 105), dtype=np.uint8).astype(bool))
    before = np.asarray(drawing.rotate(90 * turn).resize((28, 28)))
    assert np.array_equal(np.rot90(np.asarray(drawing.resize((28, 28))), turn), before)
    assert drawing.resize((28, 28), Image.Resampling.LANCZOS) == drawing.resize((28, 28))  # in 1 bit PIL knows no other filter


def picture(size: tuple[int, int] = (105, 105)) -> bytes:
    out = io.BytesIO()
    Image.new("1", size, 1).save(out, "PNG")
    return out.getvalue()


def archives(root: Path, member: Callable[[int], str] = lambda i: f"images_background/A/character01/0001_{i:02d}.png") -> Path:
    folder = root / "omniglot"
    folder.mkdir(parents=True)
    for name in omniglot_source.HALVES:
        with zipfile.ZipFile(folder / f"{name}.zip", "w") as file:
            for number in range(20):
                file.writestr(member(number), picture())
    return root


def refuse(root: Path, cache: Path) -> str:
    with pytest.raises(DataCorruptError) as caught:
        prepare(OMNIGLOT, data_root=root, cache_root=cache)
    assert {path.name for path in cache.iterdir()} == {".omniglot-28.lock"}
    return str(caught.value)


def test_an_incomplete_archive_is_named(tmp_path: Path) -> None:
    message = refuse(archives(tmp_path / "data"), tmp_path / "cache")
    assert "images_background.zip is incomplete: it has 1 characters of 964" in message


def test_a_character_without_all_its_drawings_is_named(tmp_path: Path) -> None:
    root = archives(tmp_path / "data", lambda i: f"images_background/A/character{1 + i // 19:02d}/0001_{i:02d}.png")
    assert "each character needs 20 drawings; wrong: A/character01 (19), A/character02 (1)" in refuse(root, tmp_path / "cache")


@pytest.mark.parametrize("name", ["../outside.png", "/etc/outside.png", "images_background/../../x.png", "a\\..\\b.png"])
def test_a_member_that_points_outside_is_refused(tmp_path: Path, name: str) -> None:
    root = archives(tmp_path / "data", lambda i: name if i == 3 else f"images_background/A/character01/0001_{i:02d}.png")
    assert "points outside" in refuse(root, tmp_path / "cache")


def test_a_truncated_archive_is_named(tmp_path: Path) -> None:
    root = archives(tmp_path / "data")
    path = root / "omniglot" / "images_background.zip"
    path.write_bytes(path.read_bytes()[:-200])
    assert "images_background.zip is damaged" in refuse(root, tmp_path / "cache")


@needs_omniglot
def test_a_flipped_bit_in_a_drawing_is_named(tmp_path: Path) -> None:
    assert DATA_ROOT is not None
    folder = tmp_path / "data" / "omniglot"
    folder.mkdir(parents=True)
    for name in omniglot_source.HALVES:
        source = Path(DATA_ROOT) / "omniglot" / f"{name}.zip"
        content = bytearray(source.read_bytes())
        if name == "images_background":
            content[200] ^= 0xFF  # inside the first drawing's data
        (folder / f"{name}.zip").write_bytes(bytes(content))
    assert "images_background" in refuse(tmp_path / "data", tmp_path / "cache")


def test_without_files_and_without_a_network_the_error_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TorchvisionOmniglot, "download_url_prefix", "http://127.0.0.1:9")
    with pytest.raises(DataMissingError, match=r"images_background\.zip and images_evaluation\.zip.*FSL_DATA_ROOT.*glyphs"):
        prepare(OMNIGLOT, data_root=tmp_path, cache_root=tmp_path / "cache")
    assert not is_available(OMNIGLOT, data_root=tmp_path, cache_root=tmp_path / "cache")
    assert is_available(DataSettings(dataset="glyphs", split="glyphs"), data_root=None, cache_root=tmp_path / "cache")


class Portal(http.server.BaseHTTPRequestHandler):
    """Answers every request with a page that is no archive."""

    def do_GET(self) -> None:
        page = b"<html>please log in</html>"
        self.send_response(200)
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, *arguments: object) -> None:
        pass


def test_a_download_of_other_bytes_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A captive portal's page under the right name must not pass for the data set."""
    portal = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Portal)
    threading.Thread(target=portal.serve_forever, daemon=True).start()
    try:
        monkeypatch.setattr(TorchvisionOmniglot, "download_url_prefix", f"http://127.0.0.1:{portal.server_port}")
        with pytest.raises(DataMissingError, match="not found or corrupted"):
            prepare(OMNIGLOT, data_root=None, cache_root=tmp_path / "cache")
    finally:
        portal.shutdown()
        portal.server_close()
