"""For a device that computes while the host goes on (CUDA): nothing is read back from it in every step.

step 0 … step 15: loss and gradient norm stay on the device → read at once → their curves, or the first bad step's error
"""

from dataclasses import dataclass, field
from typing import Any

import torch
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS, AttentionMaskInterface, sdpa_mask

from relevance import distributed

EVERY = 16  # steps between two readings


def runs_ahead(device: torch.device) -> bool:
    """Whether the host would wait for this device by reading a number of it."""
    return device.type == "cuda"


@dataclass(frozen=True)
class Seen:
    """Loss and gradient norm [2] of a step, on its device, and the rows of its micro-batches."""

    step: int
    epoch: int
    values: torch.Tensor
    rows: list[torch.Tensor]


@dataclass
class Watch:
    """Steps that nobody has read yet."""

    steps: list[Seen] = field(default_factory=list)

    def due(self) -> bool:
        """Whether to read: always, where reading costs no waiting."""
        return bool(self.steps) and (len(self.steps) >= EVERY or not runs_ahead(self.steps[0].values.device))

    def read(self) -> list[tuple[Seen, list[float]]]:
        """The steps and their numbers, which are then forgotten; FloatingPointError for the first that has none."""
        steps, self.steps = self.steps, []
        numbers = torch.stack([seen.values for seen in steps]).tolist() if steps else []
        read = list(zip(steps, numbers, strict=True))
        for seen, values in read:
            if not torch.tensor(values).isfinite().all():
                raise _error(seen, values)
        return read


def _error(seen: Seen, values: list[float]) -> FloatingPointError:
    named = zip(("loss", "gradient_norm"), values, strict=True)
    wrong = [f"{name} is {value}" for name, value in named if not -float("inf") < value < float("inf")]
    rows = distributed.gathered(torch.cat(seen.rows)).tolist()
    error = FloatingPointError(
        f"{', '.join(wrong)} at step {seen.step}, rows {rows[:8]} and {max(0, len(rows) - 8)} more; "
        "lower model.lr, lengthen train.warmup, or set trainer.precision=32-true"
    )
    error.add_note(f"rows of the step: {rows}")  # all of them, for the traceback in the cell's folder
    return error


def leave_masks_unread() -> None:
    """From now on transformers makes the mask of a batch on such a device without asking first whether it hides any.

    The answer lets it leave out a mask that hides nothing; each layer's kind of mask waits for it in every pass.
    """
    if ALL_MASK_ATTENTION_FUNCTIONS["sdpa"] is sdpa_mask:
        AttentionMaskInterface.register("sdpa", _mask)


def _mask(attention_mask: torch.Tensor | None = None, **settings: Any) -> torch.Tensor | None:
    if attention_mask is not None and runs_ahead(attention_mask.device):
        settings |= {"allow_is_causal_skip": False, "allow_is_bidirectional_skip": False}
    return sdpa_mask(attention_mask=attention_mask, **settings)
