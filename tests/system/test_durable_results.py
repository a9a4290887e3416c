"""Readers of what is durable cannot harm the actor that writes it."""

from loguru import logger

from scorewise_actors.durable_results import DurableResults


class Mute(Exception):
    """It has no text."""

    def __repr__(self):
        raise ZeroDivisionError

    __str__ = __repr__


def test_a_listener_that_raises_keeps_the_news_from_nobody():
    """Also with the log switched on, and if what it raises has no text."""
    results, heard, logged = DurableResults(), [], []

    def explode():
        raise Mute

    results.listen(explode)
    results.listen(lambda: heard.append(results.after(0)))
    logger.enable("scorewise_actors")
    sink = logger.add(lambda message: logged.append(message.record["message"]), catch=False)
    results.publish([["item", "done", 1, None]])
    logger.remove(sink)
    logger.disable("scorewise_actors")
    assert heard == [[["item", "done", 1, None]]]
    assert logged == ["a reader of results failed: <Mute: its text cannot be read, ZeroDivisionError>"]
