"""Open WebUI's own sync client, unmodified, from its command line: a collection becomes and stays what a folder is."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import unicodedata
from pathlib import Path

import httpx
import pytest

from .running import Running
from .test_endpoints import ask, finished
from .test_knowledge import listed

OIKB = Path(sys.executable).with_name("oikb")

FILES = {
    "readme.md": "# Manual\n\nThe Borealis pump is blue.\n",
    "same.md": "The same in two places.\n",
    "Été/Notes d'été.md": "# Été\n\nLa turbine de Nordhaven pèse neuf tonnes.\n",
    "Été/Août/same.md": "The same in two places.\n",
    'docs/a "quoted" & long name.txt': "Quoted.\n",
    unicodedata.normalize("NFD", "docs/décomposé/élan.txt"): "Decomposed, as macOS writes names.\n",
    "docs/" + "x" * 230 + ".txt": "A name that is cut.\n",
    "docs/back\\slash.txt": "A name with a backslash.\n",
}


class Synced:
    """A folder and the collection that `oikb` makes like it."""

    def __init__(self, server: Running, client: httpx.Client, folder: Path) -> None:
        self._server = server
        self._client = client
        self.folder = folder
        made = client.post("/api/v1/knowledge/create", json={"name": "synced", "description": ""}).json()
        self.id: str = made["id"]
        self.path = f"/api/v1/knowledge/{self.id}"

    def write(self, path: str, text: str) -> None:
        (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / path).write_text(text)

    def run(self, *arguments: str | Path) -> str:
        """Run `oikb` and return what it printed."""
        environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        environment |= {"OIKB_CONFIG_DIR": str(self.folder.parent), "COLUMNS": "200"}
        target = ["--url", self._server.url, "--token", self._server.key, "--kb-id", self.id]
        done = subprocess.run(
            [OIKB, *arguments, *target], env=environment, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def sync(self, *options: str) -> dict[str, int]:
        """Synchronize and return what the client counted."""
        said = self.run("sync", self.folder, *options).splitlines()[-1].partition(": ")[2]
        return {name: int(number) for number, name in re.findall(r"(\d+) ([a-z ]+)", said)}

    def places(self) -> list[str]:
        """Return directory and name of every file, when all are completed."""
        found = listed(self._client, self.path)
        assert {finished(self._client, file_id)["status"] for file_id in found} <= {"completed"}
        return sorted(found.values())

    def directories(self) -> list[str]:
        return [each["path"] for each in self._client.get(f"{self.path}/dirs").json()]


@pytest.fixture
def synced(server: Running, client: httpx.Client, tmp_path: Path) -> Synced:
    return Synced(server, client, tmp_path / "folder")


def test_a_collection_follows_a_folder(synced: Synced, client: httpx.Client) -> None:
    for path, text in FILES.items():
        synced.write(path, text)
    assert synced.sync() == {"added": 8, "dirs created": 4}
    places = synced.places()
    assert {"/readme.md", "/same.md", "Été/Notes d'été.md", "Été/Août/same.md"} <= set(places)
    assert len(places) == 8
    assert synced.directories() == ["docs", "docs/décomposé", "Été", "Été/Août"]
    for _ in range(2):
        assert synced.sync() == {"unchanged": 8}
    assert synced.places() == places
    answer = ask(client, "Combien pèse la turbine ?", [{"type": "collection", "id": synced.id}]).json()
    assert "neuf tonnes" in answer["sources"][0]["document"][0]
    assert re.search(r"Files: +8\n", synced.run("status"))

    synced.write("Été/Notes d'été.md", "# Été\n\nLa turbine de Nordhaven pèse dix tonnes.\n")
    synced.write("Été/new/added.md", "# Added\n\nThis one is new.\n")
    (synced.folder / "readme.md").unlink()
    shutil.rmtree(synced.folder / "docs")
    told = {"added": 1, "modified": 1, "deleted": 5, "unchanged": 2, "dirs created": 1, "dirs removed": 2}
    assert synced.sync("--dry-run") == told
    assert synced.sync("--concurrency", "4") == told
    assert synced.places() == ["/same.md", "Été/Août/same.md", "Été/Notes d'été.md", "Été/new/added.md"]
    assert synced.directories() == ["Été", "Été/Août", "Été/new"]
    assert synced.sync() == {"unchanged": 4}
    answer = ask(client, "Combien pèse la turbine ?", [{"type": "collection", "id": synced.id}]).json()
    assert "dix tonnes" in answer["sources"][0]["document"][0]
    assert "neuf" not in str(answer["sources"])


def test_a_file_that_moves_is_found_in_its_new_place(synced: Synced) -> None:
    synced.write("old/a.md", "# Moves\n\nFrom here to there.\n")
    assert synced.sync() == {"added": 1, "dirs created": 1}
    (synced.folder / "new").mkdir()
    (synced.folder / "old" / "a.md").rename(synced.folder / "new" / "a.md")
    (synced.folder / "old").rmdir()
    assert synced.sync() == {"added": 1, "deleted": 1, "dirs created": 1, "dirs removed": 1}
    assert (synced.places(), synced.directories()) == (["new/a.md"], ["new"])


def test_a_reset_collection_is_filled_again(synced: Synced, client: httpx.Client) -> None:
    synced.write("docs/a.md", "# A\n\nAlpha.\n")
    synced.sync()
    [file_id] = listed(client, synced.path)
    synced.run("reset", "--yes", "--keep-directories")
    assert (synced.places(), synced.directories()) == ([], ["docs"])
    assert client.get(f"/api/v1/files/{file_id}").status_code == 404
    synced.run("reset", "--yes")
    assert synced.directories() == []
    assert synced.sync() == {"added": 1, "dirs created": 1}
    assert synced.places() == ["docs/a.md"]
    assert "a.md" in synced.run("ls")
