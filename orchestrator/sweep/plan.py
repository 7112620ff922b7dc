"""Unfolds a sweep into its cells and the trials that they share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fsl_core.json_digest import json_digest
from fsl_core.recipe.recipe import Evaluation, TrainingRecipe
from orchestrator.sweep.cell_settings import CellSettings
from orchestrator.sweep.labels import cell_names, full_name, trial_names
from orchestrator.sweep.spec import SweepSpec


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One entry of the table: an evaluation of one recipe per seed.

    ``name`` is unique in its plan; ``label`` states the settings that have no column of their own in the table.
    """

    settings: CellSettings
    name: str
    label: str
    evaluation: Evaluation
    recipes: tuple[TrainingRecipe, ...]

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the cell: of its training without seeds, its evaluation, and its preset."""
        return json_digest([self.recipes[0].without_seed, self.evaluation.fingerprint, self.settings.preset])[:16]

    @property
    def algorithm(self) -> str:
        """The algorithm's name as sweep files spell it."""
        return self.settings.algorithm

    @property
    def dataset(self) -> str:
        """The data set's name."""
        return self.settings.dataset

    @property
    def way(self) -> int:
        """Classes of an evaluation episode."""
        return self.settings.way

    @property
    def shot(self) -> int:
        """Support images per class of an evaluation episode."""
        return self.settings.shot

    @property
    def order(self) -> int | None:
        """The order of the meta-gradient, of MAML or ANIL; None for algorithms without one."""
        order: int | None = self.settings.order
        return order


@dataclass(frozen=True, kw_only=True)
class PlannedTrial:
    """One recipe to execute, the evaluations wanted of it, and the names of the cells that it serves.

    ``name`` is unique in its plan and states differences first, because narrow columns cut the end.
    ``kind`` is the same for trials that differ only in the seed.
    """

    recipe: TrainingRecipe
    evaluations: tuple[Evaluation, ...]
    cells: tuple[str, ...]
    name: str
    kind: str

    @property
    def fingerprint(self) -> str:
        """The recipe's fingerprint, which names the trial's folder."""
        return self.recipe.fingerprint

    @property
    def full_name(self) -> str:
        """The name of the trial outside its plan, which is the same in every plan."""
        return full_name(self.recipe)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A sweep unfolded: its cells in the order of the table, and each distinct trial once."""

    spec: SweepSpec
    cells: tuple[Cell, ...]
    trials: tuple[PlannedTrial, ...]

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the whole work: the trials and their evaluations, whatever their order."""
        work = sorted([trial.fingerprint, sorted(each.fingerprint for each in trial.evaluations)] for trial in self.trials)
        return json_digest(work)[:16]


def build_plan(spec: SweepSpec) -> Plan:
    """Unfold a sweep. Cells that train the same recipe share its trial. A pure function."""
    cells = tuple(
        Cell(
            settings=settings,
            name=named.name,
            label=named.label,
            evaluation=settings.evaluation(),
            recipes=tuple(map(settings.recipe, spec.seeds)),
        )
        for settings, named in zip(spec.cells, cell_names(spec.cells), strict=True)
    )
    return Plan(spec=spec, cells=cells, trials=_trials(cells))


def _trials(cells: Sequence[Cell]) -> tuple[PlannedTrial, ...]:
    """Each distinct recipe once, in the order of the cells, with all evaluations that the cells want."""
    recipes = {recipe.fingerprint: recipe for cell in cells for recipe in cell.recipes}
    wanted: dict[str, dict[Evaluation, None]] = {name: {} for name in recipes}
    serving: dict[str, dict[str, None]] = {name: {} for name in recipes}
    for cell in cells:
        for recipe in cell.recipes:
            wanted[recipe.fingerprint][cell.evaluation] = None
            serving[recipe.fingerprint][cell.name] = None
    return tuple(
        PlannedTrial(
            recipe=recipe,
            evaluations=tuple(wanted[fingerprint]),
            cells=tuple(serving[fingerprint]),
            name=named.name,
            kind=named.kind,
        )
        for (fingerprint, recipe), named in zip(recipes.items(), trial_names(tuple(recipes.values())), strict=True)
    )
