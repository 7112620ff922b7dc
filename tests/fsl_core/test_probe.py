"""Probes: every unit of work can be measured without any data set, and a busy machine does not show in it."""

from collections.abc import Callable
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
        assert all(seconds > 0 for seconds in measure(work, times=1).seconds)


@pytest.mark.parametrize(("enough", "long", "timed"), [(1e-9, 1e9, 2), (1e9, 1e9, 4), (1e-9, 0.0, 1)])
def test_long_work_is_measured_once(monkeypatch: pytest.MonkeyPatch, enough: float, long: float, timed: int) -> None:
    monkeypatch.setattr(probe, "ENOUGH_SECONDS", enough)
    monkeypatch.setattr(probe, "LONG_SECONDS", long)
    steps: list[int] = []
    before_each_step(monkeypatch, lambda: steps.append(len(steps) + 1))
    measure(TRAIN)
    assert steps == [*range(1, timed + 1)]


def before_each_step(monkeypatch: pytest.MonkeyPatch, do: Callable[[], object]) -> None:
    """Have the steps that a probe takes do something else first."""

    def along(*how: Any) -> Callable[[], None]:
        take_step = probe_step(*how)

        def both() -> None:
            do()
            take_step()

        return both

    probe_step = probe.step_along
    monkeypatch.setattr(probe, "step_along", along)


class Clocks:
    """Stand-ins for the clocks of a probe: a step takes ``wall`` seconds of wall clock and ``processor`` of the processor."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, wall: float, processor: float) -> None:
        self.wall = self.processor = 0.0
        monkeypatch.setattr(probe, "time", self)

        def pass_time() -> None:
            self.wall, self.processor = self.wall + wall, self.processor + processor

        before_each_step(monkeypatch, pass_time)

    def perf_counter(self) -> float:
        return self.wall

    def process_time(self) -> float:
        return self.processor


@pytest.mark.parametrize(
    ("threads", "wall", "processor", "counts", "busy"),
    [
        (1, 0.4, 0.38, 0.38, False),
        (1, 2.0, 0.4, 0.4, True),
        (2, 0.4, 0.7, 0.4, False),
        (2, 2.0, 0.8, 0.4, True),
        (2, 0.4, 0.44, 0.22, True),
    ],
    ids=["quiet", "busy", "two threads", "two threads, busy", "two threads, one of them idle"],
)
def test_processor_seconds_count_and_wall_clock_shows_a_busy_machine(
    monkeypatch: pytest.MonkeyPatch, threads: int, wall: float, processor: float, counts: float, busy: bool
) -> None:
    Clocks(monkeypatch, wall=wall, processor=processor)
    timing = measure(TRAIN, threads=threads, times=1)
    assert timing.seconds == pytest.approx([counts]) and timing.wall == pytest.approx([wall])
    assert timing.busy is busy


def test_a_probe_leaves_the_global_random_state_unchanged() -> None:
    torch.manual_seed(3)
    wanted = torch.rand(2)
    torch.manual_seed(3)
    measure(TRAIN, times=1)
    assert torch.equal(torch.rand(2), wanted)
