"""A cell's model folder → folders that transformers or peft load, each with its input template and its parity.

outputs/cells/9f2c…/model, task=query_type → query_type/{config.json, model.safetensors, tokenizer…, template.json}

template.json says how a reader without this project makes the same input:
{"task": "item_type", "input_ids": "before + prefix + ids(left) + ...", "before": [2], ..., "examples": [...]}
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from transformers import AutoModelForSequenceClassification

from relevance.atomic_io import atomic_folder
from relevance.config import HALF, MIXED, Config
from relevance.data.batches import collate, unlabelled
from relevance.data.tokens import Reading, Template, pair_frame, prefix_ids, segments
from relevance.errors import UserError
from relevance.export.adapter import pad_beside_end, write_adapter
from relevance.export.classifier import plain_classifier
from relevance.model.network import Network
from relevance.model.pretrained import load_tokenizer
from relevance.model.store import load_network
from relevance.tasks import LABELS, TASK_INDEX

LIMIT = 1e-4  # between a logit of the cell and of the folder read back
PAIRS = (  # of unequal length, to compare logits on
    ("usb c cable", "Volt USB-C cable 2 m, black"),
    ("red lamp", "chair"),
    ("a", "steel desk lamp with dimmer, 40 W"),
)
PAD = "<|pad|>"
IDS_OF_TEXT = "tokenizer(text, add_special_tokens=False, split_special_tokens=True)"
SEGMENTS = "0 up to and with between, 1 from right on"
LOADING = {  # in float32, whatever the backbone's own weights are kept in: bfloat16 moves a logit by some 0.03
    "merged": "AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32)",
    "adapter": "AutoPeftModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32, num_labels=3, "
    "pad_token_id={pad})",
}
AS_TRAINED = {  # how a reader gets the hidden states of a cell in bfloat16
    MIXED: "under torch.autocast(model.device.type, torch.bfloat16)",
    HALF: "loaded with dtype=torch.bfloat16",
}


@dataclass(frozen=True)
class Exported:
    """One folder that was written."""

    folder: Path
    difference: float  # largest, of a logit, both computed in float32


def export(model: Path, task: str, form: str, output: Path, trust_remote_code: bool = False) -> Exported:
    """Write one task's slice of the cell in `model` to `output`, read it back, and compare.

    Raises UserError where the cell or its architecture allows no such folder, or the logits differ by more than LIMIT.
    """
    with atomic_folder(output) as part:
        difference = _write(model, task, form, part, trust_remote_code)
        if output.is_dir():
            output.rmdir()  # empty, or the command had rejected it
    return Exported(output, difference)


def _write(model: Path, task: str, form: str, output: Path, trust_remote_code: bool) -> float:
    network, config = load_network(model, trust_remote_code)
    network.float()  # trainer.precision=bf16-true kept its trunk in bfloat16
    tokenizer, reading = load_tokenizer(model / "tokenizer", config.model), Reading.of(model)
    _admit(network, config, reading, task)
    expected = _logits(network, _inputs(tokenizer, reading.template, task), TASK_INDEX[task])
    if form == "adapter":
        pad_beside_end(tokenizer)
        write_adapter(network, config, task, output)
    else:
        exported = plain_classifier(network, config, task)
        _pad_apart(exported, tokenizer)
        exported.save_pretrained(output)
    tokenizer.save_pretrained(output)
    inputs = _inputs(tokenizer, reading.template, task)
    difference = float((_read_back(output, form, inputs, tokenizer.pad_token_id) - expected).abs().max())
    if difference > LIMIT:
        raise UserError(
            f"{form} of {task}: read back, its logits differ by {difference:.1e} (allowed {LIMIT:.0e}); "
            f"{config.model.backbone} does not allow this form; use relevance.predict or the served model"
        )
    content = {
        "task": task,
        "labels": list(LABELS),
        **_loading(config, form, tokenizer.pad_token_id),
        **_recipe(tokenizer, reading.template, task),
        "examples": _examples(inputs, expected),
    }
    _write_template(output, content)
    return difference


def _admit(network: Network, config: Config, reading: Reading, task: str) -> None:
    if config.routing.heads and reading.unknown([task]):
        raise UserError(f"task={task}: its head was never trained; this cell knows {', '.join(reading.tasks)}")
    if type(network.heads[0].classifier).__module__.startswith("transformers_modules"):
        raise UserError(
            f"{config.model.backbone}: its model is code of its own, which no plain folder holds; "
            "use relevance.predict or the served model"
        )


def _inputs(tokenizer, template: Template, task: str) -> dict[str, torch.Tensor]:
    """PAIRS as the cell's own code gives them to its network."""
    left, right = zip(*PAIRS, strict=True)
    table = pa.table({"task": [task] * len(PAIRS), "left": left, "right": right})
    return collate(unlabelled(table, tokenizer, template), np.arange(len(PAIRS))).inputs


