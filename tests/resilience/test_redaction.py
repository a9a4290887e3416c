"""Nothing secret in texts, values, events and log records; everything else as it was; time linear in the text."""

import string
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scorewise_actors.events import EventType, ResilienceEvent
from scorewise_actors.failure_events import failure_event
from scorewise_actors.redaction import MASK, is_secret_name, redact, redact_text
from scorewise_actors.resilience import ResilienceException

SECRET = st.text(string.ascii_letters + string.digits, min_size=8, max_size=30).map(lambda text: f"Zq{text}")
WORDS = st.text(string.ascii_lowercase + " .,/", max_size=30).map(lambda text: text.replace("token", ""))
FORMS = [
    "http://user:{}@shop.example/a",
    "https://{}@shop.example",
    "postgres://app:{}@db/x?sslmode=on",
    "http://h/?token={}&page=2",
    "http://h/?a=1&access_token={}",
    "http://h/?X-Amz-Signature={}",
    "http://h/?api_key={}#top",
    "http://h/?session_id={};x=1",
    "http://h/?q=1&sid={}",
    "http://h/?redirect=%2Fa&client_secret%3D{}",
    "http://h/?key={}&page=2",
    "http://h/callback?state=1&code={}",
    "http://h/?next=%2Fcallback%3Fcode%3D{}",
    "//user:{}@shop.example/a",
    "src='//:{}@shop.example'",
    "Authorization: Bearer {}",
    "Authorization: Basic {}",
    "proxy-authorization: {}",
    "'authorization': 'Bearer {}'",
    "Cookie: id={}; theme=dark",
    "Set-Cookie: sessionid={}; HttpOnly",
    '{{"password": "{}"}}',
    "{{'api-key': '{}'}}",
    "my_password={}",
    "PASSWORD = {}",
    "got bearer {} from them",
    'secret="{} with spaces"',
    "PHPSESSID={}",
    "{{'cookies': [{{'name': 'a', 'value': '{}'}}], 'origins': []}}",
    "storage_state={{'cookies': [{{'name': 'a', 'value': '{}'}}]}}",
]


@settings(max_examples=200, deadline=None)
@given(form=st.sampled_from(FORMS), secret=SECRET, before=WORDS, after=WORDS)
def test_secrets_are_taken_out_of_texts_whatever_stands_around_them(form, secret, before, after):
    """In every form that a secret usually has, and again if the text is redacted twice."""
    text = redact_text(f"{before} {form.format(secret)} {after}")
    assert secret not in text
    assert MASK in text
    assert redact_text(text) == text


@settings(max_examples=200, deadline=None)
@given(
    secret=SECRET,
    name=st.sampled_from(
        ["password", "Set-Cookie", "X-API-Key", "accessToken", "user_secret", "otp", "cookies", "storage_state"]
    ),
)
def test_secrets_are_taken_out_of_values_by_their_name(secret, name):
    """At any depth; an absent one stays absent."""
    value = {"page": [{"headers": {name: secret, "accept": "text/html"}}], "n": 3, name: None}
    clean = redact(value)
    assert secret not in repr(clean)
    assert clean == {"page": [{"headers": {name: MASK, "accept": "text/html"}}], "n": 3, name: None}


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=200))
def test_any_text_can_be_redacted_and_twice_is_as_once(text):
    """Total and idempotent."""
    once = redact_text(text)
    assert redact_text(once) == once


@pytest.mark.parametrize(
    "text",
    [
        "net::ERR_CONNECTION_REFUSED at http://shop.example/a?page=2&sort=price",
        "Timeout 30000ms exceeded.",
        "the author said: nothing",
        "a cookie banner covers the page",
        "BrowserContext.add_cookies: Cookie should have a url or a domain",
        "Page.goto: strict mode violation: locator('#score') resolved to 2 elements",
        "mail me@shop.example or see https://shop.example/@me",
        "keyboard=qwerty monkey: banana",
        "the process ended with code=3, key=value was expected",
        "http://shop.example/?keyboard=1&codec=av1&zipcode=2",
        "src='//shop.example:8080/a' and //shop.example/@me",
    ],
)
def test_what_is_no_secret_stays(text):
    """Messages keep what people need."""
    assert redact_text(text) == text


@pytest.mark.parametrize("name", ["sort", "page", "author", "keyboard", "monkey", "description", 7, None])
def test_ordinary_names_are_no_secrets(name):
    """They only look a little like it."""
    assert not is_secret_name(name)


def test_the_time_grows_with_the_text_and_not_with_its_square():
    """Pages choose their text: ten times the text may cost some ten times, not a hundred."""
    for piece in ("y", "://", " //", "//a:", "?key=", "a@", "token ", "http://", "password", '"', "token='", "cookie"):
        once, often = cost(piece * 2000), cost(piece * 40_000)
        assert often < max(once, 0.001) * 20 * 6, piece


def cost(text):
    began = time.process_time()
    redact_text(text)
    return time.process_time() - began


def test_events_errors_and_records_carry_no_secrets():
    """Whatever they are given."""
    data = {"url": "http://me:Zqsecret1@h/?token=Zqsecret2", "headers": {"cookie": "Zqsecret3"}}
    event = ResilienceEvent("path", EventType.RETRY_ATTEMPTED, "retry", data=data)
    error = ResilienceException("CODE", "message", data)
    report = failure_event(
        {"message": data["url"], "context": data, "stack_trace": f"File x\n  fetch({data['url']!r})\n"}
    )
    for text in (str(event), repr(event.as_map()), repr(error.context), repr(report.as_map())):
        assert "Zqsecret" not in text
