"""How a trained cell reads pairs, as its folder keeps it."""

import json

from relevance.data.tokens import Reading, Template
from relevance.tasks import TASK_NAMES

TEMPLATE = Template(prefix=True, pair=False, max_length=64)


def test_what_is_written_is_read_again(tmp_path):
    reading = Reading(TEMPLATE, ("query_item", "type_type"))
    (tmp_path / "template.json").write_text(json.dumps(reading.written()))
    assert Reading.of(tmp_path) == reading


def test_a_file_that_names_no_tasks_is_of_a_cell_that_knows_all(tmp_path):
    written = Reading(TEMPLATE, ()).written()
    del written["tasks"]
    (tmp_path / "template.json").write_text(json.dumps(written))
    assert Reading.of(tmp_path) == Reading(TEMPLATE, TASK_NAMES)


def test_unknown_tasks_are_named_once_in_their_own_order():
    reading = Reading(TEMPLATE, ("item_item",))
    assert reading.unknown(["type_type", "query_item", "type_type", "item_item"]) == ["query_item", "type_type"]
    assert reading.unknown([]) == []


def test_a_folder_of_before_reads_pairs_as_its_cell_did(tmp_path):
    (tmp_path / "template.json").write_text(json.dumps({"prefix": True, "pair": False, "max_length": 64}))
    template = Reading.of(tmp_path).template
    assert (template.line, template.odd_to_longer) == (False, False)
