"""Named streams of random numbers, each a pure function of (seed, name, step, position): integers alone, the same on every device.

The numbers are those of SplitMix64: a 64-bit counter times an odd constant, finished by a bijective mix. Samples have no state: step
400 does not depend on steps 0 to 399, and a trial's position in its streams is its step number alone. Nothing waits for the device:
a step may be a tensor there.

Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014; the finaliser is David Stafford's Mix13.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from functools import cached_property

import torch


def _signed(word: int) -> int:
    """The int64 that has the same 64 bits."""
    return word - 2**64 if word >= 2**63 else word


_GOLDEN = _signed(0x9E3779B97F4A7C15)  # odd, so that its multiples are distinct in 64 bits
_FIRST_FACTOR, _SECOND_FACTOR = _signed(0xBF58476D1CE4E5B9), _signed(0x94D049BB133111EB)
_FLOAT64_BITS = 53


@dataclass(frozen=True)
class Stream:
    """A stream of one seed, independent of streams with other names or seeds. Every bit of the seed counts."""

    seed: int
    name: str

    @cached_property
    def key(self) -> int:
        """The int64 that determines the stream's numbers."""
        digest = hashlib.sha256(f"{self.seed}/{self.name}".encode()).digest()
        return int.from_bytes(digest[:8], "little", signed=True)

    def within(self, part: str) -> Stream:
        """The stream of a part, such as one layer's weights; it does not depend on other parts."""
        return Stream(self.seed, f"{self.name}/{part}")


def mix(words: torch.Tensor) -> torch.Tensor:
    """A bijection of the 64-bit words of an int64 tensor that removes every pattern of a counter."""
    words = (words ^ _shifted(words, 30)).mul_(_FIRST_FACTOR)
    words.bitwise_xor_(_shifted(words, 27)).mul_(_SECOND_FACTOR)
    return words.bitwise_xor_(_shifted(words, 31))


def _shifted(words: torch.Tensor, bits: int) -> torch.Tensor:
    """The logical shift to the right; int64's own repeats the sign."""
    return (words >> bits).bitwise_and_((1 << (64 - bits)) - 1)


def word_at(key: int | torch.Tensor, step: int | torch.Tensor) -> torch.Tensor:
    """The word of a step: int64 like ``step``, on its device; all steps of one key have different words."""
    return mix(torch.as_tensor(step, dtype=torch.int64).add(1).mul_(_GOLDEN).add_(key))


def words(
    key: int | torch.Tensor, shape: tuple[int, ...], *, first_row: int = 0, device: torch.device | str = "cpu"
) -> torch.Tensor:
    """The words of a key's positions, in row-major order: distinct int64 values ``shape`` on ``device``.

    A tensor ``key`` has one element. The rows equal those from ``first_row`` on of any larger shape with the same trailing sizes.
    """
    count = math.prod(shape)
    before = first_row * (count // shape[0])
    positions = torch.arange(before + 1, before + count + 1, device=device)
    return mix(positions.mul_(_GOLDEN).add_(key)).reshape(shape)


def uniform(key: int | torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
    """Uniform float64 values ``shape`` in [0, 1): multiples of 2^-53."""
    return _fractions(words(key, shape))


def uniform_of_each(own: torch.Tensor, name: str, shape: tuple[int, ...]) -> torch.Tensor:
    """Uniform float64 values ``[G, *shape]`` in [0, 1), a function of each of the ``G`` int64 words ``own`` and of a name."""
    keys = mix(own + Stream(0, name).key)
    positions = torch.arange(1, math.prod(shape) + 1, device=own.device).mul_(_GOLDEN)
    return _fractions(mix(keys.unsqueeze(1) + positions)).reshape(len(own), *shape)


def _fractions(words: torch.Tensor) -> torch.Tensor:
    """Words as multiples of 2^-53 in [0, 1): float64."""
    return _shifted(words, 64 - _FLOAT64_BITS).double().mul_(2.0**-_FLOAT64_BITS)


def standard_normal(key: int | torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
    """Normal float64 values ``shape`` of mean 0 and standard deviation 1, by the inverse of the distribution function."""
    centres = _shifted(words(key, shape), 65 - _FLOAT64_BITS).double().add_(0.5)  # 52 bits and a half: exact, never 0 nor 1
    values: torch.Tensor = torch.special.ndtri(centres.mul_(2.0 ** (1 - _FLOAT64_BITS)))
    return values
