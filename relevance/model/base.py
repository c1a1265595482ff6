"""What an adapter says of the backbone it stands on, so that its reader finds it: a hub id and its commit, no path.

adapter_config.json: {"base_model_name_or_path": "Qwen/Qwen3-0.6B", "revision": "c1899de289a0…", …}
"""

import json
from pathlib import Path

CONFIG = "adapter_config.json"


def name_base(folder: Path, name: str, revision: str | None) -> None:
    """Name the backbone so in all texts of an adapter that peft wrote to `folder`, instead of where it lay here."""
    settings = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    lay = settings["base_model_name_or_path"]
    for file in (*folder.glob("*.json"), *folder.glob("*.md")):
        file.write_text(file.read_text(encoding="utf-8").replace(lay, name), encoding="utf-8")
    settings |= {"base_model_name_or_path": name, "revision": revision}
    (folder / CONFIG).write_text(json.dumps(settings, indent=2, sort_keys=True), encoding="utf-8")
