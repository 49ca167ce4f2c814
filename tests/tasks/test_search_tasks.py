"""GET /api/tasks?q=: the same answers for the same words on both databases"""

from typing import Any
from uuid import UUID

import pytest
from flask import Flask

from taskapi.core.db import session, transaction
from taskapi.tasks import search
from taskapi.tasks.models import Comment, Task
from taskapi.tasks.search import words_of
from tests.people import Person
from tests.settings import settings_changed
from tests.tasks.making import make_task, path_of, titles

TEXTS = {
    "plants": "Water the plants, then the café's Ficus_tree",
    "straße": "Ärger in der Hauptstraße Nr. 12",
    "cjk": "東京タワーの写真を送る",
    "emoji": "Party 🎉 plan ☕",
    "quotes": "O'Reilly's \"Learning SQL\" & C++ OR C#",
    "percent": "100% of a\\b; --drop * (x:y)",
    "rtl": "مرحبا بالعالم",
    "korean": "서울에 가자",
    "numbers": "Invoice 2026-0042 v1.2.3",
}


@pytest.fixture
def many(owner: Person) -> None:
    made = owner.post("/api/tasks/bulk", {"tasks": [{"title": text} for text in TEXTS.values()]})
    assert made.status_code == 201


@pytest.mark.usefixtures("many")
def test_words_and_no_syntax_find_tasks(owner: Person) -> None:
    names = {text: name for name, text in TEXTS.items()}
    for question, found in {
        "water": "plants",
        "WAT pla": "plants",
        "plants water": "plants",
        "ater": "",
        "water nothing": "",
        "cafe": "plants",
        "CAFÉ": "plants",
        "cafe\u0301": "plants",
        "tree": "plants",
        "ficus_tree": "plants",
        "hauptstrasse": "straße",
        "HAUPTSTRASSE": "straße",
        "arger": "straße",
        "12": "straße",
        "東京": "cjk",
        "写真": "cjk",
        "タワー": "cjk",
        "京都": "",
        "🎉": "emoji",
        "party 🎉": "emoji",
        "☕": "emoji",
        "🎈": "",
        "o'reilly": "quotes",
        "'": "",
        '"learning sql"': "quotes",
        '"learning': "quotes",
        "sql & learning": "quotes",
        "or": "quotes",
        "OR water": "",
        "water OR learning": "",
        "water | learning": "",
        "water & !plants": "plants",
        "-water": "plants",
        "NOT water": "",
        "c++ c#": "plants quotes",
        "c++ learning": "quotes",
        "100%": "percent",
        "%": "",
        "_": "",
        "*": "",
        "wat*": "plants",
        "a\\b": "percent",
        "x:y": "percent",
        "drop": "percent",
        "مرحبا": "rtl",
        "بال": "rtl",
        "서울": "korean",
        "2026-0042": "numbers",
        "v1.2": "numbers",
        "title:water": "",
        "words": "",
        "NEAR(water plants)": "",
        "water:*": "plants",
        "::": "",
    }.items():
        assert " ".join(sorted(names[title] for title in titles(owner, q=question))) == found, question


def test_others_find_nothing_and_admins_and_teams_all(
    app: Flask, owner: Person, teammate: Person, admin: Person
) -> None:
    make_task(owner, title="Tea")
    assert (titles(owner, q="tea"), titles(teammate, q="tea"), titles(admin, q="tea")) == (
        ["Tea"],
        [],
        ["Tea"],
    )
    with settings_changed(app, team_sees_tasks=True):
        assert titles(teammate, q="tea") == ["Tea"]
    mark = search.mark_of(owner.id)
    assert titles(teammate, q=f"{mark}tea") == []


def test_words_follow_edits_and_assignments(owner: Person, teammate: Person) -> None:
    task = make_task(owner, title="Tea", description="with milk", tags=["home"])
    owner.patch(path_of(task), {"description": "with lemon"})
    assert (titles(owner, q="milk"), titles(owner, q="tea lem")) == ([], ["Tea"])
    owner.patch(path_of(task), {"title": "Coffee"})
    assert (titles(owner, q="tea"), titles(owner, q="coffee")) == ([], ["Coffee"])
    assert titles(teammate, q="coffee") == []
    owner.patch(path_of(task), {"assignee_id": str(teammate.id)})
    assert titles(teammate, q="coffee") == ["Coffee"]
    owner.patch(path_of(task), {"assignee_id": None})
    assert titles(teammate, q="coffee") == []


