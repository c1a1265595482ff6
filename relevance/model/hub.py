"""A hub id → the commit it means now, and the folder of the files that are needed of it. The hub's one door.

"Qwen/Qwen3-0.6B", "main" → "c1899de289a0…" → ~/.cache/huggingface/hub/models--Qwen--Qwen3-0.6B/snapshots/c1899de289a0…
"""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

import httpx2
from huggingface_hub import (
    HfApi,
    constants,
    errors,
    get_cached_repo_tree,
    get_session,
    hf_hub_download,
    hf_hub_url,
    snapshot_download,
)
from huggingface_hub.utils import build_hf_headers, hf_raise_for_status, parse_ratelimit_headers

from relevance.cli import echo
from relevance.errors import UserError, first_line
from relevance.model.weight_files import ADAPTER, CONFIG, needed_files

TRIES = 5  # of a request while the hub is busy
PATIENCE = 60.0  # seconds they may take together
SILENCE = 5.0  # seconds after which a hub that does not answer is named
GIVEN_UP = 30.0  # seconds after which it is given up; its library would wait for ever
HUB_HELP = "look at the network and at HF_ENDPOINT; HF_HUB_OFFLINE=1 takes what the cache has"
FETCHING = (errors.HfHubHTTPError, errors.RevisionResolutionError, httpx2.TransportError, OSError, ValueError)
BUSY = (429, 500, 502, 503, 504)
SITE = "https://huggingface.co"  # where licences are accepted, whatever mirror files come from

T = TypeVar("T")


class BusyError(Exception):
    """The hub has no time; `wait` is how many seconds it asks for, null where it does not say."""

    def __init__(self, response: httpx2.Response):
        super().__init__(f"answers {response.status_code} ({response.reason_phrase})")
        after, limit = response.headers.get("Retry-After", ""), parse_ratelimit_headers(response.headers)
        resets = float(limit.reset_in_seconds) if limit else None
        self.wait = float(after) if after.isdecimal() else resets


def resolve_commit(name: str, revision: str | None) -> str:
    """The commit (40 hex digits) of a branch, tag or commit of the repository `name`; null: of its main branch.

    Without a network it is the one of the last request. Raises UserError where it is unknown.
    """
    with waiting(name):
        return _answered(lambda: HfApi().resolve_revision(name, revision=revision).resolved, name, revision)


@contextmanager
def waiting(name: str) -> Iterator[None]:
    """Say which hub does not answer for the repository `name` where what is within takes SILENCE seconds."""
    line = f"{name}: still waiting for an answer of {constants.ENDPOINT} ({HUB_HELP})"
    timer = threading.Timer(SILENCE, echo, [line])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def fetch_snapshot(name: str, sha: str, code: bool) -> Path:
    """The folder in the cache with the files that a commit's backbone needs; missing ones are downloaded.

    Without a request where all are there. Raises UserError for a repository without a backbone or without access.
    """

    def read(file: str) -> Path:
        return Path(_answered(lambda: hf_hub_download(name, file, revision=sha), name, sha))

    names = needed_files(_answered(lambda: _listing(name, sha), name, sha), code, read)
    return [read(file) for file in names][-1].parent


def fetch_card(name: str, revision: str | None) -> str:
    """The text of a repository's model card; UserError where it has none, or the hub does not answer.

    It is not worth the minutes for which hf_hub_download would ask a hub that is silent.
    """

    def get() -> str:
        url = hf_hub_url(name, "README.md", revision=revision)
        response = get_session().get(url, headers=build_hf_headers(), follow_redirects=True)
        hf_raise_for_status(response)
        return response.text

    with waiting(name):
        return _answered(get, name, revision)


