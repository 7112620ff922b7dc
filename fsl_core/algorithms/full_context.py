"""Full context embeddings: each embedding sees the whole support. Vinyals et al. 2016, section 2.1.2 and appendix A."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import torch

from fsl_core.backbones.initialisation import initial_values, uniform_within
from fsl_core.backbones.weights import Weights
from fsl_core.randomness import Stream

_LSTM = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
_SUPPORT = tuple(f"support_lstm.{name}{direction}" for direction in ("", "_reverse") for name in _LSTM)
_QUERY = tuple(f"query_cell.{name}" for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))


@dataclass(frozen=True)
class FullContextEmbeddings:
    """``g``: a bidirectional LSTM over the support; ``f``: an LSTM that reads the support K times with attention.

    With ``g'`` and ``f'`` the backbone's embeddings, of D features (appendix A.2 and A.1):

    - ``g(x_i, S) = h_i forwards + h_i backwards + g'(x_i)``;
    - ``h^_k, c_k = LSTM(f'(x), [h_{k-1}, r_{k-1}], c_{k-1})``, ``h_k = h^_k + f'(x)``,
      ``r_k = sum_i softmax_i(h_k . g(x_i)) g(x_i)``, and ``f(x, S) = h_K``; ``h^_0`` and ``c_0`` are zero, so ``h_0 = f'(x)``.

    Its methods take one set of weights, which are initialised uniformly within 1 / sqrt(D).
    """

    features: int
    reading_steps: int

    def initial_weights(self, stream: Stream) -> Weights:
        """The initial weights of both LSTMs, without a group axis."""
        size, gates = self.features, 4 * self.features
        # The paper concatenates the read-out to the state, [h, r]. The gates are linear in state and input, so feeding it beside f'(x)
        # gives the same function. The 2018 reproduction adds it to the state instead.
        support = dict(zip(_SUPPORT, [(gates, size), (gates, size), (gates,), (gates,)] * 2, strict=True))
        query = dict(zip(_QUERY, [(gates, 2 * size), (gates, size), (gates,), (gates,)], strict=True))
        return initial_values(support | query, stream, partial(uniform_within, 1 / math.sqrt(size)))

    def embed_support(self, weights: Mapping[str, torch.Tensor], support: torch.Tensor) -> torch.Tensor:
        """``g``: backbone embeddings ``[E, S, D]`` in reading order to ``[E, S, D]`` in the same order."""
        parameters = [weights[name] for name in _SUPPORT]
        first = support.new_zeros(2, len(support), self.features)
        differentiated = torch.is_grad_enabled()  # cuDNN differentiates only an LSTM that ran in training mode
        states = torch.lstm(support, (first, first), parameters, True, 1, 0.0, differentiated, True, True)[0]
        forwards, backwards = states.chunk(2, dim=2)
        return forwards + backwards + support

    def embed_query(self, weights: Mapping[str, torch.Tensor], query: torch.Tensor, support: torch.Tensor) -> torch.Tensor:
        """``f``: backbone embeddings ``[E, Q, D]`` and :meth:`embed_support`'s ``[E, S, D]``, to ``[E, Q, D]``."""
        # Paper: no initial state is given. Before any output of the LSTM, its equation for h_k gives h_0 = f'(x), so the first of the K
        # reads attends with the query itself. The 2018 reproduction starts the same way.
        inputs, features = query.flatten(0, 1), query.shape[2]
        state, cell = inputs, torch.zeros_like(inputs)
        for _ in range(self.reading_steps):
            attention = torch.softmax(state.reshape(query.shape) @ support.transpose(1, 2), dim=2)
            read = (attention @ support).reshape(-1, features)
            output, cell = torch.lstm_cell(torch.cat([inputs, read], dim=1), (state, cell), *(weights[name] for name in _QUERY))
            state = output + inputs
        return state.reshape(query.shape)
