"""``fsl plan``: the answer first, nothing prepared, nothing unknown passed off as 0, and options for what is probed."""

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import Result

from fsl_core.provenance import running_code
from fsl_core.training import recorded_kind
from fsl_core.training.timing import Timing
from fsl_core.training.unit_work import UnitWork
from orchestrator.execution.compute import GPU_SHARE, Node
from orchestrator.execution.messages import Cluster
from orchestrator.launch.launches import record_launch
from orchestrator.sweep.loader import load_sweep
from orchestrator.sweep.plan import build_plan
from tests.orchestrator.cli.test_commands import Workplace, clean_environment
from tests.orchestrator.records.edited_record import edit

__all__ = ["clean_environment"]


class Machine:
    """What stands in for the machine that steps are timed on: how busy it is, and for what it was asked."""

    def __init__(self) -> None:
        self.busy = False
        self.asked: list[dict[str, Any]] = []

    def measure(self, work: UnitWork, **how: Any) -> Timing:
        self.asked.append(how)
        return Timing(seconds=(0.001,), wall=(0.004 if self.busy else 0.001,))


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    there = Machine()
    monkeypatch.setattr("fsl_core.training.probe.measure", there.measure)
    return there


@pytest.fixture
def fresh(tmp_path: Path) -> Workplace:
    return Workplace(tmp_path)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workplace]:
    workplace = Workplace(tmp_path_factory.mktemp("done"))
    result = workplace.run("--no-probe")
    assert result.exit_code == 0, result.output
    yield workplace


def plan(workplace: Workplace, *arguments: object) -> dict[str, Any]:
    result = workplace.read("plan", "--json", *arguments)
    assert result.exit_code == 0, result.output
    document: dict[str, Any] = json.loads(result.stdout)
    return document


def sources(document: dict[str, Any]) -> set[str]:
    return {trial["predicted_from"] for trial in document["trials"]}


def test_the_answer_comes_first_and_the_trials_only_where_asked_for(fresh: Workplace) -> None:
    lines = fresh.read("plan").stdout.splitlines()
    assert lines[0] == "A small sweep on glyphs"
    assert lines[2].startswith("about ") and ", for 2 trials, " in lines[2]
    assert lines[-1] == f"sweep file: {fresh.sweep}"
    fingerprint = plan(fresh)["trials"][0]["fingerprint"]
    assert fingerprint not in "\n".join(lines)
    assert fingerprint in fresh.read("plan", "--trials").stdout


def test_one_of_something_is_one(fresh: Workplace) -> None:
    text = fresh.read("plan", "--only", "way=5", "--seeds", "0").stdout
    assert ", for 1 trial, 1 at a time, on this machine" in text
    assert "1 cell, 1 trial (0 fewer than without sharing), 1 to do" in text


def test_the_range_of_start_up_is_said(fresh: Workplace) -> None:
    """It is nearly all that a short sweep takes."""
    assert "; start-up, 10 to 90 s and for each trial 2 to 12 s" in fresh.read("plan").stdout
    assert "; start-up, 5 to 40 s and for each trial 0 to 1 s" in fresh.read("plan", "--executor", "in-process").stdout


def test_no_image_is_prepared_for_a_plan(fresh: Workplace) -> None:
    result = fresh.read("plan")
    assert [path.name for path in fresh.runs.iterdir()] == ["cost.json"]
    assert "the images of glyphs are not prepared yet; `fsl data prepare glyphs` or `fsl run` does that" in result.stdout
    assert plan(fresh)["unprepared_datasets"] == ["glyphs"]


def test_probes_are_said_remembered_and_made_anew_when_asked(fresh: Workplace) -> None:
    first = fresh.read("plan", "--json")
    assert "timing single steps of a kind of trial" in first.stderr
    assert sources(json.loads(first.stdout)) == {"probe"}
    again = fresh.read("plan", "--json")
    assert sources(json.loads(again.stdout)) == {"remembered probe"} and again.stderr == ""
    assert sources(plan(fresh, "--fresh")) == {"probe"}


def test_without_probes_what_never_ran_is_unknown_and_not_0(fresh: Workplace) -> None:
    document = plan(fresh, "--no-probe")
    assert sources(document) == {"unknown"} and document["unknown_trials"] == 2
    assert document["total_seconds"] is document["known_seconds"] is None and document["trials"][0]["predicted_seconds"] is None
    text = fresh.read("plan", "--no-probe").stdout
    assert "an unknown time, for 2 trials" in text and "about" not in text
    assert not fresh.runs.exists()


