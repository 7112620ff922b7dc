"""Verdicts: closed forms by hand, and what must hold for all numbers."""

import dataclasses
import math
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fsl_core.episodes.statistics import Z_95
from orchestrator.report.episode_spread import answer_variance
from orchestrator.report.seed_spread import Origin, SeedSpread
from orchestrator.report.verdict import Measured, Printed, decide, interval, seeds_to_settle, verdict

ORDER = {"below": 0, None: 1, "reproduced": 1, "above": 2}

accuracies = st.floats(80, 100)
errors = st.floats(0.001, 2)
alone = st.builds(
    Printed,
    accuracy=accuracies,
    ci95=st.none() | st.floats(0.01, 2),
    decimals=st.integers(0, 2),
    se_episodes=st.floats(0, 2),
)
several = st.builds(
    Printed,
    accuracy=accuracies,
    ci95=st.none(),
    decimals=st.integers(0, 2),
    std_seeds=st.floats(0, 1),
    seeds=st.integers(2, 9),
)
printeds = alone | several
spreads = st.builds(
    SeedSpread,
    logits=st.floats(0.001, 0.2),
    freedom=st.floats(4, 50),
    origin=st.sampled_from(["cell", "table", "prior"]),
)
measureds = st.builds(
    Measured, accuracy=accuracies, seeds=st.integers(2, 9), episodes=st.just(600), se_episodes=errors, std_seeds=errors
)
margins = st.floats(0.1, 3)


def ours(accuracy: float, *, seeds: int = 3, se_episodes: float = 0.0, std_seeds: float | None = 0.0) -> Measured:
    std = std_seeds if seeds > 1 else None
    return Measured(accuracy=accuracy, seeds=seeds, episodes=600, se_episodes=se_episodes, std_seeds=std)


def spread_of(points: float, freedom: float = math.inf, *, at: float = 98.0, origin: Origin = "cell") -> SeedSpread:
    """A spread of so many points at an accuracy."""
    return SeedSpread(logits=points / 100 / answer_variance(at), freedom=freedom, origin=origin)


KNOWN = spread_of(0.0)
LENT = spread_of(0.1, origin="prior")
EXACT = Printed(accuracy=98.0, ci95=None, decimals=4)


def say(
    measured: Measured | None,
    printed: Printed | None,
    margin: float | None = 0.5,
    spread: SeedSpread | None = KNOWN,
    **more: Any,
) -> str:
    return str(verdict(measured, printed, margin=margin, spread=spread, wanted=3, **more))


def half_width(measured: Measured, printed: Printed, spread: SeedSpread, further: int = 0) -> float:
    low, high = interval(measured, printed, spread, further)
    return (high - low) / 2


def test_errors_of_both_sides_by_hand() -> None:
    """Three seeds and episodes of 0.1, against 98.0 ± 0.4 of one training; trainings lie 0.3 apart, known with 6 degrees of freedom.

    Variances: trainings 0.09 / 3 + 0.09 = 0.12, of Student's 2.446912; episodes 0.01 and (0.4 / 1.96)² = 0.041652, rounding
    0.05² / 3 = 0.000833, of the normal 1.959964: √(0.718485 + 0.201617).
    """
    printed = Printed(accuracy=98.0, ci95=0.4, decimals=1)
    assert half_width(ours(98.0, se_episodes=0.1), printed, spread_of(0.3, 6)) == pytest.approx(0.959219, abs=1e-5)


@pytest.mark.parametrize(("freedom", "quantile"), [(1, 12.7062), (2, 4.30265), (4, 2.77645), (30, 2.04227)])
@pytest.mark.parametrize("seeds", [1, 3, 10])
def test_a_spread_alone_has_the_interval_of_students_table(seeds: int, freedom: int, quantile: float) -> None:
    """Of the mean of so many trainings of ours and the one of theirs."""
    exact = Printed(accuracy=98.0, ci95=None, decimals=9)
    expected = quantile * math.sqrt(1 + 1 / seeds)
    assert half_width(ours(98.0, seeds=seeds), exact, spread_of(1.0, freedom)) == pytest.approx(expected, rel=1e-5)


def test_without_a_spread_the_interval_is_the_normal_one() -> None:
    exact = Printed(accuracy=98.0, ci95=None, decimals=9)
    assert half_width(ours(98.0, se_episodes=0.5), exact, KNOWN) == pytest.approx(1.959964 * 0.5, rel=1e-6)


def test_a_published_deviation_replaces_the_spread_of_one_training() -> None:
    """Three runs 0.6 apart: 0.36 / 3 with 2 degrees of freedom, in place of one training's spread and of their episodes' error."""
    printed = Printed(accuracy=98.0, ci95=None, decimals=9, se_episodes=5.0, std_seeds=0.6, seeds=3)
    assert half_width(ours(98.0), printed, KNOWN) == pytest.approx(4.30265 * math.sqrt(0.12), rel=1e-5)
    beside = dataclasses.replace(printed, ci95=1.959964)
    assert half_width(ours(98.0), beside, KNOWN) > 1.959964 * math.sqrt(1.12)


