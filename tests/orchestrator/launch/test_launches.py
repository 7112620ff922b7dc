"""A sweep's name is one file's: another file of that name is refused, the same file edited or copied is not."""

import dataclasses
from pathlib import Path

import pytest

from orchestrator.errors import SweepNameError
from orchestrator.launch.launches import LaunchesOnRecord, check_name_is_free, name_problem, read_launches, record_launch
from orchestrator.sweep.plan import Plan
from tests.orchestrator.records.edited_record import edit
from tests.orchestrator.tracking.tracked_sweep import tiny_plan


def in_folder(folder: Path, *only: str) -> Plan:
    folder.mkdir(exist_ok=True)
    return tiny_plan(folder, only=only)


def edited(plan: Plan) -> Plan:
    plan.spec.file.write_text(plan.spec.file.read_text() + "# edited\n")
    return plan


def test_a_name_that_nobody_launched_is_free(tmp_path: Path):
    check_name_is_free(tmp_path / "tiny", in_folder(tmp_path / "a"))


def test_another_file_that_means_other_trials_is_refused_and_both_are_named(tmp_path: Path):
    one, other = in_folder(tmp_path / "a", "distance=cosine"), edited(in_folder(tmp_path / "b"))
    record_launch(tmp_path / "tiny", one)
    with pytest.raises(SweepNameError) as refused:
        check_name_is_free(tmp_path / "tiny", other)
    assert all(str(plan.spec.file) in str(refused.value) for plan in (one, other))


def test_a_name_that_the_fallback_data_set_made_is_explained(tmp_path: Path):
    record_launch(tmp_path / "tiny", in_folder(tmp_path / "a", "distance=cosine"))
    other = edited(in_folder(tmp_path / "b"))
    fallback = dataclasses.replace(other, spec=dataclasses.replace(other.spec, fallback_of="ti"))
    assert "(the name 'ti' in the file, and _glyphs for its fallback data set)" in str(name_problem(tmp_path / "tiny", fallback))


def test_the_same_file_edited_or_copied_and_other_files_of_the_same_work_are_one_sweep(tmp_path: Path):
    record_launch(tmp_path / "tiny", in_folder(tmp_path / "a", "distance=cosine"))
    check_name_is_free(tmp_path / "tiny", edited(in_folder(tmp_path / "a")))
    check_name_is_free(tmp_path / "tiny", in_folder(tmp_path / "b"))
    check_name_is_free(tmp_path / "tiny", edited(in_folder(tmp_path / "b", "distance=cosine")))


def test_the_name_is_of_whoever_was_launched_last(tmp_path: Path):
    one, other = in_folder(tmp_path / "a", "distance=cosine"), edited(in_folder(tmp_path / "b"))
    record_launch(tmp_path / "tiny", one)
    record_launch(tmp_path / "tiny", other)
    check_name_is_free(tmp_path / "tiny", other)
    with pytest.raises(SweepNameError):
        check_name_is_free(tmp_path / "tiny", one)
    assert len(read_launches(tmp_path, "tiny").by_file) == 2


def test_a_launch_by_a_clock_that_was_ahead_is_not_the_last_for_ever(tmp_path: Path):
    one, other = in_folder(tmp_path / "a", "distance=cosine"), edited(in_folder(tmp_path / "b"))
    record_launch(tmp_path / "tiny", one)
    for path in read_launches(tmp_path, "tiny").by_file:
        edit(path, at="2099-01-01T00:00:00.000+00:00")
    with pytest.raises(SweepNameError):
        check_name_is_free(tmp_path / "tiny", other)
    record_launch(tmp_path / "tiny", other)
    check_name_is_free(tmp_path / "tiny", edited(in_folder(tmp_path / "b", "distance=squared_euclidean")))


def test_a_sweep_of_any_name_has_its_own_launches(tmp_path: Path):
    plan = in_folder(tmp_path / "a")
    for name in ("launches", "[x]"):
        named = dataclasses.replace(plan, spec=dataclasses.replace(plan.spec, name=name))
        record_launch(tmp_path / "sweeps" / name, named)
        (tmp_path / "sweeps" / name / "driver.json").write_text("{}")
        assert [launch.sweep for launch in read_launches(tmp_path / "sweeps", name).by_file.values()] == [name]
    assert len(read_launches(tmp_path / "sweeps").by_file) == 2 and read_launches(tmp_path / "sweeps").damaged == ()


@pytest.mark.parametrize("damage", ["folder", "link to nowhere", "no object", "edited", "wrong time", "deep"])
def test_a_record_that_cannot_be_read_as_a_launch_is_damaged_whatever_is_wrong_with_it(tmp_path: Path, damage: str):
    plan = in_folder(tmp_path / "a")
    record_launch(tmp_path / "tiny", plan)
    (record,) = read_launches(tmp_path, "tiny").by_file
    content = record.read_bytes()
    if damage == "wrong time":
        edit(record, at="yesterday")
    elif damage in ("folder", "link to nowhere"):
        record.unlink()
        record.mkdir() if damage == "folder" else record.symlink_to(tmp_path / "unmounted" / "launch.json")
    else:
        written = {"no object": b"[]", "edited": content.replace(b"tiny", b"tony"), "deep": b'{"sweep": ' + b"[" * 99_999}
        record.write_bytes(written[damage])
    assert read_launches(tmp_path, "tiny") == LaunchesOnRecord(damaged=(record,))
