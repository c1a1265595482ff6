"""Cases against a hub → what comes of each, by the code that a sweep runs before it trains. Needs HF_ENDPOINT set."""

import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import torch
from huggingface_hub import close_session
from omegaconf import OmegaConf

from relevance.cell_id import Request
from relevance.config import Config, DataConfig, Family, LoraConfig, ModelConfig
from relevance.data.table import Rows
from relevance.errors import UserError
from relevance.model.build import build_network
from relevance.sweep.resolve import prepared, resolve
from tests.hub.cases import CASES, GATEWAY, NOBODY, OFFLINE, REFUSED, SERVED, Case
from tests.hub.repositories import members, others
from tests.hub.server import Hub


def table(hub: Hub, folder: Path) -> list[str]:
    """A row of Markdown for each case, below a header; no address, port or path of this machine in it."""
    torch.manual_seed(0)
    members(hub, folder / "members")
    others(hub, folder / "others")
    rows = [("case", "given", "outcome", "what is fetched, or said"), ("---",) * 4]
    data = prepared([_config(CASES[0], folder)])  # of all cases
    rows += [(case.name, f"`{_typed(case)}`", *_outcome(_config(case, folder), data, case, hub)) for case in CASES]
    return [f"| {' | '.join(row)} |" for row in rows]


def _typed(case: Case) -> str:
    return f"model={case.family} {case.given}"


def _outcome(config: Config, data: dict[str, Rows], case: Case, hub: Hub) -> tuple[str, str]:
    hub.asked.clear()
    hub.resumed = 0
    with _network(case, hub) as endpoint:
        try:
            (cell,), _ = resolve([Request(config, config)], data)
            build_network(cell.config)
        except UserError as error:
            return REFUSED, _same(str(error), endpoint, "NOBODY" if case.network == NOBODY else "HUB")
    model = cell.config.model
    refs = hub.repositories[model.backbone].refs
    at = next(name for name, sha in refs.items() if sha == model.revision)
    fetched = sorted({asked.rsplit("/", 1)[1] for asked in hub.asked if _file(asked)})
    return SERVED, f"{at}: {', '.join(fetched) or 'nothing'}{'; resumed' if hub.resumed else ''}"


def _same(said: str, endpoint: str, name: str) -> str:
    """What is said, as it is said on every machine."""
    return re.sub(r" \(received \d+ bytes, expected \d+\)", "", said.replace(endpoint, name))


def _file(asked: str) -> bool:
    """Whether a request is for what a file holds: the large ones lie elsewhere, where a redirect leads."""
    return asked.startswith("GET") and ("/resolve/" in asked or "/lfs/" in asked)


def _config(case: Case, folder: Path) -> Config:
    family = Family(case.family)
    model = OmegaConf.to_object(
        OmegaConf.merge(
            OmegaConf.structured(ModelConfig), {key.removeprefix("model."): value for key, value in _words(case)}
        )
    )
    model.name, model.family, model.max_length = case.family, family, 64
    model.lora = LoraConfig(r=4 if family is Family.llm else 0)
    return Config(model=model, data=DataConfig(rows=100), outputs=str(folder / "outputs"))


def _words(case: Case) -> list[tuple[str, str]]:
    return [tuple(word.split("=", 1)) for word in case.given.split()]


@contextmanager
def _network(case: Case, hub: Hub) -> Iterator[str]:
    """The network and the account of a case; the address of its hub."""
    endpoint = f"http://127.0.0.1:{_closed_port()}" if case.network == NOBODY else hub.address
    template = endpoint + "/{repo_id}/resolve/{revision}/{filename}"
    constants = {
        "DOWNLOAD_CHUNK_SIZE": 4096,  # tiny weights too come in pieces, and can be cut
        "ENDPOINT": endpoint,
        "HUGGINGFACE_CO_URL_TEMPLATE": template,
        "HF_HUB_OFFLINE": case.network == OFFLINE,
    }
    hub.html = case.network == GATEWAY
    close_session()
    with (
        mock.patch.multiple("huggingface_hub.constants", **constants),
        mock.patch.dict("os.environ", {"HF_TOKEN": case.token} if case.token else {}),
        mock.patch("huggingface_hub.file_download.time.sleep"),  # a second before each new try
    ):
        yield endpoint
    hub.html = False


def _closed_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]
