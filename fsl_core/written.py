"""Formats values for messages, as YAML and JSON write them."""

from __future__ import annotations


def written(value: object) -> str:
    """A value in YAML: ``null``, ``true``, ``[5, 20]``; text without quotes."""
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
    except ValueError:  # Python formats no integer of more than 4,300 digits
        return "a number of thousands of digits"


def quoted(value: object) -> str:
    """The same with text in quotes, to set it apart from the sentence."""
    return repr(value) if isinstance(value, str) else written(value)
