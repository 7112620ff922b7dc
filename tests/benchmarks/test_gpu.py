"""The benchmark of a GPU runs on a CPU with hardly any work, and its hours are the sums of what it measured."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks import gpu, gpu_projection, gpu_steps
from benchmarks.gpu import main
from benchmarks.gpu_page import file_stem
from benchmarks.gpu_projection import requests_in
from benchmarks.gpu_workloads import WORKLOADS, tiny
from benchmarks.score import quartiles
from fsl_core.recipe.algorithm_settings import MamlSettings
from fsl_core.recipe.recipe import Evaluation, TrainingRecipe
from fsl_core.training import recorded_kind
from fsl_core.training.execution_path import ExecutionPath
from fsl_core.training.trial_folder import TrialFolder
from fsl_core.training.trial_request import TrialRequest
from fsl_core.training.unit_work import step_bill
from tests.test_import_boundaries import ROOT, imported

STEPS, EVERY, EPISODES = 70, 7, 10


@pytest.fixture(scope="module")
def trials(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Requests of two trials on Omniglot: Prototypical Networks, and MAML of order 1."""
    folder = tmp_path_factory.mktemp("trials")
    for workload in (tiny(WORKLOADS[5]), tiny(WORKLOADS[1])):
        recipe = workload.recipe
        watched = replace(recipe.validation, every=EVERY, episodes=EPISODES)
        recipe = replace(recipe, steps=STEPS, validation=watched)
        adapting = 2 if isinstance(recipe.algorithm, MamlSettings) else None
        evaluation = Evaluation(shape=recipe.episode, episodes=EPISODES, adaptation_steps=adapting)
        trial = TrialFolder.at(folder / recipe.fingerprint)
        trial.paths.folder.mkdir()
        trial.write_request(TrialRequest(name=workload.title, recipe=recipe, evaluations=(evaluation,)))
    return folder


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("_ENOUGH_SECONDS", 0.01), ("_LEAST_BATCHES", 2), ("_BATCH_SECONDS", 0.001)):
        monkeypatch.setattr(gpu_steps, name, value)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs the C++ compiler g++ on a CPU")
