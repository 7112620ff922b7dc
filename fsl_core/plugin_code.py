"""Locates the code of plug-ins, which computes results and therefore counts as code like that of the two packages."""

from __future__ import annotations

import sys
from pathlib import Path


def plugin_sources() -> tuple[Path, ...]:
    """The folder of each package, or the file of each module, that provides an entry of a catalogue, sorted by name."""
    from fsl_core.algorithms.catalogue import ALGORITHMS
    from fsl_core.backbones.catalogue import BACKBONES
    from fsl_core.datasets.catalogue import DATASETS

    names = ALGORITHMS.plugin_packages | BACKBONES.plugin_packages | DATASETS.plugin_packages
    return tuple(source for name in sorted(names) if (source := _source(sys.modules[name].__file__)) is not None)


def _source(file: str | None) -> Path | None:
    path = Path(file).resolve() if file else None
    return path.parent if path is not None and path.name == "__init__.py" else path