@torch.no_grad()
def _logits(network: Network, inputs: dict[str, torch.Tensor], task: int) -> torch.Tensor:
    return network(inputs, [(task, 0, len(PAIRS))])


def _pad_apart(model, tokenizer) -> None:
    """A pad token of its own where it was the end token: transformers finds the last real token by its id."""
    if tokenizer.pad_token_id == tokenizer.eos_token_id:
        tokenizer.add_special_tokens({"pad_token": PAD})
        model.resize_token_embeddings(max(len(tokenizer), model.get_input_embeddings().num_embeddings))
        model.config.get_text_config().pad_token_id = tokenizer.pad_token_id


@torch.no_grad()
def _read_back(folder: Path, form: str, inputs: dict[str, torch.Tensor], pad: int) -> torch.Tensor:
    """Logits of the folder as its reader loads it."""
    if form == "adapter":
        from peft import AutoPeftModelForSequenceClassification

        model = AutoPeftModelForSequenceClassification.from_pretrained(
            folder, dtype=torch.float32, num_labels=len(LABELS), pad_token_id=pad
        )
    else:
        model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32)
    return model.eval()(**inputs).logits


def _write_template(folder: Path, content: dict[str, object]) -> None:
    """A line of template.json for each thing to know."""
    lines = ",\n".join(f"{json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}" for key, value in content.items())
    (folder / "template.json").write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")


def _loading(config: Config, form: str, pad: int) -> dict[str, str]:
    """The line that loads a folder to give the logits of its examples; then, of a cell that scored otherwise, how.

    A reader's head runs in the dtype of its trunk, and merged adapters are rounded with the weights they are added to.
    """
    line, precision = {"load": LOADING[form].format(pad=pad)}, config.trainer.precision
    if precision not in AS_TRAINED:
        return line
    merged = form == "merged" and config.model.lora.r
    how = "adapters not merged" if merged else f"the trunk {AS_TRAINED[precision]}, the head in float32"
    return {**line, "precision": f"the cell scored in {precision}, {how}; the logits here are float32 throughout"}


def _recipe(tokenizer, template: Template, task: str) -> dict[str, object]:
    """How a reader makes the input of a pair of `task`."""
    return {
        "input_ids": "before + prefix + ids(left) + between + ids(right) + after",
        "ids(text)": IDS_OF_TEXT,
        **({"token_type_ids": SEGMENTS} if segments(tokenizer, template) else {}),
        **asdict(pair_frame(tokenizer, template.pair)),
        "prefix": prefix_ids(tokenizer, template)[TASK_INDEX[task]] if template.prefix else [],
        "max_length": template.max_length,
        "too_long": "the longer text gives way first, from its end",
        "padding": "right",
    }


def _examples(inputs: dict[str, torch.Tensor], logits: torch.Tensor) -> list[dict[str, object]]:
    """PAIRS with their input ids, without the padding, and logits: what a reader can check theirs against."""
    examples: list[dict[str, object]] = []
    for row, (left, right) in enumerate(PAIRS):
        length = int(inputs["attention_mask"][row].sum())
        ids = {name: inputs[name][row, :length].tolist() for name in inputs if name != "attention_mask"}
        answer = [round(value, 6) for value in logits[row].tolist()]
        examples.append({"left": left, "right": right, **ids, "logits": answer})
    return examples
