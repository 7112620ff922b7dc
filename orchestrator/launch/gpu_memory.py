"""The share of a GPU that each trial reserves, by the peak memory of trials and probes on GPUs of its model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from fsl_core.recipe.recipe import Evaluation, TrainingRecipe
from fsl_core.training.timing import Timing
from fsl_core.training.trial_records import ExecutionRecord
from fsl_core.training.unit_work import UnitWork, evaluation_bill, probed_episodes, step_bill, validation_bill
from orchestrator.counted import counted
from orchestrator.execution.compute import GPU_SHARE
from orchestrator.records.remembered import key

MOST_SHARING = round(1 / GPU_SHARE)
"""The most trials that share a GPU, however little memory they need: how much more a GPU then does is not measured beforehand."""
_SHARING = range(1, MOST_SHARING + 1)
SAFETY = 1.3
"""The memory of a trial, of the peak of its tensors: the allocator also holds what lies between them."""
CONTEXT_BYTES = 600 * 2**20
"""The memory that each process takes on a GPU beside its tensors: CUDA's context and the libraries' kernels."""


class MeasuredPeaks:
    """The peak bytes of tensors on GPUs of one model: of whole trials, and of units of work that were probed."""

    def __init__(self, remembered: Mapping[str, Timing]) -> None:
        self._units = {work: timing.peak_bytes for work, timing in remembered.items()}
        self._trials: dict[object, int] = {}

    def learn(self, recipe: TrainingRecipe, execution: ExecutionRecord) -> None:
        """Take in the peak of a finished trial. A reused worker's includes its earlier trials, so the least of a kind is its own."""
        peaks = [each.peak_memory_bytes for each in (execution, *execution.evaluations.values())]
        if execution.peak_memory_bytes is not None:
            kind, peak = step_bill(recipe), max(peak for peak in peaks if peak is not None)
            self._trials[kind] = min(peak, self._trials.get(kind, peak))

    def probed(self, work: UnitWork, timing: Timing) -> None:
        """Take in a probe."""
        self._units[key(work)] = timing.peak_bytes

    def of_trial(self, recipe: TrainingRecipe, evaluations: Iterable[Evaluation]) -> int | None:
        """The peak of a trial: that of trials of its kind, else the largest of its probed units; None if one was not measured."""
        if (own := self._trials.get(step_bill(recipe))) is not None:
            return own
        bills = [validation_bill(recipe), *(evaluation_bill(recipe, each) for each in evaluations)]
        units = [self._units.get(key(work)) for bill in bills for work, _ in bill]
        known = [peak for peak in (*units, self._of_step(recipe)) if peak is not None]
        return max(known) if len(known) == len(units) + 1 else None

    def _of_step(self, recipe: TrainingRecipe) -> int | None:
        """The peak of a step, of whose episodes as many may be differentiated together as the meta-batch has."""
        ((work, episodes),) = step_bill(recipe)
        peak = self._units.get(key(work))
        return None if peak is None else round(peak * max(1.0, episodes / probed_episodes(recipe.algorithm)))


@dataclass(frozen=True)
class GpuShare:
    """The share of a GPU that each trial reserves, and why it is not measured, or not for every trial; None where it is."""

    share: float
    unmeasured: str | None


def _one_seed(sharing: int) -> int:
    return 1


def gpu_share(
    peaks: Sequence[int | None], total_bytes: int | None, *, seeds_together: Callable[[int], int] = _one_seed
) -> GpuShare:
    """The share of a GPU of ``total_bytes`` for each of several trials, by the largest of their peaks: 1, 1/2, ... 1/``MOST_SHARING``.

    None stands for a peak that was not measured, and for the memory of a GPU that is not of this machine. ``seeds_together``: how many
    seeds each process trains if so many share a GPU; they need the memory of as many trials.
    """
    known = [peak for peak in peaks if peak is not None]
    if total_bytes is None:
        return GpuShare(GPU_SHARE, "the GPUs are not this machine's, and their memory is unknown")
    share = GPU_SHARE
    if known:
        needed = {sharing: max(known) * SAFETY * seeds_together(sharing) + CONTEXT_BYTES for sharing in _SHARING}
        share = 1 / max((sharing for sharing in _SHARING if sharing * needed[sharing] <= total_bytes), default=1)
    if missing := len(peaks) - len(known):
        return GpuShare(share, f"the memory of {counted(missing, 'trial')} on this GPU is not measured yet")
    return GpuShare(share, None)
