"""Sinusoidal networks modulated by a latent code, one per part, evaluated together."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from spams_core.errors import InputError
from spams_core.geometry.rigid import left_jacobian, rotation_from_vector, skew

__all__ = ["Blocks", "PartSirens", "SirenSettings", "gather_blocks", "scatter_blocks"]


@dataclass(frozen=True)
class SirenSettings:
    """Size of one modulated SIREN."""

    layers: int = 4
    """Hidden layers, the first included."""
    width: int = 128
    """Units of a hidden layer."""
    omega: float = 30.0
    """Frequency that multiplies each layer's input (Sitzmann et al. 2020, eq. 5)."""
    mapping_layers: int = 4
    """Hidden layers of the network that maps a code to frequencies and phases."""
    mapping_width: int = 128
    """Units of those layers."""
    rigid: bool = False
    """For flows: the mapping network gives a rigid motion about the part's pivot, the SIREN only what is left."""

    def __post_init__(self) -> None:
        if min(self.layers, self.width, self.mapping_layers, self.mapping_width) < 1 or self.omega <= 0:
            raise InputError("SIREN settings must be positive.")


class _PartLinear(nn.Module):
    """Q linear layers whose weights lie in one tensor."""

    def __init__(self, parts: int, inputs: int, outputs: int, bound: float, generator: torch.Generator) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(parts, inputs, outputs).uniform_(-bound, bound, generator=generator))
        limit = 1 / math.sqrt(inputs)
        self.bias = nn.Parameter(torch.empty(parts, 1, outputs).uniform_(-limit, limit, generator=generator))

    def forward(self, x: Float[Tensor, "K N i"], part: Int[Tensor, "K"] | None) -> Float[Tensor, "K N o"]:
        if part is None:
            return torch.baddbmm(self.bias, x, self.weight)
        return torch.baddbmm(self.bias[part], x, self.weight[part])


