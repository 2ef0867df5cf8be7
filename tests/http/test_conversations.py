"""Three conversations with follow-up questions over small documents: what the answers cite is there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from .running import Running

ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path(__file__).resolve().parent / "conversations"


def test_three_conversations_cite_what_is_there(server: Running) -> None:
    command = [sys.executable, str(ROOT / "benchmarks" / "conversations.py"), "--url", server.url, "--key", server.key]
    command += ["--documents", str(FOLDER), "--conversations", str(FOLDER / "conversations.json")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    answers = re.findall(r"^A: (.*)$", done.stdout, re.MULTILINE)
    expected = ["27 mois", "36 mois", "1 234,50 €", "7.40 and 16.15", "50 minutes", "22 pounds", "1200000", "1350000"]
    assert [fact for fact, answer in zip(expected, answers, strict=True) if fact not in answer] == []
    [counted] = re.findall(r"3 conversations, 8 questions, (\d+) citations: (\d+) supported, (\d+) not", done.stdout)
    assert int(counted[0]) >= 8
    assert (counted[1], counted[2]) == (counted[0], "0")
    assert "searched: " in done.stdout
    with server.client() as client:
        assert "conversations" not in {each["name"] for each in client.get("/api/v1/knowledge/").json()["items"]}
