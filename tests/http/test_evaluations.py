"""Evaluations beside a real server: the command asks it; a run in Prefect keeps the numbers, and fails by them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.http.running import Running, start
from tests.http.test_commands import run

TOML = """
[[evaluations]]
name = "contrats"
path = "{folder}/golden.csv"
collection = "Contrats"
cron = "0 3 * * *"
timezone = "Europe/Paris"
fail_under = 0.9

[[evaluations]]
name = "pompes"
path = "{folder}/golden.csv"
collection = "Contrats"
fail_under = 0.5
"""
GOLDEN = """question;fichier;extrait
Combien de mois dure la garantie ?;garantie.md;27 mois
Quand ouvre le musée ?;absent.md;
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sets")
    (folder / "golden.csv").write_text(GOLDEN, encoding="cp1252")
    (folder / "garantie.md").write_text("# Pompe\n\nLa garantie de la pompe Zéphyr est de 27 mois.\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def evaluating(tmp_path_factory: pytest.TempPathFactory, models_folder: Path, place: Path) -> Iterator[Running]:
    data_dir = tmp_path_factory.mktemp("evaluating")
    config = data_dir / "settings.toml"
    config.write_text(TOML.format(folder=place), encoding="utf-8")
    running = start(data_dir, models_folder, {"RAGLINE_CONFIG": str(config)})
    done = run("ingest", "garantie.md", "--collection", "Contrats", "--data-dir", data_dir, cwd=place)
    assert done.returncode == 0, done.stderr
    yield running
    running.stop()


def test_the_command_asks_the_running_server(evaluating: Running, place: Path) -> None:
    command = ("eval", "golden.csv", "--collection", "Contrats", "--data-dir", evaluating.data_dir)
    done = run(*command, "--report", "page.html", "--fail-under", "0.4", cwd=place)
    assert done.returncode == 0, done.stderr
    assert (
        done.stdout.splitlines()[0] == "golden: 2 questions, collection Contrats, distribution, weight of meaning 0.5"
    )
    [fused] = [line for line in done.stdout.splitlines() if line.startswith("fused  ")]
    assert fused.split()[1] == "0.5000"
    assert "not there: 1 ('absent.md')" in done.stdout
    assert "garantie.md" in (place / "page.html").read_text(encoding="utf-8")
    elsewhere = run(
        "eval", "golden.csv", "--collection", "Contrats", "--server", evaluating.url, "--key", evaluating.key, cwd=place
    )
    assert elsewhere.returncode == 0, elsewhere.stderr
    wrong = run("eval", "golden.csv", "--server", evaluating.url, "--key", "sk-wrong", cwd=place)
    assert wrong.returncode == 1
    assert wrong.stderr.splitlines()[-1].startswith("ragline: ")


def test_a_run_in_prefect_keeps_the_numbers_and_fails_where_they_are_too_bad(evaluating: Running) -> None:
    evaluating.wait_for_prefect()
    api = evaluating.prefect_url

    def found(what: str) -> list[dict[str, object]]:
        try:
            answer = httpx.post(f"{api}/{what}/filter", json={}, timeout=30, trust_env=False)
        except httpx.TransportError:
            return []
        listed: list[dict[str, object]] = answer.json() if answer.is_success else []
        return listed

    def wait_for(condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 90
        while not condition():
            assert time.monotonic() < deadline, (evaluating.data_dir / "prefect" / "schedules.log").read_text()
            time.sleep(0.5)

    wait_for(lambda: {one["name"] for one in found("deployments")} == {"contrats", "pompes"})
    for deployment in found("deployments"):
        answer = httpx.Response(500)
        while not answer.is_success:  # while much is written, Prefect's SQLite is locked at times
            answer = httpx.post(
                f"{api}/deployments/{deployment['id']}/create_flow_run", json={}, timeout=30, trust_env=False
            )
    states: dict[str, tuple[str, str]] = {}

    def ended() -> bool:
        for flow_run in found("flow_runs"):
            state = flow_run["state"]
            assert isinstance(state, dict)
            if str(flow_run["name"]).startswith("evaluate") and state["type"] in ("COMPLETED", "FAILED", "CRASHED"):
                states[str(flow_run["name"])] = str(state["type"]), str(state["message"])
        return len(states) == 2

    wait_for(ended)
    assert states["evaluate contrats"][0] == "FAILED"
    assert "0.4000 under fail_under = 0.9" in states["evaluate contrats"][1]
    assert states["evaluate pompes"][0] == "COMPLETED"
    tables = {str(one["key"]): str(one["data"]) for one in found("artifacts")}
    assert "nDCG@10" in tables["evaluate-contrats"]
    assert (evaluating.data_dir / "eval" / "reports" / "contrats.html").is_file()
    kept = (evaluating.data_dir / "eval" / "history.jsonl").read_text(encoding="utf-8").splitlines()
    assert {json.loads(line)["set"] for line in kept} == {"golden"}
    with evaluating.client() as client:
        keys = client.get("/api/v1/auths/api_keys").json()["items"]
    assert [key["name"] for key in keys if "evaluation" in key["name"]] == []  # that of the run is gone
