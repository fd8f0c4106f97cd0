"""A missing extra is an ImportError and an HmmError that names what to install."""

import pytest

import hmm_rs as hr
from hmm_rs.ground.extras import extra


def test_what_is_there_is_given():
    assert extra("json", of="io", needed_by="a test").dumps([1]) == "[1]"


def test_what_is_missing_is_named_with_its_extra():
    with pytest.raises(
        ImportError, match=r"hr\.plot needs nosuchlibrary .*pip install 'hmm_rs\[plot\]'"
    ) as seen:
        extra("nosuchlibrary.axes", of="plot", needed_by="hr.plot")
    assert isinstance(seen.value, hr.HmmError)
