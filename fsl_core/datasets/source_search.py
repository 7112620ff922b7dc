"""Searches a data root for a data set: in a folder of its name in any spelling, one level deeper, or in the root itself."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from fsl_core.datasets.file_kind import lying_in

_HIDDEN_STARTS = (".", "@", "$")
_HIDDEN_NAMES = {"__MACOSX"}


def is_hidden(parts: Iterable[str]) -> bool:
    """Whether a path, given by its parts, is a by-product of a system or a notebook, such as ``.ipynb_checkpoints``."""
    return any(part.startswith(_HIDDEN_STARTS) or part in _HIDDEN_NAMES for part in parts)


@dataclass(frozen=True)
class FolderName:
    """The usual name of a data set's folder, and its known names as lower-case letters and digits."""

    usual: str
    known: frozenset[str]

    def fits(self, folder: Path) -> bool:
        """Whether a folder has a known name, ignoring case and punctuation."""
        return "".join(filter(str.isalnum, folder.name)).lower() in self.known

    def candidates(self, data_root: Path | None) -> Iterator[Path]:
        """Every folder that may contain the files, the likeliest first: folders of this name, their subfolders, then the root."""
        if data_root is None:
            return
        for folder in self.named(data_root):
            yield folder
            yield from visible_folders(folder)
        yield data_root
        if self.fits(data_root.absolute()):
            yield from visible_folders(data_root)

    def named(self, data_root: Path) -> list[Path]:
        """The folders of this name in the root, the usual spelling first."""
        return sorted(filter(self.fits, visible_folders(data_root)), key=lambda folder: (folder.name != self.usual, folder.name))

    def what_lies(self, data_root: Path | None) -> str:
        """The contents found instead of a complete data set, as part of a sentence."""
        if data_root is None:
            return "nothing: no data root is given"
        if not data_root.is_dir():
            return f"nothing: the data root {data_root} {'is not a folder' if data_root.exists() else 'does not exist'}"
        named = [f"{lying_in(folder)} in {folder}" for folder in self.named(data_root)] or [f"nothing named {self.usual}"]
        return "; ".join([*named, f"{lying_in(data_root)} in {data_root}"])


def visible_folders(folder: Path) -> list[Path]:
    """The visible subfolders of a folder, sorted; none if it cannot be read."""
    try:
        with os.scandir(folder) as entries:
            return sorted(folder / entry.name for entry in entries if not is_hidden([entry.name]) and entry.is_dir())
    except OSError:
        return []
