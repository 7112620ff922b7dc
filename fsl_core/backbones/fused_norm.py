"""BatchNorm by batch statistics, 2x2 max-pooling and ReLU as one operation that can be differentiated twice.

It normalises the pooled maps instead of the maps, which are four times as large. The derivatives are written out: autograd's second
derivative of BatchNorm takes some twenty passes over the maps, this one takes five.

With ``y`` the maps, ``n`` values in a channel, ``m`` and ``v`` their mean and biased variance, ``r = (v + epsilon)^(-1/2)``,
``x = (y - m) r``, scale ``g`` and shift ``b``: ``out = relu(g P x + b)``, where ``P`` takes the first largest value of ``g y`` of each
window, and its transpose ``P^T`` puts values back in their places. With ``d = 1[out > 0] grad``, ``B = sum d`` and ``S = sum d P x``
(Ioffe and Szegedy 2015, section 3):

- ``grad b = B``, ``grad g = S``, ``grad y = g r (P^T d - B / n - x S / n)``.

The second derivative is that of ``<u, grad y> + <s, grad g> + <t, grad b>``; the names of the code are those of its docstring.
Third derivatives are not supported.
"""

from __future__ import annotations

from typing import Any

import torch

_aten = torch.ops.aten


def fused_norm(
    maps: torch.Tensor, scale: torch.Tensor, shift: torch.Tensor, *, epsilon: float, pools: bool
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Normalise, pool if ``pools``, and rectify maps ``[B, C, H, W]`` with ``scale`` and ``shift`` ``[C]``.

    Returns the result, ``[B, C, H // 2, W // 2]`` if pooled, and the mean and biased variance ``[C]`` of the maps, without gradients.
    """
    out, mean, variance = _FusedNorm.apply(maps, scale, shift, epsilon, pools)
    return out, mean, variance


def by_channel(values: torch.Tensor) -> torch.Tensor:
    """Values ``[C]`` as factors or summands of maps ``[B, C, H, W]``."""
    return values.view(1, -1, 1, 1)


def _sum(values: torch.Tensor) -> torch.Tensor:
    return values.sum((0, 2, 3))


def _pooled(maps: torch.Tensor, scale: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The value of each window that is largest after scaling by its channel, and its place."""
    # On a CPU the check is free, and most scales are positive; on CUDA it would make the host wait for the device.
    if scale.device.type == "cpu" and bool((scale > 0).all()):
        values, places = _aten.max_pool2d_with_indices(maps, [2, 2], [2, 2])
        return values, places
    return pooled_by_sign(maps, by_channel(scale.sign()))


def pooled_by_sign(maps: torch.Tensor, sign: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The value of each window that is largest after scaling, and its place; ``sign`` is that of the scales, ``[1, C, 1, 1]``.

    Where it is 0, the value is the first one: a scale of 0 makes all values of a window equal.
    """
    values, places = _aten.max_pool2d_with_indices(maps * sign, [2, 2], [2, 2])
    rows, columns = values.shape[2:]
    first = maps[:, :, : 2 * rows : 2, : 2 * columns : 2]
    return torch.where(sign == 0, first, values * sign), places


def _gather(maps: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    """``P``: the values of maps ``[B, C, H, W]`` at the places ``[B, C, h, w]`` that pooling chose."""
    if maps.is_contiguous(memory_format=torch.channels_last):
        rows, columns = places.shape[2:]
        at = places.permute(0, 2, 3, 1).flatten(1, 2)
        chosen = maps.permute(0, 2, 3, 1).flatten(1, 2).gather(1, at)
        return torch.unflatten(chosen, 1, (rows, columns)).permute(0, 3, 1, 2)
    return maps.flatten(2).gather(2, places.flatten(2)).view(places.shape)


def _put_back(values: torch.Tensor, maps: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    """``P^T``: values ``[B, C, h, w]`` at their places in zeros of the shape and layout of ``maps``."""
    put: torch.Tensor = _aten.max_pool2d_with_indices_backward(values, maps, [2, 2], [2, 2], [0, 0], [1, 1], False, places)
    return put


class _FusedNorm(torch.autograd.Function):
    @staticmethod
    def forward(
        context: Any, maps: torch.Tensor, scale: torch.Tensor, shift: torch.Tensor, epsilon: float, pools: bool
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        mean, variance = _aten.batch_norm_update_stats(maps, None, None, 0.0)
        spread = torch.rsqrt(variance + epsilon)
        chosen, places = _pooled(maps, scale) if pools else (maps, None)
        factor = scale * spread
        out = torch.addcmul(by_channel(shift - mean * factor), chosen, by_channel(factor)).relu_()
        context.save_for_backward(maps, scale, chosen, places, out, mean, spread)
        context.mark_non_differentiable(mean, variance)
        return out, mean, variance

    @staticmethod
    def backward(context: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        maps, scale, *rest = context.saved_tensors
        derived = _FusedNormBackward.apply(gradients[0], maps, scale, *rest)
        return (*derived, None, None)


class _FusedNormBackward(torch.autograd.Function):
    @staticmethod
    def forward(
        context: Any,
        gradient: torch.Tensor,
        maps: torch.Tensor,
        scale: torch.Tensor,
        chosen: torch.Tensor,
        places: torch.Tensor | None,
        out: torch.Tensor,
        mean: torch.Tensor,
        spread: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        d = _aten.threshold_backward(gradient, out, 0)
        count, factor = maps.numel() // maps.shape[1], scale * spread
        of_shift = _sum(d)
        of_scale = (_sum(d * chosen) - mean * of_shift) * spread
        by_map = -factor * spread * of_scale / count
        constant = -factor * of_shift / count - by_map * mean
        if places is None:
            of_maps = torch.addcmul(by_channel(constant), maps, by_channel(by_map)).addcmul_(d, by_channel(factor))
        else:
            of_maps = _put_back(d * by_channel(factor), maps, places)
            of_maps.addcmul_(maps, by_channel(by_map)).add_(by_channel(constant))
        context.save_for_backward(d, maps, scale, chosen, places, out, mean, spread, of_shift, of_scale)
        return of_maps, of_scale, of_shift

    @staticmethod
    def backward(context: Any, *cotangents: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """The derivatives for ``gradient``, ``maps`` and ``scale``, from the cotangents ``u``, ``s`` and ``t`` of the first ones.

        ``D = sum u``, ``X = sum u x``, ``E = s - g r X / n``, ``T = sum d P u - B D / n - S X / n``; then

        - for ``grad``: ``1[out > 0] (g r (P u - D / n) + E P x + t)``;
        - for ``g``: ``r T``;
        - for ``y``: ``r E P^T d - g r^2 (S / n) u + c_x x + c``, where ``c`` and ``c_x`` remove its mean and its component along
          ``x``, and ``c_x`` includes ``-g r^2 T / n``, which comes from ``r``.
        """
        u, s, t = cotangents
        d, maps, scale, chosen, places, out, mean, spread, of_shift, of_scale = context.saved_tensors
        count, factor = maps.numel() // maps.shape[1], scale * spread
        u_chosen = u if places is None else _gather(u, places)
        u_sum = _sum(u)
        u_along = (_sum(u * maps) - mean * u_sum) * spread
        total = _sum(d * u_chosen) - (of_shift * u_sum + of_scale * u_along) / count
        extent = s - factor * u_along / count

        along = extent * spread
        constant = t - factor * u_sum / count - along * mean
        of_gradient = torch.addcmul(by_channel(constant), chosen, by_channel(along)).addcmul_(u_chosen, by_channel(factor))
        of_gradient = _aten.threshold_backward(of_gradient, out, 0)

        by_u = -factor * spread * of_scale / count
        by_x = -spread * ((extent - factor * u_along / count) * of_scale + factor * total) / count
        shift = -spread * (extent * of_shift - factor * of_scale * u_sum / count) / count - by_x * mean * spread
        of_maps = torch.addcmul(by_channel(shift), maps, by_channel(by_x * spread)).addcmul_(u, by_channel(by_u))
        if places is None:
            of_maps.addcmul_(d, by_channel(along))
        else:
            of_maps.add_(_put_back(d * by_channel(along), maps, places))
        return of_gradient, of_maps, spread * total, None, None, None, None, None
