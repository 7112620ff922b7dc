"""A user's own images that change between two launches of a sweep: finished trials stay, and the launch counts them."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

import orchestrator as fsl
from fsl_core.training.execution_path import ExecutionPath
from fsl_core.training.path_file import path_as_document
from tests.fsl_core.datasets.own_images import write_own_images
from tests.fsl_core.datasets.small_mini_imagenet import encoded, photograph

OWN = """
name: own
title: Own images
seeds: [0]
fixed: {algorithm: prototypical, dataset: folder, split: zoo, image_size: 16, channels: 1, way: 2, shot: 1, query: 1, train_way: 2,
        train_query: 1, filters: 2, steps: 2, patience: null, validation_every: 2, validation_episodes: 2, validation_query: 1,
        validation_way: 2, evaluation_episodes: 2}
"""


@pytest.fixture
def zoo(tmp_path: Path) -> Path:
    (tmp_path / "own.yaml").write_text(OWN)
    (tmp_path / "path.json").write_bytes(path_as_document(ExecutionPath()))
    return write_own_images(tmp_path)


def warnings_of_a_launch(root: Path, seeds: Sequence[int] = (0,)) -> list[str]:
    warned: list[str] = []
    callbacks = fsl.Callbacks(warn=warned.append)
    sweep = fsl.load(
        root / "own.yaml", seeds=seeds, data_root=root, runs_root=root / "runs", results_root=root / "out", callbacks=callbacks
    )
    assert fsl.run(sweep, executor="in-process", probe=False, tracker="none", path=root / "path.json").complete
    return warned


def pictures(root: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in root.glob("runs/trials/*/episode.png")}


def test_finished_trials_of_other_images_are_counted_whether_or_not_trials_are_left(zoo: Path, tmp_path: Path) -> None:
    assert warnings_of_a_launch(tmp_path) == [] and warnings_of_a_launch(tmp_path) == []
    (first,) = pictures(tmp_path)
    for number, picture in enumerate(sorted(zoo.rglob("*.png"))):
        picture.write_bytes(encoded(photograph(100 + number), "PNG"))
    (warning,) = warnings_of_a_launch(tmp_path)
    assert warning.startswith("1 finished trial saw other images of folder (split zoo")
    first.rename(tmp_path / "first.png")
    assert warnings_of_a_launch(tmp_path, seeds=(0, 1)) == [warning]
    (second,) = pictures(tmp_path)
    assert second != first  # a trial is never shown images that it did not see
    assert second.read_bytes() != (tmp_path / "first.png").read_bytes()


def test_a_picture_in_two_splits_is_warned_of_where_trials_are_left(zoo: Path, tmp_path: Path) -> None:
    shutil.copy(zoo / "images" / "cat" / "0.png", zoo / "images" / "cow" / "0.png")
    (warning,) = warnings_of_a_launch(tmp_path)
    assert "1 image in two splits, such as meta_train: cat #0 and meta_test: cow #0" in warning
    assert warnings_of_a_launch(tmp_path) == []


def test_a_missing_picture_of_a_finished_trial_is_drawn_by_the_next_launch(zoo: Path, tmp_path: Path) -> None:
    warnings_of_a_launch(tmp_path)
    before = pictures(tmp_path)
    for path in before:
        path.unlink()
    assert warnings_of_a_launch(tmp_path) == [] and pictures(tmp_path) == before


def test_a_finished_sweep_needs_no_images(zoo: Path, tmp_path: Path) -> None:
    warnings_of_a_launch(tmp_path)
    for path in pictures(tmp_path):
        path.unlink()
    (zoo / "meta_test.txt").unlink()
    (warning,) = warnings_of_a_launch(tmp_path)
    assert "lacks meta_test.txt" in warning
    shutil.rmtree(zoo)
    shutil.rmtree(tmp_path / "runs" / "data")
    assert warnings_of_a_launch(tmp_path) == []
