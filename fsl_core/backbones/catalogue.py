"""The backbones of this project and of plug-ins, by name. Imports no torch."""

from __future__ import annotations

from fsl_core.backbones.resnet12 import ResNet12Settings
from fsl_core.catalogue import Catalogue, settings_problem
from fsl_core.recipe.backbone_settings import BackboneSettings, Conv4Settings, MlpSettings

BACKBONES: Catalogue[type[BackboneSettings]] = Catalogue(
    "fsl.backbones", built_in=(Conv4Settings, MlpSettings, ResNet12Settings), problem=settings_problem(BackboneSettings)
)
"""The settings of every backbone; their ``build`` makes it."""
