"""Where the code of plug-ins lies: it computes results, and so counts as code like that of the two packages."""

from __future__ import annotations

import sys
from pathlib import Path


def plugin_sources() -> tuple[Path, ...]:
    """The folder of each package, or the file of each module, from which an entry of a catalogue was loaded, in the order of the names."""
    from fsl_core.algorithms.catalogue import ALGORITHMS
    from fsl_core.backbones.catalogue import BACKBONES
    from fsl_core.datasets.catalogue import DATASETS

    names = ALGORITHMS.plugin_packages | BACKBONES.plugin_packages | DATASETS.plugin_packages
    return tuple(source for name in sorted(names) if (source := _source(sys.modules[name].__file__)) is not None)


def _source(file: str | None) -> Path | None:
    path = Path(file).resolve() if file else None
    return path.parent if path is not None and path.name == "__init__.py" else path