def test_the_error_of_published_episodes_is_as_printed_or_estimated() -> None:
    printed = Printed(accuracy=98.0, ci95=None, decimals=9, se_episodes=0.5)
    assert half_width(ours(98.0), printed, KNOWN) == pytest.approx(1.959964 * 0.5, rel=1e-6)
    assert half_width(ours(98.0), dataclasses.replace(printed, ci95=0.3), KNOWN) == pytest.approx(0.3, rel=1e-6)


def test_a_spread_scales_to_another_accuracy_by_the_slope_of_the_logit() -> None:
    """0.5 points at 50% are 0.18 at 90%, of p (1 - p) 0.25 and 0.09; theirs is of the wider of the two accuracies."""
    spread = spread_of(0.5, at=50.0)
    exact = Printed(accuracy=90.0, ci95=None, decimals=9)
    assert half_width(ours(90.0, seeds=1), exact, spread) == pytest.approx(1.959964 * 0.18 * math.sqrt(2), rel=1e-5)
    assert half_width(ours(50.0, seeds=1), exact, spread) == pytest.approx(1.959964 * 0.5 * math.sqrt(2), rel=1e-5)


@pytest.mark.parametrize(("decimals", "error"), [(0, 0.288675), (1, 0.0288675), (2, 0.00288675)])
def test_a_number_has_the_error_of_its_rounding(decimals: int, error: float) -> None:
    printed = Printed(accuracy=98.0, ci95=None, decimals=decimals)
    assert half_width(ours(98.0), printed, KNOWN) == pytest.approx(1.959964 * error, rel=1e-5)


@pytest.mark.parametrize(
    ("accuracy", "se", "expected"),
    [
        (98.0, 0.0, "reproduced"),
        (98.0, 0.25, "reproduced"),  # ± 0.49
        (98.0, 0.26, "inconclusive"),  # ± 0.51
        (98.3, 0.1, "reproduced"),
        (98.3, 0.11, "inconclusive"),
        (97.7, 0.1, "reproduced"),
        (97.7, 0.11, "inconclusive"),
        (98.7, 0.1, "above"),
        (98.7, 0.11, "inconclusive"),
        (97.3, 0.1, "below"),
        (97.3, 0.11, "inconclusive"),
    ],
)
def test_the_interval_against_a_margin_of_half_a_point(accuracy: float, se: float, expected: str) -> None:
    assert say(ours(accuracy, se_episodes=se), EXACT).split(" (")[0] == expected


@pytest.mark.parametrize(
    ("measured", "spread", "said"),
    [
        (ours(98.0, se_episodes=0.26), KNOWN, "inconclusive (seeds alone will not settle it)"),
        # ours lie 0.2 · 0.018735 / 0.0196 = 0.1912 apart: 1.96² · (0.1912² / n + 0.2²) ≤ 0.41² from n = 10 on
        (ours(98.09), spread_of(0.2), "inconclusive (~7 more seeds)"),
        (ours(98.09, seeds=9), spread_of(0.2), "inconclusive (~1 more seed)"),
        (ours(98.1075), spread_of(0.2), "inconclusive (more than 100 more seeds)"),
        (ours(98.15), spread_of(0.2), "inconclusive (seeds alone will not settle it)"),  # their one training's 0.392
        (ours(98.5), spread_of(0.2), "inconclusive (seeds alone will not settle it)"),  # on the margin's edge
        (ours(98.1, seeds=2), spread_of(0.2, origin="table"), "inconclusive (~20 more seeds), provisional"),
        (ours(98.2, seeds=1, se_episodes=0.3), LENT, "inconclusive (2 more seeds to see their spread), provisional"),
        (ours(98.2, seeds=2, se_episodes=0.3), None, "inconclusive (1 more seed to see their spread), provisional"),
        (ours(98.2, se_episodes=0.3), LENT, "inconclusive (more seeds to see their spread)"),
    ],
)  # fmt: skip
def test_an_inconclusive_verdict_states_what_would_settle_it(measured: Measured, spread: SeedSpread | None, said: str) -> None:
    assert say(measured, EXACT, spread=spread) == said


def test_an_unknown_spread_allows_no_conclusion() -> None:
    assert decide(ours(90.0, seeds=1), EXACT, 0.5, None) is None


@pytest.mark.parametrize(("seeds", "said"), [(1, "reproduced, provisional"), (2, "reproduced, provisional"), (3, "reproduced")])
def test_under_three_seeds_a_verdict_is_provisional(seeds: int, said: str) -> None:
    assert say(ours(98.0, seeds=seeds), EXACT) == said


