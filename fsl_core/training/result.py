"""The results of a trial: values that are equal in every run of the same work, however often it was killed.

Seconds, hosts and attempts differ from run to run and are recorded elsewhere. Imports no torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Literal, cast

from fsl_core.checks import one_of
from fsl_core.episodes.answers import problem_with_answers
from fsl_core.episodes.episode_classes import EpisodeClasses, episode_classes_from_plain
from fsl_core.episodes.statistics import confidence_interval_95, mean
from fsl_core.errors import RecipeError
from fsl_core.plain_values import count, digest, fraction, member, not_negative, number
from fsl_core.recipe.fingerprint import as_plain
from fsl_core.recipe.recipe import Evaluation, TrainingRecipe, evaluation_from_plain, recipe_from_plain

Curve = tuple[tuple[int, float], ...]
"""Points ``(step, value)`` in the order of their steps."""

MOST_STEPS = 2**63 - 1
"""The largest step of a curve: elsewhere steps are 64-bit integers."""


@dataclass(frozen=True, kw_only=True)
class TrialResult:
    """The outcome of one training.

    ``status`` is ``diverged`` if the loss stopped being finite: a result without weights, not an error. ``selected_step`` is the step
    whose weights model selection kept, ``validation_loss`` (nats) and ``validation_accuracy`` their meta-validation scores;
    ``weights_digest`` is the SHA-256 of the weights that evaluations score. ``curves`` maps ``train_loss``, ``train_accuracy``,
    ``validation_loss``, ``validation_accuracy`` and ``outer_lr`` to their points (accuracies in 0..1).
    """

    recipe: TrainingRecipe
    status: Literal["complete", "diverged"]
    stopped_by: Literal["budget", "patience", "divergence"]
    steps_done: int
    selected_step: int | None
    validation_loss: float | None
    validation_accuracy: float | None
    weights_digest: str | None
    data_digest: str
    curves: Mapping[str, Curve] = field(default_factory=dict)

    def as_plain(self) -> dict[str, Any]:
        """This result as plain JSON types."""
        plain = {name: getattr(self, name) for name in _TRIAL_FIELDS}
        curves = {name: [list(point) for point in curve] for name, curve in sorted(self.curves.items())}
        return {"fingerprint": self.recipe.fingerprint, "recipe": as_plain(self.recipe), **plain, "curves": curves}


_TRIAL_FIELDS = (
    "status",
    "stopped_by",
    "steps_done",
    "selected_step",
    "validation_loss",
    "validation_accuracy",
    "weights_digest",
    "data_digest",
)


def trial_result_from_plain(plain: Mapping[str, Any]) -> TrialResult:
    """Read a result from the document of :meth:`TrialResult.as_plain`.

    Raises:
        RecipeError: the document is not one, is of another recipe, or has values that no training can produce.
    """
    recipe = recipe_from_plain(member(plain, "recipe", dict))
    if recipe.fingerprint != plain.get("fingerprint"):
        raise RecipeError(f"the recipe's fingerprint is {recipe.fingerprint}, the document says {plain.get('fingerprint')!r}")
    status, stopped_by = plain.get("status"), plain.get("stopped_by")
    one_of("status, stopped_by", (status, stopped_by), _ENDS)
    steps = count(plain.get("steps_done"), "steps_done", recipe.steps)
    done = status == "complete"
    selected = {name: plain.get(name) for name in ("selected_step", "validation_loss", "validation_accuracy", "weights_digest")}
    if not done and any(value is not None for value in selected.values()):
        raise RecipeError("a training that diverged has no selected weights")
    return TrialResult(
        recipe=recipe,
        status=cast(Any, status),
        stopped_by=cast(Any, stopped_by),
        steps_done=steps,
        selected_step=count(selected["selected_step"], "selected_step", steps) if done else None,
        validation_loss=not_negative(selected["validation_loss"], "validation_loss") if done else None,
        validation_accuracy=fraction(selected["validation_accuracy"], "validation_accuracy") if done else None,
        weights_digest=digest(plain, "weights_digest") if done else None,
        data_digest=digest(plain, "data_digest"),
        curves={name: _curve(name, points) for name, points in member(plain, "curves", dict).items()},
    )


_ENDS = (
    ("complete", "budget"),
    ("complete", "patience"),
    ("diverged", "divergence"),
    ("diverged", "budget"),
    ("diverged", "patience"),
)


def _curve(name: str, points: object) -> Curve:
    """The points of a curve with increasing steps; accuracies in 0..1."""
    value_of = fraction if name.endswith("accuracy") else number
    curve = []
    for point in points if isinstance(points, list) else [points]:
        if not isinstance(point, list) or len(point) != 2:
            raise RecipeError(f"the curve {name} has a point {point!r:.60}; a point must be a step and a value")
        curve.append((count(point[0], f"a step of {name}", MOST_STEPS), value_of(point[1], f"a value of {name}")))
    if any(before >= after for (before, _), (after, _) in pairwise(curve)):
        raise RecipeError(f"the steps of the curve {name} do not increase")
    return tuple(curve)


@dataclass(frozen=True, kw_only=True)
class EvaluationResult:
    """The score of one trained trial on the frozen episodes of one evaluation.

    ``correct[i]`` is the number of correctly classified query images of episode ``i``, of ``evaluation.shape.queries``; ``answers[i]``
    says which, encoded by :mod:`fsl_core.episodes.answers`, and ``classes`` has their classes. For an adapting algorithm
    ``correct_by_step[s][i]`` is the number after ``s`` adaptation steps, from 0 to the evaluation's; None otherwise.
    ``episodes_digest`` identifies the sampled episodes (their classes and images): scores with equal digests can be paired.
    """

    recipe_fingerprint: str
    evaluation: Evaluation
    weights_digest: str
    data_digest: str
    episodes_digest: str
    correct: tuple[int, ...]
    answers: tuple[str, ...]
    classes: EpisodeClasses
    correct_by_step: tuple[tuple[int, ...], ...] | None = None

    def __post_init__(self) -> None:
        most, steps = self.evaluation.shape.queries, self.evaluation.adaptation_steps
        for counts in (self.correct, *(self.correct_by_step or ())):
            if len(counts) != self.evaluation.episodes or not all(type(count) is int and 0 <= count <= most for count in counts):
                raise RecipeError(
                    f"an evaluation of {self.evaluation.episodes} episodes needs one count per episode, each in 0..{most}"
                )
        if problem := problem_with_answers(self.answers, self.correct, most):
            raise RecipeError(f"the answers do not match the counts: {problem}")
        self.classes.check(self.evaluation.episodes, self.evaluation.shape.way)
        if steps is None and self.correct_by_step is not None:
            raise RecipeError("an evaluation without adaptation steps has no counts by step")
        if steps is not None and (
            self.correct_by_step is None or len(self.correct_by_step) != steps + 1 or self.correct_by_step[-1] != self.correct
        ):
            raise RecipeError(
                f"an evaluation of {steps} adaptation steps needs counts after 0 to {steps}, the last the score's own"
            )

    @property
    def accuracies(self) -> tuple[float, ...]:
        """Each episode's accuracy, in 0..1."""
        return tuple(count / self.evaluation.shape.queries for count in self.correct)

    @property
    def accuracy(self) -> float:
        """The mean accuracy over the episodes, in 0..1."""
        return mean(self.accuracies)

    @property
    def ci95(self) -> float:
        """Half the width of the 95% interval over episodes, in 0..1. It does not cover the spread over training seeds."""
        return confidence_interval_95(self.accuracies)

    def as_plain(self) -> dict[str, Any]:
        """This score as plain JSON types."""
        return {
            "recipe_fingerprint": self.recipe_fingerprint,
            "fingerprint": self.evaluation.fingerprint,
            "evaluation": as_plain(self.evaluation),
            "weights_digest": self.weights_digest,
            "data_digest": self.data_digest,
            "episodes_digest": self.episodes_digest,
            "accuracy": self.accuracy,
            "ci95": self.ci95,
            "correct": list(self.correct),
            "answers": list(self.answers),
            "classes": self.classes.as_plain(),
            **({} if self.correct_by_step is None else {"correct_by_step": [list(counts) for counts in self.correct_by_step]}),
        }


