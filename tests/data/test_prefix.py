"""The line that names the task leaves the text behind it as it is, under the three kinds of tokenizer."""

import json

import pyarrow as pa
import pytest
from conftest import WORDS
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from relevance.data.token_ids import encode_texts
from relevance.data.tokens import Reading, Template, encode_pairs
from relevance.tasks import TASK_NAMES, TASKS

LEFT = ["red lamp", "usb cable 20", "lamp", "steel cup"]
SPECIAL = ["[UNK]", "[PAD]", "[CLS]", "[SEP]"]


def byte_level(backbones) -> PreTrainedTokenizerFast:
    """GPT-2's kind."""
    return AutoTokenizer.from_pretrained(backbones["llm"])


def word_piece(_) -> PreTrainedTokenizerFast:
    """BERT's kind."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(vocab_size=200, special_tokens=SPECIAL, show_progress=False)
    tokenizer.train_from_iterator([" ".join(WORDS)] * 4, trainer)
    return _fast(tokenizer)


def sentence_piece(_) -> PreTrainedTokenizerFast:
    """Gemma's kind: a space is a letter, a text at its start has none in front of it."""
    tokenizer = Tokenizer(models.BPE(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.pre_tokenizer = pre_tokenizers.Split("▁", "merged_with_next")
    trainer = trainers.BpeTrainer(vocab_size=200, special_tokens=SPECIAL, show_progress=False)
    tokenizer.train_from_iterator([" ".join(WORDS), "\n"] * 4, trainer)
    return _fast(tokenizer)


def with_a_space(_) -> PreTrainedTokenizerFast:
    """Llama 2's kind: a text at its start has a space in front of it that nobody wrote."""
    tokenizer = Tokenizer(models.BPE(unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    trainer = trainers.BpeTrainer(vocab_size=200, special_tokens=SPECIAL, show_progress=False)
    tokenizer.train_from_iterator([" ".join(WORDS), "\n"] * 4, trainer)
    return _fast(tokenizer)


def _fast(tokenizer: Tokenizer) -> PreTrainedTokenizerFast:
    ids = [(name, tokenizer.token_to_id(name)) for name in SPECIAL[2:]]
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=ids
    )
    names = dict(zip(("unk_token", "pad_token", "cls_token", "sep_token"), SPECIAL, strict=True))
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=64, **names)


@pytest.mark.parametrize("kind", [byte_level, word_piece, sentence_piece, with_a_space])
@pytest.mark.parametrize("pair", [False, True])
def test_what_follows_the_prefix_has_the_ids_it_has_without_it(backbones, kind, pair):
    tokenizer = kind(backbones)
    if pair and kind is byte_level:
        tokenizer = AutoTokenizer.from_pretrained(backbones["ce"])
    table = pa.table({"task": list(TASK_NAMES[:4]), "left": LEFT, "right": LEFT[::-1]})
    with_prefix, without = (encode_pairs(table, tokenizer, Template(named, pair, 64)) for named in (True, False))
    for row in range(len(LEFT)):
        longer, plain = (
            part.ids[part.offsets[row] : part.offsets[row + 1]].tolist() for part in (with_prefix, without)
        )
        line = encode_texts(tokenizer, [TASKS[TASK_NAMES[row]].prefix])[0]
        start = next(at for at in range(len(longer)) if longer[at : at + len(line)] == line)
        assert line
        assert longer[:start] + longer[start + len(line) :] == plain


@pytest.mark.parametrize("kind", [byte_level, word_piece, sentence_piece])
def test_the_ids_are_those_of_the_text_as_a_person_would_write_it(backbones, kind):
    tokenizer = kind(backbones)
    for task, left in zip(TASKS.values(), LEFT, strict=False):
        apart = [ids for text in (task.prefix, left) for ids in encode_texts(tokenizer, [text])[0]]
        assert encode_texts(tokenizer, [task.prefix + left])[0] == apart
        assert encode_texts(tokenizer, [task.prefix.rstrip() + " " + left])[0] != apart or kind is word_piece


def test_a_cell_that_was_trained_without_the_line_break_is_read_without_it(backbones, tmp_path):
    tokenizer = byte_level(backbones)
    (tmp_path / "template.json").write_text(json.dumps({"prefix": True, "pair": False, "max_length": 64}))
    table = pa.table({"task": ["query_item"], "left": ["red lamp"], "right": ["lamp"]})
    before, now = (
        encode_pairs(table, tokenizer, template)
        for template in (Reading.of(tmp_path).template, Template(True, False, 64))
    )
    glued, line = (encode_texts(tokenizer, [text])[0] for text in ("query item:", "query item:\n"))
    assert before.ids[: len(glued)].tolist() == glued
    assert now.ids[: len(line)].tolist() == line
    assert len(now.ids) == len(before.ids) + len(line) - len(glued)
