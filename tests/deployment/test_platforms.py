"""app.json and runtime.txt for Heroku, render.yaml for Render."""

import json
import re

from tests.deployment.reading import commands, read, read_yaml

APP = json.loads(read("app.json"))
RENDER = read_yaml("render.yaml")
SERVICES = {service["name"]: service for service in RENDER["services"]}
OURS = {name: service for name, service in SERVICES.items() if service["type"] in ("web", "worker")}
KNOWN = set(re.findall(r"^#([A-Z0-9_]+)=", read(".env.example"), re.MULTILINE))


def test_heroku_runs_one_of_each_process_of_the_procfile() -> None:
    assert APP["formation"].keys() == commands().keys() - {"release"}
    assert {process["quantity"] for process in APP["formation"].values()} == {1}


def test_heroku_brings_both_servers_and_makes_the_secret() -> None:
    assert [addon.partition(":")[0] for addon in APP["addons"]] == ["heroku-postgresql", "heroku-redis"]
    assert APP["env"]["SECRET_KEY"]["generator"] == "secret"
    assert APP["env"]["TASKAPI_ENV"]["value"] == "production"


def test_heroku_is_told_of_settings_that_exist_and_never_of_what_it_sets_itself() -> None:
    assert APP["env"].keys() <= KNOWN
    assert not {"PORT", "HOST", "DATABASE_URL", "REDIS_URL"} & APP["env"].keys()
    assert all(setting["description"] for setting in APP["env"].values())


def test_heroku_installs_a_python_that_we_are_tested_on() -> None:
    version = read("runtime.txt").strip().removeprefix("python-")
    assert f"Programming Language :: Python :: {version}\n" in read("setup.cfg")


def test_render_runs_the_commands_of_the_procfile() -> None:
    started = {name.removeprefix("taskapi-"): service["dockerCommand"] for name, service in OURS.items()}
    assert started == {name: command for name, command in commands().items() if name != "release"}
    assert OURS["taskapi-web"]["preDeployCommand"] == commands()["release"]


def test_render_connects_each_process_with_both_servers() -> None:
    databases = {database["name"] for database in RENDER["databases"]}
    for service in OURS.values():
        variables = {variable.get("key"): variable for variable in service["envVars"]}
        assert variables["DATABASE_URL"]["fromDatabase"]["name"] in databases
        assert variables["REDIS_URL"]["fromService"]["name"] == "taskapi-redis"
    assert SERVICES["taskapi-redis"]["maxmemoryPolicy"] == "noeviction"
    # Nobody reaches the servers from outside.
    assert [each["ipAllowList"] for each in (SERVICES["taskapi-redis"], *RENDER["databases"])] == [[], []]


def test_render_gives_all_processes_the_same_settings() -> None:
    (group,) = RENDER["envVarGroups"]
    shared = {variable["key"]: variable for variable in group["envVars"]}
    assert shared["SECRET_KEY"] == {"key": "SECRET_KEY", "generateValue": True}
    assert shared["TASKAPI_ENV"]["value"] == "production"
    names = []
    for service in OURS.values():
        assert {"fromGroup": group["name"]} in service["envVars"]
        names.append({variable["key"] for variable in service["envVars"] if "key" in variable})
        for variable in service["envVars"]:
            if "envVarKey" in variable.get("fromService", {}):
                assert variable["fromService"]["envVarKey"] == variable["key"]
    assert names[0] == names[1] == names[2]
    assert names[0] | shared.keys() <= KNOWN


def test_no_secret_stands_in_these_files() -> None:
    secrets = re.compile(r"SECRET|PASSWORD|TOKEN|_KEY")
    given = [name for name, setting in APP["env"].items() if "value" in setting]
    given += [
        variable["key"]
        for part in (*OURS.values(), *RENDER["envVarGroups"])
        for variable in part["envVars"]
        if "value" in variable
    ]
    assert [name for name in given if secrets.search(name)] == []
