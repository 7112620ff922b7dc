"""Computes the table's rows: published number, reproduced number, and verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fsl_core.recipe.algorithm_settings import AlgorithmSettings
from orchestrator.records.trial_record import TrialRecord
from orchestrator.report.changed_images import changed_images
from orchestrator.report.protocol import Difference, differences
from orchestrator.report.published import Registries
from orchestrator.report.published_number import PublishedNumber, numbers_beside
from orchestrator.report.score import CellScore, score_cell
from orchestrator.report.seed_spread import SeedSpread
from orchestrator.report.sides import AlgorithmOnData, Sides, sides, table_spreads
from orchestrator.report.training_ended import cut_short, training_ended
from orchestrator.report.verdict import Verdict, verdict
from orchestrator.sweep.plan import Cell, Plan


@dataclass(frozen=True, kw_only=True)
class CellRow:
    """One row of the table. Accuracies, intervals and differences are in percent and points; missing values are None.

    ``published``: one number of each of the sweep's registries that has any, in its order; ``difference``, ``verdict``, ``differs`` and
    ``doubt`` refer to the first. ``verdict`` is the whole text; ``verdict_label`` is its beginning and ``verdict_reasons`` the rest, for
    programs.
    ``unlike``: the reasons are differences, which ``differs`` lists too; ``lost``: a remark on seeds that diverged, in addition to
    another verdict; ``trained_for_less``: than the published run, intended or not; ``cut_short``: patience ended a training before its
    budget, as ``training_ended`` says. ``differs`` lists the settings unlike the published ones, and images unlike those of other rows or
    seeds; ``choices`` lists the preset's
    choices where its source is silent. ``short`` and ``overrides`` are the sweep's: intentionally shorter, and changed on the command
    line. ``cell``, ``evaluation`` and ``trials`` are fingerprints: of the row, of its evaluation, and of its seeds' trials.
    ``code_versions`` is how many versions of the code, as far as known, computed the trainings of the seeds combined.
    ``ci95_classes`` is half the interval that covers other test classes.
    ``ci95_difference`` is half the interval behind the verdict, and ``assumed`` lists its assumptions. ``json_keys.py`` describes the
    exported fields for readers.
    """

    cell: str
    evaluation: str
    trials: tuple[str, ...]
    algorithm: str
    variant: str
    dataset: str
    way: int
    shot: int
    maml_order: int | None
    inductive: bool | None
    published: tuple[PublishedNumber, ...]
    reproduced: float | None
    ci95_episodes: float | None
    std_seeds: float | None
    seeds_done: int
    seeds_wanted: int
    difference: float | None
    verdict: str
    verdict_label: str
    verdict_reasons: tuple[str, ...]
    unlike: bool
    lost: str | None
    trained_for_less: bool
    training_ended: str | None
    cut_short: bool
    differs: tuple[str, ...]
    choices: tuple[str, ...]
    doubt: str | None
    short: bool
    overrides: tuple[str, ...]
    ci95_classes: float | None = None
    preset: str | None = None
    ci95_difference: float | None = None
    assumed: tuple[str, ...] = ()
    code_versions: int = 0

    @property
    def form(self) -> str:
        """The algorithm in its form: ``MAML order 2, 3 adaptation steps``."""
        return f"{_title(self.algorithm)} {self.variant}"

    @property
    def compared(self) -> PublishedNumber | None:
        """The published number that the verdict is against; None where there is none."""
        return self.published[0] if self.published else None


def _title(algorithm: str) -> str:
    """The title of an algorithm in tables; its name where it is not installed."""
    kind = AlgorithmSettings.kinds().get(algorithm)
    return algorithm if kind is None else kind.title


def table_rows(plan: Plan, records: Mapping[str, TrialRecord], registries: Registries) -> tuple[CellRow, ...]:
    """The rows of a plan's table, in the order of its cells: a pure function of the records and the published numbers."""
    scored = [(cell, score_cell(cell, records)) for cell in plan.cells]
    table, changed = table_spreads(scored), changed_images(scored)
    return tuple(_row(plan, cell, score, registries, table, changed=changed.get(cell.fingerprint)) for cell, score in scored)


def _row(
    plan: Plan,
    cell: Cell,
    score: CellScore,
    registries: Registries,
    table: Mapping[AlgorithmOnData, SeedSpread],
    *,
    changed: str | None,
) -> CellRow:
    sources = plan.spec.compared_with(cell.settings)
    published = registries.find(sources, cell.settings)
    unlike = differences(cell.settings, published) if published else ()
    both = sides(cell, score, published, table, registries.assumptions) if published else None
    decided = _decided(plan, cell, score, both, unlike, margin=registries.margin(cell.settings))
    return CellRow(
        cell=cell.fingerprint,
        evaluation=cell.evaluation.fingerprint,
        trials=tuple(recipe.fingerprint for recipe in cell.recipes),
        algorithm=cell.algorithm,
        variant=cell.label,
        dataset=cell.dataset,
        way=cell.way,
        shot=cell.shot,
        maml_order=cell.order,
        inductive=cell.settings.inductive,
        published=numbers_beside(cell.settings, registries, sources),
        reproduced=score.reproduced,
        ci95_episodes=score.ci95_episodes,
        std_seeds=score.std_seeds,
        seeds_done=score.seeds_done,
        seeds_wanted=len(cell.recipes),
        difference=score.reproduced - published.accuracy if published and score.reproduced is not None else None,
        verdict=str(decided),
        verdict_label=decided.short,
        verdict_reasons=(*decided.reasons, *([decided.lost] if decided.lost else [])),
        unlike=decided.unlike,
        lost=decided.lost,
        trained_for_less=plan.spec.short or bool(_texts(unlike, "budget")),
        training_ended=training_ended(score.trained, published),
        cut_short=cut_short(score.trained),
        differs=tuple(difference.text for difference in unlike) + tuple(filter(None, (score.mixed, changed))),
        choices=plan.spec.choices_of(cell.settings),
        doubt=published.doubt if published else None,
        short=plan.spec.short,
        overrides=plan.spec.overrides,
        ci95_classes=score.ci95_classes,
        preset=cell.settings.preset,
        ci95_difference=decided.half,
        assumed=both.assumed if both and decided.half is not None else (),
        code_versions=score.code_versions,
    )


def _decided(
    plan: Plan, cell: Cell, score: CellScore, both: Sides | None, unlike: tuple[Difference, ...], *, margin: float | None
) -> Verdict:
    return verdict(
        score.measured,
        both.printed if both else None,
        margin=margin,
        spread=both.spread if both else None,
        wanted=len(cell.recipes),
        diverged=score.diverged,
        material=_texts(unlike, "material") if not plan.spec.short else (),
        short=_short(plan, cell, both is not None, unlike),
    )


def _texts(unlike: tuple[Difference, ...], weight: str) -> tuple[str, ...]:
    return tuple(difference.text for difference in unlike if difference.weight == weight)


def _short(plan: Plan, cell: Cell, compared: bool, unlike: tuple[Difference, ...]) -> tuple[str, ...]:
    if not compared:
        return ()
    if plan.spec.short:
        return (f"{cell.settings.steps} training steps", *_texts(unlike, "material"))
    return _texts(unlike, "budget")
