"""A kind of training step, and the execution paths on which it may run."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

import torch

from fsl_core.backbones.available_loops import loops_are_installed
from fsl_core.backbones.kernels import Kernels, Normalisation
from fsl_core.processor import processor_name
from fsl_core.provenance import library_versions
from fsl_core.recipe.recipe import TrainingRecipe
from fsl_core.training.episode_memory import most_episodes_at_once
from fsl_core.training.execution_path import ExecutionPath
from fsl_core.training.recorded_kind import most_steps, recorded_kind, repays_compiling, repays_loops

_PIXELS_AT_ONCE_ON_CUDA = 25_000_000  # of the episodes differentiated together: bounds memory
_USUAL_PIXELS_AT_ONCE = 80_000  # on a CPU, where larger maps outgrow its caches
_PIXELS_OF_A_SMALL_IMAGE = 40 * 40  # cuDNN convolves many groups of images up to this size more slowly than matrix products do


@dataclass(frozen=True, kw_only=True)
class StepKind:
    """The inputs of the choice: the work of a step, and the machine and libraries that do it.

    ``seeds``: the number of seeds of the recipe that one process trains; on CUDA they may train together.
    """

    recipe: TrainingRecipe
    image_shape: tuple[int, int, int]
    device: str
    threads: int
    seeds: int = 1

    def as_plain(self) -> dict[str, Any]:
        """The kind as JSON types."""
        return {
            **recorded_kind(self.recipe, self.image_shape, self.device),
            "device_name": torch.cuda.get_device_name() if self.device == "cuda" else processor_name(),
            "threads": self.threads,
            "torch": torch.__version__,
            "instructions": torch.backends.cpu.get_cpu_capability(),
            **({"numba": library_versions().get("numba")} if self.device == "cpu" else {}),
            **({"seeds": self.seeds} if self.seeds > 1 else {}),
        }

    def usual_path(self) -> ExecutionPath:
        """The default path, used without measurement, for example in a prediction."""
        if self.device == "cuda":
            usual = ExecutionPath(device="cuda", threads=self.threads, episodes_at_once=self._most(), stem="maps", captured=True)
            if self._has_many_small_groups():
                return _unfolded(usual)
            return usual if self.recipe.algorithm.adapts else replace(usual, normalisation="library")
        at_once = min(self._most(), self._fitting(_USUAL_PIXELS_AT_ONCE))
        return ExecutionPath(device=self.device, threads=self.threads, episodes_at_once=at_once)

    def candidates(self) -> Iterator[ExecutionPath]:
        """The paths to measure, the usual one first. On CUDA several seeds are also tried together."""
        known: set[ExecutionPath] = set()
        for path in self._paths():
            if (computed := self._without_unused_forms(path)) not in known:
                known.add(computed)
                yield path

    def _without_unused_forms(self, path: ExecutionPath) -> ExecutionPath:
        """The path without the forms that its backbone does not use: equal for paths on which a step is the same computation."""
        used, usual = self.recipe.backbone.forms, Kernels()
        return replace(path, **{form.name: getattr(usual, form.name) for form in fields(Kernels) if form.name not in used})

    def _paths(self) -> Iterator[ExecutionPath]:
        yield from self._of_one_seed()
        if self.device == "cuda" and self.seeds > 1:
            yield from map(self.together, self._of_one_seed())
            if self._most() == 1:
                yield self.together(_unfolded(self.usual_path()))
        if self.device == "cuda":  # on a CPU compiled code is slower (docs/performance.md)
            yield from self._compiled_candidates()

    def may_pay(self, path: ExecutionPath, seconds_an_episode: float) -> bool:
        """Whether a path may shorten the training of all seeds, to the end of its budget, that otherwise takes so long an episode.

        False only if code must be compiled for the path and the training is too short to repay it.
        """
        training = seconds_an_episode * self.seeds * most_steps(self.recipe) * self.recipe.meta_batch_size
        if path.compiled:
            return repays_compiling(training)
        return path.stem != "loops" or repays_loops(training)

    def compiled(self) -> ExecutionPath:
        """The compiled path of one seed."""
        usual = replace(self.usual_path(), normalisation="plain", compiled=True)
        return usual if usual.convolution == "unfolded" else replace(usual, stem="products")

    def together(self, path: ExecutionPath) -> ExecutionPath:
        """The path of all seeds together whose episodes take no more memory than those of one seed may."""
        at_once = min(path.episodes_at_once, self._fitting(_PIXELS_AT_ONCE_ON_CUDA // self.seeds))
        return replace(path, episodes_at_once=at_once, seeds_together=self.seeds)

    def _compiled_candidates(self) -> Iterator[ExecutionPath]:
        """Compiling takes up to minutes, so one path: of several seeds together, where their episodes are many groups anyway."""
        several = self.seeds > 1 and self._most() > 1
        yield self.together(self.compiled()) if several else self.compiled()

    def _of_one_seed(self) -> Iterator[ExecutionPath]:
        usual, most = self.usual_path(), self._most()
        yield usual
        if self.device == "cuda":
            yield from _on_cuda(usual)
            return
        at_once = usual.episodes_at_once
        near = [2**power for power in range(10) if at_once <= 4 * 2**power <= 8 * at_once and 2**power != at_once]
        near = [size for size in near if size <= most]
        for size in near:
            yield replace(usual, episodes_at_once=size)
        yield replace(usual, stem="maps")
        if self.recipe.algorithm.adapts:
            yield replace(usual, stem="reused_patches")
        yield replace(usual, layout="channels_first")
        if self._suits_loops():
            yield replace(usual, stem="loops")
            for size in near:
                if size > at_once:  # they write so little that more episodes may fit the caches
                    yield replace(usual, stem="loops", episodes_at_once=size)

    def _suits_loops(self) -> bool:
        """Whether the first block may be computed by loops: they take one thread, and images of one channel."""
        return self.threads == 1 and self.image_shape[0] == 1 and loops_are_installed()

    def _most(self) -> int:
        """The number of episodes that memory allows to differentiate together."""
        if self.device == "cuda":
            return self._fitting(_PIXELS_AT_ONCE_ON_CUDA)
        return most_episodes_at_once(self.recipe, self.image_shape)

    def _has_many_small_groups(self) -> bool:
        """Whether many groups of small maps are computed together."""
        return self._most() > 1 and math.prod(self.image_shape[1:]) <= _PIXELS_OF_A_SMALL_IMAGE

    def _fitting(self, pixels: int) -> int:
        """The number of episodes of a meta-batch with at most so many pixels together, at least one."""
        shape = self.recipe.episode
        each = shape.way * shape.images_per_class * math.prod(self.image_shape)
        return max(1, min(self.recipe.meta_batch_size, pixels // each))


def _on_cuda(usual: ExecutionPath) -> Iterator[ExecutionPath]:
    """The other paths on CUDA, the likely fastest first: a choice takes about a second for each."""
    yield replace(usual, stem="products")
    if usual.convolution == "unfolded":
        yield replace(usual, normalisation="library")
        yield replace(usual, normalisation="plain")
        yield replace(usual, stem="patches")
        grouped = replace(usual, convolution="grouped", layout="channels_last")
        yield grouped
        yield replace(grouped, normalisation="library")
    else:
        other: Normalisation = "library" if usual.normalisation == "fused" else "fused"
        yield replace(usual, normalisation=other)
        yield replace(usual, normalisation=other, stem="products")
        yield replace(usual, layout="channels_first")
        if usual.episodes_at_once > 1:
            yield _unfolded(usual)
    yield replace(usual, captured=False)


def _unfolded(path: ExecutionPath) -> ExecutionPath:
    """The path with matrix products for all groups at once: cuDNN convolves many groups one by one."""
    return replace(path, convolution="unfolded", layout="channels_first")
