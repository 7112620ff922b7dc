"""A stage of a trial: one training, of one seed alone or of several seeds of a recipe in the same steps.

The seeds of a path have their places in one training state. Only the shapes of a step decide the bits of a seed's result, not what is in
the other places: so a seed that has stopped, or that another process trains, leaves a place whose steps are taken and ignored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from fsl_core.algorithms.catalogue import build_algorithm
from fsl_core.datasets.image_bank import ImageBank
from fsl_core.episodes.sampler import EpisodeSampler, frozen_episodes
from fsl_core.errors import StopRequested
from fsl_core.randomness import Stream
from fsl_core.training.path_file import PATH_FILE
from fsl_core.training.pinned_path import check_of_this_path
from fsl_core.training.progress import progress_of
from fsl_core.training.stage_checkpoint import checkpoint_folder, newest_checkpoint
from fsl_core.training.state import SeedState, TrainingState, start_training
from fsl_core.training.step import StepSettings
from fsl_core.training.step_runner import step_runner
from fsl_core.training.time_shares import TimeShares
from fsl_core.training.training import Schedule, SeedLoop, Validation, meta_train, running_seeds
from fsl_core.training.trial_checkpoint import StageCheckpoints, other_makers, path_of
from fsl_core.training.trial_run import PinnedTrial


@dataclass(frozen=True, kw_only=True)
class SeedStage:
    """A stage of one trial: its images, its number of steps, and whether meta-validation selects the weights."""

    trial: PinnedTrial
    name: str
    bank: ImageBank
    steps: int
    selects: bool

    @property
    def place(self) -> int:
        """The place among the seeds that train together."""
        return self.trial.path.place

    def checkpoints(self) -> StageCheckpoints:
        """The writer of its checkpoints."""
        trial = self.trial
        folder = checkpoint_folder(trial.run.folder, self.name)
        return StageCheckpoints(folder=folder, recipe=trial.recipe, data_digest=trial.run.dataset.digest, path=trial.path)

    def sampler(self, bank: ImageBank) -> EpisodeSampler:
        """The episodes of its steps."""
        recipe = self.trial.recipe
        return EpisodeSampler(bank, recipe.episode, recipe.seed, f"{self.name}/episodes", recipe.data.distinct_characters)

    def first_weights(self) -> Stream:
        """The random numbers of its first weights."""
        return Stream(self.trial.recipe.seed, f"{self.name}/weights")


def run_stage(stages: Sequence[SeedStage], shares: TimeShares) -> list[SeedState]:
    """Train each seed until it stops, from its newest checkpoint on. The stages have places on one path and the same recipe but the seed.

    Seeds train together if their checkpoints are of one step, or can be taken back to one; the others follow.
    """
    left, ended = [_resumed(stage) for stage in stages], dict[int, SeedState]()
    while left:
        together, left = _at_one_step(left)
        ended |= _train(together, shares)
    return [ended[stage.place] for stage in stages]


@dataclass(frozen=True, kw_only=True)
class _Resumed:
    """A stage and the checkpoint that it resumes from, if any."""

    stage: SeedStage
    checkpoint: Mapping[str, Any] | None

    @property
    def step(self) -> int:
        return 0 if self.checkpoint is None else int(self.checkpoint["state"]["step"])

    @property
    def stopped(self) -> bool:
        return self.checkpoint is not None and self.checkpoint["state"]["stopped_by"] is not None

    def back_at(self, step: int) -> _Resumed | None:
        """The same at an earlier step, at most one point of the curves back; None if that has no checkpoint."""
        if step == self.step:
            return self
        earlier = _resumed(self.stage, at_most=step)
        lost = self.step - step
        return earlier if earlier.step == step and lost <= self.stage.trial.recipe.validation.every else None


def _resumed(stage: SeedStage, *, at_most: int | None = None) -> _Resumed:
    trial = stage.trial
    checkpoint = newest_checkpoint(trial, stage.name, stage.steps, at_most=at_most)
    if checkpoint is not None:
        check_of_this_path(path_of(checkpoint), trial.path, trial.run.folder / PATH_FILE)
    return _Resumed(stage=stage, checkpoint=checkpoint)


def _at_one_step(resumed: Sequence[_Resumed]) -> tuple[list[_Resumed], list[_Resumed]]:
    """The seeds that train together from the earliest step on, with those that have stopped; and the others.

    A kill between the checkpoints of two seeds leaves them one point of the curves apart, and the older checkpoint is kept.
    """
    step = min((each.step for each in resumed if not each.stopped), default=0)
    together, left = list[_Resumed](), list[_Resumed]()
    for each in resumed:
        taken = each if each.stopped else each.back_at(step)
        if taken is None:
            left.append(each)
        else:
            together.append(taken)
    return together, left


def _train(together: Sequence[_Resumed], shares: TimeShares) -> dict[int, SeedState]:
    """Train seeds from one step on; returns how each ended, by its place."""
    first = together[0].stage
    path, recipe = first.trial.path, first.trial.recipe
    running = [each for each in together if not each.stopped]
    if running:
        shares.among({each.stage.place for each in running})
    with path.active(recipe.matmul_precision) as device:
        bank = first.bank.to(device)
        # A place that nobody has repeats the first seed: it needs some weights and episodes, and nothing reads them.
        seats = dict.fromkeys(range(path.seeds_together), first) | {each.stage.place: each.stage for each in together}
        state = start_training(
            build_algorithm(recipe, image_shape=bank.image_shape),
            recipe.optimiser,
            streams=[seat.first_weights() for seat in seats.values()],
            kernels=path.kernels,
            device=device,
            captured=path.captured,
        )
        for each in together:
            _restore(state, each)
        if running:  # all at one step, whatever step a stopped seed left behind
            state.begin_at(running[0].step)
        training = _Training(stages=[each.stage for each in together], state=state, bank=bank, shares=shares)
        training.run([seat.sampler(bank) for seat in seats.values()])
    return {each.stage.place: state.seeds[each.stage.place] for each in together}


def _restore(state: TrainingState, resumed: _Resumed) -> None:
    stage, checkpoint, notice = resumed.stage, resumed.checkpoint, resumed.stage.trial.run.notice
    if checkpoint is not None:
        state.restore(checkpoint["state"], stage.place)
        notice(f"resumed {stage.name} at step {state.step} of {stage.steps}")
        if others := other_makers(checkpoint):
            notice(f"the steps up to {state.step} were computed by {others}; the records name only what computes the rest")


@dataclass
class _Training:
    """The training of the seeds of one state, whose places are those of ``stages``; ``bank`` is on the device."""

    stages: Sequence[SeedStage]
    state: TrainingState
    bank: ImageBank
    shares: TimeShares

    def run(self, samplers: Sequence[EpisodeSampler]) -> None:
        first, loops = self.stages[0].trial, self._loops()
        if not running_seeds(self.state, loops):
            return
        path = first.path
        settings = StepSettings.of(first.recipe, episodes_at_once=path.episodes_at_once, kernels=path.kernels)
        take_step = step_runner(self.state, samplers, settings, captured=path.captured, compiled=path.compiled)
        meta_train(self.state, take_step, loops, before_step=partial(self._before_step, loops))
        for stage in self.stages:
            stage.trial.run.dataset.check_unchanged()

    def _loops(self) -> list[SeedLoop | None]:
        loops: list[SeedLoop | None] = [None] * len(self.state.seeds)
        images = self.stages[0].trial.run.dataset.meta_validation.to(self.bank.images.device)  # the same for all
        for stage in self.stages:
            recipe = stage.trial.recipe
            loops[stage.place] = SeedLoop(
                schedule=Schedule(optimiser=recipe.optimiser, steps=stage.steps, every=recipe.validation.every),
                validation=_validation(stage, images) if stage.selects else None,
                after_interval=partial(self._after_interval, stage),
            )
        return loops

    def _after_interval(self, stage: SeedStage) -> None:
        self._save(stage)
        stage.trial.run.observe(progress_of(self.state, stage.steps, seed=stage.place))

    def _save(self, stage: SeedStage) -> None:
        stage.trial.run.dataset.check_unchanged()  # first: no checkpoint is of images other than those verified
        stage.checkpoints().save(self.state, stage.place)

    def _before_step(self, loops: Sequence[SeedLoop | None]) -> None:
        running = {index for index, _ in running_seeds(self.state, loops)}
        self.shares.among(running)
        stages = [stage for stage in self.stages if stage.place in running]
        if any(stage.trial.run.should_stop() for stage in stages):
            for stage in stages:
                self._save(stage)
            most = max(stage.steps for stage in stages)
            raise StopRequested(f"stopped at step {self.state.step} of {most}; the checkpoint is written")


def _validation(stage: SeedStage, images: ImageBank) -> Validation:
    recipe, dataset = stage.trial.recipe, stage.trial.run.dataset
    settings = recipe.validation
    pool = dataset.meta_validation.pool(distinct_characters=recipe.data.distinct_characters)
    episodes = frozen_episodes(pool, settings.shape, settings.episodes, seed=recipe.seed, stream="validation")
    return Validation(bank=images, episodes=episodes, settings=settings, kernels=stage.trial.path.kernels)
