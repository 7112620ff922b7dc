"""The command that prepares images."""

from __future__ import annotations

from fsl_core.recipe.data_settings import DataSettings
from orchestrator.launch.images import unusual_preparation


def prepare_command(data: DataSettings) -> str:
    """The command that prepares such images."""
    options = [f"--{name.replace('_', '-')} {value}" for name, value in unusual_preparation(data).items()]
    return " ".join(["fsl data prepare", data.dataset, *options])
