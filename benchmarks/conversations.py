"""Hold conversations over real documents with a running Ragline, and print what is cited and whether it is there.

    python benchmarks/conversations.py --documents ../shared/data/docs/files [--url URL] [--key KEY] [--model MODEL]

The model is `extractive` unless another is named. All documents go into one collection, which every question
searches. `RAGLINE_KEY` can hold the key. The last line counts the citations; collection and files are deleted in the
end, unless `--keep` is given.
"""

from __future__ import annotations

import argparse
import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx

HERE = Path(__file__).resolve().parent
NAME = "conversations"
SHOWN_CHARS = 160
TIMEOUT_S = 600


def main() -> None:
    options = arguments()
    conversations = json.loads(options.conversations.read_text())
    headers = {"Authorization": f"Bearer {options.key}"} if options.key else {}
    with httpx.Client(base_url=options.url, headers=headers, timeout=TIMEOUT_S, trust_env=False) as client:
        names = dict.fromkeys(each["document"] for each in conversations)
        collection = good(client.post("/api/v1/knowledge/create", json={"name": NAME, "description": ""}))["id"]
        file_ids: list[str] = []
        try:
            file_ids += (upload(client, options.documents / name, collection) for name in names)
            counts = sum((held(client, each, options.model, collection) for each in conversations), Counter[str]())
        finally:
            if not options.keep:
                clear(client, collection, file_ids)
    print(
        f"\n{len(conversations)} conversations, {counts['questions']} questions, {counts['citations']} citations: "
        f"{counts['supported']} supported, {counts['citations'] - counts['supported']} not"
    )


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=Path, required=True, help="the folder with the documents")
    parser.add_argument("--conversations", type=Path, default=HERE / "conversations.json")
    parser.add_argument("--url", default="http://127.0.0.1:3000")
    parser.add_argument("--key", default=os.environ.get("RAGLINE_KEY", ""))
    parser.add_argument("--model", default="extractive")
    parser.add_argument("--keep", action="store_true", help="leave collection and files as they are")
    return parser.parse_args()


def upload(client: httpx.Client, path: Path, collection: str) -> str:
    """Upload a document into the collection, wait until it answers, and return its id."""
    metadata = json.dumps({"knowledge_id": collection})
    sent = {"file": (path.name, path.read_bytes())}
    path_of_files = "/api/v1/files/?process_in_background=false"
    answer = good(client.post(path_of_files, files=sent, data={"metadata": metadata}))
    status = answer["data"]["status"]
    if status != "completed":
        raise SystemExit(f"{path.name}: {status} {answer['data'].get('error') or ''}")
    return str(answer["id"])


def held(client: httpx.Client, conversation: Mapping[str, Any], model: str, collection: str) -> Counter[str]:
    """Ask the questions of one conversation, each with what was said before, print it and return the counts."""
    print(f"\n== {conversation['title']} ({conversation['language']}, {conversation['document']})")
    messages: list[dict[str, str]] = []
    counts = Counter[str]()
    for question in conversation["turns"]:
        messages.append({"role": "user", "content": question})
        body = {"model": model, "messages": messages, "files": [{"type": "collection", "id": collection}]}
        said = good(client.post("/api/chat/completions", json=body))
        answer = said["choices"][0]["message"]["content"]
        messages.append({"role": "assistant", "content": answer})
        show(question, answer, said)
        counts["questions"] += 1
        counts["citations"] += len(said["citations"])
        counts["supported"] += sum(each["supported"] for each in said["citations"])
    return counts


def show(question: str, answer: str, said: Mapping[str, Any]) -> None:
    print(f"\nQ: {question}")
    if searched := said.get("retrieval", {}).get("searched"):
        print(f"   searched: {shortened(searched)}")
    for note in said.get("retrieval", {}).get("notes", []):
        print(f"   note: {note}")
    print(f"A: {answer}")
    for number, place in sources(said):
        print(f"   [{number}] {place}")
    for each in said["citations"]:
        verdict = "supported" if each["supported"] else f"NOT supported, missing {', '.join(each['missing'])}"
        print(
            f"   citation [{each['n']}] at {each['span'][0]}-{each['span'][1]}: {verdict} ({each['checked']} checked)"
        )
        if place := each["source"]:
            page = f" page {place['page']}" if place["page"] else ""
            print(f"      {place['name']}{page} {place['start']}-{place['end']}: {shortened(each['quote'])!r}")


def sources(said: Mapping[str, Any]) -> list[tuple[int, str]]:
    """Return the cited documents' passages by number: name, page, heading and offsets."""
    found = []
    for entry in said["sources"]:
        for about in entry["metadata"]:
            page = f" page {about['page_label']}" if "page_label" in about else ""
            heading = f" › {about['heading']}" if about["heading"] else ""
            place = f"{about['name']}{page}{shortened(heading)} {about['start_index']}-{about['end_index']}"
            found.append((about["citation"], place))
    return sorted(found, key=lambda pair: pair[0])


def clear(client: httpx.Client, collection: str, file_ids: Sequence[str]) -> None:
    client.delete(f"/api/v1/knowledge/{collection}/delete")
    for file_id in file_ids:
        client.delete(f"/api/v1/files/{file_id}")


def good(answer: httpx.Response) -> Any:
    if answer.is_error:
        raise SystemExit(f"{answer.request.method} {answer.request.url.path}: {answer.status_code} {answer.text[:300]}")
    return answer.json()


def shortened(text: str) -> str:
    text = " ".join(text.split()) if not text.startswith(" ") else text
    return text if len(text) <= SHOWN_CHARS else text[: SHOWN_CHARS - 1] + "…"


if __name__ == "__main__":
    main()
