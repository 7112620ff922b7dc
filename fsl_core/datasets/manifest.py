"""The manifest of prepared images: what was prepared, sealed by a digest of its own content."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fsl_core.atomic_file import write_atomically
from fsl_core.datasets.data_set import SourceState
from fsl_core.json_digest import json_digest

MANIFEST = "manifest.json"
_STATE, _SEAL = "state", "seal"


def write_manifest(folder: Path, manifest: Mapping[str, Any], state: SourceState | None) -> None:
    """Seal a manifest and write it: a reader sees the earlier one or this one. ``state`` is what the images were prepared of."""
    stated = {**manifest, **({} if state is None else {_STATE: dataclasses.asdict(state)})}
    write_atomically(folder / MANIFEST, json.dumps({**stated, _SEAL: json_digest(stated)}).encode())


def read_manifest(folder: Path) -> tuple[dict[str, Any], SourceState | None, bool]:
    """A manifest, the state in it, and whether its seal is right; without the seal no state is believed.

    Raises:
        OSError, ValueError, KeyError, TypeError, AttributeError: there is none, or it is damaged.
    """
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    sealed = manifest.pop(_SEAL, None) == json_digest(manifest)
    state = manifest.pop(_STATE, None)
    return manifest, SourceState(**state) if sealed and state is not None else None, sealed


def renew_state(folder: Path, state: SourceState) -> None:
    """State that intact prepared images are those of another state of their source. Their array is not touched."""
    write_manifest(folder, read_manifest(folder)[0], state)
