"""A cell's model folder → folders that transformers or peft load, each with its input template, parity and card.

outputs/cells/9f2c…/model, task=query_type → query_type/{config.json, model.safetensors, …, template.json, README.md}

merged   trunk.layers.0 … 27 | private.branches[3].0, .1 | heads[3]  →  model.layers.0 … 29, score
adapter  adapter_config.json (task_type SEQ_CLS) and adapter_model.safetensors: base_model.model.model.layers.0.….lora_A
"""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from tokenizers.processors import TemplateProcessing
from transformers import AutoModelForSequenceClassification, PretrainedConfig, PreTrainedModel, PreTrainedTokenizerFast

from relevance.atomic_io import atomic_folder
from relevance.config import HALF, MIXED, Config
from relevance.data.tokens import Reading, Template, pair_frame, prefix_ids, segments
from relevance.errors import UserError
from relevance.export.card import NAME, card
from relevance.export.parity import PAIRS, PairsOfTask, odd_pairs, read_back
from relevance.model.architectures import PER_BLOCK, POOLINGS, block_list
from relevance.model.backbone import backbone_folder, name_base
from relevance.model.build import halves_frozen
from relevance.model.network import Network, Plain
from relevance.model.pretrained import load_tokenizer
from relevance.model.store import load_network, whole
from relevance.tasks import LABELS, TASK_INDEX, TASK_NAMES

LIMIT = 1e-4  # between a logit of the cell and of the folder read back
PAD = "<|pad|>"
SPECIAL = ("bos", "eos", "unk", "sep", "pad", "cls", "mask")
OWN_FORM = "tokenizer(left, right, truncation=True) makes all of this"
IDS_OF_TEXT = "tokenizer(text, add_special_tokens=False, split_special_tokens=True)"
SEGMENTS = "0 up to and with between, 1 from right on"
LOADING = {  # in float32, whatever the backbone's own weights are kept in: bfloat16 moves a logit by some 0.03
    "merged": "AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32)",
    "adapter": "AutoPeftModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32, num_labels=3, "
    "pad_token_id={pad})",
}
AS_TRAINED = {  # how a reader gets the hidden states of a cell in bfloat16
    MIXED: "under torch.autocast(model.device.type, torch.bfloat16)",
    HALF: "loaded with dtype=torch.bfloat16",
}


def export(model: Path, task: str, form: str, output: Path, trust_remote_code: bool = False) -> float:
    """Write one task's slice of the cell in `model` to `output`, read it back; the largest difference of a logit.

    Raises UserError where the cell or its architecture allows no such folder, or the logits differ by more than LIMIT.
    """
    with atomic_folder(output) as part:
        difference = _write(model, task, form, part, trust_remote_code)
        if output.is_dir():
            output.rmdir()  # empty, or the command had raised
    return difference


def _write(model: Path, task: str, form: str, output: Path, trust_remote_code: bool) -> float:
    network, config = load_network(model, trust_remote_code)
    network.float()  # trainer.precision=bf16-true kept its trunk in bfloat16
    with whole(model):
        tokenizer, reading = load_tokenizer(model / "tokenizer", config.model), Reading.of(model)
        pair_frame(tokenizer, reading.template.pair)
    _admit(network, config, reading, task)
    cell = PairsOfTask(tokenizer, reading.template, task)
    with torch.no_grad():
        expected = network(cell.batch(PAIRS), [(TASK_INDEX[task], 0, len(PAIRS))])
    if form == "adapter":
        pad_beside_end(tokenizer)
        write_adapter(network, config, task, output)
    else:
        exported = plain_classifier(network, config, task)
        _pad_apart(exported, tokenizer)
        exported.save_pretrained(output)
    reading.check(config, model)
    pair_tokenizer(tokenizer, reading.template, task).save_pretrained(output)
    pairs = [*PAIRS, *odd_pairs(tokenizer, reading.template.max_length)]
    elsewhere = f"{config.model.backbone} does not allow this form; use relevance.predict or the served model"
    read = read_back(output, form, pairs, elsewhere)
    cell.check_ids(read, pairs, elsewhere)
    difference = float((torch.tensor(read["logits"]) - expected).abs().max())
    if not difference <= LIMIT:
        raise UserError(
            f"{form} of {task}: read back, its logits differ by {difference:.1e} (allowed {LIMIT:.0e}); {elsewhere}"
        )
    loading = _loading(config, form, tokenizer.pad_token_id)
    (output / NAME).write_text(card(model, config, task, form, loading["load"]), encoding="utf-8")
    _write_template(output, {
        "task": task,
        "labels": list(LABELS),
        **loading,
        "tokenizer": OWN_FORM,
        **_recipe(tokenizer, reading.template, task),
        "examples": _examples(cell.batch(PAIRS), expected),
    })  # fmt: skip
    return difference


