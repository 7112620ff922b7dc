"""Which weights are kept and when a training ends, where meta-validation shows what a script says."""

import json
import math
from pathlib import Path

import pytest
import torch

from fsl_core.algorithms.algorithm import Model
from fsl_core.backbones.weights import Weights, of_group
from fsl_core.datasets.catalogue import SplitDataset
from fsl_core.episodes.episode import EpisodeShape
from fsl_core.errors import RecipeError, SettingError, StopRequested
from fsl_core.recipe.backbone_settings import Conv4Settings
from fsl_core.recipe.recipe import OptimiserSettings, TrainingRecipe, ValidationSettings
from fsl_core.training.checkpoint import load_weights, weights_digest
from fsl_core.training.model_selection import ValidationScore
from fsl_core.training.optimiser import outer_lr_at, outer_lr_on_device
from fsl_core.training.result import TrialResult, trial_result_from_plain
from fsl_core.training.state import SeedState
from fsl_core.training.training import Validation
from fsl_core.training.trial import run_trial
from fsl_core.training.trial_run import TrialRun
from tests.fsl_core.conftest import first_weights, glyphs_recipe
from tests.fsl_core.test_trial import StopAfter, text

SHAPE = EpisodeShape(way=3, shot=1, query=2)
NAN, INF = math.nan, math.inf


def recipe_of(selection: str, *, patience: int | None = None, steps: int = 5) -> TrainingRecipe:
    """A validation at every step."""
    watched = ValidationSettings(shape=SHAPE, every=1, episodes=2, patience=patience, selection=selection)  # type: ignore[arg-type]
    return glyphs_recipe(episode=SHAPE, steps=steps, validation=watched, backbone=Conv4Settings(filters=2))


def scripted(monkeypatch: pytest.MonkeyPatch, losses: list[float], accuracies: list[float]) -> list[str]:
    """Make meta-validation show these values; the digests of the weights that it was shown."""
    script = iter(zip(losses, accuracies, strict=True))
    digests: list[str] = []

    def score(self: Validation, model: Model) -> ValidationScore:
        digests.append(weights_digest(of_group(model.weights | model.statistics, 0)))
        loss, accuracy = next(script)
        return ValidationScore(loss=loss, accuracy=accuracy)

    monkeypatch.setattr(Validation, "score", score)
    return digests


LOSSES = [0.9, 0.5, 0.7, 0.4, 0.6]
ACCURACIES = [0.6, 0.7, 0.9, 0.8, 0.5]
SELECTED = {"loss": 4, "accuracy": 3, "last": 5}


