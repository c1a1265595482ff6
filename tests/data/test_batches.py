"""Steps and micro-batches: exactly once, under the budget, tasks side by side, the same text as was tokenized."""

from dataclasses import replace
from itertools import combinations, pairwise

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from transformers import AutoTokenizer

from relevance.config import MixConfig
from relevance.data.batches import Examples, ScoreDataset, StepDataset, cut_batches, cut_step
from relevance.data.mixing import Steps
from relevance.data.tokens import ARRAYS, Template, encode_pairs, fit, load_tokens
from relevance.errors import UserError
from relevance.tasks import TASK_INDEX, TASK_NAMES

TEXTS = [
    "red lamp",
    "a blue steel table with a cup and a plate and a chair",
    "usb",
    "größe Ж 机 NA null",
    "10 - 20",
]


@pytest.fixture
def rows(tmp_path):
    """40 pairs of all tasks, with texts of very unequal length."""
    random = np.random.default_rng(0)
    table = pa.table(
        {
            "task": random.choice(TASK_NAMES, 40),
            "left": random.choice(TEXTS, 40),
            "right": random.choice(TEXTS, 40),
        }
    )
    path = tmp_path / "digest" / "rows.parquet"
    path.parent.mkdir()
    pq.write_table(table, path)
    return path


def made(rows, backbone, tmp_path, **settings):
    tokenizer = AutoTokenizer.from_pretrained(backbone)
    template = Template(**{"prefix": False, "pair": True, "max_length": 64, **settings})
    return tokenizer, load_tokens(rows, tokenizer, "id", template, tmp_path / "tokens")


def row_ids(tokens, row):
    return tokens.ids[tokens.offsets[row] : tokens.offsets[row + 1]].tolist()


def examples(rows, backbone, tmp_path) -> Examples:
    tokenizer, tokens = made(rows, backbone, tmp_path)
    names = pq.read_table(rows)["task"].to_pylist()
    task = np.array([TASK_INDEX[name] for name in names])
    return Examples(tokens, task, np.arange(40) % 3, np.ones(40), tokenizer.pad_token_id, segments=True)


def test_an_encoder_reads_what_its_tokenizer_makes_of_the_pair(rows, backbones, tmp_path):
    tokenizer, tokens = made(rows, backbones["ce"], tmp_path)
    for row, pair in enumerate(pq.read_table(rows).to_pylist()):
        expected = tokenizer(pair["left"], pair["right"], return_token_type_ids=True)
        assert row_ids(tokens, row) == expected["input_ids"]
        assert tokens.second[row] == expected["token_type_ids"].index(1)


def test_a_decoder_reads_both_texts_and_its_end_token(rows, backbones, tmp_path):
    tokenizer, tokens = made(rows, backbones["llm"], tmp_path, pair=False)
    for row, pair in enumerate(pq.read_table(rows).to_pylist()):
        assert tokenizer.decode(row_ids(tokens, row)) == f"{pair['left']}\n{pair['right']}<eos>"


@pytest.mark.parametrize("kind", ["llm", "ce"])
def test_the_words_of_a_special_token_are_text(rows, backbones, tmp_path, kind):
    table = pq.read_table(rows)
    pq.write_table(table.set_column(1, "left", pa.array(["a [SEP] b <eos> c <pad> [MASK]"] * 40)), rows)
    tokenizer, tokens = made(rows, backbones[kind], tmp_path, pair=kind == "ce")
    ids = row_ids(tokens, 0)
    special = tokenizer.convert_ids_to_tokens([token for token in ids if token in tokenizer.all_special_ids])
    assert special == (["[CLS]", "[SEP]", "[SEP]"] if kind == "ce" else ["<eos>"])
    assert "[SEP]" in tokenizer.decode(ids[1:-1])


@pytest.mark.parametrize("kind", ["llm", "ce"])
def test_the_task_is_named_only_where_the_template_says_so(rows, backbones, tmp_path, kind):
    tokenizer, plain = made(rows, backbones[kind], tmp_path, pair=kind == "ce")
    _, named = made(rows, backbones[kind], tmp_path, pair=kind == "ce", prefix=True)
    for row, pair in enumerate(pq.read_table(rows).to_pylist()):
        words = pair["task"].replace("_", " ") + ":"
        assert words in tokenizer.decode(row_ids(named, row))
        assert words not in tokenizer.decode(row_ids(plain, row))


@pytest.mark.parametrize("prefix", [False, True])
@pytest.mark.parametrize("kind", ["llm", "ce"])
def test_a_table_in_memory_gives_the_ids_on_disk_however_it_is_cut(
    rows, backbones, tmp_path, monkeypatch, kind, prefix
):
    tokenizer, disk = made(rows, backbones[kind], tmp_path, pair=kind == "ce", prefix=prefix)
    monkeypatch.setattr("relevance.data.tokens.CHUNK", 7)
    tokens = encode_pairs(pq.read_table(rows), tokenizer, Template(prefix, kind == "ce", 64))
    for name in ARRAYS:
        assert np.array_equal(getattr(tokens, name), getattr(disk, name))
        assert getattr(tokens, name).dtype == getattr(disk, name).dtype
    assert tokens.truncated == disk.truncated


