"""The laws catch what breaks them, and the manual's examples run."""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hmm_rs as hr
from hmm_rs import testing

PAGE = Path(__file__).parents[1] / "docs" / "testing.md"
counter = itertools.count()


def blocks(page: str) -> Iterator[tuple[str, str]]:
    """Language and text of each code block."""
    for found in re.finditer(r"```(\w+)\n(.*?)```", page, re.DOTALL):
        yield found[1], found[2]


@pytest.mark.skipif(not PAGE.is_file(), reason="the manual is not here")
def test_the_page_of_the_manual_runs(capsys: pytest.CaptureFixture[str]) -> None:
    namespace: dict[str, object] = {}
    printed = ""
    for language, text in blocks(PAGE.read_text()):
        if language == "python":
            exec(compile(text, str(PAGE), "exec"), namespace)
            printed = capsys.readouterr().out
        else:
            assert printed == text
            printed = ""
    assert printed == ""
    testing.use_profile("quick")


def test_everything_public_has_an_example() -> None:
    lacking = [
        name
        for name in testing.__all__
        if callable(getattr(testing, name))
        if ">>>" not in (getattr(testing, name).__doc__ or "")
    ]
    assert not lacking


def test_without_hypothesis_the_extra_is_named() -> None:
    program = (
        "import sys\n"
        "sys.modules['hypothesis'] = None\n"
        "import hmm_rs as hr\n"
        "for kind in (ImportError, hr.HmmError):\n"
        "    try:\n"
        "        hr.testing\n"
        "    except kind as error:\n"
        "        print(error)\n"
    )
    environment = {"PYTHONPATH": str(Path(hr.__file__).parents[1])}
    answer = subprocess.run(
        [sys.executable, "-P", "-c", program], capture_output=True, text=True, check=True, env=environment
    )
    lines = answer.stdout.splitlines()
    assert len(lines) == 2
    assert all(
        re.match(r"hr.testing needs hypothesis .*pip install 'hmm_rs\[testing\]'$", line) for line in lines
    )


# -- bits ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other", "where"),
    [
        (1.0, np.nextafter(1.0, 2.0), "result"),
        (0.0, -0.0, "result"),
        (np.zeros(3), np.zeros(3, np.float32), "result"),
        (np.zeros(3), np.zeros((3, 1)), "result"),
        ({"a": 1}, {"a": 2}, "result['a']"),
        ({"a": 1}, {"a": 1, "b": 2}, "result['b']"),
        ([1.0], (1.0, 2.0), "result[1]"),
        ("x", "y", "result"),
        (hr.TwoLayer.random(2, 3), hr.TwoLayer.random(2, 3, seed=1), "result.w"),
        (hr.MeanFieldNetwork.random(2, 3), hr.MeanFieldNetwork.random(2, 3, seed=1), "result.a"),
        (hr.Stripe(3), hr.Stripe(3, stretch=2.0), "result.stretch"),
        (hr.Stripe(3), hr.SingleInterface(3), "result type"),
        (np.sin, np.cos, "result"),
    ],
)
def test_a_difference_is_seen_and_told(one: object, other: object, where: str) -> None:
    assert testing.difference(one, one) == testing.difference(other, other) == ""
    assert testing.difference(one, other).startswith(where)
    assert testing.fingerprint(one) != testing.fingerprint(other)


def test_nan_equals_itself_and_how_a_run_was_made_is_left_out() -> None:
    engine = hr.Particles(
        hr.MeanFieldNetwork.random(4, 3), data=hr.LinearlySeparable(3), batch=4, test_size=4
    )
    one = engine.run(2, save_at=[0, 2])
    other = one.copy()
    other.attrs |= {"threads": 99, "wall_time": 1e9}
    assert testing.difference(one, other) == ""
    assert testing.difference(np.array([np.nan]), np.array([np.nan])) == ""
    other.attrs["dtype"] = "float32"
    assert testing.difference(one, other).startswith("result.attrs['dtype'] is")


