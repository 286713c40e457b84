"""Normals of a depth image's pixels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int, Num

from spams_core.geometry.cores import for_each_piece

__all__ = ["pixel_normals"]

_MAX_RADIUS = 4

_BAND_PIXELS = 32_000
"""Worked on at once: as many sums stay in a processor's cache, and the cores share the bands."""
_JUMPS_AT_ONCE = 16_000
_WIDEST = 10_000
"""Pixels; up to there the sums of a window's squared columns are less than 2³¹."""


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
    depth = points_camera[..., 2]
    safe = np.where(valid, depth, 1.0)
    u, du = _axis(points_camera[..., 0] / safe, valid)
    v, dv = _axis((points_camera[..., 1] / safe).T, valid.T)
    if du == 0 or dv == 0:
        return normals  # all in one row or column
    radius = int(np.clip(round(radius_m / max(du * float(np.median(depth[valid])), 1e-9)), 1, _MAX_RADIUS))

    # Where nothing is valid the depth is as far away as can be.
    padded_depth = np.pad(np.where(valid, depth, np.inf), radius, constant_values=np.inf)
    padded_valid = np.pad(valid, radius)
    inverse = 1 / padded_depth
    jumps = np.zeros(valid.shape, dtype=bool)
    band = max(_BAND_PIXELS // valid.shape[1], 4 * radius)

    def fill(top: int) -> None:
        near, rows = slice(top, top + band + 2 * radius), slice(top, top + band)
        if not valid[rows].any():
            return
        moments = _window_moments(inverse[near], padded_valid[near], radius)
        _solve(moments, valid[rows], (u, v[rows, None]), (du, dv), normals[rows])
        jumps[rows] = _has_jump(padded_depth[near], valid[rows], radius, jump_m)

    for_each_piece(fill, range(0, len(valid), band))
    rows, columns = np.nonzero(jumps)

    def correct(start: int) -> None:
        at = rows[start : start + _JUMPS_AT_ONCE], columns[start : start + _JUMPS_AT_ONCE]
        found = np.empty((len(at[0]), 3))
        moments = _moments_without_jumps(inverse, padded_depth, at, radius, jump_m)
        _solve(moments, valid[at], (u[at[1]], v[at[0]]), (du, dv), found)
        normals[at] = found

    for_each_piece(correct, range(0, len(rows), _JUMPS_AT_ONCE))
    return normals


def _axis(values: Float[np.ndarray, "H W"], valid: Bool[np.ndarray, "H W"]) -> tuple[Float[np.ndarray, "W"], float]:
    """A pinhole's x/z, which grows evenly along the image's columns: at every column, and its step (0: unknown)."""
    columns = np.flatnonzero(valid.any(axis=0))
    first, last = int(columns[0]), int(columns[-1])
    low, high = (float(values[valid[:, column].argmax(), column]) for column in (first, last))
    step = (high - low) / max(last - first, 1)
    return low + step * (np.arange(valid.shape[1]) - first), step


def _solve(
    moments: tuple[Float[np.ndarray, "*at"], ...],
    valid: Bool[np.ndarray, "*at"],
    rays: tuple[Float[np.ndarray, "..."], Float[np.ndarray, "..."]],
    steps: tuple[float, float],
    normals: Float[np.ndarray, "*at 3"],
) -> None:
    """Write the normals of the planes that moments tell.

    Args:
        rays: x/z and y/z of the pixels.
        steps: What these grow by from column to column and from row to row.
    """
    count, mean_c, mean_r, mean_w, cc, cr, rr, cw, rw = moments
    determinant = cc * rr - cr * cr
    good = valid & (count >= 3) & (determinant > 1e-6 * (cc + rr) ** 2)
    np.copyto(determinant, 1.0, where=~good)
    by_column, by_row = (rr * cw - cr * rw) / determinant, (cc * rw - cr * cw) / determinant
    middle = mean_w - by_column * mean_c - by_row * mean_r  # the plane's inverse depth at the pixel itself
    x, y = by_column / steps[0], by_row / steps[1]
    z = middle - x * rays[0] - y * rays[1]
    # The side that the camera sees: n · (x/z, y/z, 1) = `middle`, and the normal points against the viewing ray.
    length = np.sqrt(x * x + y * y + z * z).clip(1e-12)
    scale = np.where(good, np.where(middle > 0, -1.0, 1.0) / length, 0.0)
    for k, component in enumerate((x, y, z)):
        np.multiply(component, scale, out=normals[..., k])


def _window_moments(
    inverse: Float[np.ndarray, "P S"], valid: Bool[np.ndarray, "P S"], radius: int
) -> tuple[Float[np.ndarray, "B W"], ...]:
    """`_moments` of all valid pixels in the window around each pixel that is not padding; see there."""
    length = 2 * radius + 1
    # From the middle and the nearest reading: the nearer to zero, the less is lost in differences.
    whole = np.int32 if valid.shape[1] < _WIDEST else np.int64
    c = np.arange(valid.shape[1], dtype=whole) - valid.shape[1] // 2
    r = np.arange(valid.shape[0], dtype=whole)[:, None] - valid.shape[0] // 2
    nearest = inverse.max()
    n, w = valid.astype(whole), np.where(valid, inverse - nearest, 0.0)
    nc = n * c
    # Along a row only the column changes, so what the row multiplies is summed along it once. Counts and pixels'
    # coordinates are whole numbers: half the bytes, and nothing is lost.
    n, nc, ncc, w, wc = (_fold(np.add, field, 1, length) for field in (n, nc, nc * c, w, w * c))
    nr = n * r
    fields = (n, nc, nr, w, ncc, nc * r, nr * r, wc, w * r)
    moments = _moments([_fold(np.add, field, 0, length) for field in fields])
    inside = slice(radius, -radius)
    np.subtract(moments[1], c[inside], out=moments[1])
    np.subtract(moments[2], r[inside], out=moments[2])
    np.add(moments[3], nearest, out=moments[3])
    return moments


def _moments_without_jumps(
    inverse: Float[np.ndarray, "P S"],
    depth: Float[np.ndarray, "P S"],
    at: tuple[Int[np.ndarray, "M"], Int[np.ndarray, "M"]],
    radius: int,
    jump_m: float,
) -> tuple[Float[np.ndarray, "M"], ...]:
    """`_moments` around some pixels, without what lies `jump_m` or more in front of the pixel or behind it."""
    stride = depth.shape[1]
    near_depth, near_inverse = depth.ravel(), inverse.ravel()
    middle = (at[0] + radius) * stride + at[1] + radius
    middle_depth, middle_inverse = near_depth[middle], near_inverse[middle]
    sums = np.zeros((9, len(middle)))
    for r in range(-radius, radius + 1):
        along = np.zeros((5, len(middle)))  # sums of 1, c, cc, w, cw along the row
        for c in range(-radius, radius + 1):
            near = middle + (r * stride + c)
            n = np.abs(near_depth.take(near) - middle_depth) < jump_m
            w = near_inverse.take(near)
            w -= middle_inverse
            w *= n
            along[0] += n
            along[3] += w
            if c:
                along[1] += c * n.view(np.int8)
                along[2] += c * c * n.view(np.int8)
                along[4] += c * w
        n, nc, ncc, w, wc = along
        for place, field in enumerate((n, nc, r * n, w, ncc, r * nc, r * r * n, wc, r * w)):
            sums[place] += field
    moments = _moments(list(sums))
    np.add(moments[3], middle_inverse, out=moments[3])
    return moments


def _moments(sums: Sequence[np.ndarray]) -> tuple[Float[np.ndarray, "*at"], ...]:
    """Number, means and central second moments from sums of 1, c, r, w, cc, cr, rr, cw, rw.

    The columns c and rows r are relative to some pixel, w is the inverse depth.
    """
    count, c, r, w, *squares = sums
    share = 1 / np.maximum(count, 1)
    c, r, w = c * share, r * share, w * share
    pairs = ((c, c), (c, r), (r, r), (c, w), (r, w))
    return (count, c, r, w, *(square * share - a * b for square, (a, b) in zip(squares, pairs, strict=True)))


def _has_jump(
    depth: Float[np.ndarray, "P S"], valid: Bool[np.ndarray, "B W"], radius: int, jump_m: float
) -> Bool[np.ndarray, "B W"]:
    """Valid pixels with another one in their window that lies `jump_m` or more in front of them or behind them."""
    behind, in_front = np.where(np.isinf(depth), -np.inf, depth), depth
    for axis in (1, 0):
        behind = _fold(np.maximum, behind, axis, 2 * radius + 1)
        in_front = _fold(np.minimum, in_front, axis, 2 * radius + 1)
    inside = slice(radius, -radius), slice(radius, -radius)
    middle = np.where(valid, depth[inside], 0.0)
    jumps: np.ndarray = valid & (np.maximum(behind - middle, middle - in_front) >= jump_m)
    return jumps


def _fold(operation: np.ufunc, field: Num[np.ndarray, "_ _"], axis: int, length: int) -> Num[np.ndarray, "_ _"]:
    """An associative operation over every run of `length` (odd) elements along an axis; there are as many fewer."""

    def cut(array: Num[np.ndarray, "_ _"], start: int, stop: int) -> Num[np.ndarray, "_ _"]:
        return array[start:stop] if axis == 0 else array[:, start:stop]

    run = field  # over 1 element, later over 2, 4, 8
    size, start, covered = field.shape[axis] - length + 1, 1, 1
    folded = cut(field, 0, size)
    while 2 * covered <= length:
        run = operation(cut(run, 0, run.shape[axis] - covered), cut(run, covered, run.shape[axis]))
        covered *= 2
        if length & covered:
            folded = operation(folded, cut(run, start, start + size))
            start += covered
    return folded
