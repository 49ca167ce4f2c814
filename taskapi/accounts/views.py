"""Endpoints under /api/auth."""

from typing import Any

from flask import request

from taskapi.accounts import closing, service, sign_in, throttle
from taskapi.accounts.errors import (
    EmailTaken,
    InvalidCredentials,
    InvalidSecondFactor,
    InvalidToken,
    LastAdmin,
    RefreshTokenReused,
    RegistrationClosed,
    SecondFactorRequired,
    TokenExpired,
    TokenRevoked,
    TooManyFailures,
    UsernameTaken,
    WrongPassword,
)
from taskapi.accounts.models import User
from taskapi.accounts.schemas import (
    DirectoryEntrySchema,
    DirectoryQuery,
    LoginSchema,
    PasswordSchema,
    ProfileChangeSchema,
    ProfileSchema,
    RegistrationSchema,
    TokenPairSchema,
    UserSchema,
)
from taskapi.accounts.sign_in import TokenPair
from taskapi.accounts.throttle import Device
from taskapi.core.access import bearer_token, current_actor
from taskapi.core.blueprint import Blueprint
from taskapi.core.db import transaction
from taskapi.core.paging import Page, page_schema
from taskapi.core.preconditions import Precondition
from taskapi.core.profile import Profile
from taskapi.core.runtime import runtime_settings

blp = Blueprint("accounts", __name__, url_prefix="/api/auth", description="Sign-in and accounts")


def current_device() -> Device:
    """Where the request comes from, short enough to be kept and fit to be shown."""
    agent = "".join(letter for letter in request.user_agent.string if letter.isprintable())
    return Device(address=(request.remote_addr or "")[:45] or None, user_agent=agent[:300] or None)


@blp.route("/register", methods=["POST"])
@blp.public
@blp.limited_per_address
@blp.problems(RegistrationClosed, EmailTaken, UsernameTaken)
@blp.arguments(RegistrationSchema)
@blp.response(201, UserSchema, location="/api/auth/me")
def register(data: dict[str, Any]) -> User:
    """Make an account"""
    # To hash takes long: not for what is refused anyway.
    service.require_registration(runtime_settings())
    password_hash = service.hash_new_password(settings=runtime_settings(), **data)
    del data["password"]
    with transaction():
        return service.register(settings=runtime_settings(), password_hash=password_hash, **data)


@blp.route("/login", methods=["POST"])
@blp.public
@blp.limited_per_address
@blp.problems(InvalidCredentials, SecondFactorRequired, InvalidSecondFactor, TooManyFailures)
@blp.arguments(LoginSchema)
@blp.response(200, TokenPairSchema)
def log_in(data: dict[str, Any]) -> TokenPair:
    """Sign in by e-mail address or username"""
    settings, device = runtime_settings(), current_device()
    credentials = sign_in.check_credentials(settings=settings, device=device, **data)
    with transaction():
        return sign_in.log_in(settings=settings, credentials=credentials, device=device)


@blp.route("/refresh", methods=["POST"])
@blp.public
@blp.problems(InvalidToken, TokenExpired, TokenRevoked, RefreshTokenReused)
@blp.doc(security=[{"refresh": []}])
@blp.response(200, TokenPairSchema)
def refresh() -> TokenPair:
    """Exchange the refresh token, sent as Bearer, for a new pair"""
    token = bearer_token("a refresh token")
    with transaction():
        return sign_in.refresh(settings=runtime_settings(), token=token, device=current_device())


@blp.route("/logout", methods=["POST"])
@blp.requires_session
@blp.response(204)
def log_out() -> None:
    """End this session; its tokens stop working at once"""
    with transaction():
        sign_in.log_out(actor=current_actor())


@blp.route("/logout-all", methods=["POST"])
@blp.requires_session
@blp.response(204)
def log_out_everywhere() -> None:
    """End all of one's sessions; personal access tokens go on"""
    with transaction():
        sign_in.log_out_everywhere(actor=current_actor())


@blp.route("/me", methods=["GET"])
@blp.requires("read")
@blp.response(200, ProfileSchema)
def show_profile() -> Profile:
    """One's own account"""
    return Profile(service.get_user(user_id=current_actor().user_id))


@blp.route("/me", methods=["PUT", "PATCH"])
@blp.requires("write")
@blp.arguments(ProfileChangeSchema)
@blp.conditional
@blp.response(200, ProfileSchema)
def update_profile(changes: dict[str, Any], *, condition: Precondition) -> Profile:
    """Change one's own profile; fields left out stay as they are"""
    with transaction():
        return Profile(service.update_profile(actor=current_actor(), changes=changes, condition=condition))


@blp.route("/me", methods=["DELETE"])
@blp.requires_session
@blp.arguments(PasswordSchema)
@blp.conditional
@blp.problems(WrongPassword, LastAdmin)
@blp.response(204)
def close_account(data: dict[str, str], *, condition: Precondition) -> None:
    """Close one's account for good: schedules are cancelled, and the person is forgotten"""
    actor = current_actor()
    throttle.require_password(settings=runtime_settings(), actor=actor, password=data["password"])
    with transaction():
        closing.close_account(actor=actor, condition=condition)


@blp.route("/users", methods=["GET"])
@blp.requires("read")
@blp.arguments(DirectoryQuery, location="query")
@blp.response(200, page_schema(DirectoryEntrySchema))
def list_directory(query: dict[str, Any]) -> Page[User]:
    """Who can be chosen, as for assigning something: active users"""
    return service.list_directory(**query)
