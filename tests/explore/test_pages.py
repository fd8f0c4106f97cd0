"""What the pages compute: finite lines, a simulation that agrees, and a script with the same numbers."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import hmm_rs as hr
from hmm_rs.explore import PAGES, State, script
from hmm_rs.explore.work import solved

NAMED = {page.name: page for page in PAGES}
every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)

#: Small enough for seconds.
SMALL = {
    "online": {"N": 200, "t_max": 20.0},
    "hinge": {"N": 500, "nodes": 60, "t_max": 100.0},
    "compression": {"neurons": 8, "width": 40, "p": 100},
    "replica": {"p": 40, "repeats": 2, "alpha_max": 3.0},
}


def state(name: str, overlay: bool = False, **changed: Any) -> State:
    page = NAMED[name]
    return State(page, {**page.defaults(), **SMALL[name], **changed}, overlay)


def theory(asked: State) -> Mapping[str, Any]:
    answer = solved(asked)
    assert not answer.words
    assert answer.result is not None
    return answer.result


@every_page
def test_lines_are_drawn_on_every_panel(page) -> None:
    lines = page.lines(theory(state(page.name)), None)
    assert set(lines) == {panel.name for panel in page.panels}
    for panel in page.panels:
        assert panel.title
        assert panel.x
        assert panel.y
        assert lines[panel.name]
        for line in lines[panel.name]:
            assert line.label
            assert line.x.shape == line.y.shape
            assert np.isfinite(line.x).all()
        assert any(np.isfinite(line.y).any() for line in lines[panel.name])


@every_page
def test_a_simulation_is_laid_over_the_theory_as_marks(page) -> None:
    asked = state(page.name)
    bare, laid = (page.lines(theory(asked), run) for run in (None, page.simulation(**asked.values)))
    added = []
    for panel in page.panels:
        # The theory's lines stay as they are, and come first.
        kept, more = np.split(np.array(laid[panel.name], dtype=object), [len(bare[panel.name])])
        assert [line.label for line in kept] == [line.label for line in bare[panel.name]]
        assert all(same_numbers(*pair) for pair in zip(kept, bare[panel.name], strict=True))
        added += list(more)
    assert added
    for line in added:
        assert line.style == "marks"
        assert "simulation" in line.label or line.label.startswith("fits")
        assert line.x.shape == line.y.shape
        assert np.isfinite(line.y).any()


def same_numbers(one: Any, other: Any) -> bool:
    return np.array_equal(one.x, other.x) and np.array_equal(one.y, other.y, equal_nan=True)


def same(one: Any, other: Any) -> bool:
    if isinstance(one, xr.Dataset | xr.DataArray):
        return one.equals(other)
    if isinstance(one, dict):
        return set(one) == set(other) and all(same(value, other[key]) for key, value in one.items())
    return bool(one == other)


def test_the_script_has_the_numbers_of_the_picture(tmp_path: Path) -> None:
    """Run as a user would, in a process of its own; the files hold what the page would show, bit for bit."""
    pytest.importorskip("matplotlib")
    asked = [state(page.name, True, seed=3) for page in PAGES]
    asked.append(state("online", inputs="vanilla", K=3, M=2, units="relu", lr_v=0.1))
    for number, each in enumerate(asked):
        (tmp_path / f"script{number}.py").write_text(script(each), encoding="utf-8")
    program = (
        "import pickle, runpy, sys\n"
        "for number in range(int(sys.argv[1])):\n"
        "    names = runpy.run_path(f'script{number}.py')\n"
        "    with open(f'numbers{number}', 'wb') as file:\n"
        "        pickle.dump((names['curves'], names['run']), file)\n"
    )
    child = subprocess.run(
        [sys.executable, "-P", "-c", program, str(len(asked))],
        cwd=tmp_path,
        env={**os.environ, "MPLBACKEND": "agg", "PYTHONPATH": str(Path(hr.__file__).parents[1])},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert child.returncode == 0, child.stderr
    for number, each in enumerate(asked):
        curves, run = pickle.loads((tmp_path / f"numbers{number}").read_bytes())
        assert same(dict(theory(each)), curves)
        assert (run is not None) is each.overlay
        if run is not None:
            assert same(each.page.simulation(**each.values), run)
        assert (tmp_path / f"{each.page.name}.png").stat().st_size > 5000


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"inputs": "vanilla"},
        {"spectrum": "orthogonal"},
        {"units": "relu", "lr": 0.1},
        {"K": 3, "M": 1, "delta": 0.5},
    ],
    ids=str,
)
def test_online_theory_follows_the_simulation(changed) -> None:
    asked = state("online", N=400, t_max=30.0, delta=0.25, overlap=0.3) if not changed else None
    asked = asked or state("online", **{"N": 400, "t_max": 30.0, "delta": 0.25, "overlap": 0.3, **changed})
    solution, run = theory(asked)["solution"], asked.page.simulation(**asked.values)["run"]
    at = solution.interp(t=run.t.values)
    # Both start from the same overlaps: R exactly but for the spread of F's spectrum, O(1/sqrt D) = 0.1.
    np.testing.assert_allclose(run.R[0], at.R[0], atol=0.05)
    # Single runs at N = 400, D = 100 stray by O(1/sqrt D) from the limit.
    gap = np.abs(np.log(run.eg_analytic.values / at.eg.values))
    assert gap.max() < 0.35
    assert np.median(gap) < 0.15


@pytest.mark.parametrize("flip", [0.0, 0.05])
def test_hinge_theory_follows_the_simulation(flip) -> None:
    asked = state("hinge", N=3000, nodes=300, t_max=100.0, flip=flip)
    curves, run = theory(asked), asked.page.simulation(**asked.values)["run"]
    at = run.t.values[1:].astype(float)
    stored = curves["stored"].gamma.interp(t=at)
    # Finite width and samples shift gamma by O(1/sqrt 300, 1/sqrt 3000).
    np.testing.assert_allclose(run.gamma.values[1:], stored, atol=0.1)
    # 2000 test examples: a standard error of 0.011 at most, and as much again by the shift of gamma.
    np.testing.assert_allclose(run.test_unsatisfied.values[1:], curves["test"].interp(t=at), atol=0.05)


def test_replica_theory_follows_the_fits_and_stays_above_the_bound() -> None:
    asked = state("replica", p=120, repeats=10, loss="logistic", lam=0.01)
    curves, runs = theory(asked), asked.page.simulation(**asked.values)["runs"]
    expected = curves["curve"].test_error.interp(alpha=runs.alpha.values)
    spread = runs.test_error.std("seed") / np.sqrt(10)
    # Four standard errors of the mean, and 1/p for the finite size.
    np.testing.assert_array_less(np.abs(runs.test_error.mean("seed") - expected), 4 * spread + 2 / 120)
    bound = curves["optimal"].test_error
    assert (curves["curve"].test_error.interp(alpha=bound.alpha) >= bound - 1e-6).all()


def test_neurons_flow_to_the_attractors() -> None:
    asked = state("compression", neurons=30, alpha=1e-8, p=5000)
    lines = asked.page.lines(theory(asked), None)["neurons"]
    levels = np.array([line.y[0] for line in lines if line.style == "dashed"])
    last = np.array([line.y[-1] for line in lines if line.style == "solid"])
    last = last[np.isfinite(last)]
    near = np.abs(last[:, None] - levels).min(axis=1) < 0.25
    # Slow ones are still under way when the first examples are fitted.
    assert near.mean() > 0.7


def test_what_is_wrong_is_said_and_the_rest_is_drawn() -> None:
    diverging = state("online", units="relu", lr=10.0, t_max=200.0)
    answer = solved(diverging)
    assert "diverged" in answer.words
    assert answer.result is not None
    reached = answer.result["solution"].t.values[-1]
    assert reached < 200.0
    assert diverging.page.lines(answer.result, None)["eg"][0].x[-1] == reached

    inverted = solved(state("compression", xmin=1.0, xmax=-1.0))
    assert inverted.result is None
    assert "xm" in inverted.words
