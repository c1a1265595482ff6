"""Words and files of settings, held against the schema → Hydra's composed configs → typed requests → the sweep.

trainer.max_epoch=1, or with +, or in a sweep's file → "trainer.max_epoch: no such setting; did you mean
trainer.max_epochs? available: …"        routing=mph → "routing=mph: did you mean mhp? available: mh, mhp, …"

Hydra's errors are told in our words. Imports no torch until a sweep starts.
"""

import re
import shlex
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from contextvars import ContextVar
from dataclasses import fields, is_dataclass, replace
from difflib import get_close_matches
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hydra
from hydra._internal.utils import get_args_parser
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Override
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from relevance.cell_id import Request
from relevance.checks import OF_LAYERS, validate
from relevance.cli import echo, key_help, run_command
from relevance.config import Config, RatesConfig, conf_folder
from relevance.config_io import from_environment
from relevance.errors import UserError, did_you_mean, first_line
from relevance.masking import mask_words
from relevance.rates import filled
from relevance.sweep.launchers.local import InProcess, Local
from relevance.train.job import Launch
from relevance.train.processes import stoppable
from relevance.trials import Rates

if TYPE_CHECKING:
    from relevance.sweep.sweep import Ended

FIRST = (  # settings that a newcomer needs
    *("data.path", "data.columns", "data.rows", "model.backbone", "task_mix.share", "train.step_rows"),
    *("trainer.max_epochs", "trainer.precision", "seed", "name", "outputs", "tracking_uri"),
)
NAMED = ("model", "routing", "task_mix")  # groups whose option is a part of the cell's name
OPEN = ("data.columns", "data.grades", "train.task_weights", "backbones")  # mappings with keys of the user's
GROUPS = ("data", "backbones", "model", "routing", "task_mix")  # of which each command has one option
RATES = fields(RatesConfig)
HYDRA = ("hydra", "env")  # keys of composed configs that Hydra adds to what its schema has
HIDDEN = (*HYDRA, "_target_")  # from the lists of keys in errors
LAUNCHER = "hydra/launcher"
QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
NO_KEY = re.compile(r"^data\.grades=.*([{,]\s*(null|~)|'|\")\s*:", re.IGNORECASE)
WORDS_FILE = "hydra.output_subdir"  # where Hydra would write every word, as typed


@contextmanager
def translated() -> Iterator[None]:
    """Within it settings that cannot be composed are a UserError of one line."""
    try:
        yield
    except MissingConfigException as error:
        raise UserError(_missing(error)) from error
    except OverrideParseException as error:
        word = mask_words([error.override])[0]
        remedy = "give key=value, close brackets, and put other signs in quotes"
        raise UserError(f"{word}: cannot be read; {remedy}") from error
    except OmegaConfBaseException as error:
        raise UserError(_misfit(error)) from error
    except HydraException as error:
        cause = error.__cause__ or error.__context__
        raise UserError(_misfit(cause) if isinstance(cause, OmegaConfBaseException) else _unfit(error)) from error
    except YAMLError as error:
        raise UserError(f"settings: {' '.join(str(error).split())}; mend that file") from error


def check_command() -> None:
    """`check_words` of this process's words; UserError for flags that exclude each other too."""
    arguments, flags = get_args_parser().parse_known_args()
    if flags:
        raise UserError(f"{mask_words(flags)[0]}: no such flag; give settings as key=value (--help lists both)")
    if arguments.shell_completion:  # its words are those of a shell
        return
    ways = [f"--{name}" for name in ("run", "multirun", "cfg", "info", "shell_completion") if getattr(arguments, name)]
    if len(ways) > 1 or (arguments.resolve and not arguments.cfg):
        raise UserError(f"{' '.join(ways) or '--resolve'}: give one of {', '.join(ways) or '--cfg job --resolve'}")
    for folder in (arguments.config_dir, arguments.config_path):
        if folder and not Path(folder).is_dir():
            raise UserError(f"{folder}: no such folder of settings; give one with --config-dir")
    check_words(arguments.overrides)


