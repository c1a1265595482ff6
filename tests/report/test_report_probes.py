import pytest
from page import line, text

from relevance.tasks import TASK_NAMES


def logged(kind: str, share: float) -> dict[str, float]:
    """What a cell logs of one probe with the same accuracy throughout."""
    names = [*(f"{task}/accuracy" for task in TASK_NAMES), "accuracy", "macro_accuracy"]
    return {f"probe/{kind}/{name}": share for name in names}


def section(study) -> str:
    return text(study).split("## Probes")[1].split("## Calibration")[0]


@pytest.fixture
def probed(study):
    study.cell("ce-mh-joint-s0", 4)
    for seed, share in enumerate((0.5, 0.6)):
        study.cell(f"llm-mhp-joint-s{seed}", 2)
        study.log(logged("other_head", share))
    study.cell("llm-mhp-joint-s2", 5)
    study.log(logged("no_prefix", 0.3))
    study.cell("llm-mhp-joint-s3", None, metrics=logged("other_head", 0.9))
    return study


def test_a_row_then_each_of_its_probes_over_the_seeds_that_logged_it(probed):
    page = section(probed)
    assert line(page, "model")[:7] == [*"model,routing,task mix,variant,probe,seeds".split(","), "query_item n=20"]
    mine = ["llm", "mhp", "joint", ""]
    assert line(page, *mine, "as trained")[5:] == ["3 of 4", *["85.0 ± 8.7"] * 8]
    assert line(page, *mine, "no_prefix")[5:] == ["1 of 4", *["30.0"] * 8]
    assert line(page, *mine, "other_head")[5:] == ["2 of 4", *["55.0 ± 7.1"] * 8]
    assert page.index("| as trained") < page.index("| no_prefix") < page.index("| other_head")
    assert "| ce " not in page


def test_only_the_kinds_shown_are_explained(probed):
    page = section(probed)
    assert "logged it. no_prefix: the prefix removed; other_head: another task's head.\n" in page
    assert "closed_gate" not in page


def test_an_unknown_kind_follows_the_known_and_is_escaped(probed):
    probed.cell("llm-mh-joint-s0")
    probed.log(logged("a|b", 0.4) | logged("closed_gate", 0.2))
    page = section(probed)
    assert r"closed_gate: the gates of post-norm private layers closed; a\|b: a change that this report" in page
    assert page.index("| closed_gate") < page.index(r"| a\|b")


def test_that_a_part_of_the_rows_was_scored_is_said(probed):
    assert "scored again; 'as trained'" not in section(probed)
    probed.cell("llm-mh-joint-s0")
    probed.log(logged("no_prefix", 0.4) | {"probe/rows": 50_001.0})
    assert "Of a larger table 50,001 test rows, drawn once, were scored again; 'as trained' is of all." in section(
        probed
    )


def test_what_a_probe_did_not_log_is_a_dash(probed):
    probed.cell("llm-mh-joint-s0", 9)
    probed.log({"probe/no_prefix/accuracy": 0.25, "probe/no_prefix/item_type/accuracy": float("nan")})
    probed.log({"probe/no_prefix/logit_shift": 3.0, "probe/other_head/seconds": 3.0})
    page = section(probed)
    assert line(page, "llm", "mh", "joint", "", "as trained")[6:] == [*["55.0†"] * 6, "55.0", "55.0 learnt nothing"]
    assert line(page, "llm", "mh", "joint", "", "no_prefix")[5:] == ["1", *"——————", "25.0", "—"]
    assert page.count("| llm   | mh ") == 2


def test_each_table_of_pairs_with_probes_has_a_table_of_its_own(probed, pairs):
    probed.table(pairs(("query_item",)), "e2" * 32)
    probed.table(pairs(("item_item",)), "f3" * 32)
    probed.cell("ce-mh-joint-s0", data_digest="f3" * 32)
    probed.cell("ce-mh-joint-s0", data_digest="e2" * 32)
    probed.log({"probe/other_head/query_item/accuracy": 0.5, "probe/other_head/accuracy": 0.5})
    first, second = section(probed).split("Data ")[1:]
    assert first.startswith("d1d1d1d1d1d1:")
    assert second.startswith("e2e2e2e2e2e2:")
    assert line(second, "ce", "mh", "joint", "", "other_head")[6:] == ["50.0", *"—————", "50.0", "—"]


def test_no_section_where_no_finished_cell_logged_a_probe(study):
    study.cell("ce-mh-joint-s0")
    study.cell("ce-mh-joint-s1", None, metrics=logged("other_head", 0.9))
    assert "robe" not in text(study).replace("probabilities", "")
