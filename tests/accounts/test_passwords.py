"""Hashes of passwords."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from taskapi.accounts.passwords import check_new_password, hash_password, verify_password
from taskapi.core.errors import ValidationFailed
from tests.people import PASSWORD, PASSWORD_HASH


def test_a_hash_fits_its_password_alone() -> None:
    assert verify_password(PASSWORD, PASSWORD_HASH)
    assert not verify_password(f"{PASSWORD} ", PASSWORD_HASH)


def test_two_hashes_of_one_password_differ() -> None:
    assert hash_password(PASSWORD) != PASSWORD_HASH
    assert PASSWORD not in PASSWORD_HASH


def test_it_is_argon2id_as_strong_as_owasp_asks() -> None:
    assert PASSWORD_HASH.startswith("$argon2id$v=19$m=19456,t=2,p=1$")


@pytest.mark.parametrize(
    "password_hash", [None, "", "nonsense", "$argon2id$broken", "$2b$12$bcryptbcryptbcrypt"]
)
def test_nothing_fits_a_hash_that_is_none(password_hash: str | None) -> None:
    assert not verify_password(PASSWORD, password_hash)
    assert not verify_password("no account has this password", password_hash)


def test_many_at_once_all_get_their_answer() -> None:
    with ThreadPoolExecutor(12) as threads:
        assert all(threads.map(verify_password, [PASSWORD] * 12, [PASSWORD_HASH] * 12))


@pytest.mark.parametrize(
    ("password", "about_user"),
    [("x" * 7 + "abc", ("",)), ("i am bob now", ("bob",)), ("aabbccddee", ("olivia", "taskapi"))],
)
def test_a_password_that_follows_the_rules_is_taken(password: str, about_user: tuple[str, ...]) -> None:
    check_new_password(password, minimum=10, about_user=about_user)


def test_the_shortest_length_is_the_operators_choice() -> None:
    with pytest.raises(ValidationFailed, match="Use 14 to 128"):
        check_new_password("thirteen char", minimum=14, about_user=())
