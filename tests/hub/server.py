"""A hub on loopback: repositories in memory, spoken of as huggingface_hub asks for them.

GET /api/models/org/tiny/revision/main → {"sha": "3f2c…", "siblings": […]}    GET /org/tiny/resolve/3f2c…/config.json
"""

import hashlib
import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

LARGE = (".safetensors", ".bin", ".gguf", ".h5", ".msgpack", ".ot", ".pth", ".onnx", ".pt")  # which the hub keeps apart
TOKEN, STRANGER = "hf_accepted", "hf_stranger"  # of who accepted every licence, and of somebody else


@dataclass
class Answer:
    """What the hub says to one request; `cut`: bytes of the body after which the connection is."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None


def refused(status: int, code: str, said: str, **headers: str) -> Answer:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(
        status, json.dumps({"error": said}).encode(), {"X-Error-Code": code, "X-Error-Message": said, **names}
    )


@dataclass
class Repository:
    """Commits, what branches and tags point at, who may read, and what goes wrong: answers given first, in order."""

    name: str
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)
    gated: bool = False
    private: bool = False
    disabled: bool = False
    faults: list[Answer] = field(default_factory=list)
    cuts: int = 0  # GETs of weights that end early

    def push(self, files: dict[str, bytes], branch: str = "main") -> str:
        """A commit of these files, which `branch` then points at."""
        told = json.dumps([self.name, {name: hashlib.sha1(body).hexdigest() for name, body in files.items()}])
        sha = hashlib.sha1(told.encode()).hexdigest()
        self.commits[sha] = files
        self.refs[branch] = sha
        return sha

    def info(self, sha: str) -> dict:
        siblings = [{"rfilename": name} for name in self.commits[sha]]
        gated = "manual" if self.gated else False
        return {"id": self.name, "sha": sha, "private": self.private, "gated": gated, "tags": [], "siblings": siblings}

    def tree(self, sha: str) -> list[dict]:
        return [_entry(name, body) for name, body in self.commits[sha].items()]


def _entry(name: str, body: bytes) -> dict:
    blob = hashlib.sha1(b"blob %d\0" % len(body) + body).hexdigest()
    entry = {"type": "file", "oid": blob, "size": len(body), "path": name}
    if name.endswith(LARGE):
        entry["lfs"] = {"oid": hashlib.sha256(body).hexdigest(), "size": len(body), "pointerSize": 134}
    return entry


class Server(ThreadingHTTPServer):
    """A client that hangs up in the middle is no news."""

    daemon_threads = True

    def handle_error(self, request, client_address) -> None:
        pass


class Hub:
    """Serves its repositories from `with` to its end; `asked` holds every request, "GET /org/tiny/resolve/…"."""

    def __init__(self):
        self.repositories: dict[str, Repository] = {}
        self.asked: list[str] = []
        self.resumed = 0  # requests that asked for the rest of a file
        self.html = False  # answers as a gateway does that wants a log-in
        self.server = Server(("127.0.0.1", 0), _handler(self))
        self.port = self.server.server_address[1]
        self.address = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> "Hub":
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_) -> None:
        self.server.shutdown()
        self.server.server_close()

    def repository(self, name: str, folder: Path | dict[str, bytes], **settings) -> Repository:
        """A new repository with one commit on main: the files of a folder, or of a dict."""
        repository = self.repositories[name] = Repository(name, **settings)
        repository.push(contents(folder) if isinstance(folder, Path) else folder)
        return repository

    def answer(self, method: str, path: str, token: str, start: int) -> Answer:
        self.asked.append(f"{method} {path}")
        self.resumed += start > 0
        if self.html:
            return Answer(200, b"<html>Please log in</html>", {"Content-Type": "text/html"})
        if path.startswith("/lfs/"):
            return self._lfs(path.removeprefix("/lfs/"), token, start)
        words = path.strip("/").split("/")
        verb = next((at for at, word in enumerate(words) if word in ("revision", "tree", "resolve")), len(words))
        name = "/".join(words[2 if words[0] == "api" else 0 : verb])
        found = self.repositories.get(name)
        if barred := _barred(found, token):
            return barred
        if found.faults:
            return found.faults.pop(0)
        revision = unquote(words[verb + 1]) if verb < len(words) else "main"
        sha = found.refs.get(revision, revision)
        if sha not in found.commits:
            return refused(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        if words[0] != "api":
            return self._file(found, sha, unquote("/".join(words[verb + 2 :])), token, start)
        told = found.tree(sha) if words[verb : verb + 1] == ["tree"] else found.info(sha)
        return Answer(200, json.dumps(told).encode(), {"Content-Type": "application/json"})

    def _file(self, found: Repository, sha: str, name: str, token: str, start: int) -> Answer:
        """A file of a commit; of a large one where it lies, on another host."""
        if found.gated and token != TOKEN:
            return refused(403 if token else 401, "GatedRepo", f"Access to model {found.name} is restricted.")
        if name not in found.commits[sha]:
            return refused(404, "EntryNotFound", "Entry not found", X_Repo_Commit=sha)
        body = found.commits[sha][name]
        entry = _entry(name, body)
        if large := entry.get("lfs"):
            headers = {"X-Linked-Etag": f'"{large["oid"]}"', "X-Linked-Size": str(len(body)), "X-Repo-Commit": sha}
            where = f"http://localhost:{self.port}/lfs/{found.name}/{sha}/{name}"  # not 127.0.0.1: another host
            return Answer(302, b"", {**headers, "Location": where})
        return _part(body, start, {"ETag": f'"{entry["oid"]}"', "X-Repo-Commit": sha})

    def _lfs(self, path: str, token: str, start: int) -> Answer:
        if token:
            return refused(400, "", "a token has no business here")
        *name, sha, file = path.split("/")
        found = self.repositories["/".join(name)]
        body = found.commits[sha][file]
        answer = _part(body, start, {"ETag": f'"{hashlib.sha256(body).hexdigest()}"'})
        if found.cuts:
            found.cuts -= 1
            answer.cut = len(answer.body) // 2 if found.cuts == 0 else 0
        return answer


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}


def _part(body: bytes, start: int, headers: dict[str, str]) -> Answer:
    if not start:
        return Answer(200, body, headers)
    return Answer(206, body[start:], {**headers, "Content-Range": f"bytes {start}-{len(body) - 1}/{len(body)}"})


def _barred(found: Repository | None, token: str) -> Answer | None:
    """Why a repository is not to be spoken of; the hub tells a stranger no private name."""
    if token not in ("", TOKEN, STRANGER):
        return refused(401, "", "Invalid credentials in Authorization header")
    if found is None or (found.private and token != TOKEN):
        return refused(404 if token else 401, "RepoNotFound", "Repository not found")
    if found.disabled:
        return refused(403, "", "Access to this resource is disabled.")
    return None


def _handler(hub: Hub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            token = self.headers.get("Authorization", "").removeprefix("Bearer ")
            start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").split("-")[0])
            answer = hub.answer(self.command, urlsplit(self.path).path, token, start)
            self.send_response(answer.status)
            for name, value in {**answer.headers, "Content-Length": str(len(answer.body))}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(answer.body[: answer.cut])
                self.close_connection = answer.cut is not None

        do_HEAD = do_GET  # noqa: N815 - as http.server names it

        def log_message(self, *_) -> None:
            """`asked` is the log."""

    return Handler
