"""What `./run` does once the environment is there: `python -m ops COMMAND [arguments]`."""

import importlib
import sys

from .console import Problem

# Loaded by need: `./run` itself must not load Django.
MODULES = {"": "ops.firm", "manage": "ops.manage"} | dict.fromkeys(["test", "bench", "fuzz"], "ops.testing")


def main(command, arguments):
    module = importlib.import_module(MODULES[command])
    getattr(module, command if command in ("bench", "fuzz") else "main")(arguments)


if __name__ == "__main__":
    try:
        main(sys.argv[1] if len(sys.argv) > 1 else "", sys.argv[2:])
    except Problem as problem:
        sys.exit(f"./run: {problem}")
    except KeyboardInterrupt:
        sys.exit(130)
