"""Endpoints under /api/auth of one's sessions and personal access tokens."""

from typing import Any
from uuid import UUID

from taskapi.accounts import personal_tokens, sessions
from taskapi.accounts.errors import TooManyTokens
from taskapi.accounts.models import PersonalToken
from taskapi.accounts.personal_tokens import NewToken
from taskapi.accounts.schemas import (
    CreatedTokenSchema,
    NewTokenSchema,
    PersonalTokenSchema,
    SessionSchema,
)
from taskapi.accounts.sessions import ListedSession
from taskapi.core.access import current_actor
from taskapi.core.blueprint import Blueprint
from taskapi.core.db import transaction
from taskapi.core.paging import Page, PageQuery, page_schema
from taskapi.core.preconditions import Precondition

blp = Blueprint("tokens", __name__, url_prefix="/api/auth", description="Sessions, personal access tokens")


@blp.route("/sessions", methods=["GET"])
@blp.requires_session
@blp.arguments(PageQuery, location="query")
@blp.response(200, page_schema(SessionSchema))
def list_sessions(query: dict[str, Any]) -> Page[ListedSession]:
    """Where one is signed in, the last used first"""
    return sessions.list_sessions(actor=current_actor(), **query)


@blp.route("/sessions/<uuid:session_id>", methods=["GET"])
@blp.requires_session
@blp.response(200, SessionSchema)
def show_session(session_id: UUID) -> ListedSession:
    """One of one's sessions, while it lasts"""
    return sessions.get_session(actor=current_actor(), session_id=session_id)


@blp.route("/sessions/<uuid:session_id>", methods=["DELETE"])
@blp.requires_session
@blp.conditional
@blp.response(204)
def end_session(session_id: UUID, *, condition: Precondition) -> None:
    """End one of one's sessions; its tokens stop working at once"""
    with transaction():
        sessions.end_session(actor=current_actor(), session_id=session_id, condition=condition)


@blp.route("/tokens", methods=["POST"])
@blp.requires_session
@blp.arguments(NewTokenSchema)
@blp.problems(TooManyTokens)
@blp.response(201, CreatedTokenSchema)
def create_token(data: dict[str, Any]) -> NewToken:
    """Make a personal access token for a program; its secret is shown this once"""
    with transaction():
        return personal_tokens.create_token(actor=current_actor(), **data)


@blp.route("/tokens", methods=["GET"])
@blp.requires_session
@blp.arguments(PageQuery, location="query")
@blp.response(200, page_schema(PersonalTokenSchema))
def list_tokens(query: dict[str, Any]) -> Page[PersonalToken]:
    """One's personal access tokens, newest first"""
    return personal_tokens.list_tokens(actor=current_actor(), **query)


@blp.route("/tokens/<uuid:token_id>", methods=["GET"])
@blp.requires_session
@blp.response(200, PersonalTokenSchema)
def show_token(token_id: UUID) -> PersonalToken:
    """A personal access token, without its secret"""
    return personal_tokens.get_token(actor=current_actor(), token_id=token_id)


@blp.route("/tokens/<uuid:token_id>", methods=["DELETE"])
@blp.requires_session
@blp.conditional
@blp.response(204)
def delete_token(token_id: UUID, *, condition: Precondition) -> None:
    """Delete a personal access token; it stops working at once"""
    with transaction():
        personal_tokens.delete_token(actor=current_actor(), token_id=token_id, condition=condition)