def check_words(words: Iterable[str]) -> None:
    """UserError for the first word that names no setting and no group, or leaves out what a cell needs."""
    parser = OverridesParser.create()
    for word in words:
        if not QUOTED.sub("", word).isascii() or NO_KEY.match(word):
            raise UserError(
                f"{mask_words([word])[0]}: Hydra reads letters beyond ASCII in quoted values alone, "
                "'data.path=\"café.csv\"', no key with them, in quotes or null: write such keys to "
                "FOLDER/data/own.yaml, '{defaults: [pairs], grades: {très bon: 2, \"null\": 0}}', and give "
                "--config-dir=FOLDER data=own"
            )
        _check(parser.parse_overrides([word])[0], word)


def _check(override: Override, word: str) -> None:
    key, value = override.key_or_group, override.value()
    is_option = isinstance(value, str) or override.is_sweep_override() or value is None
    if override.package is not None or "/" in key:
        if key != LAUNCHER or override.package is not None:
            raise UserError(f"{key}: no such group; {_near(key, [*GROUPS, LAUNCHER])}")
    elif key in ("hydra.launcher", "hydra.sweeper"):
        raise UserError(f"{key}: is chosen as {key.replace('.', '/')}=OPTION, its settings as {key}.KEY=VALUE")
    elif key.startswith("hydra.sweeper."):
        raise UserError(f"{key}: a sweep is -m KEY=A,B or a file of conf/sweep, +sweep=NAME")
    elif key == WORDS_FILE and value is not None:
        raise UserError(f"{key}: every word would be written there, passwords too; leave it out")
    elif override.is_delete():
        if not _is_open(key) and not key.startswith("backbones."):
            raise UserError(f"~{key}: a setting cannot be left out; give {key}=VALUE (--help lists the keys)")
    elif key in GROUPS and is_option:
        if value is None or override.is_add():
            raise UserError(f"{mask_words([word])[0]}: give {key}=OPTION, one of {', '.join(_options(key))}")
    elif key == "train.teacher" and (wrong := _no_names(override)):
        raise UserError(
            f"{mask_words([word])[0]}: {wrong[0]} is no name; give [NAME,NAME], in quotes what reads as a number"
        )
    elif key.partition(".")[0] != "hydra" and not (is_option and _is_group(key)) and not _is_open(key):
        if not any(f"{name}.".startswith(f"{key}.") for name in settings()):
            raise UserError(unknown(key))
    elif is_option and _is_group(key) and key not in GROUPS and not override.is_add():
        raise UserError(f"{word}: is chosen with a plus, +{word}")


def _no_names(override: Override) -> list[Any]:
    """What is no text among the names of an override: Hydra reads the beginnings of some ids, 1e10, as numbers."""
    value: Any = override.value()
    lists = value.list if isinstance(value, ChoiceSweep) else [value]
    names = [name for each in lists for name in (each if isinstance(each, list) else [each])]
    return [name for name in names if not isinstance(name, str)]


def check_composed(node: Any, path: str = "") -> None:
    """UserError for a key of a composed config that its schema does not have, whatever file or word it is from."""
    typed: Any = OmegaConf.get_type(node)
    names = {*HYDRA, *(field.name for field in fields(typed))} if is_dataclass(typed) else None
    for key in node:
        reference = OmegaConf.is_interpolation(node, str(key))
        inner = None if reference else OmegaConf.select(node, str(key), throw_on_missing=False)
        place = f"{path}{key}"
        if names is not None and key not in names:
            raise UserError(unknown(place, [f"{path}{name}" for name in names] if path else None))
        if place == WORDS_FILE and inner:
            raise UserError(f"{place}={inner}: every word would be written there, passwords too; leave it out")
        if isinstance(inner, DictConfig):
            check_composed(inner, f"{place}.")


