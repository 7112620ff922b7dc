"""The data and the small recipe that the library's tests train on."""

from pathlib import Path

import pytest

from fsl_core.backbones.weights import Weights
from fsl_core.datasets.catalogue import SplitDataset, open_dataset
from fsl_core.episodes.episode import EpisodeShape
from fsl_core.recipe.algorithm_settings import PrototypicalSettings
from fsl_core.recipe.backbone_settings import Conv4Settings
from fsl_core.recipe.data_settings import DataSettings
from fsl_core.recipe.recipe import OptimiserSettings, TrainingRecipe, ValidationSettings
from tests.fsl_core.plain_loop.catalogue import build_algorithm


@pytest.fixture(scope="session")
def glyphs(tmp_path_factory: pytest.TempPathFactory) -> SplitDataset:
    return open_dataset(
        DataSettings(dataset="glyphs", split="glyphs"), data_root=None, cache_root=tmp_path_factory.mktemp("cache")
    )


def glyphs_recipe(**changes: object) -> TrainingRecipe:
    """A recipe that trains in a second or two."""
    settings: dict[str, object] = {
        "algorithm": PrototypicalSettings(),
        "data": DataSettings(dataset="glyphs", split="glyphs"),
        "episode": EpisodeShape(way=5, shot=1, query=3),
        "validation": ValidationSettings(shape=EpisodeShape(way=5, shot=1, query=5), every=5, episodes=10, patience=None),
        "steps": 20,
        "seed": 0,
        "backbone": Conv4Settings(filters=16),
        "optimiser": OptimiserSettings(halve_every=10),
    }
    return TrainingRecipe(**{**settings, **changes})  # type: ignore[arg-type]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "trial"


def first_weights(recipe: TrainingRecipe, image_shape: tuple[int, int, int]) -> Weights:
    """What a training of the recipe begins with, by the plain loop: weights, and running statistics where some are kept."""
    module = build_algorithm(recipe, image_shape=image_shape, stage="select")
    return {name: values for name, values in module.state_dict().items() if not name.endswith("num_batches_tracked")}