def _listing(name: str, sha: str) -> list[str]:
    """All files of a commit; without a network, in a cache that an older library filled, those that are there."""
    with suppress(errors.CachedRepoTreeNotFoundError):
        return [file.path for file in get_cached_repo_tree(name, revision=sha)]
    folder = snapshot_download(name, revision=sha, allow_patterns=[CONFIG, ADAPTER])
    with suppress(errors.CachedRepoTreeNotFoundError):
        return [file.path for file in get_cached_repo_tree(name, revision=sha)]
    return [file.name for file in Path(folder).iterdir()]


def _answered(call: Callable[[], T], name: str, revision: str | None) -> T:
    """What `call` returns; repeated while the hub is busy, as late as it says, within PATIENCE seconds."""
    ends, number = time.monotonic() + PATIENCE, 1
    while True:
        _listen()
        try:
            return call()
        except BusyError as error:
            wait = 2.0**number if error.wait is None else error.wait
            if number == TRIES or time.monotonic() + wait > ends:
                later = f" in {wait:.0f} s" if wait else ""
                raise UserError(
                    f"the hub {error} at try {number} of {TRIES}; give the same command again{later}"
                ) from error
        except FETCHING as error:
            raise UserError(_reason(error, name, revision)) from error
        time.sleep(wait)
        number += 1


def _listen() -> None:
    """Raise at once when the hub is busy, and soon when it is silent: its library would wait an hour, or for ever."""
    session = get_session()
    hooks = session.event_hooks
    if _raise_busy not in hooks["response"]:
        session.event_hooks = {
            "request": [*hooks["request"], _bound],
            "response": [*hooks["response"], _raise_busy],
        }


def _bound(request: httpx2.Request) -> None:
    """Give a request that may take for ever GIVEN_UP seconds for each of its steps."""
    if not any(request.extensions.get("timeout", {}).values()):
        request.extensions["timeout"] = httpx2.Timeout(GIVEN_UP).as_dict()


def _raise_busy(response: httpx2.Response) -> None:
    if response.status_code in BUSY:
        raise BusyError(response)


def _reason(error: BaseException, name: str, revision: str | None) -> str:
    """What went wrong and what to do about it, on one line."""
    if isinstance(error, errors.LocalEntryNotFoundError | errors.RevisionResolutionError) and error.__cause__:
        error = error.__cause__
    at, pages, login = revision or constants.DEFAULT_REVISION, f"{SITE}/{name}", "hf auth login"
    no_hub = f"{constants.ENDPOINT} does not answer as a hub; look at HF_ENDPOINT and at proxies"
    reasons = {
        errors.GatedRepoError: f"is gated; accept its licence at {pages}, then {login}",
        errors.RepositoryNotFoundError: "neither a local folder nor a repository the hub shows; is it misspelt? If it "
        f"is private, {login}",
        errors.RevisionNotFoundError: f"has no branch, tag or commit {at}; choose one of {pages}/tree/main",
        errors.DisabledRepoError: f"is disabled on the hub ({pages}); give another",
        errors.OfflineModeIsEnabled: f"neither a local folder nor, at {at}, whole in the cache, and HF_HUB_OFFLINE=1; "
        "fetch it once with a network",
        errors.FileMetadataError: no_hub,
        json.JSONDecodeError: no_hub,
        httpx2.ConnectError: f"neither a local folder nor available from {constants.ENDPOINT}, which cannot be "
        "reached; look at the network, or give a local folder",
        httpx2.TimeoutException: f"{constants.ENDPOINT} does not answer; {HUB_HELP}",
        httpx2.TransportError: f"the connection to the hub was cut ({first_line(error)}); give the same command again",
        errors.HFValidationError: "neither a local folder nor a hub id (org/name)",
        errors.HfHubHTTPError: f"the hub answers {_answer(error)}; {login} with a token that may read it",
        Exception: f"cannot be fetched from the hub ({type(error).__name__}: {first_line(error)}); give a local folder",
    }
    return next(reason for kind, reason in reasons.items() if isinstance(error, kind))


def _answer(error: BaseException) -> str:
    return f"{error.response.status_code} ({error.server_message})" if isinstance(error, errors.HfHubHTTPError) else ""
