"""Catalogues of built-in entries and of plug-ins, which are found by their entry points."""

from __future__ import annotations

import dataclasses
import importlib.metadata
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Generic, TypeVar

from fsl_core.errors import PluginError

T = TypeVar("T")


class Catalogue(Mapping[str, T], Generic[T]):
    """The entries of one kind by name, built-in ones first; plug-ins are loaded on first access.

    Args:
        group: the group of entry points that plug-ins declare, such as ``fsl.algorithms``.
        built_in: the entries of this project, in the order of listing.
        problem: explains why an object is no valid entry; None if it is valid.
    """

    def __init__(self, group: str, built_in: Sequence[T], problem: Callable[[object], str | None]) -> None:
        self.group, self._built_in, self._problem = group, built_in, problem
        self._plugin_packages: set[str] = set()

    @cached_property
    def _entries(self) -> dict[str, T]:
        entries = {_name(entry): entry for entry in self._built_in}
        for point in importlib.metadata.entry_points(group=self.group):
            entries[point.name] = self._loaded(point, taken=entries)
        return entries

    def _loaded(self, point: importlib.metadata.EntryPoint, *, taken: Mapping[str, T]) -> T:
        """Raises PluginError if the plug-in cannot be imported, is no valid entry, or has a name that is taken or not its own."""
        where = f"plug-in {point.name!r} of {self.group} ({point.value})"
        if point.name in taken:
            raise PluginError(f"{where}: the name is already taken by this project or another plug-in")
        try:
            entry: T = point.load()
        except Exception as error:
            raise PluginError(f"{where} cannot be loaded ({type(error).__name__}: {error}); uninstall or repair it") from error
        if problem := self._problem(entry):
            raise PluginError(f"{where}: {problem}")
        if _name(entry) != point.name:
            raise PluginError(f"{where}: it calls itself {_name(entry)!r}")
        self._plugin_packages.add(point.module.partition(".")[0])
        return entry

    @property
    def plugin_packages(self) -> frozenset[str]:
        """The top-level packages or modules of this catalogue's plug-ins."""
        return frozenset(self._plugin_packages) if self._entries else frozenset()

    def __getitem__(self, name: str) -> T:
        return self._entries[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)


def _name(entry: object) -> str:
    return str(getattr(entry, "name", ""))


def settings_problem(base: type) -> Callable[[object], str | None]:
    """The check of a catalogue of settings: an entry is a dataclass that derives from ``base`` and has a name, a title and its methods."""

    def problem(entry: object) -> str | None:
        if not (isinstance(entry, type) and issubclass(entry, base) and dataclasses.is_dataclass(entry)):
            return f"it must be a dataclass that derives from {base.__module__}.{base.__name__}"
        missing = [name for name in ("name", "title") if not isinstance(getattr(entry, name, None), str)]
        missing += sorted(getattr(entry, "__abstractmethods__", ()))
        return f"it has no {' and no '.join(missing)}" if missing else None

    return problem
