"""Names MLflow's metrics, with their group before a ``/``; accuracies are fractions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from fsl_core.recipe.recipe import Evaluation, TrainingRecipe

USUAL_QUERY = 15
"""The query images per class of nearly every published evaluation: omitted from a metric's name."""

GROUPS = ("train", "validation")


def curve_name(curve: str) -> str:
    """The metric of a curve: ``train/loss`` for ``train_loss``. A curve without a group belongs to training."""
    group, _, rest = curve.partition("_")
    return f"{group}/{rest}" if group in GROUPS and rest else f"train/{curve}"


def exact_suffix(evaluation: Evaluation) -> str:
    """The suffix of this evaluation's metrics, such as ``5way_1shot``; it names unusual settings only."""
    usual = {"adaptation_steps": None, "query": USUAL_QUERY, "episodes": Evaluation.episodes, "seed": Evaluation.seed}
    actual = {
        "adaptation_steps": evaluation.adaptation_steps,
        "query": evaluation.shape.query,
        "episodes": evaluation.episodes,
        "seed": evaluation.seed,
    }
    unusual = [f"_{actual[name]}{name}" for name in usual if actual[name] != usual[name]]
    return f"{common_suffix(evaluation)}{''.join(unusual)}{'_inductive' if evaluation.inductive else ''}"


def common_suffix(evaluation: Evaluation) -> str:
    """The suffix that evaluations of the same ways and shots share for every algorithm."""
    return f"{evaluation.shape.way}way_{evaluation.shape.shot}shot"


def representatives(recipe: TrainingRecipe, evaluations: Iterable[Evaluation]) -> dict[str, Evaluation]:
    """The evaluation that represents its ways and shots, by their common suffix.

    A single evaluation represents them. Of several, the one that is scored as in model selection does: transductively, after the same
    number of adaptation steps. Where there is not exactly one such evaluation, none does.
    """
    groups: defaultdict[str, list[Evaluation]] = defaultdict(list)
    for evaluation in evaluations:
        groups[common_suffix(evaluation)].append(evaluation)
    chosen = {suffix: _like_validation(recipe, group) if len(group) > 1 else group for suffix, group in groups.items()}
    return {suffix: group[0] for suffix, group in chosen.items() if len(group) == 1}


def _like_validation(recipe: TrainingRecipe, group: list[Evaluation]) -> list[Evaluation]:
    steps = recipe.validation.adaptation_steps
    return [each for each in group if each.adaptation_steps == steps and not each.inductive]
