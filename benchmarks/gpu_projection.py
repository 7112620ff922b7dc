"""Projects the hours of trials on this device from measurements of their steps, validations and evaluations."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.gpu_steps import PathTiming, fastest, kind_of, suited, timed_paths
from fsl_core.recipe.recipe import Evaluation, TrainingRecipe
from fsl_core.training.execution_path import ExecutionPath
from fsl_core.training.probe import measure
from fsl_core.training.recorded_kind import most_steps
from fsl_core.training.trial_folder import TrialFolder
from fsl_core.training.trial_request import TrialRequest
from fsl_core.training.unit_work import Bill, UnitWork, earliest_end, evaluation_bill, step_bill, validation_bill

_SECONDS_AN_HOUR = 3600.0
LEAVES_OUT = (
    "the start of a process, reading images onto the device, measuring, compiling and capturing the path (once for each kind of step), "
    "checkpoints, and the gain of several trials, or seeds of one recipe, sharing the device"
)
"""The costs that the projection excludes."""


@dataclass(frozen=True, kw_only=True)
class Hours:
    """The trials of one algorithm on one data set: their number, how many are ``counted``, and the hours of these.

    ``least``: patience ends each as early as possible; ``most``: each uses its whole budget, of which the parts are.
    """

    name: str
    trials: int
    counted: int
    least: float
    most: float
    steps: float
    validations: float
    evaluations: float


@dataclass(frozen=True, kw_only=True)
class Projection:
    """The hours of each group of trials and of all; the underlying timings; the number of units that could not be measured.

    ``steps`` has the fastest path of each kind of step, ``compiled`` every compiled path that was tried.
    """

    groups: tuple[Hours, ...]
    steps: tuple[dict[str, Any], ...]
    compiled: tuple[dict[str, Any], ...]
    units: tuple[dict[str, Any], ...]
    unknown: int
    leaves_out: str = LEAVES_OUT

    def as_plain(self) -> dict[str, Any]:
        """This projection as JSON types."""
        return asdict(self)


def requests_in(folder: Path) -> tuple[TrialRequest, ...]:
    """The trials that ``fsl plan SWEEP --write-trials`` wrote into ``folder``.

    Raises:
        FileNotFoundError: there are none.
    """
    found = [TrialFolder.at(each.parent).request() for each in sorted(folder.glob("*/request.json"))]
    requests = tuple(each for each in found if each is not None)
    if not requests:
        raise FileNotFoundError(f"{folder} has no trials; fsl plan SWEEP --write-trials {folder} writes them")
    return requests


def projected(
    requests: Sequence[TrialRequest], device: str, winners: Mapping[str, Sequence[ExecutionPath]], *, seconds: float
) -> Projection:
    """Project the hours of trials. ``winners`` are the fastest known paths of each kind of algorithm, tried besides the usual one.

    A third of ``seconds`` is for steps that are not compiled, a third for scoring: work that does not fit is unknown, and its trials are
    excluded. The rest is for compiled steps.
    """
    began = time.monotonic()
    recipes = {step_bill(each): each for each in sorted((request.recipe for request in requests), key=most_steps)}
    step_times = dict(_steps(recipes, device, winners, until=began + seconds / 3))
    works = dict.fromkeys(work for each in requests for bill in _scoring(each) for work, _ in bill)
    unit_times = dict(_units(works, device, until=began + seconds * 2 / 3))
    compiled = dict(_compiled_steps(recipes, step_times, device, until=began + seconds))
    for bill, timing in compiled.items():
        step_times[bill] = fastest((step_times[bill], timing)) or timing
    medians = {bill: timing.milliseconds.median / 1000 for bill, timing in step_times.items() if timing.milliseconds is not None}
    return Projection(
        groups=tuple(_groups(requests, medians, unit_times)),
        steps=_named(recipes, step_times),
        compiled=_named(recipes, compiled),
        units=tuple({"work": asdict(work), "seconds": seconds_of} for work, seconds_of in unit_times.items()),
        unknown=len(recipes) - len(medians) + len(works) - len(unit_times),
    )


def algorithm_of(recipe: TrainingRecipe) -> str:
    """The kind of algorithm, by what determines its fastest path."""
    order = getattr(recipe.algorithm, "order", None)
    context = " with full context" if getattr(recipe.algorithm, "fce", False) else ""
    return f"{recipe.algorithm.name}{'' if order is None else f' order {order}'}{context}"


def name_of(recipe: TrainingRecipe) -> str:
    """The recipe's step in words."""
    distance = getattr(recipe.algorithm, "distance", None)
    by = "" if distance is None else f", {distance}"
    return f"{algorithm_of(recipe)}{by}, {recipe.data.dataset}, {recipe.episode}, {recipe.meta_batch_size} episodes"


