"""A record changed as only its writer could: the digest of its content is made anew."""

from pathlib import Path
from typing import Any

from fsl_core.sealed import document_text, unsealed


def edit(path: Path, **changes: Any) -> None:
    path.write_bytes(document_text({**unsealed(path.read_bytes())[0], **changes}))
