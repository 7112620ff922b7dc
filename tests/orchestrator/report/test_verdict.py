"""Verdicts: closed forms by hand, and what must hold for all numbers."""

import dataclasses
import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fsl_core.statistics import Z_95
from orchestrator.report.verdict import Measured, Printed, decide, interval, seeds_to_settle, verdict

ORDER = {"below": 0, None: 1, "reproduced": 1, "above": 2}

accuracies = st.floats(80, 100)
errors = st.floats(0.001, 2)
printeds = st.builds(Printed, accuracy=accuracies, ci95=st.none() | st.floats(0.01, 2), decimals=st.integers(0, 2))
measureds = st.builds(Measured, accuracy=accuracies, seeds=st.integers(2, 9), se_episodes=errors, std_seeds=errors)
margins = st.floats(0.1, 3)


def ours(accuracy: float, *, seeds: int = 3, se_episodes: float = 0.0, std_seeds: float | None = 0.0) -> Measured:
    return Measured(accuracy=accuracy, seeds=seeds, se_episodes=se_episodes, std_seeds=std_seeds if seeds > 1 else None)


def say(measured: Measured | None, printed: Printed | None, margin: float | None = 0.5, **more: object) -> str:
    return str(verdict(measured, printed, margin=margin, wanted=3, **more))  # type: ignore[arg-type]


EXACT = Printed(accuracy=98.0, ci95=None, decimals=4)


def test_errors_of_both_sides_by_hand() -> None:
    """Three seeds of std 0.3 and episodes of 0.1, against 98.8 ± 0.4: variances 0.03, 0.01 and (0.4 / 1.96)² = 0.04165.

    Their sum is 2.7217 times the seeds', which have 2 degrees of freedom: 2 · 2.7217² = 14.815 (t of 14 is 2.1448, of 15 2.1314).
    """
    low, high = interval(ours(98.5, se_episodes=0.1, std_seeds=0.3), Printed(accuracy=98.8, ci95=0.4, decimals=1))
    half = 2.1338 * math.sqrt(0.3**2 / 3 + 0.1**2 + (0.4 / 1.959964) ** 2)
    assert (low, high) == (pytest.approx(-0.3 - half, abs=1e-4), pytest.approx(-0.3 + half, abs=1e-4))


@pytest.mark.parametrize(("seeds", "quantile"), [(2, 12.7062), (3, 4.30265), (5, 2.77645), (31, 2.04227)])
def test_a_spread_over_seeds_alone_has_the_interval_of_students_table(seeds: int, quantile: float) -> None:
    low, high = interval(ours(98.0, seeds=seeds, std_seeds=1.0), Printed(accuracy=98.0, ci95=None, decimals=9))
    assert (-low, high) == (pytest.approx(quantile / math.sqrt(seeds), rel=1e-5),) * 2


def test_without_a_spread_over_seeds_the_interval_is_the_normal_one() -> None:
    for measured in (ours(98.0, seeds=1, se_episodes=0.5), ours(98.0, se_episodes=0.5, std_seeds=0.0)):
        assert interval(measured, Printed(accuracy=98.0, ci95=None, decimals=9))[1] == pytest.approx(1.959964 * 0.5, rel=1e-6)


@pytest.mark.parametrize(("decimals", "error"), [(0, 0.288675), (1, 0.0288675), (2, 0.00288675)])
def test_a_number_without_an_interval_has_the_error_of_its_rounding(decimals: int, error: float) -> None:
    assert Printed(accuracy=98.0, ci95=None, decimals=decimals).standard_error == pytest.approx(error, rel=1e-5)


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
    ("measured", "said"),
    [
        (ours(98.0, se_episodes=0.26), "inconclusive (seeds alone will not settle it)"),
        # t² · (0.9² / n + 0.1²) ≤ 0.3²: at n = 61, t of 184 is 1.973: 0.0906; at n = 62, t of 190 is 1.9725: 0.0897
        (ours(98.2, se_episodes=0.1, std_seeds=0.9), "inconclusive (~59 more seeds)"),
        # t · 0.3 / √n ≤ 0.3: at n = 6, t of 5 is 2.571: 1.05; at n = 7, t of 6 is 2.447: 0.925
        (ours(98.2, std_seeds=0.3), "inconclusive (~4 more seeds)"),
        (ours(98.2, seeds=6, std_seeds=0.3), "inconclusive (~1 more seed)"),
        (ours(98.45, std_seeds=1.0), "inconclusive (more than 100 more seeds)"),
        (ours(98.5, std_seeds=0.3), "inconclusive (seeds alone will not settle it)"),  # on the margin's edge
        (ours(98.2, seeds=2, std_seeds=0.3), "inconclusive (~5 more seeds), provisional"),
        (ours(98.2, seeds=1, se_episodes=0.3), "inconclusive (2 more seeds to see their spread), provisional"),
    ],
)
def test_an_open_verdict_says_what_would_settle_it(measured: Measured, said: str) -> None:
    assert say(measured, EXACT) == said


