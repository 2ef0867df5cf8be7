"""The API document's curl lines, as a user runs them, with and without sign-in."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from .running import Running, start

SPEC = Path(__file__).resolve().parents[2] / "examples" / "spec.sh"


def run_spec(url: str, key: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "RAGLINE_URL": url, "RAGLINE_KEY": key}
    return subprocess.run(["bash", SPEC], env=environment, capture_output=True, text=True, check=False)


def test_every_line_of_the_document_answers(server: Running) -> None:
    done = run_spec(server.url, server.key)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("── ") == 12


def test_every_line_answers_as_printed_without_sign_in(tmp_path: Path, models_folder: Path) -> None:
    running = start(tmp_path, models_folder, {"RAGLINE_AUTH__ENABLED": "false", "RAGLINE_PREFECT__ENABLED": "false"})
    try:
        done = run_spec(running.url, "")
    finally:
        running.stop()
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("── ") == 11


def test_the_script_fails_where_an_answer_is_wrong(server: Running) -> None:
    done = run_spec(server.url, "sk-wrong")
    assert (done.returncode, "NOT AS THE DOCUMENT SAYS" in done.stdout) == (1, True)


@pytest.mark.parametrize("environment", [{"ENV": "dev"}, {"RAGLINE_ENV": "dev"}])
def test_swagger_is_there_in_development(environment: dict[str, str], tmp_path: Path, models_folder: Path) -> None:
    running = start(tmp_path, models_folder, {**environment, "RAGLINE_PREFECT__ENABLED": "false"})
    try:
        with running.client() as client:
            page = client.get("/docs").text
            assert "/static-offline-docs/swagger-ui-bundle.js" in page
            assert "https://" not in page
            assert "/api/chat/completions" in client.get("/openapi.json").json()["paths"]
    finally:
        running.stop()
