"""The fixed tokens around the two texts of a pair, read off the tokenizer itself.

an encoder  [CLS] left [SEP] right [SEP]  →  Frame(before=[CLS], between=[SEP], after=[SEP])
a decoder   left, a line break, right, its end token
"""

from dataclasses import dataclass

from relevance.data.encoding import encode
from relevance.errors import UserError


@dataclass(frozen=True)
class Frame:
    """Token ids before, between and after the texts."""

    before: list[int]
    between: list[int]
    after: list[int]


def frame(tokenizer, pair: bool) -> Frame:
    """The tokenizer's own form of a `pair`, or a decoder's; raises UserError for one that rewrites pairs."""
    return _pair(tokenizer) if pair else _lines(tokenizer)


def _pair(tokenizer) -> Frame:
    """What the tokenizer puts around a pair of two plain texts."""
    a, b = encode(tokenizer, ["red", "blue"])
    whole = tokenizer("red", "blue")["input_ids"]
    first = _find(whole, a, 0)
    after = _find(whole, b, first + len(a))
    return Frame(whole[:first], whole[first + len(a) : after], whole[after + len(b) :])


def _lines(tokenizer) -> Frame:
    """A decoder reads left, a line break, right and its end token, whose state is pooled."""
    text = encode(tokenizer, ["red"])[0]
    whole = tokenizer("red")["input_ids"]
    end = [] if tokenizer.eos_token_id is None else [tokenizer.eos_token_id]
    return Frame(whole[: _find(whole, text, 0)], encode(tokenizer, ["\n"])[0], end)


def _find(whole: list[int], part: list[int], start: int) -> int:
    for at in range(start, len(whole) - len(part) + 1):
        if whole[at : at + len(part)] == part:
            return at
    raise UserError(f"tokenizer: {whole} does not hold {part}; a tokenizer that rewrites pairs cannot serve")
