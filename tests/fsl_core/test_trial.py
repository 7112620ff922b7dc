"""A trial from recipe to score, stopped, damaged and resumed on the way."""

import dataclasses
import hashlib
import io
import json
import math
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fsl_core.datasets.catalogue import SplitDataset, open_dataset
from fsl_core.episodes.episode import EpisodeShape
from fsl_core.errors import CheckpointCorruptError, CheckpointEditionError, DataChangedError, ExecutionPathError, StopRequested
from fsl_core.recipe.recipe import Evaluation, GradientDescentSettings, OptimiserSettings, TrainingRecipe, ValidationSettings
from fsl_core.training.checkpoint import read_checkpoint, save_checkpoint
from fsl_core.training.progress import Progress
from fsl_core.training.result import TrialResult, evaluation_result_from_plain, trial_result_from_plain
from fsl_core.training.trial import run_trial
from fsl_core.training.trial_evaluation import evaluate_trial
from fsl_core.training.trial_run import TrialRun
from tests.fsl_core.conftest import glyphs_recipe

EVALUATION = Evaluation(shape=EpisodeShape(way=5, shot=1, query=15), episodes=50)


class StopAfter:
    """Says stop when it was asked ``steps`` times."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def __call__(self) -> bool:
        self.left -= 1
        return self.left < 0


def text(result: TrialResult) -> str:
    return json.dumps(result.as_plain(), sort_keys=True)


@pytest.fixture(scope="module")
def uninterrupted(glyphs: SplitDataset, tmp_path_factory: pytest.TempPathFactory) -> tuple[TrialResult, Path]:
    folder = tmp_path_factory.mktemp("uninterrupted")
    return run_trial(glyphs_recipe(), TrialRun(folder=folder, dataset=glyphs)), folder


def test_the_result_describes_the_training(uninterrupted: tuple[TrialResult, Path], glyphs: SplitDataset) -> None:
    result, folder = uninterrupted
    assert (result.status, result.stopped_by, result.steps_done) == ("complete", "budget", 20)
    assert [step for step, _ in result.curves["validation_accuracy"]] == [5, 10, 15, 20]
    assert [lr for _, lr in result.curves["outer_lr"]] == [1e-3, 1e-3, 5e-4, 5e-4]
    lowest = min(value for _, value in result.curves["validation_loss"])
    assert result.validation_loss == lowest
    assert (result.selected_step, lowest) in result.curves["validation_loss"]
    assert (result.selected_step, result.validation_accuracy) in result.curves["validation_accuracy"]
    assert result.data_digest == glyphs.digest
    assert (folder / "selected.pt").is_file()
    assert trial_result_from_plain(json.loads(text(result))) == result


@settings(max_examples=4, deadline=None)
@given(stops=st.lists(st.integers(1, 12), min_size=1, max_size=3))
def test_a_stopped_and_resumed_trial_equals_an_uninterrupted_one_bit_for_bit(
    uninterrupted: tuple[TrialResult, Path],
    glyphs: SplitDataset,
    tmp_path_factory: pytest.TempPathFactory,
    stops: list[int],
) -> None:
    folder = tmp_path_factory.mktemp("stopped")
    for steps in stops:
        try:
            run_trial(glyphs_recipe(), TrialRun(folder=folder, dataset=glyphs, should_stop=StopAfter(steps)))
        except StopRequested:
            continue
    assert text(run_trial(glyphs_recipe(), TrialRun(folder=folder, dataset=glyphs))) == text(uninterrupted[0])


def test_another_seed_gives_other_weights(uninterrupted: tuple[TrialResult, Path], glyphs: SplitDataset, folder: Path) -> None:
    other = run_trial(glyphs_recipe(seed=1), TrialRun(folder=folder, dataset=glyphs))
    assert other.weights_digest != uninterrupted[0].weights_digest


def test_a_score_counts_every_frozen_episode(uninterrupted: tuple[TrialResult, Path], glyphs: SplitDataset) -> None:
    result, folder = uninterrupted
    score = evaluate_trial(result, EVALUATION, folder=folder, dataset=glyphs)
    assert len(score.correct) == 50
    assert score.accuracy == pytest.approx(sum(score.correct) / (50 * 75))
    assert evaluate_trial(result, EVALUATION, folder=folder, dataset=glyphs) == score
    assert evaluation_result_from_plain(json.loads(json.dumps(score.as_plain()))) == score


def test_every_trial_answers_the_same_episodes(
    uninterrupted: tuple[TrialResult, Path], glyphs: SplitDataset, folder: Path
) -> None:
    other = run_trial(glyphs_recipe(seed=1, steps=5), TrialRun(folder=folder, dataset=glyphs))
    scores = [
        evaluate_trial(uninterrupted[0], EVALUATION, folder=uninterrupted[1], dataset=glyphs),
        evaluate_trial(other, EVALUATION, folder=folder, dataset=glyphs),
    ]
    assert scores[0].episodes_digest == scores[1].episodes_digest
    elsewhere = dataclasses.replace(EVALUATION, seed=1)
    assert evaluate_trial(other, elsewhere, folder=folder, dataset=glyphs).episodes_digest != scores[0].episodes_digest


def test_observers_see_every_point_of_the_curves(glyphs: SplitDataset, folder: Path) -> None:
    seen: list[Progress] = []
    result = run_trial(glyphs_recipe(), TrialRun(folder=folder, dataset=glyphs, observe=seen.append))
    assert [(progress.step, progress.steps) for progress in seen] == [(5, 20), (10, 20), (15, 20), (20, 20)]
    assert seen[-1].metrics["validation_accuracy"] == result.curves["validation_accuracy"][-1][1]
    assert seen[-1].best == result.validation_accuracy


def test_a_damaged_checkpoint_is_set_aside_and_costs_one_interval(
    uninterrupted: tuple[TrialResult, Path], glyphs: SplitDataset, folder: Path
) -> None:
    with pytest.raises(StopRequested):
        run_trial(glyphs_recipe(), TrialRun(folder=folder, dataset=glyphs, should_stop=StopAfter(12)))
    newest = max((folder / "checkpoints" / "select").glob("*.pt"))
    newest.write_bytes(newest.read_bytes()[:-100])
    messages: list[str] = []
    result = run_trial(glyphs_recipe(), TrialRun(folder=folder, dataset=glyphs, notice=messages.append))
    assert text(result) == text(uninterrupted[0])
    assert [newest.with_name(newest.name + ".corrupt").name in messages[0], "step 10 of 20" in messages[1]] == [True, True]


@pytest.mark.parametrize(
    ("maker", "said"),
    [
        ({"code": "0" * 64}, "by other code;"),
        ({"torch": "1.0"}, "by torch 1.0;"),
        ({"numba": "0.1"}, "by numba 0.1;"),
        ({"code": None, "torch": None}, ""),
    ],
)
def test_a_resume_from_a_checkpoint_of_other_code_is_announced(
    glyphs: SplitDataset, folder: Path, maker: dict[str, str | None], said: str
) -> None:
    """A checkpoint of an early version names neither code nor torch."""
    with pytest.raises(StopRequested):
        run_trial(glyphs_recipe(), TrialRun(folder=folder, dataset=glyphs, should_stop=StopAfter(12)))
    checkpoints = folder / "checkpoints" / "select"
    state = read_checkpoint(max(checkpoints.glob("*.pt")))
    for path in checkpoints.glob("*.pt"):
        path.unlink()
    save_checkpoint(checkpoints, 12, {**state, **maker})
    messages: list[str] = []
    run_trial(glyphs_recipe(), TrialRun(folder=folder, dataset=glyphs, notice=messages.append))
    assert [message for message in messages if "computed by" in message] == [
        message for message in messages if said and said in message
    ]
    assert any("computed by" in message for message in messages) == bool(said)


def _pickled(value: object) -> bytes:
    out = io.BytesIO()
    torch.save(value, out)
    return out.getvalue()


@pytest.mark.parametrize(
    "content", [b"", b"no checkpoint", _pickled([1, 2]), _pickled(Path("code"))[:-30], _pickled(Path("code"))]
)
def test_a_file_with_the_right_digest_that_is_not_a_checkpoint_is_set_aside(
    glyphs: SplitDataset, folder: Path, content: bytes
) -> None:
    undisturbed = run_trial(glyphs_recipe(), TrialRun(folder=folder, dataset=glyphs))
    alien = folder / "checkpoints" / "select" / f"step-00000099.{hashlib.sha256(content).hexdigest()[:16]}.pt"
    alien.write_bytes(content)
    messages: list[str] = []
    assert run_trial(glyphs_recipe(), TrialRun(folder=folder, dataset=glyphs, notice=messages.append)) == undisturbed
    assert f"{alien.name}.corrupt" in messages[0]


def test_images_changed_during_training_give_no_result_and_no_checkpoint(tmp_path: Path, folder: Path) -> None:
    recipe, array = glyphs_recipe(), tmp_path / "cache" / "glyphs-28" / "images.npy"
    undisturbed = run_trial(recipe, TrialRun(folder=tmp_path / "undisturbed", dataset=opened(tmp_path)))
    intact = array.read_bytes()

    def write_after_ten_steps(progress: Progress) -> None:
        if progress.step == 10:
            with array.open("r+b") as file:  # the very bytes that are mapped
                file.seek(128)
                file.write(bytes(len(intact) - 128))

    with pytest.raises(DataChangedError, match="was written to while it was in use"):
        run_trial(recipe, TrialRun(folder=folder, dataset=opened(tmp_path), observe=write_after_ten_steps))
    messages: list[str] = []
    assert run_trial(recipe, TrialRun(folder=folder, dataset=opened(tmp_path), notice=messages.append)) == undisturbed
    assert "resumed select at step 10 of 20" in messages
    with array.open("r+b") as file:
        dataset = opened(tmp_path)
        file.write(intact[:1])
        file.flush()
        with pytest.raises(DataChangedError):
            evaluate_trial(undisturbed, EVALUATION, folder=folder, dataset=dataset)


def test_images_replaced_by_another_file_during_training_are_harmless(tmp_path: Path, folder: Path) -> None:
    """As another process does with damaged ones: what is mapped here stays the file that was verified."""
    dataset = opened(tmp_path)

    def replace(progress: Progress) -> None:
        (tmp_path / "cache").rename(tmp_path / f"before-{progress.step}")
        opened(tmp_path)

    assert run_trial(glyphs_recipe(), TrialRun(folder=folder, dataset=dataset, observe=replace)).status == "complete"


def opened(root: Path) -> SplitDataset:
    return open_dataset(glyphs_recipe().data, data_root=None, cache_root=root / "cache")


def test_damaged_weights_are_never_scored(glyphs: SplitDataset, folder: Path) -> None:
    result = run_trial(glyphs_recipe(steps=5), TrialRun(folder=folder, dataset=glyphs))
    content = bytearray((folder / "selected.pt").read_bytes())
    content[len(content) // 2] ^= 1
    (folder / "selected.pt").write_bytes(bytes(content))
    with pytest.raises(CheckpointCorruptError, match=r"selected\.pt"):
        evaluate_trial(result, EVALUATION, folder=folder, dataset=glyphs)


def test_a_half_trained_trial_refuses_other_images(glyphs: SplitDataset, folder: Path) -> None:
    with pytest.raises(StopRequested):
        run_trial(glyphs_recipe(), TrialRun(folder=folder, dataset=glyphs, should_stop=StopAfter(7)))
    with pytest.raises(DataChangedError, match="Restore the old data"):
        run_trial(glyphs_recipe(), TrialRun(folder=folder, dataset=dataclasses.replace(glyphs, digest="0" * 64)))


def test_a_checkpoint_of_the_first_edition_is_refused_and_kept(glyphs: SplitDataset, folder: Path) -> None:
    """It says no edition, and is of a recipe that today's code names otherwise."""
    with pytest.raises(StopRequested):
        run_trial(glyphs_recipe(), TrialRun(folder=folder, dataset=glyphs, should_stop=StopAfter(7)))
    checkpoints = folder / "checkpoints" / "select"
    *older, newest = sorted(checkpoints.iterdir())
    before = {**read_checkpoint(newest), "recipe": "a4a74d8a1d58d96c"}
    newest.unlink()
    old = save_checkpoint(checkpoints, 7, {key: value for key, value in before.items() if key != "edition"})
    with pytest.raises(CheckpointEditionError, match="of the first edition of the recipes, of trial a4a74d8a1d58d96c"):
        run_trial(glyphs_recipe(), TrialRun(folder=folder, dataset=glyphs))
    assert sorted(checkpoints.iterdir()) == [*older, old]


