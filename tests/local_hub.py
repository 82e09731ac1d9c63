"""A Hugging Face hub on this machine with one repository: it answers what the real client asks."""

import contextlib
import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

COMMIT = 40 * "a"
REPOSITORY = "someone/pi3-tiny"
REVISIONS = ("main", "v1", COMMIT)


def git_hash(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def about(folder: Path) -> dict:
    """The answer to a question for a model: its commit and its files; weights are in large file storage."""
    siblings = []
    for path in sorted(folder.iterdir()):
        content = path.read_bytes()
        entry = {"rfilename": path.name, "size": len(content), "blobId": git_hash(content)}
        if path.suffix == ".safetensors":
            entry["lfs"] = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 130}
        siblings.append(entry)
    return {"id": REPOSITORY, "_id": "0", "sha": COMMIT, "private": False, "tags": [], "siblings": siblings}


class Answers(BaseHTTPRequestHandler):
    folder: Path
    """The repository's files."""

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        question, _, rest = path.removeprefix("/api/models").partition(f"/{REPOSITORY}")
        revision, _, name = rest.removeprefix("/revision/").removeprefix("/resolve/").partition("/")
        if question or not path.endswith(rest) or REPOSITORY not in path:
            self.answer(404, b"Repository Not Found", {"X-Error-Code": "RepoNotFound"})
        elif (revision or "main") not in REVISIONS:
            self.answer(404, b"Invalid rev", {"X-Error-Code": "RevisionNotFound"})
        elif path.startswith("/api/"):
            self.answer(200, json.dumps(about(self.folder)).encode(), {"Content-Type": "application/json"})
        else:
            content = (self.folder / name).read_bytes()
            large = name.endswith(".safetensors")
            etag = hashlib.sha256(content).hexdigest() if large else git_hash(content)
            self.answer(200, content, {"ETag": f'"{etag}"', "X-Repo-Commit": COMMIT})

    def answer(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Nothing is printed."""


@contextlib.contextmanager
def local_hub(folder: Path):
    """Its address while the block runs."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Answers", (Answers,), {"folder": folder}))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
