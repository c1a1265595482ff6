"""A cell's template in the tokenizer itself: what any tool makes of a pair with an exported folder is the cell's input.

task="query_item" of a decoder with prefix  →  tokenizer("usb c cable", "Volt USB-C cable", truncation=True):
                                               query item:⏎ usb c cable ⏎ Volt USB-C cable <its end token>
"""

from tokenizers import Tokenizer
from tokenizers.processors import TemplateProcessing
from transformers import PreTrainedTokenizerFast

from relevance.data.tokens import Template, pair_frame, prefix_ids, segments
from relevance.errors import UserError
from relevance.tasks import TASK_INDEX

SPECIAL = ("bos", "eos", "unk", "sep", "pad", "cls", "mask")


def pair_tokenizer(tokenizer, template: Template, task: str) -> PreTrainedTokenizerFast:
    """A tokenizer that puts `task`'s own tokens around two texts, pads to the right and cuts to the cell's length.

    It is of transformers' general class: those of single models build their form of a pair anew whenever they load.
    Raises UserError where the tokenizer has no tokenizer.json, which holds all this.
    """
    if not tokenizer.is_fast:
        raise UserError(
            f"{type(tokenizer).__name__}: is Python code without a tokenizer.json, which could hold the form of a "
            "pair; use relevance.predict or the served model"
        )
    backend = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    backend.no_truncation()
    backend.no_padding()
    backend.post_processor = _form_of_pairs(tokenizer, template, task)
    typed = ["token_type_ids"] if segments(tokenizer, template) else []
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        model_max_length=template.max_length,
        padding_side="right",
        truncation_side="right",
        split_special_tokens=True,  # the words "[SEP]" in a title are text
        clean_up_tokenization_spaces=False,
        model_input_names=["input_ids", *typed, "attention_mask"],
        **{f"{name}_token": token for name in SPECIAL if (token := getattr(tokenizer, f"{name}_token"))},
    )


def _form_of_pairs(tokenizer, template: Template, task: str) -> TemplateProcessing:
    frame = pair_frame(tokenizer, template.pair)
    named = prefix_ids(tokenizer, template)[TASK_INDEX[task]] if template.prefix else []
    parts = {"before": frame.before, "prefix": named, "between": frame.between, "after": frame.after}
    present = {name: ids for name, ids in parts.items() if ids}
    left = [name for name in ("before", "prefix") if name in present]
    between, after = ([name] if name in present else [] for name in ("between", "after"))
    return TemplateProcessing(
        single=[*left, "$A", *after],
        pair=[*left, "$A", *between, "$B:1", *(f"{name}:1" for name in after)],
        special_tokens=[
            {"id": name, "ids": ids, "tokens": tokenizer.convert_ids_to_tokens(ids)} for name, ids in present.items()
        ],
    )
