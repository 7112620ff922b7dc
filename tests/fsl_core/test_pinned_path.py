"""A trial's path: in its folder before the first step, and obeyed by every later attempt and stage, whatever a timer says then."""

import dataclasses
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from fsl_core.datasets.catalogue import SplitDataset
from fsl_core.errors import ExecutionPathError, StopRequested
from fsl_core.training.checkpoint import read_checkpoint
from fsl_core.training.execution_path import ExecutionPath
from fsl_core.training.path_file import PATH_FILE, read_path, write_path
from fsl_core.training.result import TrialResult
from fsl_core.training.seed_groups import begun_trial, seed_groups
from fsl_core.training.step_kind import StepKind
from fsl_core.training.trial import run_trial
from fsl_core.training.trial_run import Trial, TrialRun
from tests.fsl_core.conftest import glyphs_recipe
from tests.fsl_core.test_path_choice import no_timer, preferring
from tests.fsl_core.test_trial import StopAfter, retraining_recipe, text

FIRST, LAST = ExecutionPath(layout="channels_first"), ExecutionPath(layout="channels_last")
TIMER = "fsl_core.training.path_choice.stopwatch_of"
Prefer = Callable[[str], None]


@pytest.fixture
def prefer(monkeypatch: pytest.MonkeyPatch) -> Prefer:
    """Has the timer prefer a layout from now on."""
    return lambda layout: monkeypatch.setattr(TIMER, preferring(layout))


@pytest.fixture(scope="module")
def along(glyphs: SplitDataset, tmp_path_factory: pytest.TempPathFactory) -> dict[ExecutionPath, TrialResult]:
    """Uninterrupted trials along two paths."""
    folder = tmp_path_factory.mktemp("along")
    return {
        path: run_trial(glyphs_recipe(), TrialRun(folder=folder / path.layout, dataset=glyphs, path=path))
        for path in (FIRST, LAST)
    }


def stop(glyphs: SplitDataset, folder: Path, steps: int) -> None:
    with pytest.raises(StopRequested):
        run_trial(glyphs_recipe(), TrialRun(folder=folder, dataset=glyphs, should_stop=StopAfter(steps)))


def test_different_paths_give_different_bits(along: dict[ExecutionPath, TrialResult]) -> None:
    """So that the tests below notice another path."""
    assert along[FIRST].weights_digest != along[LAST].weights_digest
    losses = [[loss for _, loss in result.curves["train_loss"]] for result in along.values()]
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)


@pytest.mark.parametrize("path", [FIRST, LAST])
def test_the_path_is_in_the_folder_before_the_first_step(
    path: ExecutionPath, glyphs: SplitDataset, folder: Path, prefer: Prefer
) -> None:
    prefer(path.layout)
    taken: list[ExecutionPath] = []

    def see() -> bool:
        assert read_path(folder / PATH_FILE) == path
        assert not (folder / "checkpoints").exists()
        return True

    with pytest.raises(StopRequested, match="step 0"):
        run_trial(glyphs_recipe(), TrialRun(folder=folder, dataset=glyphs, should_stop=see, on_path=taken.append))
    assert taken == [path]


def test_a_choice_is_obeyed_by_later_trials(glyphs: SplitDataset, tmp_path: Path, prefer: Prefer) -> None:
    recipe = glyphs_recipe(steps=0)
    for name, layout in (("one", "channels_first"), ("two", "channels_last")):
        prefer(layout)
        run_trial(recipe, TrialRun(folder=tmp_path / name, dataset=glyphs, choices=tmp_path / "paths"))
        assert read_path(tmp_path / name / PATH_FILE) == FIRST
    run_trial(recipe, TrialRun(folder=tmp_path / "elsewhere", dataset=glyphs, choices=tmp_path / "other paths"))
    assert read_path(tmp_path / "elsewhere" / PATH_FILE) == LAST


def test_a_given_path_is_used_without_measuring(glyphs: SplitDataset, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TIMER, no_timer)
    given = dataclasses.replace(FIRST, normalisation="plain")
    run_trial(glyphs_recipe(steps=0), TrialRun(folder=folder, dataset=glyphs, path=given))
    run_trial(glyphs_recipe(steps=0), TrialRun(folder=folder, dataset=glyphs, path=LAST))
    assert read_path(folder / PATH_FILE) == given


def test_a_resumed_trial_keeps_its_path(
    glyphs: SplitDataset, folder: Path, prefer: Prefer, along: dict[ExecutionPath, TrialResult]
) -> None:
    prefer("channels_first")
    stop(glyphs, folder, 7)
    prefer("channels_last")
    assert text(run_trial(glyphs_recipe(), TrialRun(folder=folder, dataset=glyphs, path=LAST))) == text(along[FIRST])


