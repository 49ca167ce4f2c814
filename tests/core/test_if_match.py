"""If-Match: a change is made only to the version that its author has seen."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from threading import Barrier

import pytest
from flask import Flask

from tests.calendar.making import fetch, make_feed
from tests.events.webhooks.making import subscribe
from tests.people import Person
from tests.schedules.making import Time, at, make
from tests.tasks.importing import import_table
from tests.tasks.making import make_task, path_of
from tests.work import run_jobs, tick

ROUNDS, WRITERS = 30, 8
TABLE = "title\nTea\n"


def profile_tag(person: Person) -> str:
    return person.get("/api/auth/me").headers["ETag"]


def test_a_change_with_the_current_tag_is_made_and_answers_the_next_one(owner: Person) -> None:
    tag = profile_tag(owner)
    answer = owner.patch("/api/auth/me", {"full_name": "Olivia"}, headers={"If-Match": tag})
    assert answer.status_code == 200
    assert answer.headers["ETag"] == profile_tag(owner) != tag


@pytest.mark.parametrize("tag", ['"v99"', '"v99", "v98"', '"of another resource"', '""', "nonsense"])
def test_a_change_with_a_stale_or_foreign_tag_is_refused_and_changes_nothing(owner: Person, tag: str) -> None:
    answer = owner.patch("/api/auth/me", {"full_name": "Olivia"}, headers={"If-Match": tag})
    assert (answer.status_code, answer.json["code"]) == (412, "precondition_failed")
    assert owner.get("/api/auth/me").json["full_name"] is None


def test_a_weak_tag_never_matches(owner: Person) -> None:
    tag = f"W/{profile_tag(owner)}"
    assert owner.patch("/api/auth/me", {"full_name": "O"}, headers={"If-Match": tag}).status_code == 412


def test_one_of_several_tags_or_a_star_is_enough(owner: Person) -> None:
    several = f'"v99", {profile_tag(owner)}'
    assert owner.patch("/api/auth/me", {"full_name": "A"}, headers={"If-Match": several}).status_code == 200
    assert owner.patch("/api/auth/me", {"full_name": "B"}, headers={"If-Match": "*"}).status_code == 200


@pytest.mark.parametrize("act", ["pause", "resume", "cancel"])
def test_acts_on_a_schedule_heed_it(owner: Person, act: str) -> None:
    schedule = make(owner, every=3600)
    path = f"/api/schedules/{schedule['id']}"
    tag = owner.get(path).headers["ETag"]
    owner.post(f"{path}/pause")
    stale = owner.post(f"{path}/{act}", headers={"If-Match": tag})
    assert (stale.status_code, owner.get(path).json["status"]) == (412, "paused")
    current = owner.get(path).headers["ETag"]
    assert owner.post(f"{path}/{act}", headers={"If-Match": current}).status_code == 200


def test_a_webhook_whose_secret_changes_heeds_it(owner: Person) -> None:
    path = f"/api/webhooks/{subscribe(owner, 'https://1.1.1.1/')['id']}"
    stale = owner.post(f"{path}/rotate-secret", {}, headers={"If-Match": '"v99"'})
    assert stale.status_code == 412
    tag = owner.get(path).headers["ETag"]
    assert owner.post(f"{path}/rotate-secret", {}, headers={"If-Match": tag}).status_code == 200
    assert owner.post(f"{path}/rotate-secret", {}, headers={"If-Match": tag}).status_code == 412


def test_a_task_that_is_brought_back_heeds_it(owner: Person, admin: Person) -> None:
    path = path_of(make_task(owner))
    owner.delete(path)
    (deleted,) = admin.get("/api/tasks", query_string={"deleted": "true"}).json["items"]
    assert owner.post(f"{path}/restore", headers={"If-Match": '"v99"'}).status_code == 412
    tag = f'"v{deleted["version"]}"'
    assert owner.post(f"{path}/restore", headers={"If-Match": tag}).status_code == 200


def test_an_import_that_is_undone_heeds_it(app: Flask, owner: Person) -> None:
    path = f"/api/tasks/imports/{import_table(app, owner, TABLE)['id']}"
    assert owner.post(f"{path}/undo", headers={"If-Match": '"v99"'}).status_code == 412
    tag = owner.get(path).headers["ETag"]
    assert owner.post(f"{path}/undo", headers={"If-Match": tag}).status_code == 202


def test_deleting_heeds_it(owner: Person) -> None:
    path = f"/api/schedules/{make(owner, every=3600)['id']}"
    assert owner.delete(path, headers={"If-Match": '"v99"'}).status_code == 412
    assert owner.delete(path, headers={"If-Match": owner.get(path).headers["ETag"]}).status_code == 204


def test_a_due_time_that_passes_changes_the_tag_but_voids_no_edit(owner: Person) -> None:
    time = Time(at("2026-11-20 09:00"))
    with time.running():
        path = f"/api/schedules/{make(owner, every=60)['id']}"
        tag = owner.get(path).headers["ETag"]
        time.pass_(minutes=1)
        tick(owner.client.application)
        run_jobs(owner.client.application)
        assert owner.get(path, headers={"If-None-Match": tag}).status_code == 200
        assert owner.post(f"{path}/pause", headers={"If-Match": tag}).status_code == 200


def test_what_is_only_used_has_another_tag_but_voids_no_edit(owner: Person) -> None:
    made = owner.post("/api/auth/tokens", {"name": "a program", "scopes": ["read"]})
    feed = make_feed(owner)
    token_path, feed_path = f"/api/auth/tokens/{made.json['id']}", f"/api/calendar/feeds/{feed['id']}"
    used = {token_path: made.headers["ETag"], feed_path: owner.get(feed_path).headers["ETag"]}
    owner.client.get("/api/auth/me", headers={"Authorization": f"Bearer {made.json['token']}"})
    fetch(owner.client, feed)
    for path, tag in used.items():
        assert owner.get(path, headers={"If-None-Match": tag}).status_code == 200
        assert owner.delete(path, headers={"If-Match": tag}).status_code == 204


def test_a_file_of_a_task_is_deleted_by_the_tag_of_its_content(owner: Person) -> None:
    path = path_of(make_task(owner))
    sent = {"file": (BytesIO(b"Two sugars."), "tea.txt")}
    (file,) = owner.post(f"{path}/files", data=sent).json["items"]
    tag = owner.get(f"{path}/files/{file['id']}", buffered=True).headers["ETag"]
    assert owner.delete(f"{path}/files/{file['id']}", headers={"If-Match": tag}).status_code == 204


def test_what_one_may_not_see_is_not_found_before_its_tag_is_compared(
    owner: Person, teammate: Person
) -> None:
    path = f"/api/schedules/{make(owner, every=3600)['id']}"
    assert teammate.delete(path, headers={"If-Match": '"v99"'}).status_code == 404


def race(writers: int, write: Callable[[int], int]) -> list[int]:
    """The statuses of so many writers that start at the same moment."""
    start = Barrier(writers)

    def run(number: int) -> int:
        start.wait()
        return write(number)

    with ThreadPoolExecutor(writers) as pool:
        return list(pool.map(run, range(writers)))


def test_of_eight_writers_with_one_tag_exactly_one_wins(owner: Person) -> None:
    """Lost updates are impossible: the others are told, and nobody meets a server error."""
    client = owner.client.application.test_client
    for round_ in range(ROUNDS):
        headers = {"If-Match": profile_tag(owner), "Authorization": f"Bearer {owner.access_token}"}

        def write(number: int, headers: dict[str, str] = headers, round_: int = round_) -> int:
            body = {"full_name": f"Writer {number} of round {round_}"}
            return client().patch("/api/auth/me", json=body, headers=headers).status_code

        assert sorted(race(WRITERS, write)) == [200] + [412] * (WRITERS - 1)


def test_of_eight_who_cancel_a_run_with_one_tag_exactly_one_does(owner: Person) -> None:
    client = owner.client.application.test_client
    for _round in range(5):
        schedule_id = make(owner, every=3600)["id"]
        path = f"/api/runs/{owner.post(f'/api/schedules/{schedule_id}/run').json['id']}"
        tag = owner.get(path).headers["ETag"]
        headers = {"If-Match": tag, "Authorization": f"Bearer {owner.access_token}"}

        def cancel(number: int, path: str = path, headers: dict[str, str] = headers) -> int:
            return client().post(f"{path}/cancel", headers=headers).status_code

        assert sorted(race(WRITERS, cancel)) == [200] + [412] * (WRITERS - 1)
