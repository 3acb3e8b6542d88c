"""Starting and stopping child processes so that none is left behind."""

import ctypes
import os
import signal
import subprocess
import sys
import time

PR_SET_PDEATHSIG = 1


def die_with_parent(sig):
    """A preexec_fn: the kernel sends the child `sig` when its parent ends, however it ends. Linux only.

    Popen changes the user before it calls this; the other way round, setuid would clear the request again.
    """
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None
    parent = os.getpid()

    def in_child():
        if libc:
            libc.prctl(PR_SET_PDEATHSIG, int(sig), 0, 0, 0)
        if os.getppid() != parent:  # it ended before we could ask
            os._exit(1)

    return in_child


def spawn(command, *, log=None, user=None, parent_gone=signal.SIGTERM, **options):
    """Start a child in a session of its own (the terminal's Ctrl-C must reach the launcher only).

    `log`: the file both outputs are appended to; None inherits them. `user`: a pwd entry to become.
    """
    if user:
        options |= {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    if log:
        with open(log, "ab") as out:
            return _popen(command, parent_gone, options | {"stdout": out, "stderr": subprocess.STDOUT})
    return _popen(command, parent_gone, options)


def _popen(command, parent_gone, options):
    return subprocess.Popen(
        [str(part) for part in command],
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=die_with_parent(parent_gone),
        **options,
    )


def stop(children, sig=signal.SIGTERM, patience=10.0):
    """Ask every child to end, wait up to `patience` seconds for all of them, then kill what is left of their groups."""
    for child in children:
        if child.poll() is None:
            child.send_signal(sig)
    deadline = time.monotonic() + patience
    for child in children:
        try:
            child.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            kill(child)


def kill(child):
    """End a child and all it started, at once."""
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    child.wait()
