"""A cell's config → the network it trains and its tokenizer: backbone, private layers, adapters, heads; first tried.

It is tried on four rows of 12, 6, 9 and 4 tokens, padded to 12, the first of task 0, the others of task 3; on each of
them alone; then on a row of model.max_length tokens beside a short one. What it cannot do ends here, with the reason.
"""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from transformers.pytorch_utils import Conv1D

from relevance.config import HALF, MIXED, Attention, Config, Family, ModelConfig, PrivateKind
from relevance.errors import UserError, first_line
from relevance.model.ahead import leave_masks_unread
from relevance.model.architectures import adapter_targets, blocks
from relevance.model.backbone import backbone_folder
from relevance.model.network import Network, detach
from relevance.model.pretrained import check_vocabulary, classifier_of, load_tokenizer
from relevance.model.private import Inputs, PrivateLayers, Slices
from relevance.model.private.inserted import Inserted
from relevance.model.private.lora import TaskLora
from relevance.model.private.mtl_lora import TaskMatrices
from relevance.model.private.soft_prompt import SoftPrompt
from relevance.model.private.top import Top
from relevance.model.weight_files import shapes_of
from relevance.tasks import TASK_NAMES

# (trunk, config, a batch to try blocks on, names of a saved cell's weights; null: a new cell) → the layers, attached
Kind = Callable[[PreTrainedModel, Config, Inputs, list[str] | None], PrivateLayers]
KINDS: dict[PrivateKind, Kind] = {
    PrivateKind.inserted: Inserted,
    PrivateKind.shared: Inserted,
    PrivateKind.top: Top,
    PrivateKind.lora: TaskLora,
}
# Four rows, as most models have a multiple of four heads: neither must pass for the other
TRIAL_LENGTHS = (12, 6, 9, 4)
TRIAL_SLICES: Slices = [(0, 0, 1), (3, 1, 4)]
ALIKE, ROUGH = 1e-4, 0.05  # of the largest hidden state: what rounding may change beside other rows; so in 4 bits


def halves_frozen(config: Config) -> bool:
    """Whether what a cell freezes is in bfloat16 as it trains and as it scores."""
    model = config.model
    return bool(
        config.trainer.precision == MIXED and model.lora.r and not model.load_in_4bit and not model.frozen_float32
    )


def build_network(config: Config, saved: Path | None = None) -> tuple[Network, PreTrainedTokenizerBase]:
    """The network a cell trains and its tokenizer, from the backbone's pretrained weights.

    `saved` is the folder of a cell whose own weights are to be loaded: a whole trunk starts without the backbone's.
    Raises UserError where the backbone does not support the routing.
    """
    leave_masks_unread()
    model = config.model
    trained = saved / "trunk" if saved and not model.lora.r else None
    path = trained or backbone_folder(config)
    tokenizer = load_tokenizer(saved / "tokenizer" if saved else path, model)
    classifier = classifier_of(path, model, tokenizer.pad_token_id, weights=trained is None)
    trunk, heads = detach(classifier, len(TASK_NAMES) if config.routing.heads else 1, model.pooling)
    check_vocabulary(trunk, tokenizer, model)
    inputs = example(trunk, tokenizer, model, TRIAL_LENGTHS)
    last, alike = blocks(trunk)[-1], ROUGH if model.load_in_4bit else ALIKE
    try:
        network = _assembled(trunk, heads, config, inputs, saved)
        try_network(network, inputs, last, alike)
        if model.attention is Attention.bidirectional:
            try_attention(network, inputs)
    except (RuntimeError, TypeError, ValueError, AttributeError, LookupError) as error:
        raise _unsupported(config, classifier.config.model_type, error) from error
    if saved is None:  # else it was read before it was trained, and a folder's config may say any length
        read_longest(network, example(trunk, tokenizer, model, (model.max_length, 5)), model, alike)
    if config.trainer.precision == HALF:
        network.halve()
    elif halves_frozen(config) and not saved:  # a saved one may be merged and written: it stays in float32
        network.halve_frozen()
    return network.train(), tokenizer  # from_pretrained leaves dropout off


def _assembled(
    trunk: PreTrainedModel, heads: nn.ModuleList, config: Config, inputs: Inputs, saved: Path | None
) -> Network:
    """Trunk, private layers, adapters and heads as one, on the device of `inputs`."""
    if config.model.gradient_checkpointing:
        trunk.activation_checkpointing_enable({"use_reentrant": False})
    routing, private = config.routing, None
    if routing.private.layers:
        names = list(shapes_of(saved / "private.safetensors")) if saved else None
        private = KINDS[routing.private.kind](trunk, config, inputs, names)
    elif routing.prompt.k:
        private = SoftPrompt(trunk, config)
    adapted = _with_lora(trunk, config, private) if config.model.lora.r else trunk
    if routing.task_matrix:
        private = TaskMatrices(adapted)
    network = Network(adapted, heads, private, positions=config.model.family is Family.llm)
    return network.to(inputs["input_ids"].device)


