"""An algorithm's meta-gradient compiled by torch.compile, for every algorithm as it is and at every order."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch

from fsl_core.algorithms.algorithm import Algorithm, MetaGradient, RepeatingAlgorithm
from fsl_core.backbones.kernels import Kernels
from fsl_core.backbones.weights import LayerStatistics, Weights
from fsl_core.episodes.episode import EpisodeBatch
from fsl_core.training.compiled_functions import CompiledFunctions

_Parts = tuple[Weights, dict[str, tuple[torch.Tensor, torch.Tensor, int]], torch.Tensor, torch.Tensor]


class CompiledGradient:
    """Computes the meta-gradient of an algorithm. The first call for a shape of episodes compiles, for seconds or minutes.

    It is one compiled function; of an algorithm that repeats a few functions each of these is one, so that the time of compiling does not
    grow with the repetitions. The weights must have the same names, shapes and layouts at every call.
    """

    def __init__(self, algorithm: Algorithm) -> None:
        self._algorithm = algorithm
        self._compute = CompiledFunctions()

    def __call__(
        self, weights: Mapping[str, torch.Tensor], episodes: EpisodeBatch, *, loss_factor: float, kernels: Kernels
    ) -> MetaGradient:
        """As :meth:`fsl_core.algorithms.algorithm.Algorithm.meta_gradient`.

        Raises:
            ExecutionPathError: torch.compile does not work here.
        """
        algorithm, how = self._algorithm, {"loss_factor": loss_factor, "kernels": kernels}
        variant = f"of the loss times {loss_factor}, {kernels}"
        if isinstance(algorithm, RepeatingAlgorithm) and algorithm.repeats:
            compute = partial(self._compute_part, variant)
            with torch.no_grad():
                return algorithm.meta_gradient_by_parts(weights, episodes, **how, compute=compute)  # type: ignore[arg-type]
        words = () if episodes.words is None else (episodes.words,)

        def whole(weights: Weights, *tensors: torch.Tensor) -> _Parts:
            return _parts(algorithm.meta_gradient(weights, EpisodeBatch(*tensors), **how))  # type: ignore[arg-type]

        arguments = (dict(weights), episodes.support, episodes.query, *words)
        return _meta_gradient(*self._compute(f"meta-gradient {variant}", whole, *arguments))

    def _compute_part(self, variant: str, name: str, function: Any, *arguments: Any) -> Any:
        return self._compute(f"{name} {variant}", function, *arguments)


def _parts(meta: MetaGradient) -> _Parts:
    """A meta-gradient as nested tuples and dictionaries."""
    statistics = {name: (each.mean, each.variance, each.count) for name, each in meta.statistics.items()}
    return dict(meta.gradient), statistics, meta.loss, meta.accuracy


def _meta_gradient(
    gradient: Weights,
    statistics: dict[str, tuple[torch.Tensor, torch.Tensor, int]],
    loss: torch.Tensor,
    accuracy: torch.Tensor,
) -> MetaGradient:
    """The inverse of :func:`_parts`."""
    layers = {
        name: LayerStatistics(mean=mean, variance=variance, count=count) for name, (mean, variance, count) in statistics.items()
    }
    return MetaGradient(gradient=gradient, statistics=layers, loss=loss, accuracy=accuracy)
