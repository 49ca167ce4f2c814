"""Signing, sealing and deriving, also while the key is being changed."""

from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256

import pytest
from flask import Flask
from itsdangerous import BadSignature

from taskapi.core.ids import new_id
from taskapi.core.signing import (
    SealBroken,
    derived_secrets,
    keyed_digests,
    seal,
    serializer,
    sign,
    signed_content,
    unseal,
)
from tests.settings import settings_changed

pytestmark = pytest.mark.parametrize("migrated_app", ["sqlite"], indirect=True)


@contextmanager
def keys(app: Flask, key: str, *former: str) -> Iterator[None]:
    """The installation with another current key, and former ones."""
    with settings_changed(app, secret_key=key, secret_key_fallbacks=former):
        yield


def test_what_a_former_key_signed_is_read_until_it_is_dropped(context: Flask) -> None:
    with keys(context, "old"):
        signed = serializer("use").dumps({"a": 1})
    with keys(context, "new", "newer", "old"):
        assert serializer("use").loads(signed) == {"a": 1}
        again = serializer("use").dumps({"a": 1})
    with keys(context, "new"):
        assert serializer("use").loads(again) == {"a": 1}
        with pytest.raises(BadSignature):
            serializer("use").loads(signed)


def test_a_signature_for_one_use_is_none_for_another(context: Flask) -> None:
    with pytest.raises(BadSignature):
        serializer("other").loads(serializer("use").dumps(1))


def test_what_was_signed_is_read_by_who_has_the_key_and_for_its_purpose(context: Flask) -> None:
    with keys(context, "old"):
        signed = sign(b"content", "use")
    assert signed.isascii()
    assert not set(signed) & set("+/=")
    with keys(context, "new", "old"):
        assert signed_content(signed, "use") == b"content"
        assert sign(b"content", "use") != signed
        with pytest.raises(SealBroken):
            signed_content(signed, "other")
    with keys(context, "new"), pytest.raises(SealBroken):
        signed_content(signed, "use")


@pytest.mark.parametrize("text", ["", "a", "nonsense", "täxt", "=" * 8, "A" * 200])
def test_what_nobody_signed_has_no_content(context: Flask, text: str) -> None:
    with pytest.raises(SealBroken):
        signed_content(text, "use")


def test_a_letter_more_or_less_breaks_a_signature(context: Flask) -> None:
    signed = sign(b"what was signed", "use")
    other = "B" if signed[20] == "A" else "A"
    for altered in (
        signed[:-1],
        signed[1:],
        signed + "AAAA",
        signed.swapcase(),
        signed[:20] + other + signed[21:],
    ):
        with pytest.raises(SealBroken):
            signed_content(altered, "use")


def test_a_sealed_text_is_unreadable_without_the_key(context: Flask) -> None:
    with keys(context, "old"):
        sealed = seal("JBSWY3DPEHPK3PXP", "totp")
    assert "JBSWY3DPEHPK3PXP" not in sealed
    with keys(context, "new", "old"):
        assert unseal(sealed, "totp") == "JBSWY3DPEHPK3PXP"
        with pytest.raises(SealBroken):
            unseal(sealed, "webhook")
    with keys(context, "new"), pytest.raises(SealBroken):
        unseal(sealed, "totp")


def test_a_derived_secret_is_the_same_again_and_differs_by_id_and_purpose(context: Flask) -> None:
    identifier = new_id()
    (secret,) = derived_secrets("reset", identifier)
    assert [secret] == list(derived_secrets("reset", identifier))
    assert len({secret, *derived_secrets("verify", identifier), *derived_secrets("reset", new_id())}) == 3
    with keys(context, "new", context.extensions["taskapi_settings"].secret_key):
        current, former = derived_secrets("reset", identifier)
        assert current != former == secret


def test_a_content_is_known_again_by_former_keys_and_by_no_other(context: Flask) -> None:
    with keys(context, "old"):
        (by_old,) = keyed_digests("use", b"hunter2")
    with keys(context, "new", "old"):
        assert keyed_digests("use", b"hunter2")[1] == by_old
        assert by_old not in keyed_digests("other", b"hunter2")
    with keys(context, "new"):
        assert by_old not in (*keyed_digests("use", b"hunter2"), sha256(b"hunter2").hexdigest())
