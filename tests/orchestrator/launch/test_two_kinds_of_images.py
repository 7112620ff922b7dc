"""A sweep over both ways to resize Omniglot: two sets of prepared images under one data set's name, neither in the other's way."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from fsl_core.datasets import catalogue, omniglot_split
from fsl_core.datasets.data_set import ImageRequest
from fsl_core.errors import DataMissingError
from fsl_core.recipe.data_settings import DataSettings
from orchestrator.cli.main import main
from orchestrator.launch.callbacks import Callbacks
from orchestrator.launch.images import prepare_images
from orchestrator.launch.places import PlaceOptions, Places
from orchestrator.records.store import Store
from orchestrator.sweep.loader import load_sweep
from orchestrator.sweep.plan import build_plan
from orchestrator.sweep.spec import with_dataset
from tests.orchestrator.small_sweep import launch
from tests.replaced_entry import replace_entry

BOTH = """
name: both
title: Both ways to resize
seeds: [0]
fixed: {dataset: omniglot, split: vinyals, way: 5, shot: 1, train_way: 5, train_query: 3, filters: 8, steps: 5, patience: null,
        validation_every: 5, validation_episodes: 5, validation_query: 5, evaluation_episodes: 20}
grid: {resize: [antialiased, nearest]}
"""
FOLDERS = {"antialiased": "omniglot-28", "nearest": "omniglot-28-nearest"}


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FSL_DATA_ROOT", "FSL_RUNS_ROOT", "MLFLOW_TRACKING_URI", "RAY_ADDRESS"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def invented(monkeypatch: pytest.MonkeyPatch) -> None:
    """Omniglot's own classes with noise for drawings, had wherever there is a data root: greys, or the same with two values."""

    def make(request: ImageRequest) -> tuple[np.ndarray, list[str], list[int]]:
        if request.data_root is None:
            raise DataMissingError("no drawings here")
        names = omniglot_split.class_names()
        greys = np.random.default_rng(0).integers(0, 256, (20 * len(names), 1, 28, 28), dtype=np.uint8)
        return greys if request.data.resize == "antialiased" else (greys // 128) * np.uint8(255), list(names), [20] * len(names)

    def found(data: DataSettings, data_root: Path | None) -> str | None:
        return None if data_root is None else "invented"

    source = dataclasses.replace(
        catalogue.DATASETS["omniglot"],
        make=make,
        found=found,
        what_lies=lambda root: "nothing",
        inspect=lambda data, root, progress: None,
    )
    replace_entry(monkeypatch, catalogue.DATASETS, source)


def fsl(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def a_sweep(folder: Path, more: str = "") -> Path:
    path = folder / "both.yaml"
    path.write_text(BOTH + more)
    return path


def places(folder: Path, *, source: bool = True) -> list[object]:
    return ["--runs-root", folder, *(["--data-root", folder] if source else [])]


def test_a_grid_of_both_trains_each_on_its_own_images_and_tells_them_apart(tmp_path: Path) -> None:
    plan = build_plan(load_sweep(a_sweep(tmp_path)))
    assert [cell.name.split(" · ")[0] for cell in plan.cells] == [f"resize {resize}" for resize in FOLDERS]
    assert not launch(plan, tmp_path / "without").complete  # nowhere to have the images from
    said: list[str] = []
    places = Places.resolve(PlaceOptions(data_root=tmp_path, runs_root=tmp_path))
    prepare_images(plan, {}, places, Callbacks(notice=said.append))
    assert {path.name for path in (tmp_path / "data").iterdir() if path.is_dir()} == set(FOLDERS.values())
    assert launch(plan, tmp_path).complete  # without the source: all is prepared
    records = Store(tmp_path).records([trial.fingerprint for trial in plan.trials]).values()
    results = [record.result for record in records if record.result is not None]
    assert len({each.data_digest for each in results}) == len({each.weights_digest for each in results}) == 2


def test_one_kind_can_be_had_without_a_source_where_the_other_cannot(tmp_path: Path) -> None:
    sweep = a_sweep(tmp_path, "fallback_dataset: glyphs\n")
    assert fsl("data", "prepare", "omniglot", *places(tmp_path)).exit_code == 0
    unprepared = json.loads(fsl("plan", sweep, *places(tmp_path), "--json").stdout)["unprepared_datasets"]
    assert unprepared == ["omniglot (resize nearest)"]
    assert "`fsl data prepare omniglot --resize nearest`" in fsl("plan", sweep, *places(tmp_path)).stdout
    only = ["--only", "resize=antialiased"]
    assert "IS NOT HERE" not in fsl("status", sweep, *only, *places(tmp_path, source=False)).stderr
    assert "!\nOMNIGLOT (RESIZE NEAREST) IS NOT HERE" in fsl("status", sweep, *places(tmp_path, source=False)).stderr


def test_on_another_data_set_the_two_are_one_cell(tmp_path: Path) -> None:
    (cell,) = with_dataset(load_sweep(a_sweep(tmp_path)), "glyphs").cells
    assert cell.resize is None


@pytest.mark.parametrize(("damaged", "intact"), [("antialiased", "nearest"), ("nearest", "antialiased")])
def test_damage_of_one_kind_is_named_and_leaves_the_other_alone(tmp_path: Path, damaged: str, intact: str) -> None:
    for resize in FOLDERS:
        assert fsl("data", "prepare", "omniglot", "--resize", resize, *places(tmp_path)).exit_code == 0
    arrays = {resize: tmp_path / "data" / folder / "images.npy" for resize, folder in FOLDERS.items()}
    content, untouched = arrays[damaged].read_bytes(), arrays[intact].stat()
    arrays[damaged].write_bytes(content[:5000] + bytes(20_000) + content[25_000:])
    checked = fsl("data", "check", "omniglot", *places(tmp_path))
    option = " --resize nearest" if damaged == "nearest" else ""
    assert checked.exit_code == 2 and f"`fsl data prepare omniglot{option}`" in checked.stderr
    assert fsl("data", "check", "omniglot", "--resize", intact, *places(tmp_path)).exit_code == 0
    assert "set aside" in fsl("data", "prepare", "omniglot", "--resize", damaged, *places(tmp_path)).stderr
    assert arrays[damaged].read_bytes() == content
    now = arrays[intact].stat()
    assert (now.st_ino, now.st_mtime_ns) == (untouched.st_ino, untouched.st_mtime_ns)


def test_check_looks_at_every_kind_that_is_prepared(tmp_path: Path) -> None:
    def kinds(*arguments: object) -> list[Any]:
        rows = json.loads(fsl("data", *arguments, "--json").stdout)
        assert len({row["digest"] for row in rows}) == len(rows)
        return [(row["split"], row["resize"]) for row in rows]

    splits = ("vinyals", "background-evaluation")
    assert fsl("data", "prepare", "omniglot", "--resize", "nearest", *places(tmp_path)).exit_code == 0
    assert kinds("check", "omniglot", *places(tmp_path, source=False)) == [(split, "nearest") for split in splits]
    both = kinds("check", "omniglot", *places(tmp_path))
    assert both == [(split, resize) for resize in FOLDERS for split in splits]
    said = fsl("data", "check", "omniglot", *places(tmp_path)).stderr
    assert all(f"omniglot, split vinyals, resize {resize}: 0 pairs of identical images" in said for resize in FOLDERS)


def test_a_data_set_without_the_choice_refuses_it(tmp_path: Path) -> None:
    refused = fsl("data", "prepare", "glyphs", "--resize", "nearest", *places(tmp_path))
    assert refused.exit_code == 2 and "resize is 'nearest'; dataset 'glyphs' has none, only omniglot" in refused.stderr
