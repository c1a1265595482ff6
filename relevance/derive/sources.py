"""Words of the command line over conf/source/<name>.yaml over the defaults → options, checked.

["source=wands", "judgements=label.csv", ...] → DeriveOptions(grades={"Exact": 2, ...}, judgements="label.csv", ...)
"""

import json
from pathlib import Path

from omegaconf import DictConfig, OmegaConf
from yaml import YAMLError

from relevance.commands import parse
from relevance.config import conf_folder
from relevance.derive.checks import problems
from relevance.derive.options import DeriveOptions
from relevance.errors import UserError

FOLDER = conf_folder() / "source"
SOURCE = "source"
TEXTS = (SOURCE, "judgements", "queries", "items", "taxonomy", "output", "read.text", "read.separator")


def options(words: list[str]) -> DeriveOptions:
    """Raises one UserError for an unknown key, a wrong type, a source that is not there and what cannot be."""
    named = [word.partition("=")[2].strip("'\"") for word in words if word.startswith(f"{SOURCE}=")]
    files = [_file(named[-1])] if named and named[-1] != "null" else []
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


def _file(name: str) -> Path:
    path = Path(name) if name.endswith((".yaml", ".yml")) else FOLDER / f"{name}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(one.stem for one in FOLDER.glob("*.yaml")))
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
