"""What a launch took beside what was predicted of it, in one sentence."""

from __future__ import annotations

from orchestrator.counted import counted
from orchestrator.launch.duration import duration_text, range_text
from orchestrator.launch.launch_times import Apart, LaunchTimes, Uncompared
from orchestrator.launch.span import Span

_UNPREDICTED: Apart = "of unknown cost"


def times_text(times: LaunchTimes) -> str:
    """Such as ``14 trials took 6.3 h of trial time (predicted: about 5.8 h, 4.1 to 8.9), and all 3.4 h of wall clock (predicted: …)``."""
    listed = [each for each in times.uncompared if times.trials or each.why != _UNPREDICTED]
    apart = [f"{each.trials:,} {_why(each)}" + (f" ({duration_text(each.seconds)})" if each.seconds else "") for each in listed]
    sentence = f"{_trials(times)}, and {_wall(times)}"
    return f"{sentence}; not in the trial time: {', '.join(apart)}" if apart else sentence


def _trials(times: LaunchTimes) -> str:
    if not times.trials:
        return _finished_without_prediction(times)
    patience = f", {times.by_patience:,} of them ended by patience," if times.by_patience else ""
    took = duration_text(times.trial_seconds)
    return f"{counted(times.trials, 'trial')}{patience} took {took} of trial time ({_predicted(times.predicted_trial_seconds)})"


def _finished_without_prediction(times: LaunchTimes) -> str:
    found = next((each for each in times.uncompared if each.why == _UNPREDICTED), None)
    if found is None:
        return "no trial was finished"
    return f"{counted(found.trials, 'trial')} finished in {duration_text(found.seconds)} of trial time; none had a prediction"


def _why(each: Uncompared) -> str:
    return "finished without a prediction" if each.why == _UNPREDICTED else each.why


def _wall(times: LaunchTimes) -> str:
    of_all = " of all that was to do" if times.uncompared else ""
    return (
        f"the launch took {duration_text(times.wall_seconds)} of wall clock ({_predicted(times.predicted_wall_seconds, of_all)})"
    )


def _predicted(span: Span | None, of_what: str = "") -> str:
    return f"predicted{of_what}: {'unknown' if span is None else range_text(span)}"