def test_what_was_timed_on_a_busy_machine_is_said_and_timed_again_when_it_is_quiet(fresh: Workplace, machine: Machine) -> None:
    machine.busy = True
    first = fresh.read("plan", "--trials")
    assert "timed while this machine was busy: steps of 2 trials; the next `fsl plan`" in first.stdout
    assert "under Ray other programs come first" in first.stdout
    assert "under Ray" not in fresh.read("plan", "--no-probe", "--executor", "in-process").stdout
    assert "busy probe" in first.stdout
    machine.busy, timed = False, len(machine.asked)
    again = fresh.read("plan", "--json")
    assert "timing again what was timed while this machine was busy" in again.stderr
    assert sources(json.loads(again.stdout)) == {"probe"} and len(machine.asked) == 2 * timed
    assert sources(plan(fresh)) == {"remembered probe"} and len(machine.asked) == 2 * timed


def test_a_machine_that_stays_busy_is_asked_once_a_command(fresh: Workplace, machine: Machine) -> None:
    machine.busy = True
    plan(fresh)
    timed = len(machine.asked)
    assert sources(plan(fresh)) == {"busy probe"} and len(machine.asked) == timed + 1
    assert sources(plan(fresh, "--no-probe")) == {"busy probe"} and len(machine.asked) == timed + 1


def test_a_sweep_that_is_done_has_nothing_left(done: Workplace) -> None:
    document = plan(done)
    assert sources(document) == {"earlier trials"}
    assert document["total_seconds"] == {"low": 0, "likely": 0, "high": 0}
    text = done.read("plan").stdout
    assert "nothing is left to do" in text and "2 cells, 2 trials (2 fewer than without sharing), 0 to do" in text


def test_what_is_left_is_learnt_from_what_is_done(done: Workplace) -> None:
    document = plan(done, "--seeds", "0,1,2", "--set", "outer_lr=0.1")
    assert sources(document) == {"earlier trials"}, "a learning rate costs nothing"
    total = document["total_seconds"]
    assert 0 < total["low"] < total["likely"] < total["high"]
    assert sources(plan(done, "--seeds", "3", "--fresh")) == {"probe"}


