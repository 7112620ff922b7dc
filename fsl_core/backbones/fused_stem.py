"""The first block (convolution, BatchNorm, pooling, ReLU) as one operation on image patches that can be differentiated twice.

It never writes the derivative of the maps, the largest tensors of the network. The dense part of that derivative is an affine function
of the patches, so its contribution to the kernels' gradient follows from the patches' moments; the rest is as sparse as the pooled maps.
The images have no gradient.

The letters are those of :mod:`fsl_core.backbones.fused_norm`, and ``w`` the kernels ``[G, F, K]``, ``c`` the patches with mean ``a`` and
covariance ``C``. Where the scale is negative, kernel and scale change sign together: the block stays the same, and pooling can take the
largest value of each window.
Third derivatives are not supported.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from fsl_core.backbones.patches import Patches

_aten = torch.ops.aten


def fused_stem(
    patches: Patches, kernels: torch.Tensor, scale: torch.Tensor, shift: torch.Tensor, *, epsilon: float
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Convolve patches by ``kernels`` ``[G, F, K]``, normalise with ``scale`` and ``shift`` ``[G, F]``, pool windows, and rectify.

    Returns the result ``[G, B * rows * columns, F]``, and the mean and biased variance ``[G, F]`` of the convolution, without gradients.
    """
    out, mean, variance = _FusedStem.apply(kernels, scale, shift, patches, epsilon)
    return out, mean, variance


def _sum(values: torch.Tensor) -> torch.Tensor:
    """Sum over all places: ``[G, N, F]`` to ``[G, F]``."""
    return values.sum(dim=1)


