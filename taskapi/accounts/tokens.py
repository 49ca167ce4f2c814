"""Access tokens (JWT, minutes) and opaque tokens (random, stored as a hash)."""

import hashlib
import secrets
from datetime import timedelta
from typing import Any
from uuid import UUID

import jwt
from flask_jwt_extended import create_access_token, decode_token
from flask_jwt_extended.exceptions import JWTExtendedException

from taskapi.accounts.errors import InvalidToken, TokenExpired

REFRESH_PREFIX = "tar_"


def new_access_token(*, user_id: UUID, session_id: UUID, lifetime: timedelta) -> str:
    token: str = create_access_token(
        identity=str(user_id), additional_claims={"sid": str(session_id)}, expires_delta=lifetime
    )
    return token


def read_access_token(token: str) -> tuple[UUID, UUID]:
    """The user's and the session's id.

    Raises:
        TokenExpired: its time is over.
        InvalidToken: anything else is wrong with it.
    """
    try:
        claims: dict[str, Any] = decode_token(token)
        # The library lets a token without an end pass; no such token is ours.
        if claims.get("type") != "access" or "exp" not in claims:
            raise InvalidToken("This is not an access token.")
        return UUID(claims["sub"]), UUID(claims["sid"])
    except jwt.ExpiredSignatureError as error:
        raise TokenExpired(
            "The access token has expired; exchange the refresh token for a new one."
        ) from error
    # A token can be malformed at many levels: encoding, JSON, claims, types of claims.
    except (jwt.PyJWTError, JWTExtendedException, KeyError, ValueError, TypeError, AttributeError) as error:
        raise InvalidToken("The access token is not valid.") from error


def new_opaque_token(prefix: str) -> str:
    """256 random bits behind a prefix that secret scanners can recognise."""
    return prefix + secrets.token_urlsafe(32)


def hash_token(token: str) -> str:
    """SHA-256 is enough for random tokens: there is nothing to guess."""
    return hashlib.sha256(token.encode()).hexdigest()
