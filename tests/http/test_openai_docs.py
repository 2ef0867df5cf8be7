"""What `docs/openai.md` shows works as printed, against a real server."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from fastapi.routing import APIRoute

from ragline.api import v1
from tests.http.running import Running

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "openai.md").read_text()


def test_the_script_of_the_page_answers_from_its_file(server: Running) -> None:
    [script] = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    known = {"OPENAI_BASE_URL": f"{server.url}/v1", "OPENAI_API_KEY": server.key, "PYTHONUTF8": "1"}
    done = subprocess.run(
        [sys.executable, "-c", script], env=os.environ | known, capture_output=True, text=True, check=False, timeout=90
    )
    assert done.returncode == 0, done.stderr
    found, *_, cited = done.stdout.strip().splitlines()
    assert re.fullmatch(r"pompe\.txt 0\.\d+ La garantie de la pompe Zéphyr dure 27 mois\.", found)
    assert "27 mois" in done.stdout.partition("\n")[2]
    assert cited == "['pompe.txt']"


def test_every_route_is_on_the_page() -> None:
    for route in v1.router.routes:
        assert isinstance(route, APIRoute)
        if route.include_in_schema:
            assert f"{route.path}`" in PAGE, route.path
