"""GET /api/files/{id}"""

import hashlib

from tests.files.making import CONTENT, store
from tests.people import Person


def test_it_tells_what_is_known_of_a_file(owner: Person) -> None:
    file_id = store(owner)
    shown = owner.get(f"/api/files/{file_id}").json
    assert shown.pop("created_at").endswith("Z")
    assert shown == {
        "id": str(file_id),
        "filename": "notes.txt",
        "content_type": "text/plain",
        "size": len(CONTENT),
        "sha256": hashlib.sha256(CONTENT).hexdigest(),
        "task_id": None,
        "owner_id": str(owner.id),
    }


def test_what_is_unchanged_need_not_be_sent_again(owner: Person) -> None:
    path = f"/api/files/{store(owner)}"
    etag = owner.get(path).headers["ETag"]
    assert owner.get(path, headers={"If-None-Match": etag}).status_code == 304


def test_anothers_file_answers_like_a_missing_one(owner: Person, teammate: Person, admin: Person) -> None:
    path = f"/api/files/{store(teammate)}"
    there = owner.get(path)
    missing = owner.get("/api/files/01a1fb5c-353e-71bc-81c9-7b9fbd7957db")
    assert (there.status_code, there.json["code"]) == (404, "file_not_found")
    assert {**there.json, "request_id": ""} == {**missing.json, "request_id": ""}
    assert admin.get(path).status_code == 200
