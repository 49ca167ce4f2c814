"""Access tokens (JWT, minutes) and opaque tokens (random, stored as a hash)."""

import hashlib
import secrets
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import jwt
from flask import Flask
from flask_jwt_extended import JWTManager, create_access_token, decode_token
from flask_jwt_extended.exceptions import JWTExtendedException

from taskapi.accounts.errors import InvalidToken, TokenExpired
from taskapi.core.signing import all_keys

REFRESH_PREFIX = "tar_"
PERSONAL_PREFIX = "tap_"
# Who makes these tokens and for whom (RFC 7519, 4.1): another program's token is not ours,
# although an operator may have given both the same key.
PARTY = "taskapi"


def install_tokens(app: Flask) -> None:
    """Set up access tokens; each names its key, so that a former key still verifies its own."""
    app.config |= {
        "JWT_ALGORITHM": "HS256",
        "JWT_SECRET_KEY": app.config["SECRET_KEY"],
        "JWT_ENCODE_ISSUER": PARTY,
        "JWT_DECODE_ISSUER": PARTY,
        "JWT_ENCODE_AUDIENCE": PARTY,
        "JWT_DECODE_AUDIENCE": PARTY,
    }
    JWTManager(app).decode_key_loader(_key_of)


def _key_of(header: dict[str, Any], _claims: dict[str, Any]) -> str:
    return next((key for key in all_keys() if _name_of(key) == header.get("kid")), all_keys()[0])


def _name_of(key: str) -> str:
    return hashlib.sha256(f"taskapi.kid:{key}".encode()).hexdigest()[:16]


def new_access_token(*, user_id: UUID, session_id: UUID, lifetime: timedelta) -> str:
    token: str = create_access_token(
        identity=str(user_id),
        additional_claims={"sid": str(session_id)},
        additional_headers={"kid": _name_of(all_keys()[0])},
        expires_delta=lifetime,
    )
    return token


def read_access_token(token: str) -> tuple[UUID, UUID, datetime]:
    """The user's and the session's id, and when the token ends.

    Raises:
        TokenExpired: its time is over.
        InvalidToken: anything else is wrong with it.
    """
    try:
        claims: dict[str, Any] = decode_token(token)
        # The library lets a token without an end pass; no such token is ours.
        if claims.get("type") != "access" or "exp" not in claims:
            raise InvalidToken("This is not an access token.")
        end = datetime.fromtimestamp(claims["exp"], UTC)
        return UUID(claims["sub"]), UUID(claims["sid"]), end
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
