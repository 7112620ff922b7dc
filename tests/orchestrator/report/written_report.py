"""A whole report in one folder, for tests: a launch writes its pages and its exports apart, each only if it changed."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

from fsl_core.listeners import Notice
from orchestrator.records.trial_record import TrialRecord
from orchestrator.report.published import Registries
from orchestrator.report.report_folder import write_pages, write_parquet
from orchestrator.report.table_rows import table_rows
from orchestrator.sweep.plan import Plan

_log = logging.getLogger(__name__)


def write_report_folder(
    folder: Path,
    plan: Plan,
    records: Mapping[str, TrialRecord],
    registries: Registries,
    *,
    run_ids: Mapping[str, str] | None = None,
    notice: Notice = _log.warning,
) -> tuple[Path, ...]:
    """Write the report of a sweep, complete or not; returns its files."""
    rows = table_rows(plan, records, registries)
    pages = write_pages(folder, plan, records, rows, notice=notice)
    return (*pages, *write_parquet(folder, plan, records, rows, run_ids=run_ids or {}))
