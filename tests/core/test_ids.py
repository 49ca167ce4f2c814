"""Identifiers sort by the time they were made."""

from taskapi.core.ids import new_id


def test_ids_sort_in_the_order_in_which_they_were_made() -> None:
    made = [new_id() for _ in range(5000)]
    assert made == sorted(set(made))


def test_an_id_is_a_uuid_of_version_7() -> None:
    identifier = new_id()
    assert (identifier.version, identifier.variant) == (7, "specified in RFC 4122")
