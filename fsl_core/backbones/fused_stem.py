"""The first block (convolution, BatchNorm, pooling, ReLU) as one operation that can be differentiated twice.

It writes neither the maps, the largest tensors of the network, nor their derivative. The dense part of that derivative is an affine
function of the images' 3x3 patches, so its contribution to the kernels' gradient follows from the patches' moments; the rest is as sparse
as the pooled maps. A response is a product of a kernel and a patch, so a sum of responses is that of a kernel and a sum of patches: two
passes over the windows give the result and its gradient, and one more the second derivative. The images have no gradient.

The letters are those of :mod:`fsl_core.backbones.fused_norm`, and ``w`` the kernels ``[G, F, K]``, ``c`` the patches with mean ``a`` and
covariance ``C``. Where the scale is negative, kernel and scale change sign together: the block stays the same, and pooling can take the
largest value of each window.
Third derivatives are not supported.
"""

from __future__ import annotations

from typing import Any

import torch

from fsl_core.backbones.stem_passes import Responses, StemPasses


def fused_stem(
    passes: StemPasses, kernels: torch.Tensor, scale: torch.Tensor, shift: torch.Tensor, *, epsilon: float
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Convolve images by ``kernels`` ``[G, F, K]``, normalise with ``scale`` and ``shift`` ``[G, F]``, pool windows, and rectify.

    Returns the result as maps ``[B, G * F, rows, columns]``, and the mean and biased variance ``[G, F]`` of the convolution, without
    gradients.
    """
    out, mean, variance = _FusedStem.apply(kernels, scale, shift, passes, epsilon)
    return passes.as_maps(out), mean, variance


class _FusedStem(torch.autograd.Function):
    @staticmethod
    def forward(
        context: Any, kernels: torch.Tensor, scale: torch.Tensor, shift: torch.Tensor, passes: StemPasses, epsilon: float
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        sign = (scale < 0).to(scale.dtype).mul_(-2).add_(1)  # computed on its device, without constants from the host
        w, g = kernels * sign.unsqueeze(2), scale * sign
        exact = w.double()
        w_covariance = torch.bmm(exact, passes.moments.covariance)
        mean = (exact * passes.moments.mean).sum(dim=2)
        variance = (w_covariance * exact).sum(dim=2).clamp(min=0)
        spread = torch.rsqrt(variance + epsilon).to(w.dtype)
        m, factor = mean.to(w.dtype), g * spread
        found = passes.forward(w.transpose(1, 2), g, factor, shift - m * factor)
        context.save_for_backward(kernels, scale, m, spread, w_covariance.to(w.dtype), sign, found.out, found.places)
        context.passes = passes
        own_mean, own_variance = (mean * sign).to(w.dtype), variance.to(w.dtype)
        context.mark_non_differentiable(own_mean, own_variance)
        return found.out, own_mean, own_variance

    @staticmethod
    def backward(context: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        differentiable = torch.is_grad_enabled()
        derived = _FusedStemBackward.apply(gradients[0], context.passes, differentiable, *context.saved_tensors)
        return (*derived, None, None)


class _FusedStemBackward(torch.autograd.Function):
    @staticmethod
    def forward(
        context: Any,
        gradient: torch.Tensor,
        passes: StemPasses,
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
        w = kernels * sign.unsqueeze(2)
        of_shift, with_patches = passes.backward(gradient, Responses(*found))
        sparse = with_patches.transpose(1, 2)
        of_scale = ((w * sparse).sum(dim=2) - mean * of_shift) * spread
        dense = of_shift.unsqueeze(2) * passes.moments.mean.to(mean.dtype) + (of_scale * spread).unsqueeze(2) * w_covariance
        of_w = (scale * sign * spread).unsqueeze(2) * (sparse - dense)
        if differentiable:
            context.save_for_backward(w, scale, mean, spread, w_covariance, sign, of_shift, of_scale, sparse, *found)
            context.passes = passes
        return of_w * sign.unsqueeze(2), of_scale * sign, of_shift

    @staticmethod
    def backward(context: Any, *cotangents: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """As in :mod:`fsl_core.backbones.fused_norm`, where the field ``u`` is ``c U``, by the cotangent ``U`` of ``grad w``.

        So ``D / n = U a``, ``X / n = r U C w``, and the derivative for ``w`` is that for the maps times ``c``, summed over all places:
        ``r E sum d P c - g r^2 S (U C + (U a) a) + n c_x r w C + n c a``.
        """
        w, scale, mean, spread, w_covariance, sign, of_shift, of_scale, sparse, *found = context.saved_tensors
        passes: StemPasses = context.passes
        u, s, t = cotangents[0] * sign.unsqueeze(2), cotangents[1] * sign, cotangents[2]
        a, factor = passes.moments.mean.to(w.dtype), scale * sign * spread
        exact = u.double()
        u_covariance = torch.bmm(exact, passes.moments.covariance).to(w.dtype)
        u_mean = (exact * passes.moments.mean).sum(dim=2).to(w.dtype)
        u_along = spread * (u * w_covariance).sum(dim=2)
        extent = s - factor * u_along
        along = extent * spread
        constant = t - factor * u_mean - along * mean
        combined = factor.unsqueeze(2) * u + along.unsqueeze(2) * w
        of_gradient = passes.double_backward(combined.transpose(1, 2), constant, Responses(*found))
        total = (u * sparse).sum(dim=2) - of_shift * u_mean - of_scale * u_along

        by_x = -spread * ((extent - factor * u_along) * of_scale + factor * total)
        shift = -spread * (extent * of_shift - factor * of_scale * u_mean)
        by_u = -factor * spread * of_scale
        of_w = along.unsqueeze(2) * sparse + by_u.unsqueeze(2) * u_covariance
        of_w += (by_x * spread).unsqueeze(2) * w_covariance + (shift + by_u * u_mean).unsqueeze(2) * a
        return (of_gradient, None, None, of_w * sign.unsqueeze(2), spread * total * sign, *[None] * 7)
