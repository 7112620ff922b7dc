"""The records of how a trial was executed: what one holds is what its writer could have written."""

import dataclasses
from typing import Any

import pytest

from fsl_core.errors import RecipeError
from fsl_core.training.trial_records import (
    ExecutionRecord,
    FailureRecord,
    ProgressRecord,
    ScoringRecord,
    attempts_recorded,
    record_from_plain,
)

NOW = "2026-01-01T00:00:00.000+00:00"
SCORING = ScoringRecord(host="a", device="cpu", device_name="b", threads=1, finished_at=NOW, seconds=0.5)
EXECUTION = ExecutionRecord(
    host="a",
    device="cuda",
    device_name="b",
    threads=2,
    finished_at=NOW,
    versions={"torch": "2.11"},
    peak_memory_bytes=10**10,
    train_seconds=1.5,
    steps=10,
    attempts=2,
    started_at=NOW,
    evaluations={"0" * 16: SCORING},
)
PROGRESS = ProgressRecord(step=5, steps=10, best=None, train_seconds=1.5, attempts=1, started_at=NOW, at=NOW, metrics={"a": 0.5})
FAILURE = FailureRecord(cause="no", traceback="", attempts=3, at=NOW)


@pytest.mark.parametrize("record", [EXECUTION, PROGRESS, FAILURE], ids=lambda record: type(record).__name__)
def test_a_record_is_read_as_it_was_written(record: Any):
    assert record_from_plain(type(record), dataclasses.asdict(record)) == record


@pytest.mark.parametrize(
    ("record", "changes"),
    [
        (EXECUTION, {"threads": 0}),
        (EXECUTION, {"threads": True}),
        (EXECUTION, {"device": "tpu"}),
        (EXECUTION, {"host": None}),
        (EXECUTION, {"host": "\ud800"}),
        (EXECUTION, {"git_dirty": 1}),
        (EXECUTION, {"peak_memory_bytes": -1}),
        (EXECUTION, {"versions": {"torch": 2}}),
        (EXECUTION, {"train_seconds": float("inf")}),
        (EXECUTION, {"train_seconds": 1e13}),
        (EXECUTION, {"finished_at": "2026-01-01"}),
        (EXECUTION, {"finished_at": "1026-01-01T00:00:00+00:00"}),
        (EXECUTION, {"evaluations": {"0": {}}}),
        (EXECUTION, {"evaluations": {"0": dataclasses.asdict(PROGRESS)}}),
        (EXECUTION, {"seconds": 1.0}),
        (PROGRESS, {"best": 1.5}),
        (PROGRESS, {"step": 0.5}),
        (PROGRESS, {"metrics": {"a": float("nan")}}),
        (PROGRESS, {"metrics": {"a": 10**300}}),
        (FAILURE, {"attempts": 2**63}),
        (FAILURE, {"cause": []}),
    ],
    ids=str,
)
def test_an_impossible_record_is_refused(record: Any, changes: dict[str, Any]):
    with pytest.raises(RecipeError):
        record_from_plain(type(record), {**dataclasses.asdict(record), **changes})


@pytest.mark.parametrize("record", [EXECUTION, PROGRESS, FAILURE], ids=lambda record: type(record).__name__)
def test_a_missing_key_is_named(record: Any):
    plain = dataclasses.asdict(record)
    del plain["attempts"]
    with pytest.raises(RecipeError, match="attempts"):
        record_from_plain(type(record), plain)


def test_the_largest_number_of_attempts_on_record_counts():
    assert attempts_recorded(None, PROGRESS, FAILURE, EXECUTION) == 3
    assert attempts_recorded(None) == 0
