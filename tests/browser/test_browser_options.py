"""Options are checked where they are written, and become switches that Chromium obeys."""

import os

import pytest

from scorewise_actors.browser.chromium import Browser
from scorewise_actors.browser.options import DISABLED_BY_PLAYWRIGHT, BrowserOptions
from scorewise_actors.browser.processes import command_line


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"viewport": (0, 600)}, r"viewport must be \(width, height\), each 1 to 10000 px, not \(0, 600\)"),
        ({"viewport": 800}, "viewport must be .* not 800"),
        ({"viewport": (800.0, 600)}, "viewport must be"),
        ({"isolation": "full"}, "isolation must be one of reset, none, page, context, not 'full'"),
        ({"pages_before_replace": 0}, "pages_before_replace must be a whole number of at least 1, got 0"),
        ({"pages_before_replace": True}, "pages_before_replace"),
        ({"items_before_new_context": 1.5}, "items_before_new_context"),
        (
            {"navigation_timeout": 0},
            "navigation_timeout must be a finite number of seconds above 0, .*got 0",
        ),
        ({"operation_timeout": float("nan")}, "operation_timeout"),
        ({"close_timeout": float("inf")}, "close_timeout"),
        ({"launch_timeout": "30"}, "launch_timeout"),
        ({"heartbeat_interval": -1}, "heartbeat_interval"),
        ({"heartbeat_deadline": True}, "heartbeat_deadline"),
        ({"args": ("lang=de",)}, "args holds 'lang=de', not a switch such as '--lang=de'"),
        ({"args": ("--user-data-dir=/x",)}, "which this layer sets; leave it out"),
    ],
)
def test_a_wrong_option_names_itself(options, message):
    """The error says which field, which value and what is allowed."""
    with pytest.raises(ValueError, match=message):
        BrowserOptions(**options)


def test_one_text_is_not_a_list_of_texts():
    """A forgotten comma is told."""
    with pytest.raises(TypeError, match=r"write \('--lang=de',\)"):
        BrowserOptions(args="--lang=de")


def test_the_sandbox_is_off_for_root_only(monkeypatch):
    """Chromium refuses to start as root with it; an explicit choice is kept."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert not BrowserOptions().use_sandbox()
    assert BrowserOptions(sandbox=True).use_sandbox()
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert BrowserOptions().use_sandbox()


def test_context_arguments():
    """What is not set is left to Playwright; extra arguments come last."""
    assert BrowserOptions().context_arguments() == {
        "viewport": {"width": 800, "height": 600},
        "accept_downloads": False,
    }
    options = BrowserOptions(viewport=[320, 240], user_agent="me", locale="de-DE", extra_context={"locale": "fr-FR"})
    assert options.context_arguments() == {
        "viewport": {"width": 320, "height": 240},
        "accept_downloads": False,
        "user_agent": "me",
        "locale": "fr-FR",
    }


@pytest.mark.asyncio(loop_scope="module")
async def test_features_disabled_by_playwright_stay_disabled(driver):
    """Chromium heeds only the last --disable-features; ours holds the user's, our own and all of Playwright's."""
    browser = await Browser.launch(driver, BrowserOptions(args=("--disable-features=Mine,Translate", "--lang=de")))
    switches = [arg for arg in command_line(browser.pid) if arg.startswith("--disable-features=")]
    last = switches[-1].removeprefix("--disable-features=").split(",")
    playwrights = {
        feature for switch in switches[:-1] for feature in switch.removeprefix("--disable-features=").split(",")
    }
    assert playwrights == set(DISABLED_BY_PLAYWRIGHT), "this Playwright disables other features: update the constant"
    assert playwrights | {"Mine", "Translate"} <= set(last)
    assert len(last) == len(set(last))
    assert "--lang=de" in command_line(browser.pid)
    await browser.close()
