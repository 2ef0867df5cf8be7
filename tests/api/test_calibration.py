"""How a collection is searched: shown, calibrated when asked, chosen by its owner; and questions that nothing fits."""

from __future__ import annotations

from typing import Any

from tests.api.desk import Desk, Person

NAMES = ["pompe", "vanne", "moteur", "filtre", "turbine", "chaudière", "soupape", "capteur", "joint", "compresseur"]
FACTS = [
    "La {name} du modèle {number} pèse {weight} kilogrammes avec son socle en fonte grise.",
    "Un technicien contrôle la {name} {number} tous les {weight} jours avant le démarrage.",
    "Sa garantie couvre les pièces d'usure de la {name} {number} pendant {weight} mois.",
    "Le bruit de la {name} {number} ne dépasse jamais {weight} décibels dans l'atelier.",
]
BOOK = "\n\n".join(
    f"## Modèle {number} : {name}\n\n"
    + " ".join(fact.format(name=name, number=number, weight=number * 3 + 7) for fact in FACTS)
    for number, name in enumerate(NAMES * 6, start=1)
)


async def shelf(who: Person, name: str = "Machines", **more: Any) -> str:
    answer = await who.client.post("/api/v1/knowledge/create", json={"name": name, "description": "", **more})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["id"])


async def calibration(who: Person, collection_id: str) -> dict[str, Any]:
    answer = await who.client.get(f"/api/v1/knowledge/{collection_id}/calibration")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_a_collection_is_calibrated_when_asked_and_its_owner_is_stronger(desk: Desk) -> None:
    ada = await desk.person("ada")
    collection_id = await desk.collection(ada, "Machines", await desk.upload(ada, "machines.md", BOOK))
    before = await calibration(ada, collection_id)
    assert (before["dense_weight"], before["source"], before["curve"]) == (0.5, "default", [])
    assert "40 passages" in before["note"]
    answer = await ada.client.post(f"/api/v1/knowledge/{collection_id}/calibration", timeout=120)
    found = answer.json()
    assert (answer.status_code, found["source"], found["dense_weight"]) == (200, "calibration", found["found"])
    assert (found["passages"] >= 40, found["questions"] >= 40, len(found["curve"])) == (True, True, 21)
    assert await calibration(ada, collection_id) == found
    body = {"name": "Machines", "description": "", "options": {"retrieval": {"dense_weight": 0.9}}}
    changed = await ada.client.post(f"/api/v1/knowledge/{collection_id}/update", json=body)
    assert (changed.status_code, changed.json()["reading_again"]) == (200, 0)
    chosen = await calibration(ada, collection_id)
    assert (chosen["dense_weight"], chosen["source"], chosen["found"]) == (0.9, "options", found["found"])


async def test_calibrations_are_seen_and_made_by_those_who_may(desk: Desk) -> None:
    ada, bob = await desk.person("ada"), await desk.person("bob")
    collection_id = await shelf(ada)
    path = f"/api/v1/knowledge/{collection_id}/calibration"
    assert (await bob.client.get(path)).status_code == 404
    assert (await bob.client.post(path)).status_code == 404
    small = await ada.client.post(path)
    assert (small.status_code, small.json()["source"]) == (200, "default")


async def test_a_weight_beyond_one_is_refused(desk: Desk) -> None:
    ada = await desk.person("ada")
    body = {"name": "x", "description": "", "options": {"retrieval": {"dense_weight": 1.5}}}
    answer = await ada.client.post("/api/v1/knowledge/create", json=body)
    assert (answer.status_code, "dense_weight" in answer.text) == (422, True)


async def test_what_others_chose_for_theirs_changes_nothing_for_me(desk: Desk) -> None:
    ada, bob = await desk.person("ada"), await desk.person("bob")
    mine = await desk.upload(bob, "pompe.txt", "La pompe Zéphyr est garantie 27 mois.")
    asked = {
        "model": "extractive",
        "messages": [{"role": "user", "content": "Quelle est la recette de la tarte aux pommes ?"}],
        "files": [{"type": "file", "id": mine}],
    }
    before = (await bob.client.post("/api/chat/completions", json=asked)).json()["sources"]
    assert [source["document"] for source in before] == [[]]
    await shelf(ada, options={"retrieval": {"dense_weight": 0.03, "min_relevance": 0.0}})
    assert (await bob.client.post("/api/chat/completions", json=asked)).json()["sources"] == before