def test_patience_ends_a_training_that_no_longer_improves(glyphs: SplitDataset, folder: Path) -> None:
    shape = EpisodeShape(way=5, shot=1, query=5)
    recipe = glyphs_recipe(
        optimiser=OptimiserSettings(outer_lr=1e-12, halve_every=None),
        steps=500,
        validation=ValidationSettings(shape=shape, every=5, episodes=10, patience=10),
    )
    result = run_trial(recipe, TrialRun(folder=folder, dataset=glyphs))
    assert result.stopped_by == "patience"
    assert result.selected_step is not None
    assert result.steps_done == result.selected_step + 10 < 500


def test_statistics_that_overflow_are_a_divergence_although_the_loss_stays_finite(glyphs: SplitDataset, folder: Path) -> None:
    """Normalised by an infinite variance every image is alike: the loss is that of chance, and so were the scores."""
    optimiser = GradientDescentSettings(outer_lr=1e12, halve_every=None)
    result = run_trial(glyphs_recipe(optimiser=optimiser, steps=30), TrialRun(folder=folder, dataset=glyphs))
    assert (result.status, result.stopped_by) == ("diverged", "divergence")
    assert all(math.isfinite(loss) for _, loss in result.curves.get("train_loss", ()))


def test_a_diverged_training_is_a_result_without_weights(glyphs: SplitDataset, folder: Path) -> None:
    recipe = glyphs_recipe(optimiser=OptimiserSettings(outer_lr=1e30, halve_every=None))
    result = run_trial(recipe, TrialRun(folder=folder, dataset=glyphs))
    assert (result.status, result.stopped_by, result.weights_digest) == ("diverged", "divergence", None)
    assert not (folder / "selected.pt").exists()
    with pytest.raises(CheckpointCorruptError, match="diverged"):
        evaluate_trial(result, EVALUATION, folder=folder, dataset=glyphs)


