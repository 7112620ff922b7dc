"""Describes how a cell's trainings ended: by patience, budget or divergence, and with the weights of which step."""

from __future__ import annotations

from collections.abc import Sequence

from fsl_core.training.result import TrialResult
from orchestrator.report.published import FULL_STEPS, PublishedCell

_ENDINGS = ("patience", "budget", "divergence")


def training_ended(results: Sequence[TrialResult], published: PublishedCell | None) -> str | None:
    """The endings of a cell's trainings, such as ``patience at 4,600 of 10,000, selected 2,600``; None where there are none.

    Seeds with the same kind of ending share one text with the range of their steps. Untrained networks have no ending.
    """
    trained = [result for result in results if result.recipe.steps]
    if not trained:
        return None
    alike = {by: [result for result in trained if result.stopped_by == by] for by in _ENDINGS}
    return "; ".join(_counted(_ending(some, published), some, trained) for some in alike.values() if some)


def cut_short(results: Sequence[TrialResult]) -> bool:
    """Whether patience ended one of the trainings before its budget."""
    return any(result.stopped_by == "patience" and result.steps_done < result.recipe.steps for result in results)


def _ending(results: Sequence[TrialResult], published: PublishedCell | None) -> str:
    """The text for trainings with the same kind of ending."""
    first = results[0]
    at = f"of {first.recipe.steps:,}"
    if first.stopped_by != "budget":
        at = f"at {_range([result.steps_done for result in results])} {at}"
    selected = [result.selected_step for result in results if result.selected_step is not None]
    parts = [f"{first.stopped_by} {at}", *([f"selected {_range(selected)}"] if selected else [])]
    if first.recipe.retrain and selected:
        parts.append(f"trained again for {_range([step + (first.recipe.validation.patience or 0) for step in selected])}")
    if published is not None and first.stopped_by == "patience":
        parts += _shortfall(min(result.steps_done for result in results), published)
    return ", ".join(parts)


def _counted(ending: str, some: Sequence[TrialResult], of: Sequence[TrialResult]) -> str:
    return ending if len(some) == len(of) else f"{len(some)} of {len(of)} seeds: {ending}"


def _range(steps: Sequence[int]) -> str:
    least, most = min(steps), max(steps)
    return f"{least:,}" if least == most else f"{least:,} to {most:,}"


def _shortfall(steps_done: int, published: PublishedCell) -> list[str]:
    """The remark on a training that ended before the number of steps that the source states."""
    for key, whose in (("steps", "the published"), (FULL_STEPS, "a full training's")):
        steps = published.settings.get(key)
        if isinstance(steps, int) and steps_done < steps:
            return [f"short of {whose} {steps:,} steps"]
    return []
