"""Reads a YAML file as plain values with their lines, and turns every fault into one clear message."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from fsl_core.written import quoted
from orchestrator.errors import SweepFileError
from orchestrator.sweep.place import Place

KeyPath = tuple[str | int, ...]

_MOST_BYTES = 1_000_000
_SHORT = 4
_MOST_NODES = 50_000  # aliases repeat nodes: a small file must not grow without bound


@dataclass(frozen=True)
class Document:
    """A YAML mapping as plain dicts, lists and scalars; ``lines`` holds the line of each key path, counted from 1."""

    path: Path
    values: dict[str, Any]
    lines: Mapping[KeyPath, int]

    def place(self, at: KeyPath) -> Place:
        """A key path with the file and the line of its nearest known ancestor."""
        line = next((self.lines[at[:end]] for end in range(len(at), -1, -1) if at[:end] in self.lines), 1)
        return Place(f"{self.path}:{line}: {spell(at)}" if at else f"{self.path}:{line}")

    def fault(self, at: KeyPath, problem: str, *, setting: str | None = None, value: object = None) -> SweepFileError:
        """The error for a problem at a key path; see :meth:`orchestrator.sweep.place.Place.fault`."""
        return self.place(at).fault(problem, setting=setting, value=value)


def spell(path: KeyPath) -> str:
    """A key path as text: ``grid.way[1]``."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def nearest(name: str, accepted: Iterable[str]) -> str:
    """A hint with the accepted name nearest to a wrong one, or with all accepted names where none is near."""
    names = sorted(accepted)
    close = close_to(name, names)
    return f"did you mean {close!r}?" if close else f"accepted: {', '.join(names)}"


def close_to(name: str, accepted: Iterable[str]) -> str | None:
    """The accepted name that a wrong one probably misspells; None where none is near."""
    likeness = 0.6 if len(name) <= _SHORT else 0.75  # one wrong letter of three leaves two thirds of a name
    close = difflib.get_close_matches(name, sorted(accepted), n=1, cutoff=likeness)
    return close[0] if close else None


def read_document(path: Path) -> Document:
    """Read a YAML 1.2 file whose top level is a mapping.

    Raises:
        SweepFileError: it cannot be read, is not YAML, repeats a key, uses tags, or is not a mapping.
    """
    text = _read_text(path)
    parser = YAML(typ="rt")
    parser.allow_duplicate_keys = False
    try:
        root = parser.load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark is not None else 1
        raise SweepFileError(f"{path}:{line}: {_first_line(error.problem or error.context)}") from error
    except (YAMLError, ValueError, RecursionError, AttributeError, TypeError, KeyError, AssertionError, IndexError) as error:
        raise SweepFileError(f"{path}: not YAML: {_first_line(error)}") from error
    if not isinstance(root, CommentedMap):
        raise SweepFileError(f"{path}:1: a sweep file is a mapping of keys such as name, title, seeds, fixed and grid")
    lines: dict[KeyPath, int] = {(): 1}
    values = _Plain(path, lines).convert(root, ())
    return Document(path=path, values=values, lines=lines)


def parse_scalar(text: str, *, source: str) -> Any:
    """A value typed on the command line, read as YAML: a scalar or a list of scalars."""
    try:
        value = YAML(typ="safe", pure=True).load(text)
    except (YAMLError, ValueError, RecursionError, TypeError, AttributeError) as error:
        raise SweepFileError(f"{source}: not a YAML value: {_first_line(error)}") from error
    if isinstance(value, Mapping) or (isinstance(value, list) and any(isinstance(item, list | Mapping) for item in value)):
        raise SweepFileError(f"{source}: the value is nested; a scalar or a list of scalars is accepted")
    return value


def explain(error: ValidationError) -> tuple[KeyPath, str]:
    """The key path and the text of a pydantic error's first fault, with the value and what is accepted."""
    fault = error.errors(include_url=False)[0]
    path = tuple(part for part in fault["loc"] if isinstance(part, str | int))
    if fault["type"] == "missing":
        return path, "this key is required"
    if fault["type"] == "extra_forbidden":
        return path, "unknown key"
    return path, f"{quoted(fault['input'])} is not accepted: {_wanted(fault['type'], fault['input'], fault)}"


