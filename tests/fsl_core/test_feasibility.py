"""What only the images can tell: whether the banks at hand give the episodes that a recipe and its evaluations ask for."""

import dataclasses

import pytest

from fsl_core.datasets.catalogue import SplitDataset, open_dataset
from fsl_core.datasets.image_bank import ImageBank
from fsl_core.episodes.episode import EpisodeShape
from fsl_core.episodes.feasibility import check_feasible
from fsl_core.errors import EpisodeError
from fsl_core.recipe.data_settings import DataSettings
from fsl_core.recipe.recipe import Evaluation
from tests.fsl_core.test_recipe import a_recipe

GLYPHS = DataSettings(dataset="glyphs", split="glyphs", rotations=False)


@pytest.fixture(scope="module")
def glyphs(tmp_path_factory: pytest.TempPathFactory) -> SplitDataset:
    return open_dataset(GLYPHS, data_root=None, cache_root=tmp_path_factory.mktemp("cache"))


def first_classes(bank: ImageBank, count: int) -> ImageBank:
    return dataclasses.replace(bank, starts=bank.starts[:count], sizes=bank.sizes[:count], class_names=bank.class_names[:count])


@pytest.mark.parametrize(
    ("part", "split"), [("meta_train", "meta-train"), ("meta_validation", "meta-validation"), ("meta_test", "meta-test")]
)
def test_a_split_with_too_few_classes_is_refused(glyphs: SplitDataset, part: str, split: str) -> None:
    shape = EpisodeShape(way=5, shot=1, query=5)
    recipe, evaluation = a_recipe(data=GLYPHS, episode=shape), Evaluation(shape=shape)
    check_feasible(recipe, [evaluation], glyphs)
    fewer = dataclasses.replace(glyphs, **{part: first_classes(getattr(glyphs, part), 4)})
    with pytest.raises(EpisodeError, match=f"glyphs has no {split} episode of 5-way 1-shot, .* way is 5, but there are only 4"):
        check_feasible(recipe, [evaluation], fewer)


@pytest.mark.parametrize(("lost", "named"), [((3,), r"\({3}\)"), ((3, 5), r"\({3}, one of 2 that are too small\)")])
def test_the_smallest_class_is_named(glyphs: SplitDataset, lost: tuple[int, ...], named: str) -> None:
    shape, bank = EpisodeShape(way=5, shot=1, query=5), glyphs.meta_test
    sizes = bank.sizes.clone()
    for count, place in enumerate(lost):
        sizes[place] = 2 + count
    smaller = dataclasses.replace(glyphs, meta_test=dataclasses.replace(bank, sizes=sizes))
    with pytest.raises(EpisodeError, match=r"the smallest class has 2 " + named.replace("{3}", bank.class_names[3])):
        check_feasible(a_recipe(data=GLYPHS, episode=shape), [Evaluation(shape=shape)], smaller)
