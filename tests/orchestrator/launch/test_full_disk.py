"""A disk that is full: the path is named, what is kept is said, and with some space the same command ends as if nothing had been."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from orchestrator.cli.main import main
from tests.orchestrator.small_sweep import Recorder, contents, launch, small_plan

STEPS = "60"
LIMITED = """
import resource, sys
from pathlib import Path
from tests.orchestrator.small_sweep import Recorder, launch, small_plan
folder, view = Path(sys.argv[1]), Recorder()
plan = small_plan(folder, steps=sys.argv[2])
resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, 30_000))
outcome = launch(plan, folder, view=view)
print(len(outcome.failed), *[event.message for event in view.events if event.kind == "failed"], sep="\\n")
"""


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, of 16 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.geteuid() != 0 or not shutil.which("mount"):
        pytest.skip("only root can mount a small file system")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(folder)], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"no small file system can be mounted here: {mounted.stderr.decode(errors='replace').strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same work where nothing is full."""
    folder = tmp_path_factory.mktemp("whole")
    launch(small_plan(folder, steps=STEPS), folder)
    return folder


def test_a_full_disk_fails_the_trials_with_the_path_and_more_space_ends_them_to_the_bit(whole: Path, disk: Path) -> None:
    shutil.copytree(whole / "data", disk / "data")
    view, plan = Recorder(), small_plan(disk, steps=STEPS)
    fill(disk, but=110_000)  # a checkpoint, and another one in part
    outcome = launch(plan, disk, view=view)
    assert len(outcome.failed) == 2 and not outcome.complete
    messages = [event.message for event in view.events if event.kind == "failed"]
    named = rf"OSError: \[Errno 28\] No space left on device: '{disk}/trials/[0-9a-f]{{16}}/[^']+'; free some space: it "
    assert all(re.match(named, message) for message in messages), messages
    assert re.search(r"it resumes from step [1-9]\d*$", messages[0]), messages
    (disk / "ballast").unlink()
    assert launch(plan, disk).complete
    assert contents(disk) == contents(whole)


def test_a_limit_on_the_size_of_files_is_met_in_the_same_way(whole: Path, tmp_path: Path) -> None:
    """Needs no root: a process that may write no file of more than 30 kB."""
    shutil.copytree(whole / "data", tmp_path / "data")
    command = [sys.executable, "-c", LIMITED, str(tmp_path), STEPS]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=True)
    failed, *messages = done.stdout.splitlines()
    assert failed == "2" and len(messages) == 2
    assert all("[Errno 27] File too large: " in message and "it begins at step 0" in message for message in messages), messages
    assert launch(small_plan(tmp_path, steps=STEPS), tmp_path).complete
    assert contents(tmp_path) == contents(whole)


def test_a_table_that_finds_no_space_is_printed_and_said_to_be_unwritten(whole: Path, disk: Path) -> None:
    """Nothing is left to compute: the records stay, and the command is incomplete."""
    shutil.copytree(whole, disk / "runs")
    sweep = whole / "small.yaml"
    places = ("--runs-root", disk / "runs", "--results-root", disk, "--tracking-uri", f"sqlite:///{whole}/mlflow.db")
    (disk / "small").mkdir()
    fill(disk, but=20_000)
    result = fsl("run", sweep, *places, "--set", f"steps={STEPS}", "--executor", "in-process", "-y")
    assert result.exit_code == 4, result.output
    assert result.stdout.startswith("A small sweep on glyphs\n") and "2/2" in result.stdout
    assert re.search(
        rf"the table's files could not be written \(No space left on device: {disk}/runs/sweeps/small/", result.stderr
    )
    assert "once that is mended, the same command writes them" in result.stderr
    (disk / "ballast").unlink()
    assert fsl("run", sweep, *places, "--set", f"steps={STEPS}", "--executor", "in-process", "-y").exit_code == 0


def fill(disk: Path, *, but: int) -> None:
    (disk / "ballast").write_bytes(bytes(shutil.disk_usage(disk).free - but))


def fsl(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])
