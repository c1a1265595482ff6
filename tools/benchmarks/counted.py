"""What a step costs that no clock has to tell: figures that do not scatter and need no GPU.

Counted over two steps of a bf16-mixed cell → Counts(operations=1204, reads=2, cast=91.2e6), each of a step
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

# Operations whose result the host has to know before it goes on: on a device each waits for all that was sent before.
READS = frozenset(
    "_local_scalar_dense nonzero equal masked_select is_nonzero _unique2 unique_dim repeat_interleave".split()
)


@dataclass(frozen=True)
class Counts:
    """Of a step: dispatched operations, values the host reads back, bytes of weights cast to another precision."""

    operations: float
    reads: float
    cast: float


class Counter(TorchDispatchMode):
    """Counts what is dispatched while it is entered; `weights` are those whose casts count."""

    def __init__(self, weights: list[torch.nn.Parameter]):
        super().__init__()
        self.places = {weight.data_ptr() for weight in weights}
        self.operations = self.reads = self.cast = 0

    def of(self, steps: int) -> Counts:
        return Counts(self.operations / steps, self.reads / steps, self.cast / steps)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = func.overloadpacket.__name__
        result = func(*args, **kwargs)
        self.operations += not func.is_view
        self.reads += name in READS or (name == "index" and any(_is_mask(index) for index in args[1]))
        if name == "_to_copy":
            source = args[0]
            self.reads += source.device.type != "cpu" and result.device.type == "cpu"
            if source.data_ptr() in self.places and result.dtype != source.dtype:
                self.cast += source.numel() * source.element_size()
        return result


def _is_mask(index: torch.Tensor | None) -> bool:
    return index is not None and index.dtype == torch.bool
