"""A stand-in for the Hugging Face Hub on the loopback: the part of its HTTP interface that downloads use.

It serves folders as the commits of repositories, oldest first, the last one as main. Large files come as the
Hub's do, by a redirect to another host with the file's SHA-256 as ETag. It counts requests and fails on demand.
"""

import hashlib
import json
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

LARGE = (".parquet", ".safetensors", ".bin")
API = re.compile(r"/api/(dataset|model)s/([^/]+/[^/]+)/(revision|tree)/([^/]+)")
FILE = re.compile(r"/(datasets/)?([^/]+/[^/]+)/resolve/([^/]+)/(.+)")
CONTENT = re.compile(r"/content/([0-9a-f]{64})")


@dataclass
class StandIn:
    """What is served, what was asked for, and what shall fail.

    `faults` maps a kind of request (api: what there is; file: where a file lies; content: its bytes) to a status with
    the Hub's error code, or for content to "cut" (half of it, then nothing more) or "short" (a whole answer, but
    shorter than announced).
    """

    commits: dict[tuple[str, str], dict[str, Path]] = field(default_factory=dict)
    requests: list[tuple[str, str]] = field(default_factory=list)
    faults: dict[str, tuple[int, str] | str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        stand_in = self

        class Handler(_Handler):
            hub = stand_in

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self.content_url = f"http://localhost:{self._server.server_port}"
        self._contents: dict[str, Path] = {}
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def add(self, kind: str, repo: str, *folders: Path) -> tuple[str, ...]:
        """Serve folders as the commits of a repository; return the commits."""
        commits = {hashlib.sha1(f"{repo} {folder}".encode()).hexdigest(): folder for folder in folders}
        self.commits[kind, repo] = commits
        for folder in folders:
            for path in folder.rglob("*"):
                if path.suffix in LARGE:
                    self._contents[_sha256(path)] = path
        return tuple(commits)

    def downloaded(self) -> list[str]:
        """Name the files whose bytes were asked for, each once."""
        paths = {path for method, path in self.requests if method == "GET" and not path.startswith("/api/")}
        return sorted({self._name(path) for path in paths})

    def _name(self, path: str) -> str:
        if large := CONTENT.fullmatch(path):
            file = self._contents[large[1]]
            folders = [folder for commits in self.commits.values() for folder in commits.values()]
            return next(str(file.relative_to(folder)) for folder in folders if file.is_relative_to(folder))
        small = FILE.fullmatch(path)
        assert small is not None
        return small[4]

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    hub: StandIn
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def _answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.requests.append((self.command, path))
        if asked := API.fullmatch(path):
            self._api(*asked.groups())
        elif asked := CONTENT.fullmatch(path):
            self._content(self.hub._contents[asked[1]], {"ETag": f'"{asked[1]}"'})
        elif asked := FILE.fullmatch(path):
            self._file("dataset" if asked[1] else "model", *asked.groups()[1:])
        else:
            self._refuse(404, "")

    def _api(self, kind: str, repo: str, what: str, revision: str) -> None:
        folder = self._commit("api", kind, repo, revision)
        if folder is None:
            return
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        commit = next(name for name, path in self.hub.commits[kind, repo].items() if path == folder)
        if what == "tree":
            body: Any = [_entry(path, name=path.relative_to(folder).as_posix()) for path in files]
        else:
            siblings = [{"rfilename": path.relative_to(folder).as_posix()} for path in files]
            body = {"id": repo, "sha": commit, "private": False, "gated": False, "siblings": siblings}
        self._send(200, json.dumps(body).encode(), {"Content-Type": "application/json"})

    def _file(self, kind: str, repo: str, revision: str, name: str) -> None:
        folder = self._commit("file", kind, repo, revision)
        if folder is None:
            return
        commit = next(commit for commit, path in self.hub.commits[kind, repo].items() if path == folder)
        path = folder / name
        if not path.is_file():
            self._refuse(404, "EntryNotFound", {"X-Repo-Commit": commit})
        elif path.suffix in LARGE:
            sha256 = _sha256(path)
            headers = {
                "X-Repo-Commit": commit,
                "X-Linked-Size": str(path.stat().st_size),
                "X-Linked-ETag": f'"{sha256}"',
                "Location": f"{self.hub.content_url}/content/{sha256}",
            }
            self._send(302, b"", headers)
        else:
            self._content(path, {"X-Repo-Commit": commit, "ETag": f'"{_blob(path)}"'})

    def _content(self, path: Path, headers: dict[str, str]) -> None:
        body, fault = path.read_bytes(), self.hub.faults.get("content")
        if fault == "short":
            body = body[:-10]
        start = int((self.headers.get("Range") or "bytes=0-").removeprefix("bytes=").rstrip("-"))
        if start:
            headers = headers | {"Content-Range": f"bytes {start}-{len(body) - 1}/{len(body)}"}
        cut = len(body) // 2 if fault == "cut" else None
        self._send(206 if start else 200, body[start:], headers, cut=None if cut is None else max(cut - start, 0))

    def _commit(self, request: str, kind: str, repo: str, revision: str) -> Path | None:
        """Find the folder of a revision, or answer as the Hub does where there is none or a fault is wanted."""
        fault = self.hub.faults.get(request)
        if isinstance(fault, tuple):
            self._refuse(*fault)
            return None
        commits = self.hub.commits.get((kind, repo))
        if commits is None:
            self._refuse(401, "RepoNotFound")
            return None
        folder = commits.get(list(commits)[-1] if revision == "main" else revision)
        if folder is None:
            self._refuse(404, "RevisionNotFound")
        return folder

    def _refuse(self, status: int, code: str, headers: dict[str, str] | None = None) -> None:
        self._send(status, b"", (headers or {}) | ({"X-Error-Code": code} if code else {}))

    def _send(self, status: int, body: bytes, headers: dict[str, str], *, cut: int | None = None) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body if cut is None else body[:cut])
            self.close_connection = self.close_connection or cut is not None


def _entry(path: Path, *, name: str) -> dict[str, Any]:
    """Describe a file as the tree listing does."""
    size = path.stat().st_size
    entry: dict[str, Any] = {"type": "file", "oid": _blob(path), "size": size, "path": name}
    return entry | ({"lfs": {"oid": _sha256(path), "size": size, "pointerSize": 130}} if path.suffix in LARGE else {})


def _blob(path: Path) -> str:
    """Hash a file as git does."""
    body = path.read_bytes()
    return hashlib.sha1(f"blob {len(body)}\0".encode() + body).hexdigest()


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