def retraining_recipe() -> TrainingRecipe:
    shape = EpisodeShape(way=5, shot=1, query=5)
    return glyphs_recipe(retrain=True, validation=ValidationSettings(shape=shape, every=5, episodes=10, patience=5))


def test_retraining_adds_the_validation_classes_and_resumes_bit_for_bit(
    glyphs: SplitDataset, tmp_path_factory: pytest.TempPathFactory
) -> None:
    whole = run_trial(retraining_recipe(), TrialRun(folder=tmp_path_factory.mktemp("whole"), dataset=glyphs))
    selected_only = run_trial(
        dataclasses.replace(retraining_recipe(), retrain=False), TrialRun(folder=tmp_path_factory.mktemp("once"), dataset=glyphs)
    )
    assert whole.selected_step == selected_only.selected_step is not None
    assert whole.weights_digest != selected_only.weights_digest
    assert whole.curves["retrain_train_loss"][-1][0] == whole.selected_step + 5
    folder = tmp_path_factory.mktemp("stopped")
    with pytest.raises(StopRequested):
        run_trial(retraining_recipe(), TrialRun(folder=folder, dataset=glyphs, should_stop=StopAfter(whole.steps_done + 3)))
    assert text(run_trial(retraining_recipe(), TrialRun(folder=folder, dataset=glyphs))) == text(whole)


