"""Documents → a byte-level tokenizer that knows every text: what it has not seen, it spells in bytes.

"gray cornr couch" → [" gray", " corn", "r", " couch"]; a text starts as if a space stood before it
"""

from collections.abc import Iterable

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

MAX_POSITIONS = 512
SPECIAL = {"pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]"}  # ids by order


def train(texts: Iterable[str], size: int, *, digits: bool) -> PreTrainedTokenizerFast:
    """A tokenizer of at most `size` tokens, padded on the right. `digits` splits numbers.

    An encoder and a decoder make the same ids of a pair with it: [CLS] left \\n right [SEP].
    """
    tokenizer = Tokenizer(models.BPE())
    bytes_ = pre_tokenizers.ByteLevel(add_prefix_space=True, use_regex=True)
    single = [pre_tokenizers.Split(Regex(r"(?<=\d)(?=\d)"), "isolated")] if digits else []
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([bytes_, *single])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=size,
            special_tokens=list(SPECIAL.values()),
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    tokenizer.post_processor = _pairs(tokenizer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=MAX_POSITIONS,
        padding_side="right",
        clean_up_tokenization_spaces=False,
        model_input_names=["input_ids", "attention_mask"],
        eos_token=SPECIAL["sep_token"],
        **SPECIAL,
    )


def _pairs(tokenizer: Tokenizer) -> processors.PostProcessor:
    line = tokenizer.encode("\n", add_special_tokens=False)
    ends = [(token, tokenizer.token_to_id(token)) for token in ("[CLS]", "[SEP]")]
    return processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A line $B [SEP]",
        special_tokens=[*ends, {"id": "line", "ids": line.ids, "tokens": line.tokens}],
    )
