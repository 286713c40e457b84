"""What is wrong with a folder of meshes, before anything is trained on them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from spams_core.errors import InputError
from spams_core.settings import json_ready

__all__ = ["Finding", "Level", "MeshReport"]

Level = Literal["fatal", "warning", "note"]


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong or worth knowing.

    Attributes:
        level: fatal: no training is possible; warning: it will suffer; note: good to know.
        about: scale, orientation, labels, correspondence, intersections, holes, poses, files.
        file: Which file or folder.
        message: What is wrong with it.
        remedy: What to do.
    """

    level: Level
    about: str
    file: str
    message: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.file}: {self.message} {self.remedy}".rstrip()


@dataclass(frozen=True)
class MeshReport:
    """What a folder of meshes holds and what is wrong with it.

    Attributes:
        path: The folder.
        facts: identities, poses, vertices, triangles, parts, size_m, and more where nothing is fatal.
        findings: The worst first.
    """

    path: Path
    facts: dict[str, Any]
    findings: tuple[Finding, ...]

    @property
    def fatal(self) -> tuple[Finding, ...]:
        """The findings that keep the meshes from training."""
        return tuple(found for found in self.findings if found.level == "fatal")

    def summary(self) -> dict[str, Any]:
        """The report as data that JSON can hold."""
        counts = Counter(found.level for found in self.findings)
        levels = {level: counts[level] for level in ("fatal", "warning", "note")}
        plain: dict[str, Any] = json_ready(
            {"path": self.path, **self.facts, "counts": levels, "findings": [vars(found) for found in self.findings]}
        )
        return plain

    def text(self) -> list[str]:
        """The report as lines for people."""
        facts = self.facts
        told = [f"{facts['identities']} identities in {facts['poses']} poses, parts: {', '.join(facts['parts'])}"]
        if "size_m" in facts:
            told.append(
                f"{facts['vertices']} vertices, {facts['triangles']} triangles, about {facts['size_m']:.3g} m large"
            )
        told += [f"{found.level}, {found.about}: {found}" for found in self.findings]
        return told if self.findings else [*told, "No problem was found."]

    def require_usable(self) -> None:
        """Refuse meshes with fatal findings.

        Raises:
            InputError: There are some; it tells the first three.
        """
        if self.fatal:
            more = len(self.fatal) - 3
            rest = f" And {more} more; --report FILE.json lists all." if more > 0 else ""
            raise InputError(" ".join(map(str, self.fatal[:3])) + rest)
