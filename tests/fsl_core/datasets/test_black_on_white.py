"""Drawings with ink and paper exchanged: the same images, each pixel x as 1 - x."""

import dataclasses
from pathlib import Path

import pytest
import torch

from fsl_core.datasets.catalogue import DATASETS, SplitDataset, open_dataset
from fsl_core.datasets.glyphs import GLYPHS as INVENTED
from fsl_core.recipe.data_settings import DataSettings
from tests.fsl_core.datasets.test_omniglot import DATA_ROOT, needs_omniglot
from tests.replaced_entry import replace_entry

GLYPHS = DataSettings(dataset="glyphs", split="glyphs")
OMNIGLOT = DataSettings(dataset="omniglot", split="vinyals")


@pytest.mark.parametrize("data", [GLYPHS, pytest.param(OMNIGLOT, marks=needs_omniglot)], ids=lambda data: str(data.dataset))
def test_every_pixel_is_inverted_and_one_folder_serves_both(tmp_path: Path, data: DataSettings) -> None:
    def opened(black_on_white: bool) -> SplitDataset:
        asked = dataclasses.replace(data, black_on_white=black_on_white)
        return open_dataset(asked, data_root=Path(DATA_ROOT) if DATA_ROOT else None, cache_root=tmp_path)

    usual, inverted = opened(False), opened(True)
    assert len([path for path in tmp_path.iterdir() if path.is_dir()]) == 1
    assert usual.digest != inverted.digest
    for part in ("meta_train", "meta_validation", "meta_test"):
        banks = getattr(usual, part), getattr(inverted, part)
        index = torch.arange(0, len(banks[0].class_sizes), 7)
        white, black = (bank.gather(index, torch.zeros_like(index)) for bank in banks)
        assert white.min() == 0 and white.max() > 0.9 and white.mean() < 0.5
        assert black.equal(1 - white)


def test_inverted_drawings_are_normalised_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As an addition may want: a data set of drawings that also has a normalisation."""
    choosing = dataclasses.replace(INVENTED, choices={"normalise": True}, normalisation=((0.9,), (0.2,)))
    replace_entry(monkeypatch, DATASETS, choosing)
    index = torch.arange(0, 40, 7)
    pixels, normalised = (
        open_dataset(data, data_root=None, cache_root=tmp_path).meta_validation.gather(index, torch.zeros_like(index))
        for data in (dataclasses.replace(GLYPHS, normalise=False), dataclasses.replace(GLYPHS, black_on_white=True))
    )
    torch.testing.assert_close(normalised, (1 - pixels - 0.9) / 0.2)
