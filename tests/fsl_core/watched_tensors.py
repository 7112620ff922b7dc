"""Watches the operations of torch inside a block: how large their results are, and which make the host wait."""

from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode


class LargestTensor(TorchDispatchMode):
    """Notes how many elements the largest tensor has that any operation gives."""

    elements = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for part in out if isinstance(out, tuple | list) else [out]:
            self.elements = max(self.elements, part.numel() if isinstance(part, torch.Tensor) else 0)
        return out


class ReadsOfTheDevice(TorchDispatchMode):
    """Notes every operation that makes the host wait for a value."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = str(func)
        if any(part in name for part in ("_local_scalar_dense", "nonzero", "masked_select", "unique", "_to_copy")):
            self.seen.append(name)
        return func(*args, **(kwargs or {}))


class CountedOperations(TorchDispatchMode):
    """Counts the operations whose name has ``part`` in it."""

    def __init__(self, part: str) -> None:
        super().__init__()
        self.part = part
        self.number = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.number += self.part in str(func)
        return func(*args, **(kwargs or {}))
