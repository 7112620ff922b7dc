"""Every algorithm on every backbone fulfils the contract of an addition, and so does every data set that is at hand."""

import dataclasses
from pathlib import Path
from typing import ClassVar

import pytest

from fsl_core.algorithms.catalogue import ALGORITHMS
from fsl_core.backbones.backbone import Backbone
from fsl_core.backbones.catalogue import BACKBONES
from fsl_core.backbones.mlp import Mlp
from fsl_core.backbones.weights import Weights
from fsl_core.datasets.catalogue import DATASETS, SplitDataset, is_available
from fsl_core.randomness import Stream
from fsl_core.recipe.algorithm_settings import AlgorithmSettings, PrototypicalSettings
from fsl_core.recipe.backbone_settings import BackboneSettings, ImageShape, MlpSettings
from fsl_core.recipe.data_settings import usual_data
from fsl_core.recipe.setting import setting
from fsl_core.testing import check_data_set, check_loads_without_torch, check_settings, check_training
from tests.replaced_entry import replace_entry


@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_addition_passes_the_training_contract(algorithm: str, backbone: str, glyphs: SplitDataset, tmp_path: Path) -> None:
    check_training(algorithm=algorithm, backbone=backbone, dataset=glyphs, folder=tmp_path)


@pytest.mark.parametrize(
    "name", [name for name in DATASETS if is_available(usual_data(name), data_root=None, cache_root=Path("nowhere"))]
)
def test_a_data_set_matches_its_description(name: str, tmp_path: Path) -> None:
    check_data_set(usual_data(name), folder=tmp_path)


@pytest.mark.parametrize("module", ["algorithms", "backbones", "datasets"])
def test_the_catalogues_need_no_torch(module: str) -> None:
    check_loads_without_torch(f"fsl_core.{module}.catalogue")


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Undescribed(PrototypicalSettings):
    name: ClassVar[str] = "undescribed"
    extra: int = 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Heavier(PrototypicalSettings):
    name: ClassVar[str] = "heavier"
    extra: int = dataclasses.field(default=1, metadata=setting("something"))

    def weight_count(self, features: int, way: int) -> int:
        return 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Redescribed(PrototypicalSettings):
    name: ClassVar[str] = "redescribed"
    batch_norm_scale: bool = dataclasses.field(
        default=True, metadata=setting("whether BatchNorm learns a scale beside its shift")
    )


class _WithoutBias(Mlp):
    def initial_head(self, outputs: int, stream: Stream) -> Weights:
        return {"weight": super().initial_head(outputs, stream)["weight"]}


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Headless(MlpSettings):
    name: ClassVar[str] = "headless"

    def build(self, image_shape: ImageShape) -> Backbone:
        return _WithoutBias(image_shape, self)


@pytest.mark.parametrize("kind", [*ALGORITHMS.values(), *BACKBONES.values()])
def test_every_key_has_one_description(kind: type[AlgorithmSettings | BackboneSettings]) -> None:
    check_settings(kind)


def test_a_second_description_of_a_key_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cells, documents and verdicts have one description for a key: this one's weight would be ignored."""
    replace_entry(monkeypatch, ALGORITHMS, _Redescribed)
    with pytest.raises(AssertionError, match="batch_norm_scale is described otherwise by 'conv4'"):
        check_settings(_Redescribed)


def test_settings_without_a_description_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    replace_entry(monkeypatch, ALGORITHMS, _Undescribed)
    with pytest.raises(AssertionError, match="extra is not described"):
        check_settings(_Undescribed)


def test_a_wrong_prediction_is_refused(monkeypatch: pytest.MonkeyPatch, glyphs: SplitDataset, tmp_path: Path) -> None:
    replace_entry(monkeypatch, ALGORITHMS, _Heavier)
    with pytest.raises(AssertionError, match=r"weight_count\(\) is"):
        check_training(algorithm="heavier", dataset=glyphs, folder=tmp_path)


def test_an_incomplete_head_is_refused_before_an_algorithm_needs_it(
    monkeypatch: pytest.MonkeyPatch, glyphs: SplitDataset, tmp_path: Path
) -> None:
    replace_entry(monkeypatch, BACKBONES, _Headless)
    with pytest.raises(AssertionError, match=r"initial_head\(\) gives tensors of the shapes {'weight': \(3, 64\)}, not"):
        check_training(backbone="headless", dataset=glyphs, folder=tmp_path)
