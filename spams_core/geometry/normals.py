"""Normals of a depth image's pixels."""

from __future__ import annotations

import itertools

import numpy as np
from jaxtyping import Bool, Float, Int

__all__ = ["pixel_normals"]

_MAX_RADIUS = 4


def pixel_normals(
    points_camera: Float[np.ndarray, "H W 3"],
    valid: Bool[np.ndarray, "H W"],
    jump_m: float = 0.05,
    radius_m: float = 0.04,
) -> Float[np.ndarray, "H W 3"]:
    """Unit normals that face the camera, from planes through the surface around each pixel.

    Differences of neighbouring readings would be noise: a few metres away a depth camera's noise is as large as the
    pixels' distance. A plane n · x = d is linear in the image, 1 / z = (n · (x/z, y/z, 1)) / d, so least squares over a
    square window give it.

    Args:
        points_camera: Back-projected pixels, metres.
        valid: Pixels with a reading.
        jump_m: Pixels whose depth differs by this or more from the middle's do not count, metres.
        radius_m: Half the window's width on a surface at the median depth, metres; 1 to 4 pixels.

    Returns:
        Normals; zeros where fewer than three pixels, or only pixels in a row, count.
    """
    normals = np.zeros(points_camera.shape)
    if not valid.any():
        return normals
    depth = np.where(valid, points_camera[..., 2], 1.0)
    u, du = _axis(points_camera[..., 0] / depth, valid)
    v, dv = _axis((points_camera[..., 1] / depth).T, valid.T)
    if du == 0 or dv == 0:
        return normals  # all in one row or column
    radius = int(np.clip(round(radius_m / max(du * float(np.median(depth[valid])), 1e-9)), 1, _MAX_RADIUS))
    inverse = np.where(valid, 1 / depth, 0.0)
    moments = _window_moments(inverse, valid, radius)
    rows, columns = np.nonzero(_has_jump(depth, valid, radius, jump_m))
    moments[:, rows, columns] = _moments_without_jumps(inverse, depth, valid, (rows, columns), radius, jump_m)
    count, mean_c, mean_r, mean_w, cc, cr, rr, cw, rw = moments
    determinant = cc * rr - cr * cr
    good = valid & (count >= 3) & (determinant > 1e-6 * (cc + rr) ** 2)
    np.copyto(determinant, 1.0, where=~good)
    by_column, by_row = (rr * cw - cr * rw) / determinant, (cc * rw - cr * cw) / determinant
    middle = mean_w - by_column * mean_c - by_row * mean_r  # the plane's inverse depth at the pixel itself
    x, y = by_column / du, by_row / dv
    z = middle - x * u - y * v[:, None]
    # The side that the camera sees: n · (x/z, y/z, 1) = `middle`, and the normal points against the viewing ray.
    length = np.sqrt(x * x + y * y + z * z).clip(1e-12)
    scale = np.where(good, np.where(middle > 0, -1.0, 1.0) / length, 0.0)
    for k, component in enumerate((x, y, z)):
        np.multiply(component, scale, out=normals[..., k])
    return normals


def _axis(values: Float[np.ndarray, "H W"], valid: Bool[np.ndarray, "H W"]) -> tuple[Float[np.ndarray, "W"], float]:
    """A pinhole's x/z, which grows evenly along the image's columns: at every column, and its step (0: unknown)."""
    columns = np.flatnonzero(valid.any(axis=0))
    first, last = int(columns[0]), int(columns[-1])
    low, high = (float(values[valid[:, column].argmax(), column]) for column in (first, last))
    step = (high - low) / max(last - first, 1)
    return low + step * (np.arange(valid.shape[1]) - first), step


def _window_moments(
    inverse: Float[np.ndarray, "H W"], valid: Bool[np.ndarray, "H W"], radius: int
) -> Float[np.ndarray, "9 H W"]:
    """`_moments` of all valid pixels in the window around each pixel; see there."""
    height, width = valid.shape
    # From the middle of the image and the nearest reading: the nearer to zero, the less is lost in differences.
    c, r = np.arange(width) - width // 2, np.arange(height)[:, None] - height // 2
    nearest = inverse.max()
    n, w = valid.astype(np.float64), np.where(valid, inverse - nearest, 0.0)
    nc = n * c
    # Along a row only the column changes, so what the row multiplies is summed along it once.
    n, nc, ncc, w, wc = (_fold(np.add, field, 1, radius, 0.0) for field in (n, nc, nc * c, w, w * c))
    fields = (n, nc, n * r, w, ncc, nc * r, n * r * r, wc, w * r)
    moments = _moments(np.stack([_fold(np.add, field, 0, radius, 0.0) for field in fields]))
    moments[1] -= c
    moments[2] -= r
    moments[3] += nearest
    return moments


