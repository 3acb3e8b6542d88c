"""What the environment says about this installation: its home, its secrets, its servers.

Names: DATABASE_URL, REDIS_URL, REBALANCER_HOME, SECRET_KEY, DEBUG, ALLOWED_HOSTS, CSRF_TRUSTED_ORIGINS
(PORT is read by `./run`).
"""

import os
import secrets
from pathlib import Path

import environ
from django.core.exceptions import ImproperlyConfigured

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()


def home():
    """The folder with all that an installation keeps: `var/` beside manage.py unless REBALANCER_HOME names another."""
    return Path(os.environ.get("REBALANCER_HOME") or BASE_DIR / "var").expanduser().absolute()


def secret_key():
    """SECRET_KEY, or the key this home made for itself the first time it was asked."""
    given = os.environ.get("SECRET_KEY")
    if given:
        return given
    path = home() / "secret_key"
    if not path.exists():
        _make_key(path)
    return path.read_text(encoding="ascii").strip()


def _make_key(path):
    """Write a new key; where two processes start at once, the first one's key stays (link never overwrites)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="ascii") as file:
        file.write(secrets.token_urlsafe(50) + "\n")
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()


def database():
    """Django's DATABASES entry for DATABASE_URL, a `postgres://` address; a socket may follow as `?host=/folder`."""
    found = env.db_url_config(_required("DATABASE_URL", "postgres://user:password@host/name"))
    if found.get("ENGINE") != "django.db.backends.postgresql":
        raise ImproperlyConfigured("DATABASE_URL must begin with postgres:// (no other database is supported).")
    options = found.setdefault("OPTIONS", {})
    found["HOST"] = options.pop("host", found.get("HOST", ""))
    return found | {"CONN_MAX_AGE": 60, "CONN_HEALTH_CHECKS": True}


def broker_url(url=None):
    """REDIS_URL as Celery wants it: `redis://host/0` as it is, a socket's `unix:///path` as `redis+socket:///path`."""
    url = url or _required("REDIS_URL", "redis://host:6379/0")
    if url.startswith("unix://"):
        return "redis+socket://" + url.removeprefix("unix://")
    if url.startswith(("redis://", "rediss://")):
        return url
    raise ImproperlyConfigured("REDIS_URL must begin with redis://, rediss:// or unix://.")


def names(variable, default=()):
    """A comma-separated variable as a list, blanks dropped."""
    given = os.environ.get(variable, "")
    return [part.strip() for part in given.split(",") if part.strip()] or list(default)


def _required(variable, example):
    value = os.environ.get(variable)
    if not value:
        raise ImproperlyConfigured(
            f"{variable} is not set. Use ./run or ./run manage, which start what is needed, or set it (like {example})."
        )
    return value
