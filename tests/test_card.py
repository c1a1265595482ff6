"""The model card of an exported folder: its lines run, its numbers are the report's, its licence the backbone's own."""

import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from small_sweep import record

from relevance.cell_id import CellFolder
from relevance.export.folder import export
from relevance.model.backbone import card_licence
from relevance.model.module import quiet
from relevance.predict.scorer import Scorer
from relevance.report.frame import cells_frame

CARDS = {
    "---\nlicense: apache-2.0\n---\n# A model": "apache-2.0",
    "---\nlicense: other\nlicense_name: gemma\n---\n": "other, gemma",
    "---\nlicense: [mit, apache-2.0]\n---\n": "mit, apache-2.0",
    "---\nlanguage: en\n---\nlicense: mit": "",
    "license: mit": "",
    "---\n{: broken\n---\n": "",
    "---\n- a list\n---\n": "",
}


@pytest.mark.parametrize("form", ["merged", "adapter"])
def test_the_lines_of_a_card_run_and_its_numbers_are_the_frames(trained_cell, tmp_path, monkeypatch, form):
    config = trained_cell("llm", "mh")
    sweep = record(config)
    cell, values = sweep.cells[0], cells_frame(sweep).iloc[0]
    quiet()
    export(cell.files.model, "query_item", form, tmp_path / "out")
    card = (tmp_path / "out" / "README.md").read_text()
    assert card.startswith(f"---\nlibrary_name: {'peft' if form == 'adapter' else 'transformers'}\n")
    (lines,) = re.findall(r"```python\n(.*?)```", card, flags=re.DOTALL)
    assert len(lines.splitlines()) == 3
    monkeypatch.chdir(tmp_path / "out")
    names: dict = {}
    exec(lines, names)
    pair = pa.table({"task": ["query_item"], "left": ["usb c cable"], "right": ["Volt USB-C cable 2 m, black"]})
    assert np.allclose(names["p"].detach().numpy(), Scorer(cell.files.model, "cpu").probabilities(pair), atol=1e-5)
    low, high = (100 * values[f"query_item_accuracy_{end}"] for end in ("low", "high"))
    assert f"| accuracy on query_item | {100 * values['query_item_accuracy']:.1f} | {low:.1f} to {high:.1f} |" in card
    assert f"| accuracy, mean over tasks | {100 * values['macro_accuracy']:.1f} |" in card
    assert f"# {cell.cell}: query_item" in card
    assert cell.data_digest in card
    assert "backbone: llm; licence: unknown" in card
    assert str(tmp_path.parent) not in card


@pytest.mark.parametrize("lost", ["record.jsonl", "test.parquet", "rows"])
def test_what_is_not_beside_the_model_is_not_known(trained_cell, tmp_path, lost):
    config = trained_cell("ce", "mh")
    outputs = shutil.copytree(config.outputs, tmp_path / "outputs")
    (folder,) = (path for path in outputs.glob("cells/*") if path.is_dir())
    shutil.rmtree(outputs / "data") if lost == "rows" else (folder / lost).unlink()
    export(CellFolder(folder).model, "item_item", "merged", tmp_path / "out")
    card = (tmp_path / "out" / "README.md").read_text()
    assert "Not known here: " in card
    assert "| accuracy" not in card


def test_a_licence_is_the_one_that_the_backbones_card_names(place, backbones, tmp_path):
    folder = shutil.copytree(backbones["ce"], tmp_path / "backbone")
    config = place("ce")
    config = replace(config, model=replace(config.model, backbone=str(folder)))
    assert card_licence(config) == ""
    for text, licence in CARDS.items():
        Path(folder, "README.md").write_text(text)
        assert card_licence(config) == licence
    embedded = replace(config.model, backbone="embedded:llm")
    assert card_licence(replace(config, model=embedded)) == "apache-2.0"  # the project's own
