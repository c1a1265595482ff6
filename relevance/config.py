"""The typed config: the schema of conf/. Validated once, at the door, by relevance.checks. Imports no torch."""

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

NAMES = 250  # characters of a run's name that MLflow's databases hold

# Settings that are null in conf/ only: rates.yaml and the backbones group fill them in before a cell is made, and so
# code that reads them never meets None.
if TYPE_CHECKING:
    Text = str
    Count = int
    Rate = float
else:
    Text, Count, Rate = str | None, int | None, float | None


def conf_folder() -> Path:
    """The folder conf/: within the package where a wheel put it, beside the package in a checkout."""
    package = Path(__file__).resolve().parent
    installed = package / "conf"
    return installed if installed.is_dir() else package.parent / "conf"


class Source(StrEnum):
    generated = "generated"
    pairs = "pairs"


class OnBadRow(StrEnum):
    error = "error"
    quarantine = "quarantine"


class Family(StrEnum):
    ce = "ce"
    llm = "llm"


class PrivateKind(StrEnum):
    inserted = "inserted"
    top = "top"
    lora = "lora"
    shared = "shared"

    @property
    def is_adapter(self) -> bool:
        """Whether its layers are LoRA beside frozen weights; all others are blocks of which every weight is trained."""
        return self is PrivateKind.lora


class Save(StrEnum):
    all = "all"
    none = "none"


class Schedule(StrEnum):
    linear = "linear"
    cosine = "cosine"
    constant = "constant"


class Mix(StrEnum):
    joint = "joint"
    temperature = "temperature"
    equal = "equal"
    single = "single"


class Match(StrEnum):
    none = "none"
    examples = "examples"
    steps = "steps"


@dataclass
class DataConfig:
    kind: Source = Source.generated
    path: str | None = None  # file of pairs: .parquet, .csv, .tsv, .jsonl
    columns: dict[str, str] = field(default_factory=dict)  # ours: theirs
    on_bad_row: OnBadRow = OnBadRow.error
    seed: int = 0  # of the generator and of the split by entity; never the cell's seed
    validation_share: float = 0.08
    test_share: float = 0.12
    rows: int = 40_000  # generated data only
    noise: float = 0.04  # generated data only: share of labels replaced by another


@dataclass
class LoraConfig:
    r: int = 0  # 0: no adapter
    alpha: float = 16.0
    dropout: float = 0.0
    targets: Any = "all-linear"  # null in conf/model, see rates.yaml; attention | all-linear | a list of module names
    use_dora: bool = False  # weights split into magnitude and direction (arXiv 2402.09353)
    use_rslora: bool = False  # scaled by alpha / sqrt(r) instead of alpha / r (arXiv 2312.03732)


HEAD = frozenset({"head_lr", "head_step"})  # two ways to say one rate: the one said nearer to the cell counts


@dataclass
class ModelConfig:
    name: str = "ce"
    family: Family = Family.ce
    backbone: Text = ""  # embedded:<name>, packaged:<name>, a hub id, a local folder, a GGUF file
    lora: LoraConfig = field(default_factory=LoraConfig)
    max_length: int = 128  # tokens of a pair, longest side cut first
    revision: str | None = None  # of a hub id: branch, tag or commit; null: its main branch
    trust_remote_code: bool = False
    attn_implementation: str | None = None  # eager | sdpa; null: what computes the architecture's own attention
    gradient_checkpointing: bool = False  # compute blocks again in the backward pass: less memory, more time
    load_in_4bit: bool = False  # QLoRA: the frozen trunk in 4 bits (arXiv 2305.14314); CUDA and bitsandbytes only
    # Null in conf/model: rates.yaml says what the backbone takes.
    lr: Rate = 5e-4  # of the body: adapters (llm) or every backbone weight (ce)
    head_lr: float | None = 1e-3  # of the heads; null where head_step is given
    head_step: float | None = None  # points a step at the full rate moves a logit by: head_lr = it / (mean |h|₁ + 1)
    private_lr: Rate = 1e-3  # of private blocks; adapters of routing.private.kind=lora learn at lr
    gate_lr: Rate = 1e-2  # of the gates of post-norm private layers


@dataclass
class RatesConfig:
    """What a kind of backbone learns at where model, train and trainer leave it null (conf/rates.yaml)."""

    lr: float | None = None
    head_lr: float | None = None
    head_step: float | None = None
    private_lr: float | None = None
    gate_lr: float | None = None
    targets: Any = None  # of LoRA
    step_rows: int | None = None
    max_epochs: int | None = None
    warmup: float | None = None


