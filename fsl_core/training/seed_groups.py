"""Decides which trials train together: seeds of one recipe, in the places that their execution paths give them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from fsl_core.training.execution_path import ExecutionPath
from fsl_core.training.path_choice import choose_path
from fsl_core.training.pinned_path import begun_path, pin_path
from fsl_core.training.stage_checkpoint import SELECT, newest_checkpoint
from fsl_core.training.step_kind import StepKind
from fsl_core.training.trial_checkpoint import path_of
from fsl_core.training.trial_run import BegunTrial, PinnedTrial, Trial

SeedGroup = tuple[PinnedTrial, ...]


def begun_trial(trial: Trial) -> BegunTrial:
    """A trial with the path that it has in its folder, if any.

    Raises:
        CheckpointEditionError, CheckpointFormatError, DataChangedError, ExecutionPathError: see :func:`fsl_core.training.trial.run_trial`.
    """
    checkpoint = newest_checkpoint(trial, SELECT, trial.recipe.steps)
    of_checkpoint = None if checkpoint is None else path_of(checkpoint)
    path = begun_path(trial.run.folder, of_checkpoint=of_checkpoint, notice=trial.run.notice)
    return BegunTrial(recipe=trial.recipe, run=trial.run, path=path)


def seed_groups(trials: Sequence[BegunTrial]) -> list[SeedGroup]:
    """Pin the execution path of each trial, in its folder, and return the groups that train together; those that have begun come first.

    The trials have the same recipe but the seed, and the same images. A trial that has begun keeps its path, and so its place. The others
    take the path of their run, else the fastest for as many seeds; where that is to train alone, each is a group of its own.

    Raises:
        ExecutionPathError: this machine lacks a path.
        StopRequested: a trial's ``should_stop`` said so while paths were measured.
    """
    begun = [(trial, trial.path) for trial in trials if trial.path is not None]
    new = [trial for trial in trials if trial.path is None]
    places = zip(new, _places(new), strict=True) if new else ()
    return [*_grouped([_pinned(*each) for each in begun]), *_grouped([_pinned(*each) for each in places])]


def _places(new: Sequence[Trial]) -> list[ExecutionPath]:
    """The paths of trials that have none yet: equal but for the place, which counts from that of the path."""
    path = _new_path(new)
    return [replace(path, place=(path.place + index) % path.seeds_together) for index in range(len(new))]


def _new_path(new: Sequence[Trial]) -> ExecutionPath:
    recipe, run = new[0].recipe, new[0].run
    if run.path is not None:
        return run.path
    ExecutionPath(device=run.device, threads=run.threads).check_available(recipe.matmul_precision)
    shape = run.dataset.meta_train.image_shape
    seeds = len(new) if run.device == "cuda" else 1
    kind = StepKind(recipe=recipe, image_shape=shape, device=run.device, threads=run.threads, seeds=seeds)
    if run.device == "cuda" and not recipe.steps:  # an untrained network takes no step that could be timed
        return kind.usual_path()
    return choose_path(kind, run.choices, should_stop=lambda: any(trial.run.should_stop() for trial in new), notice=run.notice)


def _pinned(trial: Trial, path: ExecutionPath) -> PinnedTrial:
    pin_path(trial.run.folder, path, trial.recipe.matmul_precision)
    if path.compiled and path.device == "cuda":  # given, or chosen by an earlier version
        trial.run.notice("this training's path is compiled: such steps are not proven yet on a GPU (see docs/performance.md)")
    return PinnedTrial(recipe=trial.recipe, run=trial.run, path=path)


def _grouped(trials: Sequence[PinnedTrial]) -> list[SeedGroup]:
    """Put trials into the first group of their path where their place is free; a path of one seed has one place."""
    groups: list[dict[ExecutionPath, PinnedTrial]] = []
    for trial in trials:
        fitting = (group for group in groups if trial.path not in group and _same_training(trial.path, next(iter(group))))
        group = next(fitting, None)
        if group is None:
            groups.append({trial.path: trial})
        else:
            group[trial.path] = trial
    return [tuple(group.values()) for group in groups]


def _same_training(path: ExecutionPath, other: ExecutionPath) -> bool:
    return replace(path, place=0) == replace(other, place=0)