def unknown(key: str, known: Iterable[str] | None = None) -> str:
    """What is said of a key that no schema has: the nearest one, and those of its group."""
    names = settings() if known is None else list(known)
    group, _, last = key.rpartition(".")
    here = {name.rpartition(".")[2]: name for name in names if name.rpartition(".")[0] == group}
    everywhere = {name.rpartition(".")[2]: name for name in names}
    close = [*get_close_matches(last, here, n=1), *(name for name in here if last.startswith(name))]
    near = here[close[0]] if close else everywhere.get(last, "")
    hint = f"did you mean {near}? " if near else ""
    shown = [name for last, name in here.items() if last not in HIDDEN] or {name.partition(".")[0] for name in names}
    return f"{key}: no such setting; {hint}available: {', '.join(sorted(shown))}"


def settings() -> list[str]:
    """Every key that may be set: those of rates and backbones, the groups, and those of the schema."""
    members = (f"backbones.{model}" for model in _options("model"))
    return [*members, *GROUPS, "sweep", *_of_schema()]


@cache
def _of_schema() -> tuple[str, ...]:
    """The keys of rates and of the schema, which are asked for at every word."""
    kinds: Any = OmegaConf.load(conf_folder() / "rates.yaml")
    rates = (f"rates.{kind}.{field.name}" for kind in kinds for field in RATES)
    return (*rates, *key_help(Config, OmegaConf.structured(Config)))


def _near(wrong: str, known: Iterable[str]) -> str:
    names = sorted(known)
    return f"{did_you_mean(wrong, names)}available: {', '.join(names)}"


def _is_open(key: str) -> bool:
    return any(key.startswith(f"{name}.") for name in OPEN if name != "backbones")


def _folders() -> Iterator[Path]:
    """Where groups lie: conf/ and, before it, what --config-dir names."""
    arguments = get_args_parser().parse_known_args()[0]
    yield from (Path(folder) for folder in (arguments.config_dir, conf_folder()) if folder)


def _is_group(key: str) -> bool:
    return any((folder / key).is_dir() for folder in _folders())


def _options(group: str) -> list[str]:
    return sorted({path.stem for folder in _folders() for path in (folder / group).glob("*.yaml")})


def _missing(error: MissingConfigException) -> str:
    group, _, option = str(error.missing_cfg_file).rpartition("/")
    if not group:
        return f"{option}: no such file of settings; leave --config-name out, or name one of the folder --config-dir"
    shown = error.options or _options(group)
    return f"{group}={option}: {_near(option, shown)}" if shown else f"{group}: no such group; {_near(group, GROUPS)}"


def _unfit(error: BaseException) -> str:
    """Words or files that do not go together; Hydra's own text would speak of its defaults list."""
    line = first_line(error)
    names = ", ".join(mask_words(re.findall(r"'([^']*)'", line)[:1])) or "settings"
    if line.startswith(("Ambiguous value", "Sweep parameters")):
        return f"{names}: several values are a sweep, with -m; a list as one value is written [a,b]"
    if "defaults list" in line:
        return f"{names}: is taken for a group, since --config-dir has a folder of that name; give another --config-dir"
    return f"{names}: cannot be composed; look at that word, and at the files of settings that name it"


def _misfit(error: BaseException) -> str:
    """A value that its key cannot have, or a reference that leads nowhere."""
    key, line = str(getattr(error, "full_key", None) or ""), str(getattr(error, "msg", None) or error).splitlines()[0]
    if line.startswith("Key '") or "is not in struct" in line:
        group, parent = key.rpartition(".")[0], getattr(error, "parent_node", None)
        return unknown(key, [f"{group}.{name}" for name in parent] if key.startswith("hydra.") and parent else None)
    return f"{key or 'settings'}: {line}; --help says what it may be"


Composed = tuple[DictConfig, Mapping[str, str]]
_answer: ContextVar["list[Ended] | None"] = ContextVar("answer", default=None)


