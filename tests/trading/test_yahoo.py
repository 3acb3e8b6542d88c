"""Yahoo Finance by way of the real library, against a server here that speaks the same protocol, well or badly."""

import json
import logging
import socket
import threading
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit, urlunsplit

import pytest
import yfinance
from yfinance.data import SingletonMeta

from trading.feeds import yahoo
from trading.feeds.base import FeedDown, Quote

CLOSE = int(datetime(2026, 11, 20, 21, tzinfo=UTC).timestamp())


def row(symbol, price=100.25, at=CLOSE, **fields):
    return {"symbol": symbol, "regularMarketPrice": price, "regularMarketTime": at, "currency": "USD", **fields}


class Stand(ThreadingHTTPServer):
    """What Yahoo would answer: `rows` by symbol, or instead whatever `answer(handler)` does."""

    daemon_threads = True
    block_on_close = False

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.rows, self.asked, self.paths = {}, [], []
        self.answer = self.everything = None
        self.released = threading.Event()

    @property
    def port(self):
        return self.server_address[1]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        address = urlsplit(self.path)
        self.server.paths.append(address.path)
        if self.server.everything:
            self.server.everything(self)
        elif address.path == "/v1/test/getcrumb":
            self.say("aCrumb")
        elif address.path == "/v7/finance/quote":
            self.quotes(parse_qs(address.query))
        else:
            self.say("")

    def do_POST(self):
        self.do_GET()

    def quotes(self, asked):
        self.server.asked.append(asked)
        if self.server.answer:
            self.server.answer(self)
            return
        rows = [self.server.rows[name] for name in asked["symbols"][0].split(",") if name in self.server.rows]
        self.say(json.dumps({"quoteResponse": {"result": rows, "error": None}}))

    def say(self, text, status=200):
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


class Here(yahoo.InTime):
    """The feed's own session, but that every address leads to this machine."""

    port = 0

    def request(self, method, url, *args, **kwargs):
        parts = urlsplit(url)
        return super().request(
            method, urlunsplit(("http", f"127.0.0.1:{self.port}", parts.path, parts.query, "")), *args, **kwargs
        )


@pytest.fixture
def server():
    stand = Stand()
    thread = threading.Thread(target=stand.serve_forever, args=[0.02], daemon=True)
    thread.start()
    yield stand
    stand.released.set()
    stand.shutdown()
    stand.server_close()
    thread.join()


@pytest.fixture
def feed(server, tmp_path):
    yfinance.set_tz_cache_location(str(tmp_path))
    SingletonMeta._instances.clear()
    session = Here(impersonate="chrome")
    session.port = server.port
    yield yahoo.Yahoo(session)
    SingletonMeta._instances.clear()
    session.close()


def works_again(feed, server):
    """After whatever happened, the same feed in the same process gets its quotes."""
    server.answer = server.everything = None
    server.rows = {"VTI": row("VTI")}
    return feed.quotes(["VTI"]) == {"VTI": Quote(Decimal("100.25"), datetime(2026, 11, 20, 21, tzinfo=UTC))}


def test_many_symbols_in_one_request_each_with_its_time(feed, server):
    server.rows = {"VTI": row("VTI", 301.07), "AGG": row("AGG", 98, CLOSE - 60)}
    found = feed.quotes(["VTI", "AGG", "NOTHING"])
    assert found == {
        "VTI": Quote(Decimal("301.07"), datetime(2026, 11, 20, 21, tzinfo=UTC)),
        "AGG": Quote(Decimal(98), datetime(2026, 11, 20, 20, 59, tzinfo=UTC)),
    }
    assert [asked["symbols"] for asked in server.asked] == [["VTI,AGG,NOTHING"]]
    assert server.asked[0]["crumb"] == ["aCrumb"]


def test_more_than_fit_go_in_batches(feed, server, monkeypatch):
    monkeypatch.setattr(yahoo, "AT_ONCE", 2)
    server.rows = {name: row(name) for name in "ABCDE"}
    assert set(feed.quotes("ABCDE")) == set("ABCDE")
    assert [asked["symbols"][0] for asked in server.asked] == ["A,B", "C,D", "E"]


def test_nothing_is_asked_for_nothing(feed, server):
    assert feed.quotes([]) == {}
    assert server.paths == []


def test_classes_of_shares_are_spelt_its_way_and_come_back_ours(feed, server):
    server.rows = {"BRK-B": row("BRK-B", 480.5)}
    assert set(feed.quotes(["BRK.B"])) == {"BRK.B"}
    assert server.asked[0]["symbols"] == ["BRK-B"]


@pytest.mark.parametrize(
    "bad",
    [
        row("AGG", None), row("AGG", "98"), row("AGG", True), row("AGG", float("nan")), row("AGG", float("inf")),
        row("AGG", 1e300), row("AGG", 98.0, None), row("AGG", 98.0, "now"), row("AGG", 98.0, 10**18),
        row("AGG", 98.0, CLOSE + 10**9), row("AGG", 98.0, -5), row("AGG", 98.0, currency="CAD"), {"symbol": "AGG"},
        "AGG", None, {**row("AGG"), "symbol": None}, row("OTHER"),
    ],
)  # fmt: skip
def test_a_row_that_is_no_quote_is_left_out_and_the_others_are_taken(feed, server, bad):
    server.rows = {"VTI": row("VTI"), "AGG": bad}
    assert set(feed.quotes(["AGG", "VTI"])) == {"VTI"}


