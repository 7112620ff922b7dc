"""Full context embeddings as in commit 3b468da, word for word but for the first weights, which are torch's, and ``h_0``."""

from __future__ import annotations

import torch
from torch import nn


class FullContextEmbeddings(nn.Module):
    """``g``, a bidirectional LSTM over the support, and ``f``, an LSTM that reads the support with attention, K times.

    With ``g'`` and ``f'`` the backbone's embeddings, of D features (appendix A.2 and A.1):

    - ``g(x_i, S) = h_i forwards + h_i backwards + g'(x_i)``;
    - ``h^_k, c_k = LSTM(f'(x), [h_{k-1}, r_{k-1}], c_{k-1})``, ``h_k = h^_k + f'(x)``,
      ``r_k = sum_i softmax_i(h_k . g(x_i)) g(x_i)``, and ``f(x, S) = h_K``.
    """

    def __init__(self, features: int, *, reading_steps: int) -> None:
        super().__init__()
        self.reading_steps = reading_steps
        self.support_lstm = nn.LSTM(features, features, bidirectional=True, batch_first=True)
        # The paper concatenates the read-out to the state, [h, r]. The gates are linear in state and input, so that feeding it beside
        # f'(x) is the same function. The 2018 reproduction adds it to the state instead.
        self.query_cell = nn.LSTMCell(2 * features, features)

    def embed_support(self, support: torch.Tensor) -> torch.Tensor:
        """``g``: backbone embeddings ``[E, S, D]`` in the order they are read in, to ``[E, S, D]`` in the same order."""
        states: torch.Tensor = self.support_lstm(support)[0]
        forwards, backwards = states.chunk(2, dim=2)
        return forwards + backwards + support

    def embed_query(self, query: torch.Tensor, support: torch.Tensor) -> torch.Tensor:
        """``f``: backbone embeddings ``[E, Q, D]`` and :meth:`embed_support`'s ``[E, S, D]``, to ``[E, Q, D]``."""
        # The commit began at h_0 = 0. The recipes' second edition begins at f'(x): so does this, to compute what ours computes.
        inputs, features = query.flatten(0, 1), query.shape[2]
        state, cell = inputs, torch.zeros_like(inputs)
        for _ in range(self.reading_steps):
            attention = torch.softmax(state.reshape(query.shape) @ support.transpose(1, 2), dim=2)
            read = (attention @ support).reshape(-1, features)
            output, cell = self.query_cell(torch.cat([inputs, read], dim=1), (state, cell))
            state = output + inputs
        return state.reshape(query.shape)
