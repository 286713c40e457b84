"""Where codes lie among the training codes: a plane to look at, and how unusual each part is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

__all__ = ["CodeMap"]

_USUAL_SHARE = 0.99


@dataclass(frozen=True)
class CodeMap:
    """The two strongest principal axes of the joined training codes of all parts, and each part's usual range.

    Attributes:
        mean: [Q, D] mean of the training codes.
        axes: [2, Q, D] principal axes, one standard deviation long.
        points: [I, 2] training codes on the plane, in standard deviations.
        whitening: [Q, K, D]: its product with a part's codes less the mean gives its whitened coordinates.
        limit: [Q] the Mahalanobis distance that 99 % of the training codes keep below.
    """

    mean: Float[np.ndarray, "Q D"]
    axes: Float[np.ndarray, "2 Q D"]
    points: Float[np.ndarray, "I 2"]
    whitening: Float[np.ndarray, "Q K D"]
    limit: Float[np.ndarray, "Q"]

    @classmethod
    def of(cls, codes: Float[np.ndarray, "I Q D"], directions: Float[np.ndarray, "Q K D"]) -> CodeMap:
        """Map of some training codes.

        Args:
            directions: Each part's principal directions, one standard deviation long; zeros where there is none.
        """
        mean = codes.mean(0)
        _, singular, rows = np.linalg.svd((codes - mean).reshape(len(codes), -1), full_matrices=False)
        axes = np.zeros((2, *mean.shape))
        count = min(2, len(rows))
        deviation = singular[:count] / max(1, len(codes) - 1) ** 0.5
        axes[:count] = (rows[:count] * deviation[:, None]).reshape(count, *mean.shape)
        squares = (directions.astype(float) ** 2).sum(-1, keepdims=True)
        whitening = np.divide(directions, squares, out=np.zeros_like(directions, dtype=float), where=squares > 0)
        draft = cls(mean, axes, np.zeros((0, 2)), whitening, np.zeros(len(mean)))
        limit = np.quantile(draft.distance(codes), _USUAL_SHARE, axis=0)
        return cls(mean, axes, draft.place(codes), whitening, limit)

    def place(self, codes: Float[np.ndarray, "*batch Q D"]) -> Float[np.ndarray, "*batch 2"]:
        """Codes on the plane, in standard deviations of the training codes."""
        squares = (self.axes**2).sum((1, 2))
        flat = np.divide(
            self.axes, squares[:, None, None], out=np.zeros_like(self.axes), where=squares[:, None, None] > 0
        )
        placed: np.ndarray = np.einsum("...qd,kqd->...k", codes - self.mean, flat)
        return placed

    def shift(self, deviations: tuple[float, float]) -> Float[np.ndarray, "Q D"]:
        """What to add to codes to move them on the plane; everything off the plane stays."""
        moved: np.ndarray = np.tensordot(np.asarray(deviations, dtype=float), self.axes, axes=1)
        return moved

    def distance(self, codes: Float[np.ndarray, "*batch Q D"]) -> Float[np.ndarray, "*batch Q"]:
        """Mahalanobis distance of each part from the mean, within its principal directions."""
        whitened = np.einsum("...qd,qkd->...qk", codes - self.mean, self.whitening)
        far: np.ndarray = np.linalg.norm(whitened, axis=-1)
        return far

    def unusual(self, codes: Float[np.ndarray, "Q D"]) -> list[int]:
        """Parts farther from the mean than 99 % of the training codes, the farthest first."""
        excess = self.distance(codes) / np.maximum(self.limit, 1e-9)
        return [int(q) for q in np.argsort(-excess) if excess[q] > 1]
