"""Composes YAML 1.2: nodes with their lines, and the values of scalars.

PyYAML types scalars by YAML 1.1, where ``no`` is false and ``1e-3`` is text. Here the core schema of 1.2 types them, with underscores
between digits and ``<<`` for merged mappings. libyaml composes a file twenty times as fast as Python: published numbers are many nodes.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import yaml
from yaml.composer import ComposerError

_DEEPEST = 32  # libyaml's composer calls itself for each level, and the stack of the process is finite
_TAG = "tag:yaml.org,2002:"
MERGE = f"{_TAG}merge"
"""The tag of the key ``<<``."""

Scalar = str | int | float | bool | None


class _Loader(yaml.CBaseLoader if yaml.__with_libyaml__ else yaml.BaseLoader):  # type: ignore[misc]
    """Types scalars by the schema below, and limits the depth."""

    _depth = 0

    def descend_resolver(self, parent: yaml.Node | None, index: object) -> None:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise ComposerError(None, None, "too deeply nested values", None if parent is None else parent.start_mark)

    def ascend_resolver(self) -> None:
        self._depth -= 1


def _whole(text: str) -> int:
    digits = text.replace("_", "")
    return int(digits, 0 if digits.lstrip("+-")[:2] in ("0b", "0o", "0x") else 10)


def _number(text: str) -> float:
    return float(text.lower().replace("_", "").replace(".inf", "inf").replace(".nan", "nan"))


_DIGITS, _POWER = "[0-9][0-9_]*", "(?:[eE][-+]?[0-9]+)"
_FINITE = rf"[-+]?(?:{_DIGITS}\.[0-9_]*{_POWER}?|\.{_DIGITS}{_POWER}?|{_DIGITS}{_POWER})"
_TYPES: dict[str, tuple[str, str, Callable[[str], Scalar]]] = {
    f"{_TAG}null": ("~|null|Null|NULL|", "~nN", lambda text: None),
    f"{_TAG}bool": ("true|True|TRUE|false|False|FALSE", "tTfF", lambda text: text.lower() == "true"),
    f"{_TAG}int": (f"[-+]?(?:0b[01_]+|0o[0-7_]+|0x[0-9a-fA-F_]+|{_DIGITS})", "-+0123456789", _whole),
    f"{_TAG}float": (rf"{_FINITE}|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)", "-+.0123456789", _number),
    MERGE: ("<<", "<", str),
}
"""For each type but text its spelling, the characters that it begins with, and the value of a text."""

for _tag, (_spelling, _first, _) in _TYPES.items():
    _Loader.add_implicit_resolver(_tag, re.compile(rf"(?:{_spelling})\Z"), list(_first))
_Loader.add_implicit_resolver(f"{_TAG}null", re.compile(r"\Z"), [""])


def compose(text: str) -> yaml.Node | None:
    """The root node of a document; None for an empty one.

    Raises:
        yaml.YAMLError: it is not one document of YAML, or is too deeply nested; most errors have a mark.
    """
    loader = _Loader(text)
    try:
        root: yaml.Node | None = loader.get_single_node()
        return root
    finally:
        loader.dispose()


def scalar_of(node: yaml.Node) -> Scalar:
    """The value of a scalar.

    Raises:
        ValueError: it is none, has a tag of its own, or is a number that Python cannot represent.
    """
    if node.tag == f"{_TAG}str":
        return str(node.value)
    spelling, _, value = _TYPES.get(node.tag, (None, None, str))
    if spelling is None or not re.fullmatch(spelling, node.value):
        raise ValueError(f"a value with the tag {node.tag.replace(_TAG, '!!')}")
    return value(node.value)


def is_untagged(node: yaml.Node) -> bool:
    """Whether a sequence or a mapping has no tag of its own."""
    return node.tag in (f"{_TAG}seq", f"{_TAG}map")
