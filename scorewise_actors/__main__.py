"""``python -m scorewise_actors``: the same as ``scorewise``."""

import sys

from scorewise_actors.cli import main

if __name__ == "__main__":
    sys.exit(main())
