"""Puts another entry into a catalogue for the length of a test."""

from typing import Any

import pytest

from fsl_core.catalogue import Catalogue


def replace_entry(monkeypatch: pytest.MonkeyPatch, catalogue: Catalogue[Any], entry: Any) -> None:
    monkeypatch.setattr(catalogue, "_entries", {**catalogue, entry.name: entry})
