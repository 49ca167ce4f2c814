"""Endpoints of users, for administrators."""

from typing import Any
from uuid import UUID

from taskapi.accounts import administration, deletion
from taskapi.accounts.administration import ManagedUser
from taskapi.accounts.deletion import Deletion
from taskapi.accounts.errors import EmailTaken, LastAdmin, OwnAccount, UsernameTaken
from taskapi.admin.schemas import (
    DeletionQuery,
    DeletionSchema,
    ManagedUserSchema,
    NewUserSchema,
    UserChangesSchema,
    UserQuery,
)
from taskapi.core.access import current_actor
from taskapi.core.blueprint import Blueprint
from taskapi.core.db import transaction
from taskapi.core.paging import Page, page_schema
from taskapi.core.preconditions import Precondition
from taskapi.core.runtime import runtime_settings

blp = Blueprint("admin_users", __name__, url_prefix="/api/admin", description="Administration: users")


@blp.route("/users", methods=["GET"])
@blp.requires("admin")
@blp.arguments(UserQuery, location="query")
@blp.response(200, page_schema(ManagedUserSchema))
def list_users(query: dict[str, Any]) -> Page[ManagedUser]:
    """All accounts, the newest first"""
    return administration.list_users(**query)


@blp.route("/users", methods=["POST"])
@blp.requires("admin")
@blp.problems(EmailTaken, UsernameTaken)
@blp.arguments(NewUserSchema)
@blp.response(201, ManagedUserSchema)
def create_user(data: dict[str, Any]) -> ManagedUser:
    """Make an account; without a password its owner is mailed a link to choose one"""
    data["password_hash"] = administration.hash_first_password(settings=runtime_settings(), **data)
    data.pop("password", None)
    with transaction():
        return administration.create_user(actor=current_actor(), **data)


@blp.route("/users/<uuid:user_id>", methods=["GET"])
@blp.requires("admin")
@blp.response(200, ManagedUserSchema)
def get_user(user_id: UUID) -> ManagedUser:
    """One account, and how much its owner has"""
    return administration.get_user(user_id=user_id)


@blp.route("/users/<uuid:user_id>", methods=["PUT", "PATCH"])
@blp.requires("admin")
@blp.conditional
@blp.problems(LastAdmin, OwnAccount)
@blp.arguments(UserChangesSchema)
@blp.response(200, ManagedUserSchema)
def update_user(data: dict[str, Any], user_id: UUID, *, condition: Precondition) -> ManagedUser:
    """Change the fields that are sent; who is switched off is signed out, and their schedules are held"""
    with transaction():
        return administration.update_user(
            actor=current_actor(), user_id=user_id, changes=data, condition=condition
        )


@blp.route("/users/<uuid:user_id>/deletion", methods=["GET"])
@blp.requires("admin")
@blp.arguments(DeletionQuery, location="query")
@blp.response(200, DeletionSchema)
def foresee_deletion(query: dict[str, Any], user_id: UUID) -> Deletion:
    """What would become of a user's things, before anything is done"""
    return deletion.foresee_deletion(user_id=user_id, **query)


@blp.route("/users/<uuid:user_id>", methods=["DELETE"])
@blp.requires("admin")
@blp.conditional
@blp.problems(LastAdmin, OwnAccount)
@blp.arguments(DeletionQuery, location="query")
@blp.response(200, DeletionSchema)
def delete_user(query: dict[str, Any], user_id: UUID, *, condition: Precondition) -> Deletion:
    """Close an account for good, and say what became of its owner's things"""
    with transaction():
        return deletion.delete_user(actor=current_actor(), user_id=user_id, condition=condition, **query)
