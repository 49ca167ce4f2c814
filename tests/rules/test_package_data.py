"""What is no importable module reaches the installed package: templates, static files, migrations."""

from configparser import ConfigParser
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]


def is_data(path: Path) -> bool:
    in_a_package = (path.parent / "__init__.py").exists()
    return path.is_file() and "__pycache__" not in path.parts and not (path.suffix == ".py" and in_a_package)


def test_every_data_file_is_shipped() -> None:
    setup = ConfigParser()
    setup.read(REPOSITORY / "setup.cfg")
    shipped = {
        path
        for package, patterns in setup["options.package_data"].items()
        for pattern in patterns.split(",")
        for path in (REPOSITORY / package.replace(".", "/")).glob(pattern.strip())
    }
    data = {
        path for room in ("taskapi", "migrations") for path in (REPOSITORY / room).rglob("*") if is_data(path)
    }
    assert len(data) > 10
    assert data - shipped == set()
