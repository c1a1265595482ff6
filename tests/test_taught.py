"""A cell that other cells teach: whose probabilities, in which loss, on which rows, and what is refused at the door."""

import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import torch
from small_sweep import prepared, record, small_cell, sweep

from relevance.cell_id import Cell, CellFolder, Request, data_folder
from relevance.config import Config, DataConfig, Mix, MixConfig, OnBadRow, Save
from relevance.data.pairs_module import pairs_module
from relevance.data.taught import soft_targets, unlabelled_path
from relevance.errors import UserError
from relevance.model.module import RelevanceModule, soft_loss
from relevance.model.pretrained import load_tokenizer
from relevance.predict.__main__ import predict
from relevance.predict.scorer import Scorer
from relevance.sweep.resolve import resolve
from relevance.train import teaching

TEXTS = ["red lamp", "usb cable", "green cup", "blue chair", "steel plate", "red lamp"]


def taught(config: Config, *teachers: str, **changes) -> Config:
    """The cell, which these teach; `changes` are of train, or of the cell where it has such a setting."""
    train = {key: changes.pop(key) for key in list(changes) if key not in vars(config)}
    train = replace(config.train, teacher=list(teachers), **train)
    usual = {"train": train, "name": "taught", "save": Save.none, "probes": False, "consistency": False}
    return replace(config, **usual | changes)


def cell_of(config: Config) -> Cell:
    """The cell as a sweep resolves it; UserError where it is refused."""
    return resolve([Request(config, replace(config, train=replace(config.train, teacher=[])))], prepared([config]))[0][
        0
    ]


def rows_of(config: Config) -> Path:
    return data_folder(Path(config.outputs), record(config).tables[0]) / "rows.parquet"


@pytest.fixture(scope="module")
def plain(backbones, tmp_path_factory) -> Config:
    """A trained cell ce-mh, beside which llm-mh is trained."""
    folder = tmp_path_factory.mktemp("taught")
    config, other = (small_cell(folder, backbones, model, "mh", save=Save.all) for model in ("ce", "llm"))
    assert sweep(config) == 0
    assert sweep(replace(other, name="others")) == 0
    return config


def test_the_gradient_of_the_soft_loss_is_t_times_the_difference_of_softened_probabilities():
    logits = torch.randn(5, 3, generator=torch.manual_seed(0), requires_grad=True)
    soft = torch.rand(5, 3, generator=torch.manual_seed(1)).softmax(1)
    soft_loss(logits, soft, 2.5).sum().backward()
    softened = (soft.log() / 2.5).softmax(1)
    assert torch.allclose(logits.grad, 2.5 * ((logits / 2.5).softmax(1) - softened), atol=1e-6)


def test_labels_have_the_rest_of_the_loss_and_rows_without_one_none_of_it():
    logits = torch.randn(3, 3, generator=torch.manual_seed(0))
    soft, weights = torch.tensor([[0.7, 0.2, 0.1]]).repeat(3, 1), torch.tensor([1.0, 2.0, 0.5])
    labels = torch.tensor([0, 2, -1])
    train = SimpleNamespace(teacher_weight=0.3, teacher_temperature=2.0)
    module = SimpleNamespace(_logits=lambda _: logits, config=SimpleNamespace(train=train))
    loss = RelevanceModule._loss(module, SimpleNamespace(labels=labels, weights=weights, soft=soft))
    hard, by_teacher = -logits.log_softmax(1)[range(3), labels], soft_loss(logits, soft, 2.0)
    share = torch.tensor([0.3, 0.3, 1.0])
    assert loss.item() == pytest.approx((weights * ((1 - share) * hard + share * by_teacher)).sum().item())


def test_soft_targets_are_the_mean_of_what_predict_answers_with_the_teachers(plain, tmp_path, monkeypatch):
    student = taught(plain, "ce-mh-joint-s0", "llm-mh-joint-s0")
    assert sweep(student) == 0
    rows, teachers = rows_of(plain), cell_of(student).config.train.teacher
    table = pq.read_table(rows, columns=["row", "split", "task", "left", "right"])
    train = table.filter(pc.equal(table["split"], "train"))
    pq.write_table(train, tmp_path / "train.parquet")
    folders = [str(CellFolder.of(Path(plain.outputs), teacher).path) for teacher in teachers]
    output = tmp_path / "scored.parquet"
    words = [f"cells=[{','.join(folders)}]", f"input={tmp_path / 'train.parquet'}", f"output={output}", "device=cpu"]
    monkeypatch.setattr("sys.argv", ["predict", *words])
    predict()
    scored = pq.read_table(output)
    soft = soft_targets(rows, teachers, len(table))
    at = train["row"].to_numpy()
    assert np.array_equal(
        soft[at], np.column_stack([scored[name] for name in ("p_irrelevant", "p_partial", "p_relevant")])
    )
    assert not soft[np.setdiff1d(np.arange(len(table)), at)].any()
    assert record(student).cells[0].metrics["teacher/rows_per_second"] > 0


