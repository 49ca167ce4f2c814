"""docker-compose.yml: everything on one machine."""

import re
from typing import Any

import pytest

from taskapi.ops import gunicorn_settings
from tests.deployment.reading import against_schema, commands, read, read_yaml

COMPOSE = read_yaml("docker-compose.yml")
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {"web", "worker", "scheduler", "migrate"}
LASTING = sorted(SERVICES.keys() - {"migrate"})
DROPPED_ROOT = sorted(SERVICES.keys() - {"db"})


def seconds(duration: str) -> int:
    return int(duration[:-1]) * {"s": 1, "m": 60}[duration[-1]]


def test_it_is_as_the_compose_specification_wants_it() -> None:
    assert against_schema("vendor.compose-spec", "docker-compose.yml") == ""


def test_our_services_run_the_commands_of_the_procfile() -> None:
    names = {"release": "migrate"}
    assert {names.get(name, name): command for name, command in commands().items()} == {
        name: " ".join(SERVICES[name]["command"]) for name in OURS
    }


@pytest.mark.parametrize("name", LASTING)
def test_a_service_that_lasts_is_looked_after_and_started_again(name: str) -> None:
    service = SERVICES[name]
    assert service["restart"] == "unless-stopped"
    check = service["healthcheck"]
    assert check["test"][0] in ("CMD", "CMD-SHELL")
    assert seconds(check["timeout"]) < seconds(check["interval"])
    if name in OURS:
        assert check["test"] == ["CMD", "flask", "healthcheck", name]


def test_migrations_run_once_and_the_others_wait_for_them() -> None:
    assert SERVICES["migrate"]["restart"] == "no"
    for name in OURS - {"migrate"}:
        needs = SERVICES[name]["depends_on"]
        assert needs["migrate"]["condition"] == "service_completed_successfully"
        assert needs["redis"]["condition"] == "service_healthy"
    assert SERVICES["migrate"]["depends_on"]["db"]["condition"] == "service_healthy"


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_each_may_do_no_more_than_it_has_to(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "network_mode", "pid"} & service.keys()
    assert name == "db" or "cap_add" not in service


def test_only_the_api_is_published_and_the_mails_to_this_machine() -> None:
    assert {name: service["ports"] for name, service in SERVICES.items() if "ports" in service} == {
        "web": ["8000:8000"],
        "mailpit": ["127.0.0.1:8025:8025"],
    }
    assert COMPOSE["networks"]["inside"]["internal"] is True
    assert all(SERVICES[name]["networks"] == ["inside"] for name in ("db", "redis"))


def test_any_number_of_workers_can_run() -> None:
    assert not [name for name, service in SERVICES.items() if "container_name" in service]
    assert "ports" not in SERVICES["worker"]


def test_all_processes_see_the_same_files_in_volumes_that_have_names() -> None:
    assert all(SERVICES[name]["volumes"] == ["data:/data"] for name in OURS)
    used = {
        volume.partition(":")[0] for service in SERVICES.values() for volume in service.get("volumes", [])
    }
    assert used == COMPOSE["volumes"].keys()


def test_images_of_others_have_a_version() -> None:
    foreign = [service["image"] for name, service in SERVICES.items() if name not in OURS]
    assert [image for image in foreign if not re.search(r":v?\d", image)] == []


def test_secrets_come_from_outside_and_nothing_starts_without_them() -> None:
    for name in ("SECRET_KEY", "DB_PASSWORD", "REDIS_PASSWORD"):
        used = re.findall(rf"\$\{{{name}\b[^}}]*\}}", read("docker-compose.yml"))
        assert used
        assert all(reference.startswith(f"${{{name}:?") for reference in used)


def test_every_setting_it_gives_is_one_of_ours() -> None:
    known = set(re.findall(r"^#([A-Z0-9_]+)=", read(".env.example"), re.MULTILINE))
    assert SERVICES["web"]["environment"].keys() <= known
    assert SERVICES["web"]["environment"]["TASKAPI_ENV"] == "production"


def test_who_is_stopped_has_time_to_end_what_it_does() -> None:
    assert seconds(SERVICES["web"]["stop_grace_period"]) > gunicorn_settings.graceful_timeout
    default_timeout_of_a_run = 300
    assert seconds(SERVICES["worker"]["stop_grace_period"]) > default_timeout_of_a_run


def test_redis_has_a_password_keeps_what_it_has_and_throws_no_job_away() -> None:
    command = SERVICES["redis"]["command"][-1]
    assert "--requirepass" in command
    assert "--appendonly yes" in command
    assert "--maxmemory-policy noeviction" in command