def _unsupported(config: Config, architecture: str, error: Exception) -> UserError:
    model, routing, private = config.model, config.routing, config.routing.private
    layers = f" with routing.private.kind={private.kind} layers={private.layers}" if private.layers else ""
    return UserError(
        f"model.backbone={model.backbone}: {architecture} cannot run routing={routing.name}{layers} "
        f"({type(error).__name__}: {first_line(error)}); choose another routing or backbone"
        f"{', or other model.lora.targets' if model.lora.r else ''}"
    )


def _with_lora(trunk: PreTrainedModel, config: Config, private: PrivateLayers | None) -> nn.Module:
    from peft import LoraConfig as PeftLora
    from peft import get_peft_model, prepare_model_for_kbit_training

    lora = config.model.lora
    settings = PeftLora(
        r=lora.r,
        lora_alpha=lora.alpha,  # type: ignore[arg-type]  # peft divides it by r: a float is as good
        lora_dropout=lora.dropout,
        target_modules=adapter_targets(trunk, lora.targets),
        exclude_modules=list(private.targets) if private is not None and private.targets else None,
        use_dora=lora.use_dora,
        use_rslora=lora.use_rslora,
        fan_in_fan_out=any(isinstance(part, Conv1D) for part in trunk.modules()),
    )
    if config.model.load_in_4bit:
        trunk = prepare_model_for_kbit_training(trunk, config.model.gradient_checkpointing, {"use_reentrant": False})
    return get_peft_model(trunk, settings)


def example(
    trunk: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, model: ModelConfig, lengths: tuple[int, ...]
) -> Inputs:
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
def try_network(network: Network, inputs: Inputs, last: nn.Module, alike: float) -> None:
    """RuntimeError where rows together and alone differ by more than `alike`; `last` is the last block."""
    calls: list[int] = []
    handle = last.register_forward_pre_hook(lambda *_: calls.append(1))
    logits = network.eval()(inputs, TRIAL_SLICES)
    handle.remove()
    if logits.shape != (len(TRIAL_LENGTHS), 3):
        raise RuntimeError(f"its head gives {list(logits.shape)} for {len(TRIAL_LENGTHS)} rows and three labels")
    if network.private is not None and len(calls) > 2:  # two tasks: kind=top calls two copies
        raise RuntimeError("its layers share one block, so that no place is the last")
    if network.private is not None and not calls:
        raise RuntimeError("its longest list of blocks is not the one that texts pass through")
    if (apart := _apart(network, inputs, TRIAL_SLICES)) > alike:
        raise RuntimeError(f"a row's hidden states change by {apart:.1%} with the padding of the rows beside it")
    if (network(_with_other_end(inputs), TRIAL_SLICES) == logits).all(dim=1).any():
        raise RuntimeError("what it says of a text does not depend on the text's last token")


@torch.no_grad()
def try_attention(network: Network, inputs: Inputs) -> None:
    """RuntimeError where a state in front of a row's last token does not depend on that token."""
    moved = network.states(inputs, TRIAL_SLICES) - network.states(_with_other_end(inputs), TRIAL_SLICES)
    before = inputs["attention_mask"].roll(-1, 1).bool() & inputs["attention_mask"].bool()
    before[:, -1] = False
    if not moved.abs().amax(-1)[before].all():
        raise RuntimeError("under model.attention=bidirectional its states do not read the tokens behind them")


@torch.no_grad()
def read_longest(network: Network, inputs: Inputs, model: ModelConfig, alike: float) -> None:
    """`inputs`: a row of model.max_length tokens beside a short one; UserError where the backbone cannot read it."""
    setting = f"model.max_length={model.max_length}: model.backbone={model.backbone}"
    try:
        apart = _apart(network, inputs, [(0, 0, 2)], first=1)
    except (RuntimeError, IndexError, ValueError) as error:
        raise UserError(
            f"{setting} cannot read as many tokens ({type(error).__name__}: {first_line(error)}); lower it"
        ) from error
    if apart > alike:  # rope of type dynamic or longrope turns by the longest row
        raise UserError(
            f"{setting} reads a short text otherwise beside so long a one (hidden states change by {apart:.1%}); lower "
            "it to the length its positions were trained for"
        )


def _apart(network: Network, inputs: Inputs, slices: Slices, first: int = 0) -> float:
    """How far states of rows alone are from those beside others, as a share of the largest; of rows from `first` on."""
    together, lengths, worst = network.states(inputs, slices), inputs["attention_mask"].sum(1).tolist(), 0.0
    for task, start, stop in slices:
        for row in range(max(start, first), stop):
            cut = {name: tensor[row : row + 1, : lengths[row]] for name, tensor in inputs.items()}
            alone = network.states(cut, [(task, 0, 1)])[0]
            apart = (together[row, : lengths[row]] - alone).abs().max() / alone.abs().max().clamp(min=1e-9)
            worst = max(worst, float(apart))
    return worst


def _with_other_end(inputs: Inputs) -> Inputs:
    """The same rows, the last real token of each the one before it."""
    ids, last = inputs["input_ids"].clone(), inputs["attention_mask"].sum(1) - 1
    rows = torch.arange(len(ids), device=ids.device)
    ids[rows, last] = ids[rows, last - 1]
    return {**inputs, "input_ids": ids}
