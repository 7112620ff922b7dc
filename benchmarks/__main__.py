"""``python -m benchmarks``: steps, roofline, profile and scaling, written to ``benchmarks/results/``; ``make bench`` runs it."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from benchmarks.contenders import CONTENDERS
from benchmarks.measurements import Rounds, measure_profile, measure_roofline, measure_scaling, measure_steps
from benchmarks.result_page import write_page
from benchmarks.scaling import AXES
from benchmarks.workloads import WORKLOADS

RESULTS = Path(__file__).parent / "results"
PARTS = ("steps", "roofline", "profile", "scaling")


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Time training steps of this library and of its peers."
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(PARTS)}; all of them by default")
    parser.add_argument(
        "--workload", action="append", default=[], choices=list(WORKLOADS), help="for steps and profile; may be repeated"
    )
    parser.add_argument(
        "--axis", action="append", default=[], choices=[axis.name for axis in AXES], help="for scaling; may be repeated"
    )
    parser.add_argument("--contender", action="append", default=[], choices=list(CONTENDERS), help="for steps; may be repeated")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each contender (default: 3)")
    parser.add_argument("--seconds", type=float, default=0.5, help="processor seconds per turn (default: 0.5)")
    parser.add_argument("--threads", type=int, default=1, help="threads within one operation (default: 1)")
    parser.add_argument("--results", type=Path, default=RESULTS, help="output folder (default: benchmarks/results)")
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure the requested parts and rewrite the page of all results."""
    parser = _arguments()
    given = parser.parse_args(arguments)
    parts = given.parts or PARTS
    if unknown := [part for part in parts if part not in PARTS]:
        parser.error(f"{unknown[0]!r} is not a part; accepted: {', '.join(PARTS)}")
    workloads = [WORKLOADS[name] for name in given.workload] or list(WORKLOADS.values())
    rounds = Rounds(count=given.rounds, seconds=given.seconds, threads=given.threads)
    if "roofline" in parts:
        measure_roofline(given.results, rounds)
    if "steps" in parts:
        measure_steps(given.results, rounds, workloads, given.contender)
    if "profile" in parts:
        measure_profile(given.results, rounds, workloads)
    if "scaling" in parts:
        measure_scaling(given.results, rounds, [axis for axis in AXES if not given.axis or axis.name in given.axis])
    print(f"written: {write_page(given.results)}")


if __name__ == "__main__":
    main()