def test_a_teacher_without_weight_changes_no_byte(plain):
    student = taught(plain, "ce-mh-joint-s0", teacher_weight=0.0, save=Save.all)
    assert sweep(student) == 0
    ours, theirs = cell_of(student).files, cell_of(plain).files
    assert ours.path != theirs.path
    names = [
        "test.parquet",
        "validation.parquet",
        *(f"model/{path.name}" for path in theirs.model.glob("*.safetensors")),
    ]
    assert len(names) > 2
    for name in names:
        assert (ours.path / name).read_bytes() == (theirs.path / name).read_bytes()
    assert sweep(taught(plain, "ce-mh-joint-s0", teacher_weight=0.9)) == 0
    other = cell_of(taught(plain, "ce-mh-joint-s0", teacher_weight=0.9)).files
    assert other.test.read_bytes() != theirs.test.read_bytes()


def test_a_cell_that_was_stopped_while_teachers_answered_keeps_whole_answers_alone(plain, monkeypatch, capsys):
    student = taught(plain, "ce-mh-joint-s0", "llm-mh-joint-s0", seed=5)
    rows, (first, second) = rows_of(plain), cell_of(student).config.train.teacher
    for path in rows.parent.glob("scored-*"):
        path.unlink()

    class Stopped(Scorer):
        def probabilities(self, table, tell=None):
            if len(table) > 1 and self.folder.parent.name == second:
                raise KeyboardInterrupt
            return super().probabilities(table, tell)

    with monkeypatch.context() as patched:
        patched.setattr(teaching, "Scorer", Stopped)
        assert sweep(student) == 130
    assert [path.name for path in rows.parent.glob("scored-*.parquet")] == [f"scored-{first}.parquet"]
    kept = rows.with_name(f"scored-{first}.parquet").stat().st_mtime_ns
    assert sweep(student) == 0
    assert rows.with_name(f"scored-{first}.parquet").stat().st_mtime_ns == kept
    answers = cell_of(student).files.test.read_bytes()
    capsys.readouterr()
    assert sweep(replace(student, rerun=True)) == 0
    assert cell_of(student).files.test.read_bytes() == answers
    assert "answered" not in capsys.readouterr().err  # all were there
    trained_again = CellFolder.of(Path(plain.outputs), second).model / "config.yaml"
    os.utime(trained_again)
    assert sweep(replace(student, rerun=True)) == 0
    assert capsys.readouterr().err.count("answered") == 1


def pairs_file(folder: Path, config: Config, **columns: list) -> str:
    """Pairs without labels: six new ones, one of a held-out left text, one that has a label, one twice."""
    table = pq.read_table(rows_of(config))
    held, known = (
        table.filter(pc.equal(table["split"], split)).slice(0, 1).to_pylist()[0] for split in ("test", "train")
    )
    new = [{"task": "query_item", "left": f"{text} {at}", "right": "lamp"} for at, text in enumerate(TEXTS)]
    more = [{name: row[name] for name in ("task", "left", "right")} for row in (held, known)]
    more[0]["right"] = "never seen"
    both = pa.Table.from_pylist([*new, *more, new[0]])
    for name, values in columns.items():
        both = both.append_column(name, pa.array(values))
    pq.write_table(both, folder / "clicks.parquet")
    return str(folder / "clicks.parquet")


def test_pairs_without_labels_are_trained_on_and_never_held_out(plain, tmp_path, capsys):
    student = taught(plain, "ce-mh-joint-s0", unlabelled=pairs_file(tmp_path, plain))
    assert sweep(student) == 0
    said = "6 pairs; left out: 1 whose left text validation or test rows have, 2 that stand there or twice"
    assert said in capsys.readouterr().err
    cell, known = cell_of(student), cell_of(plain)
    tokenizer = load_tokenizer(known.files.model / "tokenizer", cell.config.model)
    module, usual = (pairs_module(each.config, each.rows, tokenizer, each.backbone_digest) for each in (cell, known))
    for split in ("validation", "test"):
        assert np.array_equal(module.rows[split], usual.rows[split])
    new = np.setdiff1d(module.rows["train"], usual.rows["train"])
    assert module.examples.label[new].tolist() == [-1] * 6
    assert (module.examples.soft[module.rows["train"]].sum(axis=1) > 0.99).all()
    assert cell.train_rows == known.train_rows + 6
    assert record(student).cells[0].metrics["train/rows"] == cell.train_rows
    assert cell.data_digest == known.data_digest  # one table of test rows for the report
    assert cell.fingerprint != cell_of(taught(plain, "ce-mh-joint-s0")).fingerprint


