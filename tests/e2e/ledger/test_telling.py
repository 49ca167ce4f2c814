"""The judge of what is told finds each thing that is missing, doubled, or said of what was not."""

from dataclasses import replace

import pytest

from tests.e2e.ledger.books import Books, Delivery, Event, Mail, Notification, Received
from tests.e2e.ledger.judging import look_at_effects
from tests.e2e.ledger.made_up import changed, good, note, nothing_found, run, with_more, without
from tests.e2e.ledger.receiver import Call
from tests.e2e.ledger.telling import look_at_telling

pytestmark = pytest.mark.e2e


def wrong_in(books: Books) -> set[str]:
    found = nothing_found(books)
    look_at_telling(found, books)
    return set(found.wrong)


def test_nothing_is_wrong_with_good_books() -> None:
    assert wrong_in(good()) == set()


def test_a_run_whose_end_was_not_told_is_found() -> None:
    assert "runs whose end does not have its one event" in wrong_in(without(good(), "events", "reminded"))


def test_an_end_that_was_told_twice_or_as_another_is_found() -> None:
    for type_ in ("run.completed", "run.failed"):
        books = with_more(good(), "events", Event("again", type_, "run", "reminder", 20))
        assert wrong_in(books) == {"runs whose end does not have its one event"}


def test_an_event_of_a_run_that_is_not_there_is_found() -> None:
    books = with_more(good(), "events", Event("ghost", "run.completed", "run", "nobody", 20))
    assert wrong_in(books) == {"events of runs that are not there"}


def test_an_event_that_was_not_relayed_is_found() -> None:
    assert wrong_in(changed(good(), "events", "called", position=None)) == {
        "events without a place in the log"
    }


def test_a_schedule_that_was_not_told_to_be_over_is_found() -> None:
    wrong = wrong_in(without(good(), "events", "over tea"))
    assert "schedules that were not told of once when made and once when over" in wrong


def test_a_schedule_that_was_told_twice_to_be_over_is_found() -> None:
    books = with_more(good(), "events", Event("more", "schedule.completed", "schedule", "tea", 20))
    assert "schedules that were not told of once when made and once when over" in wrong_in(books)


def test_a_schedule_that_goes_on_is_found() -> None:
    books = replace(good(), schedules={"tea": "active", "nap": "completed"})
    assert wrong_in(books) == {"schedules that are not over"}


def test_a_skipped_due_time_of_which_nobody_is_told_is_found() -> None:
    wrong = wrong_in(without(good(), "events", "skipped"))
    assert {
        "skipped due times that no event tells of",
        "schedules whose missed deadlines are told wrongly",
    } <= wrong


def test_a_skipped_due_time_that_was_none_is_found() -> None:
    said = {"reasons": {"too_late": 1, "overlap": 1}, "missed": 1}
    books = changed(good(), "events", "skipped", after=said)
    assert wrong_in(books) == {"events of skipped due times that were not"}


def test_a_due_time_that_was_replaced_from_the_first_tells_nothing() -> None:
    replaced = run("replaced", status="cancelled", reason="overlap", attempt=0, ended=0)
    assert wrong_in(with_more(good(), "runs", replaced)) == set()
    later = replace(replaced, finished_at=good().runs[0].finished_at)
    assert wrong_in(with_more(good(), "runs", later)) == {"runs whose end does not have its one event"}


@pytest.mark.parametrize("which", ["news 0", "news 1", "news 2"])
def test_a_notification_that_is_missing_is_found(which: str) -> None:
    wrong = wrong_in(without(good(), "notifications", which))
    assert wrong == {"notifications that are missing", "events of notifications that are not there"}


def test_a_notification_that_nobody_asked_for_is_found() -> None:
    books = with_more(good(), "notifications", Notification("more", "event:reminded", "run_completed"))
    assert wrong_in(books) == {"notifications that nobody asked for", "notifications without their one event"}


@pytest.mark.parametrize("which", ["mail 0", "mail 1"])
def test_a_mail_without_a_row_is_found(which: str) -> None:
    wrong = wrong_in(without(good(), "mails", which))
    assert wrong == {"mails that are missing", "mails that arrived without a row"}


