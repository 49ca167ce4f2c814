"""Endpoints under /api/auth."""

from typing import Any

from taskapi.accounts import service, sign_in
from taskapi.accounts.models import User
from taskapi.accounts.schemas import (
    LoginSchema,
    ProfileChangeSchema,
    ProfileSchema,
    RegistrationSchema,
    TokenPairSchema,
    UserSchema,
)
from taskapi.accounts.sign_in import TokenPair
from taskapi.core.access import bearer_token, current_actor
from taskapi.core.db import transaction
from taskapi.core.http import Blueprint
from taskapi.core.preconditions import Precondition
from taskapi.core.runtime import runtime_settings

blp = Blueprint("accounts", __name__, url_prefix="/api/auth", description="Sign-in and accounts")


@blp.route("/register", methods=["POST"])
@blp.public
@blp.arguments(RegistrationSchema)
@blp.response(201, UserSchema, location="/api/auth/me")
def register(data: dict[str, Any]) -> User:
    """Make an account"""
    password_hash = service.hash_new_password(settings=runtime_settings(), **data)
    del data["password"]
    with transaction():
        return service.register(settings=runtime_settings(), password_hash=password_hash, **data)


@blp.route("/login", methods=["POST"])
@blp.public
@blp.arguments(LoginSchema)
@blp.response(200, TokenPairSchema)
def log_in(data: dict[str, str]) -> TokenPair:
    """Sign in by e-mail address or username"""
    user_id = sign_in.check_credentials(**data)
    with transaction():
        return sign_in.start_session(settings=runtime_settings(), user_id=user_id)


@blp.route("/refresh", methods=["POST"])
@blp.public
@blp.doc(security=[{"refresh": []}])
@blp.response(200, TokenPairSchema)
def refresh() -> TokenPair:
    """Exchange the refresh token, sent as Bearer, for a new pair"""
    with transaction():
        return sign_in.refresh(settings=runtime_settings(), token=bearer_token())


@blp.route("/logout", methods=["POST"])
@blp.requires(None)
@blp.response(204)
def log_out() -> None:
    """End this session; its tokens stop working at once"""
    with transaction():
        sign_in.log_out(actor=current_actor())


@blp.route("/logout-all", methods=["POST"])
@blp.requires(None)
@blp.response(204)
def log_out_everywhere() -> None:
    """End all of one's sessions"""
    with transaction():
        sign_in.log_out_everywhere(actor=current_actor())


@blp.route("/me", methods=["GET"])
@blp.requires("read")
@blp.response(200, ProfileSchema)
def show_profile() -> User:
    """One's own account"""
    return service.get_user(user_id=current_actor().user_id)


@blp.route("/me", methods=["PUT", "PATCH"])
@blp.requires("write")
@blp.arguments(ProfileChangeSchema)
@blp.conditional
@blp.response(200, ProfileSchema)
def update_profile(changes: dict[str, Any], *, condition: Precondition) -> User:
    """Change one's own profile; fields left out stay as they are"""
    with transaction():
        return service.update_profile(actor=current_actor(), changes=changes, condition=condition)
