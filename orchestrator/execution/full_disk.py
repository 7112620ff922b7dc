"""What a trial that met a full disk has to say beside the error."""

from __future__ import annotations

import errno

from fsl_core.training.trial_paths import TrialPaths

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def advice(error: Exception, paths: TrialPaths, step: int) -> str:
    """What to do, and what is kept of a trial whose last checkpoint is of ``step``; nothing for any other error."""
    if not isinstance(error, OSError) or error.errno not in _FULL:
        return ""
    if paths.result.exists():
        return "; free some space: the training is kept, and what lacks its score is scored"
    return f"; free some space: it resumes from step {step}" if step else "; free some space: it begins at step 0"
