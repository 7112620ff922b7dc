"""Locates the code of plug-ins, which computes results and therefore counts as code like that of the two packages."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType


def plugin_sources() -> tuple[Path, ...]:
    """The folders of each package, or the file of each module, that provides an entry of a catalogue, sorted by name."""
    from fsl_core.algorithms.catalogue import ALGORITHMS
    from fsl_core.backbones.catalogue import BACKBONES
    from fsl_core.datasets.catalogue import DATASETS

    names = ALGORITHMS.plugin_packages | BACKBONES.plugin_packages | DATASETS.plugin_packages
    return tuple(source for name in sorted(names) for source in _sources(sys.modules[name]))


def _sources(module: ModuleType) -> list[Path]:
    """The folders of a package, several where it is a namespace package; else the file of a module."""
    folders = getattr(module, "__path__", None)
    if folders is not None:
        return sorted(Path(folder).resolve() for folder in folders)
    return [Path(module.__file__).resolve()] if module.__file__ else []