@pytest.mark.parametrize(
    ("episodes", "said"), [(99, "too few episodes (99 test episodes; a verdict needs 100)"), (100, "reproduced")]
)
def test_few_episodes_allow_no_verdict(episodes: int, said: str) -> None:
    """All of them answered rightly would have no error at all."""
    assert say(dataclasses.replace(ours(98.0, se_episodes=0.0), episodes=episodes), EXACT) == said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"measured": None}, "pending"),
        ({"measured": None, "diverged": 2}, "diverged (2 of 3 seeds diverged)"),
        ({"printed": None}, "no published number"),
        ({"margin": None}, "no margin for such cells"),
        ({"material": ["way 5", "filters 8"]}, "not comparable (way 5; filters 8)"),
        ({"short": ["steps 5"]}, "short run (steps 5)"),
        ({"material": ["way 5"], "short": ["steps 5"]}, "not comparable (way 5)"),
        ({"printed": None, "diverged": 1}, "no published number; 1 of 3 seeds diverged"),
        ({"diverged": 1}, "reproduced; 1 of 3 seeds diverged"),
    ],
)
def test_verdicts_without_statistics(arguments: dict[str, object], said: str) -> None:
    plain = {"measured": ours(98.0), "printed": EXACT, **arguments}
    assert say(plain.pop("measured"), plain.pop("printed"), **plain) == said  # type: ignore[arg-type]


@given(measureds, printeds, margins, spreads, st.floats(0, 20))
def test_a_higher_accuracy_never_has_a_lower_verdict(
    measured: Measured, printed: Printed, margin: float, spread: SeedSpread, more: float
) -> None:
    """A spread of 0.2 logits moves with the accuracy more slowly than the accuracy itself."""
    higher = dataclasses.replace(measured, accuracy=min(measured.accuracy + more, 100.0))
    assert ORDER[decide(measured, printed, margin, spread)] <= ORDER[decide(higher, printed, margin, spread)]


@given(measureds, printeds, margins, spreads)
def test_a_settled_verdict_keeps_its_interval_on_its_side_of_the_margin(
    measured: Measured, printed: Printed, margin: float, spread: SeedSpread
) -> None:
    low, high = interval(measured, printed, spread)
    sides = {"reproduced": -margin <= low and high <= margin, "above": low > margin, "below": high < -margin}
    settled = decide(measured, printed, margin, spread)
    assert [name for name, holds in sides.items() if holds] == ([settled] if settled else [])


@given(measureds, alone, margins, spreads)
def test_swapping_right_and_wrong_swaps_above_and_below(
    measured: Measured, printed: Printed, margin: float, spread: SeedSpread
) -> None:
    """Mirrored at 50%, right and wrong answers change places, and with them `above` and `below`."""
    turned = {"above": "below", "below": "above"}
    here = decide(measured, printed, margin, spread)
    mirrored = dataclasses.replace(measured, accuracy=100 - measured.accuracy)
    there = decide(mirrored, dataclasses.replace(printed, accuracy=100 - printed.accuracy), margin, spread)
    difference = abs(measured.accuracy - printed.accuracy)
    assume(abs(abs(difference - half_width(measured, printed, spread)) - margin) > 1e-9)
    assume(abs(difference + half_width(measured, printed, spread) - margin) > 1e-9)
    assert there == turned.get(here or "", here)


@given(measureds, printeds, spreads, st.integers(1, 50))
def test_more_seeds_narrow_the_interval_down_to_what_seeds_cannot_change(
    measured: Measured, printed: Printed, spread: SeedSpread, more: int
) -> None:
    now, later = half_width(measured, printed, spread), half_width(measured, printed, spread, more)
    floor = Z_95 * math.sqrt(measured.se_episodes**2 + sum(error.variance for error in printed.errors()))
    assert floor * (1 - 1e-9) <= later <= now * (1 + 1e-9)


@given(measureds, printeds, margins, spreads, st.floats(1, 20), st.floats(0, 2))
def test_wider_errors_never_settle_an_open_verdict(
    measured: Measured, printed: Printed, margin: float, spread: SeedSpread, wider: float, more: float
) -> None:
    assume(decide(measured, printed, margin, spread) is None)
    assert decide(measured, printed, margin, dataclasses.replace(spread, logits=spread.logits * wider)) is None
    assert decide(measured, printed, margin, dataclasses.replace(spread, freedom=spread.freedom / wider)) is None
    assert decide(dataclasses.replace(measured, se_episodes=measured.se_episodes + more), printed, margin, spread) is None
    theirs = {
        name: value + more
        for name, value in (("ci95", printed.ci95), ("se_episodes", printed.se_episodes), ("std_seeds", printed.std_seeds))
        if value is not None
    }
    assert decide(measured, dataclasses.replace(printed, **theirs), margin, spread) is None


@given(measureds, printeds, margins, spreads)
def test_the_number_of_further_seeds_is_the_least_that_settles(
    measured: Measured, printed: Printed, margin: float, spread: SeedSpread
) -> None:
    assume(decide(measured, printed, margin, spread) is None)
    more = seeds_to_settle(measured, printed, margin, spread)
    if more is None:
        assert decide(measured, printed, margin, spread, 10**9) is None
        return
    assume(more < 10**6)  # beyond, rounding decides
    assert decide(measured, printed, margin, spread, more + 1) is not None
    assert more == 1 or decide(measured, printed, margin, spread, more - 1) is None


@given(measureds, printeds, spreads)
def test_seeds_never_count_as_further_episodes(measured: Measured, printed: Printed, spread: SeedSpread) -> None:
    """Frozen episodes are shared: a thousand seeds leave the episodes' own error as it is."""
    assert half_width(measured, printed, spread, 10**6) >= Z_95 * measured.se_episodes
