"""Pretraining at toy size: the corpus speaks of no user's entity and of no label, and a model learns from it."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from relevance.data import entities
from relevance.errors import UserError
from relevance.pretrain import corpus, train, vocabulary
from relevance.pretrain.__main__ import NAMES, Options
from relevance.pretrain.architectures import ARCHITECTURES
from relevance.pretrain.build import build
from relevance.tasks import LABELS, TASK_NAMES


@pytest.fixture(scope="module")
def written() -> corpus.Documents:
    return corpus.documents(1000, 1, 1_500)[0]


def test_same_seed_gives_the_same_corpus(written):
    assert corpus.digest(written) == corpus.digest(corpus.documents(1000, 1, 1_500)[0])
    assert corpus.digest(written) != corpus.digest(corpus.documents(1001, 1, 1_500)[0])


def test_corpus_holds_no_entity_of_a_shop_and_names_no_task_or_label(written):
    texts = {text for document in written for text in document}
    for seed in (0, 1000):
        assert not texts & {text for one in entities.build(1_500, seed, 0).values() for text in one.text}
    words = {word for text in texts for word in text.split()}
    assert not words & {*LABELS, *TASK_NAMES}


def test_comparisons_state_facts_of_the_catalogue():
    """What they say of two items holds for the items' keys."""
    world = entities.build(1_500, 1000, 1)
    said = {(left, right): text for left, right, text in corpus.comparisons(world, 1_500, np.random.default_rng(0))}
    item = world["item"]
    place = {text: index for index, text in enumerate(item.text)}
    pairs = [(place[a], place[b], text) for (a, b), text in said.items() if a in place and b in place]
    assert len(pairs) > 100
    for a, b, text in pairs:
        same = {name: item.key[name][a] == item.key[name][b] for name in ("leaf", "brand", "group", "product")}
        if item.text[a] in world["query"].text:
            continue
        assert ("samebrand" in text) == same["brand"]
        assert ("sameproduct" in text) == same["product"]
        assert ("siblingkind" in text) == (same["group"] and not same["leaf"])


def test_batches_hold_each_document_once_within_the_budget():
    lengths = np.random.default_rng(0).integers(3, 60, 500)
    cuts = train.batches(lengths, 256, np.random.default_rng(0))
    assert sorted(np.concatenate(cuts)) == list(range(500))
    assert max(len(cut) * lengths[cut].max() for cut in cuts) <= 256


@pytest.mark.parametrize("name", NAMES)
def test_a_model_learns_and_the_same_seed_gives_the_same_weights(written, name):
    kind = ARCHITECTURES[name]
    texts = (text for document in written for text in document)
    tokenizer = vocabulary.train(texts, 600, encoder=kind.encoder, digits=kind.digits)
    rows = train.encode(written, tokenizer)

    def trained() -> tuple[torch.nn.Module, float]:
        torch.manual_seed(0)
        model = kind.build(tokenizer)
        train.train(model, kind, rows[:-64], tokenizer, train.Plan(seed=0, tokens=20_000))
        return model, train.held_out(model, kind, rows[-64:], tokenizer)[0]

    torch.manual_seed(0)
    before = train.held_out(kind.build(tokenizer), kind, rows[-64:], tokenizer)[0]
    model, after = trained()
    assert after < before - 0.5
    again = trained()[0].state_dict()
    assert all(torch.equal(weight, again[key]) for key, weight in model.state_dict().items())


def test_decoder_rows_read_as_pairs_do():
    """left, line break, right, end; what follows the end is the third text."""
    written = [["red", "blue", "other colour"], ["red", "blue"]]
    tokenizer = vocabulary.train(["red blue other colour"], 300, encoder=False, digits=False)
    long, short = train.encode(written, tokenizer)
    assert tokenizer.decode(short.ids) == " red \n blue<eos>"
    assert tokenizer.decode(long.ids[: long.third]) == tokenizer.decode(short.ids)
    assert tokenizer.decode(long.ids[long.third :]) == " other colour<eos>"


def test_an_encoder_learns_from_masked_tokens_and_never_from_frame_or_padding(written):
    tokenizer = vocabulary.train((t for d in written for t in d), 600, encoder=True, digits=False)
    rows = train.encode(written[:40], tokenizer)
    batch = train._batch(rows, tokenizer, train.Plan(seed=0, tokens=1, said=0.0), np.random.default_rng(0))
    assert 0.2 < len(batch.target) / batch.mask.sum() < 0.4
    assert batch.target.min() >= len(tokenizer.all_special_ids)
    assert (batch.mask[batch.row, batch.column] == 1).all()
    assert (batch.ids[batch.row, batch.column] == tokenizer.mask_token_id).float().mean() > 0.7


def test_an_encoder_says_at_its_first_token_the_third_text_it_was_not_shown():
    tokenizer = vocabulary.train(["red blue green"], 300, encoder=True, digits=False)
    rows = train.encode([["red", "blue", "green"]], tokenizer)
    batch = train._batch(rows, tokenizer, train.Plan(seed=0, tokens=1, learnt=0.0, said=1.0), np.random.default_rng(0))
    assert tokenizer.decode(batch.ids[0]) == "[CLS] red[SEP] blue[SEP]"
    assert tokenizer.decode(batch.target) == " green"
    assert (batch.column == 0).all()


def test_build_writes_a_folder_that_loads(tmp_path):
    from transformers import AutoModel, AutoTokenizer

    build(Options(names=["ce"], shops=1, rows=400, tokens=2_000, threads=torch.get_num_threads(), output=str(tmp_path)))
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "ce")
    states = AutoModel.from_pretrained(tmp_path / "ce")(**tokenizer("red", "blue", return_tensors="pt"))
    assert torch.isfinite(states.last_hidden_state).all()
    assert (tmp_path / "ce" / "provenance.json").is_file()


def test_a_corpus_of_the_default_data_is_refused(tmp_path, monkeypatch):
    from relevance.pretrain import build as builder

    monkeypatch.setattr(builder, "_default_texts", lambda: {"seating", *corpus.documents(1000, 1, 400)[1]})
    with pytest.raises(UserError, match="entities of the default data"):
        build(Options(names=["ce"], shops=1, rows=400, tokens=2_000, output=str(tmp_path)))


def test_help_needs_no_torch():
    code = (
        "import sys, runpy; sys.argv[1:] = ['--help']; runpy.run_module('relevance.pretrain', run_name='__main__'); "
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "tokens=" in done.stdout
