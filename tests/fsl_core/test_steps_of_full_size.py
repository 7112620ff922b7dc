"""A step of MAML as large as the paper's has the gradient that the plain computation in float64 has, on each form of a path.

The compiler and the libraries of a GPU choose other code for large shapes than for those of the other tests.
"""

from dataclasses import replace

import pytest
import torch

from fsl_core.algorithms.catalogue import build_algorithm
from fsl_core.backbones.kernels import Kernels
from fsl_core.datasets.catalogue import SplitDataset
from fsl_core.episodes.episode import EpisodeBatch, EpisodeShape
from fsl_core.episodes.sampler import EpisodeSampler
from fsl_core.randomness import Stream
from fsl_core.recipe.algorithm_settings import MamlSettings
from fsl_core.recipe.backbone_settings import Conv4Settings
from fsl_core.recipe.recipe import TrainingRecipe, ValidationSettings
from fsl_core.training.execution_path import ExecutionPath
from fsl_core.training.state import TrainingState, start_training
from fsl_core.training.step import StepSettings
from fsl_core.training.step_runner import step_runner
from tests.fsl_core.conftest import glyphs_recipe

PART = 0.1
"""Of each tensor's gradient, as a norm. Rounding alone is some 1e-6. But a step has millions of activations, and where rounding moves one
across the kink of ReLU during adaptation the gradient jumps: on a CPU by up to 3 %."""
UNFOLDED = {"layout": "channels_first", "convolution": "unfolded", "stem": "maps"}
ON_CUDA = ExecutionPath(
    device="cuda", episodes_at_once=32, captured=True, layout="channels_first", convolution="unfolded", stem="maps"
)
on_a_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


def paper_recipe(order: int) -> TrainingRecipe:
    """The step of 5-way 1-shot on Omniglot, with glyphs for images."""
    shape = EpisodeShape(way=5, shot=1, query=1)
    return glyphs_recipe(
        algorithm=MamlSettings(order=order, adaptation_steps=1, inner_lr=0.4, inner_reduction="sum_over_shot"),
        backbone=Conv4Settings(filters=64, downsampling="stride", batch_norm="batch"),
        episode=shape,
        validation=ValidationSettings(shape=shape, every=5, patience=None, adaptation_steps=3),
        meta_batch_size=32,
    )


def started(recipe: TrainingRecipe, glyphs: SplitDataset, path: ExecutionPath) -> tuple[TrainingState, EpisodeSampler]:
    bank = glyphs.meta_train.to(path.device)
    state = start_training(
        build_algorithm(recipe, image_shape=bank.image_shape),
        recipe.optimiser,
        streams=[Stream(0, "weights")],
        kernels=path.kernels,
        device=path.device,
        captured=path.captured,
    )
    return state, EpisodeSampler(bank, recipe.episode, seed=0, stream="train")


def check_the_first_steps(recipe: TrainingRecipe, glyphs: SplitDataset, path: ExecutionPath, steps: int) -> None:
    """Before each step, the plain gradient at the present weights; after it, the gradient that Adam's first moment has received."""
    with path.active():
        state, sampler = started(recipe, glyphs, path)
        settings = StepSettings.of(recipe, episodes_at_once=path.episodes_at_once, kernels=path.kernels)
        take_step = step_runner(state, [sampler], settings, captured=path.captured, compiled=path.compiled)
        _, on_a_cpu = started(recipe, glyphs, ExecutionPath())
        assert state.optimiser is not None
        for step in range(steps):
            images = on_a_cpu.batch(step, recipe.meta_batch_size)
            plain = state.algorithm.meta_gradient(
                {name: value.detach().cpu().double().contiguous() for name, value in state.weights.items()},
                EpisodeBatch(support=images.support.double(), query=images.query.double(), words=images.words),
                loss_factor=recipe.outer_loss_factor,
                kernels=Kernels(),
            )
            before = {name: value.clone() for name, value in state.optimiser.moments["exp_avg"].items()}
            take_step()
            for name, wanted in plain.gradient.items():
                taken = (state.optimiser.moments["exp_avg"][name] - 0.9 * before[name]).double().cpu() / 0.1
                apart = float((taken - wanted).norm() / wanted.norm())
                assert apart <= PART, f"{name} in step {step}: {apart:.2g}"


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("forms", [{}, {"normalisation": "plain", **UNFOLDED}, {"normalisation": "library", "stem": "maps"}])
def test_a_step_of_full_size_on_a_cpu(forms: dict[str, str], order: int, glyphs: SplitDataset) -> None:
    path = ExecutionPath(episodes_at_once=32, **forms)  # type: ignore[arg-type]
    check_the_first_steps(paper_recipe(order), glyphs, path, 3)


@pytest.mark.cuda
@on_a_gpu
@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize(
    "path",
    [
        ON_CUDA,
        replace(ON_CUDA, captured=False),
        replace(ON_CUDA, stem="products"),
        replace(ON_CUDA, normalisation="library"),
        replace(ON_CUDA, convolution="grouped", layout="channels_last"),
        replace(ON_CUDA, normalisation="plain"),
        replace(ON_CUDA, normalisation="plain", compiled=True, captured=False),
        replace(ON_CUDA, normalisation="plain", compiled=True),
    ],
    ids=str,
)
def test_a_step_of_full_size_on_cuda(path: ExecutionPath, order: int, glyphs: SplitDataset) -> None:
    check_the_first_steps(paper_recipe(order), glyphs, path, 8)


def test_a_wrong_gradient_of_one_tensor_is_noticed(glyphs: SplitDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = paper_recipe(1)
    algorithm = type(build_algorithm(recipe, image_shape=(1, 28, 28)))
    right = algorithm.meta_gradient

    def wrong(self: object, weights: dict[str, torch.Tensor], *others: object, **named: object) -> object:
        meta = right(self, weights, *others, **named)  # type: ignore[arg-type]
        if next(iter(weights.values())).dtype != torch.float32:
            return meta
        name = "network.0.blocks.1.norm.weight"
        return replace(meta, gradient={**meta.gradient, name: 1.2 * meta.gradient[name]})

    monkeypatch.setattr(algorithm, "meta_gradient", wrong)
    with pytest.raises(AssertionError, match=r"blocks\.1\.norm\.weight in step 0: 0\.2"):
        check_the_first_steps(recipe, glyphs, ExecutionPath(episodes_at_once=32), 1)
