"""A rerank server on a loopback port; the model's name says how it behaves.

Below /tei it speaks the format of text-embeddings-inference, elsewhere that of Cohere and Jina. `words` counts common
words and answers the best first; `hang` waits until the client leaves; the rest answers badly.
"""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from typing import Any

from tests.serving import body_of

TEI_MOST = 32
BAD: dict[str, str] = {
    "html": "<html>a page</html>",
    "null": '{"results": [{"index": 0, "relevance_score": null}, {"index": 1, "relevance_score": 1}]}',
    "nan": '{"results": [{"index": 0, "relevance_score": NaN}, {"index": 1, "relevance_score": 1}]}',
    "again": '[{"index": 0, "score": 0.1}, {"index": 1, "score": 0.2}, {"index": 1, "score": 0.3}]',
    "twice": '{"results": [{"index": 1, "relevance_score": 0.1}, {"index": 1, "relevance_score": 0.2}]}',
    "beyond": '{"results": [{"index": 0, "relevance_score": 0.1}, {"index": 2, "relevance_score": 0.2}]}',
    "negative": '[{"index": 0, "score": 0.1}, {"index": -1, "score": 0.2}]',
    "few": '[{"index": 0, "score": 0.1}]',
    "vectors": '{"data": [{"index": 0, "embedding": [0.1]}, {"index": 1, "embedding": [0.1]}]}',
}
STATUS = {"missing": 404, "locked": 401, "busy": 429, "broken": 500, "odd": 599, "long": 413, "wrong": 400}


def common(question: str, text: str) -> float:
    return float(len(set(question.lower().split()) & set(text.lower().split())))


@dataclass
class Loopback:
    """The server's app, what it was sent, and whether a client asked, or left, before it was answered."""

    url: str = ""
    paths: list[str] = field(default_factory=list)
    bodies: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    asked: threading.Event = field(default_factory=threading.Event)
    left: threading.Event = field(default_factory=threading.Event)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body = json.loads(await body_of(receive))
        self.paths.append(scope["path"])
        self.bodies.append(body)
        self.keys.append(dict(scope["headers"]).get(b"authorization", b"").decode())
        if body.get("model") == "hang":
            self.asked.set()
            while (await receive())["type"] != "http.disconnect":
                pass
            self.left.set()
            return
        status, content = self._answer(scope["path"], body)
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": content.encode()})

    def _answer(self, path: str, body: dict[str, Any]) -> tuple[int, str]:
        model, tei = body.get("model", ""), path.startswith("/tei/")
        if not path.endswith("/rerank") or model in STATUS:
            return STATUS.get(model, 404), '{"error": "no"}'
        if model in BAD:
            return 200, BAD[model]
        if tei and "texts" not in body:
            return 422, "Failed to deserialize the JSON body into the target type: missing field `texts` at line 1"
        texts = body["texts" if tei else "documents"]
        if tei and len(texts) > TEI_MOST:
            return 413, json.dumps({"error": f"batch size {len(texts)} > maximum allowed batch size {TEI_MOST}"})
        ranks = sorted(((common(body["query"], text), index) for index, text in enumerate(texts)), reverse=True)
        if tei:
            return 200, json.dumps([{"index": index, "score": score} for score, index in ranks])
        return 200, json.dumps({"results": [{"index": index, "relevance_score": score} for score, index in ranks]})
