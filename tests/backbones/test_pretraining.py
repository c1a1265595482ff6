"""Pretraining at toy size: the corpus names tasks, but no user's entity and no label, and a model learns from it."""

import numpy as np
import pytest
import torch

from relevance.data.token_ids import encode_texts
from relevance.data.tokens import Template, pair_frame, prefix_ids
from relevance.errors import UserError
from relevance.shop.entities import build_entities
from relevance.tasks import LABELS, TASK_NAMES, TASKS
from tools.backbones import corpus, train, vocabulary
from tools.backbones.architectures import ARCHITECTURES
from tools.backbones.build import build
from tools.backbones.compare import RELATIONS, UNKNOWN, VALUES, comparisons, is_name
from tools.backbones.options import NAMES, Options


@pytest.fixture(scope="module")
def whole() -> corpus.Corpus:
    return corpus.corpus(1000, 1, 1_500)


def rows_of(documents: list[list[str]], tokenizer) -> train.Encoded:
    facts = np.full((len(documents), 6), UNKNOWN)
    return train.encode(corpus.Corpus(documents, facts, set()), tokenizer)


def test_same_seed_gives_the_same_corpus(whole):
    assert corpus.digest(whole) == corpus.digest(corpus.corpus(1000, 1, 1_500))
    assert corpus.digest(whole) != corpus.digest(corpus.corpus(1001, 1, 1_500))


def test_corpus_holds_no_entity_of_a_shop_and_no_label(whole):
    texts = {text for document in whole.documents for text in document}
    for seed in (0, 1000):
        assert not texts & {text for one in build_entities(1_500, seed, 0).values() for text in one.text}
    words = {word for text in texts for word in text.split()}
    assert not words & {*LABELS, *TASK_NAMES}


def test_half_of_the_pairs_stand_behind_a_name_in_several_wordings(whole):
    """Each task's own line is among them, the facts are the same with and without."""
    pairs = whole.facts[:, 0] != UNKNOWN
    names = [document[0] for document in whole.documents if is_name(document[0])]
    assert all(len(document) == 2 + is_name(document[0]) for document in np.array(whole.documents, object)[pairs])
    assert 0.45 < len(names) / pairs.sum() < 0.55
    assert len(set(names)) > 100
    assert {task.prefix for task in TASKS.values()} <= set(names)
    assert not any(is_name(text) for document in whole.documents for text in document[1:])


def test_comparisons_state_facts_of_the_catalogue():
    """What they say of two items holds for the items' keys."""
    world = build_entities(1_500, 1000, 1)
    pairs, facts = comparisons(world, 1_500, np.random.default_rng(0))
    item, typed = world["item"], set(world["query"].text)
    place = {text: index for index, text in enumerate(item.text) if text not in typed}
    known = [
        (place[a], place[b], stated) for (*_, a, b), stated in zip(pairs, facts, strict=True) if {a, b} <= place.keys()
    ]
    assert len(known) > 100
    for a, b, (relation, brand, *_) in known:
        same = {name: item.key[name][a] == item.key[name][b] for name in ("leaf", "brand", "group", "product")}
        assert (VALUES[brand] == "same") == same["brand"]
        assert (RELATIONS[relation] == "same product") == same["product"]
        assert (RELATIONS[relation] == "sibling") == (same["group"] and not same["leaf"])


def test_batches_hold_each_document_once_within_the_budget():
    lengths = np.random.default_rng(0).integers(3, 60, 500)
    cuts = train.batches(lengths, 256, np.random.default_rng(0))
    assert sorted(np.concatenate(cuts)) == list(range(500))
    assert max(len(cut) * lengths[cut].max() for cut in cuts) <= 256


