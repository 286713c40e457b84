"""The line below each viewport's title."""

from __future__ import annotations

from app.session import Session
from app.units import length_text

__all__ = ["view_facts"]


def view_facts(session: Session, residual_mm: float | None, *, fitting: bool = False) -> tuple[str, str, str]:
    """What input, fit and canonical view show; `fitting`: the recording is being fitted."""
    return _input(session), _fit(session, residual_mm, fitting=fitting), _canonical(session)


def _input(session: Session) -> str:
    if session.compared is not None and session.compared.show_as == "beside":
        fitted = bool((session.compared.fit.frame_indices == session.frame).any())
        return "the second fit" if fitted else "the second fit lacks this frame"
    cloud = session.cloud
    if cloud is None:
        return "no points in this frame" if session.sequence is not None else "no recording"
    meaning = "distance"
    if session.cloud_colors == "part" and cloud.labels is not None:
        meaning = "part"
    elif session.cloud_colors == "confidence" and cloud.confidences is not None:
        meaning = "confidence"
    return f"{len(cloud.points_world):,} points by {meaning}"


def _fit(session: Session, residual_mm: float | None, *, fitting: bool) -> str:
    track, row = session.track, session.track_row(session.frame)
    if session.replayed is not None:
        return f"round {session.replayed.round} of {session.replayed.rounds}"
    if session.edited is not None:
        return "edited, not saved" if session.fit is not None else "model body"
    if track is None or row is None:
        if fitting:
            return "fitting…"
        return "press Fit" if session.sequence is not None else "nothing to show"
    nearest = int(track.frame_indices[row])
    if nearest != session.frame:
        return f"nearest fitted frame: {nearest}"
    if session.live is not None:
        return "fitting…"
    return f"residual {length_text(1e-3 * residual_mm, session.unit)}" if residual_mm is not None else "fitted"


def _canonical(session: Session) -> str:
    if session.replayed is not None:
        return f"identity in round {session.replayed.round}"
    if session.edited is not None:
        return "preview" if session.edited.preview else "edited identity" if session.fit is not None else "model body"
    if session.fit is not None and session.live is None:
        return "fitted identity"
    return "mean body of the model" if session.mean_body is not None else "no model loaded yet"
