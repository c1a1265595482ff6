"""The command derive: its words over conf/source/<name>.yaml → a table of pairs, and a summary on the screen.

["source=wands", "judgements=label.csv", ...] → DeriveOptions(grades={"Exact": 2, ...}, judgements="label.csv", ...)
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import DictConfig, OmegaConf
from yaml import YAMLError

from relevance.atomic_io import sibling
from relevance.cli import aligned, parse
from relevance.config import conf_folder
from relevance.derive.checks import problems
from relevance.derive.options import DeriveOptions
from relevance.errors import UserError
from relevance.tasks import LABELS

if TYPE_CHECKING:
    from relevance.derive.derive import Derived

FOLDER = conf_folder() / "source"
SOURCE = "source"
TEXTS = (SOURCE, "judgements", "queries", "items", "taxonomy", "output", "read.text", "read.separator")
LEGEND = (
    "settled: the same two texts once more, or outvoted; apart: entities of two splits; similar: the label doubtful; "
    "capped: an entity had enough; balanced: as tasks.* ask"
)


def derive(words: list[str]) -> None:
    """Write the pairs that judgements, items and a tree of types give, and print how they came about."""
    from relevance.derive.derive import ASIDE, RECORD, derive_pairs

    asked = options(words)
    derived = derive_pairs(asked)
    output = Path(asked.output or "")
    print(f"{output}: {derived.rows:,} pairs; how they came about is in {sibling(output, RECORD)}\n")
    print(aligned([("input", "rows"), *((name, f"{rows:,}") for name, rows in derived.inputs.items())], 1))
    if derived.faults:
        body = [
            (fault["input"], fault["problem"], "kept" if fault["kept"] else "set aside", f"{fault['rows']:,}")
            for fault in derived.faults
        ]
        print("\n" + aligned([("at fault", "", "", "rows"), *body], 3) + f"\nlisted in {sibling(output, ASIDE)}")
    print("\n" + aligned(derived.ledger.lines(), 2) + f"\n{LEGEND}")
    print(*_notes(derived), sep="\n", end="\n\n")
    counts = [
        (task, split, f"{sum(labels):,}", *(f"{rows:,}" for rows in labels))
        for task, splits in derived.splits.items()
        for split, labels in splits.items()
    ]
    print(aligned([("task", "split", "rows", *LABELS), *counts], 2))


def _notes(derived: "Derived") -> Iterator[str]:
    from relevance.audit.page import agreed

    n, _, equal, kappa, interval = agreed(derived.agreement)
    if derived.agreement["n"]:
        yield f"judged again: {n} times, {equal} % alike; Cohen's kappa, quadratic weights: {kappa} ({interval})"
    for task, made in derived.ledger.made.items():
        if made.differing:
            yield f"{task}: {made.differing:,} pairs had more than one label"
        if made.alike:
            yield f"{task}: {made.alike:,} rows with two equal texts left out"
    for reason in dict.fromkeys(derived.idle.values()):
        yield f"not used, {reason}: {', '.join(name for name, why in derived.idle.items() if why == reason)}"


def options(words: list[str]) -> DeriveOptions:
    """Raises one UserError for an unknown key, a wrong type, a source that is not there and what cannot be."""
    named = [word.partition("=")[2].strip("'\"") for word in words if word.startswith(f"{SOURCE}=")]
    files = [_source_file(named[-1])] if named and named[-1] != "null" else []
    asked = parse(DeriveOptions, [_quoted(word) for word in words], *files)
    if found := problems(asked):
        raise UserError("derive:\n" + "\n".join(f"  {problem}" for problem in found))
    return asked


def _quoted(word: str) -> str:
    """The word with its text as YAML reads it back: *.csv and {title}. {brand} would mean something else to it."""
    key, _, text = word.partition("=")
    if key not in TEXTS or text in ("", "null") or text[0] in "'\"":
        return word
    return f"{key}={json.dumps(text, ensure_ascii=False)}"


def _source_file(name: str) -> Path:
    path = Path(name) if name.endswith((".yaml", ".yml")) else FOLDER / f"{name}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in FOLDER.glob("*.yaml")))
        raise UserError(f"source={name}: {path} is not there; available: {known}, or a path to a .yaml of your own")
    try:
        if not isinstance(OmegaConf.load(path), DictConfig):
            raise UserError("holds a list; give keys such as grades and read, as the files of conf/source do")
        parse(DeriveOptions, [], path)
    except (YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"source={name}: {path}: is no YAML ({' '.join(str(error).split())}); mend it") from error
    except UserError as error:
        raise UserError(f"source={name}: {path}: {error}") from error
    return path
