"""Cells for real, scored again from what they left: the same numbers, found by folder or by run id."""

import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small_sweep import record, runs, sweep

from relevance import predictions
from relevance.cli import run_command
from relevance.config import Save
from relevance.errors import UserError
from relevance.predict.__main__ import predict
from relevance.predict.scorer import Scorer
from relevance.tracking.names import model_folder
from relevance.tracking.serving import LIMITS


@pytest.fixture
def trained(trained_cell):
    """A maker of trained cells: config, record, and the table of its test rows."""

    def make(*words):
        config = trained_cell(*words)
        rows = pq.read_table(next(Path(config.outputs).glob("data/*/rows.parquet")))
        return config, record(config).cells[0], rows.filter(np.array(rows["split"]) == "test")

    return make


def probabilities(table):
    return np.stack([table[name].to_numpy() for name in predictions.PROBABILITIES], axis=1)


def where(config):
    return config.tracking_uri, config.experiment, Path(config.outputs)


@pytest.mark.parametrize(("model", "routing"), [("llm", "prefix"), ("ce", "mhp")])
def test_a_cell_scores_its_own_test_rows_as_it_did(trained, tmp_path, monkeypatch, capsys, model, routing):
    config, cell, rows = trained(model, routing)
    left = predictions.read(cell.folder / "test.parquet")
    pq.write_table(rows, tmp_path / "in.parquet")
    capsys.readouterr()
    for asked in (cell.run_id, str(cell.folder)):
        words = [f"cells={asked}", f"input={tmp_path / 'in.parquet'}", f"output={tmp_path / 'out.parquet'}", "chunk=11"]
        places = [f"{key}={getattr(config, key)}" for key in ("tracking_uri", "experiment", "outputs")]
        monkeypatch.setattr(sys, "argv", ["predict", *words, *places])
        run_command(predict)
        found = pq.read_table(tmp_path / "out.parquet")
        (tmp_path / "out.parquet").unlink()
        assert found["row"].to_pylist() == left["row"].to_pylist()
        assert np.abs(probabilities(found) - probabilities(left)).max() < 1e-5
        assert found["predicted"].to_pylist() == left["predicted"].to_pylist()
        printed = capsys.readouterr()
        (micro,) = [line.split() for line in printed.out.splitlines() if line.startswith("micro")]
        assert micro == ["micro", f"{len(left)}", f"{100 * cell.metrics['test/accuracy']:.1f}"]
        assert printed.err.count("\n") == 1


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed", "bf16-true"])
@pytest.mark.parametrize(("model", "routing"), [("llm", "mhp"), ("ce", "mh")])
def test_a_cell_is_scored_in_its_own_precision(trained, model, routing, precision):
    """To the bit in the same batches; in others sums have another order, which bfloat16 rounds to other numbers."""
    _, cell, rows = trained(model, routing, precision)
    assert cell.precision == precision
    left, scorer = probabilities(predictions.read(cell.folder / "test.parquet")), Scorer(cell.folder / "model")
    assert np.array_equal(scorer.probabilities(rows), left)
    alone = np.concatenate([scorer.probabilities(rows.slice(at, 1)) for at in range(len(rows))])
    assert np.abs(alone - left).max() < (1e-5 if precision == "32-true" else 0.02)


def test_a_served_cell_answers_in_its_own_precision(trained):
    from relevance.predict.served import ServedCell  # mlflow.pyfunc warns where it is imported first

    _, cell, rows = trained("llm", "mhp", "bf16-mixed")
    served = ServedCell()
    served.load_context(SimpleNamespace(artifacts={"model": str(cell.folder / "model")}, model_config=LIMITS))
    found = served.predict(None, rows.select(["task", "left", "right"]).to_pandas())
    left = predictions.read(cell.folder / "test.parquet")
    assert np.array_equal(found[list(predictions.PROBABILITIES)].to_numpy(np.float32), probabilities(left))
    assert found["label"].tolist() == left["predicted"].to_pylist()
    assert np.allclose(found["score"], found["p_partial"] + 2 * found["p_relevant"])


