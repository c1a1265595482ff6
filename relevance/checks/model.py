"""What a model and its private layers may be: config → (wrong, message) of each check."""

from dataclasses import asdict, replace

from relevance.config import Config, LoraConfig, ModelConfig, PrivateConfig, PrivateKind, RoutingConfig


def model_checks(c: Config) -> list[tuple[bool, str]]:
    model = c.model
    rates = {key: getattr(model, key) for key in ("lr", "head_lr", "head_step", "private_lr", "gate_lr")}
    has = sorted(name for name, value in c.backbones.items() if value)
    return [
        (
            not model.backbone,
            f"model={model.name}: this backbones group has no member for it (it has {', '.join(has)}); "
            "choose another group (backbones=small) or give model.backbone=<hub id or local folder>",
        ),
        (model.max_length < 8, f"model.max_length={model.max_length}: a pair needs at least 8 tokens"),
        (
            any(not 0 < rate < float("inf") for rate in rates.values() if rate is not None),
            f"model.{' '.join(f'{key}={rate}' for key, rate in rates.items())}: each must be above 0",
        ),
        (
            None not in (model.head_lr, model.head_step),
            f"model.head_lr={model.head_lr} model.head_step={model.head_step}: two ways to say one rate; give one",
        ),
        (
            model.attn_implementation not in (None, "eager", "sdpa"),
            f"model.attn_implementation={model.attn_implementation}: use eager, sdpa or null",
        ),
        *_lora_checks(model),
        *_private_checks(c.routing, model),
    ]


def _lora_checks(model: ModelConfig) -> list[tuple[bool, str]]:
    lora = model.lora
    changed = [key for key, value in asdict(LoraConfig()).items() if key != "r" and value != getattr(lora, key)]
    listed = isinstance(lora.targets, list) and lora.targets and all(isinstance(name, str) for name in lora.targets)
    return [
        (lora.r < 0, f"model.lora.r={lora.r}: must be 0 (no adapter) or more"),
        (
            not lora.r and (changed or model.load_in_4bit),
            f"model={model.name} {', '.join([f'model.lora.{key}' for key in changed] or ['model.load_in_4bit'])}: "
            "needs an adapter; give model.lora.r=16",
        ),
        (not 0 < lora.alpha < float("inf"), f"model.lora.alpha={lora.alpha}: must be above 0"),
        (not 0 <= lora.dropout < 1, f"model.lora.dropout={lora.dropout}: must be in [0, 1)"),
        (
            lora.targets not in ("attention", "all-linear") and not listed,
            f"model.lora.targets={lora.targets}: use attention, all-linear, or a list of module names [q_proj,v_proj]",
        ),
    ]


def _private_checks(routing: RoutingConfig, model: ModelConfig) -> list[tuple[bool, str]]:
    own, kind = routing.private, f"routing.private.kind={routing.private.kind}"
    changed = replace(own, layers=0) != PrivateConfig()
    return [
        (own.layers < 0, f"routing.private.layers={own.layers}: must be 0 or more"),
        (
            not own.layers and changed,
            f"{kind} lr_factor={own.lr_factor}: routing={routing.name} has no private layers; use routing=mhp",
        ),
        (not 0 < own.lr_factor < float("inf"), f"routing.private.lr_factor={own.lr_factor}: must be above 0"),
        (
            own.kind is PrivateKind.lora and (not model.lora.r or model.lora.use_dora),
            f"{kind}: needs plain LoRA (model.lora.r={model.lora.r} use_dora={model.lora.use_dora}); use model=llm "
            "with r above 0 and use_dora=false",
        ),
        (
            model.load_in_4bit and own.layers > 0 and own.kind is not PrivateKind.lora,
            f"{kind} with model.load_in_4bit=true: copies of 4-bit blocks cannot be trained; use kind=lora",
        ),
    ]
