"""A grouped convolution whose second derivative consists of convolutions of the sizes of the first derivative's.

A convolution is linear in its maps and in its kernels. So its derivatives, and theirs, are the same three operations on other tensors: the
convolution, and its gradients in the maps and in the kernels. Autograd's own second derivative takes the gradient of the kernels as a
convolution with kernels as large as the maps instead, one for each group, for which libraries have no fast form.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

_aten = torch.ops.aten


@dataclass(frozen=True)
class _Geometry:
    stride: int
    padding: int
    groups: int

    def convolve(self, maps: torch.Tensor, kernels: torch.Tensor) -> torch.Tensor:
        return torch.conv2d(maps, kernels, None, self.stride, self.padding, 1, self.groups)

    def gradients(
        self, gradient: torch.Tensor, maps: torch.Tensor, kernels: torch.Tensor, wanted: tuple[bool, bool]
    ) -> tuple[torch.Tensor | None, torch.Tensor | None]:
        """The gradients of ``<gradient, convolve(maps, kernels)>`` in the maps, which needs the kernels, and in the kernels."""
        stride, padding = [self.stride] * 2, [self.padding] * 2
        of_maps, of_kernels, _ = _aten.convolution_backward(
            gradient, maps, kernels, None, stride, padding, [1, 1], False, [0, 0], self.groups, [*wanted, False]
        )
        return of_maps, of_kernels


def convolution(maps: torch.Tensor, kernels: torch.Tensor, *, stride: int, padding: int, groups: int) -> torch.Tensor:
    """Convolve maps ``[B, G * C, H, W]`` with kernels ``[G * F, C, k, k]`` in ``groups``: ``[B, G * F, h, w]``.

    It can be differentiated twice; third derivatives are not tested.
    """
    convolved: torch.Tensor = _Convolution.apply(maps, kernels, _Geometry(stride, padding, groups))
    return convolved


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, maps: torch.Tensor, kernels: torch.Tensor, geometry: _Geometry) -> torch.Tensor:
        context.save_for_backward(maps, kernels)
        context.geometry = geometry
        return geometry.convolve(maps, kernels)

    @staticmethod
    def backward(context: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        how = context.geometry, context.needs_input_grad[:2]
        return (*_ConvolutionBackward.apply(gradients[0], *context.saved_tensors, how), None)


class _ConvolutionBackward(torch.autograd.Function):
    @staticmethod
    def forward(
        context: Any, gradient: torch.Tensor, maps: torch.Tensor, kernels: torch.Tensor, how: tuple[_Geometry, tuple[bool, bool]]
    ) -> tuple[torch.Tensor | None, torch.Tensor | None]:
        geometry, wanted = how
        context.geometry = geometry
        context.save_for_backward(gradient, maps, kernels)
        context.set_materialize_grads(False)
        return geometry.gradients(gradient, maps, kernels, wanted)

    @staticmethod
    def backward(context: Any, *cotangents: torch.Tensor | None) -> tuple[torch.Tensor | None, ...]:
        """The derivatives of ``<u, gradient in the maps> + <v, gradient in the kernels>``, where absent cotangents are zero.

        That is ``<gradient, convolve(u, kernels) + convolve(maps, v)>``: so the derivative in the maps depends on ``v`` as the first
        one does on the kernels, and that in the kernels on ``u``.
        """
        u, v = cotangents
        gradient, maps, kernels = context.saved_tensors
        geometry, (of_gradient, of_maps, of_kernels, *_) = context.geometry, context.needs_input_grad
        derived = None
        if of_gradient and u is not None:
            derived = geometry.convolve(u, kernels)
        if of_gradient and v is not None:
            along = geometry.convolve(maps, v)
            derived = along if derived is None else derived.add_(along)
        wanted = (of_maps and v is not None, of_kernels and u is not None)
        seconds: tuple[torch.Tensor | None, torch.Tensor | None] = (None, None)
        if any(wanted):
            seconds = geometry.gradients(gradient, maps if u is None else u, kernels if v is None else v, wanted)
        return (derived, *seconds, None)
