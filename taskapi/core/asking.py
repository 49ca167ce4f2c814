"""What a request asks at its beginning: who calls, how often they did, and whether the answer is kept.

All of it is one question to Redis. What Redis does not know, the database is asked, and it is kept
for the next request under the versions that were read before: a session that ends meanwhile renews
them, and is not let in again.
"""

import hashlib
import hmac
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import orjson
import structlog

from taskapi.core import clock
from taskapi.core.access import (
    PUBLIC,
    Actor,
    Facts,
    Shown,
    asked_access,
    authenticate,
    bearer_token,
    recognise,
)
from taskapi.core.errors import Unauthorized
from taskapi.core.freshness import ask, versions_of_sight, versions_of_standing
from taskapi.core.hints import Hints, Question, shared_hints
from taskapi.core.limits import counter_of, note_counted
from taskapi.core.runtime import current_request, request_state, runtime_settings
from taskapi.core.signing import all_keys, keyed_digests
from taskapi.version import VERSION

# How long a standing is believed if nobody could say that it has changed.
STANDING_SECONDS = 60
PURPOSE = "standing"
DIGEST_LETTERS = 64
# Standings that a process remembers as its own; each takes half a kilobyte.
REMEMBERED = 4096


def identify() -> None:
    """Before each request: find out who calls an endpoint that is not public.

    ``check_access`` refuses whom nobody knows; until then others may count the attempt.
    """
    state = request_state()
    facts: Facts = state.facts
    if not facts.judges_caller and asked_access() is PUBLIC:
        return
    try:
        state.actor = actor = _caller(state, _shown_token(facts))
    except Unauthorized as refusal:
        state.refusal = refusal
        return
    structlog.contextvars.bind_contextvars(user=str(actor.user_id))


def _shown_token(facts: Facts) -> str:
    in_path: str | None = (current_request().view_args or {}).get("token") if facts.judges_caller else None
    return in_path or bearer_token()


def _caller(state: Any, token: str) -> Actor:
    shown = recognise(token)
    if shown is None:
        return authenticate(token)
    question = _question_of(state.facts, shown)
    hints: Hints | None = ask(question)
    if hints is None:
        return authenticate(token)
    state.hints, state.page = hints, question.page
    counter, counted = question.counter, hints.counted
    version = "".join(hints.versions[:2])
    actor = _read(hints.standing, question.standing, version, shown)
    if actor is None:
        actor = authenticate(token)
        kept = _written(actor, question.standing, version)
        counter = None if counted else counter
        keep = shared_hints().keep(question.standing, kept, seconds=STANDING_SECONDS, counter=counter)
        counted = counted or keep
    if question.counter and counted:
        note_counted(question.counter, counted)
    return actor


def _question_of(facts: Facts, shown: Shown) -> Question:
    page = _page_of(facts, shown)
    versions = versions_of_standing(shown.user_id)
    return Question(
        standing=f"standing:{shown.user_id.hex}:{(shown.session_id or shown.token_id or shown.user_id).hex}",
        versions=versions + versions_of_sight(shown.user_id) if page else versions,
        counter=counter_of(shown.user_id),
        page=page,
    )


def _page_of(facts: Facts, shown: Shown) -> str | None:
    """Under which key the request's answer is kept, if it is: what is asked, by whom."""
    if not facts.kept_for_a_while or not runtime_settings().cache_ttl:
        return None
    request = current_request()
    asked = (VERSION, shown.user_id.hex, request.path.rstrip("/"), request.query_string.decode("latin-1"))
    return f"page:{hashlib.sha256(repr(asked).encode()).hexdigest()}"


def _written(actor: Actor, key: str, version: str) -> bytes:
    """A standing as it is kept: the versions, what shows that it is ours, and what nobody else says.

    Who writes to Redis but does not know ``SECRET_KEY`` lets nobody in.
    """
    until = clock.now().timestamp() + STANDING_SECONDS
    end = actor.expires_at.timestamp() if actor.token_id and actor.expires_at else None
    facts = orjson.dumps([until, actor.role, actor.username, actor.timezone, end, sorted(actor.scopes)])
    signature = keyed_digests(PURPOSE, f"{key} {version} ".encode() + facts)[0]
    return f"{version}{signature}".encode() + facts


def _read(kept: bytes | None, key: str, version: str, shown: Shown) -> Actor | None:
    """Who calls, if that is kept under these versions, ours, and not too old."""
    if kept is None or not kept.startswith(version.encode()):
        return None
    opened = _opened(kept, key, version, shown, all_keys())
    if opened is None:
        return None
    until, actor = opened
    now = clock.now()
    ended = actor.token_id is not None and actor.expires_at is not None and actor.expires_at <= now
    return None if ended or until <= now.timestamp() else actor


# The same text was signed by us, or was not, whenever it comes again.
@lru_cache(maxsize=REMEMBERED)
def _opened(
    kept: bytes, key: str, version: str, shown: Shown, _keys: tuple[str, ...]
) -> tuple[float, Actor] | None:
    """Until when it may be believed, and who calls; None if somebody else has written it."""
    signature, facts = kept[len(version) :][:DIGEST_LETTERS], kept[len(version) + DIGEST_LETTERS :]
    if not _is_ours(signature, f"{key} {version} ".encode() + facts):
        return None
    until, role, username, timezone, end, scopes = orjson.loads(facts)
    actor = Actor(
        user_id=shown.user_id,
        role=role,
        username=username,
        timezone=timezone,
        session_id=shown.session_id,
        token_id=shown.token_id,
        expires_at=shown.expires_at if end is None else datetime.fromtimestamp(end, UTC),
        scopes=frozenset(scopes),
    )
    return until, actor


def _is_ours(signature: bytes, content: bytes) -> bool:
    digests = keyed_digests(PURPOSE, content)
    return any(hmac.compare_digest(signature, digest.encode()) for digest in digests)
