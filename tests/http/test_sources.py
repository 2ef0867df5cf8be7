"""Sources of a real server: a deployment each in Prefect, run when it is due, and as soon as something changes."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.http.running import Running, start

TOML = """
[[sources]]
name = "manuel"
kind = "folder"
location = "{folder}"
collection = "Manuel"
interval_s = 10

[[sources]]
name = "nightly"
kind = "folder"
location = "{folder}/absent"
collection = "Nightly"
cron = "0 3 * * 1-5"
timezone = "Europe/Paris"


[[sources]]
name = "watched"
kind = "folder"
location = "{watched}"
collection = "Watched"
watch = true
"""


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("watched")
    (folder / "there-before.md").write_text("# Avant\n\nLe bassin est profond de 3 mètres.\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("place")


@pytest.fixture(scope="module")
def syncing(
    tmp_path_factory: pytest.TempPathFactory, models_folder: Path, place: Path, watched: Path
) -> Iterator[Running]:
    data_dir = tmp_path_factory.mktemp("syncing")
    config = data_dir / "settings.toml"
    config.write_text(TOML.format(folder=place, watched=watched))
    running = start(data_dir, models_folder, {"RAGLINE_CONFIG": str(config)})
    yield running
    running.stop()


def filtered(running: Running, what: str) -> list[dict[str, object]]:
    """Return what Prefect knows of a kind; nothing while its server starts."""
    try:
        answer = httpx.post(f"{running.prefect_url}/{what}/filter", json={}, timeout=10, trust_env=False)
    except httpx.TransportError:
        return []
    found: list[dict[str, object]] = answer.json() if answer.is_success else []
    return found


def wait_for(condition: Callable[[], bool], *, limit_s: float = 150) -> None:
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.5)


def names_in(running: Running, collection: str) -> set[str]:
    with running.client() as client:
        for item in client.get("/api/v1/knowledge/").json()["items"]:
            if item["name"] == collection:
                files = client.get(f"/api/v1/knowledge/{item['id']}/files").json()["items"]
                return {file["filename"] for file in files if file["data"]["status"] == "completed"}
    return set()


def test_a_source_is_followed_on_its_schedule(syncing: Running, place: Path) -> None:
    (place / "été.md").write_text("# Été\n\nLa pompe Zéphyr a une garantie de 27 mois.\n", encoding="utf-8")
    wait_for(lambda: names_in(syncing, "Manuel") == {"été.md"})
    (place / "été.md").rename(place / "hiver.md")
    (place / "deux.md").write_text("# Deux\n\nLe manuel a deux pages.\n", encoding="utf-8")
    wait_for(lambda: names_in(syncing, "Manuel") == {"hiver.md", "deux.md"})


def test_a_watched_folder_has_what_was_there_before_and_what_comes(syncing: Running, watched: Path) -> None:
    wait_for(lambda: names_in(syncing, "Watched") == {"there-before.md"})
    (watched / "new.md").write_text("# Nouveau\n\nLa vanne est rouge.\n", encoding="utf-8")
    wait_for(lambda: names_in(syncing, "Watched") == {"there-before.md", "new.md"})


def test_a_source_that_the_server_follows_is_not_forgotten(syncing: Running) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ragline", "forget", "manuel", "--yes", "--data-dir", str(syncing.data_dir)],
        capture_output=True,
        text=True,
        check=False,
        cwd=syncing.data_dir,
    )
    assert done.returncode == 1
    assert "still follows source 'manuel': restart it" in done.stderr


def test_each_source_is_a_deployment_with_its_schedule(syncing: Running) -> None:
    wait_for(lambda: len(filtered(syncing, "deployments")) == 3)
    schedules = {each["name"]: each["schedules"] for each in filtered(syncing, "deployments")}
    assert isinstance(schedules["nightly"], list)
    assert schedules["nightly"][0]["schedule"]["cron"] == "0 3 * * 1-5"
    assert schedules["nightly"][0]["schedule"]["timezone"] == "Europe/Paris"
    assert isinstance(schedules["manuel"], list)
    assert schedules["manuel"][0]["schedule"]["interval"] == 10


def test_a_run_has_named_tasks_and_a_table(syncing: Running, place: Path) -> None:
    (place / "table.md").write_text("# Table\n\nUne table a quatre pieds.\n", encoding="utf-8")
    wait_for(lambda: "table.md" in names_in(syncing, "Manuel"))
    expected = {"list manuel", "compare manuel", "take manuel", "delete manuel", "ingest manuel"}
    wait_for(lambda: expected <= {str(each["name"]) for each in filtered(syncing, "task_runs")})  # written with a delay

    def tables() -> list[str]:
        return [str(each["data"]) for each in filtered(syncing, "artifacts") if each["key"] == "sync-manuel"]

    wait_for(lambda: any("table.md" in table and "added" in table for table in tables()))


def test_a_source_that_is_not_there_fails_its_own_run_by_name(syncing: Running) -> None:
    [deployment] = [each for each in filtered(syncing, "deployments") if each["name"] == "nightly"]
    run_it = f"{syncing.prefect_url}/deployments/{deployment['id']}/create_flow_run"
    answers: list[httpx.Response] = []

    def made_one() -> bool:  # while much is written, Prefect's SQLite is locked at times
        answers.append(httpx.post(run_it, json={}, timeout=30, trust_env=False))
        return answers[-1].is_success

    wait_for(made_one)
    made = answers[-1].json()

    def state() -> dict[str, object]:
        found: dict[str, object] = httpx.get(
            f"{syncing.prefect_url}/flow_runs/{made['id']}", timeout=10, trust_env=False
        ).json()["state"]
        return found

    wait_for(lambda: state()["type"] == "FAILED")
    assert "nightly" in str(state()["message"])
    wait_for(lambda: "the sync of source nightly failed" in syncing.logged)
    assert names_in(syncing, "Manuel") != set()
