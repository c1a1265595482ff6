"""Texts → their token ids, as transformers' tokenizer gives them: many of them on every core.

["usb c cable", "red lamp"] → Ragged of [[2713, 65, 994], [430, 1289]]
"""

from relevance.data.ahead import ahead
from relevance.data.ragged import Ragged, joined

FEW = 256  # texts that are not worth a second thread
SLICE = 4_096  # texts that are encoded at a time: what Rust makes of one text takes kilobytes


def encode(tokenizer, texts: list[str]) -> list[list[int]]:
    """The ids of each text alone."""
    # the words "[SEP]" in a title are text, not the end of it
    return tokenizer(
        texts, add_special_tokens=False, return_attention_mask=False, split_special_tokens=True, verbose=False
    )["input_ids"]


def ragged(tokenizer, texts: list[str]) -> Ragged:
    """The ids of each text alone, one behind the other."""
    if len(texts) <= FEW or not _plain(tokenizer):
        return Ragged.of(encode(tokenizer, texts) if texts else [])  # transformers fails over none
    encode(tokenizer, texts[:1])  # sets in the backend: no padding, no truncation, special tokens are text

    def ids(some: list[str]) -> list:
        return tokenizer.backend_tokenizer.encode_batch_fast(some, add_special_tokens=False)

    slices = (texts[start : start + SLICE] for start in range(0, len(texts), SLICE))
    return joined([Ragged.of([one.ids for one in made]) for made in ahead(ids, slices)])


def _plain(tokenizer) -> bool:
    """Whether transformers hands texts to the Rust backend as they are: then its objects around each can be spared."""
    if not tokenizer.is_fast:
        return False
    from transformers import PreTrainedTokenizerFast

    names, kind = ("__call__", "_encode_plus"), type(tokenizer)
    return all(getattr(kind, name) is getattr(PreTrainedTokenizerFast, name) for name in names)
