"""The typed config: the schema of conf/. Checked once, at the door, by relevance.checks. Imports no torch.

A field says with `setting` what --help prints of its key and which values it may have:
lr: Rate = setting(5e-4, "learning rate of the body", above=0) → "model.lr=0: must be above 0"
"""

import operator
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

from relevance.tasks import TASK_NAMES

NAMES = 250  # characters of a run's name that MLflow's databases hold

# conf/ leaves these null until rates.filled, so that OmegaConf has to read them as optional; a Config has them all.
if TYPE_CHECKING:
    Text = str
    Count = int
    Rate = float
else:
    Text, Count, Rate = str | None, int | None, float | None

RATES = "see conf/rates.yaml"  # of null
BOUNDS = {  # name: the test a number has to pass, and its words behind "must be"
    "above": (operator.gt, "above {:,}"),
    "at_least": (operator.ge, "{:,} or more"),
    "below": (operator.lt, "below {:,}"),
    "at_most": (operator.le, "at most {:,}"),
}


def setting(
    default: Any,
    help: str,
    *,
    null: str = "",
    above: float | None = None,
    at_least: float | None = None,
    below: float | None = None,
    at_most: float | None = None,
    one_of: tuple[str, ...] = (),
) -> Any:
    """A field of an options dataclass; `default` is a value, dict or list; `null` says what null means.

    Bounds are those of a number, or of each number in a list or a mapping.
    """
    numbers = {"above": above, "at_least": at_least, "below": below, "at_most": at_most}
    metadata = {"help": help, "null": null, "one_of": one_of} | {k: v for k, v in numbers.items() if v is not None}
    if isinstance(default, type):
        return field(default_factory=default, metadata=metadata)
    return field(default=default, metadata=metadata)


def allows(metadata: Mapping[str, Any], value: Any) -> bool:
    """Whether a value is within the bounds of its field; null is, and so is what bounds say nothing of."""
    if isinstance(value, dict | list):
        return all(allows(metadata, inner) for inner in (value.values() if isinstance(value, dict) else value))
    if isinstance(value, str) or value is None:
        return value is None or not metadata.get("one_of") or value in metadata["one_of"]
    bounds = [(test, metadata[name]) for name, (test, _) in BOUNDS.items() if name in metadata]
    return not bounds or (isfinite(value) and all(test(value, bound) for test, bound in bounds))


def allowed(metadata: Mapping[str, Any]) -> str:
    """What the value of a field may be, "0 or more and below 1"; "" where it has no bounds."""
    words = [text.format(metadata[name]) for name, (_, text) in BOUNDS.items() if name in metadata]
    return " and ".join(words) or (f"one of {', '.join(metadata['one_of'])}" if metadata["one_of"] else "")


def conf_folder() -> Path:
    """The folder conf/: within the package where a wheel put it, beside the package in a checkout."""
    package = Path(__file__).resolve().parent
    installed = package / "conf"
    return installed if installed.is_dir() else package.parent / "conf"


Source = StrEnum("Source", "generated pairs")
OnBadRow = StrEnum("OnBadRow", "error quarantine")
Family = StrEnum("Family", "ce llm")
Tuning = StrEnum("Tuning", "full lora")
Attention = StrEnum("Attention", "causal bidirectional")
Pooling = StrEnum("Pooling", "last mean first")
Save = StrEnum("Save", "all none")
Schedule = StrEnum("Schedule", "linear cosine constant")
Mix = StrEnum("Mix", "joint temperature equal single")
Match = StrEnum("Match", "none examples steps")


NAMED_CELL = (  # what several commands say of the same settings
    "by name, a beginning that no other has, run id or four characters of it, folder; or best, the highest macro "
    "accuracy on validation, best:ce of a family or model, best:ce-mhp of names that begin so; several as a list"
)
MOVED_BACKBONE = "where the frozen backbone of an llm cell lies now, if it moved; a list for several cells"
OWN_CODE = "run code that came with a cell's backbone, where it was trained with model.trust_remote_code=true"


class PrivateKind(StrEnum):
    inserted = "inserted"
    top = "top"
    lora = "lora"
    shared = "shared"

    @property
    def is_adapter(self) -> bool:
        """Whether its layers are LoRA beside frozen weights; all others are blocks of which every weight is trained."""
        return self is PrivateKind.lora


