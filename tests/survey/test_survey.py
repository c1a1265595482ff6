"""A slice of the table of backbones through its own command, and what it says of an architecture that fails."""

import runpy
import sys

import pytest

from tools.survey import check


def survey(monkeypatch, *words: str) -> int:
    """The command's exit code."""
    monkeypatch.setattr(sys, "argv", ["tools.survey", *words])
    with pytest.raises(SystemExit) as end:
        runpy.run_module("tools.survey", run_name="__main__")
    return end.value.code


PART = ("architectures=[qwen3,bert]", "routings=[prefix,mhp]", "kinds=[inserted,lora]", "steps=12")


def test_cells_of_both_families_fit_save_reload_and_give_equal_logits(monkeypatch, tmp_path, capsys):
    output = tmp_path / "reports" / "backbones.md"
    output.parent.mkdir()
    output.write_text("# Old\n\n## Real sizes\n\n| kept |\n")
    assert survey(monkeypatch, *PART, f"output={output}") == 0
    text, said = output.read_text(), capsys.readouterr().out
    assert "5 cells: 5 fit, 5 save, 5 reload, 5 give equal logits, 4 export, 1 cannot; 0 failed" in said
    assert text.endswith("\n## Real sizes\n\n| kept |\n")
    assert "# Old" not in text
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("| ")]
    tables = {tuple(line[:3]): line for line in lines}
    assert tables["bert", "ce", "prefix"][3:7][2:] == ["yes", "0"]
    assert tables["bert", "ce", "inserted"][3] == "closed gate"
    assert tables["bert", "ce", "inserted"][8] == tables["bert", "ce", "mhp"][7] == "refused"
    assert "export refused (1 of 5 cells): routing.private.kind=inserted: the gate" in text
    assert float(tables["qwen3", "llm", "lora"][8]) <= 1e-4
    assert tables["qwen3", "llm", "lora"][3] == "B = 0"
    assert ("bert", "ce", "lora") not in tables
    trained, total = (int(n.replace(",", "")) for n in tables["qwen3", "llm", "prefix"][8].split(" / "))
    assert trained == 0 < total


def test_what_fails_is_named_counted_and_ends_with_code_1(monkeypatch, tmp_path, capsys):
    def broken(*_):
        raise RuntimeError("no such luck\nsecond line")

    monkeypatch.setattr(check, "load_network", broken)
    output = tmp_path / "backbones.md"
    assert survey(monkeypatch, "architectures=[bert]", "routings=[mh]", "kinds=[top]", f"output={output}") == 1
    said = capsys.readouterr().out
    assert "2 cells: 2 fit, 2 save, 0 reload, 0 give equal logits, 0 export, 0 cannot; 2 failed" in said
    assert "bert mh inserted failed" in output.read_text()
    assert "RuntimeError: no such luck" in output.read_text()
    assert "second line" not in output.read_text()


@pytest.mark.parametrize(
    ("word", "said"), [("architectures=[bret]", "available: bert, roberta"), ("steps=0", "1 or more")]
)
def test_an_unknown_word_is_refused(monkeypatch, capsys, word, said):
    assert survey(monkeypatch, word) == 2
    assert said in capsys.readouterr().err