def register() -> None:
    """Register the schema of conf/ with Hydra; its mappings take keys of the user's."""
    schema = OmegaConf.structured(Config)
    for name in OPEN:  # Hydra closes every node that does not say otherwise
        OmegaConf.set_struct(OmegaConf.select(schema, name), False)
    ConfigStore.instance().store(name="schema", node=schema)
    OmegaConf.register_new_resolver("settings_help", settings_help, replace=True)  # of conf/config.yaml


def settings_help(*, _root_: DictConfig) -> str:
    """What --help prints of the settings of a composed config: those a newcomer needs, then the others by group."""
    keys = key_help(Config, _ours(_root_))
    lines = ["The settings to know first:", *(keys.pop(key) for key in FIRST)]
    grouped = [key for key in keys if "." in key]
    for group, members in groupby(grouped, lambda key: key.partition(".")[0]):
        lines += ["", f"{group}:", *map(keys.pop, members)]
    lines += ["", "Others:", *keys.values()]
    return "\n".join(lines).replace("$", "$$")  # Hydra fills in a template


def launch(composed: list[Composed], way: Callable[[], Launch] | None = None) -> None:
    """Run the cells of a command, each a config and its choice of groups; exits 1 if one failed, unless `answering`.

    `way` says where they run, null: on this machine, each apart from the sweep.
    """
    if (answer := _answer.get()) is not None:
        answer.append(_sweep(composed, way))
        return
    try:
        run_command(lambda: sys.exit(_sweep(composed, way).code))
    except Exception:  # Hydra would print every word beside it
        traceback.print_exc()
        sys.exit(1)


@contextmanager
def answering() -> Iterator[list["Ended"]]:
    """Within it a launch neither prints its errors nor exits: it raises them, and appends what came of its sweep."""
    answer: list[Ended] = []
    token = _answer.set(answer)
    try:
        yield answer
    finally:
        _answer.reset(token)


def _sweep(composed: list[Composed], way: Callable[[], Launch] | None) -> "Ended":
    forget(composed[0][0])
    with translated():
        check_composed(HydraConfig.instance().cfg or {})
        for cell, _ in composed:
            check_composed(cell)
        rates = Rates()
        requests = [_request(*cell, rates) for cell in composed]
    echo(*rates.lines)
    if all(request.refusal for request in requests):
        raise UserError("\n".join(dict.fromkeys(request.refusal for request in requests)))
    from relevance.tracking.liveness import starting

    with starting(Path(requests[0].config.outputs)):
        from relevance.sweep.resolve import prepared

        datasets = prepared([request.config for request in requests if not request.refusal])
        from relevance.sweep.sweep import run_sweep  # only now: it takes torch along
    line = shlex.join(mask_words(["python", "-m", "relevance.run", *sys.argv[1:]]))
    make = (way or Local) if requests[0].config.isolate else InProcess
    with stoppable(), closing(make()) as launcher:
        return run_sweep(requests, datasets, line, launcher)


def forget(composed: DictConfig) -> None:
    """Remove the words of a multirun, passwords too, that Hydra writes as typed; the sweep's run has them masked."""
    sweep = OmegaConf.select(composed, "hydra.sweep.dir", throw_on_resolution_failure=False)
    if sweep is not None:
        (Path(sweep) / "multirun.yaml").unlink(missing_ok=True)


def _ours(composed: DictConfig) -> DictConfig:
    return OmegaConf.masked_copy(composed, [str(key) for key in composed if key != "hydra"])


def _request(composed: DictConfig, choices: Mapping[str, str], rates: Rates) -> Request:
    if absent := [group for group in NAMED if not choices.get(group)]:
        raise UserError(f"{absent[0]}: has no option; give {absent[0]}=OPTION (--help lists them)")
    groups = [f"{group}={choices[group]}" for group in NAMED]
    ours = _ours(composed)
    config = filled(ours)
    defaults = filled(hydra.compose("config", overrides=groups), like=config)
    request = Request(config, defaults, from_environment(ours))
    try:
        validate(request.config, {name: ours.model[name] for name in OF_LAYERS})
        return replace(request, config=rates.of(config))
    except UserError as error:
        return replace(request, refusal=str(error))
