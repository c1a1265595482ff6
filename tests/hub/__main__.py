"""python -m tests.hub: every case against the fixture hub → the table in docs/backbones.md (with `print`: on stdout).

| a tag | model.backbone=org/tiny@v1 | served | commit of v1; fetched model.safetensors |
"""

import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.hub.server import Hub

PAGE = Path(__file__).parents[2] / "docs" / "backbones.md"
MARK = "<!-- below: made by make hub-table -->\n"


def main() -> None:
    with TemporaryDirectory() as folder, Hub() as hub:
        home = {"HF_HOME": f"{folder}/home", "HF_ENDPOINT": hub.address, "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
        os.environ.update(home)  # before huggingface_hub, which reads them once
        os.environ.pop("HF_TOKEN", None)
        from tests.hub.outcomes import table

        lines = table(hub, Path(folder))
    if sys.argv[1:] == ["print"]:
        print("\n".join(lines))
        return
    above = PAGE.read_text(encoding="utf-8").split(MARK)[0]
    PAGE.write_text(f"{above}{MARK}\n" + "\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
