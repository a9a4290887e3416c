import all_laws
import pytest
from laws import LAWS

import policies


@pytest.mark.parametrize("name", LAWS)
def test_the_policies_obey_their_laws(name):
    """Every law holds for the package as it is."""
    assert all_laws.MODULES
    LAWS[name](policies)
