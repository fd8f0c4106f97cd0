"""A missing extra is an ImportError and an HmmError that names what to install."""

import subprocess
import sys

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


#: What needs an optional library, the library, and the command that brings it.
DOORS = {
    "svc": ("sklearn", "hr.kernels.svc(np.eye(2), [1, -1])", "pip install 'hmm_rs[sklearn]'"),
    "digits": ("sklearn", "from hmm_rs.data.images import digits; digits()", "pip install 'hmm_rs[sklearn]'"),
    "digits of the network": ("sklearn", "hr.cnn.digits()", "pip install 'hmm_rs[sklearn]'"),
    "kernel of the network": (
        "jax",
        "hr.cnn.CNN(1, 8, 8).kernel(np.zeros(hr.cnn.CNN(1, 8, 8).parameters), np.ones((2, 8, 8)))",
        "pip install 'hmm_rs[cnn]'",
    ),
    "flow of the network": (
        "jax",
        "hr.cnn.CNNFlow(hr.cnn.CNN(1, 8, 8), np.ones((2, 8, 8)), [1, -1])",
        "pip install 'hmm_rs[cnn]'",
    ),
    "onnx": ("onnxruntime", "hr.generators.from_onnx('generator.onnx')", "pip install 'hmm_rs[generators]'"),
    "torch": ("torch", "hr.generators.from_torch(None, 3)", "pip install torch"),
    "testing": ("hypothesis", "import hmm_rs.testing", "pip install 'hmm_rs[testing]'"),
    "plot": (
        "matplotlib",
        "hr.plot.learning_curve(hr.theory.SaadSolla([[1.0]], [[0.0]], T=[[1.0]], v0=[1.0], v_teacher=[1.0], lr=0.1)"
        ".solve([0.0, 1.0]))",
        "pip install 'hmm_rs[plot]'",
    ),
}


@pytest.mark.parametrize("door", DOORS)
def test_every_hidden_library_is_missed_in_our_words(door):
    library, call, command = DOORS[door]
    program = f"""
import sys
sys.modules[{library!r}] = None
import numpy as np
import hmm_rs as hr
try:
    {call}
except ImportError as error:
    assert isinstance(error, hr.errors.MissingExtraError) and isinstance(error, hr.HmmError), type(error)
    assert str(error).endswith({command!r}) and {library!r} in str(error), str(error)
else:
    raise AssertionError("nothing was missed")
"""
    subprocess.run([sys.executable, "-P", "-c", program], check=True, timeout=60)
