"""Probes: every unit of work can be measured without any data set, and a busy machine does not show in it."""

import time
from typing import Any

import pytest
import torch

from fsl_core.episodes.episode import EpisodeShape
from fsl_core.recipe.algorithm_settings import MamlSettings, MatchingSettings
from fsl_core.recipe.backbone_settings import Conv4Settings, MlpSettings
from fsl_core.recipe.data_settings import DataSettings
from fsl_core.recipe.recipe import Evaluation, TrainingRecipe, ValidationSettings
from fsl_core.training import probe
from fsl_core.training.probe import measure
from fsl_core.training.training import TrainingState, train_step
from fsl_core.training.unit_work import evaluation_bill, step_bill, validation_bill
from tests.fsl_core.test_unit_work import CONTEXT, recipe

SMALL = EpisodeShape(way=3, shot=1, query=2)


def small(**changes: Any) -> TrainingRecipe:
    maml = isinstance(changes.get("algorithm"), MamlSettings)
    settings: dict[str, Any] = {
        "episode": SMALL,
        "validation": ValidationSettings(shape=SMALL, adaptation_steps=2 if maml else None),
        "backbone": Conv4Settings(filters=2, batch_norm="batch" if maml else "running"),
    }
    return recipe(**{**settings, **changes})


TRAIN = step_bill(small())[0][0]


@pytest.mark.parametrize(
    "wanted",
    [
        small(),
        small(algorithm=MatchingSettings()),
        small(algorithm=CONTEXT),
        small(algorithm=MamlSettings(order=2)),
        small(algorithm=MamlSettings(order=1), backbone=MlpSettings()),
        small(data=DataSettings(dataset="mini_imagenet", split="ravi", rotations=False)),
    ],
    ids=["prototypical", "matching", "full context", "maml", "mlp", "photographs"],
)
def test_every_unit_of_work_is_measured(wanted: TrainingRecipe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fsl_core.episodes.evaluation._SCORES_AT_ONCE", 100)  # chunks of a test's size
    monkeypatch.setattr("fsl_core.episodes.evaluation._EMBEDDED_AT_ONCE", 20_000)
    evaluation = Evaluation(shape=SMALL, adaptation_steps=3 if isinstance(wanted.algorithm, MamlSettings) else None)
    for work, _ in (*step_bill(wanted), *validation_bill(wanted), *evaluation_bill(wanted, evaluation)):
        assert all(seconds > 0 for seconds in measure(work, times=1))


@pytest.mark.parametrize(("enough", "long", "timed"), [(1e-9, 1e9, 2), (1e9, 1e9, 4), (1e-9, 0.0, 1)])
def test_what_takes_long_is_not_repeated(monkeypatch: pytest.MonkeyPatch, enough: float, long: float, timed: int) -> None:
    monkeypatch.setattr(probe, "ENOUGH_SECONDS", enough)
    monkeypatch.setattr(probe, "LONG_SECONDS", long)
    steps: list[int] = []

    def counted(state: TrainingState, *rest: Any) -> None:
        train_step(state, *rest)
        steps.append(state.step)

    monkeypatch.setattr(probe, "train_step", counted)
    measure(TRAIN)
    assert steps == [*range(1, timed + 1)]


def test_time_that_the_processor_spends_elsewhere_is_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    def waits(state: TrainingState, *rest: Any) -> None:
        time.sleep(0.5)
        train_step(state, *rest)

    monkeypatch.setattr(probe, "train_step", waits)
    assert max(measure(TRAIN, times=1)) < 0.5


def test_a_probe_leaves_the_randomness_of_the_process_alone() -> None:
    torch.manual_seed(3)
    wanted = torch.rand(2)
    torch.manual_seed(3)
    measure(TRAIN, times=1)
    assert torch.equal(torch.rand(2), wanted)
