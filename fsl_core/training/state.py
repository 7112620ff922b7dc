"""The complete state of a training between two steps, which can be written and read back at any step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from fsl_core.algorithms.algorithm import Algorithm, Model
from fsl_core.backbones.kernels import Kernels
from fsl_core.backbones.weights import Weights
from fsl_core.randomness import Stream
from fsl_core.recipe.recipe import GradientDescentSettings, OptimiserSettings
from fsl_core.training.adam import MOMENTS, Adam
from fsl_core.training.model_selection import ValidationScore

Curves = dict[str, list[tuple[int, float]]]


@dataclass
class SeedState:
    """The state of one seed besides its tensors: its curves, the weights selected so far, and the reason it stopped.

    The ``best_`` fields describe the weights selected so far; they are None before the first selection. ``ended_at`` and
    ``last_weights`` are the step and the weights at which a stopped seed stopped: its tensors are no longer its own, because the
    other seeds' steps write to them.
    """

    best_step: int | None = None
    best_loss: float | None = None
    best_accuracy: float | None = None
    best_weights: Weights | None = None
    stopped_by: str | None = None
    curves: Curves = field(default_factory=dict)
    ended_at: int | None = None
    last_weights: Weights | None = None

    @property
    def best(self) -> ValidationScore | None:
        """The meta-validation score of the weights selected so far."""
        if self.best_loss is None or self.best_accuracy is None:
            return None
        return ValidationScore(loss=self.best_loss, accuracy=self.best_accuracy)

    def record(self, name: str, step: int, value: float) -> None:
        """Add a point to a curve."""
        self.curves.setdefault(name, []).append((step, value))

    def select(self, step: int, score: ValidationScore, weights: Weights) -> None:
        """Keep a copy of the weights of ``step`` with their meta-validation score."""
        self.best_step, self.best_loss, self.best_accuracy = step, score.loss, score.accuracy
        self.best_weights = {name: tensor.detach().clone() for name, tensor in weights.items()}


@dataclass
class TrainingState:
    """The training of ``S`` seeds of one recipe after ``step`` steps; the only mutable value of this library.

    ``weights`` and the running ``statistics`` are ``[S, ...]``. ``interval_loss`` and ``interval_accuracy``, float64 ``[S]``, are sums
    over the steps since the last point of the curves; they stay on the device, because reading them at every step would make the loop
    wait for it. ``clock``, int64 on the device, is the step number for the device itself. ``optimiser`` is None for gradient descent
    without moments.
    """

    algorithm: Algorithm
    weights: Weights
    statistics: Weights
    optimiser: Adam | None
    interval_loss: torch.Tensor
    interval_accuracy: torch.Tensor
    clock: torch.Tensor
    seeds: list[SeedState]
    step: int = 0

    def model(self, seed: int = 0) -> Model:
        """The algorithm with the present weights of one seed: views, which the next step overwrites."""
        own = slice(seed, seed + 1)
        return Model(
            algorithm=self.algorithm,
            weights={name: value[own] for name, value in self.weights.items()},
            statistics={name: value[own] for name, value in self.statistics.items()},
        )

    def named(self, seed: int = 0) -> Weights:
        """The present weights and statistics of one seed by name, without the group axis: views, which the next step overwrites."""
        return {name: value[seed] for name, value in (self.weights | self.statistics).items()}

    def is_finite(self, seed: int) -> bool:
        """Whether all present weights and statistics of a seed are finite numbers."""
        return bool(torch.stack([values.isfinite().all() for values in self.named(seed).values()]).all())

    def stop(self, seed: int, reason: str) -> None:
        """Stop a seed at this step, with a copy of its weights."""
        own = self.seeds[seed]
        own.stopped_by, own.ended_at = reason, self.step
        own.last_weights = {name: tensor.detach().clone() for name, tensor in self.named(seed).items()}

    def begin_at(self, step: int) -> None:
        """Take the next steps from ``step`` on, whatever step the seeds that were restored last had."""
        self.step = step
        self.clock.fill_(step)
        if self.optimiser is not None:
            self.optimiser.begin_at(step)

    def moments(self) -> Mapping[str, Weights]:
        """Adam's moments ``[S, ...]`` of each weight, if it has any."""
        return {moment: {} for moment in MOMENTS} if self.optimiser is None else self.optimiser.moments

    def as_checkpoint(self, seed: int = 0) -> dict[str, Any]:
        """The state of one seed as the values of a checkpoint."""
        own = self.seeds[seed]
        return {
            "step": self.step,
            "weights": {name: _own(value, seed) for name, value in self.weights.items()},
            "statistics": {name: _own(value, seed) for name, value in self.statistics.items()},
            "moments": {
                moment: {name: _own(value, seed) for name, value in values.items()} for moment, values in self.moments().items()
            },
            "interval_loss": float(self.interval_loss[seed]),
            "interval_accuracy": float(self.interval_accuracy[seed]),
            **{name: getattr(own, name) for name in _OF_SEED},
        }

    def restore(self, checkpoint: Mapping[str, Any], seed: int = 0) -> None:
        """Restore the state of one seed from :meth:`as_checkpoint`; ``step`` becomes that of the last restored seed.

        Seeds that had stopped may be of other steps than those that train on: :meth:`begin_at` says where these begin.

        Raises:
            KeyError, TypeError, RuntimeError, ValueError: it is not the state of such a training.
        """
        check_named(checkpoint["weights"] | checkpoint["statistics"], self.named(seed))
        for name, place in self.named(seed).items():
            place.copy_(checkpoint["weights" if name in self.weights else "statistics"][name])
        self.begin_at(checkpoint["step"])
        if self.step:
            for moment, values in self.moments().items():
                saved = checkpoint["moments"][moment]
                check_named(saved, {name: value[seed] for name, value in values.items()})
                for name, value in values.items():
                    value[seed].copy_(saved[name])
        self.interval_loss[seed] = checkpoint["interval_loss"]
        self.interval_accuracy[seed] = checkpoint["interval_accuracy"]
        own = SeedState(**{name: checkpoint[name] for name in _OF_SEED})
        own.curves = {name: [(int(step), float(value)) for step, value in curve] for name, curve in own.curves.items()}
        self.seeds[seed] = own
        if own.stopped_by is not None:
            self.stop(seed, own.stopped_by)


