import pytest
from policy_properties import PROPERTIES

import policies


@pytest.mark.parametrize("name", PROPERTIES)
def test_the_policies_obey_their_laws(name):
    """Every law holds for the package as it is."""
    PROPERTIES[name](policies)
