"""Canonical text and digest of JSON values: equal values have equal digests, whatever the order of their keys."""

from __future__ import annotations

import hashlib
import json
from typing import Any


def compact_json(value: Any) -> str:
    """The text hashed by fingerprints and seals: sorted keys, no spaces. Raises ValueError for NaN or infinity."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def json_digest(value: Any) -> str:
    """The SHA-256, 64 hex digits, of a JSON value with sorted keys: used for plans, cells, manifests and views.

    It hashes a text with spaces, unlike :func:`compact_json`: recorded names depend on either form.
    """
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
