"""Weights, lengths, gates and switches of a fit."""

from __future__ import annotations

from dataclasses import dataclass

from spams_core.errors import InputError

__all__ = ["SolveSettings"]


@dataclass(frozen=True)
class SolveSettings:
    """Weights, lengths, gates and switches of a fit."""

    pose_encoder: bool = True
    """Start from the pose encoder's codes and roots."""
    articulated: bool = True
    """Start from part-rigid articulated ICP on the labelled points as well; each frame takes the better start."""
    dense_correspondence: bool = True
    """Use the segmenter's canonical coordinates: to align before surfaces are compared, and a little afterwards."""
    gates: bool = True
    """Reject pairs by distance, normal and visibility, and weigh them robustly, with gates that narrow."""
    staged: bool = True
    """Fit keyframes first, then the frames between them from their neighbours, then all together."""
    joint_prior: bool = True
    """Measure codes by how all parts' training codes go together; otherwise by each part's alone."""
    part_mask: bool = True
    """Compare distances only where the seen part is the model point's part (M_part)."""
    align_iterations: int = 4
    """Gauss-Newton steps on the segmenter's canonical coordinates, before surfaces are compared."""
    rounds: int = 4
    """Times the model's surface is re-sampled and paired with the observation anew (every I_resample steps)."""
    rigid_rounds: int = 1
    """Rounds at the start in which the shape stays the mean: a shape that follows wrong poses seldom comes back."""
    joint_rounds: int = 12
    """Rounds over all frames together at the end."""
    iterations: int = 3
    """Gauss-Newton steps between two samplings: I_resample."""
    keyframe_stride: int = 4
    """Every so manieth frame is a keyframe."""
    part_points: int = 64
    """Observed points per part and frame in a step."""
    surface_points: int = 40
    """Model points around the canonical surface per part in a step."""
    shape_components: int = 48
    """Principal directions of the joined shape codes that are fitted."""
    pose_components: int = 128
    """Principal directions of the joined pose codes that are fitted."""
    reconstruction_weight: float = 20.0
    """Weight of L_r, per canonical unit of distance."""
    free_space_weight: float = 40.0
    """Weight of model points in front of the seen surface or outside the silhouette, per canonical unit."""
    icp_weight: float = 0.6
    """Weight of L_icp; 10 mm count 1."""
    coverage_weight: float = 0.6
    """Weight of L_cov: how far the surface falls short of the subject's points that it does not cover in the image;
    10 mm count 1."""
    correspondence_weight: float = 0.1
    """Weight of the segmenter's canonical coordinates while aligning. Later a tenth of it, and
    always for the pose alone: the predictions lean to the mean body."""
    temporal_weight: float = 12.0
    """Weight of L_t at 30 frames per second, at the end; 10 mm off an even motion count 1. It falls with the seventh
    power of the frames' interval: the same acceleration leads farther then, by the fourth, and it changes meanwhile."""
    isometry_weight: float = 5.0
    """Weight of the squared strain between close surface points, for regions that nobody sees."""
    pose_prior_weight: float = 0.3
    """Weight of L_c on pose coordinates."""
    shape_prior_weight: float = 0.03
    """Weight of L_c on shape coordinates."""
    damping: float = 0.002
    """Levenberg-Marquardt's factor on the diagonal of the normal equations."""
    observed_band_m: float = 0.02
    """Width of the occlusion mask M_o around the observed surface, metres."""
    truncation: float = 0.04
    """Signed distances are clamped to this, canonical units."""
    sample_band: float = 0.01
    """Standard deviation of the surface points' distance from the surface (ε_icp), canonical units."""
    icp_scale_m: float = 0.06
    """Pairs farther apart than this hardly count at the start; a third of it at the end."""
    icp_gate_m: float = 0.25
    """Pairs farther apart than this do not count at the start; a third of it at the end."""
    normal_gate_deg: float = 60.0
    """Largest angle between the normals of a pair."""
    match_resolution: int = 112
    """Cells per axis of the surface that points are paired with."""
    mesh_resolution: int = 160
    """Cells per axis of the final canonical mesh."""
    window: int = 8
    """Frames whose derivatives are held in memory at once."""
    converged_m: float = 0.0003
    """A frame rests until the next pairing once a step moves it by less than this, metres."""

    def __post_init__(self) -> None:
        counts = (
            self.align_iterations, self.rounds, self.joint_rounds, self.iterations, self.keyframe_stride,
            self.part_points, self.surface_points, self.shape_components, self.pose_components,
        )  # fmt: skip
        if min(counts) < 1 or min(self.match_resolution, self.mesh_resolution) < 16 or self.window < 1:
            raise InputError(
                "fit settings: counts must be 1 or more, resolutions 16 or more, and the window 1 or more frames."
            )
        sizes = (self.observed_band_m, self.truncation, self.icp_scale_m, self.icp_gate_m)
        if min(sizes) <= 0 or not 0 < self.normal_gate_deg <= 90:
            raise InputError("fit settings: bands, truncation and scales must be positive, the normal gate 0-90°.")