def _largest(patches: Patches, kernels: torch.Tensor, scale: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """The largest response ``[G, N, F]`` of each window, and for each later place whether it beats those before it (1 or 0).

    If the scale is 0, all places are equal and the first is chosen.
    """
    alike = (scale == 0).unsqueeze(1)
    # On a CPU the check is free, and most scales are not 0; on CUDA it would make the host wait for the device.
    any_alike = scale.device.type != "cpu" or bool(alike.any())
    flipped, beats = kernels.transpose(1, 2), []
    largest = torch.bmm(patches.parts[0], flipped)
    for part in patches.parts[1:]:
        response = torch.bmm(part, flipped)
        if any_alike:
            response = torch.where(alike, largest, response)
        beats.append(torch.gt(response, largest, out=torch.empty_like(largest)))
        torch.maximum(largest, response, out=largest)
    return largest, beats


def _chosen(patches: Patches, kernels: torch.Tensor, beats: Sequence[torch.Tensor]) -> torch.Tensor:
    """``P``: the responses ``[G, N, F]`` to ``kernels`` at the chosen places."""
    flipped = kernels.transpose(1, 2)
    chosen = torch.bmm(patches.parts[0], flipped)
    for part, beat in zip(patches.parts[1:], beats, strict=True):
        chosen.lerp_(torch.bmm(part, flipped), beat)
    return chosen


def _summed_patches(patches: Patches, values: torch.Tensor, beats: Sequence[torch.Tensor]) -> torch.Tensor:
    """The sum of the chosen patches, each times its value ``[G, N, F]``: ``[G, F, K]``."""
    summed, left = None, values
    # Backwards: the last place that beats those before it is the chosen one.
    for part, beat in zip(patches.parts[:0:-1], beats[::-1], strict=True):
        own = left * beat
        left = left - own
        product = torch.bmm(own.transpose(1, 2), part)
        summed = product if summed is None else summed.add_(product)
    first = torch.bmm(left.transpose(1, 2), patches.parts[0])
    return first if summed is None else summed.add_(first)


class _FusedStem(torch.autograd.Function):
    @staticmethod
    def forward(
        context: Any, kernels: torch.Tensor, scale: torch.Tensor, shift: torch.Tensor, patches: Patches, epsilon: float
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        sign = (scale < 0).to(scale.dtype).mul_(-2).add_(1)  # computed on its device, without constants from the host
        w, g = kernels * sign.unsqueeze(2), scale * sign
        exact = w.double()
        w_covariance = torch.bmm(exact, patches.covariance)
        mean = (exact * patches.mean).sum(dim=2)
        variance = (w_covariance * exact).sum(dim=2).clamp(min=0)
        spread = torch.rsqrt(variance + epsilon).to(w.dtype)
        chosen, beats = _largest(patches, w, g)
        m, factor = mean.to(w.dtype), g * spread
        out = torch.addcmul((shift - m * factor).unsqueeze(1), chosen, factor.unsqueeze(1)).relu_()
        context.save_for_backward(kernels, scale, chosen, out, m, spread, w_covariance.to(w.dtype), sign, *beats)
        context.patches = patches
        own_mean, own_variance = (mean * sign).to(w.dtype), variance.to(w.dtype)
        context.mark_non_differentiable(own_mean, own_variance)
        return out, own_mean, own_variance

    @staticmethod
    def backward(context: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        derived = _FusedStemBackward.apply(gradients[0], context.patches, *context.saved_tensors)
        return (*derived, None, None)


class _FusedStemBackward(torch.autograd.Function):
    @staticmethod
    def forward(
        context: Any,
        gradient: torch.Tensor,
        patches: Patches,
        kernels: torch.Tensor,
        scale: torch.Tensor,
        chosen: torch.Tensor,
        out: torch.Tensor,
        mean: torch.Tensor,
        spread: torch.Tensor,
        w_covariance: torch.Tensor,
        sign: torch.Tensor,
        *beats: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """``grad w = g r (sum d P c - B a - S r w C)``; the other two as in :mod:`fsl_core.backbones.fused_norm`."""
        d = _aten.threshold_backward(gradient, out, 0)
        of_shift = _sum(d)
        of_scale = (_sum(d * chosen) - mean * of_shift) * spread
        sparse = _summed_patches(patches, d, beats)
        dense = of_shift.unsqueeze(2) * patches.mean.to(d.dtype) + (of_scale * spread).unsqueeze(2) * w_covariance
        of_w = (scale * sign * spread).unsqueeze(2) * (sparse - dense)
        context.save_for_backward(d, scale, chosen, out, mean, spread, w_covariance, sign, of_shift, of_scale, sparse, *beats)
        context.patches = patches
        return of_w * sign.unsqueeze(2), of_scale * sign, of_shift

    @staticmethod
    def backward(context: Any, *cotangents: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """As in :mod:`fsl_core.backbones.fused_norm`, where the field ``u`` is ``c U``, by the cotangent ``U`` of ``grad w``.

        So ``D / n = U a``, ``X / n = r U C w``, and the derivative for ``w`` is that for the maps times ``c``, summed over all places:
        ``r E sum d P c - g r^2 S (U C + (U a) a) + n c_x r w C + n c a``.
        """
        d, scale, chosen, out, mean, spread, w_covariance, sign, *sums = context.saved_tensors
        of_shift, of_scale, sparse, *beats = sums
        patches: Patches = context.patches
        u, s, t = cotangents[0] * sign.unsqueeze(2), cotangents[1] * sign, cotangents[2]
        a, factor = patches.mean.to(d.dtype), scale * sign * spread
        exact = u.double()
        u_covariance = torch.bmm(exact, patches.covariance).to(d.dtype)
        u_mean = (exact * patches.mean).sum(dim=2).to(d.dtype)
        u_along = spread * (u * w_covariance).sum(dim=2)
        u_chosen = _chosen(patches, u, beats)
        total = _sum(d * u_chosen) - of_shift * u_mean - of_scale * u_along
        extent = s - factor * u_along

        along = extent * spread
        constant = t - factor * u_mean - along * mean
        of_gradient = torch.addcmul(constant.unsqueeze(1), chosen, along.unsqueeze(1)).addcmul_(u_chosen, factor.unsqueeze(1))
        of_gradient = _aten.threshold_backward(of_gradient, out, 0)

        by_x = -spread * ((extent - factor * u_along) * of_scale + factor * total)
        shift = -spread * (extent * of_shift - factor * of_scale * u_mean)
        by_u = -factor * spread * of_scale
        of_w = along.unsqueeze(2) * sparse + by_u.unsqueeze(2) * u_covariance
        of_w += (by_x * spread).unsqueeze(2) * w_covariance + (shift + by_u * u_mean).unsqueeze(2) * a
        return (of_gradient, None, of_w * sign.unsqueeze(2), spread * total * sign, *[None] * (6 + len(beats)))