@given(
    value=st.recursive(
        st.floats() | st.integers() | st.text() | st.none(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_equal_values_have_equal_fingerprints(value: object) -> None:
    import copy

    assert testing.fingerprint(copy.deepcopy(value)) == testing.fingerprint(value)
    assert testing.difference(copy.deepcopy(value), value) == ""


# -- laws ----------------------------------------------------------------------------------------------


def test_same_bits_restores_the_threads_and_sees_a_difference() -> None:
    before = hr.get_num_threads()
    testing.assert_same_bits(lambda: hr.TwoLayer.random(2, 30).forward(np.eye(30)))
    with pytest.raises(AssertionError, match=r"on 1 and on 2 threads: result differs in 1 of 1 values"):
        testing.assert_same_bits(lambda: float(hr.get_num_threads()), threads=(1, 2))
    with pytest.raises(ZeroDivisionError):
        testing.assert_same_bits(lambda: 1 / 0, threads=(before + 1,))
    assert hr.get_num_threads() == before


def raising(error: Exception) -> object:
    raise error


@pytest.mark.parametrize(
    ("error", "argument", "told"),
    [
        (ValueError("x"), None, "a raw ValueError"),
        (hr.ShapeError("X has shape (2,): must be (3,); pass that"), "y", "does not name y"),
        (hr.ShapeError("wrong"), None, "no rule"),
        (hr.ShapeError("X has shape (2,): must be (3,)"), "X", "no remedy"),
        (hr.ShapeError("X has shape (2,): must be (3,); pass that"), "X", "not a DtypeError"),
    ],
)
def test_a_poor_refusal_is_told(error: Exception, argument: str | None, told: str) -> None:
    wanted = hr.DtypeError if told == "not a DtypeError" else hr.HmmError
    with pytest.raises(AssertionError, match=told):
        testing.assert_refuses(lambda: raising(error), argument, error=wanted)


def test_an_answer_is_no_refusal() -> None:
    with pytest.raises(AssertionError, match="must be refused, gave 3"):
        testing.assert_refuses(lambda: 3)
    good = hr.ShapeError("X has shape (2,): must be (3,); pass that")
    assert testing.assert_refuses(lambda: raising(good), "X", error=hr.ShapeError) is good


def test_answers_must_be_finite_and_raw_errors_are_told() -> None:
    assert testing.assert_answers_or_refuses(lambda: 3) == 3
    with pytest.raises(AssertionError, match=r"result\['a'\] holds 1 values that are not finite"):
        testing.assert_answers_or_refuses(lambda: {"a": np.array([1.0, np.nan])})
    testing.assert_answers_or_refuses(lambda: np.nan, finite=False)
    for error in (KeyError("x"), RuntimeWarning("overflow")):
        with pytest.raises(AssertionError, match="a raw"):
            testing.assert_answers_or_refuses(lambda error=error: raising(error))
    with pytest.raises(AssertionError, match="a raw RuntimeWarning"):
        testing.assert_answers_or_refuses(lambda: np.float64(1e300) * 1e300)


class Forgetful:
    """An engine whose steps depend on something that its checkpoint does not hold."""

    def __init__(self) -> None:
        self.engine = hr.Particles(
            hr.MeanFieldNetwork.random(4, 3, seed=next(counter)),
            data=hr.LinearlySeparable(3),
            batch=4,
            test_size=4,
        )

    def run(self, **options: object) -> object:
        return self.engine.run(**options)  # type: ignore[arg-type]


def test_a_run_that_does_not_resume_is_told() -> None:
    with pytest.raises(
        AssertionError, match=r"stopped middle and resumed in a fresh process: result\.\w+ differs"
    ):
        testing.assert_resumes(Forgetful, {"steps": 6, "save_at": [0, 3, 6]}, stops=("middle",), copies=False)


def test_what_is_not_gaussian_is_told() -> None:
    model = hr.generators.from_callable(lambda c: np.asarray(c)[:, :1] ** 3 + np.asarray(c), 20)
    with pytest.raises(AssertionError, match="are not Gaussian: largest Kolmogorov distance 0"):
        testing.assert_gaussian_equivalent(model, n_samples=5000)
    with pytest.raises(AssertionError, match=r"allowed 0\.001"):
        testing.assert_gaussian_equivalent(hr.TeacherStudent(50), n_samples=2000, tolerance=0.001)


# -- strategies ----------------------------------------------------------------------------------------


@given(case=testing.engines())
@settings(max_examples=40)
def test_every_engine_that_is_drawn_runs(case: testing.EngineCase) -> None:
    one, other = case.result(), case.result(threads=2)
    assert testing.difference(one, other) == ""
    assert case.takes_steps == (case.engine is not hr.FullBatch)


@pytest.mark.parametrize("kind", testing.ENGINES)
def test_engines_of_one_kind(kind: str) -> None:
    @given(case=testing.engines([kind]))
    @settings(max_examples=5)
    def all_are(case: testing.EngineCase) -> None:
        assert case.engine.__name__ == kind

    all_are()


def test_an_unknown_engine_is_refused() -> None:
    testing.assert_refuses(lambda: testing.engines(["OnlineSDG"]), "kinds")
    testing.assert_refuses(lambda: testing.engines([]), "kinds")


@given(C=testing.covariances(), spectrum=testing.spectra(labels=True))
def test_matrices_are_what_they_say(C: np.ndarray, spectrum: object) -> None:
    assert (C == C.T).all()
    assert np.linalg.eigvalsh(C).min() >= -1e-12 * np.abs(C).max()
    assert spectrum.rho_lin <= spectrum.rho * (1 + 1e-9)  # type: ignore[attr-defined]


def test_profiles() -> None:
    testing.use_profile("thorough")
    assert settings.default.max_examples == 1000
    testing.use_profile()
    assert settings.default.max_examples == 25
