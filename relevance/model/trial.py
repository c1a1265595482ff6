"""A new network tried on a few rows before it trains: what it cannot do ends here, with the reason.

four rows of 12, 6, 9 and 4 tokens, padded to 12, the first of task 0, the others of task 3; each of them alone; then a
row of model.max_length tokens beside a short one
"""

import torch
from torch import nn

from relevance.config import Family, ModelConfig
from relevance.errors import UserError, first_line
from relevance.model.network import Network
from relevance.model.private.slices import Slices

LENGTHS = (12, 6, 9, 4)  # four rows, as most models have a multiple of four heads: neither must pass for the other
TASKS: Slices = [(0, 0, 1), (3, 1, 4)]
ALIKE, ROUGH = 1e-4, 0.05  # of the largest hidden state: what rounding may change beside other rows; so in 4 bits


def example(trunk: nn.Module, tokenizer, model: ModelConfig, lengths: tuple[int, ...]) -> dict[str, torch.Tensor]:
    """Rows of these lengths on the trunk's device, padded on the right as a batch is; no real token is the pad's."""
    mask = (torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]).long()
    pad = tokenizer.pad_token_id
    ids = torch.arange(mask.numel()).reshape(mask.shape) % (trunk.config.get_text_config().vocab_size - 1)
    inputs = {"input_ids": torch.where(mask.bool(), ids + (ids >= pad), pad), "attention_mask": mask}
    if model.family is Family.ce and "token_type_ids" in tokenizer.model_input_names:
        inputs["token_type_ids"] = (torch.arange(max(lengths)) > 1).long() * mask
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
    if logits.shape != (len(LENGTHS), 3):
        raise RuntimeError(f"its head gives {list(logits.shape)} for {len(LENGTHS)} rows and three labels")
    if network.private is not None and len(calls) > 2:  # two tasks: kind=top calls two copies
        raise RuntimeError("its layers share one block, so that no place is the last")
    if network.private is not None and not calls:
        raise RuntimeError("its longest list of blocks is not the one that texts pass through")
    if (apart := _apart(network, inputs, TASKS)) > alike:
        raise RuntimeError(f"a row's hidden states change by {apart:.1%} with the padding of the rows beside it")
    if (network(_ending_otherwise(inputs), TASKS) == logits).all(dim=1).any():
        raise RuntimeError("what it says of a text does not depend on the text's last token")


@torch.no_grad()
def read_longest(network: Network, inputs: dict[str, torch.Tensor], model: ModelConfig, alike: float) -> None:
    """`inputs`: a row of model.max_length tokens beside a short one; UserError where the backbone cannot read it."""
    given = f"model.max_length={model.max_length}: model.backbone={model.backbone}"
    try:
        apart = _apart(network, inputs, [(0, 0, 2)], first=1)
    except (RuntimeError, IndexError, ValueError) as error:
        raise UserError(
            f"{given} cannot read as many tokens ({type(error).__name__}: {first_line(error)}); lower it"
        ) from error
    if apart > alike:  # rope of type dynamic or longrope turns by the longest row
        raise UserError(
            f"{given} reads a short text otherwise beside so long a one (hidden states change by {apart:.1%}); lower "
            "it to the length its positions were trained for"
        )


def _apart(network: Network, inputs: dict[str, torch.Tensor], slices: Slices, first: int = 0) -> float:
    """How far states of rows alone are from those beside others, as a share of the largest; of rows from `first` on."""
    together, lengths, worst = network.states(inputs, slices), inputs["attention_mask"].sum(1).tolist(), 0.0
    for task, start, stop in slices:
        for row in range(max(start, first), stop):
            cut = {name: tensor[row : row + 1, : lengths[row]] for name, tensor in inputs.items()}
            alone = network.states(cut, [(task, 0, 1)])[0]
            apart = (together[row, : lengths[row]] - alone).abs().max() / alone.abs().max().clamp(min=1e-9)
            worst = max(worst, float(apart))
    return worst


def _ending_otherwise(inputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The same rows, the last real token of each the one before it."""
    ids, last = inputs["input_ids"].clone(), inputs["attention_mask"].sum(1) - 1
    rows = torch.arange(len(ids), device=ids.device)
    ids[rows, last] = ids[rows, last - 1]
    return {**inputs, "input_ids": ids}
