"""With LEGACY_PATHS=1 the paths of older systems are other names of ours."""

import io
import re
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from taskapi.core.ids import new_id
from taskapi.legacy.aliases import ALIASES
from taskapi.legacy.paths import LegacyPaths
from tests.people import PASSWORD, Person

pytestmark = pytest.mark.one_database
LATER = "2030-01-01T09:00:00Z"
JSON = "application/json"
REST = {
    "/auth/{path:rest}": "me/second-factor",
    "/tasks/{path:rest}": f"{new_id()}/comments",
    "/analytics/{path:rest}": "overview",
}


def json_of(answer: TestResponse) -> Any:
    return answer.json


def test_an_older_path_answers_as_ours_and_names_it(owner: Person) -> None:
    assert owner.post("/api/task", {"task_name": "Tea"}).status_code == 201
    old, new = owner.get("/tasks?per_page=1"), owner.get("/api/tasks?per_page=1")
    assert (old.status_code, old.json["items"]) == (200, new.json["items"])
    assert old.headers.getlist("Link") == [
        '</api/tasks>; rel="successor-version"',
        '</docs>; rel="deprecation"; type="text/html"',
    ]
    # RFC 9745, 2.1: a date of RFC 9651, which is @ and a whole number of seconds.
    assert re.fullmatch(r"@\d{10}", old.headers["Deprecation"])
    assert "Deprecation" not in new.headers


def test_each_older_path_leads_to_the_one_that_takes_its_place(old: FlaskClient, legacy_app: Flask) -> None:
    ours = legacy_app.url_map.bind("")
    for alias in ALIASES:
        # What may follow is a path of ours, such as /api/auth/users.
        names = dict.fromkeys(re.findall(r"{(\w+)}", alias.successor), str(new_id()))
        names |= {"rest": REST.get(alias.path, "")}
        path = alias.path.replace("{path:rest}", "{rest}").format(**names)
        answer, successor = old.options(path), alias.successor.format(**names)
        assert f'<{successor}>; rel="successor-version"' in answer.headers.getlist("Link")
        assert set(answer.headers["Allow"].split(", ")) == set(ours.allowed_methods(successor)), alias.path


def test_no_older_path_stands_in_the_way_of_ours(legacy_app: Flask) -> None:
    middleware = LegacyPaths(lambda _environ, _start: [])
    for rule in legacy_app.url_map.iter_rules():
        asked = {"PATH_INFO": re.sub(r"<[^>]+>", str(new_id()), rule.rule), "REQUEST_METHOD": "GET"}
        passed_on = dict(asked)
        middleware(passed_on, None)
        assert passed_on == asked


@pytest.mark.parametrize("path", ["/tasks", "/register", "/api/task", "/list", "/cancel/1"])
def test_without_the_setting_they_are_not_there(app: Flask, path: str) -> None:
    answer = app.test_client().get(path)
    assert (answer.status_code, json_of(answer)["code"]) == (404, "not_found")
    assert "Deprecation" not in answer.headers


def test_they_are_not_in_the_openapi_document(old: FlaskClient) -> None:
    paths = json_of(old.get("/openapi.json"))["paths"].keys()
    assert not {alias.path for alias in ALIASES} & paths


def test_an_older_program_registers_signs_in_uploads_schedules_and_cancels(old: FlaskClient) -> None:
    account = {"email": "tariq@example.org", "password": PASSWORD}
    assert old.post("/register", json=account).status_code == 201
    token = json_of(old.post("/login/", json=account))["access_token"]
    old.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    assert json_of(old.get("/me"))["email"] == "tariq@example.org"
    uploaded = json_of(old.post("/upload", data={"file": (io.BytesIO(b"Tea for two\n"), "tea.txt")}))
    assert json_of(old.get("/list"))["items"] == [uploaded]
    assert old.delete(f"/delete/{uploaded['id']}").status_code == 204
    asked = {"user_id": 7, "task_type": "reminders", "schedule_time": LATER, "status": "pending"}
    scheduled = json_of(old.post("/schedule", json=asked))
    assert (scheduled["action"], scheduled["params"]) == ("reminder", {"message": "Reminder"})
    assert json_of(old.delete(f"/cancel/{scheduled['id']}"))["status"] == "cancelled"


def test_limits_of_uploads_hold(owner: Person) -> None:
    for path in ("/api/files", "/upload"):
        parts = {"file": (io.BytesIO(b"x" * 1001), "long.txt")}
        answer = owner.client.post(
            path, data=parts, headers={"Authorization": f"Bearer {owner.access_token}"}
        )
        assert (answer.status_code, answer.json["code"]) == (413, "file_too_large")  # type: ignore[index]


def test_all_paths_of_the_sign_in_count_together(old: FlaskClient) -> None:
    tried = {"username": "olivia", "password": PASSWORD}
    paths = ("/login", "/api/login", "/auth/login", "/api/auth/login", "/users/login")
    assert [old.post(path, json=tried).status_code for path in paths] == [401, 401, 401, 429, 429]


@pytest.mark.parametrize(
    "name", ["%0d%0aSet-Cookie:a=b", "%FF%00", "{0.__class__}", "täglich", "a%2F..%2Fb", "<b>"]
)
def test_a_name_that_is_none_finds_nothing(owner: Person, name: str) -> None:
    for path in (f"/tasks/{name}", f"/cancel/{name}", f"/delete/{name}"):
        answer = owner.get(path)
        assert (answer.status_code, "Set-Cookie" in answer.headers) in ((404, False), (405, False))


def test_who_is_not_signed_in_is_refused_before_the_body_is_looked_at(old: FlaskClient) -> None:
    assert old.post("/api/task", data="{", content_type=JSON).status_code == 401


def test_a_key_counts_for_both_paths(owner: Person) -> None:
    key = {"Idempotency-Key": "k"}
    first = owner.post("/tasks", {"title": "Tea"}, headers=key)
    again = owner.post("/api/tasks", {"title": "Tea"}, headers=key)
    assert (again.headers["Idempotent-Replayed"], again.json) == ("true", first.json)
    assert first.headers["Location"] == f"/api/tasks/{first.json['id']}"


def test_a_listed_site_may_call_them(old: FlaskClient) -> None:
    headers = {"Origin": "https://app.example.org", "Access-Control-Request-Method": "POST"}
    assert (
        old.options("/api/task", headers=headers).headers["Access-Control-Allow-Origin"] == headers["Origin"]
    )


def test_head_and_methods_that_are_not_offered_are_answered_as_under_ours(owner: Person) -> None:
    assert owner.call("HEAD", "/tasks").status_code == 200
    for refused, status in ((owner.delete("/analytics"), 405), (owner.get(f"/tasks/{new_id()}"), 404)):
        assert (refused.status_code, refused.mimetype) == (status, "application/problem+json")
        assert "Deprecation" in refused.headers


def test_an_administrator_reaches_administration_and_others_do_not(owner: Person, admin: Person) -> None:
    for path in ("/users", "/admin/tasks"):
        assert (owner.get(path).status_code, admin.get(path).status_code) == (403, 200)
