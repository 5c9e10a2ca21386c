"""`python -m acceptance [name-filter] [--server prosody|ejabberd] [--list]`"""

from __future__ import annotations

import argparse
import asyncio
import sys

from .flows import load
from .gateway import binary
from .runner import run_all
from .servers import SERVERS


def main() -> int:
    parser = argparse.ArgumentParser(prog="tests/run --flows")
    parser.add_argument("filter", nargs="?", default="", help="only flows whose name contains this")
    parser.add_argument("--server", choices=sorted(SERVERS), action="append", help="only this server")
    parser.add_argument("--list", action="store_true", help="names the flows and ends")
    arguments = parser.parse_args()
    flows = [flow for flow in load() if arguments.filter.lower() in flow.name.lower()]
    if arguments.list:
        for flow in flows:
            print(flow.name)
        return 0
    if not binary().exists():
        print(f"{binary()} is missing: cargo build -p stox", file=sys.stderr)
        return 1
    passed, failed, skipped = asyncio.run(run_all(flows, arguments.server or list(SERVERS)))
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return 0 if failed == 0 and passed > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
