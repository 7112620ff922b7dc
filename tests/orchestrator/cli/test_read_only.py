"""Who only looks changes nothing, and needs no permission to change anything."""

import ctypes
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import filelock
import pytest
from click.testing import CliRunner

from orchestrator.cli.main import main
from orchestrator.launch.driver import sweep_folder
from orchestrator.launch.launches import record_launch
from orchestrator.records.trial_lock import is_held
from tests.orchestrator.tracking.tracked_sweep import TrackedSweep, tracked_sweep

LOOK = """
import json, sys
from click.testing import CliRunner
from orchestrator.cli.main import main

for command in json.loads(sys.argv[1]):
    result = CliRunner().invoke(main, command)
    print(json.dumps([command[0], result.exit_code, result.stdout, result.stderr]))
"""
_DROP_FROM_BOUNDS, _WRITE_ANYWHERE, _READ_ANYWHERE = 24, 1, 2  # prctl's PR_CAPBSET_DROP; CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH


def without_roots_permissions() -> None:
    """Leave to root, in the program that is run next, what the files' own modes grant."""
    if os.geteuid() == 0:
        for capability in (_WRITE_ANYWHERE, _READ_ANYWHERE):
            ctypes.CDLL(None).prctl(_DROP_FROM_BOUNDS, capability, 0, 0, 0)


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[TrackedSweep]:
    """A runs folder in which nobody may write, with one trial that is held and one that is damaged."""
    sweep = tracked_sweep(tmp_path / "work")
    record_launch(sweep_folder(sweep.store.runs_root, sweep.plan), sweep.plan)
    held, damaged, free, _ = (sweep.store.paths(trial.fingerprint) for trial in sweep.trials)
    for paths in (held, free):
        paths.lock.touch()
    held.result.unlink()
    damaged.result.write_text("{")
    everything = [tmp_path / "work", *(tmp_path / "work").rglob("*")]
    for path in everything:
        path.chmod(path.stat().st_mode & ~0o222)
    yield sweep
    for path in everything:
        path.chmod(path.stat().st_mode | 0o200)


def state_of(folder: Path) -> dict[str, tuple[int, int, int]]:
    kept = {str(path): path.lstat() for path in [folder, *folder.rglob("*")]}
    return {name: (stat.st_mtime_ns, stat.st_size, stat.st_mode) for name, stat in kept.items()}


@pytest.mark.skipif(os.geteuid() == 0 and not sys.platform.startswith("linux"), reason="root may write anywhere")
def test_every_command_that_looks_works_for_who_may_not_write(guarded: TrackedSweep, tmp_path: Path) -> None:
    source, runs = str(guarded.plan.spec.file), str(guarded.store.runs_root)
    places = ["--runs-root", runs]
    commands = [
        ["status", source, *places],
        ["status", source, "--json", *places],
        ["plan", source, *places],
        ["table", source, *places],
        ["export", source, "--format", "csv", "-o", str(tmp_path / "elsewhere"), *places],
        ["gc", source, *places],
    ]
    before = state_of(tmp_path / "work")
    with filelock.FileLock(guarded.store.paths(guarded.trials[0].fingerprint).lock):
        looked = subprocess.run(
            [sys.executable, "-c", LOOK, json.dumps(commands)],
            capture_output=True, text=True, check=True, timeout=300, cwd=tmp_path, preexec_fn=without_roots_permissions,
        )  # fmt: skip
    answers = [json.loads(line) for line in looked.stdout.splitlines()]
    assert [(name, code) for name, code, *_ in answers] == [(command[0], 0) for command in commands], looked.stdout
    assert json.loads(answers[1][2])["counts"] | {"running": 1, "done": 2} == json.loads(answers[1][2])["counts"]
    assert "the times are not remembered: " in answers[2][3]
    assert state_of(tmp_path / "work") == before


def test_a_plan_remembers_its_timings_and_writes_nothing_else(tmp_path: Path) -> None:
    sweep = tracked_sweep(tmp_path)
    sweep.store.paths(sweep.trials[0].fingerprint).result.unlink()
    command = ["plan", str(sweep.plan.spec.file), "--runs-root", str(sweep.store.runs_root)]
    before = state_of(tmp_path)
    assert CliRunner().invoke(main, [*command, "--no-probe"]).exit_code == 0
    assert state_of(tmp_path) == before
    assert CliRunner().invoke(main, command).exit_code == 0
    assert set(state_of(tmp_path)) - set(before) == {str(sweep.store.runs_root / "cost.json")}


def test_who_looks_at_a_lock_neither_makes_nor_takes_it(tmp_path: Path) -> None:
    lock = tmp_path / ".lock"
    assert not is_held(lock) and not lock.exists()
    with filelock.FileLock(lock):
        assert is_held(lock) and is_held(lock)
    assert not is_held(lock)
    with filelock.FileLock(lock, timeout=0):
        pass
