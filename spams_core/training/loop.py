"""The one training loop: Adam, cosine learning rate, checkpoints that resume bit for bit, progress, history."""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from spams_core.errors import InputError
from spams_core.io.archive import Archive, read_archive, write_archive
from spams_core.progress import Progress, Task

__all__ = ["History", "LoopSettings", "Problem", "run_training"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class LoopSettings:
    """How long to train and how often to save."""

    steps: int = 10_000
    """Optimiser steps altogether; the learning rate falls along a cosine over them."""
    checkpoint_every_s: float = 120.0
    """Seconds between checkpoints; a killed training goes on from the last one."""
    validate_every: int = 500
    """Steps between validations."""
    gradient_clip: float = 1.0
    """Largest norm of the whole gradient; larger ones are scaled down."""

    def __post_init__(self) -> None:
        if self.steps < 1 or self.validate_every < 1 or self.checkpoint_every_s <= 0 or self.gradient_clip <= 0:
            raise InputError("training: steps, validate_every, checkpoint_every_s and gradient_clip must be positive.")


class Problem(Protocol):
    """What is trained: the loop knows nothing else about a network."""

    @property
    def module(self) -> nn.Module:
        """All parameters and buffers, codes included."""

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Adam's groups, each with "params" and the starting "lr"."""

    def losses(self, step: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Weighted loss terms of one batch; their sum is minimised. Every random draw takes `generator`."""

    def validate(self) -> dict[str, float]:
        """Figures on held-out data, in units that a person understands; draws nothing from the loop's generator."""


@dataclass(frozen=True)
class History:
    """Training curves.

    Attributes:
        losses: (step, {term: value}) averaged between validations.
        validation: (step, {figure: value}).
        seconds: Time spent, resumed runs included.
        steps: Steps done.
    """

    losses: list[tuple[int, dict[str, float]]]
    validation: list[tuple[int, dict[str, float]]]
    seconds: float
    steps: int

    def manifest(self) -> dict[str, Any]:
        """The history as data for an archive's manifest."""
        return {"losses": self.losses, "validation": self.validation, "seconds": self.seconds, "steps": self.steps}


def run_training(
    problem: Problem, settings: LoopSettings, checkpoint: Path, *, seed: int, fingerprint: dict[str, Any]
) -> Task[History]:
    """Minimise a problem's losses; on the same machine a resumed run equals an uninterrupted one bit for bit.

    A run may be resumed with another number of steps; the learning rate then follows the new cosine from there.

    Args:
        problem: What is trained; changed in place.
        settings: Length and rhythm.
        checkpoint: Archive folder that is rewritten while training and continued when it exists.
        seed: Seeds the generator of all batches.
        fingerprint: What must agree between a checkpoint and this run: settings, input hashes.

    Raises:
        InputError: The checkpoint was made with other settings or inputs.
    """
    module = problem.module
    optimizer = torch.optim.Adam(problem.parameter_groups())
    start_rates = [group["lr"] for group in optimizer.param_groups]
    device = next(module.parameters()).device
    generator = torch.Generator().manual_seed(seed)
    losses: list[tuple[int, dict[str, float]]] = []
    validation: list[tuple[int, dict[str, float]]] = []
    first, seconds_before = 0, 0.0
    if checkpoint.exists():
        first, seconds_before, losses, validation = _load(checkpoint, module, optimizer, generator, fingerprint)
        logger.info("resuming %s at step %d of %d", checkpoint, first, settings.steps)
    started = saved = time.perf_counter()
    sums: dict[str, float] = {}
    for step in range(first, settings.steps):
        scale = 0.5 * (1 + math.cos(math.pi * step / settings.steps))
        for group, rate in zip(optimizer.param_groups, start_rates, strict=True):
            group["lr"] = rate * max(scale, 0.01)
        terms = problem.losses(step, generator)
        total = torch.stack(list(terms.values())).sum()
        optimizer.zero_grad(set_to_none=True)
        total.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(module.parameters(), settings.gradient_clip)
        optimizer.step()
        for name, value in terms.items():
            sums[name] = sums.get(name, 0.0) + float(value.detach())
        done = step + 1
        metrics = {name: float(value.detach()) for name, value in terms.items()}
        if done % settings.validate_every == 0 or done == settings.steps:
            since = done - (losses[-1][0] if losses else 0)
            losses.append((done, {name: value / since for name, value in sums.items()}))
            sums = {}
            module.eval()
            figures = problem.validate()
            module.train()
            validation.append((done, figures))
            logger.info("step %d: %s %s", done, _short(losses[-1][1]), _short(figures))
            metrics = {**metrics, **figures}
        now = time.perf_counter()
        # Saving only where averages start anew keeps a resumed history equal to an uninterrupted one.
        if not sums and (now - saved > settings.checkpoint_every_s or done == settings.steps):
            _save(
                checkpoint, module, optimizer, generator, done, seconds_before + now - started, losses, validation,
                fingerprint,
            )  # fmt: skip
            saved = now
        yield Progress(done, settings.steps, "Training", metrics)
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return History(losses, validation, seconds_before + time.perf_counter() - started, settings.steps)


def _short(figures: dict[str, float]) -> str:
    return " ".join(f"{name} {value:.4g}" for name, value in figures.items())


def _named(parameters: Iterable[tuple[str, Tensor]]) -> dict[str, np.ndarray[Any, Any]]:
    return {name: value.detach().cpu().numpy() for name, value in parameters}


def _save(
    path: Path,
    module: nn.Module,
    optimizer: torch.optim.Optimizer,
    generator: torch.Generator,
    step: int,
    seconds: float,
    losses: list[Any],
    validation: list[Any],
    fingerprint: dict[str, Any],
) -> None:
    arrays = {f"module/{name}": value for name, value in _named(module.state_dict().items()).items()}
    for index, state in optimizer.state_dict()["state"].items():
        arrays |= {f"adam/{index}/{name}": value.cpu().numpy() for name, value in state.items()}
    arrays["generator"] = generator.get_state().numpy()
    manifest = {
        "step": step, "seconds": seconds, "losses": losses, "validation": validation, "fingerprint": fingerprint,
    }  # fmt: skip
    write_archive(path, "checkpoint", manifest, arrays, replace=True)


def _load(
    path: Path,
    module: nn.Module,
    optimizer: torch.optim.Optimizer,
    generator: torch.Generator,
    fingerprint: dict[str, Any],
) -> tuple[int, float, list[Any], list[Any]]:
    archive = read_archive(path, "checkpoint")
    try:
        return _restore(archive, module, optimizer, generator, fingerprint)
    except (KeyError, ValueError, TypeError, RuntimeError) as error:
        raise InputError(f"{path} is corrupted. Remove it to start the training anew.") from error


def _restore(
    archive: Archive,
    module: nn.Module,
    optimizer: torch.optim.Optimizer,
    generator: torch.Generator,
    fingerprint: dict[str, Any],
) -> tuple[int, float, list[Any], list[Any]]:
    path = archive.path
    if archive.manifest["fingerprint"] != json.loads(json.dumps(fingerprint)):
        raise InputError(f"{path} was made with other settings or data. Remove it to start anew, or give another name.")
    module.load_state_dict({name: torch.from_numpy(value) for name, value in archive.arrays("module/").items()})
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in archive.arrays("adam/").items():
        index, key = name.split("/")
        state.setdefault(int(index), {})[key] = torch.from_numpy(value)
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})
    generator.set_state(torch.from_numpy(archive.array("generator")))
    manifest = archive.manifest
    pairs = [[(int(step), dict(figures)) for step, figures in manifest[key]] for key in ("losses", "validation")]
    return int(manifest["step"]), float(manifest["seconds"]), pairs[0], pairs[1]
