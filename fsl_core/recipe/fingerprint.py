"""Settings as plain JSON values and back, and the fingerprint that names them."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import types
import typing
from collections.abc import Mapping
from typing import Any

from fsl_core.errors import RecipeError, within
from fsl_core.json_digest import compact_json

SCHEMA_VERSION = 2
"""Incremented by hand when the meaning of a recipe changes, so that old results are never taken for new ones."""

ADDED_LATER: Mapping[str, bool] = types.MappingProxyType({"added_later": True})
"""Metadata of a field added after fingerprints were published: it is omitted at its default, so that they stay unchanged."""

NONE_IS_OFF: Mapping[str, bool] = types.MappingProxyType({"none_is_off": True})
"""Metadata of a setting that None switches off. For any other setting None means that it does not exist."""


def as_plain(value: Any) -> Any:
    """Settings as plain JSON types.

    Fields that are None are omitted, as are fields added later that have their default. A float field is always written as a float:
    ``1`` and ``1.0`` are the same learning rate.
    """
    if not dataclasses.is_dataclass(value) or isinstance(value, type):
        return value
    name = getattr(type(value), "name", None)
    plain: dict[str, Any] = {"name": name} if isinstance(name, str) else {}
    for item in dataclasses.fields(value):
        inner = getattr(value, item.name)
        if inner is None or (item.metadata.get("added_later") and inner == item.default):
            continue
        plain[item.name] = float(inner) if "float" in str(item.type) else as_plain(inner)
    return plain


def canonical_json(value: Any) -> str:
    """The canonical text of settings that their fingerprint hashes: sorted keys, no spaces, defaults filled in."""
    return _document(type(value).__name__, as_plain(value), SCHEMA_VERSION)


def fingerprint(value: Any) -> str:
    """The first sixteen hex digits of the SHA-256 of :func:`canonical_json`."""
    return fingerprint_of_plain(type(value).__name__, as_plain(value), schema=SCHEMA_VERSION)


def fingerprint_of_plain(kind: str, plain: Any, *, schema: int) -> str:
    """The fingerprint of settings of ``kind``, as written by :func:`as_plain`, in one edition's schema."""
    return hashlib.sha256(_document(kind, plain, schema).encode()).hexdigest()[:16]


def _document(kind: str, plain: Any, schema: int) -> str:
    return compact_json({"kind": kind, "schema": schema, "value": plain})


def from_plain(kind: type[Any], plain: Any) -> Any:
    """Read a value of dataclass ``kind`` from the document of :func:`as_plain`.

    Omitted fields are None if they may be None, else their default. Raises RecipeError if the document is not such a value.
    """
    if not isinstance(plain, Mapping):
        raise RecipeError(f"not settings of {kind.__name__}: {plain!r}")
    own = getattr(kind, "name", None)
    if plain.get("name") != own:
        raise RecipeError(f"not settings of {kind.__name__}: the name is {plain.get('name')!r}, not {own!r}")
    rest = {key: value for key, value in plain.items() if key != "name"}
    hints = _hints(typing.cast(Any, kind))
    values: dict[str, Any] = {}
    for item in dataclasses.fields(kind):
        if item.name in rest:
            with within(item.name):
                values[item.name] = _field_from_plain(hints[item.name], rest.pop(item.name))
        elif type(None) in typing.get_args(hints[item.name]):
            values[item.name] = None
        elif item.default is dataclasses.MISSING or not item.metadata.get("added_later"):
            raise RecipeError(f"not settings of {kind.__name__}: {item.name} is missing")
    if rest:
        raise RecipeError(f"not settings of {kind.__name__}: unknown {', '.join(sorted(map(str, rest)))}")
    try:
        return kind(**values)
    except TypeError as error:
        raise RecipeError(f"not settings of {kind.__name__}: {error}") from error


@functools.cache  # a third of the time that reading a record takes
def _hints(kind: Any) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _field_from_plain(hint: Any, plain: Any) -> Any:
    every = (hint, *typing.get_args(hint))
    if catalogued := next((kind for kind in every if hasattr(kind, "kinds")), None):
        return from_plain(_named(catalogued.kinds(), plain), plain)
    kind = next((kind for kind in every if dataclasses.is_dataclass(kind)), None)
    return plain if kind is None else from_plain(typing.cast(type[Any], kind), plain)


def _named(kinds: Mapping[str, type[Any]], plain: Any) -> type[Any]:
    """The kind of settings that a document names. Raises RecipeError if there is none of that name."""
    name = plain.get("name") if isinstance(plain, Mapping) else None
    if not isinstance(name, str) or name not in kinds:
        raise RecipeError(f"{name!r} is none of {', '.join(map(repr, kinds))}")
    return kinds[name]
