"""The Python environment in .venv/, made with nothing but Python and a package index.

It needs no ensurepip (Debian's Python comes without), no pip and no compiler.
"""

import base64
import configparser
import fcntl
import hashlib
import html
import json
import os
import re
import ssl
import subprocess
import sys
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from .console import Problem, say

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STAMP = VENV / "installed.json"
LOCKS = ("requirements.lock", "requirements-test.lock")  # the second holds all of the first
PIP_WHEEL = "pip-26.3-py3-none-any.whl"
PIP_SHA256 = "f3b60b20ffaadd4415ed7957212a38ac63fa4c5fa375bd0f4a797777940fad13"
DEFAULT_INDEX = "https://pypi.org/simple"
TIMEOUT = 60  # seconds


def ensure(lock):
    """Make .venv/ hold what `lock` names; quick when it does already. Two commands at once take turns."""
    if _holds(lock):
        return
    turn = os.open(ROOT, os.O_RDONLY)
    try:
        fcntl.flock(turn, fcntl.LOCK_EX)
        if not _holds(lock):
            _install(lock)
    except OSError as error:
        raise Problem(f"the environment in {VENV} can't be made: {error}. Is the folder yours to write in?") from error
    finally:
        os.close(turn)


def _digest(lock):
    return hashlib.sha256((ROOT / lock).read_bytes()).hexdigest()


def _installed():
    try:
        return json.loads(STAMP.read_text(encoding="utf-8")) if PYTHON.exists() else {}
    except (OSError, ValueError):
        return {}


def _holds(lock):
    return _installed().get(lock) == _digest(lock)


def _install(lock):
    if not _works():
        say("Making the Python environment in .venv/ ...")
        _run([sys.executable, "-m", "venv", "--without-pip", "--clear", VENV])
    if not (VENV / "bin" / "pip").exists():
        _install_pip()
    packages = sum(1 for line in (ROOT / lock).read_text(encoding="utf-8").splitlines() if "==" in line)
    say(f"Installing {packages} packages from {lock} (some 10 to 30 seconds) ...")
    options = ["--no-compile", "--quiet", "--no-input", "--disable-pip-version-check", "--no-warn-script-location"]
    _run([PYTHON, "-m", "pip", "install", *options, "-r", ROOT / lock])
    _stamp(lock)


def _stamp(lock):
    holds = _installed()
    for name in LOCKS[: LOCKS.index(lock) + 1]:
        holds[name] = _digest(name)
    STAMP.write_text(json.dumps(holds), encoding="utf-8")


def _works():
    """Whether .venv/ has a Python that starts; after an upgrade of the machine's own it may not."""
    try:
        return subprocess.run([PYTHON, "-c", ""], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def _run(command):
    command = [str(part) for part in command]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=_plain_environment())
    if done.returncode:
        words = (done.stderr or done.stdout).strip()[-3000:]
        raise Problem(f"this did not work: {' '.join(command)}\n{words}")


def _plain_environment():
    """Without what would send pip's packages somewhere else."""
    unwanted = {"PIP_USER", "PIP_TARGET", "PIP_PREFIX", "PIP_REQUIRE_VIRTUALENV", "PYTHONHOME", "PYTHONPATH"}
    return {name: value for name, value in os.environ.items() if name not in unwanted}


# --- pip itself, which Debian's Python comes without ---


def _install_pip():
    with tempfile.TemporaryDirectory() as folder:
        wheel = Path(folder) / PIP_WHEEL
        wheel.write_bytes(_fetch_pip())
        _run([PYTHON, wheel / "pip", "install", "--quiet", "--no-compile", "--no-index", wheel])


def _fetch_pip():
    """pip's wheel by way of the index's page (PEP 503), which every index has; its digest is checked."""
    index = (os.environ.get("PIP_INDEX_URL") or _pip_setting("index-url") or DEFAULT_INDEX).rstrip("/")
    page_address = f"{index}/pip/"
    shown = _without_password(page_address)
    page = _fetch(page_address).decode("utf-8", "replace")
    links = [html.unescape(link).split("#")[0] for link in re.findall(r"""href=["']([^"']+)["']""", page)]
    wheels = [link for link in links if link.endswith("/" + PIP_WHEEL) or link == PIP_WHEEL]
    if not wheels:
        raise Problem(f"{shown} does not offer {PIP_WHEEL}. Set PIP_INDEX_URL to an index that does.")
    data = _fetch(urllib.parse.urljoin(page_address, wheels[0]))
    if hashlib.sha256(data).hexdigest() != PIP_SHA256:
        raise Problem(f"{PIP_WHEEL} from {shown} is not the one expected (sha256). Set PIP_INDEX_URL to another.")
    return data


def _fetch(address):
    parts = urllib.parse.urlsplit(address)
    request = urllib.request.Request(_without_password(address))
    if parts.username:
        secret = f"{urllib.parse.unquote(parts.username)}:{urllib.parse.unquote(parts.password or '')}"
        request.add_header("Authorization", "Basic " + base64.b64encode(secret.encode()).decode())
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT, context=_trust()) as answer:
            return answer.read()
    except (urllib.error.URLError, OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise Problem(
            f"pip could not be fetched from {_without_password(address)} ({reason}). "
            "Set PIP_INDEX_URL to an index that can be reached, and PIP_CERT where it has a certificate of its own."
        ) from error


def _trust():
    bundle = os.environ.get("PIP_CERT") or _pip_setting("cert")
    return ssl.create_default_context(cafile=bundle) if bundle else ssl.create_default_context()


def _without_password(address):
    parts = urllib.parse.urlsplit(address)
    return urllib.parse.urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _pip_setting(name):
    """A setting from pip's own files; as with pip, the later file and the narrower section win."""
    parser = configparser.RawConfigParser(strict=False)
    home = Path.home()
    given = os.environ.get("PIP_CONFIG_FILE")
    config = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
    files = ["/etc/pip.conf", home / ".pip" / "pip.conf", config / "pip" / "pip.conf"]
    parser.read(files + ([given] if given else []))
    for section in ("install", "global"):
        if parser.has_option(section, name):
            return parser.get(section, name).strip()
    return None
