"""Locks between processes, kept by the kernel: whoever ends, however it ends, has let go."""

import contextlib
import fcntl
import os


def take(path, mode=fcntl.LOCK_EX, *, wait=True):
    """Lock a file, made if need be; return its descriptor, which is closed to let go.

    With `wait` False: None where somebody else holds it.
    """
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(fd, mode if wait else mode | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return None
    return fd


def is_free(path):
    """Whether nobody holds the lock just now."""
    fd = take(path, wait=False)
    if fd is None:
        return False
    os.close(fd)
    return True


@contextlib.contextmanager
def held(path):
    fd = take(path)
    try:
        yield
    finally:
        os.close(fd)
