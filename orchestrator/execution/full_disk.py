"""Advice to add to the error of a full disk."""

from __future__ import annotations

import errno

from fsl_core.training.trial_paths import TrialPaths

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def advice(error: Exception, paths: TrialPaths, step: int) -> str:
    """The advice for a trial whose last checkpoint is at ``step``; empty for any other error."""
    if not isinstance(error, OSError) or error.errno not in _FULL:
        return ""
    if paths.result.exists():
        return "; free some space: the training is kept, and the missing scores are computed"
    return f"; free some space: it resumes from step {step}" if step else "; free some space: it begins at step 0"