def test_the_execution_path_is_pinned_in_the_checkpoint(
    uninterrupted: tuple[TrialResult, Path], glyphs: SplitDataset, folder: Path
) -> None:
    with pytest.raises(StopRequested):
        run_trial(glyphs_recipe(), TrialRun(folder=folder, dataset=glyphs, should_stop=StopAfter(7)))
    assert text(run_trial(glyphs_recipe(), TrialRun(folder=folder, dataset=glyphs, threads=2))) == text(uninterrupted[0])


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")
def test_an_absent_device_is_named(glyphs: SplitDataset, folder: Path) -> None:
    with pytest.raises(ExecutionPathError, match="no CUDA device"):
        run_trial(glyphs_recipe(), TrialRun(folder=folder, dataset=glyphs, device="cuda"))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_cuda_trial_repeats_bit_for_bit(glyphs: SplitDataset, tmp_path_factory: pytest.TempPathFactory) -> None:
    runs = [
        run_trial(glyphs_recipe(), TrialRun(folder=tmp_path_factory.mktemp("cuda"), dataset=glyphs, device="cuda"))
        for _ in range(2)
    ]
    assert text(runs[0]) == text(runs[1])


def test_the_thread_count_is_restored(glyphs: SplitDataset, folder: Path) -> None:
    before = torch.get_num_threads()
    run_trial(glyphs_recipe(steps=5), TrialRun(folder=folder, dataset=glyphs, threads=1))
    assert torch.get_num_threads() == before