def test_comments_are_searched_and_stay_so_after_an_edit_of_the_task(app: Flask, owner: Person) -> None:
    task = make_task(owner, title="Tea")
    with app.app_context(), transaction():
        said = "Darjeeling please"
        comment = {"task_id": UUID(task["id"]), "author_id": owner.id, "content_html": said}
        session().add(Comment(content=said, **comment))
        session().flush()
        search.index_again(session().get_one(Task, UUID(task["id"])))
    assert titles(owner, q="darj tea") == ["Tea"]
    owner.patch(path_of(task), {"title": "Black tea"})
    assert titles(owner, q="darj black") == ["Black tea"]


def test_of_very_much_that_was_said_the_newest_is_read_again(
    owner: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = make_task(owner, title="Tea")
    for word in ("darjeeling", "assam", "ceylon"):
        owner.post(f"{path_of(task)}/comments", {"content": f"{word} {'x' * 90}"})
    monkeypatch.setattr(search, "MAX_READ", 250)
    assert titles(owner, q="darj tea") == ["Tea"]
    owner.patch(path_of(task), {"title": "Black tea"})
    assert titles(owner, q="black darj") == []
    assert titles(owner, q="black assam") == titles(owner, q="black ceylon") == ["Black tea"]


@pytest.mark.parametrize("letter", ["long ", "\u4e00", "\U00020000", "x"])
def test_the_longest_description_is_kept_and_found_by_its_first_words(owner: Person, letter: str) -> None:
    # As many different words as there can be.
    start = ord(letter[0])
    text = letter * 10_000 if start < 0x400 else "".join(chr(start + number) for number in range(20_000))
    task = make_task(owner, title="Tea", description=f"beginning {text}"[:50_000])
    assert titles(owner, q="begin tea") == ["Tea"]
    assert owner.patch(path_of(task), {"title": "Coffee"}).status_code == 200
    assert titles(owner, q="begin coffee") == ["Coffee"]


@pytest.mark.one_database("postgresql")
def test_words_without_end_fit_into_a_row(app: Flask, owner: Person, teammate: Person) -> None:
    task = make_task(owner, title="Tea", assignee_id=str(teammate.id))
    # What comments can bring together: every letter of Chinese, several bytes each.
    letters = "".join(chr(code) for code in (*range(0x4E00, 0x9FFF), *range(0x20000, 0x2A6DF)))
    with app.app_context(), transaction():
        row = session().get_one(Task, UUID(task["id"]))
        search.index_tasks([row], {row.id: [letters]})
    assert titles(teammate, q="tea \u4e00") == ["Tea"]


def test_many_words_are_all_wanted_and_of_very_many_the_first(owner: Person) -> None:
    words = [f"word{number}" for number in range(19)]
    make_task(owner, title="Tea", description=" ".join(words))
    assert titles(owner, q=f"tea {' '.join(words)}") == ["Tea"]
    assert titles(owner, q=f"{' '.join(words)} other") == []


@pytest.mark.one_database
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Tea, TEA and téa", ["tea", "and"]),
        ("snake_case", ["snake", "case"]),
        ("x" * 60, ["x" * 40]),
        ("ﬁne ²", ["fine", "2"]),
        ("…·'\"", []),
    ],
)
def test_a_text_is_cut_into_words(text: str, words: list[str]) -> None:
    assert words_of(text) == words


def test_searches_and_other_filters_go_together(owner: Person) -> None:
    tasks: list[dict[str, Any]] = [{"title": "Tea", "status": "done"}, {"title": "Tea", "tags": ["home"]}]
    owner.post("/api/tasks/bulk", {"tasks": tasks})
    assert titles(owner, q="tea", status="done", tag="home") == []
    assert titles(owner, q="tea", tag="home", sort="title") == ["Tea"]
