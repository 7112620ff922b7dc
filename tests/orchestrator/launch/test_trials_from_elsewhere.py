"""Trials that a machine without the orchestrator trains: asked for by `fsl plan`, trained by `fsl_core.train`, taken up by `fsl bring`."""

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from fsl_core.sealed import SEAL, unsealed
from fsl_core.train import main as train_command
from fsl_core.training import compiled_functions
from fsl_core.training.execution_path import ExecutionPath
from fsl_core.training.path_file import PATH_FILE, read_path, write_path
from fsl_core.training.requested_trial import TrainingPlace, train_requested
from fsl_core.training.trial_folder import TrialFolder
from fsl_core.training.trial_paths import TrialPaths
from fsl_core.training.trial_records import ExecutionRecord, FailureRecord
from orchestrator.cli.main import main
from orchestrator.launch.trial_requests import write_requests
from orchestrator.records.store import Store
from orchestrator.records.trial_record import TrialRecord
from orchestrator.sweep.plan import Plan, PlannedTrial
from orchestrator.tracking.tracker import NullTracker
from tests.orchestrator.records.edited_record import edit
from tests.orchestrator.small_sweep import contents, launch, small_plan

ABSENT = (
    "torchvision",
    "ray",
    "mlflow",
    "pandas",
    "click",
    "pydantic",
    "filelock",
    "rich",
    "matplotlib",
    "scipy",
    "pyarrow",
    "psutil",
    "orchestrator",
)
WITHOUT = f"""
import runpy, sys
sys.modules.update(dict.fromkeys({ABSENT!r}))  # None: to import one of them raises ImportError
runpy.run_module("fsl_core.train", run_name="__main__", alter_sys=True)
"""


def train(*arguments: object) -> list[str]:
    """The command that trains in a process which has torch, numpy and Pillow, and nothing of the orchestrator's."""
    return [sys.executable, "-c", WITHOUT, *map(str, arguments), "--device", "cpu"]


