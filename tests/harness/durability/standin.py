"""A local stand-in of the Weights & Biases API: takes runs, and notes what it was sent."""

import gzip
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class StandIn:
    """Listens on a free port; `runs` are what clients created, `history` their rows by run."""

    def __init__(self, refused: frozenset[str] = frozenset(), *, silent: bool = False) -> None:
        self.refused, self.silent = refused, silent
        self.runs: list[dict[str, Any]] = []
        self.history: dict[str, list[dict[str, Any]]] = {}
        self.requests = 0
        self.ends = threading.Event()
        handler = type("Handler", (_Handler,), {"api": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def __enter__(self) -> "StandIn":
        return self

    def __exit__(self, *_: object) -> None:
        self.ends.set()
        self.server.shutdown()
        self.server.server_close()

    def graphql(self, call: dict[str, Any]) -> dict[str, Any] | None:
        """The answer to an operation; None where the run is refused."""
        name, variables = call.get("operationName"), call.get("variables") or {}
        if name == "Viewer":
            return {"viewer": {"id": "1", "entity": "me", "flags": "{}", "teams": {"edges": []}}}
        if name == "UpsertBucket":
            if variables["name"] in self.refused:
                return None
            self.runs.append(variables)
            project = {"id": "p", "name": variables["project"], "entity": {"id": "e", "name": "me"}}
            bucket = {"id": "b", "name": variables["name"], "displayName": "x", "config": "{}"}
            bucket |= {"description": "", "sweepName": None, "project": project}
            return {"upsertBucket": {"bucket": bucket, "inserted": True}}
        if name == "CreateArtifact":
            latest = {"id": "a", "versionIndex": 0}
            artifact = {
                "id": "a",
                "state": "COMMITTED",
                "artifactSequence": {"latestArtifact": latest},
            }
            return {"createArtifact": {"artifact": artifact}}
        if name == "CreateRunFiles":
            files = [
                {"name": file, "uploadUrl": f"{self.url}/upload/{file}"}
                for file in variables["files"]
            ]
            return {"createRunFiles": {"runID": "b", "uploadHeaders": [], "files": files}}
        return {}

    def stream(self, run: str, body: dict[str, Any]) -> None:
        """Rows of a run's history."""
        lines = body.get("files", {}).get("wandb-history.jsonl", {}).get("content", [])
        self.history.setdefault(run, []).extend(json.loads(line) for line in lines)


class _Handler(BaseHTTPRequestHandler):
    api: StandIn

    def _take(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.api.requests += 1
        if self.api.silent:
            self.api.ends.wait()
            return
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        answer: dict[str, Any] | None = {}
        if self.path.startswith("/graphql"):
            data = self.api.graphql(json.loads(body))
            answer = None if data is None else {"data": data}
        elif self.path.endswith("/file_stream"):
            self.api.stream(self.path.split("/")[-2], json.loads(body))
        self._answer(answer)

    def _answer(self, answer: dict[str, Any] | None) -> None:
        content = json.dumps(answer or {"errors": [{"message": "refused"}]}).encode()
        self.send_response(200 if answer is not None else 403)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = _take

    def log_message(self, *_: object) -> None:
        pass