@pytest.mark.parametrize("price", [0, -3.5])
def test_a_price_of_zero_or_less_is_passed_on_to_be_questioned(feed, server, price):
    server.rows = {"VTI": row("VTI", price)}
    assert feed.quotes(["VTI"])["VTI"].price == Decimal(str(price))


def test_an_empty_answer_is_no_answer(feed, server):
    with pytest.raises(FeedDown, match="no price for any of 2 symbols"):
        feed.quotes(["VTI", "AGG"])
    assert works_again(feed, server)


@pytest.mark.parametrize(
    ("status", "words"),
    [(429, "too many requests"), (500, "error 500"), (503, "error 503"), (404, "error 404"), (401, "error 401")],
)
def test_an_error_is_said_in_words(feed, server, status, words):
    server.answer = lambda handler: handler.say("{}", status)
    with pytest.raises(FeedDown, match=words):
        feed.quotes(["VTI"])
    assert works_again(feed, server)


def test_too_many_requests_from_the_first_word_on(feed, server):
    server.everything = lambda handler: handler.say("Too Many Requests", 429)
    with pytest.raises(FeedDown, match="too many requests"):
        feed.quotes(["VTI"])
    assert works_again(feed, server)


def test_everything_in_error_from_the_first_word_on(feed, server):
    server.everything = lambda handler: handler.say("<html>no</html>", 500)
    with pytest.raises(FeedDown, match="error 500"):
        feed.quotes(["VTI"])
    assert works_again(feed, server)


@pytest.mark.parametrize(
    "text",
    ["<html>sorry</html>", "", "[]", "{}", "null", '{"quoteResponse": null}', '{"quoteResponse": {"result": null}}',
     '{"quoteResponse": {"result": "VTI"}}', '{"quoteResponse": {"result": {"symbol": "VTI"}}}', "\ufffd\x00", "NaN",
     '{"quoteResponse": {"result": [{"symbol": '],
)  # fmt: skip
def test_rubbish_is_no_answer(feed, server, text):
    server.answer = lambda handler: handler.say(text)
    with pytest.raises(FeedDown, match="something else than prices"):
        feed.quotes(["VTI"])
    assert works_again(feed, server)


def test_a_line_that_breaks_in_the_middle_is_no_answer(feed, server):
    def breaks(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        handler.wfile.write(b'{"quoteResponse"')
        handler.wfile.flush()
        handler.connection.shutdown(socket.SHUT_RDWR)
        handler.close_connection = True

    server.answer = breaks
    with pytest.raises(FeedDown, match="can't be reached"):
        feed.quotes(["VTI"])
    assert works_again(feed, server)


@pytest.mark.parametrize("part", ["answer", "everything"])
def test_a_server_that_never_answers_is_left_in_time(feed, server, monkeypatch, part):
    monkeypatch.setattr(yahoo, "PATIENCE", 0.4)
    monkeypatch.setattr(yahoo, "IN_ALL", 1.2)
    setattr(server, part, lambda handler: server.released.wait(30))
    began = time.monotonic()
    with pytest.raises(FeedDown, match="did not answer in time"):
        feed.quotes(["VTI"])
    assert time.monotonic() - began < 3
    monkeypatch.undo()
    assert works_again(feed, server)


def test_batches_that_drag_on_end_in_time_too(feed, server, monkeypatch):
    monkeypatch.setattr(yahoo, "AT_ONCE", 1)
    monkeypatch.setattr(yahoo, "IN_ALL", 1.0)
    server.rows = {name: row(name) for name in "ABCDEFGH"}
    rest = server.rows["A"]

    def slow(handler):
        time.sleep(0.3)
        handler.say(json.dumps({"quoteResponse": {"result": [rest]}}))

    server.answer = slow
    began = time.monotonic()
    with pytest.raises(FeedDown, match="did not answer in time"):
        feed.quotes("ABCDEFGH")
    assert time.monotonic() - began < 3


def test_nobody_there(feed, server):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        feed.session.port = free.getsockname()[1]
    with pytest.raises(FeedDown, match="can't be reached"):
        feed.quotes(["VTI"])
    feed.session.port = server.port
    assert works_again(feed, server)


def test_a_name_that_nobody_knows(tmp_path):
    class Nowhere(yahoo.InTime):
        def request(self, method, url, *args, **kwargs):
            return super().request(method, "http://no-such-host.invalid/", *args, **kwargs)

    yfinance.set_tz_cache_location(str(tmp_path))
    SingletonMeta._instances.clear()
    with Nowhere() as session, pytest.raises(FeedDown, match=r"can't be reached|did not answer"):
        yahoo.Yahoo(session).quotes(["VTI"])
    SingletonMeta._instances.clear()


def test_the_library_says_nothing_of_its_own(feed, server, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    with pytest.raises(FeedDown):
        feed.quotes(["VTI"])
    server.everything = lambda handler: handler.say("", 500)
    with pytest.raises(FeedDown):
        feed.quotes(["VTI"])
    assert "delisted" not in caplog.text + "".join(capfd.readouterr())
    assert not [record for record in caplog.records if record.name == "yfinance"]


def test_a_clock_a_little_ahead_is_believed(feed, server):
    soon = int((datetime.now(UTC) + timedelta(minutes=1)).timestamp())
    server.rows = {"VTI": row("VTI", at=soon)}
    assert set(feed.quotes(["VTI"])) == {"VTI"}