def test_the_scorer_keeps_the_order_of_rows_and_says_nothing(trained, capfd):
    _, cell, rows = trained("llm", "mh")
    capfd.readouterr()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scorer = Scorer(cell.folder / "model")
    order = np.random.default_rng(0).permutation(len(rows))
    counted = []
    whole, mixed = scorer.probabilities(rows, counted.append), scorer.probabilities(rows.take(pa.array(order)))
    assert (whole.dtype, whole.shape) == (np.float32, (len(rows), 3))
    assert np.allclose(whole[order], mixed, atol=1e-5)
    assert sum(counted) == len(rows)
    assert np.ptp(whole, axis=0).min() > 1e-4  # rows differ, or their order could not be seen
    assert scorer.probabilities(rows[:0]).shape == (0, 3)
    scorer.half = True  # as on CUDA after bf16-mixed
    rounded = scorer.probabilities(rows)
    assert 0 < np.abs(rounded - whole).max() < 0.02
    assert capfd.readouterr() == ("", "")
    with pytest.raises(UserError, match=r"device=abacus: .*use cpu, cuda, or null"):
        Scorer(cell.folder / "model", "abacus")


def test_threads_that_ask_at_once_get_what_each_would_alone(trained):
    """A server asks from several; the private layers hold the slices of the batch that is passing through."""
    _, cell, rows = trained("ce", "mhp")
    scorer = Scorer(cell.folder / "model")
    parts = [rows.slice(first, 7) for first in range(0, len(rows) - 7, 5)]
    alone = [scorer.probabilities(part) for part in parts]
    with ThreadPoolExecutor(4) as threads:
        for _ in range(5):
            together = list(threads.map(scorer.probabilities, parts))
            assert all(np.array_equal(a, b) for a, b in zip(alone, together, strict=True))


def test_a_backbone_that_reads_segments_is_shown_them(trained):
    _, cell, rows = trained("bert", "mh")
    scorer, shown = Scorer(cell.folder / "model"), []
    scorer.network.register_forward_pre_hook(lambda _, arguments: shown.append(set(arguments[0])))
    for names in (["input_ids", "attention_mask"], ["input_ids", "token_type_ids", "attention_mask"]):
        scorer.tokenizer.model_input_names = names
        shown.clear()
        scorer.probabilities(rows)
        assert shown[0] == set(names)


def test_a_model_is_found_by_folder_or_run_and_its_absence_explained(place, tmp_path):
    config = place("ce", "mh", save=Save.none)
    assert sweep(config) == 0
    cell = record(config).cells[0]
    with pytest.raises(UserError, match=rf"{cell.run_id}: no model in .*save=all rerun=true"):
        model_folder(cell.run_id, *where(config))
    with pytest.raises(UserError, match=r"no model in .*save=all"):
        model_folder(str(cell.folder), *where(config))
    assert sweep(replace(config, save=Save.all)) == 0
    newest = record(config).cells[0].run_id
    for asked in (newest, newest[:6], cell.cell, "ce-mh", str(cell.folder), str(cell.folder / "model")):
        assert model_folder(asked, *where(config)) == cell.folder / "model"
    with pytest.raises(UserError, match=rf"{cell.run_id}: FINISHED, and what its cell .* keeps is of its run {newest}"):
        model_folder(cell.run_id, *where(config))
    (parent,) = {run.info.run_id for run in runs(config, "tags.kind = 'sweep'")}
    for asked in (parent, "test"):
        with pytest.raises(UserError, match="is the run of test, a sweep and not a cell"):
            model_folder(asked, *where(config))
    with pytest.raises(UserError, match=r"best:ce: sweep test in .* no such cell that finished and learnt anything"):
        model_folder("best:ce", *where(config))
    with pytest.raises(UserError, match="sweep=nightly: no such sweep"):
        model_folder("best", *where(config), ["nightly"])
    for absent in ("0123abcd", "it's"):
        with pytest.raises(UserError, match=f"neither a folder nor a run of .*{newest} \\({cell.cell}\\)"):
            model_folder(absent, *where(config))
