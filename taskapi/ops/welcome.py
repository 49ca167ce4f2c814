"""What the operator is told once the service answers."""

import os
import shlex
import shutil
import socket
import sys
from pathlib import Path
from urllib.parse import urlsplit

from taskapi.config import MailSettings, Settings
from taskapi.ops.output import Output

FIRST_ADMIN = "admin users create --admin you@example.org"
# An address to listen on is not always one to connect to.
REACHABLE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 (connected to, not bound)
PROBE_SECONDS = 0.5


class Welcome:
    """Prints the welcome when the web process answers for the first time."""

    def __init__(self, settings: Settings, output: Output) -> None:
        self._settings = settings
        self._output = output

    def __call__(self) -> bool:
        """Try once; tell whether it is done."""
        if not answers_health(self._settings.host, self._settings.port):
            return False
        self._output.block(describe_service(self._settings))
        return True


def answers_health(host: str, port: int) -> bool:
    """Ask ``GET /health`` by hand: an HTTP library would cost the start a tenth of a second."""
    request = f"GET /health HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n"
    try:
        with socket.create_connection((REACHABLE.get(host, host), port), PROBE_SECONDS) as connection:
            connection.sendall(request.encode("ascii"))
            return connection.recv(64).split(b" ")[1:2] == [b"200"]
    except OSError:
        return False


def describe_service(settings: Settings) -> str:
    """Where everything is, and what to do first."""
    url = settings.public_url
    facts = {
        "Documentation": f"{url}/docs",
        "Data": f"{settings.data_dir} ({_describe_stores(settings)})",
        "Mail": _describe_mail(settings.mail, settings),
        "First admin": f"{_command()} {FIRST_ADMIN}",
        "Stop": "Ctrl-C",
    }
    lines = [f"  {name:<14} {fact}" for name, fact in facts.items()]
    return "\n".join(["", f"  {settings.app_name} is ready at {url}", "", *lines, ""])


def _command() -> str:
    """What to type for the command of this environment, which may not be the one that is found first."""
    # Elsewhere Flask would look for the application in vain.
    name = "flask" if Path("wsgi.py").exists() or "FLASK_APP" in os.environ else "taskapi"
    ours = Path(sys.executable).with_name(name)
    if not ours.exists() or shutil.which(name) == str(ours):
        return name
    return shlex.quote(str(ours.relative_to(Path.cwd()) if ours.is_relative_to(Path.cwd()) else ours))


def _describe_stores(settings: Settings) -> str:
    database = "SQLite" if settings.uses_sqlite else _without_password(settings.database_url)
    redis = "embedded Redis" if settings.redis_is_embedded else _without_password(settings.redis_url)
    return f"{database}, {redis}"


def _describe_mail(mail: MailSettings, settings: Settings) -> str:
    ways = ["SendGrid"] if mail.sendgrid_api_key else []
    if mail.server:
        ways.append(f"{mail.server}:{mail.port}")
    return ", else ".join(ways) or f"written to {settings.data_dir}/mail/*.eml"


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme.partition('+')[0]}://{parts.netloc.rpartition('@')[2]}{parts.path}"
