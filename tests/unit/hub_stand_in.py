"""A stand-in of the Hugging Face hub: the requests that its client makes to push to a repository, and to load from it.

whoami, create a repository, validate the model card, preupload, LFS batch, upload and verify, commit; resolve a file.
"""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = "c0ffee" + "0" * 34


class Hub(ThreadingHTTPServer):
    """What it was asked, and what it holds."""

    def __init__(self, token: str) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.token = token
        self.asked: list[tuple[str, str]] = []
        #: repository -> file -> content
        self.repositories: dict[str, dict[str, bytes]] = {}
        self.visibility: dict[str, str | None] = {}
        self.stored: dict[str, bytes] = {}

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: object) -> None:
        """Nothing."""

    def answer(self, content: object, status: int = 200, **headers: str) -> None:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            parts = []
            while size := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def allowed(self) -> bool:
        if self.headers.get("Authorization") == f"Bearer {self.server.token}":
            return True
        self.body()
        self.answer({"error": "Invalid credentials in Authorization header"}, 401)
        return False

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        self.server.asked.append((self.command, path))
        if path == "/api/whoami-v2":
            if self.allowed():
                self.answer({"type": "user", "name": "someone", "orgs": [], "auth": {"accessToken": {"role": "write"}}})
            return
        owner, name, resolve, _revision, *rest = [*path.strip("/").split("/"), "", "", ""]
        content = self.server.repositories.get(f"{owner}/{name}", {}).get("/".join(rest).strip("/"))
        if resolve != "resolve" or content is None:
            code = "EntryNotFound" if f"{owner}/{name}" in self.server.repositories else "RepoNotFound"
            self.answer({"error": "not found"}, 404, X_Error_Code=code)
            return
        self.answer(content, ETag=f'"{hashlib.sha256(content).hexdigest()}"', X_Repo_Commit=COMMIT)

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_PUT(self) -> None:
        self.server.asked.append((self.command, self.path.partition("?")[0]))
        content = self.body()
        oid = self.path.rpartition("/")[2]
        assert hashlib.sha256(content).hexdigest() == oid
        self.server.stored[oid] = content
        self.answer(b"")

    def do_POST(self) -> None:
        path = self.path.partition("?")[0]
        self.server.asked.append((self.command, path))
        if path == "/api/validate-yaml":
            self.body()
            self.answer({"errors": [], "warnings": []})
        elif self.allowed():
            self.answer(self.posted(path.strip("/"), self.body()))

    def posted(self, path: str, body: bytes) -> object:
        hub = self.server
        if path == "api/repos/create":
            given = json.loads(body)
            repository = f"{given['organization']}/{given['name']}"
            hub.repositories.setdefault(repository, {})
            hub.visibility.setdefault(repository, given.get("visibility") or given.get("private"))
            return {"url": f"{hub.address}/{repository}", "name": repository, "id": repository}
        if path.endswith(".git/info/lfs/objects/batch"):
            objects = json.loads(body)["objects"]
            for entry in objects:
                actions = ("upload", f"/store/{entry['oid']}"), ("verify", "/verify")
                entry["actions"] = {action: {"href": f"{hub.address}{place}"} for action, place in actions}
            return {"transfer": "basic", "objects": objects}
        if path == "verify":
            assert json.loads(body)["oid"] in hub.stored
            return {}
        _, _, owner, name, what, _revision = path.split("/")
        if what == "preupload":
            names = [entry["path"] for entry in json.loads(body)["files"]]
            modes = [(name, "lfs" if name.endswith(".safetensors") else "regular") for name in names]
            return {"files": [{"path": name, "uploadMode": mode, "shouldIgnore": False} for name, mode in modes]}
        assert what == "commit"
        for entry in map(json.loads, body.splitlines()):
            value = entry["value"]
            if entry["key"] == "file":
                hub.repositories[f"{owner}/{name}"][value["path"]] = base64.b64decode(value["content"])
            elif entry["key"] == "lfsFile":
                hub.repositories[f"{owner}/{name}"][value["path"]] = hub.stored[value["oid"]]
        return {
            "commitUrl": f"{hub.address}/{owner}/{name}/commit/{COMMIT}",
            "commitOid": COMMIT,
            "pullRequestUrl": None,
        }


@contextmanager
def running(token: str) -> Iterator[Hub]:
    """The stand-in, at work."""
    with Hub(token) as hub:
        thread = threading.Thread(target=hub.serve_forever, daemon=True)
        thread.start()
        yield hub
        hub.shutdown()
        thread.join()
