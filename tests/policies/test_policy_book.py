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


def test_an_unknown_kind_is_refused_with_the_kinds_there_are():
    """Also when something is put in."""
    with pytest.raises(
        UnknownPolicyError, match="no kind of policy 'rety'; known are abort, restart, retry, thresholds"
    ):
        PolicyBook().with_policy("rety", "x", MINE)
