"""Values come back as they went in, or are refused with the path of what has no form."""

import collections
import datetime as dt
import decimal
import enum
import math
import pathlib
import uuid
import zoneinfo

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scorewise_actors.checkpoints import CheckpointNotSerializable, CheckpointUndecodable, decode, encode, register
from scorewise_actors.checkpoints.values import MAX_DEPTH


class Colour(enum.Enum):
    RED = object()  # a value without a form: members go by name


class Rights(enum.Flag):
    READ = 1
    WRITE = 2


@attrs.frozen
class Match:
    home: str
    _score: tuple


class Celsius:
    def __init__(self, degrees):
        self.degrees = degrees

    def __eq__(self, other):
        return type(other) is Celsius and other.degrees == self.degrees

    def __hash__(self):
        return hash(self.degrees)


register(Colour, "test-colour")
register(Rights, "test-rights")
register(Match, "test-match")
register(Celsius, "test-celsius", dump=lambda value: value.degrees, load=Celsius)

atoms = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters())
    | st.binary(max_size=20)
    | st.decimals(allow_nan=False)
    | st.uuids()
    | st.dates()
    | st.datetimes(timezones=st.none() | st.just(dt.UTC) | st.just(zoneinfo.ZoneInfo("Europe/Berlin")))
    | st.times()
    | st.timedeltas()
    | st.complex_numbers(allow_nan=False)
    | st.sampled_from([Colour.RED, Rights.READ, Rights.READ | Rights.WRITE, pathlib.Path("a/b"), Celsius(3)])
)
hashable = st.none() | st.booleans() | st.integers() | st.text() | st.tuples(st.integers(), st.text())
values = st.recursive(
    atoms,
    lambda inner: (
        st.lists(inner)
        | st.lists(inner).map(tuple)
        | st.dictionaries(st.text() | st.just("$"), inner)
        | st.dictionaries(hashable, inner)
        | st.frozensets(hashable)
        | st.sets(hashable)
        | st.builds(Match, st.text(), st.lists(inner).map(tuple))
    ),
    max_leaves=15,
)


def same(left, right):
    """Equal, and of the same types all the way down."""
    if type(left) is not type(right):
        return False
    if isinstance(left, dict):
        pairs = zip(left.items(), right.items(), strict=True) if len(left) == len(right) else [((0,), (1,))]
        return all(same(a, b) for pair in pairs for a, b in zip(*pair, strict=True))
    if isinstance(left, (list, tuple)):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, (set, frozenset)):
        return left == right and sorted(map(repr, left)) == sorted(map(repr, right))
    if isinstance(left, decimal.Decimal):
        return repr(left) == repr(right)
    if isinstance(left, (dt.datetime, dt.time)):
        return repr(left) == repr(right) and left.fold == right.fold
    return left == right and (not isinstance(left, float) or math.copysign(1, left) == math.copysign(1, right))


@settings(deadline=None)
@given(values)
def test_any_value_comes_back_the_same(value):
    """Whatever is encoded is decoded to an equal value of the same types, in one line."""
    data = encode(value)
    assert b"\n" not in data
    assert same(decode(data), value)


@pytest.mark.parametrize(
    "value",
    [
        math.inf,
        -math.inf,
        -0.0,
        10**5000,
        -(10**5000),
        "\ud800 alone",
        "\ud83d\ude00",
        {"$": "tuple", "v": []},
        {1: "a", "1": "b", None: "c", (1, 2): "d"},
        decimal.Decimal("1.10"),
        decimal.Decimal("sNaN"),
        dt.datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=zoneinfo.ZoneInfo("Europe/Berlin")),
        dt.datetime(2026, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=1), "CET")),
        dt.time(1, 2, 3, 4, tzinfo=dt.UTC),
        uuid.UUID(int=5),
    ],
    ids=lambda value: type(value).__name__,
)
def test_odd_values_are_kept_exactly(value):
    """Values that JSON libraries change in silence come back the same."""
    back = decode(encode(value))
    assert same(back, value)