def _moments_without_jumps(
    inverse: Float[np.ndarray, "H W"],
    depth: Float[np.ndarray, "H W"],
    valid: Bool[np.ndarray, "H W"],
    at: tuple[Int[np.ndarray, "M"], Int[np.ndarray, "M"]],
    radius: int,
    jump_m: float,
) -> Float[np.ndarray, "9 M"]:
    """`_moments` around some pixels, without what lies `jump_m` or more in front of the pixel or behind it."""
    stride = valid.shape[1] + 2 * radius
    # Where nothing is valid the depth is as far away as can be.
    near_depth = np.pad(np.where(valid, depth, np.inf), radius, constant_values=np.inf).ravel()
    near_inverse = np.pad(inverse, radius).ravel()
    middle = (at[0] + radius) * stride + at[1] + radius
    middle_depth, middle_inverse = near_depth[middle], near_inverse[middle]
    sums = np.zeros((9, len(middle)))
    for r, c in itertools.product(range(-radius, radius + 1), repeat=2):
        near = middle + (r * stride + c)
        n = (np.abs(near_depth[near] - middle_depth) < jump_m).astype(np.float64)
        w = n * (near_inverse[near] - middle_inverse)
        for place, (factor, field) in enumerate(
            ((1, n), (c, n), (r, n), (1, w), (c * c, n), (c * r, n), (r * r, n), (c, w), (r, w))
        ):
            sums[place] += factor * field
    moments = _moments(sums)
    moments[3] += middle_inverse
    return moments


def _moments(sums: Float[np.ndarray, "9 *at"]) -> Float[np.ndarray, "9 *at"]:
    """Number, means and central second moments from sums of 1, c, r, w, cc, cr, rr, cw, rw.

    The columns c and rows r are relative to some pixel, w is the inverse depth.
    """
    count, c, r, w, *squares = sums
    share = 1 / np.maximum(count, 1)
    c, r, w = c * share, r * share, w * share
    pairs = ((c, c), (c, r), (r, r), (c, w), (r, w))
    return np.stack([count, c, r, w, *(square * share - a * b for square, (a, b) in zip(squares, pairs, strict=True))])


def _has_jump(
    depth: Float[np.ndarray, "H W"], valid: Bool[np.ndarray, "H W"], radius: int, jump_m: float
) -> Bool[np.ndarray, "H W"]:
    """Valid pixels with another one in their window that lies `jump_m` or more in front of them or behind them."""
    behind, in_front = (np.where(valid, depth, beyond) for beyond in (-np.inf, np.inf))
    for axis in (0, 1):
        behind = _fold(np.maximum, behind, axis, radius, -np.inf)
        in_front = _fold(np.minimum, in_front, axis, radius, np.inf)
    jumps: np.ndarray = valid & (np.maximum(behind - depth, depth - in_front) >= jump_m)
    return jumps


def _fold(
    operation: np.ufunc, field: Float[np.ndarray, "H W"], axis: int, radius: int, beyond: float
) -> Float[np.ndarray, "H W"]:
    """An associative operation over every pixel and its neighbours along an axis; `beyond` is its neutral element."""

    def cut(array: Float[np.ndarray, "H W"], start: int, stop: int) -> Float[np.ndarray, "H W"]:
        return array[start:stop] if axis == 0 else array[:, start:stop]

    padding = [(0, 0), (0, 0)]
    padding[axis] = (radius, radius)
    run = np.pad(field, padding, constant_values=beyond)  # over 1 neighbour, later over 2, 4, 8
    size, length, start, covered = field.shape[axis], 2 * radius + 1, 0, 1
    folded = np.full(field.shape, beyond)
    while True:
        if length & covered:
            operation(folded, cut(run, start, start + size), out=folded)
            start += covered
        if 2 * covered > length:
            return folded
        run = operation(cut(run, 0, run.shape[axis] - covered), cut(run, covered, run.shape[axis]))
        covered *= 2
