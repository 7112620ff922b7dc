"""One text for a JSON value, so that equal values have equal digests whatever the order of their keys."""

from __future__ import annotations

import hashlib
import json
from typing import Any


def compact_json(value: Any) -> str:
    """The text that fingerprints of settings and seals of records hash: sorted keys, no spaces. Raises ValueError for NaN or infinity."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def json_digest(value: Any) -> str:
    """The SHA-256, 64 hex digits, of a JSON value with sorted keys: of plans, cells, manifests and what is shown elsewhere.

    Its text has the spaces that :func:`compact_json` lacks: names that are on record already hash either the one or the other.
    """
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
