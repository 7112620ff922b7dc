"""Records that carry the SHA-256 of their own content, so that an edit or a flipped bit is noticed where they are read."""

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
"""The key of the digest; it is of all the other keys."""


def sealed(plain: Mapping[str, Any]) -> dict[str, Any]:
    """The document with the digest of its content."""
    return {**plain, SEAL: _digest(plain)}


def document_text(plain: Mapping[str, Any]) -> bytes:
    """The one text of a sealed document. Raises ValueError for a number that JSON lacks."""
    return (json.dumps(sealed(plain), sort_keys=True, indent=1, allow_nan=False) + "\n").encode()


def unsealed(content: bytes) -> tuple[dict[str, Any], bool]:
    """The document in a file without its digest, and whether it had one. One without was written before documents were sealed.

    Raises:
        ValueError: the file is not a JSON object, or its content is not what the digest says.
    """
    try:
        document = json.loads(content)
        if not isinstance(document, dict):
            raise ValueError("not a JSON object")
        plain = {key: value for key, value in document.items() if key != SEAL}
        if SEAL in document and document[SEAL] != _digest(plain):
            raise ValueError("its content is not what was written: the digest in it is of another content")
    except RecursionError as error:
        raise ValueError("not a JSON object of a usual depth") from error
    return plain, SEAL in document


def read_sealed(path: Path, parse: Callable[[dict[str, Any]], Value]) -> tuple[Value, bool] | None:
    """What ``parse`` makes of the document in a file, and whether it was sealed; None where there is no file.

    Raises:
        RecordDamagedError: the file is not what was written, or ``parse`` finds that it is not of this kind.
        OSError: it cannot be read, so that nobody knows what it holds.
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
