"""When the compilation of a training's steps pays. Imports no torch."""

SECONDS_THAT_REPAY_COMPILING = 120.0
"""Of a training that is not compiled: a compiled step takes about half the time, and compiling about a minute (docs/performance.md)."""


def repays_compiling(training_seconds: float) -> bool:
    """Whether compiling may shorten a training that otherwise takes so long."""
    return training_seconds >= SECONDS_THAT_REPAY_COMPILING
