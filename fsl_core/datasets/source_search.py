"""Where a data set's files may lie under a data root: in a folder of its name however spelled, one deeper, or in the root itself."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from fsl_core.datasets.file_kind import lying_in

_HIDDEN_STARTS = (".", "@", "$")
_HIDDEN_NAMES = {"__MACOSX"}


def is_hidden(parts: Iterable[str]) -> bool:
    """Whether a path, given by its parts, was left by a system or a notebook beside the data, such as ``.ipynb_checkpoints``."""
    return any(part.startswith(_HIDDEN_STARTS) or part in _HIDDEN_NAMES for part in parts)


@dataclass(frozen=True)
class FolderName:
    """The name of the folder that a data set lies in, and others that it is known by: letters and digits alone, in lower case."""

    usual: str
    known: frozenset[str]

    def fits(self, folder: Path) -> bool:
        """Whether a folder is called so, in whatever case and with whatever signs between."""
        return "".join(filter(str.isalnum, folder.name)).lower() in self.known

    def candidates(self, data_root: Path | None) -> Iterator[Path]:
        """Every folder that the files may lie in, the likeliest first: those of this name, and their own folders; then the root."""
        if data_root is None:
            return
        for folder in self.named(data_root):
            yield folder
            yield from visible_folders(folder)
        yield data_root
        if self.fits(data_root.absolute()):
            yield from visible_folders(data_root)

    def named(self, data_root: Path) -> list[Path]:
        """The folders of this name in the root, the one of the usual spelling first."""
        return sorted(filter(self.fits, visible_folders(data_root)), key=lambda folder: (folder.name != self.usual, folder.name))

    def what_lies(self, data_root: Path | None) -> str:
        """What is found in place of a whole data set, as a part of a sentence."""
        if data_root is None:
            return "nothing, for no data root is given"
        if not data_root.is_dir():
            return f"nothing, for the data root {data_root} is {'no folder' if data_root.exists() else 'not there'}"
        named = [f"{lying_in(folder)} in {folder}" for folder in self.named(data_root)] or [f"nothing named {self.usual}"]
        return "; ".join([*named, f"{lying_in(data_root)} in {data_root}"])


def visible_folders(folder: Path) -> list[Path]:
    """The folders in a folder that are not hidden, sorted; none where it cannot be looked into."""
    try:
        with os.scandir(folder) as entries:
            return sorted(folder / entry.name for entry in entries if not is_hidden([entry.name]) and entry.is_dir())
    except OSError:
        return []
