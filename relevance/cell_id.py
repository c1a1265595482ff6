"""A cell: what tells it from others (config and digests → fingerprint, name, variant), and where its files lie.

Config(model=llm, routing=mhp, routing.private.layers=3, seed=0) → "llm-mhp[private.layers=3]-joint-s0", "9f2c…"

outputs/cells/9f2c41d07be35a66/        what a finished cell leaves
outputs/cells/9f2c41d07be35a66.part/   the same while it trains, with its checkpoints; .lock is held meanwhile

slug: any name → that of a folder, never a path, the same for the same name
"nightly" → "nightly"    "a b" → "a-b-c8687a08"    "../../x" → "x-9cdf6a50"
"""

import hashlib
import json
import platform
import re
import subprocess
from dataclasses import asdict, dataclass, field
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml

from relevance.config import HEAD, Config, Source

# Of the trainer: where and how fast a cell runs, not what it computes.
PLACE = frozenset("accelerator devices log_every_n_steps enable_progress_bar benchmark".split())
QUESTION = ("model", "routing", "task_mix", "train", "trainer", "match")  # with data and seed: what can change numbers
CHOSEN = ("lr", *sorted(HEAD), "private_lr")  # rates of a model that trials choose
NAME_LENGTH = 80  # characters of a cell's name; the whole one is a tag of its run
FOLDER_LENGTH = 80  # characters of what `slug` gives
# Of the code: raise it with every change after which the same settings give other numbers, a schema's default changed
# among them. 2: heads start near zero, a line break behind the prefix, ten steps of warm-up at least, adapters in
# float32 under bf16-true. 3: pairs are cut as transformers cuts them (data.tokens.fit).
# 4: one thread on the CPU by default; other embedded backbones.
NUMERICS = 4
FOLDER = re.compile(r"\b([0-9a-f]{8})[0-9a-f]{8}\b")  # of a cell or a table, of which a name has eight digits
DATA = "data."  # what the names of its settings begin with
QUARANTINE = "quarantine.csv"  # beside rows.parquet: the rows of a file that were set aside
PACKAGES = ("torch", "transformers", "peft", "lightning", "mlflow", "numpy", "pandas", "pyarrow", "scikit-learn")
DERIVING = ("duckdb", "numpy", "pyarrow", "scikit-learn", "transformers")
REMEDY = "copy the folder again from where it was trained, or train the cell with rerun=true"  # of a model folder


class _Inside:
    """The path of a name in the folder."""

    def __init__(self, name: str):
        self.name = name

    def __get__(self, folder: "CellFolder", owner: type) -> Path:
        return folder.path / self.name


@dataclass(frozen=True)
class CellFolder:
    """The files in one of these folders."""

    path: Path
    config = _Inside("config.yaml")
    model = _Inside("model")
    validation = _Inside("validation.parquet")
    test = _Inside("test.parquet")  # a cell without it is not finished, whatever its run says
    consistency = _Inside("consistency.parquet")  # of the pairs that the test rows imply (relevance.data.implied)
    record = _Inside("record.jsonl")  # the events of its run (relevance.tracking.record)
    sent = _Inside("record.sent")  # how much of the record which MLflow store has
    progress = _Inside("progress.json")  # how far rank 0 of a cell of several devices is

    @classmethod
    def of(cls, outputs: Path, fingerprint: str) -> "CellFolder":
        return cls(outputs / "cells" / fingerprint[:16])

    @property
    def work(self) -> "CellFolder":
        """What a half-trained cell has so far; it is renamed to this folder when the cell has finished."""
        return CellFolder(self.path.with_suffix(".part"))

    @property
    def lock(self) -> Path:
        return self.path.with_suffix(".lock")

    def predictions(self, split: str) -> Path:
        return self.path / f"{split}.parquet"

    @property
    def sealed(self) -> tuple[Path, ...]:
        """Those that the seal of a finished cell covers; its model folder has a seal of its own."""
        return *self.reported, self.record

    @property
    def reported(self) -> tuple[Path, ...]:
        """Those that a report reads."""
        return self.config, self.consistency, self.test, self.validation


@dataclass(frozen=True)
class Request:
    """A cell as asked for: its config, and the same choice of groups with nothing else changed."""

    config: Config
    defaults: Config
    unresolved: dict[str, str] = field(default_factory=dict)  # leaves from the environment: path → ${oc.env:NAME}
    refusal: str = ""  # why no such cell can be


