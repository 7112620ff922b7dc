"""Loads a trained trial's weights, as named in a checkpoint, into their algorithm."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from fsl_core.algorithms.algorithm import Algorithm, Model
from fsl_core.backbones.weights import one_group
from fsl_core.errors import CheckpointCorruptError
from fsl_core.randomness import Stream
from fsl_core.training.state import check_named

_COUNTERS = ".num_batches_tracked"  # saved by earlier versions with the running statistics, and unused


def trained_model(algorithm: Algorithm, named: Mapping[str, torch.Tensor], device: torch.device | str) -> Model:
    """The model with these weights and running statistics on ``device``.

    Raises:
        CheckpointCorruptError: the weights do not fit the algorithm.
    """
    found = {name: values for name, values in named.items() if not name.endswith(_COUNTERS)}
    statistics = algorithm.initial_statistics()
    try:
        check_named(found, algorithm.initial_weights(Stream(0, "shapes")) | statistics)
    except ValueError as error:
        raise CheckpointCorruptError(f"the weights do not fit this algorithm: {error}") from error
    placed = one_group({name: values.to(device) for name, values in found.items()})
    return Model(
        algorithm=algorithm,
        weights={name: values for name, values in placed.items() if name not in statistics},
        statistics={name: values for name, values in placed.items() if name in statistics},
    )