def test_not_a_number_comes_back_as_one():
    """NaN survives, although it is not equal to itself."""
    assert math.isnan(decode(encode([math.nan]))[0])


class Text(str):
    __slots__ = ()


@pytest.mark.parametrize(
    ("value", "path", "kind"),
    [
        ({"results": [1, {"page": object()}]}, "$.results[1].page", object),
        ({"two words": [print]}, '$["two words"][0]', type(print)),
        ({"a": ({1: Text("x")},)}, "$.a[0][1]", Text),
        ({"a": collections.OrderedDict()}, "$.a", collections.OrderedDict),
        ({"a": [Match("x", (1, {"deep": len}))]}, "$.a[0].score[1].deep", type(len)),
        ({10**5000: print}, f"$[{hex(10**5000)[:60]}]", type(print)),
        (Exception("x"), "$", Exception),
    ],
    ids=["object", "function", "subclass", "ordered", "registered", "huge key", "root"],
)
def test_what_has_no_form_is_named_by_its_path(value, path, kind):
    """The error says where the value stands and what it is."""
    with pytest.raises(CheckpointNotSerializable) as caught:
        encode(value)
    assert (caught.value.path, caught.value.type) == (path, kind)
    assert str(caught.value).startswith(f"{path} is a ")


def test_a_class_of_a_package_is_named_with_the_package():
    """The reader sees which library the value came from."""
    page = type("Page", (), {"__module__": "playwright.async_api._generated"})()
    with pytest.raises(CheckpointNotSerializable, match=r"^\$ is a playwright Page; convert it or register the class$"):
        encode(page)


def test_a_value_that_holds_itself_is_refused():
    """A cycle is an error that says so, not an endless walk."""
    value = {"a": []}
    value["a"].append(value)
    with pytest.raises(CheckpointNotSerializable, match="refers to itself"):
        encode(value)


def nested(levels, wrap):
    value = 1
    for _ in range(levels):
        value = wrap(value)
    return value


@pytest.mark.parametrize("wrap", [lambda v: [v], lambda v: {"k": v}, lambda v: {1: v}], ids=["list", "dict", "pairs"])
def test_depth_has_a_limit_below_which_everything_comes_back(wrap):
    """MAX_DEPTH levels can be written and read; one more is refused, whatever they are made of."""
    deepest = nested(MAX_DEPTH, wrap)
    assert decode(encode(deepest)) == deepest
    with pytest.raises(CheckpointNotSerializable, match="deeper than"):
        encode(wrap(deepest))


def test_an_unknown_tag_is_an_error():
    """A value of a class that nobody registered here is never handed out as a raw dict."""
    with pytest.raises(CheckpointUndecodable, match="@nobody"):
        decode(b'{"$":"@nobody","v":1}')


def test_a_value_that_its_class_rejects_is_an_error():
    """A registered class that changed in the meantime fails by its name."""
    with pytest.raises(CheckpointUndecodable, match=r"test-colour.*BLUE"):
        decode(b'{"$":"@test-colour","v":"BLUE"}')


def test_names_and_classes_are_registered_once():
    """The same again is harmless; another class under the name, or another name for the class, is not."""
    assert register(Colour, "test-colour") is Colour
    with pytest.raises(ValueError, match="already has the form"):
        register(Colour, "other")
    with pytest.raises(ValueError, match="is taken by Colour"):
        register(Text, "test-colour", dump=str, load=Text)


def test_a_class_that_cannot_be_rebuilt_is_refused_at_registration():
    """The mistake shows at import time, not in the middle of a job."""

    @attrs.frozen
    class Computed:
        a: int
        b: int = attrs.field(init=False, default=1)

    with pytest.raises(ValueError, match=r"\['b'\]"):
        register(Computed, "test-computed")
    with pytest.raises(ValueError, match="give dump and load"):
        register(Text, "test-text")
    with pytest.raises(ValueError, match="both or neither"):
        register(Text, "test-text", dump=str)
    with pytest.raises(ValueError, match="start with '@'"):
        register(Text, "@x", dump=str, load=Text)
