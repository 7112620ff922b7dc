"""The store: records are read as written; damaged and misplaced files count as missing and are kept."""

import dataclasses
import json
import math
import resource
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fsl_core.sealed import SEAL
from fsl_core.training.result import EvaluationResult
from fsl_core.training.trial_records import FailureRecord, ProgressRecord
from orchestrator.errors import StoreError
from orchestrator.records.store import Store
from orchestrator.records.trial_record import TrialRecord
from orchestrator.sweep.plan import PlannedTrial
from tests.orchestrator.records.edited_record import edit
from tests.orchestrator.tracking.tracked_sweep import TrackedSweep, execution_of, result_of, tracked_sweep

NOW = "2026-01-01T00:00:00.000+00:00"


@pytest.fixture
def sweep(tmp_path: Path) -> TrackedSweep:
    return tracked_sweep(tmp_path)


def score_of(sweep: TrackedSweep, trial: PlannedTrial) -> EvaluationResult:
    return sweep.record(trial).evaluations[trial.evaluations[0].fingerprint]


def test_records_are_read_as_written(sweep: TrackedSweep):
    trial = sweep.trials[0]
    progress = ProgressRecord(
        step=5, steps=10, best=None, train_seconds=1.5, attempts=2, started_at=NOW, at=NOW, metrics={"train_loss": 0.25}
    )
    failure = FailureRecord(cause="ValueError: no", traceback="…", attempts=1, at=NOW)
    sweep.store.write_record(trial.fingerprint, progress)
    sweep.store.write_failure(trial.fingerprint, failure)
    record = sweep.record(trial)
    assert record.result == result_of(trial)
    assert record.execution == execution_of()
    assert (record.progress, record.failure) == (progress, failure)
    assert list(record.evaluations) == [evaluation.fingerprint for evaluation in trial.evaluations]
    sweep.store.clear_failure(trial.fingerprint)
    assert sweep.record(trial).failure is None
    assert sweep.store.damaged == []


def test_a_trial_that_was_never_started_has_an_empty_record(tmp_path: Path):
    record = Store(tmp_path / "nowhere").read("0" * 16)
    assert record == TrialRecord(fingerprint="0" * 16)
    assert not (tmp_path / "nowhere").exists()


def test_the_same_result_gives_the_same_bytes(sweep: TrackedSweep):
    trial = sweep.trials[0]
    path = sweep.store.paths(trial.fingerprint).result
    before = path.read_bytes()
    result = result_of(trial)
    shuffled = dataclasses.replace(result, curves=dict(reversed(result.curves.items())))
    sweep.store.write_result(shuffled)
    assert path.read_bytes() == before


def test_writing_leaves_no_temporary_file(sweep: TrackedSweep):
    folder = sweep.store.paths(sweep.trials[0].fingerprint).folder
    names = {path.name for path in folder.iterdir()}
    assert names == {"result.json", "execution.json", "evaluations", "log.txt", "selected.pt", "episode.png"}


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damage_to_a_result_is_detected_without_raising(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject):
    sweep = tracked_sweep(tmp_path_factory.mktemp("damage"))
    trial = sweep.trials[0]
    path = sweep.store.paths(trial.fingerprint).result
    whole = path.read_bytes()
    damaged = data.draw(
        st.one_of(
            st.integers(0, len(whole) - 2).map(lambda length: whole[:length]),
            st.binary(max_size=40),
            st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=5).map(
                lambda plain: json.dumps(plain).encode()
            ),
            st.sampled_from(sorted(set(json.loads(whole)) - {SEAL})).map(
                lambda key: json.dumps({name: value for name, value in json.loads(whole).items() if name != key}).encode()
            ),
        )
    )
    path.write_bytes(damaged)
    assert sweep.record(trial).result is None
    assert sweep.store.damaged == [path]
    assert path.read_bytes() == damaged  # reading changes no file
    aside = path.with_name("result.json.corrupt-1")
    assert sweep.store.set_aside(path) == aside
    assert aside.read_bytes() == damaged
    assert sweep.store.damaged == [] and not path.exists()


