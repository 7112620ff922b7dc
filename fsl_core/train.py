"""``python -m fsl_core.train FOLDER…`` trains and scores the trials that ``fsl plan SWEEP --write-trials DIR`` prepared.

It needs only torch, numpy and Pillow, so a machine without the orchestrator can train a sweep; ``fsl bring DIR`` then imports the trials
where the sweep is. Several processes may share the folders: each skips trials that another is working on.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from fsl_core.errors import FslError
from fsl_core.provenance import running_code
from fsl_core.training.execution_path import ExecutionPath, cuda_is_here
from fsl_core.training.given_path import given_path
from fsl_core.training.requested_trial import Ending, TrainingPlace, requested_together, train_requested

COMPLETE, USAGE, TRIAL_FAILED, INCOMPLETE = 0, 2, 3, 4
"""The exit codes of the command, as those of ``fsl``."""


class _Stop:
    """Records a request to stop. A second signal ends the process at once."""

    def __init__(self) -> None:
        self.asked = False

    def ask(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
        _say("stopping: the trial writes its checkpoint; interrupt again to stop at once")


def _say(message: str) -> None:
    try:
        print(message, file=sys.stderr, flush=True)
    except OSError:  # its reader is gone, or the disk of its log is full: the training continues
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m fsl_core.train",
        description="Train and score the trial folders that `fsl plan SWEEP --write-trials DIR` prepared. Run it again to resume.",
        epilog="Exit codes: 0 all done; 2 usage; 3 a trial failed; 4 a trial was stopped, or belongs to another process.",
    )
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER", help="a trial's folder; files among them are skipped")
    parser.add_argument(
        "--data-root", type=Path, default=os.environ.get("FSL_DATA_ROOT"), help="folder that holds omniglot/*.zip"
    )
    parser.add_argument("--prepared", type=Path, default=Path("prepared"), help="folder of prepared images; default ./prepared")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="where to compute; default auto")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads of one operation; default 1")
    parser.add_argument(
        "--path",
        type=Path,
        metavar="FILE",
        help="execution path of trials that have none yet: a file such as a trial's path.json; default: the fastest, measured once",
    )
    parser.add_argument(
        "--seeds-together",
        type=int,
        metavar="N",
        help="seeds of a recipe that this process takes at once on CUDA, and trains in the same steps if that is faster; default 1, or "
        "as many as the path has",
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Train the folders one after another. Returns the exit code."""
    parser = _parser()
    given = parser.parse_args(arguments)
    device = given.device if given.device != "auto" else "cuda" if cuda_is_here() else "cpu"
    prepared = given.prepared.absolute()
    folders = [folder for folder in given.folders if not folder.is_file() and folder.absolute() != prepared]
    try:
        path = None if given.path is None else given_path(given.path, device=device, threads=given.threads)
        (path or ExecutionPath(device=device, threads=given.threads)).check_available()
    except (FslError, OSError) as error:
        parser.error(str(error))
    together = _seeds_together(parser, given.seeds_together, path, device)
    if absent := [str(folder) for folder in folders if not folder.is_dir()]:
        parser.error(f"no folder: {', '.join(absent)}")
    stop = _Stop()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop.ask)
    data_root = None if given.data_root is None else Path(given.data_root)
    place = TrainingPlace(
        data_root=data_root,
        prepared=prepared,
        device=device,
        threads=given.threads,
        seeds_together=together,
        path=path,
        should_stop=lambda: stop.asked,
        notice=_say,
    )
    running_code()  # now: the files may change while the command runs, its imports do not
    try:
        return _train(folders, place)
    except KeyboardInterrupt:
        return INCOMPLETE


def _seeds_together(parser: argparse.ArgumentParser, asked: int | None, path: ExecutionPath | None, device: str) -> int:
    """The most seeds that train together, as `fsl run` decides it; a path that is given has its own number."""
    if path is not None:
        if asked not in (None, path.seeds_together):
            parser.error(f"--seeds-together is {asked}, but the path has {path.seeds_together} seeds together")
        return path.seeds_together
    if asked is not None and (asked < 1 or (asked > 1 and device != "cuda")):
        parser.error(f"--seeds-together is {asked}; it must be 1, or more on CUDA")
    return asked or 1


def _train(folders: Sequence[Path], place: TrainingPlace) -> int:
    endings: dict[Path, Ending] = {}
    for together in requested_together(list(dict.fromkeys(folders)), place.seeds_together):
        ends: list[Ending] = ["stopped"] * len(together) if place.should_stop() else train_requested(together, place)
        endings |= dict(zip(together, ends, strict=True))
    _say(", ".join(f"{count} {ending}" for ending, count in Counter(endings.values()).items()) or "no trial's folder was given")
    if "failed" in endings.values():
        return TRIAL_FAILED
    return INCOMPLETE if {"stopped", "held"} & set(endings.values()) else COMPLETE


if __name__ == "__main__":
    raise SystemExit(main())
