"""Damaged records: reading never raises, and never returns a number that was not written."""

import dataclasses
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fsl_core.sealed import SEAL
from fsl_core.training.trial_records import FailureRecord, ProgressRecord
from orchestrator.records.trial_record import TrialRecord
from orchestrator.report.export import frames
from orchestrator.report.published import Registries
from orchestrator.report.table_rows import table_rows
from orchestrator.tracking.run_view import run_view
from tests.orchestrator.records.edited_record import edit
from tests.orchestrator.tracking.tracked_sweep import TrackedSweep, tracked_sweep

NOW = "2026-01-01T00:00:00.000+00:00"
PARTS = ("result", "execution", "failure", "progress")
WRONG: tuple[Any, ...] = (
    None, True, -1, 0.5, "60", "", [], {}, 2**63, 10**400, 1e300, float("inf"), float("nan"), "\ud800", [[1, 2]], [None],
)  # fmt: skip


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> TrackedSweep:
    sweep = tracked_sweep(tmp_path_factory.mktemp("whole"))
    name = sweep.trials[0].fingerprint
    progress = ProgressRecord(step=5, steps=10, best=0.5, train_seconds=1.5, attempts=2, started_at=NOW, at=NOW, metrics={"a": 1})
    sweep.store.write_record(name, progress)
    sweep.store.write_failure(name, FailureRecord(cause="no", traceback="…", attempts=1, at=NOW))
    return sweep


def folder(sweep: TrackedSweep) -> Path:
    return sweep.store.paths(sweep.trials[0].fingerprint).folder


FILES = ["result.json", "execution.json", "failure.json", "progress.json", "evaluations"]


def file_of(sweep: TrackedSweep, name: str) -> Path:
    path = folder(sweep) / name
    return next(path.glob("*.json")) if path.is_dir() else path


def read(sweep: TrackedSweep, path: Path, content: bytes) -> TrialRecord:
    """The record read while a file has the given content."""
    whole = path.read_bytes()
    path.write_bytes(content)
    try:
        sweep.store.damaged.clear()
        return sweep.record(sweep.trials[0])
    finally:
        path.write_bytes(whole)


def is_as_written_or_missing(found: TrialRecord, whole: TrialRecord) -> bool:
    parts = all(getattr(found, part) in (None, getattr(whole, part)) for part in PARTS)
    return parts and all(whole.evaluations.get(name) == score for name, score in found.evaluations.items())


