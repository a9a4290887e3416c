"""``python -m bench [NAME ...] [--json] [--quick] [--rounds N] [--items N]``: run benches and print their rows.

The rows go to stdout, as a table or as one JSON object per line; progress goes to stderr. A bar that does not hold is
reported and is no failure; the exit code is 1 when something could not be measured, 2 for wrong arguments.
"""

import argparse
import sys

from bench import kernel, monitor, pages, policies, recovery, retries
from bench.rows import table
from bench.spec import Bench, CannotMeasureError

BENCHES: tuple[Bench, ...] = (kernel.BENCH, monitor.BENCH, pages.BENCH, policies.BENCH, recovery.BENCH, retries.BENCH)
"""All benches, in the order in which they run."""


def main(arguments: list[str] | None = None) -> int:
    """Run what the command line asks for; returns the exit code."""
    options = _parser().parse_args(arguments)
    chosen = [bench for bench in BENCHES if bench.name in (options.names or [bench.name])]
    for bench in chosen:
        try:
            rounds, items = (1, bench.quick_items) if options.quick else (bench.rounds, bench.items)
            rows = list(bench.run(options.rounds or rounds, options.items or items, _say))
        except CannotMeasureError as error:
            _say(f"{bench.name}: {error}")
            return 1
        print("\n".join(row.json_line() for row in rows) if options.json else table(rows), flush=True)
    return 0


def _parser() -> argparse.ArgumentParser:
    usual = (f"  {bench.name:<10}{bench.summary} ({bench.rounds} rounds of {bench.items} items)" for bench in BENCHES)
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Measure what the library costs, side by side with what it is compared to.",
        epilog="benches:\n" + "\n".join(usual),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", type=_name, help="benches to run (default: all)")
    parser.add_argument("--json", action="store_true", help="print one JSON object per row and line")
    parser.add_argument("--quick", action="store_true", help="show that all is measured; the figures mean nothing")
    parser.add_argument("--rounds", type=_count, metavar="N", help="interleaved rounds")
    parser.add_argument("--items", type=_count, metavar="N", help="items measured in each round")
    return parser


def _name(text: str) -> str:
    names = [bench.name for bench in BENCHES]
    if text not in names:
        raise argparse.ArgumentTypeError(f"there is no bench {text!r}; the benches are {', '.join(names)}")
    return text


def _count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 100_000:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1 to 100000, not {text!r}")
    return int(text)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
