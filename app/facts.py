"""The line below each viewport's title."""

from __future__ import annotations

from app.session import Session
from app.translation import tr
from app.units import length_text

__all__ = ["view_facts"]


def view_facts(session: Session, residual_mm: float | None, *, fitting: bool = False) -> tuple[str, str, str]:
    """What input, fit and canonical view show; `fitting`: the recording is being fitted."""
    return _input(session), _fit(session, residual_mm, fitting=fitting), _canonical(session)


def _input(session: Session) -> str:
    if session.compared is not None and session.compared.show_as == "beside":
        fitted = bool((session.compared.fit.frame_indices == session.frame).any())
        return tr("the second fit") if fitted else tr("the second fit lacks this frame")
    cloud = session.cloud
    if cloud is None:
        return tr("no points in this frame") if session.sequence is not None else tr("no recording")
    count = len(cloud.points_world)
    if session.cloud_colors == "part" and cloud.labels is not None:
        return tr("{count:,} points by part", count=count)
    if session.cloud_colors == "confidence" and cloud.confidences is not None:
        return tr("{count:,} points by confidence", count=count)
    return tr("{count:,} points by distance", count=count)


def _fit(session: Session, residual_mm: float | None, *, fitting: bool) -> str:
    track, row = session.track, session.track_row(session.frame)
    if session.replayed is not None:
        return tr("round {round} of {last}", round=session.replayed.round, last=session.replayed.rounds)
    if session.edited is not None:
        return tr("edited, not saved") if session.fit is not None else tr("model body")
    if track is None or row is None:
        if fitting:
            return tr("fitting…")
        return tr("press Fit") if session.sequence is not None else tr("nothing to show")
    nearest = int(track.frame_indices[row])
    if nearest != session.frame:
        return tr("nearest fitted frame: {nearest}", nearest=nearest)
    if session.live is not None:
        return tr("fitting…")
    if residual_mm is None:
        return tr("fitted")
    return tr("residual {length}", length=length_text(1e-3 * residual_mm, session.unit))


def _canonical(session: Session) -> str:
    if session.replayed is not None:
        return tr("identity in round {round}", round=session.replayed.round)
    if session.edited is not None:
        if session.edited.preview:
            return tr("preview")
        return tr("edited identity") if session.fit is not None else tr("model body")
    if session.fit is not None and session.live is None:
        return tr("fitted identity")
    return tr("mean body of the model") if session.mean_body is not None else tr("no model loaded yet")
