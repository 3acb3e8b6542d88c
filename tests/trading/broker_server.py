"""A broker behind a real socket, for tests: it keeps orders and fills, and can be told to behave badly.

It trusts nobody to be careful: every order that arrives is a new one, so whatever is sent twice is there twice.
"""

import json
import threading
import time
from collections import Counter, defaultdict, deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count

from django.conf import settings

from trading.brokers.base import BrokerDown, FillReport, RefusedByBroker, Report
from trading.states import OrderState

PATIENCE = 0.5  # seconds that the adapter waits for an answer
NOT_TAKEN = {"close", "hang", "rubbish", "refuse"}  # what it can do instead of what it is asked for
number = count(1)


@dataclass
class Taken:
    """An order as it arrived."""

    instruction: dict
    state: str = "working"
    words: str = ""


@dataclass
class Market:
    """What the server knows, and how it is to behave; tests look in and write here."""

    received: list[str] = field(default_factory=list)  # the numbers of the orders, as often as they arrived
    orders: dict[str, Taken] = field(default_factory=dict)
    fills: list[dict] = field(default_factory=list)
    calls: Counter = field(default_factory=Counter)
    troubles: dict[str, deque] = field(default_factory=lambda: defaultdict(deque))  # by call: what to do next
    always: dict[str, str] = field(default_factory=dict)  # by call
    filled_at: list[tuple] = field(default_factory=list)  # (share, price): of each order that comes, at once
    hears: object = None  # called with (call, "before" or "after")

    def fill(self, number_of_order, quantity, price, execution_id=None):
        execution_id = execution_id or f"X{next(number)}"
        at = datetime.now(UTC).isoformat()
        told = {"client_order_id": number_of_order, "quantity": str(quantity), "price": str(price), "at": at}
        self.fills.append({"execution_id": execution_id, **told})
        return execution_id

    def end(self, number_of_order, state, words=""):
        self.orders[number_of_order].state, self.orders[number_of_order].words = state, words

    def submit(self, asked):
        name = asked["client_order_id"]
        self.received.append(name)
        self.orders[name] = Taken(asked)
        for share, price in self.filled_at:
            self.fill(name, Decimal(asked["quantity"]) * Decimal(share), price)
        return self.told(name)

    def told(self, name):
        taken = self.orders[name]
        shares = (Decimal(one["quantity"]) for one in self.fills if one["client_order_id"] == name)
        filled = sum(quantity for quantity in shares if quantity.is_finite())
        is_full = taken.state == "working" and filled >= Decimal(taken.instruction["quantity"])
        return {"state": "filled" if is_full else taken.state, "reference": f"B-{name}", "words": taken.words}

    def cancel(self, asked):
        self.end(asked["ids"][0], "cancelled", "as asked")
        return {}

    def lookup(self, asked):
        return {name: self.told(name) for name in asked["ids"] if name in self.orders}

    def list_fills(self, asked):
        foreign = [one for one in self.fills if one["client_order_id"] not in self.orders]
        return [one for one in self.fills if one["client_order_id"] in asked["ids"]] + foreign


class BrokerServer:
    """The market on a port of this machine; stopped, it refuses connections, and may be started again."""

    def __init__(self):
        self.market, self.port, self.http = Market(), 0, None

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def start(self):
        handler = type("Handler", (_Handler,), {"market": self.market})
        self.http = _Http(("127.0.0.1", self.port), handler)
        self.port = self.http.server_port
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def stop(self):
        if self.http:
            self.http.shutdown()
            self.http.server_close()
            self.http = None


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False  # some hang on purpose

    def handle_error(self, request, client_address):
        """Whoever asked has been killed: that is what many tests are about."""


class _Handler(BaseHTTPRequestHandler):
    market: Market

    def do_POST(self):
        call = self.path.strip("/")
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.market.calls[call] += 1
        waiting = self.market.troubles[call]
        trouble = waiting.popleft() if waiting else self.market.always.get(call)
        self._hear(call, "before")
        answer = None if trouble in NOT_TAKEN else getattr(self.market, call)(asked)
        self._hear(call, "after")
        self._answer(trouble, answer)

    def _hear(self, call, when):
        if self.market.hears:
            self.market.hears(call, when)

    def _answer(self, trouble, answer):
        if trouble in ("hang", "take_and_hang"):
            time.sleep(PATIENCE * 2)
        elif trouble == "rubbish":
            self._send(200, b"<html>Welcome</html>")
        elif trouble == "refuse":
            self._send(409, b"The symbol is halted")
        elif trouble not in ("close", "take_and_close"):
            self._send(200, json.dumps(answer).encode())
        self.close_connection = True

    def _send(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Not on the screen of the tests."""


class SocketBroker:
    """The adapter to it, at settings.TEST_BROKER."""

    can_cancel = True
    takes_lots = True
    is_live = True

    def submit(self, order):
        told = self._call("submit", {"client_order_id": order.client_order_id, **_plain(order)})
        return _report(order.client_order_id, told)

    def cancel(self, client_order_id):
        self._call("cancel", {"ids": [client_order_id]})

    def lookup(self, client_order_ids):
        told = self._call("lookup", {"ids": list(client_order_ids)})
        return {name: _report(name, one) for name, one in told.items()}

    def fills(self, client_order_ids):
        told = self._call("list_fills", {"ids": list(client_order_ids)})
        return [_fill(one) for one in told]

    def _call(self, name, asked):
        line = HTTPConnection(settings.TEST_BROKER, timeout=PATIENCE)
        try:
            line.request("POST", f"/{name}", json.dumps(asked), {"Content-Type": "application/json"})
            answer = line.getresponse()
            text = answer.read()
            if answer.status == 409:
                raise RefusedByBroker(text.decode())
            return json.loads(text)
        except (OSError, HTTPException, ValueError) as wrong:
            raise BrokerDown(type(wrong).__name__) from wrong
        finally:
            line.close()


def _plain(order):
    return {
        "symbol": order.symbol, "side": order.side, "quantity": str(order.quantity), "algorithm": order.algorithm,
        "price": str(order.price), "starts_at": order.starts_at and order.starts_at.isoformat(),
        "ends_at": order.ends_at and order.ends_at.isoformat(),
        "portions": [[one.account_number, str(one.quantity)] for one in order.portions],
    }  # fmt: skip


def _report(name, told):
    return Report(name, OrderState(told["state"]), told["reference"], told["words"])


def _fill(one):
    quantity, price = Decimal(one["quantity"]), Decimal(one["price"])
    return FillReport(one["execution_id"], one["client_order_id"], quantity, price, datetime.fromisoformat(one["at"]))