_OF_SEED = ("best_step", "best_loss", "best_accuracy", "best_weights", "stopped_by", "curves")


def _own(values: torch.Tensor, seed: int) -> torch.Tensor:
    return values[seed].detach().cpu().contiguous().clone()


def check_named(found: Mapping[str, torch.Tensor], expected: Mapping[str, torch.Tensor]) -> None:
    """Raises ValueError unless the tensors have the expected names, types and shapes."""
    if others := sorted(found.keys() ^ expected.keys()):
        raise ValueError(f"the names of the tensors do not match this training: {', '.join(others)}")
    for name, values in found.items():
        place = expected[name]
        if place.shape != values.shape or place.dtype != values.dtype:
            raise ValueError(f"{name} is {values.dtype} {tuple(values.shape)}; it must be {place.dtype} {tuple(place.shape)}")


def start_training(
    algorithm: Algorithm,
    settings: OptimiserSettings,
    *,
    streams: list[Stream],
    kernels: Kernels | None = None,
    device: torch.device | str = "cpu",
    captured: bool = False,
) -> TrainingState:
    """The state before the first step, with one seed for each stream that initialises weights.

    Weights are initialised on the CPU and then moved, so that they are the same on every device. ``captured``: the steps will be
    replayed from a CUDA graph.
    """
    layout = Kernels() if kernels is None else kernels
    first = [algorithm.initial_weights(stream) for stream in streams]
    weights = {name: layout.lay_out(torch.stack([own[name] for own in first]).to(device)) for name in first[0]}
    running = algorithm.initial_statistics()
    statistics = {name: torch.stack([values] * len(streams)).to(device) for name, values in running.items()}
    zeros = torch.zeros(len(streams), dtype=torch.float64, device=device)
    return TrainingState(
        algorithm=algorithm,
        weights=weights,
        statistics=statistics,
        optimiser=_adam(weights, settings, captured=captured),
        interval_loss=zeros,
        interval_accuracy=zeros.clone(),
        clock=torch.zeros((), dtype=torch.int64, device=device),
        seeds=[SeedState() for _ in streams],
    )


def _adam(weights: Weights, settings: OptimiserSettings, *, captured: bool) -> Adam | None:
    """The optimiser of these weights; None for gradient descent, which has no state."""
    return None if isinstance(settings, GradientDescentSettings) else Adam.of(weights, settings.outer_lr, captured=captured)
