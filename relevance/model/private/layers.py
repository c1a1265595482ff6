"""What every kind of private layers has: branches, and the slices of the batch that is passing through."""

from torch import nn

from relevance.model.private.slices import Slices


class PrivateLayers(nn.Module):
    """Abstract. `branches[task]` holds the modules of one task; kind=shared has one branch for all.

    `slices` is set before each forward pass; where blocks are checkpointed, the backward pass reads it again, so that
    it has to follow its own forward pass.
    """

    halves = True  # whether their weights are kept in bfloat16 under trainer.precision=bf16-true

    def __init__(self, branches: nn.ModuleList):
        super().__init__()
        self.branches = branches
        self.slices: Slices = []

    def gates(self) -> list[nn.Parameter]:
        """Parameters that open from zero, at a rate of their own."""
        return []
