"""One thing done in a thread of its own, while the caller goes on with the next."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from flask import Flask, current_app


class Beside:
    """Does one thing after the other; whoever brings the next waits for the last."""

    def __init__(self) -> None:
        self._thread: ThreadPoolExecutor | None = None
        self._last: Future[None] | None = None

    def do(self, function: Callable[..., object], *args: Any) -> None:
        """Have it done, in the application's context; what it raises is raised when it is waited for."""
        # Not before it is needed: a process that forks has no threads.
        self._thread = self._thread or ThreadPoolExecutor(max_workers=1, thread_name_prefix="beside")
        app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
        try:
            self.wait()
        finally:
            self._last = self._thread.submit(_in_context, app, function, *args)

    def wait(self) -> None:
        """Return once the last thing is done."""
        last, self._last = self._last, None
        if last is not None:
            last.result()


def _in_context(app: Flask, function: Callable[..., object], *args: Any) -> None:
    with app.app_context():
        function(*args)
