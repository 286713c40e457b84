"""The space that the training codes span: mean, principal directions, whitened coordinates."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from spams_core.errors import InputError

__all__ = ["CodeSpace", "part_directions"]


@dataclass(frozen=True)
class CodeSpace:
    """A Gaussian over the joined codes of all parts: codes = mean + z · basis with z ~ N(0, 1).

    In these coordinates the prior is ‖z‖², the Mahalanobis distance to the training codes, which also says how the
    parts' codes go together.

    Attributes:
        mean: [Q, D].
        basis: [K, Q, D], each row one standard deviation long in the norm of the training codes.
    """

    mean: Float[Tensor, "Q D"]
    basis: Float[Tensor, "K Q D"]

    @classmethod
    def of(cls, codes: Float[Tensor, "I Q D"], components: int, *, joined: bool = True) -> CodeSpace:
        """Principal components of training codes; at most `components`, fewer when the codes span fewer.

        Args:
            codes: Training codes.
            components: Most coordinates.
            joined: Whether a coordinate may move all parts, as they go together in training; otherwise every coordinate
                moves one part, and all parts have equally many.

        Raises:
            InputError: There are fewer than two codes.
        """
        if len(codes) < 2:
            raise InputError("The model holds fewer than two training codes; a prior needs more. Train it again.")
        mean = codes.mean(0)
        if not joined:
            each = part_directions(codes, max(1, components // codes.shape[1]))
            blocks = torch.diag_embed(each.permute(1, 2, 0)).permute(2, 0, 3, 1).flatten(0, 1)
            return cls(mean, blocks[blocks.flatten(1).norm(dim=1) > 0])
        _, singular, directions = torch.linalg.svd((codes - mean).flatten(1), full_matrices=False)
        rank = min(components, int((singular > 1e-5 * singular[0]).sum()), len(codes) - 1)
        scale = singular[:rank] / (len(codes) - 1) ** 0.5
        return cls(mean, (directions[:rank] * scale[:, None]).reshape(rank, *mean.shape))

    def decode(self, z: Float[Tensor, "*batch K"]) -> Float[Tensor, "*batch Q D"]:
        """Codes of whitened coordinates."""
        codes: Tensor = self.mean + torch.tensordot(z, self.basis, dims=1)
        return codes

    def encode(self, codes: Float[Tensor, "*batch Q D"]) -> Float[Tensor, "*batch K"]:
        """Whitened coordinates of the nearest codes in the space."""
        flat = self.basis.flatten(1)
        z: Tensor = (codes - self.mean).flatten(-2) @ (flat / flat.square().sum(1, keepdim=True)).T
        return z


def part_directions(codes: Float[Tensor, "I Q D"], count: int) -> Float[Tensor, "Q count D"]:
    """Principal directions of each part's own codes, each one standard deviation long, largest first.

    Directions beyond the rank of the codes are zero.
    """
    result = codes.new_zeros(codes.shape[1], count, codes.shape[2])
    for q in range(codes.shape[1]):
        space = CodeSpace.of(codes[:, q : q + 1], count)
        result[q, : len(space.basis)] = space.basis[:, 0]
    return result