def test_a_mail_that_nobody_asked_for_is_found() -> None:
    mail = Mail("more", "event:reminded", "run_completed", "ada@example.org", "sent")
    books = with_more(good(), "mails", mail)
    assert "mails that nobody asked for" in wrong_in(books)


def test_a_mail_of_an_account_has_to_be_sent_as_well() -> None:
    mail = Mail("verify", "verify:1", "verify_email", "ada@example.org", "failed")
    books = with_more(good(), "mails", mail)
    assert wrong_in(books) == {
        "mails that were not sent",
        "mails that did not arrive",
        "mails that were sent not once by the ledger",
    }


def test_a_mail_that_is_called_sent_but_did_not_arrive_is_found() -> None:
    assert wrong_in(replace(good(), received=good().received[:1])) == {"mails that did not arrive"}


def test_a_mail_that_came_to_somebody_else_is_found() -> None:
    books = replace(good(), received=[good().received[0], Received("mail 1", "eve@example.org")])
    assert wrong_in(books) == {"mails that did not arrive", "mails that arrived without a row"}


def test_a_mail_that_came_twice_is_counted() -> None:
    books = replace(good(), received=[*good().received, good().received[0]])
    found = nothing_found(books)
    look_at_telling(found, books)
    assert found.wrong == {}
    assert found.figures["messages_again"] == 1


def test_a_mail_whose_success_was_written_twice_is_found() -> None:
    books = with_more(good(), "notes", note("succeeded", of="mail 0", kind="mail", attempt=2))
    assert wrong_in(books) == {"mails that were sent not once by the ledger"}


def test_an_event_without_a_delivery_is_found() -> None:
    assert "events without a delivery" in wrong_in(without(good(), "deliveries", "delivery of over nap"))


def test_a_delivery_of_what_the_webhook_does_not_hear_is_found() -> None:
    delivery = Delivery("more", "called", "succeeded")
    books = with_more(good(), "deliveries", delivery)
    assert "deliveries of what was not asked for" in wrong_in(books)


def test_a_delivery_that_failed_or_succeeded_twice_is_found() -> None:
    failed = changed(good(), "deliveries", "delivery of made tea", status="failed")
    again = note("succeeded", of="delivery of made tea", kind="delivery", attempt=2)
    for books in (failed, with_more(good(), "notes", again)):
        assert wrong_in(books) == {"deliveries that did not succeed once by the ledger"}


def test_a_webhook_that_was_told_too_little_too_much_or_out_of_order_is_found() -> None:
    told = good().told
    assert wrong_in(replace(good(), told=told[1:])) == {"events that the webhook was not told of"}
    assert wrong_in(replace(good(), told=[*told, "ghost"])) == {"events that never were"}
    assert wrong_in(replace(good(), told=[told[1], told[0], *told[2:]])) == {
        "events that were told out of order"
    }
    assert wrong_in(replace(good(), told=[*told, told[0]])) == set()


def test_a_run_with_two_successes_is_found() -> None:
    once = replace(good(), calls={"call": [Call(0.0, 204)]})
    assert _wrong_effects(once) == set()
    twice = with_more(once, "notes", note("succeeded", of="call", attempt=2))
    assert _wrong_effects(twice) == {"successes that are noted not once"}
    lost = changed(once, "runs", "call", status="cancelled")
    assert "successes that were taken back" in _wrong_effects(lost)


def test_a_run_that_was_done_more_often_than_attempted_is_found() -> None:
    books = replace(good(), calls={"call": [Call(0.0, 204), Call(1.0, 204)]})
    assert _wrong_effects(books) == {"runs that were done more often than attempted"}
    attempted = changed(books, "runs", "call", attempt=2, lost_attempts=1)
    assert _wrong_effects(attempted) == set()


def _wrong_effects(books: Books) -> set[str]:
    found = nothing_found(books)
    look_at_effects(found, books)
    return set(found.wrong)