def places(document: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every value of a document."""
    if path:
        yield path
    items = document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    for key, value in items:
        yield from places(value, (*path, key))


def replaced(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    copy = document.copy()
    copy[path[0]] = replaced(document[path[0]], path[1:], value)
    return copy


ANYTHING = st.sampled_from(WRONG) | st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_no_edit_of_a_sealed_record_changes_a_number(sweep: TrackedSweep, data: st.DataObject):
    path, whole = file_of(sweep, data.draw(st.sampled_from(FILES))), sweep.record(sweep.trials[0])
    document = json.loads(path.read_bytes())
    place = data.draw(st.sampled_from([way for way in places(document) if way != (SEAL,)]))
    found = read(sweep, path, json.dumps(replaced(document, place, data.draw(ANYTHING))).encode())
    assert is_as_written_or_missing(found, whole)


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_no_damaged_byte_of_a_record_changes_a_number(sweep: TrackedSweep, data: st.DataObject):
    path, whole = file_of(sweep, data.draw(st.sampled_from(FILES))), sweep.record(sweep.trials[0])
    content = bytearray(path.read_bytes())
    start = data.draw(st.integers(0, len(content) - 1))
    content[start : start + data.draw(st.integers(0, 30))] = data.draw(st.binary(max_size=30))
    found = read(sweep, path, bytes(content))
    if found.unsealed:  # the seal's own key was cut: the file is reported as unsealed, and the others are unchanged
        assert found.unsealed == (path.name,)
        found = without(found, path)
    assert is_as_written_or_missing(found, whole)


def test_a_record_cut_at_the_key_of_its_seal_is_reported_as_unsealed(sweep: TrackedSweep):
    """The rest is still a JSON object, in which the digest is the value of the preceding key."""
    path, whole = file_of(sweep, "execution.json"), sweep.record(sweep.trials[0])
    content = path.read_bytes()
    cut = b'": null,\n "' + SEAL.encode()
    assert content.count(cut) == 1
    found = read(sweep, path, content.replace(cut, b""))
    assert found.unsealed == (path.name,)
    assert is_as_written_or_missing(without(found, path), whole)


def without(record: TrialRecord, path: Path) -> TrialRecord:
    """The record without the content of one file."""
    if path.stem in PARTS:
        return dataclasses.replace(record, **{path.stem: None})
    return dataclasses.replace(
        record, evaluations={name: score for name, score in record.evaluations.items() if name != path.stem}
    )


@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_an_edited_unsealed_record_is_shown_or_set_aside_and_breaks_no_view(sweep: TrackedSweep, data: st.DataObject):
    """Types and ranges alone protect a record without a seal, and they suffice for all views."""
    path, trial = file_of(sweep, data.draw(st.sampled_from(FILES))), sweep.trials[0]
    document = {key: value for key, value in json.loads(path.read_bytes()).items() if key != SEAL}
    place = data.draw(st.sampled_from(list(places(document))))
    record = read(sweep, path, json.dumps(replaced(document, place, data.draw(ANYTHING))).encode())
    assert path.name in record.unsealed or path in sweep.store.damaged or record.result is None
    records = {trial.fingerprint: record}
    rows = table_rows(sweep.plan, records, Registries({}))
    frames(sweep.plan, records, rows)
    run_view(trial, record, sweep.store.paths(trial.fingerprint))


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("content", [b"", b"[" * 100_000, b"\xff", b"1e999", b'{"a": ' * 50_000, b"null", b'"' + b"9" * 9000])
def test_a_file_without_a_json_object_counts_as_missing(sweep: TrackedSweep, name: str, content: bytes):
    path = file_of(sweep, name)
    assert is_as_written_or_missing(read(sweep, path, content), sweep.record(sweep.trials[0]))
    assert path in sweep.store.damaged


def test_a_folder_in_place_of_a_record_counts_as_missing_and_is_set_aside(sweep: TrackedSweep, tmp_path: Path):
    other = tracked_sweep(tmp_path)
    path = other.store.paths(other.trials[0].fingerprint).execution
    path.unlink()
    path.mkdir()
    assert other.record(other.trials[0]).execution is None
    assert other.store.set_aside(path) == path.with_name("execution.json.corrupt-1")


def test_a_record_without_a_seal_is_read_and_reported_as_unsealed(sweep: TrackedSweep):
    whole = sweep.record(sweep.trials[0])
    for name in FILES:
        path = file_of(sweep, name)
        old = {key: value for key, value in json.loads(path.read_bytes()).items() if key != SEAL}
        found = read(sweep, path, json.dumps(old).encode())
        assert found == dataclasses.replace(whole, unsealed=(path.name,))
        assert sweep.store.damaged == []


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("evaluations", {"correct": [15, 15, 15, 15]}),
        ("evaluations", {"correct": [15, 14, 13]}),
        ("evaluations", {"correct": [15, 14, 13, 12.0]}),
        ("evaluations", {"accuracy": 0.99}),
        ("evaluations", {"answers": ["fffe", "fffc", "fff8", "fffc"]}),
        ("evaluations", {"answers": ["fffe", "fffc", "fff8"]}),
        ("evaluations", {"classes": {"names": list("abcde"), "episodes": ["0 1 2 3 5"] * 4}}),
        ("evaluations", {"classes": {"names": list("abcde"), "episodes": ["0 1 2 3"] * 4}}),
        ("evaluations", {"classes": None}),
        ("evaluations", {"weights_digest": "b" * 64}),
        ("result.json", {"steps_done": 301}),
        ("result.json", {"steps_done": "300"}),
        ("result.json", {"selected_step": None}),
        ("result.json", {"validation_accuracy": 1.5}),
        ("result.json", {"validation_loss": -0.5}),
        ("result.json", {"validation_loss": None}),
        ("result.json", {"status": "diverged"}),
        ("result.json", {"stopped_by": "divergence"}),
        ("result.json", {"data_digest": "x" * 64}),
        ("result.json", {"curves": {"train_loss": [[200, 0.5], [100, 0.4]]}}),
        ("result.json", {"curves": {"train_accuracy": [[100, 1.5]]}}),
        ("execution.json", {"steps": "60"}),
        ("execution.json", {"device": "tpu"}),
        ("execution.json", {"started_at": "yesterday"}),
        ("execution.json", {"train_seconds": -1.0}),
        ("progress.json", {"attempts": "x"}),
        ("progress.json", {"best": 2.0}),
        ("failure.json", {"at": "9999-12-31T23:59:59+00:00"}),
    ],
)  # fmt: skip
def test_an_impossible_record_is_refused_despite_its_valid_seal(tmp_path: Path, sweep: TrackedSweep, name: str, changes: Any):
    path = file_of(sweep, name)
    kept = tmp_path / path.name
    shutil.copy(path, kept)
    edit(path, **changes)
    content = path.read_bytes()
    shutil.copy(kept, path)
    found = read(sweep, path, content)
    assert sweep.store.damaged == [path]
    part = name.removesuffix(".json")
    assert not getattr(found, part)
