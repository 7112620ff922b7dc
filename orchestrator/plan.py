"""What a sweep has to do: its cells, and the trials that they share."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass

from fsl_core.recipe import Evaluation, TrainingRecipe
from orchestrator.cell_settings import CellSettings
from orchestrator.spec import SweepSpec
from orchestrator.variant import form_of, variants


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One entry of the table: an evaluation of one recipe a seed. ``variant`` is what sets it apart beside the table's columns."""

    settings: CellSettings
    variant: str
    evaluation: Evaluation
    recipes: tuple[TrainingRecipe, ...]

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
        """The order of MAML's gradient; None for other algorithms."""
        return self.settings.order

    @property
    def name(self) -> str:
        """The cell in words, unlike every other cell of its plan in the table's own axes."""
        order = f" order {self.order}" if self.order else ""
        return f"{self.algorithm}{order} {self.variant}, {self.dataset} {self.way}-way {self.shot}-shot"


@dataclass(frozen=True, kw_only=True)
class PlannedTrial:
    """One recipe to execute, the evaluations wanted of it, and the names of the cells that it serves."""

    recipe: TrainingRecipe
    evaluations: tuple[Evaluation, ...]
    cells: tuple[str, ...]

    @property
    def fingerprint(self) -> str:
        """The recipe's fingerprint, which names the trial's folder."""
        return self.recipe.fingerprint

    @property
    def name(self) -> str:
        """The trial in a few words, for people, such as ``60w1s seed 0, prototypical (squared Euclidean), omniglot``.

        What sets it apart from its neighbours comes first, for narrow columns cut the end: ways and shots of training, seed.
        """
        return f"{self.episode} seed {self.recipe.seed}, {self.kind}"

    @property
    def episode(self) -> str:
        """Ways and shots of its training episodes, such as ``60w1s``."""
        return f"{self.recipe.episode.way}w{self.recipe.episode.shot}s"

    @property
    def kind(self) -> str:
        """What is trained on what, in words."""
        recipe = self.recipe
        form = form_of(recipe.algorithm, recipe.backbone)
        return f"{recipe.algorithm.name} ({form}), {recipe.data.dataset}{'' if recipe.steps else ', untrained'}"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A sweep unfolded: its cells in the order of the table, and each distinct trial once."""

    spec: SweepSpec
    cells: tuple[Cell, ...]
    trials: tuple[PlannedTrial, ...]

    @property
    def fingerprint(self) -> str:
        """Names the work as a whole: the trials with their evaluations, whatever their order."""
        work = sorted([trial.fingerprint, sorted(each.fingerprint for each in trial.evaluations)] for trial in self.trials)
        return hashlib.sha256(json.dumps(work).encode()).hexdigest()[:16]


def build_plan(spec: SweepSpec) -> Plan:
    """Unfold a sweep. Cells that train the same recipe share its trial; a pure function."""
    cells = tuple(
        Cell(
            settings=settings,
            variant=variant,
            evaluation=settings.evaluation(),
            recipes=tuple(map(settings.recipe, spec.seeds)),
        )
        for settings, variant in zip(spec.cells, variants(spec.cells), strict=True)
    )
    trials: dict[str, PlannedTrial] = {}
    for cell in cells:
        for recipe in cell.recipes:
            known = trials.get(recipe.fingerprint) or PlannedTrial(recipe=recipe, evaluations=(), cells=())
            evaluations = known.evaluations if cell.evaluation in known.evaluations else (*known.evaluations, cell.evaluation)
            trials[recipe.fingerprint] = dataclasses.replace(
                known, evaluations=evaluations, cells=tuple(dict.fromkeys((*known.cells, cell.name)))
            )
    return Plan(spec=spec, cells=cells, trials=tuple(trials.values()))
