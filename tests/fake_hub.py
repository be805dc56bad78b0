"""A model hub on this machine: as much of the Hugging Face Hub's HTTP interface as its client uses.

with fake_hub() as hub:       # hub.url is what HF_ENDPOINT names
    ...
    hub.files("someone/codec")["config.json"]
"""

import base64
import hashlib
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

TOKEN = "hf_secret"


class Hub:
    """Repositories: their commits, and the branches that name them."""

    def __init__(self):
        self.url = ""
        self.branches = {}  # repository -> branch -> commit
        self.commits = {}  # commit -> path -> bytes
        self.private = set()
        self.unknown = []  # requests that nobody answers

    def files(self, repository, revision="main"):
        branches = self.branches[repository]
        return self.commits[branches.get(revision, revision)]

    def create(self, repository, *, is_private=False):
        self.branches[repository] = {}
        self.commit(repository, "main", {})
        if is_private:
            self.private.add(repository)

    def commit(self, repository, branch, changes):
        branches = self.branches[repository]
        files = {**self.commits.get(branches.get(branch, branches.get("main")), {}), **changes}
        digest = hashlib.sha1(repr((repository, branch, sorted(files.items()))).encode())
        branches[branch] = digest.hexdigest()
        self.commits[branches[branch]] = files
        return branches[branch]

    def resolved(self, repository, revision):
        branches = self.branches[repository]
        commit = branches.get(revision, revision)
        return commit if commit in branches.values() else None


class Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body=b"", **headers):
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def refuse(self, status, code):
        self.answer(status, {"error": code}, X_Error_Code=code, X_Error_Message=code)

    @property
    def has_token(self):
        return self.headers.get("Authorization") == f"Bearer {TOKEN}"

    def known(self, repository, revision):
        """Return the commit, or None after the refusal that the Hub gives."""
        is_hidden = repository in self.hub.private and not self.has_token
        if repository not in self.hub.branches or is_hidden:
            self.refuse(404 if self.has_token else 401, "RepoNotFound")
            return None
        commit = self.hub.resolved(repository, revision)
        if commit is None:
            self.refuse(404, "RevisionNotFound")
        return commit

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        match [unquote(part) for part in urlsplit(self.path).path.strip("/").split("/")]:
            case ["api", "models", owner, name]:
                self.describe(f"{owner}/{name}", "main")
            case ["api", "models", owner, name, "revision", revision]:
                self.describe(f"{owner}/{name}", revision)
            case ["api", "models", owner, name, "tree", revision, *_]:
                if commit := self.known(f"{owner}/{name}", revision):
                    self.answer(200, [entry(*item) for item in self.hub.commits[commit].items()])
            case [owner, name, "resolve", revision, *path]:
                self.give(f"{owner}/{name}", revision, "/".join(path))
            case _:
                self.miss()

    def describe(self, repository, revision):
        if commit := self.known(repository, revision):
            siblings = [{"rfilename": path} for path in self.hub.commits[commit]]
            self.answer(200, {"id": repository, "sha": commit, "siblings": siblings})

    def give(self, repository, revision, path):
        if commit := self.known(repository, revision):
            content = self.hub.commits[commit].get(path)
            if content is None:
                self.refuse(404, "EntryNotFound")
            else:
                etag = f'"{hashlib.sha1(content).hexdigest()}"'
                self.answer(200, content, X_Repo_Commit=commit, ETag=etag)

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = [unquote(part) for part in urlsplit(self.path).path.strip("/").split("/")]
        if parts == ["api", "validate-yaml"]:
            self.answer(200, {"errors": [], "warnings": []})
        elif not self.has_token:
            self.refuse(401, "Unauthorized")
        else:
            self.write(parts, body)

    def write(self, parts, body):
        match parts:
            case ["api", "repos", "create"]:
                wanted = json.loads(body)
                repository = f"{wanted.get('organization') or 'someone'}/{wanted['name']}"
                is_known = repository in self.hub.branches
                if not is_known:
                    is_private = wanted.get("private") or wanted.get("visibility") == "private"
                    self.hub.create(repository, is_private=bool(is_private))
                url = {"url": f"{self.hub.url}/{repository}", "id": repository}
                self.answer(409 if is_known else 200, url)
            case ["api", "models", _, _, "preupload", _]:
                files = json.loads(body)["files"]
                self.answer(200, {"files": [upload_mode(file["path"]) for file in files]})
            case ["api", "models", owner, name, "branch", branch]:
                self.answer(200, {"ref": self.hub.commit(f"{owner}/{name}", branch, {})})
            case ["api", "models", owner, name, "commit", branch]:
                lines = [json.loads(line) for line in body.splitlines()]
                changes = {
                    line["value"]["path"]: base64.b64decode(line["value"]["content"])
                    for line in lines
                    if line["key"] == "file"
                }
                commit = self.hub.commit(f"{owner}/{name}", branch, changes)
                url = f"{self.hub.url}/{owner}/{name}/commit/{commit}"
                self.answer(200, {"success": True, "commitOid": commit, "commitUrl": url})
            case _:
                self.miss()

    def miss(self):
        self.hub.unknown.append(f"{self.command} {self.path}")
        self.refuse(404, "NotFound")


def entry(path, content):
    return {
        "type": "file",
        "path": path,
        "size": len(content),
        "oid": hashlib.sha1(content).hexdigest(),
    }


def upload_mode(path):
    return {"path": path, "uploadMode": "regular", "shouldIgnore": False, "oid": None}


@contextmanager
def fake_hub():
    """Give a hub that answers as long as the block lasts."""
    hub = Hub()
    handler = type("HandlerOfHub", (Handler,), {"hub": hub})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
