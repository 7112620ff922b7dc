"""Trials of one recipe that train in the same steps: each equals its training alone, whoever else trains, stops, dies or diverges."""

import dataclasses
import math
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fsl_core.datasets.catalogue import SplitDataset
from fsl_core.errors import ExecutionPathError, StopRequested
from fsl_core.recipe.algorithm_settings import MamlSettings
from fsl_core.recipe.backbone_settings import Conv4Settings
from fsl_core.recipe.recipe import TrainingRecipe
from fsl_core.training import stage
from fsl_core.training.execution_path import ExecutionPath
from fsl_core.training.path_file import PATH_FILE, path_as_document, read_path
from fsl_core.training.result import TrialResult
from fsl_core.training.seed_groups import SeedGroup, begun_trial, seed_groups
from fsl_core.training.step_runner import step_runner
from fsl_core.training.trial import run_together, run_trial
from fsl_core.training.trial_run import Trial, TrialRun
from tests.fsl_core.conftest import glyphs_recipe
from tests.fsl_core.test_trial import StopAfter

SEEDS = (0, 1, 2)
THREE = ExecutionPath(seeds_together=3)


def recipe(seed: int = 0, **changes: object) -> TrainingRecipe:
    """Twenty-four steps at most, which stop at different points for different seeds, and a training on more classes after them."""
    whole = glyphs_recipe(seed=seed, steps=24, retrain=True, **changes)
    return dataclasses.replace(whole, validation=dataclasses.replace(whole.validation, every=4, patience=8, selection="accuracy"))


def trials(folder: Path, glyphs: SplitDataset, seeds: Sequence[int] = SEEDS, **run: object) -> list[Trial]:
    return [
        Trial(recipe=recipe(seed), run=TrialRun(folder=folder / str(seed), dataset=glyphs, **{"path": THREE, **run}))  # type: ignore[arg-type]
        for seed in seeds
    ]


def trained(begun: Sequence[Trial]) -> dict[int, TrialResult]:
    """The results of trials by their seeds."""
    return {
        result.recipe.seed: result
        for group in seed_groups([begun_trial(each) for each in begun])
        for result in run_together(group)
    }


@pytest.fixture(scope="module")
def together(glyphs: SplitDataset, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[int, TrialResult], Path]:
    """Three seeds in the same steps, without any interruption."""
    folder = tmp_path_factory.mktemp("together")
    return trained(trials(folder, glyphs)), folder


def test_each_seed_trains_as_it_does_alone(
    together: tuple[dict[int, TrialResult], Path], glyphs: SplitDataset, tmp_path: Path
) -> None:
    for seed, result in together[0].items():
        alone = run_trial(recipe(seed), TrialRun(folder=tmp_path / str(seed), dataset=glyphs, path=ExecutionPath()))
        assert (alone.status, alone.stopped_by, alone.steps_done, alone.selected_step) == (
            result.status, result.stopped_by, result.steps_done, result.selected_step,
        )  # fmt: skip
        assert alone.curves.keys() == result.curves.keys()
        for name, curve in alone.curves.items():
            assert [step for step, _ in curve] == [step for step, _ in result.curves[name]]
            few_answers = 0.02 if name.endswith("accuracy") else 0.0  # rounding decides an answer now and then
            close = pytest.approx([value for _, value in curve], rel=1e-2, abs=few_answers)
            assert [value for _, value in result.curves[name]] == close


def test_the_seeds_of_the_group_differ_and_end_at_different_steps(together: tuple[dict[int, TrialResult], Path]) -> None:
    """Otherwise the other tests would not see a seed that stops before the others."""
    results = together[0].values()
    assert len({result.weights_digest for result in results}) == len(SEEDS)
    assert len({result.steps_done for result in results}) > 1
    assert len({len(result.curves["retrain_train_loss"]) for result in results}) > 1