class PartSirens(nn.Module):
    """Q SIRENs with FiLM conditioning (Chan et al. 2021, §3.1): h ← sin(ω (1 + γ) ⊙ (W h + b) + β).

    A mapping network of LeakyReLU layers turns a part's code into γ and β of every hidden layer. With `rigid` it gives
    a rotation vector r and a translation t as well, and x moves by R(r) (x − c) + c + t − x plus the SIREN's output.

    Buffers:
        pivot [Q, 3]: c, the centre of each part; only with `rigid`.
    """

    pivot: Tensor

    def __init__(
        self, parts: int, code_length: int, outputs: int, settings: SirenSettings, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.settings = settings
        width, omega = settings.width, settings.omega
        # Sitzmann et al. 2020, §3.2: these bounds keep every layer's activations arcsine-distributed.
        bounds = [1 / 3] + [math.sqrt(6 / width) / omega] * (settings.layers - 1)
        sizes = [3] + [width] * settings.layers
        self.hidden = nn.ModuleList(
            _PartLinear(parts, sizes[k], sizes[k + 1], bounds[k], generator) for k in range(settings.layers)
        )
        self.last = _PartLinear(parts, width, outputs, math.sqrt(6 / width) / omega, generator)
        mapping = [code_length] + [settings.mapping_width] * settings.mapping_layers
        self.mapping = nn.ModuleList(
            _PartLinear(parts, i, o, math.sqrt(6 / i / (1 + 0.2**2)), generator) for i, o in itertools.pairwise(mapping)
        )
        if settings.rigid and outputs != 3:
            raise InputError("SIREN settings: rigid motions go with three outputs, a flow.")
        self._modulation = 2 * settings.layers * width
        self.film_head = _PartLinear(
            parts, mapping[-1], self._modulation + (6 if settings.rigid else 0), 0.01, generator
        )  # fmt: skip
        if settings.rigid:
            self.register_buffer("pivot", torch.zeros(parts, 3))
        with torch.no_grad():
            self.film_head.bias.zero_()
            self.last.bias.zero_()

    def film(self, codes: Float[Tensor, "Q G D"]) -> Float[Tensor, "Q G M"]:
        """Frequencies γ and phases β of all layers for every part and code, with `rigid` also r and t."""
        h = codes
        for layer in self.mapping:
            h = nn.functional.leaky_relu(layer(h, None), 0.2)
        film: Tensor = self.film_head(h, None)
        return film

    def forward(
        self,
        points: Float[Tensor, "K G N 3"],
        film: Float[Tensor, "Q G M"],
        part: Int[Tensor, "K"] | None = None,
    ) -> Float[Tensor, "K G N o"]:
        """Evaluate blocks of points.

        Args:
            points: K blocks; G may be 1 when all codes see the same points.
            film: From `film`, for all Q parts and G codes.
            part: The part of each block; None means block k belongs to part k.

        Returns:
            Outputs for every block, code and point.
        """
        omega = self.settings.omega
        if part is not None:
            film = film[part]
        blocks, groups = film.shape[:2]
        modulation = film[..., : self._modulation].reshape(blocks, groups, self.settings.layers, 2, -1)
        h = points
        for index, layer in enumerate(self.hidden):
            shape = h.shape
            z = layer(h.reshape(shape[0], shape[1] * shape[2], shape[3]), part)
            z = z.reshape(shape[0], shape[1], shape[2], -1)
            gamma, beta = modulation[:, :, index, 0].unsqueeze(2), modulation[:, :, index, 1].unsqueeze(2)
            h = torch.sin(torch.addcmul(beta, omega * (1 + gamma), z))
        out: Tensor = self.last(h.reshape(blocks, groups * h.shape[2], h.shape[3]), part)
        out = out.reshape(blocks, groups, h.shape[2], -1)
        if not self.settings.rigid:
            return out
        motion = film[..., self._modulation :]
        pivot = (self.pivot if part is None else self.pivot[part])[:, None, None]
        centred = points - pivot
        turned = centred @ rotation_from_vector(motion[..., :3]).mT
        return out + turned - centred + motion[..., None, 3:]

    def with_jacobian(
        self, points: Float[Tensor, "Q G N 3"], codes: Float[Tensor, "Q G D"], first: int = 0
    ) -> tuple[Float[Tensor, "Q G N o"], Float[Tensor, "Q G N o E"]]:
        """Outputs and their derivatives by the codes' entries from `first` on, block k of part k; E = D − first.

        Backwards through the layers per point and output to every γ and β (three outputs cost three passes, where a
        pass per code entry would cost D), then once per code through the mapping network.
        """
        film, by_code = self._film_with_jacobian(codes, first)
        parts, groups = film.shape[:2]
        omega, width = self.settings.omega, self.settings.width
        modulation = film[..., : self._modulation].reshape(parts, groups, self.settings.layers, 2, width)
        h = points.expand(parts, groups, -1, -1)
        count = h.shape[2]
        linear, angles = [], []
        for index, layer in enumerate(self.hidden):
            z = layer(h.reshape(parts, groups * count, -1), None).reshape(parts, groups, count, width)
            gamma, beta = modulation[:, :, index, 0].unsqueeze(2), modulation[:, :, index, 1].unsqueeze(2)
            angle = torch.addcmul(beta, omega * (1 + gamma), z)
            linear.append(z)
            angles.append(angle)
            h = torch.sin(angle)
        out: Tensor = self.last(h.reshape(parts, groups * count, width), None).reshape(parts, groups, count, -1)
        outputs = out.shape[-1]
        by_layer = by_code[:, :, : self._modulation].reshape(parts, groups, self.settings.layers, 2, width, -1)
        slope = self.last.weight.mT[:, None, None].expand(parts, groups, count, outputs, width)
        flat = (parts, groups, count * outputs, width)
        jacobian = out.new_zeros(parts, groups, count * outputs, by_code.shape[-1])
        for index, layer in reversed(list(enumerate(self.hidden))):
            assert isinstance(layer, _PartLinear)
            slope = slope * angles[index].cos().unsqueeze(3)
            jacobian += (slope * (omega * linear[index]).unsqueeze(3)).reshape(flat) @ by_layer[:, :, index, 0]
            jacobian += slope.reshape(flat) @ by_layer[:, :, index, 1]
            if index:
                gamma = modulation[:, :, index, 0][:, :, None, None]
                slope = (slope * (omega * (1 + gamma))).reshape(parts, -1, width) @ layer.weight.mT
                slope = slope.reshape(parts, groups, count, outputs, -1)
        jacobian = jacobian.reshape(parts, groups, count, outputs, -1)
        if not self.settings.rigid:
            return out, jacobian
        motion = film[..., self._modulation :]
        centred = points - self.pivot[:, None, None]
        turned = centred @ rotation_from_vector(motion[..., :3]).mT
        by_vector = -skew(turned) @ left_jacobian(motion[..., :3]).unsqueeze(2)
        by_motion = by_code[:, :, self._modulation :].unsqueeze(2)
        by_rotation = by_vector.reshape(parts, groups, count * outputs, 3) @ by_motion[:, :, 0, :3]
        jacobian = jacobian + by_rotation.reshape(jacobian.shape) + by_motion[..., 3:, :]
        return out + turned - centred + motion[..., None, 3:], jacobian

    def _film_with_jacobian(
        self, codes: Float[Tensor, "Q G D"], first: int
    ) -> tuple[Float[Tensor, "Q G M"], Float[Tensor, "Q G M E"]]:
        h = codes
        slope: Tensor | None = None
        for layer in self.mapping:
            assert isinstance(layer, _PartLinear)
            z = layer(h, None)
            weight = layer.weight.mT[:, None]  # [Q, 1, o, i]
            slope = weight[..., first:].expand(-1, codes.shape[1], -1, -1) if slope is None else weight @ slope
            slope = slope * torch.where(z > 0, 1.0, 0.2).unsqueeze(-1)
            h = nn.functional.leaky_relu(z, 0.2)
        assert slope is not None
        return self.film_head(h, None), self.film_head.weight.mT[:, None] @ slope


@dataclass(frozen=True)
class Blocks:
    """Pairs (point, part) sorted into equally long blocks of one part each.

    Attributes:
        part: [K] part of each block.
        point: [K, B] index of each slot's point; padding repeats point 0.
        slot: [M] flat slot of each pair.
        pair_point: [M] point of each pair.
        pair_part: [M] part of each pair.
    """

    part: Int[Tensor, "K"]
    point: Int[Tensor, "K B"]
    slot: Int[Tensor, "M"]
    pair_point: Int[Tensor, "M"]
    pair_part: Int[Tensor, "M"]


def gather_blocks(active: Bool[Tensor, "N Q"], block: int = 256) -> Blocks:
    """Sort the active (point, part) pairs into blocks, so that no part evaluates a point that it says nothing about."""
    pair_part, pair_point = active.T.nonzero(as_tuple=True)
    counts = active.sum(0)
    blocks_of = (counts + block - 1) // block
    first_block = torch.cumsum(blocks_of, 0) - blocks_of
    first_pair = torch.cumsum(counts, 0) - counts
    position = torch.arange(len(pair_part), device=active.device) - first_pair[pair_part]
    slot = first_block[pair_part] * block + position
    total = int(blocks_of.sum())
    point = torch.zeros(total * block, dtype=torch.long, device=active.device)
    point[slot] = pair_point
    part = torch.repeat_interleave(torch.arange(active.shape[1], device=active.device), blocks_of)
    return Blocks(part, point.reshape(total, block), slot, pair_point, pair_part)


def scatter_blocks(
    values: Float[Tensor, "K G B o"], blocks: Blocks, weights: Float[Tensor, "N Q"]
) -> Float[Tensor, "G N o"]:
    """Blend the blocks' outputs at each point by the parts' weights."""
    groups, outputs = values.shape[1], values.shape[3]
    flat = values.transpose(0, 1).reshape(groups, -1, outputs)[:, blocks.slot]
    pair_weights = weights[blocks.pair_point, blocks.pair_part]
    result = flat.new_zeros(groups, len(weights), outputs)
    return result.index_add(1, blocks.pair_point, flat * pair_weights[:, None])
