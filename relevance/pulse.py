"""The sign of life of a run in training: its tag `pulse` → how far it is.

{"pulse": '{"at": 1764075600, "epoch": 2, "epochs": 3, "step": 120, ...}'} → Pulse(at=1764075600.0, epoch=2.0, ...)
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True)
class Pulse:
    """What a run last said of itself; None: it did not say."""

    at: float  # unix seconds
    epoch: float | None = None
    epochs: float | None = None
    step: float | None = None
    steps: float | None = None
    rows_per_second: float | None = None
    seconds_left: float | None = None


def pulse(tags: Mapping[str, str]) -> Pulse | None:
    """The pulse among the tags of a run; None where there is none, or none that can be read."""
    try:
        said = json.loads(tags.get("pulse", ""))
    except ValueError:
        return None
    numbers = {field.name: _number(said.get(field.name)) for field in fields(Pulse)} if isinstance(said, dict) else {}
    return Pulse(**numbers) if numbers.get("at") is not None else None


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None
