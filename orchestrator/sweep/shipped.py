"""The sweeps, presets and published numbers that come with this package, and what the name of a sweep stands for.

They lie in the repository's ``sweeps/``. ``orchestrator/shipped`` is a link to that folder; a wheel has a copy in its place.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path

from orchestrator.errors import UnknownSweepError

_FOLDER = Path(str(files("orchestrator") / "shipped")).resolve()
PRESETS = _FOLDER / "presets"
"""The presets of a sweep that has no folder ``presets`` beside it."""
REGISTRIES = _FOLDER / "published"
"""The published numbers of a sweep that has no folder ``published`` beside it."""


def find_sweep(name: str) -> Path:
    """Find the sweep file that a name stands for: an existing path, else ``./sweeps/NAME.yaml``, else the sweep of the package.

    Raises:
        UnknownSweepError: if there is none; it lists the names that exist.
    """
    if _is_path(Path(name)):
        return Path(name)
    named = _by_name(named_files())
    if name not in named:
        raise UnknownSweepError(
            f"{name!r} is neither a sweep file nor the name of a sweep; the names: {', '.join(sorted(named))}"
        )
    return named[name]


def source_text(file: Path) -> str:
    """The line that says which file a sweep was read from."""
    return f"sweep file: {file}"


def names_another_file(name: str | Path, file: Path) -> bool:
    """Whether the text that was given for a sweep is not the path of its file: then a user wants to know which file it is."""
    return Path(name) != file


def named_files() -> tuple[Path, ...]:
    """The sweep files that have a name: those in ``./sweeps`` and those of the package. A file in both folders counts once."""
    own = sorted(Path("sweeps").glob("*.yaml"))
    seen = {path.resolve() for path in own}
    return (*own, *(path for path in sorted(_FOLDER.glob("*.yaml")) if path not in seen))


def _by_name(paths: Iterable[Path]) -> dict[str, Path]:
    """The first path of each name."""
    named: dict[str, Path] = {}
    for path in paths:
        named.setdefault(path.stem, path)
    return named


def _is_path(path: Path) -> bool:
    """Whether a file is there; a folder is no sweep, and a pipe is one."""
    try:
        return path.exists() and not path.is_dir()
    except (OSError, ValueError):
        return False
