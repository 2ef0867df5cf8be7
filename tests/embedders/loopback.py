"""An embedding server on a loopback port, in OpenAI's and in Ollama's format; the model's name says how it behaves.

`words` embeds a bag of words, not of length 1; OpenAI's rows come in reverse. `hang` waits until the client leaves,
`narrow` reads few tokens, the rest answers badly.
"""

from __future__ import annotations

import json
import re
import unicodedata
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.serving import body_of

DIMENSION = 256
CONTEXT = 2048
Answer = tuple[int, bytes]
BAD_VECTORS: dict[str, list[list[float]]] = {"zero": [[0.0] * DIMENSION], "empty": [[]]}


def bag_of_words(text: str) -> list[float]:
    """Counts of hashed words without accents and short words, three times too long."""
    vector = [0.0] * DIMENSION
    vector[0] = 0.1
    plain = unicodedata.normalize("NFKD", text.lower()).encode("ascii", "ignore").decode()
    for word in re.findall(r"\w{4,}", plain):
        vector[zlib.crc32(word.encode()) % DIMENSION] += 3.0
    return vector


@dataclass
class Loopback:
    """The server's app, and the bodies and keys it was sent."""

    url: str = ""
    bodies: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        raw = await body_of(receive)
        body = json.loads(raw)
        self.bodies.append(body)
        self.keys.append(dict(scope["headers"]).get(b"authorization", b"").decode())
        if body["model"] == "hang":
            while (await receive())["type"] != "http.disconnect":
                pass
            return
        status, content = self._answer(scope["path"], body)
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    def _answer(self, path: str, body: dict[str, Any]) -> Answer:
        model = body["model"]
        if model == "missing":
            return 404, b'{"error": "model \'missing\' not found"}'
        if model == "html":
            return 200, b"<html>a page</html>"
        if path == "/api/show":
            context = 100 if model == "narrow" else CONTEXT
            return 200, json.dumps({"model_info": {"bert.context_length": context}}).encode()
        texts: Sequence[str] = [body["input"]] if isinstance(body["input"], str) else body["input"]
        vectors = BAD_VECTORS.get(model) or [bag_of_words(text) for text in texts]
        if model == "few":
            vectors = vectors[:-1] if len(texts) > 1 else vectors
        if path == "/api/embed":
            return 200, json.dumps({"model": model, "embeddings": vectors}).encode()
        rows = [{"object": "embedding", "index": i, "embedding": vector} for i, vector in enumerate(vectors)]
        return 200, json.dumps({"object": "list", "data": rows[::-1], "model": model}).encode()