def test_every_damaged_file_of_a_trial_is_kept(sweep: TrackedSweep):
    trial = sweep.trials[0]
    paths = sweep.store.paths(trial.fingerprint)
    aside = []
    for round_ in ("first", "second"):
        paths.execution.write_text(round_)
        assert sweep.record(trial).execution is None
        aside.append(sweep.store.set_aside(paths.execution))
    assert [path.read_text() for path in aside if path] == ["first", "second"]
    assert [path.name for path in aside if path] == ["execution.json.corrupt-1", "execution.json.corrupt-2"]


def test_a_result_in_another_trials_folder_does_not_count(sweep: TrackedSweep):
    ours, theirs = (sweep.store.paths(trial.fingerprint) for trial in sweep.trials[:2])
    ours.result.write_bytes(theirs.result.read_bytes())
    assert sweep.record(sweep.trials[0]).result is None
    assert ours.result in sweep.store.damaged


@pytest.mark.parametrize("change", ["recipe", "name", "weights", "images"])
def test_a_score_of_other_weights_or_images_does_not_count(sweep: TrackedSweep, change: str):
    trial = sweep.trials[0]
    score = score_of(sweep, trial)
    path = sweep.store.paths(trial.fingerprint).evaluations / f"{score.evaluation.fingerprint}.json"
    if change == "recipe":
        other = dataclasses.replace(score, recipe_fingerprint=sweep.trials[1].fingerprint)
        edit(path, **other.as_plain())
    elif change == "weights":
        edit(path, weights_digest="b" * 64)
    elif change == "images":
        edit(path, data_digest="b" * 64)
    else:
        path = path.rename(path.with_name("0123456789abcdef.json"))
    assert sweep.record(trial).evaluations == {}
    assert sweep.store.damaged == [path]


def test_scores_of_a_lost_result_are_kept(sweep: TrackedSweep):
    """Retraining a lost result gives the same bits, so its scores are kept until then."""
    trial = sweep.trials[0]
    sweep.store.paths(trial.fingerprint).result.unlink()
    assert sweep.record(trial).evaluations == {}
    assert sweep.store.damaged == []
    sweep.store.write_result(result_of(trial))
    assert len(sweep.record(trial).evaluations) == 1


def test_a_number_without_a_json_form_is_refused_and_leaves_no_file(sweep: TrackedSweep):
    trial = sweep.trials[0]
    wild = ProgressRecord(
        step=5, steps=10, best=0.5, train_seconds=1.0, attempts=1, started_at=NOW, at=NOW, metrics={"train_loss": math.inf}
    )
    with pytest.raises(ValueError, match="JSON"):
        sweep.store.write_record(trial.fingerprint, wild)
    assert sweep.record(trial).progress is None


def test_writing_over_a_folder_is_an_error_that_names_it(sweep: TrackedSweep):
    path = sweep.store.paths(sweep.trials[0].fingerprint).failure
    path.mkdir()
    with pytest.raises(StoreError, match=r"failure\.json cannot be written"):
        sweep.store.write_failure(sweep.trials[0].fingerprint, FailureRecord(cause="", traceback="", attempts=1, at=NOW))


def test_an_impossible_runs_folder_is_an_error_that_names_it(tmp_path: Path):
    (tmp_path / "runs").write_text("a file")
    with pytest.raises(StoreError, match="runs cannot be written to"):
        Store(tmp_path / "runs").check_writable()


def test_a_full_disk_is_an_error_that_names_the_file(sweep: TrackedSweep):
    trial = sweep.trials[0]
    path = sweep.store.paths(trial.fingerprint).result
    before = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        with pytest.raises(StoreError, match=r"result\.json cannot be written \(File too large\)"):
            sweep.store.write_result(result_of(trial))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == before
    assert not list(path.parent.glob(".*.tmp"))
