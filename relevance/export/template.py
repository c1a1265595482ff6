"""template.json of an exported folder: how a reader without this project makes the same input.

{"task": "item_type", "input_ids": "before + prefix + ids(left) + ...", "before": [2], ..., "examples": [...]}
"""

import json
from dataclasses import dataclass
from pathlib import Path

from relevance.config import HALF, MIXED, Config
from relevance.tasks import LABELS

IDS = "tokenizer(text, add_special_tokens=False, split_special_tokens=True)"
SEGMENTS = "0 up to and with between, 1 from right on"
LOADED = {  # in float32, whatever the backbone's own weights are kept in: bfloat16 moves a logit by some 0.03
    "merged": "AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32)",
    "adapter": "AutoPeftModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32, num_labels=3, "
    "pad_token_id={pad})",
}
AS_TRAINED = {  # how a reader gets the hidden states of a cell in bfloat16
    MIXED: "under torch.autocast(model.device.type, torch.bfloat16)",
    HALF: "loaded with dtype=torch.bfloat16",
}


@dataclass(frozen=True)
class Example:
    """A pair, what it is to a model, and what the model answers."""

    left: str
    right: str
    inputs: dict[str, list[int]]  # input_ids, and token_type_ids where the model reads them
    logits: list[float]

    def said(self) -> dict[str, object]:
        logits = [round(value, 6) for value in self.logits]
        return {"left": self.left, "right": self.right, **self.inputs, "logits": logits}


def loading(config: Config, form: str, pad: int) -> dict[str, str]:
    """The line that loads a folder to give the logits of its examples; then, of a cell that scored otherwise, how.

    A reader's head runs in the dtype of its trunk, and merged adapters are rounded with the weights they are added to.
    """
    line, precision = {"load": LOADED[form].format(pad=pad)}, config.trainer.precision
    if precision not in AS_TRAINED:
        return line
    merged = form == "merged" and config.model.lora.r
    how = "adapters not merged" if merged else f"the trunk {AS_TRAINED[precision]}, the head in float32"
    return {**line, "precision": f"the cell scored in {precision}, {how}; the logits here are float32 throughout"}


def write_template(folder: Path, task: str, load: dict[str, str], how: dict, examples: list[Example]) -> None:
    """Write template.json: a line for each thing to know, `load` from `loading`, `how` from `tokens.recipe`."""
    segments = {"token_type_ids": SEGMENTS} if "token_type_ids" in examples[0].inputs else {}
    said = {
        "task": task,
        "labels": list(LABELS),
        **load,
        "input_ids": "before + prefix + ids(left) + between + ids(right) + after",
        "ids(text)": IDS,
        **segments,
        **{name: how[name] for name in ("before", "between", "after")},
        "prefix": how["prefix"].get(task, []),
        "max_length": how["max_length"],
        "too_long": "the longer text gives way first, from its end",
        "padding": "right",
        "examples": [one.said() for one in examples],
    }
    lines = ",\n".join(f"{json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}" for key, value in said.items())
    (folder / "template.json").write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")