_WANTED = {
    "int_type": "it must be a whole number",
    "float_type": "it must be a number",
    "bool_type": "it must be true or false",
    "string_type": "it must be text",
    "string_too_short": "it must not be empty",
    "string_too_long": "it must have at most {max_length} characters",
    "string_pattern_mismatch": "it may have small letters, digits, - and _, and begins with a letter or a digit",
    "list_type": "it must be a list",
    "dict_type": "it must be a mapping of keys to values",
    "model_type": "it must be a mapping of keys to values",
    "too_short": "it must not be empty",
    "literal_error": "it must be {expected}",
    "greater_than": "it must be above {gt}",
    "greater_than_equal": "it must be at least {ge}",
    "less_than": "it must be below {lt}",
    "less_than_equal": "it must be at most {le}",
    "finite_number": "it must be a finite number",
}
"""What is accepted, by pydantic's name of a fault, with its data in braces."""


def _wanted(kind: str, value: object, fault: ErrorDetails) -> str:
    """The accepted values, in the words of sweep files."""
    if kind == "int_type" and isinstance(value, float) and value.is_integer():
        return f"a whole number has neither point nor exponent: {int(value)}"
    message = fault["msg"]
    return _WANTED.get(kind, message[0].lower() + message[1:]).format_map(fault.get("ctx", {}))


def _read_text(path: Path) -> str:
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise SweepFileError(f"{path}: larger than {_MOST_BYTES} bytes; a sweep file is small")
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise SweepFileError(f"{path}: not UTF-8 text (byte {error.start})") from error
    except OSError as error:
        raise SweepFileError(f"{path}: cannot be read ({error.strerror})") from error


def _first_line(problem: object) -> str:
    return (str(problem).strip().splitlines() or ["it cannot be parsed"])[0]


class _Plain:
    """Turns ruamel's round-trip nodes into plain values, and records their lines."""

    def __init__(self, path: Path, lines: dict[KeyPath, int]) -> None:
        self.path, self.lines, self.nodes = path, lines, 0

    def convert(self, node: Any, at: KeyPath) -> Any:
        self.nodes += 1
        if self.nodes > _MOST_NODES or len(at) > 8:
            raise SweepFileError(f"{self.path}: too many or too deeply nested values")
        if isinstance(node, CommentedMap):
            return {self._key(node, key, at): self.convert(value, (*at, key)) for key, value in node.items()}
        if isinstance(node, CommentedSeq):
            return [self._item(node, index, value, at) for index, value in enumerate(node)]
        return self._scalar(node, at)

    def _key(self, node: CommentedMap, key: object, at: KeyPath) -> str:
        line = _line(node, key)
        if not isinstance(key, str):
            raise SweepFileError(f"{self.path}:{line or 1}: the key {key!r} is not text")
        if line is not None:
            self.lines[(*at, key)] = line
        return str(key)

    def _item(self, node: CommentedSeq, index: int, value: Any, at: KeyPath) -> Any:
        line = _line(node, index)
        if line is not None:
            self.lines[(*at, index)] = line
        return self.convert(value, (*at, index))

    def _scalar(self, node: Any, at: KeyPath) -> Any:
        for kind in (bool, int, float, str):
            if isinstance(node, kind):
                return kind(node)
        if node is None:
            return None
        if type(node).__name__ == "ScalarBoolean":
            return bool(node)
        line = next((self.lines[at[:end]] for end in range(len(at), -1, -1) if at[:end] in self.lines), 1)
        raise SweepFileError(
            f"{self.path}:{line}: {spell(at)}: a value of type {type(node).__name__}; accepted: text, numbers, true, false"
        )


def _line(node: CommentedMap | CommentedSeq, key: object) -> int | None:
    try:
        place: Sequence[int] = node.lc.data[key]
        return place[0] + 1
    except (AttributeError, KeyError, TypeError, IndexError):
        return None
