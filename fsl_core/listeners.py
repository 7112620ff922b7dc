"""What listens to work that takes a while. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable

Notice = Callable[[str], None]
"""Receives a sentence for the user."""
Advance = Callable[[int, int], None]
"""Receives the number of images, or other parts, that are done and the total."""