@pytest.mark.parametrize("name", NAMES)
def test_a_model_learns_and_the_same_seed_gives_the_same_weights(whole, name):
    kind = ARCHITECTURES[name]
    texts = (text for document in whole.documents for text in document)
    tokenizer = vocabulary.train(texts, 600, digits=kind.digits)
    rows = train.encode(whole, tokenizer)
    read, unread = rows.take(np.arange(64, len(rows.facts))), rows.take(np.arange(64))

    def trained(tokens: int) -> train.Pretrainer:
        torch.manual_seed(0)
        made = train.Pretrainer(kind.build(tokenizer), kind, tokenizer)
        train.train(made, read, train.Plan(seed=0, tokens=tokens))
        return made

    first, again = trained(15_000), trained(15_000)
    assert train.held_out(first, unread)["tokens"] < train.held_out(trained(0), unread)["tokens"] - 0.5
    for one, other in zip(first.state_dict().values(), again.state_dict().values(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("name", NAMES)
def test_attention_starts_with_equal_queries_and_keys(name):
    kind = ARCHITECTURES[name]
    model = kind.build(vocabulary.train(["red blue"], 300, digits=kind.digits))
    weights = dict(model.named_parameters())
    tied = 0
    for key, weight in weights.items():
        if key.endswith("q_proj.weight"):
            groups = weights[key.replace("q_proj", "k_proj")].view(-1, 32, 128)
            tied += torch.equal(weight.view(len(groups), -1, 32, 128)[:, 0], groups)
    assert tied == 4


@pytest.mark.parametrize("pair", [True, False])
def test_documents_are_read_as_both_families_will_read_pairs(pair):
    """With and without the name of a task."""
    tokenizer = vocabulary.train(["red blue other colour query item"], 300, digits=False)
    name = TASKS["query_item"].prefix
    rows = rows_of([["red", "blue"], [name, "red", "blue"]], tokenizer)
    frame, (red, blue) = pair_frame(tokenizer, pair), encode_texts(tokenizer, ["red", "blue"])
    named = prefix_ids(tokenizer, Template(prefix=True, pair=pair, max_length=64))[TASK_NAMES.index("query_item")]
    plain = [*frame.before, *red, *frame.between, *blue, *frame.after]
    assert rows.ids.ids.tolist() == [*plain, *frame.before, *named, *plain[len(frame.before) :]]
    assert plain == tokenizer("red", "blue")["input_ids"]


def test_the_pair_starts_from_the_same_weights():
    tokenizer = vocabulary.train(["red blue"], 300, digits=False)
    weights = []
    for name in ("llm", "ce"):
        torch.manual_seed(0)
        weights.append(ARCHITECTURES[name].build(tokenizer).state_dict())
    assert weights[0].keys() == weights[1].keys()
    assert all(torch.equal(weight, weights[1][key]) for key, weight in weights[0].items())


@pytest.mark.parametrize(("name", "causal"), [("llm", True), ("ce", False)])
def test_a_decoder_sees_nothing_behind_a_token_and_an_encoder_sees_all(name, causal):
    tokenizer = vocabulary.train(["red blue"], 300, digits=False)
    model = ARCHITECTURES[name].build(tokenizer).base_model.eval()
    one, other = torch.tensor([[1, 50, 60, 70, 2]]), torch.tensor([[1, 50, 60, 98, 2]])
    before, after = (model(input_ids=ids).last_hidden_state for ids in (one, other))
    assert torch.equal(before[:, :3], after[:, :3]) == causal
    assert not torch.equal(before[:, 3], after[:, 3])


def test_the_pair_reads_the_same_ids_and_learns_the_same_tokens(whole, monkeypatch):
    texts = (text for document in whole.documents for text in document)
    tokenizer = vocabulary.train(texts, 600, digits=False)
    rows = train.encode(whole, tokenizer).take(np.arange(32))
    learnt = []
    monkeypatch.setattr(train, "cross_entropy", lambda logits, ids, **_: learnt.append(ids) or logits.sum())
    for name in ("llm", "ce"):
        kind = ARCHITECTURES[name]
        train.Pretrainer(kind.build(tokenizer), kind, tokenizer)(rows, 0.3, np.random.default_rng(0))
    first, second = learnt[: len(learnt) // 2], learnt[len(learnt) // 2 :]
    assert len(first[0]) > 20
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_build_writes_a_folder_that_loads(tmp_path):
    from transformers import AutoModel, AutoTokenizer

    build(Options(names=["ce"], shops=1, rows=1_500, tokens=2_000, threads=1, output=str(tmp_path)))
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "ce")
    states = AutoModel.from_pretrained(tmp_path / "ce")(**tokenizer("red", "blue", return_tensors="pt"))
    assert torch.isfinite(states.last_hidden_state).all()
    assert (tmp_path / "ce" / "provenance.json").is_file()


def test_a_corpus_that_leaves_nothing_to_read_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"rows=400: .* documents, 2048 held out; give more rows"):
        build(Options(names=["ce"], shops=1, rows=400, tokens=2_000, output=str(tmp_path)))


def test_a_corpus_of_the_default_data_is_refused(tmp_path, monkeypatch, whole):
    from tools.backbones import build as builder

    monkeypatch.setattr(builder, "_default_texts", lambda: {"seating", *whole.entities})
    with pytest.raises(UserError, match="entities of the default data"):
        build(Options(names=["ce"], shops=1, rows=1_500, tokens=2_000, output=str(tmp_path)))