def test_each_place_is_pinned(together: tuple[dict[int, TrialResult], Path]) -> None:
    for seed in SEEDS:
        assert read_path(together[1] / str(seed) / PATH_FILE) == dataclasses.replace(THREE, place=seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_seed_has_the_same_bits_whoever_else_trains(
    together: tuple[dict[int, TrialResult], Path], glyphs: SplitDataset, tmp_path: Path, seed: int
) -> None:
    """The other places of its path are empty here."""
    folder = tmp_path / str(seed)
    folder.mkdir()
    shutil.copy(together[1] / str(seed) / PATH_FILE, folder)
    assert run_trial(recipe(seed), TrialRun(folder=folder, dataset=glyphs)) == together[0][seed]


@pytest.mark.parametrize("steps", [9, 30, *(pytest.param(steps, marks=pytest.mark.slow) for steps in (0, 3, 21))])
def test_a_stopped_group_resumes_to_the_same_bits(
    together: tuple[dict[int, TrialResult], Path], glyphs: SplitDataset, tmp_path: Path, steps: int
) -> None:
    with pytest.raises(StopRequested):
        trained(trials(tmp_path, glyphs, should_stop=StopAfter(len(SEEDS) * steps)))
    assert trained(trials(tmp_path, glyphs, path=ExecutionPath())) == together[0]


def test_a_group_killed_between_two_checkpoints_resumes_together(
    together: tuple[dict[int, TrialResult], Path], glyphs: SplitDataset, tmp_path: Path
) -> None:
    """Its first seed is one point of the curves ahead: it goes back to the checkpoint that all have."""
    with pytest.raises(KeyboardInterrupt):
        trained(trials(tmp_path, glyphs, observe=_dies_at(8, 2)))
    newest = {seed: sorted(path.name[:13] for path in _checkpoints(tmp_path / str(seed)))[-1] for seed in SEEDS}
    assert len(set(newest.values())) > 1
    said: list[str] = []
    assert trained(trials(tmp_path, glyphs, notice=said.append)) == together[0]
    assert [line for line in said if "resumed select" in line] == ["resumed select at step 4 of 24"] * 3


def test_seeds_that_are_far_apart_train_one_after_the_other(
    together: tuple[dict[int, TrialResult], Path], glyphs: SplitDataset, tmp_path: Path
) -> None:
    with pytest.raises(StopRequested):
        trained(trials(tmp_path, glyphs, should_stop=StopAfter(len(SEEDS) * 9)))
    shutil.rmtree(tmp_path / "1" / "checkpoints")
    said: list[str] = []
    assert trained(trials(tmp_path, glyphs, notice=said.append)) == together[0]
    assert sum("resumed select at step 9" in line for line in said) == 2


class Histories:
    """What each seed's folder held before its first step, and at each point of the curves of both trainings."""

    def __init__(self, states: dict[int, list[dict[str, bytes]]]) -> None:
        self.states = states

    def __repr__(self) -> str:
        return "histories"  # Hypothesis shows the arguments of a test

    def resumed(self, folder: Path, glyphs: SplitDataset, kept: Sequence[int]) -> dict[int, TrialResult]:
        """The results of seeds whose folders are those of these moments."""
        for seed, moment in zip(SEEDS, kept, strict=True):
            for name, content in self.states[seed][min(moment, len(self.states[seed]) - 1)].items():
                file = folder / str(seed) / name
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(content)
        return trained(trials(folder, glyphs))


@pytest.mark.parametrize("kept", [(0, 9, 0), (0, 9, 9), (9, 1, 0), (2, 4, 1)])
def test_no_seed_starts_at_the_step_of_another_that_stopped(
    kept: tuple[int, ...],
    histories: Histories,
    together: tuple[dict[int, TrialResult], Path],
    glyphs: SplitDataset,
    tmp_path: Path,
) -> None:
    assert histories.resumed(tmp_path, glyphs, kept) == together[0]


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(kept=st.lists(st.integers(0, 12), min_size=3, max_size=3))
def test_a_group_resumes_to_the_same_bits_whatever_is_left_of_each_seed(
    kept: list[int],
    histories: Histories,
    together: tuple[dict[int, TrialResult], Path],
    glyphs: SplitDataset,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Some have stopped, some are further than others, some have lost all checkpoints."""
    assert histories.resumed(tmp_path_factory.mktemp("resumed"), glyphs, kept) == together[0]


@pytest.fixture(scope="module")
def histories(glyphs: SplitDataset, tmp_path_factory: pytest.TempPathFactory) -> Histories:
    folder = tmp_path_factory.mktemp("histories")
    pinned = {seed: path_as_document(dataclasses.replace(THREE, place=seed)) for seed in SEEDS}
    states: dict[int, list[dict[str, bytes]]] = {seed: [{PATH_FILE: pinned[seed]}] for seed in SEEDS}

    def note(trial: Trial) -> None:
        own = trial.run.folder
        files = [path for path in own.rglob("*") if path.is_file()]
        states[trial.recipe.seed].append({str(path.relative_to(own)): path.read_bytes() for path in files})

    begun = trials(folder, glyphs)
    watched = [
        dataclasses.replace(trial, run=dataclasses.replace(trial.run, observe=lambda progress, trial=trial: note(trial)))
        for trial in begun
    ]
    trained(watched)
    return Histories(states)


def test_a_seed_that_diverges_leaves_the_others_their_bits(
    together: tuple[dict[int, TrialResult], Path], glyphs: SplitDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spoilt(state, *arguments, **named):  # type: ignore[no-untyped-def]
        take_step = step_runner(state, *arguments, **named)

        def step() -> None:
            if state.step == 5:
                next(iter(state.weights.values()))[1] = math.nan
            take_step()

        return step

    monkeypatch.setattr(stage, "step_runner", spoilt)
    results = trained(trials(tmp_path, glyphs))
    assert (results[1].status, results[1].stopped_by, results[1].steps_done) == ("diverged", "divergence", 8)
    assert {seed: results[seed] for seed in (0, 2)} == {seed: together[0][seed] for seed in (0, 2)}


def test_the_time_of_the_process_is_divided_among_the_seeds_that_still_train(glyphs: SplitDataset, tmp_path: Path) -> None:
    shares: dict[int, list[float]] = {seed: [] for seed in SEEDS}
    begun = [
        dataclasses.replace(trial, run=dataclasses.replace(trial.run, on_share=shares[trial.recipe.seed].append))
        for trial in trials(tmp_path, glyphs)
    ]
    trained(begun)
    rounds = list(zip(*shares.values(), strict=True))
    assert rounds[0] == (1 / 3, 1 / 3, 1 / 3)
    assert all(math.isclose(sum(each), 1) for each in rounds)
    assert {0, 1 / 3, 1} <= {share for each in rounds for share in each}
    assert len(rounds) > 3, "two stop in the first training, and again in the second"


def test_maml_s_seeds_train_together(glyphs: SplitDataset, tmp_path: Path) -> None:
    def of(seed: int, path: ExecutionPath, name: str) -> Trial:
        settings = MamlSettings(order=2, adaptation_steps=1)
        validation = dataclasses.replace(glyphs_recipe().validation, adaptation_steps=1)
        maml = glyphs_recipe(
            seed=seed,
            steps=5,
            algorithm=settings,
            validation=validation,
            meta_batch_size=2,
            backbone=Conv4Settings(filters=16, batch_norm="batch"),
        )
        return Trial(recipe=maml, run=TrialRun(folder=tmp_path / name / str(seed), dataset=glyphs, path=path))

    pair = trained([of(seed, ExecutionPath(seeds_together=2, episodes_at_once=2), "pair") for seed in (0, 1)])
    for seed, result in pair.items():
        [alone] = trained([of(seed, ExecutionPath(episodes_at_once=2), "alone")]).values()
        assert result.validation_loss == pytest.approx(alone.validation_loss, rel=1e-4)


def _dies_at(step: int, calls: int):  # type: ignore[no-untyped-def]
    seen: list[int] = []

    def observe(progress) -> None:  # type: ignore[no-untyped-def]
        seen.append(progress.step)
        if seen.count(step) == calls:
            raise KeyboardInterrupt

    return observe


def _checkpoints(folder: Path) -> list[Path]:
    return list((folder / "checkpoints" / "select").glob("step-*.pt"))


def _groups_of(folder: Path, glyphs: SplitDataset, begun: Sequence[ExecutionPath | None], path: ExecutionPath) -> list[SeedGroup]:
    for seed, own in enumerate(begun):
        (folder / str(seed)).mkdir(parents=True)
        if own is not None:
            (folder / str(seed) / PATH_FILE).write_bytes(path_as_document(own))
    return seed_groups([begun_trial(each) for each in trials(folder, glyphs, range(len(begun)), path=path)])


paths = st.one_of(
    st.none(),
    st.just(ExecutionPath()),
    st.builds(lambda place: dataclasses.replace(THREE, place=place), st.integers(0, 2)),
)


@given(begun=st.lists(paths, min_size=1, max_size=6), together=st.integers(1, 4))
def test_every_trial_is_in_one_group_of_its_path_and_keeps_the_place_that_it_has(
    begun: list[ExecutionPath | None], together: int, glyphs: SplitDataset, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("groups")
    groups = _groups_of(folder, glyphs, begun, ExecutionPath(seeds_together=together))
    assert sorted(trial.recipe.seed for group in groups for trial in group) == list(range(len(begun)))
    for group in groups:
        assert len({trial.path for trial in group}) == len(group) <= group[0].path.seeds_together
        assert len({dataclasses.replace(trial.path, place=0) for trial in group}) == 1
        for trial in group:
            pinned = read_path(folder / str(trial.recipe.seed) / PATH_FILE)
            assert trial.path == pinned
            assert begun[trial.recipe.seed] in (None, pinned)


def test_a_place_beyond_the_group_is_refused() -> None:
    with pytest.raises(ExecutionPathError, match="place is 3; it must be an integer of at most 2"):
        dataclasses.replace(THREE, place=3).check_available()