@pytest.mark.parametrize("content", [None, b"", b"{", b"[]", b'{"path": {"layout": "sideways"}}', b"\xff"])
def test_a_damaged_path_is_restored_from_the_checkpoint(
    content: bytes | None, glyphs: SplitDataset, folder: Path, prefer: Prefer
) -> None:
    prefer("channels_first")
    stop(glyphs, folder, 6)
    damage(folder / PATH_FILE, content)
    prefer("channels_last")
    stop(glyphs, folder, 0)
    assert read_path(folder / PATH_FILE) == FIRST


@pytest.mark.parametrize("content", [None, b"", b'{"path": {"layout": "sideways"}}'])
def test_a_damaged_path_without_a_checkpoint_is_chosen_again(
    content: bytes | None, glyphs: SplitDataset, folder: Path, prefer: Prefer
) -> None:
    prefer("channels_first")
    said: list[str] = []
    folder.mkdir()
    damage(folder / PATH_FILE, content)
    run_trial(glyphs_recipe(steps=0), TrialRun(folder=folder, dataset=glyphs, notice=said.append))
    assert read_path(folder / PATH_FILE) == FIRST
    assert [PATH_FILE in each for each in said] == ([] if content is None else [True])


def damage(file: Path, content: bytes | None) -> None:
    """Without any content the file is absent."""
    if content is None:
        file.unlink(missing_ok=True)
    else:
        file.write_bytes(content)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")
def test_a_path_of_an_absent_device_is_refused_and_kept(glyphs: SplitDataset, folder: Path) -> None:
    folder.mkdir()
    elsewhere = ExecutionPath(device="cuda", captured=True)
    write_path(folder, elsewhere)
    with pytest.raises(ExecutionPathError, match="no CUDA device"):
        run_trial(glyphs_recipe(), TrialRun(folder=folder, dataset=glyphs))
    assert read_path(folder / PATH_FILE) == elsewhere
    assert not (folder / "checkpoints").exists()


@pytest.mark.parametrize("steps", [0, 20])
def test_an_untrained_network_takes_the_usual_path_on_cuda(
    steps: int, glyphs: SplitDataset, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes no step that could be timed; any other recipe is timed."""
    monkeypatch.setattr("fsl_core.training.execution_path.cuda_is_here", lambda: True)
    monkeypatch.setattr("torch.cuda.get_device_name", lambda: "a GPU")
    monkeypatch.setattr(TIMER, no_timer)
    recipe = glyphs_recipe(steps=steps)
    trial = begun_trial(
        Trial(recipe=recipe, run=TrialRun(folder=folder, dataset=glyphs, device="cuda", choices=folder / "choices"))
    )
    if steps:
        with pytest.raises(AssertionError, match="it measured"):
            seed_groups([trial])
        return
    folder.mkdir()
    [[pinned]] = seed_groups([trial])
    kind = StepKind(recipe=recipe, image_shape=glyphs.meta_train.image_shape, device="cuda", threads=1)
    assert pinned.path == read_path(folder / PATH_FILE) == kind.usual_path()
    assert not (folder / "choices").exists()


def test_a_path_unlike_the_checkpoint_is_refused(glyphs: SplitDataset, folder: Path, prefer: Prefer) -> None:
    """A training of two paths has the bits of neither."""
    prefer("channels_first")
    stop(glyphs, folder, 6)
    write_path(folder, LAST)
    with pytest.raises(ExecutionPathError, match="one of the two is of other work"):
        run_trial(glyphs_recipe(), TrialRun(folder=folder, dataset=glyphs))


def test_retraining_keeps_the_path(glyphs: SplitDataset, folder: Path, prefer: Prefer) -> None:
    prefer("channels_first")
    run_trial(retraining_recipe(), TrialRun(folder=folder, dataset=glyphs, observe=lambda progress: prefer("channels_last")))
    for stage in ("select", "retrain"):
        for file in (folder / "checkpoints" / stage).iterdir():
            assert ExecutionPath(**read_checkpoint(file)["path"]) == FIRST


def test_a_trial_killed_before_its_first_checkpoint_keeps_the_chosen_path(
    tmp_path: Path, glyphs: SplitDataset, folder: Path, prefer: Prefer, along: dict[ExecutionPath, TrialResult]
) -> None:
    died = in_a_process(folder, tmp_path / "cache", "channels_first", killed_at=3)
    assert died.returncode == -9, died.stderr
    assert read_path(folder / PATH_FILE) == FIRST
    assert not (folder / "checkpoints").exists()
    prefer("channels_last")
    assert text(run_trial(glyphs_recipe(), TrialRun(folder=folder, dataset=glyphs, choices=folder.parent / "paths"))) == text(
        along[FIRST]
    )


def test_an_equal_path_gives_equal_bits_in_another_process(
    tmp_path: Path, folder: Path, along: dict[ExecutionPath, TrialResult]
) -> None:
    folder.mkdir()
    write_path(folder, FIRST)
    done = in_a_process(folder, tmp_path / "cache", "channels_last", killed_at=99)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == text(along[FIRST])


def in_a_process(folder: Path, cache: Path, layout: str, *, killed_at: int) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "tests.fsl_core.pinned_trial", str(folder), str(cache), layout, str(killed_at)]
    return subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2], check=False)
