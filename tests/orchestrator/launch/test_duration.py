"""Durations in words: one spelling, in order of size, and wrong by no more than its rounding."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.launch.duration import duration_text, range_text, two_digits
from orchestrator.launch.span import Span

UNITS = {"s": 1, "min": 60, "h": 3600, "days": 86_400, "years": 365 * 86_400}
DURATIONS = st.one_of(
    st.floats(0, 200),
    st.floats(0, 1e4),
    st.floats(0, 1e6),
    st.floats(0, 1e10),
    st.sampled_from([100.0, 6e3, 172_800.0, 63_072e3]),
)


def read(text: str) -> float:
    """The seconds that a duration in words says."""
    number, unit = text.split()
    return float(number.replace(",", "")) * UNITS[unit]


@given(DURATIONS, DURATIONS)
def test_a_longer_duration_is_never_written_as_a_shorter_one(first: float, second: float) -> None:
    shorter, longer = sorted((first, second))
    assert read(duration_text(shorter)) <= read(duration_text(longer))


@given(DURATIONS)
def test_a_duration_is_within_half_of_its_second_digit(seconds: float) -> None:
    off = abs(read(duration_text(seconds)) - seconds)
    assert off <= 0.05 * max(seconds, 1) * 1.0001
    assert seconds < 0.1 or duration_text(seconds).split()[0] != "0"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0 s"), (8, "8.0 s"), (59.6, "60 s"), (130, "2.2 min"), (3899, "65 min"), (90_000, "25 h"), (3 * 86_400, "3.0 days")],
)
def test_durations_have_two_digits_and_one_unit(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        ((35 * 86400, 54.2 * 86400, 80 * 86400), "about 54 days, 35 to 80"),
        ((0, 0, 0), "about 0 s"),
        ((30, 42.4, 99), "about 42 s, 30 to 99"),
        ((100, 130, 240), "about 2.2 min, 1.7 to 4.0"),
        ((3600, 7200, 86400), "about 2.0 h, 1.0 to 24"),
        ((1e9, 2e9, 4e10), "about 63 years, 32 to 1,300"),
        ((86400, 3 * 86400, 400 * 86400), "about 3.0 days, 1.0 to 400"),
    ],
)
def test_a_range_is_in_the_unit_of_what_is_likely(seconds: tuple[float, float, float], text: str) -> None:
    low, likely, high = seconds
    assert range_text(Span(low=low, likely=likely, high=high)) == text


def test_two_digits() -> None:
    assert [two_digits(number) for number in (0, 0.04, 0.5, 0.96, 9.96, 99.6, 1978)] == [
        "0",
        "0",
        "0.5",
        "1.0",
        "10",
        "100",
        "2,000",
    ]
