import pytest

from policies import AbortPolicy, PolicyBook, RestartPolicy, RetryPolicy, UnknownPolicyError, named

MINE = RetryPolicy(2)


def test_a_book_takes_policies_of_ones_own():
    """A new book has the policy beside the presets; the old one does not, and other kinds stay as they were."""
    book = PolicyBook().with_policy("retry", "mine", MINE)
    assert book.get("retry", "mine") == MINE
    assert book.names("retry") == ("aggressive", "conservative", "exponential_backoff", "mine")
    assert book.get("abort", "production") == AbortPolicy()
    assert "mine" not in named.names("retry")
    assert PolicyBook() == named.PRESETS


def test_a_name_that_is_taken_is_not_lost_by_mistake():
    """A policy is replaced only where that was said."""
    book = PolicyBook().with_policy("retry", "mine", MINE)
    with pytest.raises(ValueError, match="a retry policy 'mine' already; choose another name, or say replace=True"):
        book.with_policy("retry", "mine", RetryPolicy())
    assert book.with_policy("retry", "mine", RetryPolicy(), replace=True).get("retry", "mine") == RetryPolicy()


def test_a_new_policy_gets_a_name_that_no_other_one_has():
    """Of the same name with a number; the same policy is not put in twice, and the presets stay what they are."""
    name, book = PolicyBook().with_new("retry", "mine", MINE)
    assert (name, book.with_new("retry", "mine", MINE)) == ("mine", ("mine", book))
    names = []
    for tries in (3, 4, 2, 4):
        name, book = book.with_new("retry", "mine", RetryPolicy(tries))
        names.append(name)
    assert names == ["mine-2", "mine-3", "mine", "mine-3"]
    assert [book.get("retry", name).max_attempts for name in names] == [3, 4, 2, 4]
    name, book = book.with_new("retry", "conservative", MINE)
    assert (name, book.get("retry", "conservative")) == ("conservative-2", named.get("retry", "conservative"))


@pytest.mark.parametrize(
    ("kind", "name", "policy", "said"),
    [
        ("retry", "x", AbortPolicy(), "a retry policy must be a RetryPolicy, got AbortPolicy"),
        ("restart", "x", MINE, "a restart policy must be a RestartPolicy, got RetryPolicy"),
        ("restart", "", RestartPolicy(), "a string of 1 to 200 characters, got ''"),
        ("retry", "x" * 201, MINE, "a string of 1 to 200 characters"),
        ("retry", 5, MINE, "got 5"),
    ],
)
def test_what_does_not_fit_is_refused(kind, name, policy, said):
    """The error names the kind, the name or the policy."""
    with pytest.raises(ValueError, match=said):
        PolicyBook().with_policy(kind, name, policy)
    with pytest.raises(ValueError, match=said):
        PolicyBook().with_new(kind, name, policy)


def test_an_unknown_kind_is_refused_with_the_kinds_there_are():
    """Also when something is put in."""
    with pytest.raises(
        UnknownPolicyError, match="no kind of policy 'rety'; known are abort, restart, retry, thresholds"
    ):
        PolicyBook().with_policy("rety", "x", MINE)


@pytest.mark.parametrize("name", ["patient", ["patient"], None])
def test_a_name_that_the_book_does_not_have_is_refused_with_those_it_has(name):
    """Whatever it is, also what no name can be."""
    book = PolicyBook().with_policy("abort", "mine", AbortPolicy())
    with pytest.raises(
        UnknownPolicyError, match=r"no abort policy .*(patient|None).*; known are conservative, .*, mine"
    ):
        book.get("abort", name)