@pytest.mark.parametrize(("seeds", "said"), [(1, "reproduced, provisional"), (2, "reproduced, provisional"), (3, "reproduced")])
def test_under_three_seeds_a_verdict_is_provisional(seeds: int, said: str) -> None:
    assert say(ours(98.0, seeds=seeds), EXACT) == said


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
def test_what_comes_before_any_statistics(arguments: dict[str, object], said: str) -> None:
    plain = {"measured": ours(98.0), "printed": EXACT, **arguments}
    assert say(plain.pop("measured"), plain.pop("printed"), **plain) == said  # type: ignore[arg-type]


@given(measureds, printeds, margins, st.floats(0, 20))
def test_a_higher_accuracy_never_has_a_lower_verdict(measured: Measured, printed: Printed, margin: float, more: float) -> None:
    higher = dataclasses.replace(measured, accuracy=measured.accuracy + more)
    assert ORDER[decide(measured, printed, margin)] <= ORDER[decide(higher, printed, margin)]


@given(measureds, printeds, margins)
def test_a_settled_verdict_keeps_its_interval_on_its_side_of_the_margin(
    measured: Measured, printed: Printed, margin: float
) -> None:
    low, high = interval(measured, printed)
    sides = {"reproduced": -margin <= low and high <= margin, "above": low > margin, "below": high < -margin}
    settled = decide(measured, printed, margin)
    assert [name for name, holds in sides.items() if holds] == ([settled] if settled else [])


@given(measureds, printeds, st.integers(1, 50))
def test_more_seeds_narrow_the_interval_down_to_the_episodes_part(measured: Measured, printed: Printed, more: int) -> None:
    now, later = interval(measured, printed), interval(measured, printed, measured.seeds + more)
    floor = 2 * Z_95 * math.hypot(measured.se_episodes, printed.standard_error)
    assert now[0] <= later[0] <= later[1] <= now[1]
    assert later[1] - later[0] >= floor * (1 - 1e-9)


@given(measureds, printeds, margins, st.floats(0.001, 2))
def test_a_wider_spread_never_settles_what_was_open(measured: Measured, printed: Printed, margin: float, wider: float) -> None:
    assume(decide(measured, printed, margin) is None)
    assert measured.std_seeds is not None
    spread = dataclasses.replace(measured, std_seeds=measured.std_seeds + wider)
    assert decide(spread, printed, margin) is None


@given(measureds, printeds, margins)
def test_the_number_of_further_seeds_is_the_least_that_settles(measured: Measured, printed: Printed, margin: float) -> None:
    assume(decide(measured, printed, margin) is None)
    more = seeds_to_settle(measured, printed, margin)
    if more is None:
        assert decide(measured, printed, margin, 10**9) is None
        return
    assume(more < 10**6)  # beyond, rounding decides
    assert decide(measured, printed, margin, measured.seeds + more + 1) is not None
    assert more == 1 or decide(measured, printed, margin, measured.seeds + more - 1) is None


@given(measureds, printeds)
def test_seeds_never_count_as_further_episodes(measured: Measured, printed: Printed) -> None:
    """Frozen episodes are shared: a thousand seeds leave the episodes' own error as it is."""
    assert measured.standard_error(10**6) >= measured.se_episodes