def test_what_only_trials_of_other_code_tell_of_is_marked(done: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    other = dataclasses.replace(running_code(), code_digest="f" * 64)
    monkeypatch.setattr("orchestrator.launch.known_costs.running_code", lambda: other)
    (done.runs / "cost.json").unlink(missing_ok=True)
    arguments = ("--seeds", "3", "--no-probe")
    assert sources(plan(done, *arguments)) == {"trials of other code"}
    assert "from trials of other code: steps of 1 trial" in done.read("plan", *arguments).stdout


def test_what_only_probes_of_other_code_tell_of_is_marked(fresh: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    assert sources(plan(fresh)) == {"probe"}
    monkeypatch.setattr("orchestrator.launch.known_costs.step_code_digest", lambda: "f" * 64)
    assert sources(plan(fresh, "--no-probe")) == {"probes of other code"}
    text = fresh.read("plan", "--no-probe").stdout
    assert "from probes of other code: steps of 2 trials" in text and "0.5 to 2 times what steps took in probes of other" in text
    assert sources(plan(fresh)) == {"probe"}, "this code is timed anew"
    assert sources(plan(fresh)) == {"remembered probe"}


def test_one_trial_at_a_time_takes_longer(fresh: Workplace) -> None:
    plan(fresh)
    assert plan(fresh, "--executor", "in-process")["slots"] == 1
    assert plan(fresh, "--max-concurrent", 1)["slots"] == 1
    assert ", 1 at a time, on this machine" in fresh.run("--dry-run").stdout


@pytest.mark.parametrize(("options", "device", "threads"), [((), "cpu", 1), (("--device", "cpu", "--threads", 2), "cpu", 2)])
def test_a_prediction_is_for_the_device_and_the_threads_that_are_asked_for(
    fresh: Workplace, machine: Machine, monkeypatch: pytest.MonkeyPatch, options: tuple[object, ...], device: str, threads: int
) -> None:
    monkeypatch.setattr("orchestrator.execution.machine.usable_cpus", lambda: 6)
    result = fresh.run("--dry-run", "--executor", "ray", "--device", "cpu", *options)
    assert result.exit_code == 0, result.output
    assert machine.asked and all(how == {"device": device, "threads": threads} for how in machine.asked)
    timed = len(machine.asked)
    document = plan(fresh, "--device", "cpu", *options)
    assert (document["device"], document["threads"], document["slots"]) == (device, threads, 6 // threads)
    assert sources(document) == {"remembered probe"} and len(machine.asked) == timed
    assert sources(plan(fresh, "--device", "cpu", "--threads", 3, "--no-probe")) == {"unknown"}


def test_a_plan_foretells_that_a_run_refuses_the_name(fresh: Workplace) -> None:
    record_launch(fresh.runs / "sweeps" / "small", build_plan(load_sweep(fresh.sweep)))
    assert "will refuse" not in fresh.read("plan", "--no-probe").stderr
    other = fresh.folder / "other.yaml"
    other.write_text(fresh.sweep.read_text() + "# another file\n")
    planned = fresh.fsl("plan", other, "--runs-root", fresh.runs, "--no-probe", "--set", "steps=7")
    assert planned.exit_code == 0
    assert "fsl run will refuse this sweep: two sweep files share the name 'small'" in planned.stderr


def test_more_threads_than_this_machine_has_are_refused_and_not_waited_for(
    fresh: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.execution.machine.usable_cpus", lambda: 2)
    refused = fresh.run("--executor", "ray", "--threads", 3)
    assert refused.exit_code == 2
    assert "each trial takes 3 CPUs, and this machine has 2 CPUs" in refused.stderr


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")
def test_what_a_processor_took_is_never_counted_for_a_gpu(done: Workplace, machine: Machine) -> None:
    """The trials of the plan are done on the processor, and its steps were timed there: of a GPU nothing is known by that."""
    assert sources(plan(done, "--seeds", "0,1,2")) == {"earlier trials"}
    timed = len(machine.asked)
    result = done.run("--dry-run", "--seeds", "0,1,2", "--device", "cuda", "--executor", "ray")
    assert result.exit_code == 0, result.output
    assert "an unknown time, for 1 trial" in result.stdout and "on a GPU, which this machine does not have" in result.stdout
    document = plan(done, "--seeds", "0,1,2", "--device", "cuda")
    assert sources(document) == {"unknown"} and len(machine.asked) == timed
    assert (document["device"], document["device_name"], document["gpus_per_trial"]) == ("cuda", None, GPU_SHARE)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")
def test_what_a_trial_took_on_a_gpu_is_known_where_its_records_were_brought(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workplace = Workplace(tmp_path)
    assert workplace.run("--no-probe", "--seeds", "0", "--set", "steps=5").exit_code == 0
    (execution,) = workplace.runs.glob("trials/*/execution.json")
    on_gpu = {"device": "cuda", "device_name": "a GPU", "peak_memory_bytes": 2**29}
    scores = json.loads(execution.read_text())["evaluations"]
    edit(execution, **on_gpu, evaluations={name: {**score, **on_gpu} for name, score in scores.items()})
    monkeypatch.setattr("orchestrator.execution.machine.usable_cpus", lambda: 8)
    arguments = ("--set", "steps=5", "--device", "cuda")
    assert sources(plan(workplace, *arguments)) == {"earlier trials"}
    assert plan(workplace, *arguments)["slots"] == 4
    notice = "each trial reserves 0.25 of a GPU: the GPUs are not this machine's"
    assert notice in workplace.read("plan", *arguments).stderr
    monkeypatch.setattr("orchestrator.execution.machine.gpu_memory", lambda: 4 * 2**30)
    assert plan(workplace, *arguments)["slots"] == 3, "by the memory that the finished trial took"
    assert "of a GPU:" not in workplace.read("plan", *arguments).stderr
    assert plan(workplace, *arguments, "--gpus-per-trial", 0.5)["slots"] == 2
    assert plan(workplace, *arguments, "--gpus-per-trial", 0.1, "--max-concurrent", 5)["slots"] == 5
    assert sources(plan(workplace, *arguments[:2], "--device", "cpu", "--no-probe")) == {"unknown"}


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")
def test_a_plan_for_a_gpu_says_how_it_counts_the_choice_of_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorded_kind, "COMPILED_STEPS_ARE_CHOSEN", True)
    workplace = Workplace(tmp_path)
    assert workplace.run("--no-probe", "--seeds", "0", "--set", "steps=5").exit_code == 0
    (execution,) = workplace.runs.glob("trials/*/execution.json")
    scores = json.loads(execution.read_text())["evaluations"]
    arguments = ("plan", "--set", "steps=5", "--device", "cuda", "--seeds", "0,1,2")
    for train_seconds, compiled in ((5.0, False), (500.0, True)):
        on_gpu = {"device": "cuda", "device_name": "a GPU", "code_digest": "another"}
        edit(
            execution,
            **on_gpu,
            train_seconds=train_seconds,
            evaluations={name: {**each, **on_gpu} for name, each in scores.items()},
        )
        printed = workplace.read(*arguments).stdout
        assert "counted: choosing an execution path, 1 time, 5 to 40 s each" in printed
        assert ("counted: compiling a training step, 1 time, 45 to 160 s each" in printed) == compiled
        assert ("not counted: compiled steps may take half as long" in printed) == compiled
    (path,) = workplace.runs.glob("trials/*/path.json")
    given = workplace.run("--dry-run", *arguments[1:], "--path", path)
    assert given.exit_code == 0 and "execution path" not in given.stdout
    assert "execution path" not in workplace.read(*arguments[:3], "--device", "cpu", "--no-probe").stdout


CLUSTER = Cluster(nodes=(Node(cpus=64), Node(cpus=4, gpus=4), Node(cpus=3)))


def test_the_slots_of_a_cluster_are_what_fits_into_each_of_its_nodes(fresh: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.execution.cluster.describe_cluster", lambda address: CLUSTER)
    there = ("--address", "127.0.0.1:6379")
    assert plan(fresh, *there, "--device", "cpu")["slots"] == 71
    assert plan(fresh, *there, "--device", "cpu", "--threads", 2)["slots"] == 32 + 2 + 1
    on_gpus = plan(fresh, *there)
    assert (on_gpus["device"], on_gpus["slots"]) == ("cuda", 4), "only as many as its node's CPUs"
    assert plan(fresh, *there, "--gpus-per-trial", 2)["slots"] == 2
    assert "on the cluster, each as fast as on this machine" in fresh.read("plan", *there, "--device", "cpu").stdout


def test_a_cluster_that_is_too_small_as_yet_may_grow(fresh: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.execution.cluster.describe_cluster", lambda address: Cluster(nodes=(Node(cpus=0),)))
    assert plan(fresh, "--address", "127.0.0.1:6379", "--threads", 2)["slots"] == 1


def test_the_plan_can_be_looked_at_where_nothing_can_be_written(fresh: Workplace) -> None:
    (fresh.runs / "cost.json").mkdir(parents=True)  # what no user, root neither, can replace by a file
    result = fresh.read("plan")
    assert result.exit_code == 0, result.output
    assert "the times are not remembered" in result.stderr


def test_of_very_many_cells_some_are_listed_and_the_rest_counted(fresh: Workplace) -> None:
    rates = "[" + ", ".join(f"0.{number:04}" for number in range(1, 151)) + "]"
    text = fresh.read("plan", "--no-probe", "--set", f"outer_lr={rates}").stdout
    assert "… and 200 more cells; --trials lists all" in text
    assert len(text.splitlines()) < 120


def test_cells_that_no_score_can_reproduce_are_named_before_anything_is_trained(fresh: Workplace) -> None:
    """The 2018 article's plain cosine: 500 answers at 92.0% leave ±2.4 points open, against a margin of 0.5."""
    article = Path(__file__).parents[3] / "sweeps" / "matching_2018.yaml"
    arguments = ("plan", article, "--no-probe", "--runs-root", fresh.runs, "--only", "distance=cosine,way=5")
    text = fresh.fsl(*arguments).stdout
    assert "2 cells can never be `reproduced`" in text and "hardly" not in text
    assert "±2.39" in text
    verdicts = json.loads(fresh.fsl(*arguments, "--json").stdout)["verdicts"]
    assert [(each["published"], each["margin_points"], each["reproducible"]) for each in verdicts] == [
        ("Knagg 2018", 0.5, "never")
    ] * 2
    assert verdicts[0]["episodes_ci95_points"] == pytest.approx(2.39, abs=0.01)
    assert plan(fresh, "--no-probe")["verdicts"] == []  # glyphs have no published number


class LaunchedError(Exception):
    """What stands in for a launch: the tests below are about what comes before it."""


@pytest.fixture
def few_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    def launched(*arguments: object, **options: object) -> None:
        raise LaunchedError

    monkeypatch.setattr("orchestrator.launch.forecast.ASK_FROM_TRIALS", 1)
    monkeypatch.setattr("orchestrator.launch.launching.run_sweep", launched)


def run(workplace: Workplace, *arguments: str) -> Result:
    """Standard input is at its end, so that a question remains without an answer."""
    return workplace.fsl("run", workplace.sweep, "--runs-root", workplace.runs, "--executor", "in-process", *arguments)


@pytest.mark.usefixtures("few_are_many")
def test_a_run_of_many_trials_asks_before_images_are_prepared(fresh: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.cli.run.somebody_can_answer", lambda: True)
    asked = run(fresh)
    assert "predicted: about" in asked.stderr and "for 2 trials, 1 at a time\nContinue?" in asked.stderr
    assert not isinstance(asked.exception, LaunchedError) and not (fresh.runs / "data").exists()
    answered = run(fresh, "-y")
    assert "Continue?" not in answered.stderr and (fresh.runs / "data" / "glyphs-28").exists()


@pytest.mark.usefixtures("few_are_many")
def test_nobody_is_asked_where_nobody_can_answer(fresh: Workplace) -> None:
    asked = run(fresh)
    assert "Continue?" not in asked.stderr and (fresh.runs / "data" / "glyphs-28").exists()
