"""The settings of a worker under test: as always, but its broker is the one behind a socket, at TEST_BROKER."""

import os

from config import settings as usual

globals().update({name: value for name, value in vars(usual).items() if name.isupper()})

BROKERS = {**usual.BROKERS, "paper": "tests.faults.mortal.MortalBroker"}
TEST_BROKER = os.environ["TEST_BROKER"]
