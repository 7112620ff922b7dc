"""What a sweep will cost: from earlier trials of the same kind, else from a short measured probe that is remembered."""

from __future__ import annotations

import dataclasses
import hashlib
import heapq
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Literal

from fsl_core.algorithm_settings import MamlSettings, MatchingSettings
from fsl_core.atomic_file import write_atomically
from fsl_core.backbone_settings import Conv4Settings
from fsl_core.fingerprint import as_plain
from fsl_core.recipe import OptimiserSettings, TrainingRecipe
from orchestrator.plan import PlannedTrial
from orchestrator.records import TrialRecord

Source = Literal["earlier trials", "probe", "remembered probe", "unknown"]

_PROCESS_BYTES = 900 * 2**20  # torch and its libraries in one worker process, as measured
_TRAINING_BYTES = 25  # a pixel and filter, as measured: float32 activations of a Conv-4 step, all blocks, with their gradients
_SCORING_BYTES = 12  # the same without gradients, for the images that scoring embeds at once,
_SCORING_PIXELS = 500 * 28 * 28
_SCORES_BYTES = 600 * 2**20  # and the distances of a chunk of episodes
_WEIGHT_COPIES = 9  # two checkpoints, each with weights, two Adam moments and the best weights, then the selected weights
_SIDES = {"omniglot": (1, 28), "glyphs": (1, 28), "mini_imagenet": (3, 84)}


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """The cost of one trial: wall-clock seconds for its whole budget (patience may end it sooner), and where that was learnt."""

    seconds: float | None
    source: Source
    memory_bytes: int
    disk_bytes: int


@dataclass(frozen=True)
class Workload:
    """A recipe's kind as far as its cost goes, on one kind of device: trials of one kind cost the same per step."""

    name: str

    @staticmethod
    def of(recipe: TrainingRecipe, device: str) -> Workload:
        """The kind of a recipe: all of it but the seed, the schedule and the budget."""
        same = dataclasses.replace(
            recipe,
            seed=0,
            steps=recipe.validation.every,
            retrain=False,
            optimiser=OptimiserSettings(),
            validation=dataclasses.replace(recipe.validation, patience=None),
        )
        text = json.dumps([as_plain(same), device], sort_keys=True)
        return Workload(hashlib.sha256(text.encode()).hexdigest()[:16])


class CostBook:
    """Seconds of a training step by workload: learnt from records, or probed once and kept in ``<runs-root>/cost.json``."""

    def __init__(self, path: Path, *, device: str) -> None:
        self._path, self._device = path, device
        self._learnt: dict[Workload, list[float]] = {}
        self._probed = self._load()

    def learn(self, records: Iterable[TrialRecord]) -> None:
        """Take in what trials that are done have cost per step, their validations included."""
        for record in records:
            if record.result is None or record.execution is None or record.execution.device != self._device:
                continue
            if record.execution.seconds_per_step is not None:
                workload = Workload.of(record.result.recipe, self._device)
                self._learnt.setdefault(workload, []).append(record.execution.seconds_per_step)

    def predict(self, trial: PlannedTrial, probe: Callable[[TrainingRecipe], float] | None = None) -> Prediction:
        """The cost of a trial. ``probe`` measures the seconds of one step where nothing is known; without it that stays unknown."""
        step_seconds, source = self._step_seconds(trial.recipe, probe)
        return Prediction(
            seconds=None if step_seconds is None else step_seconds * trial.recipe.steps,
            source=source,
            memory_bytes=memory_bytes(trial.recipe),
            disk_bytes=disk_bytes(trial),
        )

    def _step_seconds(
        self, recipe: TrainingRecipe, probe: Callable[[TrainingRecipe], float] | None
    ) -> tuple[float | None, Source]:
        workload = Workload.of(recipe, self._device)
        if workload in self._learnt:
            return median(self._learnt[workload]), "earlier trials"
        if workload in self._probed:
            return self._probed[workload], "remembered probe"
        if probe is None:
            return None, "unknown"
        self._probed[workload] = probe(recipe)
        self._save()
        return self._probed[workload], "probe"

    def _load(self) -> dict[Workload, float]:
        try:
            plain = json.loads(self._path.read_text())
            return {Workload(name): float(seconds) for name, seconds in plain.items()}
        except (OSError, ValueError, AttributeError, TypeError):
            return {}  # a cache: what is lost is measured again

    def _save(self) -> None:
        plain = {workload.name: seconds for workload, seconds in sorted(self._probed.items(), key=lambda item: item[0].name)}
        write_atomically(self._path, json.dumps(plain, indent=1).encode())


def memory_bytes(recipe: TrainingRecipe) -> int:
    """The memory of a trial's process at its peak: the libraries, the weights, and training on an episode or scoring. An estimate.

    MAML keeps one pass over an episode at order 1; at order 2 each adaptation step's forward and backward pass.
    """
    side = _SIDES[recipe.data.dataset][1]
    filters = recipe.backbone.filters if isinstance(recipe.backbone, Conv4Settings) else 1
    shape, algorithm = recipe.episode, recipe.algorithm
    images = float(shape.way * shape.images_per_class)
    if isinstance(algorithm, MamlSettings):
        kept = 3 * algorithm.adaptation_steps if algorithm.order == 2 else 1
        images = shape.way * (shape.query + shape.shot * kept)
    weights = 4 * weight_count(recipe) * 5  # gradients, two Adam moments and the best weights beside the weights themselves
    scoring = 0.0
    if not isinstance(algorithm, MamlSettings):
        scoring = _SCORING_PIXELS * filters * _SCORING_BYTES + _SCORES_BYTES
    return round(_PROCESS_BYTES + weights + max(images * side**2 * filters * _TRAINING_BYTES, scoring))


def weight_count(recipe: TrainingRecipe) -> int:
    """How many numbers the networks of a recipe are made of."""
    channels, side = _SIDES[recipe.data.dataset]
    if isinstance(recipe.backbone, Conv4Settings):
        filters = recipe.backbone.filters
        count, features = 9 * filters * (channels + 3 * filters) + 8 * filters, filters * max(1, side // 16) ** 2
        features = filters if recipe.backbone.downsampling == "stride" else features
    else:
        widths = (channels * side**2, 256, 128, 64, 64)
        count, features = sum(before * after + 2 * after for before, after in pairwise(widths)), 64
    if isinstance(recipe.algorithm, MamlSettings):
        count += (features + 1) * recipe.episode.way
    elif isinstance(recipe.algorithm, MatchingSettings):
        count += recipe.algorithm.learn_scale
    if isinstance(recipe.algorithm, MatchingSettings) and recipe.algorithm.fce:
        count += 2 * 4 * features * (2 * features + 2) + 4 * features * (3 * features + 2)  # the two LSTMs
    return count


def disk_bytes(trial: PlannedTrial) -> int:
    """What a trial's folder takes in the end: its checkpoints, its weights, its scores. An estimate."""
    scores = sum(6 * each.episodes * (1 + (each.adaptation_steps or 0)) + 1000 for each in trial.evaluations)
    return 4 * weight_count(trial.recipe) * _WEIGHT_COPIES + scores + 50_000


def makespan(seconds: Sequence[float], slots: int) -> float:
    """How long trials take on ``slots`` equal slots when the longest waiting one always starts next."""
    ends = [0.0] * max(slots, 1)
    for length in sorted(seconds, reverse=True):
        heapq.heapreplace(ends, ends[0] + length)
    return max(ends)
