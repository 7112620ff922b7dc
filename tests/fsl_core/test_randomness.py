"""Streams of numbers: those of SplitMix64, different for every seed, name, step and position."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from fsl_core.randomness import Stream, mix, standard_normal, uniform, word_at, words
from tests.fsl_core.splitmix import key_of, nth, signed

INT64 = st.integers(-(2**63), 2**63 - 1)
MILLION = 1_000_000


def test_the_words_equal_those_of_other_implementations() -> None:
    """The first five of seed 1234567, as published with many of them."""
    published = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431, 16408922859458223821]
    assert [value % 2**64 for value in words(1234567, (5,)).tolist()] == published
    assert [nth(1234567, position) for position in range(5)] == published


@given(key=INT64, step=st.integers(0, 2**62), rows=st.integers(1, 3), columns=st.integers(1, 4))
def test_words_and_steps_agree_with_plain_integers(key: int, step: int, rows: int, columns: int) -> None:
    assert word_at(key, step).item() == signed(nth(key, step))
    expected = [[signed(nth(key, row * columns + column)) for column in range(columns)] for row in range(rows)]
    assert words(key, (rows, columns)).tolist() == expected
    assert words(torch.tensor(key), (rows, columns)).tolist() == expected
    for row in range(rows):
        assert words(key, (rows - row, columns), first_row=row).tolist() == expected[row:]


@given(seed=st.integers(0, 2**63 - 1), name=st.text(max_size=20), step=st.integers(0, 2**40))
def test_a_step_that_is_a_tensor_is_the_same_step(seed: int, name: str, step: int) -> None:
    stream, place = Stream(seed, name), torch.tensor(step)
    assert stream.key == signed(key_of(seed, name))
    assert word_at(stream.key, place).equal(word_at(stream.key, step))
    assert place.item() == step


def test_mix_leaves_its_argument_unchanged() -> None:
    values = torch.arange(-2, 3)
    mix(values)
    assert values.tolist() == [-2, -1, 0, 1, 2]


def test_a_million_steps_of_several_streams_have_different_words() -> None:
    """Of four million words of 64 bits two are equal by chance once in two million such tests."""
    steps = torch.arange(MILLION)
    streams = [
        Stream(0, "select/episodes"),
        Stream(1, "select/episodes"),
        Stream(2**62, "select/episodes"),
        Stream(0, "validation"),
    ]
    assert len(torch.cat([word_at(stream.key, steps) for stream in streams]).unique()) == 4 * MILLION


def test_words_of_one_key_never_tie() -> None:
    assert len(words(Stream(0, "any").key, (1000, 1000)).unique()) == MILLION


@pytest.mark.parametrize("bit", [0, 31, 32, 33, 47, 62])
def test_every_bit_of_a_seed_counts(bit: int) -> None:
    assert Stream(5, "weights").key != Stream(5 ^ (1 << bit), "weights").key


def test_a_part_of_a_stream_is_a_stream_of_its_own() -> None:
    stream = Stream(3, "select/weights")
    assert stream.within("head.weight") == Stream(3, "select/weights/head.weight")
    assert len({stream.key, stream.within("a").key, stream.within("b").key}) == 3


@given(key=INT64)
def test_uniform_values_are_the_upper_53_bits(key: int) -> None:
    values = uniform(key, (2, 3))
    assert values.dtype == torch.float64
    assert values.flatten().tolist() == [(nth(key, position) >> 11) / 2**53 for position in range(6)]


def test_uniform_values_are_uniform() -> None:
    values = uniform(Stream(0, "uniform").key, (100_000,)).numpy()
    assert values.min() >= 0 and values.max() < 1
    assert stats.kstest(values, "uniform").pvalue > 0.001


@given(key=INT64)
def test_normal_values_are_quantiles_of_the_upper_52_bits(key: int) -> None:
    centres = [((nth(key, position) >> 12) + 0.5) / 2**52 for position in range(3)]
    assert standard_normal(key, (3,)).tolist() == pytest.approx(stats.norm.ppf(centres).tolist(), rel=1e-9)


def test_normal_values_are_normal_and_finite_at_the_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    values = standard_normal(Stream(0, "normal").key, (100_000,))
    assert stats.kstest(values.numpy(), "norm").pvalue > 0.001
    ends = torch.tensor([0, -1])  # no bit set, and all of them
    monkeypatch.setattr("fsl_core.randomness.words", lambda key, shape: ends)
    lowest, highest = standard_normal(0, (2,)).tolist()
    assert math.isfinite(lowest) and lowest == pytest.approx(-highest) and highest > 8
