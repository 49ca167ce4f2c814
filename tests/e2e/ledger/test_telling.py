"""The judge of what is told finds each thing that is missing, doubled, or said of what was not."""

from dataclasses import replace

import pytest

from tests.e2e.ledger.books import Books, Delivery, Event, Mail, Notification, Received
from tests.e2e.ledger.judging import look_at_effects
from tests.e2e.ledger.made_up import (
    OWNER,
    changed,
    good,
    note,
    nothing_found,
    planned,
    run,
    with_more,
    without,
)
from tests.e2e.ledger.receiver import Call
from tests.e2e.ledger.telling import look_at_telling

pytestmark = pytest.mark.e2e
OTHER = "bob@example.org"


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
    books = with_more(good(), "notifications", Notification("more", "event:reminded", "run_completed", OWNER))
    assert wrong_in(books) == {"notifications that nobody asked for", "notifications without their one event"}


@pytest.mark.parametrize("which", ["mail 0", "mail 1"])
def test_a_mail_without_a_row_is_found(which: str) -> None:
    wrong = wrong_in(without(good(), "mails", which))
    assert wrong == {"mails that are missing", "mails that arrived without a row"}


def test_a_mail_that_nobody_asked_for_is_found() -> None:
    mail = Mail("more", "event:reminded", "run_completed", OWNER, "sent")
    books = with_more(good(), "mails", mail)
    assert "mails that nobody asked for" in wrong_in(books)


def test_a_mail_of_an_account_has_to_be_sent_as_well() -> None:
    mail = Mail("verify", "verify:1", "verify_email", OWNER, "failed")
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
    for message in ("called", "made tea"):
        delivery = Delivery("more", message, "succeeded", OWNER)
        books = with_more(good(), "deliveries", delivery)
        assert "deliveries of what was not asked for" in wrong_in(books)


def test_a_delivery_that_failed_or_succeeded_twice_is_found() -> None:
    failed = changed(good(), "deliveries", "delivery of made tea", status="failed")
    again = note("succeeded", of="delivery of made tea", kind="delivery", attempt=2)
    for books in (failed, with_more(good(), "notes", again)):
        assert wrong_in(books) == {"deliveries that did not succeed once by the ledger"}


def test_a_webhook_that_was_told_too_little_too_much_or_out_of_order_is_found() -> None:
    def wrong(*told: str) -> set[str]:
        return wrong_in(replace(good(), told={OWNER: told}))

    first, second, *rest = good().told[OWNER]
    assert wrong(second, *rest) == {"events that the webhook was not told of"}
    assert wrong(first, second, *rest, "ghost") == {"events that never were"}
    assert wrong(second, first, *rest) == {"events that were told out of order"}
    assert wrong(first, second, *rest, first) == set()


def shared() -> Books:
    """What is good, of two schedules that two people own."""
    books = good()
    made = {**books.made, "nap": replace(books.made["nap"], owner=OTHER)}
    kinds = {"run_missed": OTHER, "reminder": OTHER}
    messages = [event.id for event in books.events if event.type in books.hears and event.subject == "nap"]
    mine = [message for message in books.told[OWNER] if message not in messages]
    return replace(
        books,
        made=made,
        notifications=[replace(one, who=kinds.get(one.type, OWNER)) for one in books.notifications],
        deliveries=[
            replace(one, who=OTHER if one.message in messages else OWNER) for one in books.deliveries
        ],
        told={OWNER: mine, OTHER: messages},
    )


def test_each_owner_is_told_of_their_own_schedules() -> None:
    assert wrong_in(shared()) == set()


def test_what_is_told_to_another_owner_is_found() -> None:
    wrong = wrong_in(changed(shared(), "notifications", "news 0", who=OTHER))
    assert wrong == {"notifications that are missing", "notifications that nobody asked for"}
    wrong = wrong_in(changed(shared(), "mails", "mail 0", recipient=OTHER))
    assert {"mails that are missing", "mails that nobody asked for"} <= wrong
    wrong = wrong_in(changed(shared(), "deliveries", "delivery of made tea", who=OTHER))
    assert wrong == {"events without a delivery", "deliveries of what was not asked for"}
    told = shared().told
    wrong = wrong_in(replace(shared(), told={OWNER: told[OTHER], OTHER: told[OWNER]}))
    assert wrong == {"events that the webhook was not told of", "events that never were"}


def test_what_one_owner_is_told_has_an_order_of_its_own() -> None:
    told = shared().told
    assert wrong_in(replace(shared(), told={OTHER: told[OTHER], OWNER: told[OWNER]})) == set()
    backwards = {**told, OTHER: told[OTHER][::-1]}
    assert wrong_in(replace(shared(), told=backwards)) == {"events that were told out of order"}


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


def refused(books: Books, *statuses: int, noted: int) -> Books:
    """A run that may fail twice was called for, and so many failures were noted."""
    hopeless = {**books.made["tea"].body, "retry": {"max_attempts": 2}}
    # The second attempt was lost, which is noted as a failure, too.
    failed = [number for number in (1, 3, 4) if number <= noted + 1]
    failures = [note("failed", of="call", attempt=number) for number in (*failed, 2)]
    failures.append(note("lost", of="call", attempt=2))
    others = [one for one in books.notes if one.id != "call"]
    calls = {"call": [Call(float(place), status) for place, status in enumerate(statuses)]}
    made = {**books.made, "tea": replace(books.made["tea"], body=hopeless)}
    failed_run = changed(books, "runs", "call", status="failed", attempt=3, lost_attempts=1)
    return replace(failed_run, made=made, notes=[*others, *failures], calls=calls)


def test_a_failure_that_was_not_refused_as_often_as_allowed_is_found() -> None:
    wrong = {"failures that were not refused as often as allowed"}
    assert _wrong_effects(refused(good(), 503, 503, noted=2)) == set()
    assert _wrong_effects(refused(good(), 503, 503, 503, noted=2)) == set()
    assert _wrong_effects(refused(good(), 503, noted=2)) == wrong
    assert _wrong_effects(refused(good(), 503, 204, noted=2)) == wrong
    assert _wrong_effects(refused(good(), 503, 503, noted=1)) == wrong
    assert _wrong_effects(refused(good(), 503, 503, noted=3)) == wrong


def failing() -> Books:
    """The schedule that calls, which is to tell of failures as well, has failed."""
    books = changed(good(), "runs", "call", status="failed")
    books = changed(books, "events", "called", type="run.failed")
    books = changed(books, "notifications", "news 0", type="run_failed")
    books = changed(books, "mails", "mail 0", kind="run_failed")
    made = {**books.made, "tea": planned(0, notify=["failed"])}
    return replace(books, made=made, notes=[one for one in books.notes if one.id != "call"])


def test_a_failure_has_its_event_its_notification_and_its_mail() -> None:
    assert wrong_in(failing()) == set()
    assert "runs whose end does not have its one event" in wrong_in(without(failing(), "events", "called"))
    assert "notifications that are missing" in wrong_in(without(failing(), "notifications", "news 0"))
    assert "mails that are missing" in wrong_in(without(failing(), "mails", "mail 0"))


def test_a_failure_that_nobody_asked_for_is_not_told() -> None:
    made = {**failing().made, "tea": planned(0, notify=["completed"])}
    wrong = wrong_in(replace(failing(), made=made))
    assert wrong == {"notifications that nobody asked for", "mails that nobody asked for"}


def _wrong_effects(books: Books) -> set[str]:
    found = nothing_found(books)
    look_at_effects(found, books)
    return set(found.wrong)
