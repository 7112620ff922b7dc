"""What prepared images are called in messages, and the command that prepares them."""

from __future__ import annotations

from fsl_core.recipe.data_settings import DataSettings


def images_text(data: DataSettings) -> str:
    """A data set's name, and how its pictures are resized where that is not the usual way: ``omniglot (resize nearest)``."""
    return f"{data.dataset} (resize {data.resize})" if _is_unusual(data) else data.dataset


def prepare_command(data: DataSettings) -> str:
    """The command that prepares such images."""
    return f"fsl data prepare {data.dataset}" + (f" --resize {data.resize}" if _is_unusual(data) else "")


def _is_unusual(data: DataSettings) -> bool:
    usual = DataSettings(dataset=data.dataset, split=data.split, rotations=data.rotations)
    return data.resize != usual.resize