@dataclass(kw_only=True)
class TextFile:
    """How a text file is laid out, packed and encoded."""

    header: list[str] = setting(list, "the names of all columns of a file whose first line is a row")
    delimiter: str | None = setting(None, "one sign; ' ': blanks and tabs", null="the first rows say it")
    quotes: bool = setting(True, "whether a cell in quotes may hold the delimiter and line breaks")
    encoding: str | None = setting(None, "cp1252, utf-16-le, ...", null="the file's mark, else UTF-8")
    unpacked: float = setting(20.0, "GB that a packed file may unpack to", above=0)
    ratio: float = setting(200.0, "times its size that a packed file may unpack to, beyond 0.1 GB", above=0)


@dataclass
class DataConfig(TextFile):
    kind: Source = setting(Source.generated, "a made-up shop, or the pairs of a file")
    path: str | None = setting(None, "file of pairs: .parquet, .csv, .tsv, .jsonl, .txt, .csv.gz; with data=pairs")
    columns: dict[str, str] = setting(dict, "names of the file's columns, ours: theirs, {left: query, right: title}")
    task: str | None = setting(None, "of all rows", null="the column task says it", one_of=TASK_NAMES)
    grades: dict[Any, int] = setting(
        dict, "the label of each text in column label, {Exact: 2, No: 0}; {}: it holds labels", at_least=0, at_most=2
    )
    on_bad_row: OnBadRow = setting(OnBadRow.error, "name every bad row and stop, or set bad rows aside and count them")
    seed: int = setting(0, "of the generator and of the split by entity; never the cell's seed", at_least=0)
    validation_share: float = setting(
        0.08, "of the entities on the left, where the pairs have no column split", above=0
    )
    test_share: float = setting(0.12, "the same for the test split", above=0)
    rows: int = setting(40_000, "how many pairs; of generated data only", at_least=100)
    noise: float = setting(0.04, "share of labels replaced by another; of generated data only", at_least=0, below=0.5)


@dataclass
class LoraConfig:
    r: Count = setting(0, "rank of the adapters; 0: none, every weight is trained", null=RATES, at_least=0)
    alpha: Rate = setting(16.0, "scale of the adapters, over r", null=RATES, above=0)
    dropout: float = setting(0.0, "in front of the adapters", at_least=0, below=1)
    targets: Any = setting("all-linear", "attention, all-linear, or a list of module names", null=RATES)
    use_dora: bool = setting(False, "weights split into magnitude and direction (arXiv 2402.09353)")
    use_rslora: bool = setting(False, "scaled by alpha / sqrt(r) instead of alpha / r (arXiv 2312.03732)")

    @property
    def tuning(self) -> Tuning:
        return Tuning.lora if self.r else Tuning.full


HEAD = frozenset({"head_lr", "head_step"})  # two ways to give one rate: the one given nearer to the cell counts


@dataclass
class ModelConfig:
    name: str = setting("ce", "in the cell's name")
    family: Family = setting(Family.ce, "an encoder or a decoder")
    backbone: Text = setting("", "embedded:NAME, packaged:NAME, a hub id, a local folder, a GGUF file")
    lora: LoraConfig = field(default_factory=LoraConfig)
    tuning: Tuning | None = setting(  # what is asked for; lora.tuning is what is so
        None, "every weight is trained, or adapters", null="as lora.r says, else full for ce and lora for llm"
    )
    max_length: int = setting(128, "tokens of a pair, the longest side is cut first", at_least=8)
    revision: str | None = setting(None, "of a hub id: branch, tag or commit", null="its main branch")
    trust_remote_code: bool = setting(False, "run code that comes with the backbone")
    attn_implementation: str | None = setting(
        None, "how attention is computed", null="as the architecture does by itself", one_of=("eager", "sdpa")
    )
    attention: Attention | None = setting(
        None,
        "whether a token's state is of the tokens before it, or of all",
        null="causal for llm, bidirectional for ce",
    )
    pooling: Pooling | None = setting(
        None, "which states of a pair the heads read", null="last for llm, as the architecture's own classifier for ce"
    )
    gradient_checkpointing: bool = setting(False, "compute blocks again in the backward pass: less memory, more time")
    load_in_4bit: bool = setting(False, "QLoRA: the frozen trunk in 4 bits (arXiv 2305.14314); CUDA and bitsandbytes")
    frozen_float32: bool = setting(False, "under bf16-mixed keep what LoRA freezes in float32 instead of bfloat16")
    lr: Rate = setting(5e-4, "rate of the body: every weight or its adapters", null=RATES, above=0)
    head_lr: float | None = setting(1e-3, "rate of the heads", null="head_step says it", above=0)
    head_step: float | None = setting(
        None,
        "points that a step at the full rate moves a logit by: head_lr = it / (mean |h|₁ + 1)",
        null=RATES,
        above=0,
    )
    private_lr: Rate = setting(1e-3, "rate of private blocks; adapters of kind=lora learn at lr", null=RATES, above=0)
    gate_lr: Rate = setting(1e-2, "rate of the gates of post-norm private layers", null=RATES, above=0)


