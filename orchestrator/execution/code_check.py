"""Checks that a process that runs a trial has the driver's code."""

from __future__ import annotations

from fsl_core.code_digest import code_location
from fsl_core.provenance import host_name, running_code
from orchestrator.errors import CodeDiffersError


def check_code(wanted: str) -> None:
    """Raises CodeDiffersError unless this process runs the code with the digest ``wanted``."""
    own = running_code().code_digest
    if own != wanted:
        raise CodeDiffersError(
            f"this worker on {host_name()} runs the code in {code_location()} (digest {own[:16]}), the driver runs other code "
            f"(digest {wanted[:16]}): install one version everywhere, and launch again after a change of the code"
        )