def _admit(network: Network, config: Config, reading: Reading, task: str) -> None:
    if config.routing.private_part and reading.unknown([task]):
        what = "head was" if config.routing.heads else f"{config.routing.private_part} were"
        raise UserError(f"task={task}: its {what} never trained; this cell knows {', '.join(reading.tasks)}")
    if type(network.heads[0].classifier).__module__.startswith("transformers_modules"):
        raise UserError(
            f"{config.model.backbone}: its model is code of its own, which no plain folder holds; "
            "use relevance.predict or the served model"
        )


def plain_classifier(network: Network, config: Config, task: str) -> PreTrainedModel:
    """AutoModelForSequenceClassification with the logits of `network` for `task`, every adapter merged.

    The network cannot be used afterwards: its trunk is taken apart. Raises UserError where the architecture has no
    such form, with the reason.
    """
    head = head_of(network, task)
    check_exportable(network)
    trunk: Any = network.trunk  # a PeftModel where the cell trained adapters
    base = trunk.get_base_model() if config.model.lora.r else trunk
    depth = len(block_list(base))
    if network.private is not None:
        network.private.merge(base, TASK_INDEX[task])
    if config.model.lora.r:
        trunk = trunk.merge_and_unload()
    state = {f"{head.base_model_prefix}.{key}": tensor for key, tensor in trunk.state_dict().items()}
    settings = _deeper(head.config, len(block_list(trunk)) - depth)
    for key, value in _pooling_settings(network).items():
        setattr(settings, key, value)
    exported = AutoModelForSequenceClassification.from_config(settings, dtype=torch.float32)
    try:
        exported.load_state_dict({**state, **head.state_dict()})
    except RuntimeError as error:
        raise UserError(f"{type(exported).__name__}: its weights do not fit its own class ({error})") from error
    return exported.eval()


def head_of(network: Network, task: str) -> PreTrainedModel:
    heads: Any = network.heads
    return heads[TASK_INDEX[task] if len(heads) > 1 else 0].classifier


def check_exportable(network: Network) -> None:
    """UserError where no ordinary model computes what the network does."""
    classifier = head_of(network, TASK_NAMES[0])
    if isinstance(classifier, Plain):
        raise UserError(
            f"{classifier.config.model_type}: transformers has no sequence classifier for it, so that "
            "there is no folder to write; use relevance.predict or the served model"
        )
    _pooling_settings(network)
    if network.private is not None:
        network.private.check_mergeable()


def _pooling_settings(network: Network) -> dict[str, str]:
    """What a plain folder's config says of model.pooling; UserError where transformers' classifier pools otherwise."""
    heads: Any = network.heads
    pooling, kind = heads[0].pooling, heads[0].classifier.config.model_type
    if pooling is None:
        return {}
    if pooling not in POOLINGS.get(kind, {}):
        read = "the last token of a text alone" if network.positions else "other states"
        raise UserError(
            f"model.pooling={pooling}: transformers' own classifier of {kind} reads {read}, so that no plain folder "
            "can say it; use relevance.predict or the served model"
        )
    return POOLINGS[kind][pooling]


def _deeper(config: PretrainedConfig, more: int) -> PretrainedConfig:
    """The config with `more` blocks like its last: what it lists for each block, it lists for them too."""
    words = {"id2label": dict(enumerate(LABELS)), "label2id": {word: at for at, word in enumerate(LABELS)}}
    text, settings = config.get_text_config(), config.to_dict()
    if text is not config:  # of a model of images and texts
        (name,) = (name for name in config.sub_configs if getattr(config, name) is text)
        return type(config).from_dict({**settings, **words, name: _longer(text, more)})
    return type(config).from_dict({**_longer(text, more), **words})


def _longer(config: PretrainedConfig, more: int) -> dict[str, Any]:
    settings = config.to_dict()
    name = config.attribute_map.get("num_hidden_layers", "num_hidden_layers")
    lists = {key: [*settings[key], *settings[key][-1:] * more] for key in PER_BLOCK if settings.get(key)}
    return {**settings, **lists, name: config.num_hidden_layers + more}


