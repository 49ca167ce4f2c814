"""Hashes of passwords."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from taskapi.accounts import passwords
from taskapi.accounts.passwords import MAX_TYPED, check_new_password, hash_password, verify_password
from taskapi.core.errors import ValidationFailed
from tests.people import PASSWORD, PASSWORD_HASH, STRONG_HASH


def test_a_hash_fits_its_password_alone() -> None:
    assert verify_password(PASSWORD, PASSWORD_HASH)
    assert not verify_password(f"{PASSWORD} ", PASSWORD_HASH)


def test_two_hashes_of_one_password_differ() -> None:
    assert hash_password(PASSWORD) != PASSWORD_HASH
    assert PASSWORD not in PASSWORD_HASH


def test_it_is_argon2id_as_strong_as_owasp_asks() -> None:
    assert STRONG_HASH.startswith("$argon2id$v=19$m=19456,t=2,p=1$")


@pytest.mark.parametrize(
    "password_hash", [None, "", "nonsense", "$argon2id$broken", "$2b$12$bcryptbcryptbcrypt"]
)
def test_nothing_fits_a_hash_that_is_none(password_hash: str | None) -> None:
    assert not verify_password(PASSWORD, password_hash)
    assert not verify_password("no account has this password", password_hash)


def test_a_password_fits_however_its_letters_are_composed() -> None:
    """Passwords are normalised before they are hashed (NIST SP 800-63B)."""
    composed, taken_apart = "sch\u00f6ne gr\u00fc\u00dfe", "scho\u0308ne gru\u0308\u00dfe"
    assert verify_password(taken_apart, hash_password(composed))
    assert verify_password(composed, hash_password(taken_apart))


def test_the_length_counts_composed_letters() -> None:
    with pytest.raises(ValidationFailed, match="Use 9 to 128"):
        check_new_password("o\u0308u\u0308 wxyzq", minimum=9, about_user=())


def test_many_at_once_all_get_their_answer() -> None:
    with ThreadPoolExecutor(12) as threads:
        assert all(threads.map(verify_password, [PASSWORD] * 12, [STRONG_HASH] * 12))


@pytest.mark.parametrize(
    ("password", "about_user"),
    [("x" * 7 + "abc", ("",)), ("i am bob now", ("bob",)), ("aabbccddee", ("olivia", "taskapi"))],
)
def test_a_password_that_follows_the_rules_is_taken(password: str, about_user: tuple[str, ...]) -> None:
    check_new_password(password, minimum=10, about_user=about_user)


@pytest.mark.parametrize(
    "password",
    [
        *("password123!", "Password12", "qwertyuiop1", "iloveyou2024", "PASSWORDpassword"),
        *("1234567890", "0987654321", "abcdefghij", "zyxwvutsrq", "lkjhgfdsap", "abcdefghij99!"),
        *("abcabcabcabc", "maymaymaymay", "abcd1234abcd1234", "gr8 gr8 gr8 gr8", "aaaaaaaaaa"),
    ],
)
def test_a_password_that_would_be_tried_first_is_refused(password: str) -> None:
    """Passwords of the common list, sequences and repetitions are refused."""
    with pytest.raises(ValidationFailed, match=r"first that others|four different"):
        check_new_password(password, minimum=10, about_user=())
    check_new_password(password, minimum=10, about_user=(), check_common=False)


def test_each_of_the_three_thousand_that_most_people_chose_is_refused() -> None:
    from zxcvbn.frequency_lists import FREQUENCY_LISTS  # type: ignore[import-untyped]

    common = FREQUENCY_LISTS["passwords"][:3000]
    assert len(common) == 3000
    for password in common:
        with pytest.raises(ValidationFailed):
            check_new_password(password, minimum=4, about_user=())


@pytest.mark.parametrize("letter", ["x", "é", "\U0001f40e"])
def test_the_last_of_128_characters_counts(letter: str) -> None:
    password_hash = hash_password(letter * 127 + "y")
    assert verify_password(letter * 127 + "y", password_hash)
    for other in (letter * 127, letter * 127 + "z", letter * 72):
        assert not verify_password(other, password_hash)


@pytest.mark.parametrize(
    "password",
    [
        *(PASSWORD, "8391746205", "er7593028475", "12345 is too plain", "my password is long"),
        *("correct horse battery" * 2, "\U0001f40e\U0001f50b\U0001f4ce\u2705 ist gut", "x" * 64 + "yzäq"),
    ],
)
def test_a_password_that_merely_holds_a_common_word_is_taken(password: str) -> None:
    check_new_password(password, minimum=10, about_user=())


@pytest.mark.parametrize("password", ["short", "olivia is my name"])
def test_length_and_own_name_count_even_without_the_list(password: str) -> None:
    with pytest.raises(ValidationFailed):
        check_new_password(password, minimum=10, about_user=("olivia",), check_common=False)


def test_the_error_names_the_field_that_was_sent() -> None:
    with pytest.raises(ValidationFailed) as refusal:
        check_new_password("1234567890", minimum=10, about_user=(), field="new_password")
    assert list(refusal.value.errors) == ["new_password"]


def test_the_list_is_read_when_the_first_password_is_set() -> None:
    code = "import sys, taskapi.accounts.passwords; sys.exit('zxcvbn' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_the_shortest_length_is_the_operators_choice() -> None:
    with pytest.raises(ValidationFailed, match="Use 14 to 128"):
        check_new_password("thirteen char", minimum=14, about_user=())


def test_what_is_far_too_long_is_refused_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its form would take the square of its length."""
    read: list[int] = []

    def read_form(password: str) -> str:
        read.append(len(password))
        return password

    monkeypatch.setattr(passwords, "normal_form", read_form)
    with pytest.raises(ValidationFailed, match="Use 10 to 128"):
        check_new_password("a" + "\u0301" * MAX_TYPED, minimum=10, about_user=("olivia",))
    assert max(read, default=0) <= MAX_TYPED
