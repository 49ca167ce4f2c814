"""The project's texts speak of the project, not of the place where somebody works on it."""

import re

from tests.rules.sources import files_of_the_project, name_of

# Composed, so that this file does not speak of them either.
WORDS = ["/".join(["..", "shared"]), "/".join(["", "work", ""]), "/".join(["", "tmp", "brief"])]
ISSUE = re.compile(r"(?:issue|ticket|fixes|closes|refs|see)\s+" + "#" + r"\d+", re.IGNORECASE)
VENDORED = "taskapi/core/static/"


def test_no_text_names_a_workplace_or_an_issue() -> None:
    found = []
    for path in files_of_the_project():
        if name_of(path).startswith(VENDORED):
            continue
        text = path.read_text(encoding="utf-8", errors="ignore")
        found += [f"{name_of(path)}: {word}" for word in WORDS if word in text]
        found += [f"{name_of(path)}: {match[0]}" for match in ISSUE.finditer(text)]
    assert found == []
