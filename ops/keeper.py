"""Keeps one embedded server of a home running for as long as any command uses it: `python -m ops.keeper NAME HOME`.

The server is this process's child, not a command's, so that commands can come and go. Should this process be
killed, the kernel ends the server; should the server end by itself, it is started again.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

from . import locks
from .console import Problem, say
from .home import Home, socket_folder
from .postgres import Postgres
from .valkey import Valkey

SERVERS = {"postgres": Postgres, "valkey": Valkey}
LOOK_EVERY = 0.1  # seconds
RESTARTS = 5


def main(name, home):
    for sig in (signal.SIGINT, signal.SIGHUP):
        signal.signal(sig, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    folder = Path(home) / name
    life = locks.take(folder / "keeper.lock", wait=False)
    if life is None:
        return
    sockets = socket_folder(folder)
    server = SERVERS[name](folder, sockets, log=Home(Path(home)).log(name))
    try:
        server.start()
        announce(folder, server)
        keep(folder, server)
    finally:
        server.stop()
        (folder / "running.json").unlink(missing_ok=True)
        put_away(folder, sockets)


def announce(folder, server):
    draft = folder / "running.json.new"
    draft.write_text(json.dumps({"url": server.url, "version": server.version}), encoding="utf-8")
    draft.rename(folder / "running.json")


def keep(folder, server):
    """Return once nobody uses the server. Nobody comes in after that: the door stays shut until we are gone."""
    restarts = 0
    while not shut_the_door(folder):
        if server.process.poll() is not None:
            restarts += 1
            if restarts > RESTARTS:
                raise Problem(f"{server.name} ended {restarts} times; its log says why: {server.log}")
            say(f"{server.name} ended by itself ({server.process.returncode}); starting it again")
            server.start()
        time.sleep(LOOK_EVERY)


def shut_the_door(folder):
    """Whether nobody uses the server and nobody is coming in. The lock taken then is kept until this process ends."""
    door = locks.take(folder / "door.lock", wait=False)
    if door is None:
        return False
    users = locks.take(folder / "users.lock", wait=False)
    if users is None:
        os.close(door)
        return False
    os.close(users)
    return True


def put_away(folder, sockets):
    for left in sockets.iterdir():
        left.unlink()
    sockets.rmdir()
    (folder / "sockets").unlink(missing_ok=True)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except Problem as problem:
        sys.exit(str(problem))
