"""What MLflow's metrics are called: in groups before a ``/``, accuracies as fractions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from fsl_core.recipe.recipe import Evaluation, TrainingRecipe

USUAL_QUERY = 15
"""Query images a class of nearly every published evaluation: left unsaid in a metric's name."""

GROUPS = ("train", "validation")


def curve_name(curve: str) -> str:
    """The metric of a curve: ``train/loss`` of ``train_loss``; what has no group is training's."""
    group, _, rest = curve.partition("_")
    return f"{group}/{rest}" if group in GROUPS and rest else f"train/{curve}"


def exact_suffix(evaluation: Evaluation) -> str:
    """What tells this evaluation's metrics from another's, such as ``5way_1shot``; only unusual settings are said."""
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
    """What evaluations of the same ways and shots share, whatever the algorithm."""
    return f"{evaluation.shape.way}way_{evaluation.shape.shot}shot"


def representatives(recipe: TrainingRecipe, evaluations: Iterable[Evaluation]) -> dict[str, Evaluation]:
    """The evaluation that stands for its ways and shots, by their common suffix.

    The only one does; of several, the one that adapts as many steps as model selection did and is transductive as that is, where
    that is one. Else none does.
    """
    groups: defaultdict[str, list[Evaluation]] = defaultdict(list)
    for evaluation in evaluations:
        groups[common_suffix(evaluation)].append(evaluation)
    chosen = {suffix: _like_validation(recipe, group) if len(group) > 1 else group for suffix, group in groups.items()}
    return {suffix: group[0] for suffix, group in chosen.items() if len(group) == 1}


def _like_validation(recipe: TrainingRecipe, group: list[Evaluation]) -> list[Evaluation]:
    steps = recipe.validation.adaptation_steps
    return [each for each in group if each.adaptation_steps == steps and not each.inductive]
