"""Records that carry the SHA-256 of their own content, so that readers detect an edit or a flipped bit."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from fsl_core.errors import RecordDamagedError
from fsl_core.json_digest import compact_json

Value = TypeVar("Value")

SEAL = "content_sha256"
"""The key of the digest, which covers all other keys."""


def sealed(plain: Mapping[str, Any]) -> dict[str, Any]:
    """The document with the digest of its content."""
    return {**plain, SEAL: _digest(plain)}


def document_text(plain: Mapping[str, Any]) -> bytes:
    """The canonical text of a sealed document. Raises ValueError for NaN or infinity."""
    return (json.dumps(sealed(plain), sort_keys=True, indent=1, allow_nan=False) + "\n").encode()


def unsealed(content: bytes) -> tuple[dict[str, Any], bool]:
    """The document in a file without its digest, and whether it had one. Early versions wrote documents without.

    Raises:
        ValueError: the file is not a JSON object, or its content does not match the digest.
    """
    try:
        document = json.loads(content)
        if not isinstance(document, dict):
            raise ValueError("not a JSON object")
        plain = {key: value for key, value in document.items() if key != SEAL}
        if SEAL in document and document[SEAL] != _digest(plain):
            raise ValueError("its content was modified: it does not match its digest")
    except RecursionError as error:
        raise ValueError("a JSON object nested too deeply") from error
    return plain, SEAL in document


def read_sealed(path: Path, parse: Callable[[dict[str, Any]], Value]) -> tuple[Value, bool] | None:
    """Parse the document in a file; returns it and whether it was sealed, or None if there is no file.

    Raises:
        RecordDamagedError: the file was modified, or ``parse`` rejects it.
        OSError: it cannot be read, so its content is unknown.
    """
    try:
        plain, was_sealed = unsealed(path.read_bytes())
        return parse(plain), was_sealed
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError, IsADirectoryError) as error:
        raise RecordDamagedError(f"{path} is damaged ({type(error).__name__}: {error})") from error


def _digest(plain: Mapping[str, Any]) -> str:
    return hashlib.sha256(compact_json(plain).encode()).hexdigest()
