"""ANIL. Raghu, Raghu, Bengio and Vinyals, "Rapid Learning or Feature Reuse?", ICLR 2020 (arXiv 1909.09157), one episode after another.

Section 4: the inner loop updates the head alone, ``theta_l <- theta_l - alpha * grad_{theta_l} L_support``, and every other layer stays
as it is; the outer loop is that of MAML. Each step of adaptation passes the whole network again, as MAML's does.
"""

from __future__ import annotations

import torch

from tests.fsl_core.plain_loop.maml import Maml


class Anil(Maml):
    """MAML whose inner loop has the head's weights alone; its settings are those of ANIL."""

    def adaptable_weights(self) -> dict[str, torch.Tensor]:
        """The weights and the bias of the last layer."""
        return {name: weight for name, weight in self.network.named_parameters() if name.startswith("1.")}
