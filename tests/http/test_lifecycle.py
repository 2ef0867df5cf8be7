"""Starting, stopping, and being killed: what was acknowledged is there afterwards."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from ragline.config.environment import child_environment

from .running import Running, start
from .test_endpoints import ask, finished, upload

QUICK = {"RAGLINE_PREFECT__ENABLED": "false"}


def run_serve(data_dir: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run `ragline serve` where it is expected to end by itself."""
    environment = child_environment(
        {"RAGLINE_DATA_DIR": str(data_dir), "RAGLINE_PREFECT__ENABLED": "false", **settings}
    )
    command = [sys.executable, "-m", "ragline", "serve", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_it_says_where_everything_is_and_shows_the_key_once(tmp_path: Path, models_folder: Path) -> None:
    shown = []
    for _ in range(2):
        running = start(tmp_path, models_folder, {**QUICK, "RAGLINE_AUTH__BOOTSTRAP_KEY": ""})
        running.stop()
        assert "Data folder" in running.printed
        assert "Prefect UI" in running.printed
        shown.append(re.findall(r"sk-[0-9a-f]{32}", running.printed))
    assert [len(keys) for keys in shown] == [1, 0]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_cleanly_within_five_seconds(number: signal.Signals, tmp_path: Path, models_folder: Path) -> None:
    running = start(tmp_path, models_folder)
    with running.client() as client:  # a loaded model must not get in the way: llama.cpp takes signals over
        body = {"model": "smollm2:135m", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 2}
        assert client.post("/api/chat/completions", json=body).status_code == 200
    children = subprocess.run(["pgrep", "-P", str(running.process.pid)], capture_output=True, text=True, check=False)
    started = time.monotonic()
    running.process.send_signal(number)
    assert running.process.wait(timeout=30) == 0
    assert time.monotonic() - started < 5
    for child in children.stdout.split():
        assert not Path(f"/proc/{child}").exists()
    assert "Traceback" not in running.logged


def test_what_was_acknowledged_survives_a_kill(tmp_path: Path, models_folder: Path) -> None:
    running = start(tmp_path, models_folder, QUICK)
    with running.client() as client:
        ids = [upload(client, f"{n}.md", f"# Pump {n}\n\nPump {n} weighs {n} kg.\n" * 20)["id"] for n in range(8)]
    running.process.kill()
    running.process.wait()
    again = start(tmp_path, models_folder, QUICK)
    try:
        with again.client() as client:
            assert [finished(client, file_id)["status"] for file_id in ids] == ["completed"] * 8
            answer = ask(client, "How much does pump 7 weigh?", [{"type": "file", "id": ids[7]}]).json()
            assert "7 kg" in answer["sources"][0]["document"][0]
    finally:
        again.stop()


def test_a_killed_server_leaves_no_process_and_no_ghost_run(tmp_path: Path, models_folder: Path) -> None:
    running = start(tmp_path, models_folder)
    found = subprocess.run(["pgrep", "-P", str(running.process.pid)], capture_output=True, text=True, check=False)
    running.process.kill()
    running.process.wait()
    deadline = time.monotonic() + 10
    while any(Path(f"/proc/{pid}/cmdline").exists() and alive(pid) for pid in found.stdout.split()):
        assert time.monotonic() < deadline
        time.sleep(0.05)


BUSY = "\n\n".join(f"# Part {part}\n\n" + f"Pump {part} gives {part * 37} litres. " * 20 for part in range(60))


@pytest.mark.parametrize(
    ("number", "prefect_dies"),
    [
        pytest.param(signal.SIGTERM, False, id="sigterm"),
        pytest.param(signal.SIGINT, False, id="sigint"),
        pytest.param(signal.SIGTERM, True, id="sigterm-after-prefect"),
    ],
)
def test_it_stops_cleanly_while_a_file_is_embedded(
    number: signal.Signals, prefect_dies: bool, tmp_path: Path, models_folder: Path
) -> None:
    running = start(tmp_path, models_folder)
    running.wait_for_prefect()
    with running.client() as client:
        assert finished(client, upload(client, "a.md", "# A\n\nAlpha.\n")["id"])["flow_run_id"] is not None
        busy = upload(client, "busy.md", BUSY)["id"]
        deadline = time.monotonic() + 60
        while client.get(f"/api/v1/files/{busy}/process/status").json()["stage"] != "embed":
            assert time.monotonic() < deadline
            time.sleep(0.02)
    if prefect_dies:
        kill_prefect(running)
        time.sleep(0.3)
    running.process.send_signal(number)
    assert running.process.wait(timeout=40) == 0
    if not prefect_dies:
        assert "Traceback" not in running.logged


def kill_prefect(running: Running) -> None:
    command = ["pgrep", "-P", str(running.process.pid), "-f", "prefect server"]
    for pid in subprocess.run(command, capture_output=True, text=True, check=True).stdout.split():
        os.kill(int(pid), signal.SIGKILL)


def test_a_prefect_server_that_dies_costs_a_file_seconds(tmp_path: Path, models_folder: Path) -> None:
    running = start(tmp_path, models_folder)
    running.wait_for_prefect()
    with running.client() as client:
        assert finished(client, upload(client, "a.md", "# A\n\nAlpha.\n")["id"])["flow_run_id"] is not None
        kill_prefect(running)
        started = time.monotonic()
        assert finished(client, upload(client, "b.md", "# B\n\nBeta.\n")["id"])["status"] == "completed"
        assert time.monotonic() - started < 30
    running.stop()


def alive(pid: str) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


def test_a_taken_port_is_one_line_and_exit_code_1(server: Running, tmp_path: Path) -> None:
    port = server.url.rsplit(":", 1)[1]
    done = run_serve(tmp_path, "--port", port)
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert port in done.stderr
    assert "--port" in done.stderr


def test_a_folder_in_use_is_one_line_and_exit_code_1(server: Running) -> None:
    done = run_serve(server.data_dir, "--port", "0")
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1), done.stderr
    assert str(server.data_dir) in done.stderr