def test_a_text_names_the_task_it_is_told_or_none(rows, backbones):
    tokenizer, table = AutoTokenizer.from_pretrained(backbones["llm"]), pq.read_table(rows)
    named = np.arange(40) % 7 - 1
    tokens = encode_pairs(table, tokenizer, Template(prefix=False, pair=False, max_length=64), named)
    for row, pair in enumerate(table.to_pylist()):
        words = f"{TASK_NAMES[named[row]].replace('_', ' ')}:\n" if named[row] >= 0 else ""
        assert tokenizer.decode(row_ids(tokens, row)) == f"{words}{pair['left']}\n{pair['right']}<eos>"


def test_a_table_without_rows_has_no_tokens(rows, backbones):
    tokenizer = AutoTokenizer.from_pretrained(backbones["ce"])
    tokens = encode_pairs(pq.read_table(rows)[:0], tokenizer, Template(prefix=True, pair=True, max_length=64))
    assert (len(tokens.ids), tokens.offsets.tolist(), tokens.truncated) == (0, [0], 0)


def test_tokens_are_made_once(rows, backbones, tmp_path, monkeypatch):
    tokenizer, first = made(rows, backbones["ce"], tmp_path)
    monkeypatch.setattr("relevance.data.tokens._write", lambda *_: pytest.fail("made twice"))
    template = Template(prefix=False, pair=True, max_length=64)
    again = load_tokens(rows, tokenizer, "id", template, tmp_path / "tokens")
    assert isinstance(again.ids, np.memmap)
    assert np.array_equal(again.ids, first.ids)


def test_a_long_pair_loses_tokens_of_its_longer_side_and_is_counted(rows, backbones, tmp_path):
    _, tokens = made(rows, backbones["ce"], tmp_path, max_length=20)
    _, whole = made(rows, backbones["ce"], tmp_path)
    assert tokens.lengths.max() == 20
    assert tokens.truncated == np.mean(whole.lengths > 20)


def test_fit_cuts_the_longer_side_first():
    left, right = fit(np.array([10, 2, 9, 3]), np.array([2, 10, 9, 3]), np.array([8, 8, 8, 8]))
    assert left.tolist() == [6, 2, 4, 3]
    assert right.tolist() == [2, 6, 4, 3]


@pytest.mark.parametrize("room", [8, 9])
def test_fit_cuts_as_transformers_does(backbones, room):
    """Else no tokenizer of an exported folder could make a cell's input."""
    tokenizer = AutoTokenizer.from_pretrained(backbones["llm"])
    lengths = np.array([(left, right) for left in range(1, 12) for right in range(1, 12)])
    left, right = fit(*lengths.T, np.full(len(lengths), room))
    pairs = [("a" * n_left, "b" * n_right) for n_left, n_right in lengths]
    read = [tokenizer(*pair, truncation=True, max_length=room)["input_ids"] for pair in pairs]
    a, b = (tokenizer(text)["input_ids"][0] for text in "ab")
    assert [(ids.count(a), ids.count(b)) for ids in read] == list(zip(left, right, strict=True))


def test_a_cell_of_before_leaves_the_odd_token_to_the_right_text():
    left, right = fit(np.array([10, 3]), np.array([6, 10]), np.array([9, 9]), odd_to_longer=False)
    assert (left.tolist(), right.tolist()) == ([4, 3], [5, 6])


def test_no_room_for_a_pair_is_an_error(rows, backbones, tmp_path):
    with pytest.raises(UserError, match="max_length=4: leaves no room"):
        made(rows, backbones["ce"], tmp_path, max_length=4)


@pytest.mark.parametrize("budget", [1, 60, 500, 10_000])
def test_cut_holds_every_row_once_and_keeps_the_budget(budget):
    lengths = np.random.default_rng(1).integers(3, 50, 200)
    pieces = cut_batches(lengths, budget)
    assert np.array_equal(np.sort(np.concatenate(pieces)), np.arange(200))
    assert all(len(piece) == 1 or len(piece) * lengths[piece].max() <= budget for piece in pieces)


@pytest.mark.parametrize("cost", [1, 20, 500])
@pytest.mark.parametrize("budget", [1, 60, 10_000])
def test_a_step_is_cut_where_the_least_is_computed(budget, cost):
    def computed(cuts):
        edges = list(pairwise([0, *cuts, len(lengths)]))
        too_long = any(b - a > 1 and (b - a) * lengths[a] > budget for a, b in edges)
        return np.inf if too_long else sum((b - a) * lengths[a] + cost for a, b in edges)

    lengths = np.sort(np.random.default_rng(1).integers(3, 50, 9))[::-1]
    every = [cuts for count in range(9) for cuts in combinations(range(1, 9), count)]
    cut = cut_step(lengths, budget, cost)
    assert (cut[0][0], cut[-1][1]) == (0, 9)
    assert all(before[1] == after[0] for before, after in pairwise(cut))
    assert computed([a for a, _ in cut[1:]]) == min(map(computed, every))


