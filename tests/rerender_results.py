"""Makes the folders under ``results/`` again from their own exports, in today's form, and the table that the README shows.

    .venv/bin/python -m tests.rerender_results                  # all of them
    .venv/bin/python -m tests.rerender_results maml_omniglot    # some
    .venv/bin/python -m tests.rerender_results matching_omniglot --with DIR    # with further trials, from a report of part of the sweep

Without ``--with`` no number changes: what is written comes from ``trials``, ``episodes``, ``curves``, ``adaptation`` and
``provenance.json`` there.
Those of ``results/first_edition/`` stay as they are: today's sweep files mean other trials.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

from orchestrator.report.published import load_registries
from orchestrator.sweep.loader import load_sweep
from orchestrator.sweep.plan import build_plan
from tests.committed_records import RESULTS, ROOT, CommittedResults
from tests.orchestrator.report.written_report import write_report_folder

SHOWN_TABLE = re.compile(r"(?<=<!-- )(results/[\w/]+/table\.md)( -->\n\n)(.*?)(?=\n\n<!-- end of table -->)", re.DOTALL)
"""A table in the README: the file it comes from, a separator, the table."""


def rendered(committed: Path, folder: Path, *, sweeps: Path = ROOT / "sweeps", further: Sequence[Path] = ()) -> tuple[Path, ...]:
    """Write into ``folder`` what today's code makes of the records behind a committed folder, whose sweep file is in ``sweeps``.

    A trial that has no result there is taken from the first folder of ``further`` that has one.
    """
    known = CommittedResults(committed)
    plan = build_plan(load_sweep(sweeps / f"{committed.name}.yaml"))
    assert plan.fingerprint == known.provenance["plan"], (
        f"{sweeps.name}/{committed.name}.yaml now means other trials than those committed"
    )
    registries = load_registries(ROOT / "sweeps" / "published")
    records, run_ids = known.records(plan), known.run_ids()
    for path in further:
        other = CommittedResults(path)
        assert other.provenance.get("edition") == known.provenance["edition"], f"{path} has trials of another edition"
        new = {name: record for name, record in other.records(plan).items() if record.result and not records[name].result}
        assert new, f"{path} has no trial that {committed} lacks"
        records |= new
        run_ids |= {name: run for name, run in other.run_ids().items() if name in new}
    return write_report_folder(folder, plan, records, registries, run_ids=run_ids)


def main(arguments: Sequence[str] | None = None) -> None:
    """Render the named folders, or all, in place; a name that is none of them ends the program."""
    by_name = {folder.name: folder for folder in RESULTS}
    parser = argparse.ArgumentParser(prog="python -m tests.rerender_results")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(by_name) or 'none yet'}; default: all")
    parser.add_argument("--with", dest="further", action="append", default=[], type=Path, metavar="DIR", help="further trials")
    given = parser.parse_args(arguments)
    if given.further and len(given.names) != 1:
        parser.error("--with needs the NAME of one folder")
    if unknown := [name for name in given.names if name not in by_name]:
        parser.exit(1, f"{', '.join(unknown)}: not a folder that is made again ({', '.join(by_name) or 'there are none yet'})\n")
    for folder in [by_name[name] for name in given.names or by_name]:
        made = {path.name for path in rendered(folder, folder, further=given.further)}
        for path in folder.iterdir():
            if path.name not in made:
                path.unlink()
    readme = ROOT / "README.md"
    shown = SHOWN_TABLE.sub(lambda found: f"{found[1]}{found[2]}{(ROOT / found[1]).read_text().strip()}", readme.read_text())
    readme.write_text(shown)


if __name__ == "__main__":
    main()
