"""Records that carry the SHA-256 of their own content, so that an edit or a flipped bit is noticed where they are read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

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


def _digest(plain: Mapping[str, Any]) -> str:
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
