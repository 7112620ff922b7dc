"""Remembered probes: recent ones of this machine are used, and any other entry is ignored by itself."""

import dataclasses
import datetime
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fsl_core.recipe.backbone_settings import Conv4Settings
from fsl_core.training.timing import Timing
from fsl_core.training.unit_work import UnitWork
from orchestrator.records.remembered import MOST_AGE, NOTHING_REMEMBERED, Machine, Remembered, RememberedProbes, key
from tests.orchestrator.launch.test_cost import busy, quiet

HERE = Machine(device="cpu", device_name="a processor", threads=1, torch="2.9")
NOW = datetime.datetime(2030, 1, 1, tzinfo=datetime.UTC)
WORK = UnitWork(kind="embed", backbone=Conv4Settings(), image_shape=(1, 28, 28))
OTHER = dataclasses.replace(WORK, backbone=Conv4Settings(filters=8))


CODE, OTHER_CODE = "a" * 64, "b" * 64


def probes(path: Path, machine: Machine = HERE, now: datetime.datetime = NOW, code: str = CODE) -> RememberedProbes:
    return RememberedProbes(path, machine=machine, code=code, now=now)


def known(path: Path) -> Mapping[str, Timing]:
    """The timings of this code."""
    read = probes(path).read()
    assert read.of_other_code == {}
    return read.of_this_code


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cost.json"


def test_written_probes_are_read(path: Path) -> None:
    probes(path).write({WORK: quiet(0.5, 0.6)})
    probes(path).write({OTHER: quiet(1.0)})
    assert known(path) == {key(WORK): quiet(0.5, 0.6), key(OTHER): quiet(1.0)}
    probes(path).write({WORK: quiet(0.7)})
    assert known(path)[key(WORK)] == quiet(0.7)


def test_the_load_of_the_machine_is_remembered(path: Path) -> None:
    probes(path).write({WORK: busy(0.5), OTHER: quiet(0.5)})
    assert known(path) == {key(WORK): busy(0.5), key(OTHER): quiet(0.5)}


def test_the_peak_memory_of_a_probe_on_a_gpu_is_remembered(path: Path) -> None:
    on_gpu = dataclasses.replace(quiet(0.5), peak_bytes=2**30)
    probes(path).write({WORK: on_gpu})
    assert known(path) == {key(WORK): on_gpu}


def test_the_more_reliable_of_two_probes_of_the_same_work_is_kept(path: Path) -> None:
    after = (
        (busy(2.0), busy(2.0)),
        (busy(3.0), busy(2.0)),
        (busy(1.0), busy(1.0)),
        (quiet(4.0), quiet(4.0)),
        (busy(1.0), quiet(4.0)),
    )
    for new, kept in after:
        probes(path).write({WORK: new})
        assert known(path) == {key(WORK): kept}


def test_an_entry_without_the_load_counts_as_from_a_busy_machine(path: Path) -> None:
    probes(path).write({WORK: quiet(0.5)})
    plain = json.loads(path.read_text())
    del plain["probes"][0]["wall"]
    path.write_text(json.dumps(plain))
    (timing,) = known(path).values()
    assert timing.busy and timing.seconds == (0.5,)


@pytest.mark.parametrize("change", [{"device": "cuda"}, {"device_name": "another"}, {"threads": 2}, {"torch": "3.0"}])
def test_probes_of_another_machine_or_torch_are_kept_and_not_used(path: Path, change: dict[str, Any]) -> None:
    probes(path).write({WORK: quiet(0.5)})
    other = dataclasses.replace(HERE, **change)
    assert probes(path, other).read() == NOTHING_REMEMBERED
    probes(path, other).write({WORK: quiet(9.0)})
    assert known(path) == {key(WORK): quiet(0.5)}


def test_a_probe_of_other_code_is_told_apart_and_replaced_by_one_of_this_code(path: Path) -> None:
    probes(path, code=OTHER_CODE).write({WORK: quiet(0.5), OTHER: quiet(0.6)})
    assert probes(path).read() == Remembered(of_other_code={key(WORK): quiet(0.5), key(OTHER): quiet(0.6)})
    probes(path).write({WORK: busy(2.0)})
    assert probes(path).read() == Remembered(of_this_code={key(WORK): busy(2.0)}, of_other_code={key(OTHER): quiet(0.6)}), (
        "the more reliable probe is kept only among those of the same code"
    )


def test_a_probe_of_an_earlier_version_counts_as_one_of_other_code(path: Path) -> None:
    probes(path).write({WORK: quiet(0.5)})
    plain = json.loads(path.read_text())
    del plain["probes"][0]["code"]
    path.write_text(json.dumps(plain))
    assert probes(path).read() == Remembered(of_other_code={key(WORK): quiet(0.5)})


def test_old_probes_are_measured_again(path: Path) -> None:
    probes(path).write({WORK: quiet(0.5)})
    assert probes(path, now=NOW + MOST_AGE - datetime.timedelta(days=1)).read() != NOTHING_REMEMBERED
    assert probes(path, now=NOW + MOST_AGE).read() == NOTHING_REMEMBERED
    assert probes(path, now=NOW - 2 * MOST_AGE).read() == NOTHING_REMEMBERED, "a probe of the future is one of a wrong clock"


WRONG = [
    {"seconds": ["0.5"]}, {"seconds": [0]}, {"seconds": [-1.0]}, {"seconds": [float("nan")]}, {"seconds": [float("inf")]},
    {"seconds": [True]}, {"seconds": []}, {"seconds": None}, {"seconds": 0.5}, {"seconds": [1e9]}, {"seconds": [0.5] * 1000},
    {"seconds": [10**400]}, {"wall": 0.5}, {"wall": ["0.5"]}, {"wall": [0]}, {"wall": None}, {"wall": [0.5] * 1000},
    {"at": "yesterday"}, {"at": None}, {"at": "2030-01-01T00:00:00"}, {"work": "embed"}, {"machine": None},
    {"peak_bytes": -1}, {"peak_bytes": 1.5}, {"peak_bytes": True}, {"code": 7}, {"edition": "2"},
]  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: str(wrong)[:40])
def test_an_invalid_entry_is_ignored_by_itself(path: Path, wrong: dict[str, Any]) -> None:
    probes(path).write({WORK: quiet(0.5), OTHER: quiet(0.6)})
    plain = json.loads(path.read_text())
    plain["probes"][0] |= wrong
    path.write_text(json.dumps(plain))
    assert known(path) == {key(OTHER): quiet(0.6)}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["probes", "work", "machine", "at", "seconds"]), inner),
    max_leaves=12,
)  # fmt: skip


@given(st.binary(max_size=40) | JSON.map(lambda value: json.dumps(value).encode()))
def test_an_invalid_file_counts_as_empty_and_can_be_written(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("any") / "cost.json"
    path.write_bytes(content)
    assert probes(path).read() == NOTHING_REMEMBERED
    probes(path).write({WORK: quiet(0.5)})
    assert known(path) == {key(WORK): quiet(0.5)}
