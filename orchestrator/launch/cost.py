"""What trials cost: learnt from trials that are done, else put together from units of work that were probed."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Literal

from fsl_core.recipe.recipe import Evaluation, TrainingRecipe
from fsl_core.training.result import EvaluationResult, TrialResult
from fsl_core.training.timing import Timing
from fsl_core.training.trial_records import ComputedBy, ExecutionRecord
from fsl_core.training.unit_work import Bill, UnitWork, evaluation_bill, step_bill, validation_bill
from orchestrator.launch.gpu_memory import MeasuredPeaks
from orchestrator.launch.span import NOTHING, Span
from orchestrator.records.remembered import NOTHING_REMEMBERED, Machine, Remembered, key
from orchestrator.records.trial_record import TrialRecord

Basis = Literal[
    "earlier trials", "probe", "remembered probe", "busy probe", "trials of other code", "probes of other code", "unknown"
]
"""Where a cost was learnt; a ``busy probe`` was taken, now or earlier, while other programs had the processor.

``earlier trials`` ran the code that runs now, and so did the probes before ``trials of other code``. What other code took counts only where
nothing else is known, its probes only where none of its trials are.
"""

PROBE_RANGE: Mapping[str, float] = {"low": 0.7, "high": 1.5}
"""What a probe of a few steps is trusted to: trials beside it share memory and caches, and long ones vary less than short ones."""
TRIALS_RANGE: Mapping[str, float] = {"low": 0.9, "high": 1.2}
"""What the fastest and the slowest of the trials so far are trusted to,"""
OTHER_CODE_RANGE: Mapping[str, float] = {"low": 0.5, "high": 2.0}
"""and trials and probes of other code, which may compute the same faster or more slowly."""


@dataclass(frozen=True)
class Cost:
    """Seconds, and where they were learnt; None where some part of them is unknown."""

    seconds: Span | None
    basis: Basis

    def times(self, count: float | Span) -> Cost:
        """The cost of so many."""
        return self if self.seconds is None else Cost(self.seconds * count, self.basis)


UNKNOWN = Cost(None, "unknown")
FREE = Cost(NOTHING, "earlier trials")
_SURENESS: Sequence[Basis] = (
    "earlier trials", "remembered probe", "probe", "busy probe", "trials of other code", "probes of other code", "unknown",
)  # fmt: skip
_TO_PROBE: Sequence[Basis] = ("probes of other code", "unknown")


def of_probe(timing: Timing, basis: Basis) -> Cost:
    """What a unit of work costs by a probe; of one on a busy machine the range ends no sooner than the wall clock that it took."""
    other_code = basis == "probes of other code"
    seconds = Span.of(timing.seconds, **(OTHER_CODE_RANGE if other_code else PROBE_RANGE))
    if not timing.busy:
        return Cost(seconds, basis)
    at_most = dataclasses.replace(seconds, high=max((seconds.high, *timing.wall)))
    return Cost(at_most, basis if other_code else "busy probe")


def together(costs: Sequence[Cost]) -> Cost:
    """The cost of several things: unknown where one is; its basis is the least sure of theirs."""
    total = NOTHING
    for cost in costs:
        if cost.seconds is None:
            return UNKNOWN
        total = total + cost.seconds
    return Cost(total, max((cost.basis for cost in costs), key=_SURENESS.index, default="earlier trials"))


@dataclass(frozen=True)
class _Seen:
    """Seconds that trials took, by the kind of what they did."""

    of_this_code: dict[object, list[float]] = field(default_factory=dict)
    of_other_code: dict[object, list[float]] = field(default_factory=dict)

    def cost(self, kind: object, put_together: Callable[[], Cost]) -> Cost:
        """What the kind costs: by trials of this code, else by probes of it as put together, else by other code: its trials, its probes."""
        if own := self.of_this_code.get(kind):
            return Cost(Span.of(own, **TRIALS_RANGE), "earlier trials")
        cost, other = put_together(), self.of_other_code.get(kind)
        if other and cost.basis in _TO_PROBE:
            return Cost(Span.of(other, **OTHER_CODE_RANGE), "trials of other code")
        return cost


class CostBook:
    """What is known of costs on one machine: of whole steps and evaluations, of units of work; and after how many steps trials end.

    ``remembered``: the probes of earlier commands. ``code`` is the digest of the code whose costs are asked for, which distinguishes its
    trials from those of other code.
    """

    def __init__(self, machine: Machine, remembered: Remembered = NOTHING_REMEMBERED, code: str | None = None) -> None:
        self.machine, self._remembered, self._code = machine, remembered, code
        self.peaks = MeasuredPeaks(remembered.of_this_code)
        self._some_busy = any(timing.busy for timing in remembered.of_this_code.values())
        self._steps, self._evaluations = _Seen(), _Seen()
        self._ends: dict[str, list[float]] = {}
        self._units: dict[UnitWork, Cost] = {}
        self._known_steps: dict[object, Cost] = {}  # of kinds of settings, which are fewer than trials
        self._known_evaluations: dict[object, Cost] = {}

    def learn(self, records: Iterable[TrialRecord]) -> None:
        """Take in what trials that are done have cost on such a machine, and after how many steps they ended on any."""
        for record in records:
            if record.result is None:
                continue
            self._learn_end(record.result)
            if record.execution is not None:
                self._learn_steps(record.result, record.execution)
                self._learn_evaluations(record.result.recipe, record.evaluations, record.execution)
                if self._is_here(record.execution) and record.execution.code_digest == self._code:
                    self.peaks.learn(record.result.recipe, record.execution)

    def _learn_end(self, result: TrialResult) -> None:
        if result.stopped_by != "divergence":
            self._ends.setdefault(result.recipe.without_seed, []).append(result.steps_done)

    def _learn_steps(self, result: TrialResult, execution: ExecutionRecord) -> None:
        steps = result.steps_done + max((step for step, _ in result.curves.get("retrain_train_loss", ())), default=0)
        if steps and execution.train_seconds > 0 and self._is_here(execution):
            self._learnt(self._steps, execution).setdefault(_kind_of_step(result.recipe), []).append(
                execution.train_seconds / steps
            )

    def _learn_evaluations(
        self, recipe: TrainingRecipe, scores: Mapping[str, EvaluationResult], execution: ExecutionRecord
    ) -> None:
        for name, scoring in execution.evaluations.items():
            if name in scores and self._is_here(scoring):
                bill = evaluation_bill(recipe, scores[name].evaluation)
                self._learnt(self._evaluations, scoring).setdefault(bill, []).append(scoring.seconds)

    def _learnt(self, seen: _Seen, computed: ComputedBy) -> dict[object, list[float]]:
        return seen.of_this_code if computed.code_digest == self._code else seen.of_other_code

    def _is_here(self, computed: ComputedBy) -> bool:
        return self.machine == Machine(
            device=computed.device,
            device_name=computed.device_name if self.machine.device_name else None,
            threads=computed.threads,
            torch=computed.versions.get("torch", ""),
        )

    def probed(self, work: UnitWork, timing: Timing) -> None:
        """Take in a probe of this command, unless what is remembered is surer."""
        self.peaks.probed(work, timing)
        before = self._remembered.of_this_code.get(key(work))
        if before is not None and not timing.surer_than(before):
            return
        self._units[work] = of_probe(timing, "probe")
        self._known_steps.clear()
        self._known_evaluations.clear()

    def steps(self, recipe: TrainingRecipe) -> Span:
        """How many steps a training takes: its budget, or as many as the same recipe took with other seeds."""
        seen = self._ends.get(recipe.without_seed) if self._ends else None
        most = float(recipe.steps)
        ends = Span(low=min(seen), likely=median(seen), high=most) if seen else Span.of([most])
        if not recipe.retrain:
            return ends
        return Span(low=2 * ends.low, likely=2 * ends.likely, high=2 * most + (recipe.validation.patience or 0))

    def training(self, recipe: TrainingRecipe, steps: Span) -> Cost:
        """What so many steps cost, with the validations between them; an untrained network is validated once."""
        if not recipe.steps:
            return self._of_bill(validation_bill(recipe))
        how = recipe.meta_batch_size, recipe.matmul_precision
        kind = (recipe.algorithm, recipe.backbone, recipe.data, recipe.episode, *how, recipe.validation)
        if kind not in self._known_steps:
            self._known_steps[kind] = self._step(recipe)
        return self._known_steps[kind].times(steps)

    def _step(self, recipe: TrainingRecipe) -> Cost:
        """What one step costs, with its share of the validations."""

        def put_together() -> Cost:
            validation = self._of_bill(validation_bill(recipe)).times(1 / recipe.validation.every)
            return together([self._of_bill(step_bill(recipe)), validation])

        return self._steps.cost(_kind_of_step(recipe), put_together)

    def evaluation(self, recipe: TrainingRecipe, evaluation: Evaluation) -> Cost:
        """What one evaluation of a trained trial costs."""
        kind = (recipe.algorithm, recipe.backbone, recipe.data, evaluation)
        if kind not in self._known_evaluations:
            bill = evaluation_bill(recipe, evaluation)
            self._known_evaluations[kind] = self._evaluations.cost(bill, lambda: self._of_bill(bill))
        return self._known_evaluations[kind]

    def unknown_work(
        self, recipe: TrainingRecipe, evaluations: Iterable[Evaluation], *, trained: bool = False
    ) -> tuple[UnitWork, ...]:
        """The units that a trial's cost depends on, or that of its evaluations once it is ``trained``, and that this code never ran."""
        return self._work_known_by(_TO_PROBE, recipe, evaluations, trained)

    def busy_work(
        self, recipe: TrainingRecipe, evaluations: Iterable[Evaluation], *, trained: bool = False
    ) -> tuple[UnitWork, ...]:
        """Those that are known by a remembered probe on a busy machine alone."""
        return self._work_known_by(["busy probe"], recipe, evaluations, trained) if self._some_busy else ()

    def _work_known_by(
        self, bases: Sequence[Basis], recipe: TrainingRecipe, evaluations: Iterable[Evaluation], trained: bool
    ) -> tuple[UnitWork, ...]:
        bills = [bill for each in evaluations if (bill := evaluation_bill(recipe, each)) not in self._evaluations.of_this_code]
        if not trained and _kind_of_step(recipe) not in self._steps.of_this_code:
            bills += [validation_bill(recipe), *([step_bill(recipe)] if recipe.steps else [])]
        works = dict.fromkeys(work for bill in bills for work, _ in bill)
        return tuple(work for work in works if self._of_unit(work).basis in bases)

    def _of_bill(self, bill: Bill) -> Cost:
        return together([self._of_unit(work).times(count) for work, count in bill])

    def _of_unit(self, work: UnitWork) -> Cost:
        if work not in self._units:
            self._units[work] = self._as_remembered(key(work))
        return self._units[work]

    def _as_remembered(self, work: str) -> Cost:
        if own := self._remembered.of_this_code.get(work):
            return of_probe(own, "remembered probe")
        other = self._remembered.of_other_code.get(work)
        return of_probe(other, "probes of other code") if other else UNKNOWN


def _kind_of_step(recipe: TrainingRecipe) -> object:
    """What the seconds of a step hang on, those of the validations among them."""
    return step_bill(recipe), validation_bill(recipe), recipe.validation.every