def test_a_folder_that_cannot_be_made_is_one_line_and_exit_code_1(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = run_serve(tmp_path / "file" / "data", "--port", "0")
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert "data_dir" in done.stderr


def test_a_setting_with_a_typo_names_the_nearest(tmp_path: Path) -> None:
    done = run_serve(tmp_path, RAGLINE_SERVER__PROT="1")
    assert (done.returncode, "RAGLINE_SERVER__PORT" in done.stderr) == (1, True)


STEPS = {"parse", "chunk", "embed", "index"}


def test_each_batch_is_a_run_in_prefect_with_a_table_of_results(server: Running) -> None:
    server.wait_for_prefect()
    with server.client() as client:
        file_id = upload(client, "seen-in-prefect.md", "# Seen\n\nThe run shows.\n")["id"]
        status = finished(client, file_id)
        api = server.prefect_url
        assert status["flow_run_url"].startswith(f"{api.removesuffix('/api')}/runs/")
        run = httpx.get(f"{api}/flow_runs/{status['flow_run_id']}", trust_env=False).json()
        deadline = time.monotonic() + 30
        while run["state_type"] == "RUNNING" and time.monotonic() < deadline:
            time.sleep(0.1)
            run = httpx.get(f"{api}/flow_runs/{status['flow_run_id']}", trust_env=False).json()
        assert (run["state_type"], run["name"]) == ("COMPLETED", "ingest seen-in-prefect.md")
        mine = {"flow_runs": {"id": {"any_": [status["flow_run_id"]]}}}
        names: set[str] = set()
        while names != STEPS and time.monotonic() < deadline:  # task runs are written from events, after the run's end
            tasks = httpx.post(f"{api}/task_runs/filter", json=mine, trust_env=False).json()
            names = {task["name"] for task in tasks}
        assert names == STEPS
        [artifact] = httpx.post(f"{api}/artifacts/filter", json=mine, trust_env=False).json()
        [row] = json.loads(artifact["data"])
        assert (row["file"], row["outcome"], row["chunks"]) == ("seen-in-prefect.md", "completed", 1)


def test_ingestion_goes_on_without_prefect(tmp_path: Path, models_folder: Path) -> None:
    running = start(tmp_path, models_folder, {"RAGLINE_PREFECT__API_URL": "http://127.0.0.1:9/api"})
    try:
        with running.client() as client:
            assert finished(client, upload(client, "a.md", "# A\n\nAlpha.\n")["id"])["status"] == "completed"
    finally:
        running.stop()
    assert "Prefect does not answer" in running.logged


def test_the_environment_of_the_tests_has_no_settings() -> None:
    assert not [name for name in os.environ if name.startswith("RAGLINE_") and not name.startswith("RAGLINE_TEST_")]
