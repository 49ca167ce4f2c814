"""What is not Python reaches the installed package: templates, static files, migrations."""

from configparser import ConfigParser
from fnmatch import fnmatch
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]


def test_every_data_file_is_shipped() -> None:
    setup = ConfigParser()
    setup.read(REPOSITORY / "setup.cfg")
    shipped = {
        (package.replace(".", "/"), pattern.strip())
        for package, patterns in setup["options.package_data"].items()
        for pattern in patterns.split(",")
    }
    files = [path for room in ("taskapi", "migrations") for path in (REPOSITORY / room).rglob("*")]
    data = [path for path in files if path.is_file() and path.suffix != ".py" and "__pycache__" not in path.parts]
    assert len(data) > 10
    for path in data:
        name = str(path.relative_to(REPOSITORY))
        assert any(fnmatch(name, f"{folder}/{pattern}") for folder, pattern in shipped), name