def write_adapter(network: Network, config: Config, task: str, folder: Path) -> None:
    """Write the adapter of `task` to `folder`; UserError where the cell has no such form."""
    from peft import LoraConfig, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict

    trunk: Any = network.trunk  # a PeftModel
    private = {}
    if config.model.lora.r and network.private is not None:
        private = network.private.adapter_weights(trunk.get_base_model(), TASK_INDEX[task])
    _check(network, config, private)
    head, lora = head_of(network, task), trunk.peft_config["default"]
    start, inside = "base_model.model.", f"base_model.model.{head.base_model_prefix}."
    weights = {f"{inside}{name.removeprefix(start)}": x for name, x in get_peft_model_state_dict(trunk).items()}
    weights |= {f"{inside}{name}": tensor for name, tensor in private.items()}
    settings = LoraConfig(
        task_type="SEQ_CLS",
        r=lora.r,
        lora_alpha=lora.lora_alpha,
        use_dora=lora.use_dora,
        use_rslora=lora.use_rslora,
        fan_in_fan_out=lora.fan_in_fan_out,
        target_modules=sorted({name.split(".lora_")[0].removeprefix(start) for name in weights}),
        modules_to_save=_head_parts(head),
    )
    base = AutoModelForSequenceClassification.from_pretrained(
        backbone_folder(config), config=head.config, dtype="float32", use_safetensors=True
    )  # as a reader will load it: the backbone's weights and a head that the adapter replaces
    model = get_peft_model(base, settings)
    heads = {f"{start}{name}": tensor for name, tensor in head.state_dict().items()}
    loaded: Any = set_peft_model_state_dict(model, {**weights, **heads})
    if lost := loaded.unexpected_keys:
        raise UserError(f"form=adapter: peft finds no place for {lost[:3]}; use form=merged")
    model.save_pretrained(str(folder))
    backbone, revision = config.model.backbone, config.model.revision
    if backbone and revision:
        name_base(folder, backbone, revision)


def _check(network: Network, config: Config, private: dict[str, torch.Tensor]) -> None:
    """UserError where the cell trained more than adapters, or on a backbone that nobody else has."""
    if not config.model.lora.r:
        raise UserError(f"form=adapter: this cell of model={config.model.name} trained none; use form=merged")
    if network.private is not None and not private:
        network.private.check_mergeable()
        raise UserError(
            f"form=adapter: private layers of kind={config.routing.private.kind} are no adapter; use form=merged"
        )
    if config.model.attention is not None or config.model.pooling is not None:
        how = f"attention={config.model.attention} pooling={config.model.pooling}"
        raise UserError(f"form=adapter: the config of its backbone does not say model.{how}; use form=merged")
    if config.trainer.precision == HALF:
        raise UserError(f"form=adapter: trainer.precision={HALF} rounded the backbone of this one; use form=merged")


def _head_parts(head: PreTrainedModel) -> list[str]:
    """Names of the modules that hold the head's weights; BERT's pooler is one of the backbone's."""
    inside = head.base_model_prefix
    names = [name.removeprefix(f"{inside}.").split(".")[0] for name, _ in head.named_parameters()]
    return list(dict.fromkeys(names))


def pad_beside_end(tokenizer) -> None:
    """Another token to pad with where it was the end token; embeddings of a frozen backbone cannot grow.

    transformers finds the last real token by the pad id, and every text ends in the end token: any other token will do.
    """
    if tokenizer.pad_token_id == tokenizer.eos_token_id:
        others = [at for at in (tokenizer.bos_token_id, tokenizer.unk_token_id, 0, 1) if at is not None]
        at = next(at for at in others if at != tokenizer.eos_token_id)
        tokenizer.pad_token = tokenizer.convert_ids_to_tokens(at)


def _pad_apart(model, tokenizer) -> None:
    """A pad token of its own where it was the end token: transformers finds the last real token by its id."""
    if tokenizer.pad_token_id == tokenizer.eos_token_id:
        tokenizer.add_special_tokens({"pad_token": PAD})
        model.resize_token_embeddings(max(len(tokenizer), model.get_input_embeddings().num_embeddings))
        model.config.get_text_config().pad_token_id = tokenizer.pad_token_id