@dataclass(frozen=True)
class Cell:
    """One cell, resolved: what to run and what it is called."""

    config: Config
    fingerprint: str
    name: str
    variant: str
    data_digest: str
    backbone_digest: str
    rows: Path  # rows.parquet
    train_rows: int  # an epoch holds
    unresolved: dict[str, str] = field(default_factory=dict)  # as in Request
    refusal: str = ""
    asked: int = 1  # times, by one command; it runs once
    doubts: tuple[str, ...] = ()  # why it can hardly learn

    @property
    def axes(self) -> dict[str, Any]:
        """What tells it from the other cells of a sweep."""
        c = self.config
        names = {"model": c.model.name, "routing": c.routing.name, "task_mix": c.task_mix.name}
        return {**names, "variant": self.variant, "seed": c.seed}

    @property
    def files(self) -> CellFolder:
        return CellFolder.of(Path(self.config.outputs), self.fingerprint)

    @property
    def folder(self) -> Path:
        return self.files.path

    @property
    def work(self) -> Path:
        return self.files.work.path


def data_folder(outputs: Path, digest: str) -> Path:
    return outputs / "data" / digest[:16]


def fingerprint(config: Config, data_digest: str, backbone_digest: str) -> str:
    """sha256 (hex) of what can change the cell's numbers; paths, devices, threads and sweep do not count.

    Of the settings those count that differ from the schema's defaults, so that a new field changes no fingerprint.
    """
    ours, defaults = flat(question(config)), flat(question(Config()))
    settings = {key: value for key, value in ours.items() if key not in defaults or value != defaults[key]}
    settings |= {"model.backbone": backbone_digest, "data": data_digest, "seed": config.seed, "numerics": NUMERICS}
    return hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode()).hexdigest()


def question(config: Config) -> dict[str, Any]:
    """The settings that can change a cell's numbers, by group."""
    whole = asdict(config)
    whole["trainer"] = {key: value for key, value in whole["trainer"].items() if key not in PLACE}
    del whole["model"]["revision"]  # the digest of what it names counts
    del whole["model"]["tuning"]  # model.lora counts
    del whole["train"]["token_budget"]  # how a step is cut changes no sum of it beyond rounding
    return {key: whole[key] for key in QUESTION}


def variant_of(config: Config, defaults: Config, data_digest: str, backbone_digest: str) -> str:
    """What differs from the groups' defaults, "private.layers=3,lora.r=8"; "" where nothing does."""
    parts = [*_data_parts(config, defaults, data_digest)]
    if config.model.backbone != defaults.model.backbone:
        parts.append(f"backbone={_backbone(config)}@{backbone_digest[:8]}")
    if config.model.tuning != defaults.model.tuning:
        parts.append(f"tuning={config.model.tuning}")
    ours, theirs = flat(question(config)), flat(question(defaults))
    skipped = {"model.backbone", *(f"{group}.name" for group in QUESTION)}
    skipped |= {f"model.{key}" for key in HEAD if getattr(config.model, key) is None}  # the other one is said
    if config.tune.sweep:  # whatever they are: its cells stand in one row of a report, and rows beside each other
        parts.append(f"tuned={config.tune.sweep}")
        skipped |= {f"model.{key}" for key in CHOSEN}
    differing = [key for key in sorted(ours.keys() | theirs.keys()) if ours.get(key) != theirs.get(key)]
    return ",".join([*parts, *(f"{_short(key)}={_show(ours.get(key))}" for key in differing if key not in skipped)])


def variant_parts(variant: str, config: Config) -> list[str]:
    """The settings that a variant of this config names, as it writes them: ["data.rows=10000", "lora.targets=[q,v]"].

    The config says what they are: a value may hold commas, so that the text alone does not say where it ends.
    """
    text, digest = f",{variant},", 8
    named = [f"data={Path(config.data.path or '').stem}@", f"backbone={_backbone(config)}@"]
    named = [part + text.partition(f",{part}")[2][:digest] for part in named]
    settings = short_settings(config).items()
    parts = [f"{key}={value if key.startswith(DATA) else _show(value)}" for key, value in settings]
    return sorted((part for part in (*named, *parts) if f",{part}," in text), key=lambda part: text.index(f",{part},"))


