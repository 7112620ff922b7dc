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

from typing import Any

import torch

from fsl_core.backbones.patch_passes import Responses, backward_pass, double_backward_pass, forward_pass
from fsl_core.backbones.patches import Patches


def fused_stem(
    patches: Patches, kernels: torch.Tensor, scale: torch.Tensor, shift: torch.Tensor, *, epsilon: float
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Convolve patches by ``kernels`` ``[G, F, K]``, normalise with ``scale`` and ``shift`` ``[G, F]``, pool windows, and rectify.

    Returns the result ``[G, B * rows * columns, F]``, and the mean and biased variance ``[G, F]`` of the convolution, without gradients.
    """
    out, mean, variance = _FusedStem.apply(kernels, scale, shift, patches, epsilon)
    return out, mean, variance


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
        m, factor = mean.to(w.dtype), g * spread
        found = forward_pass(patches, w.transpose(1, 2), g, factor, shift - m * factor)
        context.save_for_backward(
            kernels, scale, m, spread, w_covariance.to(w.dtype), sign, found.out, found.chosen, found.places
        )
        context.patches = patches
        own_mean, own_variance = (mean * sign).to(w.dtype), variance.to(w.dtype)
        context.mark_non_differentiable(own_mean, own_variance)
        return found.out, own_mean, own_variance

    @staticmethod
    def backward(context: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        differentiable = torch.is_grad_enabled()
        derived = _FusedStemBackward.apply(gradients[0], context.patches, differentiable, *context.saved_tensors)
        return (*derived, None, None)


class _FusedStemBackward(torch.autograd.Function):
    @staticmethod
    def forward(
        context: Any,
        gradient: torch.Tensor,
        patches: Patches,
        differentiable: bool,
        kernels: torch.Tensor,
        scale: torch.Tensor,
        mean: torch.Tensor,
        spread: torch.Tensor,
        w_covariance: torch.Tensor,
        sign: torch.Tensor,
        *found: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """``grad w = g r (sum d P c - B a - S r w C)``; the other two as in :mod:`fsl_core.backbones.fused_norm`.

        ``differentiable``: whether it will be differentiated itself.
        """
        sums = backward_pass(patches, gradient, Responses(*found), keeps_d=differentiable)
        of_shift = sums.of_d
        of_scale = (sums.with_responses - mean * of_shift) * spread
        sparse = sums.with_patches.transpose(1, 2)
        dense = of_shift.unsqueeze(2) * patches.mean.to(mean.dtype) + (of_scale * spread).unsqueeze(2) * w_covariance
        of_w = (scale * sign * spread).unsqueeze(2) * (sparse - dense)
        if differentiable:
            context.save_for_backward(sums.d, scale, mean, spread, w_covariance, sign, of_shift, of_scale, sparse, *found)
            context.patches = patches
        return of_w * sign.unsqueeze(2), of_scale * sign, of_shift

    @staticmethod
    def backward(context: Any, *cotangents: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """As in :mod:`fsl_core.backbones.fused_norm`, where the field ``u`` is ``c U``, by the cotangent ``U`` of ``grad w``.

        So ``D / n = U a``, ``X / n = r U C w``, and the derivative for ``w`` is that for the maps times ``c``, summed over all places:
        ``r E sum d P c - g r^2 S (U C + (U a) a) + n c_x r w C + n c a``.
        """
        d, scale, mean, spread, w_covariance, sign, of_shift, of_scale, sparse, *found = context.saved_tensors
        patches: Patches = context.patches
        u, s, t = cotangents[0] * sign.unsqueeze(2), cotangents[1] * sign, cotangents[2]
        a, factor = patches.mean.to(d.dtype), scale * sign * spread
        exact = u.double()
        u_covariance = torch.bmm(exact, patches.covariance).to(d.dtype)
        u_mean = (exact * patches.mean).sum(dim=2).to(d.dtype)
        u_along = spread * (u * w_covariance).sum(dim=2)
        extent = s - factor * u_along
        along = extent * spread
        constant = t - factor * u_mean - along * mean
        d_along, of_gradient = double_backward_pass(patches, Responses(*found), d, u.transpose(1, 2), (factor, along, constant))
        total = d_along - of_shift * u_mean - of_scale * u_along

        by_x = -spread * ((extent - factor * u_along) * of_scale + factor * total)
        shift = -spread * (extent * of_shift - factor * of_scale * u_mean)
        by_u = -factor * spread * of_scale
        of_w = along.unsqueeze(2) * sparse + by_u.unsqueeze(2) * u_covariance
        of_w += (by_x * spread).unsqueeze(2) * w_covariance + (shift + by_u * u_mean).unsqueeze(2) * a
        return (of_gradient, None, None, of_w * sign.unsqueeze(2), spread * total * sign, *[None] * 7)
