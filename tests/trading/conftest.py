import pytest

from .broker_server import BrokerServer


@pytest.fixture
def server(settings, transactional_db):
    """A broker behind a socket in place of the paper market."""
    running = BrokerServer().start()
    settings.BROKERS = {**settings.BROKERS, "paper": "tests.trading.broker_server.SocketBroker"}
    settings.TEST_BROKER = running.address
    yield running
    running.stop()


@pytest.fixture
def market(server):
    """What that broker knows, and how it is to behave."""
    return server.market
