"""The command that prepares images."""

from __future__ import annotations

from fsl_core.recipe.data_settings import DataSettings
from orchestrator.launch.images import resized_unusually


def prepare_command(data: DataSettings) -> str:
    """The command that prepares such images."""
    return f"fsl data prepare {data.dataset}" + (f" --resize {data.resize}" if resized_unusually(data) else "")