@pytest.mark.parametrize(("selection", "selected"), SELECTED.items())
def test_the_selection_determines_the_kept_weights(
    selection: str, selected: int, glyphs: SplitDataset, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digests = scripted(monkeypatch, LOSSES, ACCURACIES)
    result = run_trial(recipe_of(selection), TrialRun(folder=folder, dataset=glyphs))
    assert (result.stopped_by, result.steps_done, result.selected_step) == ("budget", 5, selected)
    assert (result.validation_loss, result.validation_accuracy) == (LOSSES[selected - 1], ACCURACIES[selected - 1])
    assert len(set(digests)) == 5
    assert result.weights_digest == digests[selected - 1]
    assert weights_digest(load_weights(folder / "selected.pt", digest=result.weights_digest)) == result.weights_digest
    assert [value for _, value in result.curves["validation_loss"]] == LOSSES
    assert [value for _, value in result.curves["validation_accuracy"]] == ACCURACIES


@pytest.mark.parametrize(
    ("selection", "losses", "accuracies", "selected", "steps_done"),
    [
        ("loss", [0.9, 0.5, 0.6, 0.7, 0.1], [0.1, 0.2, 0.3, 0.4, 0.5], 2, 4),
        ("accuracy", [0.9, 0.8, 0.7, 0.6, 0.5], [0.1, 0.2, 0.1, 0.2, 0.5], 2, 4),
        ("loss", [0.5, 0.5, 0.5, 0.4, 0.4], [0.1, 0.2, 0.3, 0.4, 0.5], 1, 3),  # a tie is no improvement
        ("accuracy", [0.5, 0.4, 0.3, 0.2, 0.1], [0.5, 0.4, 0.6, 0.6, 0.5], 3, 5),
        ("loss", [NAN, NAN, NAN, 0.9, 0.8], [0.9, 0.9, 0.9, 0.1, 0.1], 5, 5),  # no patience before there is a best
        ("loss", [0.5, NAN, NAN, 0.1, 0.1], [0.5] * 5, 1, 3),
        ("loss", [INF, 0.9, NAN, 0.8, 0.7], [0.5] * 5, 5, 5),
        ("accuracy", [NAN, 0.9, 0.8, 0.7, 0.6], [1.0, 0.2, 0.3, 0.2, 0.2], 3, 5),
    ],
)  # fmt: skip
def test_patience_watches_the_selection_metric(
    selection: str, losses: list[float], accuracies: list[float], selected: int, steps_done: int,
    glyphs: SplitDataset, folder: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """With a patience of two validations; the script has more that would be better, unless the budget ends it."""
    digests = scripted(monkeypatch, losses, accuracies)
    result = run_trial(recipe_of(selection, patience=2), TrialRun(folder=folder, dataset=glyphs))
    assert (result.selected_step, result.steps_done) == (selected, steps_done)
    assert result.weights_digest == digests[selected - 1]
    at = [step for step, _ in result.curves["validation_loss"]]
    assert at == [step for step in range(1, steps_done + 1) if math.isfinite(losses[step - 1])]
    assert trial_result_from_plain(json.loads(text(result))) == result


@pytest.mark.parametrize("selection", SELECTED)
def test_weights_whose_loss_is_not_a_number_are_never_selected(
    selection: str, glyphs: SplitDataset, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted(monkeypatch, [NAN] * 5, ACCURACIES)
    result = run_trial(recipe_of(selection), TrialRun(folder=folder, dataset=glyphs))
    assert (result.status, result.selected_step, result.validation_loss, result.weights_digest) == ("diverged", None, None, None)
    assert trial_result_from_plain(json.loads(text(result))) == result


def test_selecting_the_last_weights_copies_none_before(
    glyphs: SplitDataset, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    selections: list[int] = []
    honest = SeedState.select

    def noting(seed: SeedState, step: int, score: ValidationScore, weights: Weights) -> None:
        selections.append(step)
        honest(seed, step, score, weights)

    monkeypatch.setattr(SeedState, "select", noting)
    run_trial(recipe_of("last"), TrialRun(folder=folder, dataset=glyphs))
    assert selections == [5]


@pytest.mark.parametrize("selection", SELECTED)
@pytest.mark.parametrize("stop", [1, 3, 4])
def test_a_stopped_and_resumed_trial_selects_the_same_weights(
    selection: str, stop: int, glyphs: SplitDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = recipe_of(selection)
    with monkeypatch.context() as script:
        scripted(script, LOSSES, ACCURACIES)
        whole = run_trial(recipe, TrialRun(folder=tmp_path / "whole", dataset=glyphs))
    with monkeypatch.context() as script:
        scripted(script, LOSSES, ACCURACIES)
        with pytest.raises(StopRequested):
            run_trial(recipe, TrialRun(folder=tmp_path / "stopped", dataset=glyphs, should_stop=StopAfter(stop)))
        assert text(run_trial(recipe, TrialRun(folder=tmp_path / "stopped", dataset=glyphs))) == text(whole)
    assert whole.selected_step == SELECTED[selection]


def test_an_untrained_network_is_selected_as_the_last(glyphs: SplitDataset, folder: Path) -> None:
    recipe = recipe_of("last", steps=0)
    result = run_trial(recipe, TrialRun(folder=folder, dataset=glyphs))
    assert (result.status, result.selected_step) == ("complete", 0)
    assert result.weights_digest == weights_digest(first_weights(recipe, glyphs.meta_train.image_shape))


def a_result(glyphs: SplitDataset, folder: Path) -> TrialResult:
    return run_trial(recipe_of("loss"), TrialRun(folder=folder, dataset=glyphs))


@pytest.mark.parametrize("value", [-0.1, None, "0.1", True])
def test_a_loss_that_validation_cannot_produce_is_refused(value: object, glyphs: SplitDataset, folder: Path) -> None:
    plain = a_result(glyphs, folder).as_plain()
    with pytest.raises(RecipeError, match="validation_loss"):
        trial_result_from_plain({**plain, "validation_loss": value})


@pytest.mark.parametrize(
    ("first", "rates"),
    [(None, {0: 1.0, 1999: 1.0, 2000: 0.5, 3999: 0.5, 4000: 0.25}), (1900, {0: 1.0, 1899: 1.0, 1900: 0.5, 3899: 0.5, 3900: 0.25}),
     (3000, {2999: 1.0, 3000: 0.5, 4999: 0.5, 5000: 0.25, 7000: 0.125})],
)  # fmt: skip
def test_the_first_halving_is_at_the_step_of_the_recipe(first: int | None, rates: dict[int, float]) -> None:
    """The 2018 scripts halve at the start of their 20th and 40th epoch of 100 steps, counted from 1: after 1,900 and 3,900 steps."""
    settings = OptimiserSettings(outer_lr=1.0, halve_every=2000, first_halving=first)
    assert {step: outer_lr_at(settings, step) for step in rates} == rates


def test_a_rate_falls_linearly_to_zero_and_stays_there() -> None:
    """On the host as on the device, where the authors of Reptile have it: the first step has the whole rate."""
    settings = OptimiserSettings(outer_lr=0.5, halve_every=None, decay_steps=1000)
    for step, rate in {0: 0.5, 1: 0.4995, 500: 0.25, 999: 0.0005, 1000: 0.0, 4000: 0.0}.items():
        assert outer_lr_at(settings, step) == pytest.approx(rate, rel=1e-12)
        assert outer_lr_on_device(settings, torch.tensor(step)).item() == pytest.approx(rate, rel=1e-12)


def test_a_rate_is_halved_or_falls_linearly() -> None:
    with pytest.raises(SettingError, match="a rate that falls linearly is not halved"):
        OptimiserSettings(decay_steps=1000)