@dataclass
class RatesConfig:
    """What a kind of backbone learns at where model, train and trainer leave it null (conf/rates.yaml)."""

    lr: float | None = None
    head_lr: float | None = None
    head_step: float | None = None
    private_lr: float | None = None
    gate_lr: float | None = None
    r: int | None = None  # this and the two that follow: of LoRA
    alpha: float | None = None
    targets: Any = None
    step_rows: int | None = None
    max_epochs: int | None = None
    warmup: float | None = None


@dataclass
class PrivateConfig:
    kind: PrivateKind = setting(PrivateKind.inserted, "new | top blocks copied | LoRA on the top | one set for all")
    layers: int = setting(0, "private layers of each task; 0: none", at_least=0)
    lr_factor: float = setting(1.0, "times model.private_lr, of kind=lora times model.lr", above=0)


@dataclass
class PromptConfig:
    k: int = setting(0, "learnt vectors in front of the text, a set for each task; 0: none", at_least=0)


@dataclass
class RoutingConfig:
    name: str = setting("mh", "in the cell's name")
    prefix: bool = setting(False, "name the task in the text")
    heads: bool = setting(False, "a head for each task instead of one for all")
    private: PrivateConfig = field(default_factory=PrivateConfig)
    prompt: PromptConfig = field(default_factory=PromptConfig)
    task_matrix: bool = setting(False, "a matrix for each task inside the adapters (MTL-LoRA, arXiv 2410.09437)")

    @property
    def private_part(self) -> str:
        """What is of one task alone, of no use for one that was never trained: "heads", "private weights" or ""."""
        layers = self.private.layers and self.private.kind is not PrivateKind.shared
        return "heads" if self.heads else "private weights" if layers or self.prompt.k or self.task_matrix else ""


@dataclass
class MixConfig:
    name: str = setting("joint", "in the cell's name")
    kind: Mix = setting(Mix.joint, "each row once | draws in proportion to n^(1/T) | as many of each task | one task")
    task: str | None = setting(None, "of kind=single")
    temperature: float = setting(1.0, "T of kind=temperature", above=0)
    draws: int | None = setting(
        None, "rows an epoch of kind=temperature and equal", null="the training rows", at_least=1
    )
    share: float = setting(1.0, "of each task's training rows; smaller ones are parts of larger", above=0, at_most=1)


@dataclass
class TrainConfig:
    step_rows: Count = setting(128, "rows of an optimiser step", null=RATES, at_least=1)
    token_budget: int | None = setting(
        None,
        "padded tokens a micro-batch may hold",
        null="all of a step that a GPU has room for; on the CPU cut where it computes least, 1536 at most",
        at_least=1,
    )
    score_token_budget: int | None = setting(
        None, "the same where no gradient is kept", null="65536 on a GPU, 8192 on the CPU", at_least=1
    )
    weight_decay: float = setting(0.01, "of AdamW", at_least=0)
    warmup: Rate = setting(0.06, "share of all steps, ten steps at least; 0: none", null=RATES, at_least=0, at_most=1)
    schedule: Schedule = setting(Schedule.linear, "how rates fall after the warm-up")
    clip: float = setting(1.0, "norm of the gradient; 0: off", at_least=0)
    patience: int = setting(
        2, "validations without a better macro accuracy before the cell stops; 0: never", at_least=0
    )
    stop_below: float | None = setting(
        None, "macro accuracy on validation under which a cell stops", null="never", at_least=0, at_most=1
    )
    class_weights: list[float] | None = setting(None, "in the loss, of labels 0, 1, 2", null="equal", at_least=0)
    task_weights: dict[str, float] = setting(dict, "in the loss, {query_item: 2.0}; 1 for a task left out", at_least=0)
    teacher: list[str] = setting(list, "cells whose mean probabilities are soft targets, named as in predict, [a,b,c]")
    teacher_sweep: str | None = setting(None, "of these names; best needs it", null="all cells that there are")
    teacher_weight: float = setting(
        0.5, "of soft targets in the loss, labels have the rest (arXiv 1503.02531)", at_least=0, at_most=1
    )
    teacher_temperature: float = setting(2.0, "softens what teacher and student answer, in the loss", above=0)
    unlabelled: str | None = setting(
        None, "file of pairs that the teacher's probabilities alone teach, laid out as data.path", null="none"
    )


