"""A step launches its work and reads no tensor back on the host, which would make it wait for the device."""

from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from fsl_core.algorithms.catalogue import build_algorithm
from fsl_core.algorithms.reptile import ReptileSettings
from fsl_core.backbones.kernels import Kernels
from fsl_core.backbones.running_statistics import update_running_statistics
from fsl_core.datasets.catalogue import SplitDataset
from fsl_core.episodes.episode import EpisodeBatch, EpisodeShape
from fsl_core.episodes.sampler import EpisodeSampler
from fsl_core.randomness import Stream
from fsl_core.recipe.recipe import GradientDescentSettings, OptimiserSettings
from fsl_core.training.state import TrainingState, start_training
from fsl_core.training.step import StepSettings, advance, meta_gradient
from tests.fsl_core.forms import ALGORITHMS, backbones
from tests.fsl_core.pairs import SHAPE, recipe_of
from tests.fsl_core.watched_tensors import ReadsOfTheDevice

CONVERSION = (
    "aten._to_copy.default"  # of a type, in the counts of right answers: it stays on the device, which the meta device shows
)
REPTILE = ReptileSettings(adaptation_steps=2, inner_batch_size=4)
FORMS = ["prototypical", "matching full context", "maml order 1", "maml order 2", "anil order 2", "reptile"]
PASSES = {"maml order 1": 3, "maml order 2": 3, "anil order 2": 2, "reptile": 3}
"""Passes of the backbone in a step, where it is not one: each adaptation step's, and the query's."""


def begun(name: str, device: str, kernels: Kernels) -> tuple[TrainingState, StepSettings]:
    algorithm = REPTILE if name == "reptile" else ALGORITHMS[name]
    optimiser = GradientDescentSettings(halve_every=None, decay_steps=9) if name == "reptile" else OptimiserSettings()
    recipe = recipe_of(algorithm, backbones(algorithm)["max_pool"], meta_batch_size=2, optimiser=optimiser)
    state = start_training(
        build_algorithm(recipe, image_shape=(1, 28, 28)), recipe.optimiser, streams=[Stream(0, "weights")], kernels=kernels
    )
    state.weights = {key: value.to(device) for key, value in state.weights.items()}
    state.statistics = {key: value.to(device) for key, value in state.statistics.items()}
    return state, StepSettings.of(recipe, episodes_at_once=2, kernels=kernels)


class StatisticsOnMeta(TorchDispatchMode):
    """Gives the one operation that torch has no meta kernel for the shapes of its results."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.aten.batch_norm_update_stats.default:
            return tuple(args[0].new_empty(args[0].shape[1]) for _ in range(2))
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize(
    "kernels",
    [
        Kernels(),
        Kernels(convolution="unfolded", layout="channels_first"),
        Kernels(stem="products"),
        Kernels(normalisation="plain", stem="products", layout="channels_first"),
    ],
    ids=str,
)
def test_a_gradient_reads_no_value_back_to_the_host(name: str, kernels: Kernels) -> None:
    """Tensors of the meta device have none: whoever asks for one there gets an error."""
    state, settings = begun(name, "meta", kernels)
    images = [torch.empty(2, SHAPE.way, 2, 1, 28, 28, device="meta") for _ in range(2)]
    episodes = EpisodeBatch(*images, words=torch.empty(2, dtype=torch.int64, device="meta"))
    with StatisticsOnMeta():
        taught = meta_gradient(state, [episodes], settings)
    update_running_statistics(state.statistics, taught.statistics)
    assert taught.gradient.keys() == state.weights.keys()
    assert all(values.is_meta for values in taught.gradient.values())
    with pytest.raises((RuntimeError, NotImplementedError)):
        float(taught.loss[0])


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("normalisation", ["plain", "fused"])
def test_a_step_reads_nothing(name: str, normalisation: str, glyphs: SplitDataset) -> None:
    """From sampling to the optimiser; but that the fused forms look at their scales on a CPU, in each pooled layer, where nothing waits."""
    stem = "patches" if normalisation == "fused" else "maps"
    state, settings = begun(name, "cpu", Kernels(normalisation=normalisation, stem=stem))  # type: ignore[arg-type]
    sampler = EpisodeSampler(glyphs.meta_train, EpisodeShape(way=3, shot=2, query=2), seed=0, stream="train")
    with ReadsOfTheDevice() as reads:
        advance(state, [sampler], settings, step=torch.tensor(3))
    seen = [read for read in reads.seen if read != CONVERSION]
    allowed = 4 * PASSES.get(name, 1)  # four layers
    assert seen == (["aten._local_scalar_dense.default"] * allowed if normalisation == "fused" else [])