def test_the_question_of_a_cell_holds_who_teaches_it(plain):
    by_ce, by_llm = (cell_of(taught(plain, f"{model}-mh-joint-s0")) for model in ("ce", "llm"))
    both = [cell_of(taught(plain, *names)) for names in (("ce-mh", "llm-mh"), ("llm-mh-joint-s0", "ce-mh"))]
    assert len({cell.fingerprint for cell in (cell_of(plain), by_ce, by_llm, *both)}) == 4
    assert by_ce.config.train.teacher == [cell_of(plain).folder.name]
    assert by_ce.variant == f"train.teacher=['{by_ce.config.train.teacher[0][:8]}']"
    begun = taught(plain, "ce-mh")
    assert sweep(begun) == 0
    assert cell_of(begun).fingerprint == by_ce.fingerprint  # though a taught cell, whose name begins so, is there now


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"teacher": ["ce-mph"]}, "train.teacher=ce-mph: neither a folder nor a run"),
        ({"teacher": ["best"]}, "train.teacher=best: of which sweep. give train.teacher_sweep=NAME"),
        ({"teacher": ["best"], "teacher_sweep": "nightly"}, "train.teacher=best: sweep=nightly: no such sweep"),
        ({"teacher": ["llm-mh", "llm-mh-joint-s0"]}, "llm-mh-joint-s0: is the same cell as llm-mh; name each once"),
        ({"teacher": ["./nowhere"]}, "train.teacher=./nowhere: no such folder"),
        ({"teacher": ["ce-bare-joint-s8"]}, "no model in .*save=all"),
        ({"teacher": ["ce-single"]}, "never learnt .*; name a cell of all tasks"),
        ({"teacher_weight": 0.9}, "train.teacher_weight=0.9: no cell of this command has a teacher"),
        ({"unlabelled": "x.csv"}, "train.unlabelled=x.csv: no cell of this command has a teacher"),
        ({"teacher": ["llm-mh"], "unlabelled": "x.csv"}, "train.unlabelled=x.csv: no such file"),
    ],
)
def test_a_teacher_that_cannot_be_is_refused_before_anything_trains(plain, changes, said):
    bare = replace(plain, routing=replace(plain.routing, name="bare"), save=Save.none, seed=8)
    single = replace(plain, routing=replace(plain.routing, name="single"), seed=9)
    single = replace(single, task_mix=MixConfig("single_query_item", Mix.single, "query_item"))
    assert sweep(bare, replace(single, probes=False, consistency=False)) == 0
    with pytest.raises(UserError, match=said):
        cell_of(replace(plain, train=replace(plain.train, **changes)))


def test_a_teacher_of_other_pairs_is_refused_and_one_that_failed(plain):
    with pytest.raises(UserError, match=r"ce-mh-joint-s0 was trained on pairs .*; name a cell of the same pairs"):
        cell_of(taught(plain, "ce-mh-joint-s0", data=DataConfig(rows=320)))
    wild = replace(plain, model=replace(plain.model, name="wild", lr=1e30, head_lr=1e30))
    assert sweep(wild) == 1
    with pytest.raises(UserError, match=r"its cell wild-mh.* is FAILED; finish it first"):
        cell_of(taught(plain, "wild-mh"))


def test_a_file_of_unlabelled_pairs_with_labels_or_bad_rows_is_refused(plain, tmp_path):
    labels = pairs_file(tmp_path, plain, label=["", "", "1", *[""] * 6])
    with pytest.raises(UserError, match="has a label: 1 row"):
        cell_of(taught(plain, "ce-mh-joint-s0", unlabelled=labels))
    aside = DataConfig(rows=300, on_bad_row=OnBadRow.quarantine)
    cell = cell_of(taught(plain, "ce-mh-joint-s0", unlabelled=labels, data=aside))
    listed = unlabelled_path(cell.config).with_name("quarantine.csv").read_text()
    assert "has a label" in listed
    assert "green cup 2" in listed
    assert cell.train_rows == cell_of(plain).train_rows + 5
    empty = tmp_path / "empty.csv"
    empty.write_text("task,left,right\nquery_item,,lamp\nquery_itme,cup,lamp\n")
    with pytest.raises(
        UserError, match=r"left is empty: 1 row[\s\S]*unknown task: 1 row|unknown task: 1 row[\s\S]*left is"
    ):
        cell_of(taught(plain, "ce-mh-joint-s0", unlabelled=str(empty)))


def test_plain_cells_beside_taught_ones_keep_the_defaults_and_their_question(plain):
    both = [replace(taught(plain, *who, teacher_weight=0.9), name="both") for who in ((), ("ce-mh-joint-s0",))]
    cells, _ = resolve([Request(config, plain) for config in both], prepared(both))
    assert [cell.refusal for cell in cells] == ["", ""]
    assert cells[0].fingerprint == cell_of(plain).fingerprint
