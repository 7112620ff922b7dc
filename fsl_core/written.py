"""How messages spell values: as YAML and JSON do, where people write them."""

from __future__ import annotations


def written(value: object) -> str:
    """A value as it is written: ``null``, ``true``, ``[5, 20]``; text as it is."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return value
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(written, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {written(each)}' for key, each in value.items())}}}"
    try:
        return repr(value)
    except ValueError:  # Python spells no integer of more than 4,300 digits
        return "a number of thousands of digits"


def quoted(value: object) -> str:
    """The same, but that text stands in quotes, to be told from the words around it."""
    return repr(value) if isinstance(value, str) else written(value)
