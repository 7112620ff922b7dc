"""A sweep with each entry of the catalogues goes from its file to its exports, and run again it has nothing to do."""

from pathlib import Path

import pytest

from fsl_core.algorithms.catalogue import ALGORITHMS
from fsl_core.backbones.catalogue import BACKBONES
from fsl_core.testing import ContractError
from orchestrator.testing import check_sweep


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_sweep_of_every_algorithm(algorithm: str, tmp_path: Path) -> None:
    check_sweep({"algorithm": algorithm}, folder=tmp_path)


@pytest.mark.parametrize("backbone", [name for name in BACKBONES if name != "conv4"])
def test_a_sweep_on_every_other_backbone(backbone: str, tmp_path: Path) -> None:
    check_sweep({"algorithm": "maml", "backbone": backbone}, folder=tmp_path)


def test_a_setting_that_falls_out_of_the_exports_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.report.export.recipe_settings", lambda recipe: {})
    with pytest.raises(ContractError, match="the export's algorithm is"):
        check_sweep({"algorithm": "prototypical"}, folder=tmp_path)