def _steps(
    recipes: Mapping[Bill, TrainingRecipe], device: str, winners: Mapping[str, Sequence[ExecutionPath]], *, until: float
) -> Iterator[tuple[Bill, PathTiming]]:
    """The fastest tried path of each kind of step."""
    for bill, recipe in recipes.items():
        if time.monotonic() > until:
            return
        kind = kind_of(recipe, device)
        known = [suited(path, kind) for path in winners.get(algorithm_of(recipe), ())]
        timed = list(timed_paths(recipe, dict.fromkeys([kind.usual_path(), *known]), until=until))
        yield bill, fastest(timed) or timed[0]


def _compiled_steps(
    recipes: Mapping[Bill, TrainingRecipe], others: Mapping[Bill, PathTiming], device: str, *, until: float
) -> Iterator[tuple[Bill, PathTiming]]:
    """The compiled step of each kind for which a launch tries it, the longest trainings first."""
    medians = {bill: timing.milliseconds.median / 1000 for bill, timing in others.items() if timing.milliseconds is not None}
    for bill in sorted(medians, key=lambda each: medians[each] * most_steps(recipes[each]), reverse=True):
        if time.monotonic() > until:
            return
        recipe = recipes[bill]
        kind = kind_of(recipe, device)
        path = kind.compiled()
        if kind.may_pay(path, medians[bill] / recipe.meta_batch_size):
            yield bill, next(timed_paths(recipe, [path], until=until))


def _named(recipes: Mapping[Bill, TrainingRecipe], timings: Mapping[Bill, PathTiming]) -> tuple[dict[str, Any], ...]:
    return tuple({"recipe": name_of(recipes[bill]), **timing.as_plain()} for bill, timing in timings.items())


def _units(works: Iterable[UnitWork], device: str, *, until: float) -> Iterator[tuple[UnitWork, float]]:
    for work in works:
        if time.monotonic() > until:
            return
        try:
            seconds = measure(work, device=device, times=3).seconds
        except RuntimeError:  # out of memory: its trials are excluded
            continue
        yield work, sorted(seconds)[len(seconds) // 2]


def _scoring(request: TrialRequest) -> list[Bill]:
    return [validation_bill(request.recipe), *(evaluation_bill(request.recipe, each) for each in request.evaluations)]


def _groups(requests: Sequence[TrialRequest], steps: Mapping[Bill, float], units: Mapping[UnitWork, float]) -> Iterator[Hours]:
    named: dict[str, list[TrialRequest]] = {}
    for request in requests:
        named.setdefault(f"{algorithm_of(request.recipe)}, {request.recipe.data.dataset}", []).append(request)
    for name, members in [*named.items(), ("all", list(requests))]:
        yield _hours(name, members, steps, units)


def _hours(name: str, requests: Sequence[TrialRequest], steps: Mapping[Bill, float], units: Mapping[UnitWork, float]) -> Hours:
    counted = [each for each in requests if step_bill(each.recipe) in steps and _is_known(each, units)]
    least = most = stepping = validating = evaluating = 0.0
    for request in counted:
        recipe = request.recipe
        budget = recipe.steps * (2 if recipe.retrain else 1)
        step, validation = steps[step_bill(recipe)], _seconds(validation_bill(recipe), units) / recipe.validation.every
        scoring = sum(_evaluated(recipe, each, units) for each in request.evaluations)
        stepping, validating, evaluating = stepping + budget * step, validating + budget * validation, evaluating + scoring
        least += min(budget, earliest_end(recipe)) * (step + validation) + scoring
    most = stepping + validating + evaluating
    parts = [each / _SECONDS_AN_HOUR for each in (least, most, stepping, validating, evaluating)]
    fields = dict(zip(("least", "most", "steps", "validations", "evaluations"), parts, strict=True))
    return Hours(name=name, trials=len(requests), counted=len(counted), **fields)


def _is_known(request: TrialRequest, units: Mapping[UnitWork, float]) -> bool:
    return all(work in units for bill in _scoring(request) for work, _ in bill)


def _evaluated(recipe: TrainingRecipe, evaluation: Evaluation, units: Mapping[UnitWork, float]) -> float:
    return _seconds(evaluation_bill(recipe, evaluation), units)


def _seconds(bill: Bill, units: Mapping[UnitWork, float]) -> float:
    return sum(units[work] * count for work, count in bill)
