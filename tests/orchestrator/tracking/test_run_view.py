import math
from dataclasses import replace
from pathlib import Path

import pytest

from fsl_core.episodes.episode import EpisodeShape
from fsl_core.recipe.recipe import Evaluation
from orchestrator.tracking.metric_names import exact_suffix, representatives
from orchestrator.tracking.run_view import Point, curve_points, finite_points, run_view
from tests.orchestrator.tracking.tracked_sweep import DATA_DIGEST, POINTS_A_TRIAL, TrackedSweep, tracked_sweep


@pytest.fixture
def sweep(tmp_path: Path) -> TrackedSweep:
    return tracked_sweep(tmp_path)


@pytest.mark.parametrize(
    ("evaluation", "suffix"),
    [
        (Evaluation(shape=EpisodeShape(way=5, shot=1, query=15)), "5way_1shot"),
        (Evaluation(shape=EpisodeShape(way=20, shot=5, query=5)), "20way_5shot_5query"),
        (Evaluation(shape=EpisodeShape(way=5, shot=1, query=15), episodes=600, seed=3), "5way_1shot_600episodes_3seed"),
    ],
)
def test_metrics_of_two_evaluations_never_share_a_name(evaluation: Evaluation, suffix: str):
    assert exact_suffix(evaluation) == suffix


def test_values_that_are_not_finite_are_not_sent():
    assert finite_points(7, {"loss": math.inf, "other": math.nan, "low": -math.inf, "fine": 2}) == (Point("fine", 7, 2.0),)


def test_a_finished_trial_shows_its_curves_scores_images_and_files(sweep: TrackedSweep):
    trial = sweep.trials[0]
    view = run_view(trial, sweep.record(trial), sweep.store.paths(trial.fingerprint))
    assert view.status == "FINISHED"
    assert len(view.points) == POINTS_A_TRIAL
    last = {point.metric: point.value for point in view.points}
    assert last["test/accuracy_5way_1shot_3query_4episodes"] == last["test/accuracy_5way_1shot"] == pytest.approx(0.9)
    assert {name.partition("/")[0] for name in last} == {"train", "validation", "test"}
    assert view.dataset is not None and len(view.dataset.digest) == 36 and DATA_DIGEST in view.dataset.source
    (evaluation,) = trial.evaluations
    expected = {"selected.pt", "result.json", "log.txt", "episode.png", f"evaluations/{evaluation.fingerprint}.json"}
    assert set(view.files) == expected


def test_status_follows_the_record(sweep: TrackedSweep):
    trial = sweep.trials[0]
    record, paths = sweep.record(trial), sweep.store.paths(trial.fingerprint)
    assert record.result is not None
    unscored = replace(record, evaluations={})
    assert run_view(trial, unscored, paths).status == "KILLED"
    diverged = replace(record.result, status="diverged", stopped_by="divergence", weights_digest=None, selected_step=None)
    view = run_view(trial, replace(unscored, result=diverged), paths)
    assert (view.status, view.tags["fsl.outcome"]) == ("FINISHED", "diverged")


def test_the_digest_changes_only_with_a_file(sweep: TrackedSweep):
    trial = sweep.trials[0]
    record, paths = sweep.record(trial), sweep.store.paths(trial.fingerprint)
    before = run_view(trial, record, paths).digest
    assert run_view(trial, sweep.record(trial), paths).digest == before
    paths.log.write_text("another log\n")
    assert run_view(trial, record, paths).digest != before


def test_scores_after_different_adaptation_steps_have_different_names() -> None:
    shape = EpisodeShape(way=5, shot=1, query=15)
    names = [exact_suffix(Evaluation(shape=shape, adaptation_steps=steps)) for steps in (None, 0, 3)]
    assert names == ["5way_1shot", "5way_1shot_0adaptation_steps", "5way_1shot_3adaptation_steps"]
    assert exact_suffix(Evaluation(shape=shape, adaptation_steps=3, inductive=True)) == f"{names[2]}_inductive"


def test_curves_are_grouped() -> None:
    named = {
        point.metric
        for point in curve_points(1, {"train_loss": 1.0, "validation_loss": 0.7, "validation_accuracy": 0.5, "outer_lr": 0.1})
    }
    assert named == {"train/loss", "validation/loss", "validation/accuracy", "train/outer_lr"}


def test_one_evaluation_represents_its_ways_and_shots(sweep: TrackedSweep) -> None:
    recipe, shape = sweep.trials[0].recipe, EpisodeShape(way=5, shot=1, query=15)
    plain, adapted, longer = (Evaluation(shape=shape, adaptation_steps=steps) for steps in (None, 3, 10))
    assert representatives(recipe, [adapted]) == {"5way_1shot": adapted}
    assert representatives(recipe, [adapted, plain, longer]) == {"5way_1shot": plain}
    assert representatives(recipe, [adapted, longer]) == {}
    assert representatives(recipe, [plain, replace(plain, inductive=True)]) == {"5way_1shot": plain}
