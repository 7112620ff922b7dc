"""The error of a number's own episodes, from the spread that ours show, for other numbers of episodes and queries."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import betabinom

from orchestrator.report.episode_spread import EpisodeSpread, answer_variance, measured_spread, widest_variance


@given(st.floats(5, 95), st.floats(0, 0.9), st.integers(2, 400), st.integers(2, 10_000))
def test_a_spread_reproduces_the_error_of_its_own_episodes(
    accuracy: float, correlation: float, answers: int, episodes: int
) -> None:
    """A spread that was measured on episodes of a size says of a test of that size what was measured."""
    variance = answer_variance(accuracy)
    error = EpisodeSpread(correlation).standard_error(variance, episodes=episodes, answers=answers)
    found = measured_spread(accuracy, error * math.sqrt(episodes), answers)
    assert found.correlation == pytest.approx(correlation, abs=1e-9)


@pytest.mark.parametrize("answers", [1, 5, 25, 75, 300])
@pytest.mark.parametrize("accuracy", [0.5, 0.9, 0.99])
def test_the_error_is_that_of_beta_binomial_episodes(accuracy: float, answers: int) -> None:
    """Two answers of a beta-binomial episode have the correlation 1 / (a + b + 1)."""
    weight = 1 / 0.03 - 1
    episode = betabinom(answers, accuracy * weight, (1 - accuracy) * weight).std() / answers
    error = EpisodeSpread(0.03).standard_error(answer_variance(100 * accuracy), episodes=100, answers=answers)
    assert error == pytest.approx(100 * episode / 10)


def test_independent_answers_have_the_binomial_error() -> None:
    """The 2018 article's 100 episodes of 5 answers at 98.2%: √(0.982 · 0.018 / 500) = 0.595 points."""
    error = EpisodeSpread(0.0).standard_error(answer_variance(98.2), episodes=100, answers=5)
    assert error == pytest.approx(0.5946, abs=1e-4)
    assert measured_spread(98.2, error * 10 * 0.5, 5) == EpisodeSpread(0.0)  # narrower than chance: never negative


def test_one_answer_an_episode_has_no_correlation() -> None:
    assert measured_spread(50.0, 50.0, 1) == EpisodeSpread(0.0)


@given(st.floats(0, 100), st.floats(0, 100))
def test_both_numbers_have_the_larger_variance(ours: float, theirs: float) -> None:
    wide = widest_variance(ours, theirs)
    assert wide == widest_variance(theirs, ours)
    assert wide >= answer_variance(ours) > 0


@given(st.floats(0, 0.5), st.integers(1, 300), st.integers(1, 1000))
def test_more_episodes_and_more_answers_never_widen_the_error(correlation: float, answers: int, episodes: int) -> None:
    spread = EpisodeSpread(correlation)
    error = spread.standard_error(0.09, episodes=episodes, answers=answers)
    assert spread.standard_error(0.09, episodes=episodes + 1, answers=answers) < error
    assert spread.standard_error(0.09, episodes=episodes, answers=answers + 1) <= error * (1 + 1e-12)


def test_the_spread_of_sampled_episodes_is_recovered() -> None:
    random = np.random.default_rng(0)
    shares = random.binomial(75, random.beta(0.9 * 19, 0.1 * 19, 20_000)) / 75 * 100
    assert measured_spread(float(shares.mean()), float(shares.std(ddof=1)), 75).correlation == pytest.approx(0.05, abs=0.003)
