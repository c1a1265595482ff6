"""A cell's variant, "data.rows=10000,match=steps,lora.targets=[q,v]", as its parts."""

import re

# up to a comma outside brackets and quotes
PARTS = re.compile(r"""(?:[^,\[{'"]|\[[^\]]*\]|\{[^}]*\}|'[^']*'|"[^"]*"|[\[{'"])+""")
MATCH, SHARE = "match", "task_mix.share"


def parts(variant: str) -> dict[str, str]:
    """{"data.rows": "10000", ...} in the order of the text."""
    return dict(part.partition("=")[::2] for part in PARTS.findall(variant))


def without(variant: str, *keys: str) -> str:
    """The variant without some of its keys."""
    return written({key: value for key, value in parts(variant).items() if key not in keys})


def written(found: dict[str, str]) -> str:
    return ",".join(f"{key}={value}" if value else key for key, value in found.items())


def common(variants: list[str]) -> dict[str, str]:
    """What all of several different variants, or of several equal ones, have alike; of one alone nothing."""
    if len(variants) < 2:
        return {}
    first, *others = map(parts, variants)
    return {key: value for key, value in first.items() if all(other.get(key) == value for other in others)}