@dataclass
class PrivateConfig:
    kind: PrivateKind = PrivateKind.inserted  # new | top blocks copied | LoRA on the top | one set for all
    layers: int = 0  # private layers per task; 0: none
    lr_factor: float = 1.0  # times model.private_lr, of kind=lora times model.lr


@dataclass
class RoutingConfig:
    name: str = "mh"
    prefix: bool = False  # the task is named in the text
    heads: bool = False  # one head per task instead of one for all
    private: PrivateConfig = field(default_factory=PrivateConfig)


@dataclass
class MixConfig:
    name: str = "joint"
    kind: Mix = Mix.joint
    task: str | None = None  # of kind single
    temperature: float = 1.0  # of kind temperature: p is proportional to n^(1/T)
    draws: int | None = None  # rows an epoch of temperature and equal draws; null: the training rows
    share: float = 1.0  # of each task's training rows; a smaller share is a part of every larger one


@dataclass
class TrainConfig:
    step_rows: Count = 128  # rows an optimiser step sees; null in conf/config.yaml, see rates.yaml
    token_budget: int = 1536  # padded tokens a micro-batch may hold
    score_token_budget: int = 8192  # the same where no gradient is kept
    weight_decay: float = 0.01
    warmup: Rate = 0.06  # share of all steps, ten at least (0: none); null in conf/config.yaml, see rates.yaml
    schedule: Schedule = Schedule.linear
    clip: float = 1.0  # norm of the gradient; 0: off
    patience: int = 2  # validations without a better macro accuracy before the cell stops; 0: never
    class_weights: list[float] | None = None  # of labels 0, 1, 2
    task_weights: dict[str, float] = field(default_factory=dict)


ALL = ("auto", "-1")  # of trainer.devices: as many as there are
HALF = "bf16-true"  # of trainer.precision: trunk and private layers in bfloat16, adapters and heads in float32
MIXED = "bf16-mixed"  # weights in float32, products of trunk and private layers in bfloat16


@dataclass
class TrainerConfig:
    """Arguments of lightning.Trainer, passed on as they are, but for devices: see relevance.train.trainer."""

    accelerator: str = "auto"
    devices: Any = 1  # of one cell: how many, auto (all there are) or a list of GPU numbers
    precision: str | None = None  # null: bf16-mixed on CUDA, 32-true on the CPU
    max_epochs: Count = 1  # null in conf/config.yaml, see rates.yaml
    min_epochs: int | None = None
    max_steps: int = -1
    min_steps: int | None = None
    max_time: str | None = None
    limit_train_batches: Any = None
    limit_val_batches: Any = None
    val_check_interval: Any = None
    check_val_every_n_epoch: int = 1
    num_sanity_val_steps: int = 0
    log_every_n_steps: int = 5
    enable_progress_bar: bool | None = None  # null: where a terminal shows it
    deterministic: bool | None = None
    benchmark: bool | None = None
    detect_anomaly: bool = False
    gradient_clip_val: float | None = None  # refused: train.clip
    accumulate_grad_batches: int | None = None  # refused: train.token_budget


@dataclass
class Config:
    """One cell: everything that can change its numbers, then where and how it runs."""

    data: DataConfig = field(default_factory=DataConfig)
    backbones: dict[str, str | None] = field(default_factory=dict)
    rates: dict[str, RatesConfig] = field(default_factory=dict)
    model: ModelConfig = field(default_factory=ModelConfig)
    routing: RoutingConfig = field(default_factory=RoutingConfig)
    task_mix: MixConfig = field(default_factory=MixConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    match: Match = Match.none  # of budgets: single_<task> sees its rows as often as joint does, or takes as many steps
    seed: int = 0
    threads: int | None = None  # null: torch's own choice; logged, since numbers depend on it
    save: Save = Save.all
    probes: bool = True  # after its test, score a cell with what it is told of the task changed
    consistency: bool = True  # after its test, score mirrored pairs and the pairs that close triangles
    checkpoint_steps: int | None = None  # also within an epoch, every so many steps; null: at epoch ends
    rerun: bool = False
    isolate: bool = True  # cells run in a process apart from the sweep; false: in its own, for a debugger
    name: str | None = None  # of the sweep; null: made from its list of cells
    outputs: str = "outputs"
    reports: str = "multirun_reports"
    tracking_uri: str = "sqlite:///mlflow.db"
    experiment: str = "relevance"
