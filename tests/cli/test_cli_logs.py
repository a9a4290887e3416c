"""What is logged while the command line runs has no secrets in it, whoever wrote the line."""

import logging
import sys
from argparse import Namespace

import pytest
from loguru import logger

from scorewise_actors.cli.logs import configure
from scorewise_actors.cli.progress import QuietDisplay

SECRETS = ("s3same", "h1dden")


class Said(QuietDisplay):
    """Keeps what it is to say."""

    def __init__(self):
        super().__init__()
        self.lines = []

    def say(self, text):
        self.lines.append(text)


@pytest.fixture
def display():
    """The log goes back to where it went before."""
    level = logging.getLogger("asyncio").level
    yield Said()
    logger.remove()
    logger.add(sys.stderr)
    for package in ("scorewise_actors", "supervisors", "policies"):
        logger.disable(package)
    logging.getLogger("asyncio").setLevel(level)


@pytest.mark.parametrize("verbose", [False, True], ids=["", "verbose"])
def test_no_line_and_no_traceback_tells_a_secret(display, tmp_path, verbose):
    """Neither on the terminal nor in the file, which is made with its folder and added to."""
    file = tmp_path / "new" / "full.log"
    for _ in range(2):
        configure(Namespace(verbose=verbose, quiet=False, log=str(file)), display)
        try:
            raise ValueError("at https://user:h1dden@shop.example/?api_key=s3same \ud800")
        except ValueError as error:
            logger.opt(exception=error).warning("{} failed: {}", "https://shop.example/?token=s3same&page=2", error)
        logger.debug("{} came", "https://shop.example/?code=h1dden")
    logger.remove()
    written, said = file.read_text("utf-8"), "\n".join(display.lines)
    assert not [secret for secret in SECRETS if secret in written or secret in said]
    assert written.count("?token=***&page=2 failed") == said.count("?token=***&page=2 failed") == 2
    assert written.count("?code=*** came") == 2
    assert written.count("ValueError: at https://***@shop.example/") == 2
    assert said.count("ValueError: at https://***@shop.example/") == (2 if verbose else 0)
