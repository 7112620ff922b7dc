"""Edits a record and renews the digest of its content, as only its writer could."""

from pathlib import Path
from typing import Any

from fsl_core.sealed import document_text, unsealed


def edit(path: Path, **changes: Any) -> None:
    path.write_bytes(document_text({**unsealed(path.read_bytes())[0], **changes}))