def test_the_budget_changes_how_a_step_is_cut_never_its_rows(rows, backbones, tmp_path):
    data, step = examples(rows, backbones["ce"], tmp_path), np.array([5, 30, 2, 17, 9, 11])
    batches = {
        budget: sorted(row for micro in StepDataset(data, budget)[step] for row in micro.rows.tolist())
        for budget in (20, 60, 5000)
    }
    assert all(rows == sorted(step) for rows in batches.values())


def test_a_micro_batch_shows_rows_of_a_task_side_by_side_with_their_own_ids(rows, backbones, tmp_path):
    data = examples(rows, backbones["ce"], tmp_path)
    for micro in ScoreDataset(data, np.arange(40), 300):
        for task, start, stop in micro.slices:
            assert (data.task[micro.rows[start:stop].numpy()] == task).all()
        assert len(micro.slices) == len(set(data.task[micro.rows.numpy()]))
        for place, row in enumerate(micro.rows.tolist()):
            real = micro.inputs["attention_mask"][place].bool()
            assert micro.inputs["input_ids"][place][real].tolist() == row_ids(data.tokens, row)
            assert (micro.inputs["input_ids"][place][~real] == data.pad).all()
            assert micro.labels[place] == data.label[row]
            second = micro.inputs["token_type_ids"][place].tolist()
            assert second.index(1) == data.tokens.second[row]


def test_scoring_sees_every_row_once_with_little_padding(rows, backbones, tmp_path):
    data = examples(rows, backbones["ce"], tmp_path)
    batches = list(ScoreDataset(data, np.arange(40), 150))
    assert sorted(row for micro in batches for row in micro.rows.tolist()) == list(range(40))
    padded = sum(micro.inputs["input_ids"].numel() for micro in batches)
    assert padded / data.tokens.lengths.sum() < 1.25


@pytest.mark.parametrize("ranks", [2, 3, 50])
def test_ranks_share_a_step_make_as_many_passes_and_take_each_row_once(rows, backbones, tmp_path, ranks):
    data, step = examples(rows, backbones["ce"], tmp_path), np.arange(40)
    shares = [StepDataset(data, 150, rank, ranks)[step] for rank in range(ranks)]
    assert sorted(row for share in shares for micro in share for row in micro.rows.tolist()) == list(range(40))
    assert sum(float(micro.weights.sum()) for share in shares for micro in share) == 40
    assert len({len(share) for share in shares}) == 1


def test_the_shares_of_ranks_are_as_long_as_each_other(rows, backbones, tmp_path):
    data = examples(rows, backbones["ce"], tmp_path)
    shares = [StepDataset(data, 150, rank, 2)[np.arange(40)] for rank in range(2)]
    tokens = [sum(int(micro.inputs["attention_mask"].sum()) for micro in share) for share in shares]
    assert max(tokens) < 1.1 * min(tokens)


@pytest.mark.parametrize("ranks", [2, 50])
def test_ranks_score_the_batches_that_one_would(rows, backbones, tmp_path, ranks):
    data = examples(rows, backbones["ce"], tmp_path)
    alone = [micro.rows.tolist() for micro in ScoreDataset(data, np.arange(40), 150)]
    shares = [list(ScoreDataset(data, np.arange(40), 150, rank, ranks)) for rank in range(ranks)]
    assert len({len(share) for share in shares}) == 1
    dealt = [shares[at % ranks][at // ranks].rows.tolist() for at in range(ranks * len(shares[0]))]
    assert dealt[: len(alone)] == alone
    assert not any(dealt[len(alone) :])


def test_steps_hold_every_training_row_once_an_epoch_and_mix_tasks(rows, backbones, tmp_path):
    data, train = examples(rows, backbones["ce"], tmp_path), np.arange(3, 35)
    steps = Steps(train, data.task, MixConfig(), 8, seed=0)
    first, again = list(steps), list(steps)
    steps.set_epoch(1)
    assert len(steps) == len(first) == 4
    assert np.array_equal(np.sort(np.concatenate(first)), train)
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(first, steps, strict=True))
    assert all(len(set(data.task[step])) > 1 for step in first)


def test_learnt_vectors_in_front_of_each_row_count_under_both_budgets(rows, backbones, tmp_path):
    plain = examples(rows, backbones["ce"], tmp_path)
    fronted = replace(plain, front=10)
    every, budget = np.arange(40), 100
    dataset = ScoreDataset(fronted, every, budget)
    for cut in (StepDataset(fronted, budget)[every], [dataset[at] for at in range(len(dataset))]):
        assert sum(len(micro.rows) for micro in cut) == 40
        places = [(ids.shape[0], ids.shape[1] + 10) for ids in (micro.inputs["input_ids"] for micro in cut)]
        assert all(count * long <= budget or count == 1 for count, long in places)