def evaluation_result_from_plain(plain: Mapping[str, Any]) -> EvaluationResult:
    """Read a score from the document of :meth:`EvaluationResult.as_plain`.

    Raises:
        RecipeError: the document is not one, or its accuracy and interval do not match its counts.
    """
    by_step = None if plain.get("correct_by_step") is None else member(plain, "correct_by_step", list)
    score = EvaluationResult(
        recipe_fingerprint=member(plain, "recipe_fingerprint", str),
        evaluation=evaluation_from_plain(member(plain, "evaluation", dict)),
        weights_digest=digest(plain, "weights_digest"),
        data_digest=digest(plain, "data_digest"),
        episodes_digest=digest(plain, "episodes_digest"),
        correct=tuple(member(plain, "correct", list)),
        answers=tuple(member(plain, "answers", list)),
        classes=episode_classes_from_plain(member(plain, "classes", dict)),
        correct_by_step=None
        if by_step is None
        else tuple(tuple(member({"counts": counts}, "counts", list)) for counts in by_step),
    )
    said = {name: number(plain.get(name), name) for name in ("accuracy", "ci95")}
    unlike = [name for name, value in said.items() if abs(value - getattr(score, name)) > _ROUNDING]
    if score.evaluation.fingerprint != plain.get("fingerprint") or unlike:
        raise RecipeError(f"the counts do not match: {', '.join(unlike) or 'fingerprint'}")
    return score


_ROUNDING = 1e-9
