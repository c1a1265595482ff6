"""A new network tried on a few rows before it trains: what it cannot do ends here, with the reason.

three rows of 12, 6 and 9 tokens, padded to 12, of tasks 0, 0 and 3; each of them alone; one row of model.max_length
"""

import torch
from torch import nn

from relevance.config import Family, ModelConfig
from relevance.errors import UserError, first_line
from relevance.model.network import Network
from relevance.model.private.slices import Slices

LENGTHS = (12, 6, 9)
TASKS: Slices = [(0, 0, 2), (3, 2, 3)]
ALIKE, ROUGH = 1e-3, 0.05  # of the largest hidden state: what rounding may change beside other rows; so in 4 bits


def example(trunk: nn.Module, tokenizer, model: ModelConfig) -> dict[str, torch.Tensor]:
    """The three rows, on the trunk's device, padded on the right as a batch is."""
    lengths = torch.tensor(LENGTHS)[:, None]
    mask = (torch.arange(max(LENGTHS)) < lengths).long()
    ids = torch.arange(1, mask.numel() + 1).reshape(mask.shape) % trunk.config.get_text_config().vocab_size
    inputs = {"input_ids": torch.where(mask.bool(), ids, tokenizer.pad_token_id), "attention_mask": mask}
    if model.family is Family.ce and "token_type_ids" in tokenizer.model_input_names:
        inputs["token_type_ids"] = (torch.arange(max(LENGTHS)) > 1).long() * mask
    device = next(trunk.parameters()).device
    return {name: tensor.to(device) for name, tensor in inputs.items()}


@torch.no_grad()
def attempt(network: Network, inputs: dict[str, torch.Tensor], last: nn.Module, alike: float) -> None:
    """Run the rows together and alone; RuntimeError where the result cannot be what it should.

    `last` is the trunk's last block; hidden states may differ by `alike` of the largest.
    """
    calls: list[int] = []
    handle = last.register_forward_pre_hook(lambda *_: calls.append(1))
    logits = network.eval()(inputs, TASKS)
    handle.remove()
    if logits.shape != (3, 3):
        raise RuntimeError(f"its head gives {list(logits.shape)} for three rows and three labels")
    if network.private is not None and len(calls) > 2:  # two tasks: kind=top calls two copies
        raise RuntimeError("its layers share one block, so that no place is the last")
    if network.private is not None and not calls:
        raise RuntimeError("its longest list of blocks is not the one that texts pass through")
    if (apart := _apart(network, inputs)) > alike:
        raise RuntimeError(f"a row's hidden states change by {apart:.1%} with the padding of the rows beside it")


def _apart(network: Network, inputs: dict[str, torch.Tensor]) -> float:
    """How far the states of a row alone are from those of the same row beside others, as a share of the largest."""
    together, worst = network.states(inputs, TASKS), 0.0
    for row, (length, task) in enumerate(zip(LENGTHS, (0, 0, 3), strict=True)):
        cut = {name: tensor[row : row + 1, :length] for name, tensor in inputs.items()}
        alone = network.states(cut, [(task, 0, 1)])[0]
        worst = max(worst, float((together[row, :length] - alone).abs().max() / alone.abs().max().clamp(min=1e-9)))
    return worst


@torch.no_grad()
def read_longest(network: Network, inputs: dict[str, torch.Tensor], model: ModelConfig) -> None:
    """One row of model.max_length tokens; UserError where the backbone has no places for so many."""
    long = {name: tensor[:1, :1].expand(1, model.max_length) for name, tensor in inputs.items()}
    try:
        network.states(long, [(0, 0, 1)])
    except (RuntimeError, IndexError, ValueError) as error:
        raise UserError(
            f"model.max_length={model.max_length}: model.backbone={model.backbone} cannot read as many tokens "
            f"({type(error).__name__}: {first_line(error)}); lower it"
        ) from error