def short_settings(config: Config) -> dict[str, Any]:
    """The settings that a variant may name, by the names it gives them: {"data.rows": 600, "lora.r": 8, …}."""
    ours = {"tuning": config.model.lora.tuning.value, "tuned": config.tune.sweep}
    data, settings = asdict(config.data), {**flat(question(config)), **ours}
    return {**{f"{DATA}{key}": data[key] for key in data}, **{_short(key): settings[key] for key in sorted(settings)}}


def without(variant: str, *parts: str) -> str:
    """A variant without these of its parts."""
    for part in parts:
        variant = f",{variant},".replace(f",{part},", ",", 1).strip(",")
    return variant


def _backbone(config: Config) -> str:
    return Path(config.model.backbone or "").name.removeprefix("packaged:")


def _data_parts(config: Config, defaults: Config, digest: str) -> list[str]:
    if config.data.kind is Source.pairs:
        return [f"data={Path(config.data.path or '').stem}@{digest[:8]}"]
    ours, theirs = asdict(config.data), asdict(defaults.data)
    return [f"data.{key}={ours[key]}" for key in ours if ours[key] != theirs[key]]


def flat(node: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings as {"model.lora.r": 16, ...}."""
    leaves: dict[str, Any] = {}
    for key, value in node.items():
        if isinstance(value, dict):
            leaves |= flat(value, f"{prefix}{key}.")
        else:
            leaves[f"{prefix}{key}"] = value
    return leaves


def _short(key: str) -> str:
    return key.removeprefix("routing.").removeprefix("model.").replace("trainer.precision", "precision")


def _show(value: Any) -> str:
    """The value as one would type it; a text that reads as something else is quoted."""
    if isinstance(value, str) and not isinstance(yaml.safe_load(value), str):
        return repr(value)
    text = "null" if value is None else str(value).replace(" ", "")
    return FOLDER.sub(r"\1", text)  # of cells that teach, and of pairs without labels


def beside(config: Config, other: Config) -> str:
    """Settings of `other` that differ and are no part of the question, "save=all,threads=2"; "" where none do."""
    ours, theirs = flat(asdict(config)), flat(asdict(other))
    return ",".join(f"{key}={_show(theirs.get(key))}" for key in sorted(theirs) if ours.get(key) != theirs[key])


def full_name(config: Config, variant: str) -> str:
    """llm-mhp[variant]-joint-s0"""
    middle = f"[{variant}]" if variant else ""
    return f"{config.model.name}-{config.routing.name}{middle}-{config.task_mix.name}-s{config.seed}"


def cell_name(config: Config, variant: str) -> str:
    """The whole name; of one over NAME_LENGTH characters a digest stands for the end of the variant."""
    whole = full_name(config, variant)
    if len(whole) <= NAME_LENGTH or not variant:
        return whole
    mark = "…" + hashlib.sha256(whole.encode()).hexdigest()[:8]
    room = max(0, NAME_LENGTH - len(full_name(config, mark)))
    return full_name(config, variant[:room] + mark)


def slug(name: str) -> str:
    """A folder name of letters, digits and ._- for `name`: itself where it is one, else told apart by a digest."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", name)
    if plain == name and name.strip(".") and len(name) <= FOLDER_LENGTH:
        return name
    mark = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{plain.strip('.-')[: FOLDER_LENGTH - 9] or 'sweep'}-{mark}"


def package_versions(packages: tuple[str, ...] = PACKAGES) -> dict[str, str]:
    """Versions of what numbers depend on."""
    return {"python": platform.python_version(), **{package: version(package) for package in packages}}


@cache
def git_commit() -> dict[str, str]:
    """The code's commit, and whether files differ from it; empty outside a checkout of this code."""

    def git(*words: str) -> str:
        here = Path(__file__).parent
        return subprocess.run(["git", *words], cwd=here, capture_output=True, text=True, check=True).stdout.strip()

    try:
        git("ls-files", "--error-unmatch", Path(__file__).name)  # an installed package may lie in a user's repository
        return {
            "git_commit": git("rev-parse", "HEAD"),
            "git_dirty": str(bool(git("status", "--porcelain"))).lower(),
        }
    except (OSError, subprocess.CalledProcessError):
        return {"git_commit": "", "git_dirty": ""}