def test_it_times_the_steps_and_projects_the_hours(trials: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chosen = (WORKLOADS[1], WORKLOADS[5])
    asked = [argument for each in chosen for argument in ("--workload", each.title)]
    main(["--device", "cpu", "--results", str(tmp_path), "--trials", str(trials), "--minutes", "9", *asked])
    (file,) = tmp_path.glob("gpu-cpu-*.json")
    document = json.loads(file.read_text())
    assert [each["title"] for each in document["steps"]] == [each.title for each in chosen]
    compiled = [[path["preparing"] for path in each["paths"] if path["path"]["compiled"]] for each in document["steps"]]
    assert [len(seconds) for seconds in compiled] == [1, 0]
    for each in document["steps"]:
        assert all(path["problem"] is None for path in each["paths"])
        alone = [path for path in each["paths"] if path["path"]["seeds_together"] == 1]
        (together,) = [path for path in each["paths"] if path not in alone]
        eager = [path for path in alone if not path["path"]["compiled"]]
        assert together["path"] == {**min(eager, key=median)["path"], "seeds_together": 3}
        assert each["fastest"] == min(alone, key=median)
        assert all(0 < path["milliseconds"]["low"] <= median(path) <= path["milliseconds"]["high"] for path in each["paths"])
    check_projection(document["projection"], trials)
    page = file.with_suffix(".md").read_text()
    assert ", compiled | " in page
    assert all(f"### {each.title}" in page for each in chosen)
    assert "Projected hours of 2 trials" in page
    assert "written: " in capsys.readouterr().out


def median(timing: dict[str, Any]) -> float:
    return timing["milliseconds"]["median"]


def check_projection(projection: dict[str, object], trials: Path) -> None:
    groups = {each["name"]: each for each in projection["groups"]}  # type: ignore[attr-defined]
    assert sorted(groups) == ["all", "maml order 1, omniglot", "prototypical, omniglot"]
    whole = groups.pop("all")
    assert (whole["trials"], whole["counted"], projection["unknown"]) == (2, 2, 0)
    for part in ("least", "most", "steps", "validations", "evaluations"):
        assert whole[part] == pytest.approx(sum(each[part] for each in groups.values()))
    assert whole["most"] == pytest.approx(whole["steps"] + whole["validations"] + whole["evaluations"])
    assert whole["least"] == pytest.approx(whole["most"]), "neither has patience"
    medians = [each["milliseconds"]["median"] for each in projection["steps"]]  # type: ignore[attr-defined]
    assert len(medians) == len({step_bill(each.recipe) for each in requests_in(trials)}) == 2
    assert whole["steps"] == pytest.approx(sum(medians) * STEPS / 1000 / 3600)


def test_trials_without_a_measured_unit_are_not_counted(trials: Path, tmp_path: Path) -> None:
    arguments = ["--device", "cpu", "--results", str(tmp_path), "--trials", str(trials)]
    main([*arguments, "--minutes", "0", "--projection-minutes", "0", "--workload", "Prototypical Networks, Omniglot"])
    (file,) = tmp_path.glob("*.json")
    document = json.loads(file.read_text())
    assert document["steps"][0]["tf32"] == [], "a CPU has no TF32"
    assert [path["problem"] for path in document["steps"][0]["paths"]] == [None, *["no time was left"] * 3, None]
    projection = document["projection"]
    assert projection["unknown"] > 0
    assert projection["groups"][-1]["counted"] < projection["groups"][-1]["trials"] == 2
    assert "0/2 | – |" in file.with_suffix(".md").read_text()


@pytest.mark.parametrize("arguments", [["--device", "cpu"], ["--device", "cpu", "--results", "x", "--trials", "/nowhere"]])
def test_what_it_cannot_do_is_refused(arguments: list[str]) -> None:
    with pytest.raises(SystemExit):
        main(arguments)


def test_a_projection_counts_a_compiled_step_where_a_launch_would_choose_it(
    trials: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[ExecutionPath] = []

    def timed(recipe: TrainingRecipe, paths: Iterable[ExecutionPath], *, until: float) -> Iterator[gpu_steps.PathTiming]:
        for path in paths:
            asked.append(path)
            each = 1000.0 if path.compiled == (recipe.algorithm.name == "maml") else 4000.0
            yield gpu_steps.PathTiming(path=path, milliseconds=quartiles([each, each]), preparing=0.5)

    monkeypatch.setattr(recorded_kind, "COMPILED_STEPS_ARE_CHOSEN", True)
    for module in (gpu, gpu_projection):
        monkeypatch.setattr(module, "timed_paths", timed)
    arguments = ["--device", "cpu", "--results", str(tmp_path), "--workload", "60-way", "--compile", "nothing"]
    main([*arguments, "--minutes", "9"])
    assert not [path for path in asked if path.compiled]
    main([*arguments[:-1], "60-way", "--only-compiled", "--trials", str(trials)])
    (file,) = tmp_path.glob("*.json")
    projection = json.loads(file.read_text())["projection"]
    assert [each["path"]["compiled"] for each in projection["compiled"]] == [True], "70 steps of 1 s do not repay it"
    assert {each["recipe"].partition(",")[0]: each["path"]["compiled"] for each in projection["steps"]} == {
        "maml order 1": True,
        "prototypical": False,
    }
    hours = {each["name"]: each["steps"] for each in projection["groups"]}
    assert hours["maml order 1, omniglot"] == hours["prototypical, omniglot"] == pytest.approx(STEPS / 3600)
    main([*arguments[:-1], "60-way", "--only-compiled", "--trials", str(trials), "--projection-minutes", "0"])
    assert json.loads(file.read_text())["projection"]["unknown"] > 0


def test_a_path_that_does_not_work_leaves_its_reason_and_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = tiny(WORKLOADS[5]).recipe
    usual = gpu_steps.kind_of(recipe, "cpu").usual_path()
    other, step = replace(usual, layout="channels_first"), gpu_steps._step

    def without_memory(recipe: TrainingRecipe, path: ExecutionPath, device: torch.device) -> Callable[[], None]:
        if path == other:
            raise torch.OutOfMemoryError("CUDA out of memory\nTried to allocate")
        return step(recipe, path, device)

    monkeypatch.setattr(gpu_steps, "_step", without_memory)
    bad, good = gpu_steps.timed_paths(recipe, [other, usual], until=math.inf)
    assert (bad.milliseconds, bad.problem) == (None, "OutOfMemoryError: CUDA out of memory")
    assert gpu_steps.fastest([bad, good]) == good
    assert gpu_steps.fastest([bad]) is None


def test_only_the_named_steps_are_compiled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[ExecutionPath] = []

    def timed(recipe: TrainingRecipe, paths: Iterable[ExecutionPath], *, until: float) -> Iterator[gpu_steps.PathTiming]:
        for path in paths:
            asked.append(path)
            yield gpu_steps.PathTiming(path=path, milliseconds=quartiles([1.0, 2.0]), preparing=0.5)

    monkeypatch.setattr(gpu, "timed_paths", timed)
    arguments = ["--device", "cpu", "--results", str(tmp_path), "--workload", "Prototypical", "--compile", "60-way"]
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR", raising=False)
    main(arguments)
    assert [path.compiled for path in asked].count(True) == 1
    page = next(tmp_path.glob("*.md")).read_text()
    assert page.count(", compiled |") == 1
    assert "earlier process" not in page
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "/of/mine")
    main(arguments)
    assert "earlier process" in next(tmp_path.glob("*.md")).read_text()


def test_compiled_paths_can_be_added_to_the_results_of_an_earlier_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[ExecutionPath] = []

    def timed(recipe: TrainingRecipe, paths: Iterable[ExecutionPath], *, until: float) -> Iterator[gpu_steps.PathTiming]:
        for path in paths:
            asked.append(path)
            seconds = 0.5 if path.compiled else 1.0
            yield gpu_steps.PathTiming(path=path, milliseconds=quartiles([seconds, seconds]), preparing=0.5)

    monkeypatch.setattr(gpu, "timed_paths", timed)
    arguments = ["--device", "cpu", "--results", str(tmp_path), "--workload", "Prototypical"]
    later = [*arguments, "--only-compiled", "--compile", "60-way"]
    with pytest.raises(SystemExit):
        main(later)
    assert "is absent" in capsys.readouterr().err
    main([*arguments, "--compile", "nothing"])
    assert not [path for path in asked if path.compiled]
    asked.clear()
    monkeypatch.setattr(gpu, "device_has", lambda device, precision: True)
    for _ in range(2):  # the second call's timings take the place of the first one's
        main(later)
    assert [path.compiled for path in asked] == [True] * 4, "in float32 and in TF32"
    (file,) = tmp_path.glob("*.json")
    document = json.loads(file.read_text())
    (step,) = [each for each in document["steps"] if "60-way" in each["title"]]
    assert [[path["path"]["compiled"] for path in step[name]].count(True) for name in ("paths", "tf32")] == [1, 1]
    page = file.with_suffix(".md").read_text()
    assert page.count(" in TF32 | ") == 1
    assert page.count("0.5 [0.5, 0.5], compiled | ") == 1
    by_title = {each["title"]: each for each in document["steps"]}
    assert [each["fastest"]["path"]["compiled"] for each in by_title.values()] == ["60-way" in title for title in by_title]
    with pytest.raises(SystemExit):
        main([*arguments, "--only-compiled", "--compile", "nothing"])
    assert "no step of the earlier call fits; it timed: Prototypical Networks" in capsys.readouterr().err
    file.write_text(json.dumps({**document, "code_digest": "another"}))
    with pytest.raises(SystemExit):
        main(later)
    assert "is of code another" in capsys.readouterr().err


def test_a_file_is_named_after_its_device() -> None:
    assert file_stem("NVIDIA H100 80GB HBM3") == "gpu-nvidia-h100-80gb-hbm3"


def test_it_needs_torch_alone() -> None:
    """And what torch brings: a GPU machine has neither the orchestrator nor its libraries."""
    for file in ("gpu", "gpu_document", "gpu_page", "gpu_projection", "gpu_steps", "gpu_workloads"):
        names = {name.partition(".")[0] for _, name in imported((ROOT / "benchmarks" / f"{file}.py").read_text())}
        assert not names & {"ray", "mlflow", "pandas", "click", "orchestrator", "scipy", "yaml"}, file