def pair_tokenizer(tokenizer, template: Template, task: str) -> PreTrainedTokenizerFast:
    """A tokenizer that puts `task`'s own tokens around two texts, pads to the right and cuts to the cell's length.

    It is of transformers' general class: those of single models build their form of a pair anew whenever they load.
    Raises UserError where the tokenizer has no tokenizer.json, which holds all this.
    """
    if not tokenizer.is_fast:
        raise UserError(
            f"{type(tokenizer).__name__}: is Python code without a tokenizer.json, which could hold the form of a "
            "pair; use relevance.predict or the served model"
        )
    backend = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    backend.no_truncation()
    backend.no_padding()
    backend.post_processor = _form_of_pairs(tokenizer, template, task)
    typed = ["token_type_ids"] if segments(tokenizer, template) else []
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        model_max_length=template.max_length,
        padding_side="right",
        truncation_side="right",
        split_special_tokens=True,  # the words "[SEP]" in a title are text
        clean_up_tokenization_spaces=False,
        model_input_names=["input_ids", *typed, "attention_mask"],
        **{f"{name}_token": token for name in SPECIAL if (token := getattr(tokenizer, f"{name}_token"))},
    )


def _form_of_pairs(tokenizer, template: Template, task: str) -> TemplateProcessing:
    frame = pair_frame(tokenizer, template.pair)
    named = prefix_ids(tokenizer, template)[TASK_INDEX[task]] if template.prefix else []
    parts = {"before": frame.before, "prefix": named, "between": frame.between, "after": frame.after}
    present = {name: ids for name, ids in parts.items() if ids}
    left = [name for name in ("before", "prefix") if name in present]
    between, after = ([name] if name in present else [] for name in ("between", "after"))
    return TemplateProcessing(
        single=[*left, "$A", *after],
        pair=[*left, "$A", *between, "$B:1", *(f"{name}:1" for name in after)],
        special_tokens=[
            {"id": name, "ids": ids, "tokens": tokenizer.convert_ids_to_tokens(ids)} for name, ids in present.items()
        ],
    )


def _write_template(folder: Path, content: dict[str, object]) -> None:
    """A line of template.json for each thing to know."""
    lines = ",\n".join(f"{json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}" for key, value in content.items())
    (folder / "template.json").write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")


def _loading(config: Config, form: str, pad: int) -> dict[str, str]:
    """The line that loads a folder to give the logits of its examples; for a cell that scored in bfloat16, how.

    A reader's head runs in the dtype of its trunk, and merged adapters are rounded with the weights they are added to.
    """
    line, precision = {"load": LOADING[form].format(pad=pad)}, config.trainer.precision
    if precision not in AS_TRAINED:
        return line
    merged = form == "merged" and config.model.lora.r
    trunk = f"{AS_TRAINED[HALF]} and {AS_TRAINED[MIXED]}" if halves_frozen(config) else AS_TRAINED[precision]
    how = "adapters not merged" if merged else f"the trunk {trunk}, the head in float32"
    return {**line, "precision": f"the cell scored in {precision}, {how}; the logits here are float32 throughout"}


def _recipe(tokenizer, template: Template, task: str) -> dict[str, object]:
    """How a reader makes the input of a pair of `task`."""
    return {
        "input_ids": "before + prefix + ids(left) + between + ids(right) + after",
        "ids(text)": IDS_OF_TEXT,
        **({"token_type_ids": SEGMENTS} if segments(tokenizer, template) else {}),
        **asdict(pair_frame(tokenizer, template.pair)),
        "prefix": prefix_ids(tokenizer, template)[TASK_INDEX[task]] if template.prefix else [],
        "max_length": template.max_length,
        "too_long": "the longer text gives way first, from its end",
        "padding": "right",
    }


def _examples(inputs: dict[str, torch.Tensor], logits: torch.Tensor) -> list[dict[str, object]]:
    """PAIRS with their input ids, without the padding, and logits: what a reader can check theirs against."""
    examples: list[dict[str, object]] = []
    for row, (left, right) in enumerate(PAIRS):
        length = int(inputs["attention_mask"][row].sum())
        ids = {name: inputs[name][row, :length].tolist() for name in inputs if name != "attention_mask"}
        answer = [round(value, 6) for value in logits[row].tolist()]
        examples.append({"left": left, "right": right, **ids, "logits": answer})
    return examples
