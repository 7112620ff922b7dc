"""A trial in a process of its own: ``python -m tests.fsl_core.pinned_trial FOLDER CACHE LAYOUT KILLED_AT``.

Its timer prefers the paths of LAYOUT; it kills itself as it is about to take the step that follows KILLED_AT ones, and where that is
above the last step it prints its result.
"""

import os
import signal
import sys
from pathlib import Path

from fsl_core.datasets.catalogue import open_dataset
from fsl_core.training import path_choice
from fsl_core.training.trial import run_trial
from fsl_core.training.trial_run import TrialRun
from tests.fsl_core.conftest import glyphs_recipe
from tests.fsl_core.test_path_choice import preferring
from tests.fsl_core.test_trial import text


def main(folder: Path, cache: Path, layout: str, killed_at: int) -> None:
    path_choice.stopwatch_of = preferring(layout)
    recipe, asked = glyphs_recipe(), 0

    def dying() -> bool:
        nonlocal asked
        if asked == killed_at:
            os.kill(os.getpid(), signal.SIGKILL)
        asked += 1
        return False

    dataset = open_dataset(recipe.data, data_root=None, cache_root=cache)
    print(text(run_trial(recipe, TrialRun(folder=folder, dataset=dataset, choices=folder.parent / "paths", should_stop=dying))))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
