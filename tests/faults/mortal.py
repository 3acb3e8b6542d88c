"""A broker's adapter and a database that let a worker die where it is told to.

Points at which it can die lie before each write to the database, and before and after each call of a broker: between
two of them nothing changes that anybody could see. It dies of SIGKILL: nothing is tidied up and no transaction ended.
"""

import json
import os
import re
import signal

from tests.trading.broker_server import SocketBroker

WRITES = re.compile(r"\s*(INSERT|UPDATE|DELETE|CREATE|COPY)\b", re.IGNORECASE)


class Life:
    """The points passed so far, each written to `told` as it is passed, and the number of the last one."""

    passed, last, told = 0, 0, None

    def begins(self, last, told):
        self.passed, self.last, self.told = 0, last, told

    def passes(self, point):
        if self.told is None:
            return
        self.passed += 1
        os.write(self.told, json.dumps(point).encode() + b"\n")
        if self.passed == self.last:
            os.kill(os.getpid(), signal.SIGKILL)


life = Life()


class MortalBroker(SocketBroker):
    def _call(self, name, asked):
        life.passes(f"before asking: {name}")
        answer = super()._call(name, asked)
        life.passes(f"after asking: {name}")
        return answer


def seen(execute, sql, params, many, context):
    """A wrapper of every statement."""
    if WRITES.match(sql):
        life.passes(f"before {' '.join(sql.split())[:60]}")
    return execute(sql, params, many, context)
