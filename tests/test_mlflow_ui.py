"""MLflow's UI in a real browser: a user goes from the sweep to a run, its curve and its artifacts."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from orchestrator.sweep.tracking_address import TrackingAddress
from orchestrator.tracking.mlflow_experiments import experiment_ids
from orchestrator.tracking.mlflow_server import UiServer, runs_page, ui_server
from orchestrator.tracking.mlflow_tracker import MlflowTracker
from orchestrator.tracking.shown_sweep import ShownTable, SweepContext, shown_sweep
from orchestrator.tracking.tracking_uri import artifact_root, default_address
from tests.orchestrator.tracking.tracked_sweep import tracked_sweep

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine (Debian: apt-get install chromium)")

QUIET = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update")
ARGUMENTS = [*QUIET, "--disable-sync", "--no-first-run"]
TABLE = "| distance | reproduced |\n|---|---|\n| squared_euclidean | 98.8 ± 0.1 |"
RUN_NAME = "prototypical squared Euclidean · glyphs 5w1s · 300 steps · s0"


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[UiServer]:
    """The UI on a store that holds one finished sweep."""
    folder = tmp_path_factory.mktemp("shown")
    sweep = tracked_sweep(folder, "looked-at")
    uri, artifacts = default_address(folder / "runs"), artifact_root(folder / "runs")
    tracker = MlflowTracker(uri, artifacts=artifacts)
    tracker.begin(shown_sweep(sweep.plan, SweepContext(command="fsl run looked-at.yaml")))
    for trial in sweep.trials:
        tracker.sync_trial(trial, sweep.record(trial), sweep.store.paths(trial.fingerprint))
    table = folder / "table.md"
    table.write_text(TABLE)
    tracker.finish(ShownTable(files=(table,), markdown=TABLE, complete=True))
    with ui_server(uri, artifacts=artifacts, log=folder / "server.log") as server:
        yield server


def page_of(shown: UiServer) -> str:
    return runs_page(shown.url, experiment_ids(TrackingAddress(shown.url))["looked-at"])


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A page of a patient browser. Its last sight is kept where FSL_SCREENSHOTS names a folder."""
    page = browser.new_page(viewport={"width": 1500, "height": 950})
    page.set_default_timeout(90_000)
    expect.set_options(timeout=90_000)
    yield page
    folder = os.environ.get("FSL_SCREENSHOTS")
    if folder:
        page.screenshot(path=Path(folder) / f"{request.node.name}.png")
    page.close()


def test_from_the_sweep_to_a_run_its_curve_and_its_artifacts(shown: UiServer, page: Page):
    page.goto(page_of(shown))
    page.locator("[role=gridcell][col-id*='Run Name']").filter(has_text="looked-at").get_by_role("button").first.click()
    page.get_by_role("link", name=RUN_NAME).click()
    expect(page.get_by_role("heading", name=RUN_NAME)).to_be_visible()
    expect(page.get_by_text("One training, which serves:")).to_be_visible()
    page.get_by_role("tab", name="Model metrics").click()
    page.get_by_placeholder("Search metric charts").fill("train/loss")
    expect(page.get_by_role("heading", name="loss", exact=True)).to_be_visible()
    curve = page.locator("svg path.js-line[d*='L']")  # a line through several points; a single value draws none
    expect(curve.first).to_be_visible()
    page.get_by_role("tab", name="Artifacts").click()
    expect(page.get_by_text("selected.pt")).to_be_visible()
    page.get_by_text("episode.png").click()
    expect(page.get_by_role("img", name="episode.png")).to_be_visible()


def test_the_parent_run_shows_the_table(shown: UiServer, page: Page):
    page.goto(page_of(shown))
    page.get_by_role("gridcell").get_by_role("link", name="looked-at", exact=True).click()
    expect(page.get_by_role("cell", name="98.8 ± 0.1")).to_be_visible()
    page.get_by_role("tab", name="Artifacts").click()
    page.get_by_text("table", exact=True).click()
    expect(page.get_by_text("table.md")).to_be_visible()