ALL = ("auto", "-1")  # of trainer.devices: as many as there are
HALF = "bf16-true"  # of trainer.precision: trunk and private layers in bfloat16, adapters and heads in float32
MIXED = "bf16-mixed"  # weights in float32, products of trunk and private layers in bfloat16


@dataclass
class TrainerConfig:
    """Arguments of lightning.Trainer, passed on as they are, but for devices: see relevance.train.trainer."""

    accelerator: str = setting("auto", "auto: a GPU where there is one", one_of=("auto", "cpu", "gpu", "cuda", "mps"))
    devices: Any = setting(1, "of one cell: how many, auto (all there are) or a list of GPU numbers")
    precision: str | None = setting(  # 16-mixed scales its gradients, so that train.clip would cut them all
        None, "of numbers", null=f"{MIXED} on CUDA, 32-true on the CPU", one_of=("32-true", MIXED, HALF)
    )
    max_epochs: Count = setting(1, "most epochs; -1: trainer.max_steps alone counts", null=RATES)
    min_epochs: int | None = setting(None, "fewest epochs")
    max_steps: int = setting(-1, "most optimiser steps; -1: no limit")
    min_steps: int | None = setting(None, "fewest optimiser steps")
    max_time: str | None = setting(None, "longest training, DD:HH:MM:SS", null="no limit")
    limit_train_batches: Any = setting(None, "share (0.5) or number (20) of an epoch's steps", null="all", above=0)
    limit_val_batches: Any = setting(None, "share or number of the validation's batches", null="all")
    val_check_interval: Any = setting(None, "share or number of steps between two validations", null="epochs", above=0)
    check_val_every_n_epoch: int = setting(1, "epochs between two validations", above=0)
    num_sanity_val_steps: int = setting(0, "batches of a validation before training")
    log_every_n_steps: int = setting(5, "steps between two points of the curves")
    enable_progress_bar: bool | None = setting(None, "whether a bar shows the epoch", null="where a terminal shows it")
    deterministic: bool | None = setting(None, "whether torch uses deterministic algorithms alone", null="no")
    benchmark: bool | None = setting(None, "whether cuDNN tries which algorithm is fastest", null="no")
    detect_anomaly: bool = setting(False, "whether a gradient that is no number stops training; slow")
    gradient_clip_val: float | None = setting(None, "not supported: train.clip")
    accumulate_grad_batches: int | None = setting(None, "not supported: train.step_rows")


@dataclass
class TuneConfig:
    """How a cell comes to its rates; only these change its numbers."""

    trial: int | None = setting(None, "its rates times those of a point of the design", null="none", at_least=0)
    sweep: str | None = setting(None, "of trials: the rates of the best on validation", null="conf/rates.yaml")


@dataclass
class Config:
    """One cell: everything that can change its numbers, then where and how it runs."""

    data: DataConfig = field(default_factory=DataConfig)
    backbones: dict[str, str | None] = setting(dict, "the backbone of each model group; choose one with backbones=")
    rates: dict[str, RatesConfig] = setting(
        dict, "rates.ce.lr=1e-4 stands for model.lr=null of every ce (conf/rates.yaml)"
    )
    model: ModelConfig = field(default_factory=ModelConfig)
    routing: RoutingConfig = field(default_factory=RoutingConfig)
    task_mix: MixConfig = field(default_factory=MixConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    tune: TuneConfig = field(default_factory=TuneConfig)
    match: Match = setting(
        Match.none,
        "of budgets: single_<task> sees its rows as often as joint does, or every cell takes the steps of joint",
    )
    seed: int = setting(0, "of the weights, the order of rows and dropout", at_least=0, below=2**32)
    threads: int | None = setting(
        None, "of torch in a cell; numbers depend on it", null="1 on the CPU, torch's own choice on a GPU", at_least=1
    )
    save: Save = setting(Save.all, "whether the trained model is written, or its predictions alone")
    probes: bool = setting(True, "after its test, score a cell with what it is told of the task changed")
    consistency: bool = setting(True, "after its test, score mirrored pairs and the pairs that close triangles")
    checkpoint_steps: int | None = setting(
        None, "write a checkpoint within an epoch, too, every so many steps", null="at the ends of epochs", at_least=1
    )
    rerun: bool = setting(False, "train cells from the start that are finished or half trained")
    isolate: bool = setting(True, "cells run in a process apart from the sweep; false: in its own, for a debugger")
    name: str | None = setting(None, "of the sweep", null="made from its list of cells")
    outputs: str = setting("outputs", "folder of cells, data and token files")
    reports: str = setting("multirun_reports", "folder of reports")
    tracking_uri: str = setting("sqlite:///mlflow.db", "MLflow's store")
    experiment: str = setting("relevance", "MLflow's experiment")
