"""Which targets may be called."""

from ipaddress import ip_address, ip_network

import pytest

from taskapi.clients.addresses import TargetRefused, check_addresses, read_target
from tests.clients.targets import NOT_PUBLIC, PUBLIC, UNREADABLE


@pytest.mark.parametrize("text", NOT_PUBLIC)
def test_an_address_that_is_not_public_is_refused(text: str) -> None:
    with pytest.raises(TargetRefused, match="not public"):
        check_addresses("x", [ip_address(text)], allowed=())


@pytest.mark.parametrize("text", PUBLIC)
def test_a_public_address_may_be_called(text: str) -> None:
    check_addresses("x", [ip_address(text)], allowed=())


@pytest.mark.parametrize("text", UNREADABLE)
def test_what_could_be_read_in_two_ways_is_refused(text: str) -> None:
    with pytest.raises(TargetRefused):
        read_target(text)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://example.org", ("https", "example.org", 443, "/")),
        ("HTTP://Example.ORG:8080/a/../b?c=d#e", ("http", "example.org", 8080, "/b?c=d")),
        ("http://bücher.example/ü?ö", ("http", "xn--bcher-kva.example", 80, "/%C3%BC?%C3%B6")),
        ("http://faß.de", ("http", "xn--fa-hia.de", 80, "/")),
        ("http://my_service:9000/x", ("http", "my_service", 9000, "/x")),
        ("http://[2606:4700:0:0::1111]:443/", ("http", "2606:4700::1111", 443, "/")),
        ("https://xn--bcher-kva.example/%c3%bc", ("https", "xn--bcher-kva.example", 443, "/%C3%BC")),
    ],
)
def test_a_url_is_taken_apart_once(url: str, expected: tuple[str, str, int, str]) -> None:
    target = read_target(url)
    assert (target.scheme, target.host, target.port, target.path) == expected


@pytest.mark.parametrize("text", ["10.1.2.3", "::ffff:10.1.2.3", "64:ff9b::10.1.2.3", "fd12::1"])
def test_what_the_operator_allows_may_be_called(text: str) -> None:
    allowed = (ip_network("10.1.2.0/24"), ip_network("fd12::/16"))
    check_addresses("x", [ip_address(text)], allowed=allowed)


def test_one_address_that_is_not_public_is_enough_to_refuse_a_host() -> None:
    for texts in (["8.8.8.8", "10.0.0.1"], ["10.0.0.1", "8.8.8.8"]):
        with pytest.raises(TargetRefused):
            check_addresses("x", map(ip_address, texts), allowed=())


def test_a_refusal_does_not_tell_the_inner_address() -> None:
    with pytest.raises(TargetRefused) as caught:
        check_addresses("intranet.example", [ip_address("10.1.2.3")], allowed=())
    assert "10.1" not in str(caught.value)
