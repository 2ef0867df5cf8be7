"""What the API says of itself is true: schemathesis over the whole description, as a user and as the administrator.

No 5xx, no status, type or body that the description does not have. `RAGLINE_TEST_EXAMPLES=100` makes a long run of
it: every route, aliases too, for both, with so many random requests for each.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from tests.http.running import start

from .conftest import settings_for
from .house import House, Person, good
from .stub import Stub

EXAMPLES = int(os.environ.get("RAGLINE_TEST_EXAMPLES", "0"))
"""Random requests for each operation of a long run; 0: the short run."""
SHORT_EXAMPLES = 3
SEED = "20"
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
)
ALIASES = (
    r"^/(ollama|openai)/(v1/|chat|completions|embeddings|responses|models)|/\{index\}"
    r"|^/api/v1/(chat|embeddings|messages|models)|^/v1/(messages|chat)|^/api/message/"
)
"""Other paths of routes that are tried already, left out of the short run."""
METHODS_AS_DESCRIBED = "" if EXAMPLES else "[phases.coverage]\nunexpected-methods = []\n"
"""That other methods are refused is tried in the long run only."""
LONG_BODIES = r"|^/api/message$"
"""So many values are possible that the short run only takes some at random."""
FOR_ADMINISTRATORS = r"^/api/v1/(users|auths/add|events|audit|retrieval/(config|embedding))"
REQUEST_S = "60"
RUN_S = 3600 if EXAMPLES else 280


@pytest.fixture(scope="module")
def own(stub: Stub, tmp_path_factory: pytest.TempPathFactory, models_folder: Path) -> Iterator[House]:
    """A server of its own: what is tried at random changes what is there."""
    running = start(tmp_path_factory.mktemp("schema"), models_folder, settings_for(stub))
    house = House(running, stub)
    yield house
    house.close()
    running.stop()


@pytest.fixture(scope="module")
def people(own: House) -> dict[str, Person]:
    """Made before anything is tried: so many sign-ins fail then that more are refused for a while."""
    return {role: with_a_lasting_key(own, own.new_user("Schéma", role=role)) for role in ("user", "admin")}


def with_a_lasting_key(own: House, person: Person) -> Person:
    """Return them with a key that DELETE /api/v1/auths/api_key does not take: it deletes those of one name."""
    key = good(person.client.post("/api/v1/auths/api_keys", json={"name": "schéma"}))["api_key"]
    return Person(person.id, person.email, key, person.jwt, own.client(key))


def run(own: House, person: Person, folder: Path, *options: str, real: dict[str, str] | None = None) -> None:
    """Run schemathesis; `real` are ids that stand in every request, by the name of the parameter."""
    config = folder / "schemathesis.toml"
    lines = [f'"path.{name}" = {orjson.dumps(id).decode()}\n' for name, id in (real or {}).items()]
    config.write_text("".join([METHODS_AS_DESCRIBED, "[parameters]\n", *lines]))
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(config), "run"]
    command += [f"{own.running.url}/openapi.json", "-H", f"Authorization: Bearer {person.key}"]
    command += ["--checks", ",".join(CHECKS), "--seed", SEED, "--continue-on-failure", "--no-color"]
    command += ["--warnings", "off", "--request-timeout", REQUEST_S, "--suppress-health-check", "all", *options]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=RUN_S)
    (folder / "schemathesis.txt").write_text(done.stdout + done.stderr)
    if done.returncode != 0:
        pytest.fail(findings(done.stdout) or done.stdout + done.stderr, pytrace=False)
    assert re.search(r"\b\d{2,} generated", done.stdout), done.stdout


def findings(printed: str) -> str:
    """Return the part of the report that says what was found."""
    _, _, found = printed.partition(" ERRORS ===")
    return found or printed.partition(" FAILURES ===")[2]


@pytest.mark.timeout(RUN_S + 20)
@pytest.mark.parametrize("role", ["user", "admin"])
def test_whatever_is_sent_the_answer_is_one_that_is_described(
    own: House, people: dict[str, Person], role: str, tmp_path: Path
) -> None:
    """Values at the bounds of what is described and beyond, and the examples."""
    options = ["--phases", "examples,coverage", "--exclude-path", "/api/v1/files/all"]
    if not EXAMPLES:
        options += ["--exclude-path-regex", ALIASES + LONG_BODIES]
        if role == "admin":
            options += ["--include-path-regex", FOR_ADMINISTRATORS]
    run(own, people[role], tmp_path, *options)


@pytest.mark.timeout(RUN_S + 20)
@pytest.mark.parametrize("role", ["user", "admin"])
def test_answers_about_what_is_there_are_as_described(
    own: House, people: dict[str, Person], role: str, tmp_path: Path
) -> None:
    """Random requests about a file, a collection, … that exist; nothing is deleted."""
    options = ["--phases", "fuzzing", "--max-examples", str(EXAMPLES or SHORT_EXAMPLES), "--exclude-method", "DELETE"]
    losing = r"/(reset|file/remove|signout|password|role)$"
    options += ["--exclude-path-regex", losing if EXAMPLES else f"{losing}|{ALIASES}"]
    run(own, people[role], tmp_path, *options, real=things(own, people[role]))


def things(own: House, person: Person) -> dict[str, str]:
    """Make one of everything, and return the ids by the names that paths give them."""
    collection = own.collection(who=person)
    directory = own.directory(collection, who=person)
    file_id = own.upload(who=person, knowledge_id=collection, directory_id=directory)
    batch = {"file_ids": [file_id]}
    return {
        "file_id": file_id,
        "collection_id": collection,
        "vector_store_id": collection,
        "directory_id": directory,
        "batch_id": good(person.client.post(f"/v1/vector_stores/{collection}/file_batches", json=batch))["id"],
        "model_id": "stub-echo",
    }
