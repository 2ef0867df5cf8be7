"""Paths nobody has, methods a path has not, and the description of the API."""

from __future__ import annotations

from pathlib import Path

from tests.api.desk import Desk, open_desk


async def test_an_unknown_path_is_named_in_json(desk: Desk) -> None:
    for path in ("/api/nothing", "/api/v1/nothing/here", "/v1/fine_tuning/jobs"):
        answer = await desk.admin.client.get(path)
        assert (answer.status_code, answer.json()["detail"]) == (404, f"Not Found: there is no route GET {path}")


async def test_a_method_that_a_path_has_not_is_told_which_it_has(desk: Desk) -> None:
    answer = await desk.admin.client.delete("/api/models")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET"
    assert answer.json()["detail"] == "Method Not Allowed: /api/models answers GET"


async def test_every_operation_says_what_it_answers_when_it_fails(tmp_path: Path, models_folder: Path) -> None:
    async with open_desk(tmp_path, models_folder, env="dev") as desk:
        schema = (await desk.admin.client.get("/openapi.json")).json()
    operations = {(path, method): each for path, found in schema["paths"].items() for method, each in found.items()}
    for (path, _), operation in operations.items():
        assert operation.get("summary"), path
        assert {"401", "403"} <= set(operation["responses"]) or "security" not in operation, path
        assert "404" in operation["responses"] or "{" not in path
    assert "HTTPValidationError" not in str(schema)
    assert {"HTTPBearer", "ApiKeyHeader"} == set(schema["components"]["securitySchemes"])
    assert operations["/api/models", "get"]["security"] == [{"HTTPBearer": []}, {"ApiKeyHeader": []}]