def fsl(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


class Elsewhere:
    """A sweep, the folder in which its trials were asked for, and what a run of it in this process gives."""

    def __init__(self, folder: Path) -> None:
        self.plan = small_plan(folder, steps="10")
        self.asked, self.prepared, self.runs = folder / "asked", folder / "prepared", folder / "runs"
        launch(self.plan, self.runs)
        self.expected = contents(self.runs)


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Elsewhere:
    """The sweep, trained beside a folder that nobody asked for: what is wrong with one trial stops no other."""
    made = Elsewhere(tmp_path_factory.mktemp("elsewhere"))
    written = fsl("plan", made.plan.spec.file, "--set", "steps=10", "--runs-root", made.runs.with_name("empty"), "--no-probe",
                  "--write-trials", made.asked)  # fmt: skip
    assert written.exit_code == 0, written.output
    assert "2 trials to train" in written.stderr
    for trial in made.plan.trials:  # equal bits are promised for equal paths
        shutil.copy(made.runs / "trials" / trial.fingerprint / PATH_FILE, made.asked / trial.fingerprint)
    stray = made.asked / ("0" * 16)
    stray.mkdir()
    done = subprocess.run(
        train(*sorted(made.asked.iterdir()), "--prepared", made.prepared), capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 3, done.stderr
    assert "1 failed, 2 done" in done.stderr and f"{stray} failed" in done.stderr
    assert list(stray.iterdir()) == []
    shutil.rmtree(stray)
    return made


def test_what_a_machine_without_the_orchestrator_trains_has_the_bits_of_a_run_here(elsewhere: Elsewhere):
    for name, content in elsewhere.expected.items():
        assert (elsewhere.asked / Path(name).relative_to("trials")).read_bytes() == content


def test_a_finished_trial_is_not_trained_again(elsewhere: Elsewhere):
    said: list[str] = []
    place = TrainingPlace(data_root=None, prepared=elsewhere.prepared.with_name("nothing"), notice=said.append)
    folders = [elsewhere.asked / trial.fingerprint for trial in elsewhere.plan.trials]
    assert {ending for folder in folders for ending in train_requested([folder], place)} == {"done"}
    assert said == [] and not place.prepared.exists()


def test_what_is_brought_counts_as_finished_and_says_who_trained_it(elsewhere: Elsewhere, tmp_path: Path):
    runs = tmp_path / "runs"
    brought = fsl("bring", elsewhere.asked, "--runs-root", runs)
    assert brought.exit_code == 0, brought.output
    tracker = Shown()
    outcome = launch(elsewhere.plan, runs, tracker=tracker)
    assert outcome.complete and outcome.computed == ()
    assert sorted(tracker.trials) == sorted(trial.fingerprint for trial in elsewhere.plan.trials)
    assert {host for _, host in tracker.trials.values()} == {socket.gethostname()}
    table = fsl("table", elsewhere.plan.spec.file, "--set", "steps=10", "--runs-root", runs)
    assert table.exit_code == 0 and table.stdout.count("2/2") == 2, table.output
    assert contents(runs) == elsewhere.expected
    for trial in elsewhere.plan.trials:
        execution = outcome.records[trial.fingerprint].execution
        assert execution is not None and execution.device == "cpu" and execution.attempts == 1
        assert set(execution.evaluations) == {each.fingerprint for each in trial.evaluations}
        assert execution == TrialFolder.at(elsewhere.asked / trial.fingerprint).record(ExecutionRecord)
    again = fsl("bring", elsewhere.asked, "--runs-root", runs)
    assert again.exit_code == 0 and again.stdout.count("known: ") == 2
    assert contents(runs) == elsewhere.expected


class Shown(NullTracker):
    """A tracker that remembers which weights it was to show, and on which machine they were trained."""

    def __init__(self) -> None:
        self.trials: dict[str, tuple[str | None, str]] = {}

    def sync_trial(self, trial: PlannedTrial, record: TrialRecord, paths: TrialPaths) -> str | None:
        assert record.result is not None and record.execution is not None and paths.selected.is_file()
        self.trials[trial.fingerprint] = record.result.weights_digest, record.execution.host
        return None


def unseal(path: Path) -> None:
    path.write_text(json.dumps({key: value for key, value in json.loads(path.read_bytes()).items() if key != SEAL}))


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def score_in(folder: Path) -> Path:
    return min((folder / "evaluations").glob("*.json"))


def other_images(folder: Path) -> None:
    for path in (folder / "result.json", score_in(folder)):
        edit(path, data_digest="f" * 64)


def other_classes(folder: Path) -> None:
    classes = dict(unsealed(score_in(folder).read_bytes())[0]["classes"])
    edit(score_in(folder), classes={**classes, "episodes": list(reversed(classes["episodes"]))})


TAMPERED: Mapping[str, tuple[Callable[[Path], Any], str]] = {
    "an edited result": (lambda folder: flip(folder / "result.json"), "result.json is damaged"),
    "a result without a seal": (
        lambda folder: unseal(folder / "result.json"),
        "has no digest of its content",
    ),
    "another trial's result": (lambda folder: edit(folder / "result.json", fingerprint="0" * 16), "the document says"),
    "too many steps": (lambda folder: edit(folder / "result.json", steps_done=11), "steps_done is 11"),
    "other weights": (lambda folder: flip(folder / "selected.pt"), "selected.pt"),
    "no weights": (lambda folder: (folder / "selected.pt").unlink(), "selected.pt"),
    "other images": (other_images, "the trial saw glyphs images with digest ffff"),
    "other episodes": (lambda folder: edit(score_in(folder), episodes_digest="f" * 64), "is of other episodes"),
    "other classes": (other_classes, "is of other episodes"),
    "counts out of range": (
        lambda folder: edit(score_in(folder), correct=[151] * 20),
        "needs one count per episode, each in 0..",
    ),
    "another accuracy": (lambda folder: edit(score_in(folder), accuracy=0.999), "accuracy"),
    "another's score": (lambda folder: edit(score_in(folder), weights_digest="f" * 64), "unlike its trial and file name"),
    "nobody trained it": (lambda folder: (folder / "execution.json").unlink(), "does not say who trained"),
    "others trained it": (lambda folder: edit(folder / "execution.json", threads=0), "threads is 0"),
    "another edition's request": (lambda folder: edit(folder / "request.json", edition=1), "of the first edition of the recipes"),
}


@pytest.mark.parametrize("name", TAMPERED)
def test_a_tampered_folder_is_refused_by_name_and_leaves_nothing(elsewhere: Elsewhere, tmp_path: Path, name: str):
    tamper, reason = TAMPERED[name]
    trial = elsewhere.plan.trials[0].fingerprint
    shutil.copytree(elsewhere.asked / trial, tmp_path / "asked" / trial)
    tamper(tmp_path / "asked" / trial)
    refused = fsl("bring", tmp_path / "asked", "--runs-root", tmp_path / "runs")
    assert refused.exit_code == 3, refused.output
    assert f"refused: {tmp_path / 'asked' / trial}" in refused.stderr and reason in refused.stderr
    assert not (tmp_path / "runs" / "trials" / trial).exists()


def test_one_refused_folder_keeps_no_other_out_and_a_renamed_one_is_refused(elsewhere: Elsewhere, tmp_path: Path):
    asked = shutil.copytree(elsewhere.asked, tmp_path / "asked")
    first, second = (trial.fingerprint for trial in elsewhere.plan.trials)
    (asked / first).rename(asked / ("0" * 16))
    outcome = fsl("bring", asked, "--runs-root", tmp_path / "runs")
    assert outcome.exit_code == 3 and f"not of {'0' * 16}" in outcome.stderr
    assert {path.name for path in Store(tmp_path / "runs").folders()} == {second}


def test_a_trial_without_a_score_that_was_asked_for_is_not_finished(elsewhere: Elsewhere, tmp_path: Path):
    trial = elsewhere.plan.trials[0].fingerprint
    shutil.copytree(elsewhere.asked / trial, tmp_path / trial)
    score_in(tmp_path / trial).unlink()
    outcome = fsl("bring", tmp_path / trial, "--runs-root", tmp_path / "runs")
    assert outcome.exit_code == 4 and outcome.stdout.startswith("unfinished: ")
    place = TrainingPlace(data_root=None, prepared=elsewhere.prepared)
    assert train_requested([tmp_path / trial], place) == ["done"]
    assert fsl("bring", tmp_path / trial, "--runs-root", tmp_path / "runs").exit_code == 0


@pytest.mark.parametrize("damage", ["truncated", "absent"])
def test_lost_weights_are_retrained_for_a_score_that_is_missing(elsewhere: Elsewhere, tmp_path: Path, damage: str):
    folder = shutil.copytree(
        elsewhere.asked / elsewhere.plan.trials[0].fingerprint, tmp_path / elsewhere.plan.trials[0].fingerprint
    )
    weights, trained = folder / "selected.pt", contents_of(folder)
    whole = weights.read_bytes()
    score_in(folder).unlink()
    weights.unlink() if damage == "absent" else weights.write_bytes(whole[: len(whole) // 2])
    said: list[str] = []
    assert train_requested([folder], TrainingPlace(data_root=None, prepared=elsewhere.prepared, notice=said.append)) == ["done"]
    assert contents_of(folder) == trained
    assert any(message.endswith("the weights are lost; the trial is retrained") for message in said)
    assert any("attempt 2" in message for message in said)
    assert (folder / "selected.pt.corrupt-1").exists() == (damage == "truncated")


def test_lost_weights_that_come_out_otherwise_are_scored_again(elsewhere: Elsewhere, tmp_path: Path):
    """As after a training on another kind of processor, whose weights are lost."""
    folder = shutil.copytree(
        elsewhere.asked / elsewhere.plan.trials[0].fingerprint, tmp_path / elsewhere.plan.trials[0].fingerprint
    )
    trained = contents_of(folder)
    score_in(folder).unlink()
    for path in (folder / "result.json", *(folder / "evaluations").glob("*.json")):
        edit(path, weights_digest="f" * 64)
    said: list[str] = []
    assert train_requested([folder], TrainingPlace(data_root=None, prepared=elsewhere.prepared, notice=said.append)) == ["done"]
    assert any(message.endswith("every evaluation is repeated") for message in said)
    assert contents_of(folder) == trained
    assert (folder / "result.json.corrupt-1").exists()


def contents_of(folder: Path) -> dict[str, bytes]:
    """The result and the scores in a trial's folder."""
    return {path.name: path.read_bytes() for path in (folder / "result.json", *(folder / "evaluations").glob("*.json"))}


def test_what_was_trained_here_to_other_bits_stays(elsewhere: Elsewhere, tmp_path: Path):
    trial = elsewhere.plan.trials[0].fingerprint
    here = shutil.copytree(elsewhere.runs / "trials" / trial, tmp_path / "runs" / "trials" / trial)
    edit(here / "result.json", validation_accuracy=0.125)
    before = contents(tmp_path / "runs")
    outcome = fsl("bring", elsewhere.asked / trial, "--runs-root", tmp_path / "runs")
    assert outcome.exit_code == 0 and "with different bits" in outcome.stdout
    assert contents(tmp_path / "runs") == before


def asked_for(plan: Plan, folder: Path, cache: Path) -> Path:
    (trial, *_) = write_requests(
        plan, Store(folder).records(t.fingerprint for t in plan.trials), folder, data_root=None, cache_root=cache
    )
    return folder / trial.fingerprint


def test_a_trial_that_is_killed_resumes_to_the_same_bits(elsewhere: Elsewhere, tmp_path: Path):
    plan = small_plan(tmp_path, steps="100", validation_every="10")
    folder = asked_for(plan, tmp_path / "asked", elsewhere.prepared)
    command = train(folder, "--prepared", elsewhere.prepared)
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert any("step 10 of 100" in line for line in process.stderr)
        process.kill()
    assert not (folder / "result.json").exists()
    resumed = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert resumed.returncode == 0, resumed.stderr
    assert "resumed select at step" in resumed.stderr and "attempt 2" in resumed.stderr
    here = tmp_path / "runs" / "trials" / folder.name
    here.mkdir(parents=True)
    shutil.copy(folder / PATH_FILE, here)
    launch(plan, tmp_path / "runs")
    for path in (folder / "result.json", *(folder / "evaluations").glob("*.json")):
        assert path.read_bytes() == (here / path.relative_to(folder)).read_bytes()


def test_a_trial_with_a_compiled_path_in_its_folder_keeps_its_code_beside_the_images(
    elsewhere: Elsewhere, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The traced graph takes the place of the code, which takes long to generate."""
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR", raising=False)
    folders: list[Path] = []
    monkeypatch.setattr(
        compiled_functions, "generated", lambda graph: folders.append(Path(os.environ["TORCHINDUCTOR_CACHE_DIR"])) or graph
    )
    folder = asked_for(elsewhere.plan, tmp_path, elsewhere.prepared)
    write_path(folder, ExecutionPath(normalisation="plain", stem="maps", compiled=True))
    assert train_requested([folder], TrainingPlace(data_root=None, prepared=elsewhere.prepared)) == ["done"]
    assert {each.parent for each in folders} == {elsewhere.prepared / ".compiled"}


def test_a_given_path_is_that_of_a_trial_which_has_none(elsewhere: Elsewhere, tmp_path: Path):
    folder = asked_for(elsewhere.plan, tmp_path / "asked", elsewhere.prepared)
    path = ExecutionPath(layout="channels_first", normalisation="library", stem="maps")
    write_path(tmp_path, path)
    command = ["--prepared", str(elsewhere.prepared), "--device", "cpu", "--path", str(tmp_path / PATH_FILE)]
    assert train_command([str(folder), *command]) == 0
    assert read_path(folder / PATH_FILE) == path


@pytest.mark.parametrize(
    ("path", "more", "message"),
    [
        (None, [], "holds no execution path"),
        (ExecutionPath(threads=2), [], "give --device cpu --threads 2"),
        (ExecutionPath(device="cuda"), [], "give --device cuda --threads 1"),
        (ExecutionPath(seeds_together=3), ["--seeds-together", "1"], "is 1, but the path has 3 seeds together"),
        (ExecutionPath(), ["--path", "absent.json"], "absent.json"),
    ],
)
def test_a_path_that_cannot_be_given_is_refused(
    path: ExecutionPath | None, more: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    file = tmp_path / PATH_FILE
    if path is None:
        file.write_text("{}")
    else:
        write_path(tmp_path, path)
    with pytest.raises(SystemExit) as refused:
        train_command([str(tmp_path), "--device", "cpu", "--path", str(file), *more])
    assert refused.value.code == 2
    assert message in capsys.readouterr().err


def test_a_path_of_several_seeds_brings_its_number(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """On a CPU too; the folder itself is none of a trial."""
    write_path(tmp_path, ExecutionPath(seeds_together=3))
    for more in ([], ["--seeds-together", "3"]):
        assert train_command([str(tmp_path), "--device", "cpu", "--path", str(tmp_path / PATH_FILE), *more]) == 3
        assert "it has no request.json" in capsys.readouterr().err


def test_a_trial_that_is_to_see_other_images_is_not_trained(elsewhere: Elsewhere, tmp_path: Path):
    folder = asked_for(elsewhere.plan, tmp_path, elsewhere.prepared)
    request = unsealed((folder / "request.json").read_bytes())[0]
    assert request["data_digest"] == unsealed(next(elsewhere.asked.glob("*/result.json")).read_bytes())[0]["data_digest"]
    edit(folder / "request.json", data_digest="f" * 64)
    assert train_requested([folder], TrainingPlace(data_root=None, prepared=elsewhere.prepared)) == ["failed"]
    failure = TrialFolder.at(folder).record(FailureRecord)
    assert failure is not None and failure.cause.startswith("DataChangedError: the trial is to see glyphs images")


def test_a_trial_that_another_process_works_on_is_left_to_it(elsewhere: Elsewhere, tmp_path: Path):
    folder = asked_for(elsewhere.plan, tmp_path, elsewhere.prepared)
    with TrialFolder.at(folder).held() as free:
        assert free
        assert train_requested([folder], TrainingPlace(data_root=None, prepared=elsewhere.prepared)) == ["held"]
        assert fsl("bring", folder, "--runs-root", tmp_path / "runs").exit_code == 4


def test_what_is_no_folder_of_a_trial_is_a_usage_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as ended:
        train_command([str(tmp_path / "absent"), "--device", "cpu"])
    assert ended.value.code == 2 and f"no folder: {tmp_path / 'absent'}" in capsys.readouterr().err
