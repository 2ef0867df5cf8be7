"""The commands that ingest, sync and audit, as a user runs them: beside a server and without one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner

from ragline.cli import main
from ragline.config.environment import child_environment

from .running import Running
from .test_endpoints import upload

PUMP = "# Pump\n\nThe Zephyr pump has a warranty of 27 months.\n"


def run(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ragline", *map(str, arguments)]
    environment = child_environment({"RAGLINE_EMBEDDER__THREADS": "1"})
    return subprocess.run(command, env=environment, cwd=cwd, capture_output=True, text=True, timeout=180, check=False)


def make_documents(folder: Path, word: str) -> Path:
    """A mixed folder: two texts, a copy of one, one that is broken, one that is empty, and a hidden one."""
    (folder / "sub").mkdir(parents=True)
    (folder / "pump.md").write_text(PUMP.replace("Zephyr", word))
    (folder / "sub" / "pump.md").write_text(PUMP.replace("Zephyr", word))
    (folder / "sub" / "valve.txt").write_text(f"The {word} valve opens at nine bar.")
    (folder / "broken.pdf").write_text(f"%PDF-1.7 {word}")
    (folder / "empty.md").write_text("")
    (folder / ".hidden.md").write_text("hidden")
    return folder


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory, models_folder: Path) -> Path:
    """A folder with documents and a data folder that no server has."""
    folder = tmp_path_factory.mktemp("alone")
    make_documents(folder / "docs", "Zephyr")
    (folder / "data").mkdir()
    (folder / "data" / "models").symlink_to(models_folder)
    return folder


def check_both_runs(runs: list[subprocess.CompletedProcess[str]]) -> None:
    """The first run ingests, the second finds everything there; the broken and the empty file fail in both."""
    first, second = runs
    assert (first.returncode, first.stdout.splitlines()) == (1, ["2 ingested, 1 already there, 2 failed"]), first.stderr
    assert (second.returncode, second.stdout.splitlines()) == (1, ["3 already there, 2 failed"]), second.stderr
    for done in runs:
        failed = sorted(line for line in done.stderr.splitlines() if line.startswith("failed"))
        assert [line.partition(":")[0] for line in failed] == ["failed  docs/broken.pdf", "failed  docs/empty.md"]
        assert "hidden" not in done.stderr


def test_without_a_server_a_folder_is_ingested_once_and_the_rest_goes_on(alone: Path) -> None:
    command = ("ingest", "docs", "--data-dir", "data", "--collection", "Pumps")
    check_both_runs([run(*command, cwd=alone) for _ in range(2)])


def test_a_folder_synced_without_a_server_is_in_after_it(alone: Path) -> None:
    (alone / "source").mkdir()
    (alone / "source" / "turbine.md").write_text("# Turbine\n\nIt weighs nine tons.\n")
    (alone / "ragline.toml").write_text(
        '[[sources]]\nname = "manuals"\nkind = "folder"\nlocation = "source"\ncollection = "Manuals"\n'
    )
    plan = run("sync", "manuals", "--dry-run", "--data-dir", "data", cwd=alone)
    assert (plan.returncode, plan.stdout.splitlines()[-1]) == (0, "1 added"), plan.stderr
    assert "planned" in plan.stdout
    done = run("sync", "--all", "--data-dir", "data", "--config", "ragline.toml", cwd=alone)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "1 added"), done.stderr
    assert done.stdout.splitlines()[1].split() == ["added", "turbine.md", "done"]
    audit = run("audit", "--data-dir", "data", cwd=alone)
    assert (audit.returncode, audit.stdout.splitlines()[-1]) == (0, "0 findings"), audit.stdout + audit.stderr


def test_beside_a_server_it_ingests_through_it(server: Running, tmp_path: Path, client: httpx.Client) -> None:
    make_documents(tmp_path / "docs", "Mistral")
    command = ("ingest", "docs", "--data-dir", server.data_dir, "--collection", "Mistral pumps")
    check_both_runs([run(*command, cwd=tmp_path) for _ in range(2)])
    found = client.get("/api/v1/knowledge/search", params={"query": "Mistral pumps"}).json()
    assert [(item["name"], item["file_count"]) for item in found["items"]] == [("Mistral pumps", 3)]
    files = client.get(f"/api/v1/knowledge/{found['items'][0]['id']}/files").json()["items"]
    assert sorted(file["filename"] for file in files) == ["broken.pdf", "pump.md", "valve.txt"]


def test_with_address_and_key_what_is_there_is_put_into_the_collection_too(
    server: Running, tmp_path: Path, client: httpx.Client
) -> None:
    (tmp_path / "sirocco.md").write_text(PUMP.replace("Zephyr", "Sirocco"))
    upload(client, "sirocco.md", PUMP.replace("Zephyr", "Sirocco"))
    made = client.post("/api/v1/knowledge/create", json={"name": "Winds", "description": ""}).json()
    at = ("--server", server.url, "--key", server.key)
    for name in ("Winds", made["id"]):
        done = CliRunner().invoke(main, ["ingest", str(tmp_path / "sirocco.md"), "--collection", name, *at])
        assert (done.exit_code, "failed" in done.output) == (0, False), done.output
    files = client.get(f"/api/v1/knowledge/{made['id']}/files").json()["items"]
    assert [file["filename"] for file in files] == ["sirocco.md"]


@pytest.mark.parametrize(
    ("key", "said"),
    [
        pytest.param(["--key", "sk-wrong"], "the API key is not known, or was deleted", id="unknown"),
        pytest.param([], "asks for an API key: give --key, or set RAGLINE_KEY", id="none"),
    ],
)
def test_a_key_that_is_not_valid_is_one_line_and_exit_code_1(
    server: Running, tmp_path: Path, key: list[str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RAGLINE_KEY", raising=False)
    (tmp_path / "a.md").write_text(PUMP)
    done = CliRunner().invoke(main, ["ingest", str(tmp_path / "a.md"), "--server", server.url, *key])
    assert (done.exit_code, len(done.stderr.splitlines())) == (1, 1)
    assert said in done.stderr


def test_the_key_of_the_environment_is_taken(server: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAGLINE_KEY", server.key)
    (tmp_path / "simoom.md").write_text(PUMP.replace("Zephyr", "Simoom"))
    done = CliRunner().invoke(main, ["ingest", str(tmp_path), "--server", server.url])
    assert (done.exit_code, done.stdout) == (0, "1 ingested\n"), done.output


@pytest.mark.parametrize("options", [pytest.param([], id="files"), pytest.param(["--collection", "Old"], id="in")])
def test_a_file_that_was_edited_is_said_to_have_its_older_version_beside_it(
    server: Running, tmp_path: Path, options: list[str]
) -> None:
    for name in ("bora.md", "sub/bora.md", "other-bora.md", "foehn.md"):
        (tmp_path / "docs" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "docs" / name).write_text(f"{name} {options}")
    command = ["ingest", str(tmp_path / "docs"), "--server", server.url, "--key", server.key, *options]
    first = CliRunner().invoke(main, command)
    assert (first.stdout, "older" in first.stderr) == ("4 ingested\n", False), first.output
    (tmp_path / "docs" / "sub" / "bora.md").write_text(f"edited {options}")
    second = CliRunner().invoke(main, command)
    assert (second.exit_code, second.stdout) == (0, "1 ingested, 3 already there\n"), second.output
    assert second.stderr.splitlines()[-1] == (
        "1 file has an older version of the same name beside it: sub/bora.md; "
        "a folder that is one of the [[sources]] has its versions replaced by `ragline sync`"
    )
    third = CliRunner().invoke(main, command)
    assert (third.stdout, "older" in third.stderr) == ("4 already there\n", False), third.output


def test_beside_a_server_what_is_retried_is_taken_up_by_it(
    server: Running, tmp_path: Path, client: httpx.Client
) -> None:
    (tmp_path / "torn.pdf").write_text("%PDF-1.7 torn")
    at = ("--data-dir", str(server.data_dir))
    assert CliRunner().invoke(main, ["ingest", str(tmp_path), *at]).exit_code == 1
    file_id = next(
        file["id"] for file in client.get("/api/v1/files/").json()["items"] if file["filename"] == "torn.pdf"
    )
    done = CliRunner().invoke(main, ["retry", file_id, *at])
    assert (done.exit_code, done.stdout) == (0, f"{file_id}: waits again; the running server takes it up\n")


def test_a_sync_beside_a_server_is_a_run_in_its_prefect(server: Running, tmp_path: Path) -> None:
    server.wait_for_prefect()
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "levante.md").write_text(PUMP.replace("Zephyr", "Levante"))
    (tmp_path / "ragline.toml").write_text(
        '[[sources]]\nname = "levante"\nkind = "folder"\nlocation = "docs"\ncollection = "Levante"\ninterval_s = 3600\n'
    )
    done = run("sync", "levante", "--data-dir", server.data_dir, cwd=tmp_path)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "1 added"), done.stderr
    assert done.stderr == ""
    named = {"flow_runs": {"name": {"any_": ["sync levante"]}}}
    [shown] = httpx.post(f"{server.prefect_url}/flow_runs/filter", json=named, trust_env=False).json()
    assert shown["state_type"] == "COMPLETED"
    deployed = run("flows", "deploy", "--data-dir", server.data_dir, cwd=tmp_path)
    assert (deployed.returncode, deployed.stdout) == (0, "sync/levante  every 3600 s\n"), deployed.stderr


def test_an_audit_is_for_administrators_and_counts_what_is_stored(client: httpx.Client) -> None:
    upload(client, "counted.md", PUMP)
    report = client.get("/api/v1/audit").json()
    assert report["files"] >= 1
    assert isinstance(report["findings"], list)
    assert client.get("/api/v1/audit", headers={"Authorization": "Bearer sk-wrong"}).status_code == 401
