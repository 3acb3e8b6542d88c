"""The house rules that a program can check: lint, types, who imports whom, locks, words that are never left behind."""

import ast
import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
SKIPPED = {".venv", "var", "static", "staticfiles", ".git", "__pycache__"}
# Written so that this file does not contain the words itself.
LEFTOVERS = re.compile(
    r"\b(?:TO" r"DO|FIX" r"ME|HA" r"CK)\b|mark\.(?:sk" r"ip|xf" r"ail)|pytest\.(?:sk" r"ip|importor" r"skip)\("
    r"|# type: " r"ignore(?!\[)"
)  # fmt: skip


def sources():
    return [path for path in sorted(ROOT.rglob("*.py")) if not SKIPPED & set(path.relative_to(ROOT).parts)]


def run(*command, **options):
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


def test_lint():
    run(sys.executable, "-m", "ruff", "check", "--no-cache", "--output-format", "concise", ".")


def test_types():
    run(sys.executable, "-m", "mypy")


def test_who_may_import_whom():
    run(Path(sys.executable).with_name("lint-imports"), "--no-cache")


def test_the_models_and_the_migrations_agree():
    run(sys.executable, "manage.py", "makemigrations", "--check", "--dry-run")


def test_a_page_is_served_without_heavy_libraries():
    heavy = "{'pandas', 'yfinance', 'exchange_calendars', 'scipy'} & set(sys.modules)"
    run(sys.executable, "-c", f"import sys, config.wsgi, config.urls; assert not {heavy}, {heavy}")


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_no_imports_inside_functions_no_stars_no_leftovers(path):
    text = path.read_text(encoding="utf-8")
    found = [f"line {text[: match.start()].count(chr(10)) + 1}: {match[0]}" for match in LEFTOVERS.finditer(text)]
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and any(name.name == "*" for name in node.names):
            found.append(f"line {node.lineno}: star import")
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found += [f"line {at.lineno}: import inside a function" for at in imports_in(node)]
    assert not found


def imports_in(function):
    return [node for node in ast.walk(function) if isinstance(node, ast.Import | ast.ImportFrom)]


# --- locks ---


def locked(name):
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    pins = [line.split("==") for line in lines if "==" in line and not line.startswith("#")]
    return {normal(package): pin for package, pin in pins}


def normal(package):
    return re.sub(r"[-_.]+", "-", package).lower()


def wanted(extra=None):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    texts = project["optional-dependencies"][extra] if extra else project["dependencies"]
    return [Requirement(text) for text in texts]


@pytest.mark.parametrize(("lock", "extra"), [("requirements.lock", None), ("requirements-test.lock", "test")])
def test_the_lock_satisfies_the_project(lock, extra):
    pins = locked(lock)
    for requirement in wanted() + (wanted(extra) if extra else []):
        assert requirement.specifier.contains(pins[normal(requirement.name)]), f"{requirement} is locked otherwise"


def test_the_test_lock_holds_all_of_the_other():
    assert locked("requirements.lock").items() <= locked("requirements-test.lock").items()


def test_psycopg_3_has_not_come_in_with_something():
    assert "psycopg" not in locked("requirements-test.lock")


def test_what_is_installed_is_what_is_locked():
    assert {name: version(name) for name in locked("requirements-test.lock")} == locked("requirements-test.lock")


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-test.lock"])
def test_a_lock_names_versions_only_and_no_index_of_somebody(name):
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if not re.fullmatch(r"[a-z0-9-]+==[\w.]+|#.*", line)] == []


# --- the launcher ---


def test_the_launcher_is_executable_and_needs_only_the_standard_library():
    assert os.access(ROOT / "run", os.X_OK)
    before_the_environment = ["run", "ops/environment.py", "ops/console.py", "ops/__init__.py"]
    for path in map(ROOT.joinpath, before_the_environment):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) and node.level == 0 else []
            assert {name.split(".")[0] for name in names} <= sys.stdlib_module_names | {"ops"}
