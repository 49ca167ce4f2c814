"""What made-up tasks say; ``texts.json`` holds the words."""

import json
from functools import cache
from importlib.resources import files
from random import Random


@cache
def texts() -> dict[str, list[str]]:
    """Lists of words and sentences, by what they are for."""
    words: dict[str, list[str]] = json.loads(files(__package__).joinpath("texts.json").read_text("utf-8"))
    return words


def title(random: Random) -> str:
    words = [random.choice(texts()["verbs"]), random.choice(texts()["things"])]
    if random.random() < 0.6:
        words.append(random.choice(texts()["circumstances"]))
    return " ".join(words)


def description(random: Random) -> str:
    return " ".join(random.sample(texts()["sentences"], random.randint(0, 5)))
