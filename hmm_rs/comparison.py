"""Simulation beside theory: the gap, how large it may be and why, and a verdict."""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .ground.arguments import number, reals, shown
from .ground.errors import InvalidParameterError, ShapeError
from .ground.linear_algebra import eigh
from .ground.results import axis_of, leading, numbers_of, result_of, variable_of

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["compare"]

#: Variables that are compared unless one is named, in this order of preference.
_PREFERRED = ("eg", "test_error", "test_mse", "unsatisfied", "gamma", "train_error", "loss")

#: Variables that are fractions of examples: their sampling error is binomial.
_FRACTIONS = ("test_error", "train_error", "unsatisfied", "satisfied")

#: Share of the largest value that single precision may lose.
_ROUND_OFF = 1e-5

#: Combinations of times with less than this share of the largest spread's square are not counted.
_INDEPENDENT = 0.01


def compare(
    run: xr.Dataset,
    theory: xr.Dataset,
    *,
    variable: str | None = None,
    allowed: float | npt.ArrayLike | None = None,
    sigmas: float = 3.0,
) -> xr.Dataset:
    r"""Return gap, allowed gap and verdict for one variable of a simulation and its theory.

    Theory is read off at the simulation's own times (linearly in between, never beyond its ends).
    What is allowed is, in this order of preference,

    1. `allowed`, if given;
    2. `sigmas` times the standard error over the run's `seed` dimension;
    3. `sigmas` times the theory's own spread of single runs at finite size, ``<variable>_std``, and 1e-5 of the largest
       value for round-off; ``eg`` is then read off the order parameters of the run (``eg_analytic``) where it holds
       them, else the test set's sampling error is added in quadrature;
    4. `sigmas` times the sum in quadrature of the test set's sampling error
       (:math:`\sqrt2\,\epsilon_g/\sqrt n` of a squared error with Gaussian residuals, binomial for a fraction) and a
       fluctuation of order :math:`\epsilon_g/\sqrt N` of a single run.

    The last one is an order of magnitude, and the attribute ``why`` says so.

    Neighbouring times of a run fluctuate together, so that gaps at many times are few independent ones. Where theory
    holds ``<variable>_covariance`` between times (``solve(..., fluctuations=True)``), the verdict is that of one
    chi-square over all times instead: gaps in units of their spread are projected on the eigenvectors of their
    correlation matrix, those with less than a hundredth of the largest eigenvalue are left out (there the leading
    order itself decides), and the sum of squares over eigenvalues is compared with the distribution of as many
    independent numbers, at the probability at which one Gaussian number exceeds `sigmas`.

    Parameters
    ----------
    run
        Result of a simulation, or several along `seed`.
    theory
        Result of the matching solver.
    variable
        Name of what to compare; None: the first of eg, test_error, test_mse, unsatisfied, gamma, ... that both hold.
    allowed
        Allowed size of the gap: a number, or one for each time.
    sigmas
        How many standard errors are allowed.

    Returns
    -------
    xarray.Dataset
        ``run``, ``theory``, ``gap`` = run - theory, ``allowed`` and ``within`` (0 or 1) over the run's times; ``z`` =
        gap over its standard error where 2 or 3 hold. Attributes: ``verdict`` ("agrees" or "differs"), ``why``,
        ``largest_gap`` and its place, ``variable``; with a covariance also ``chi_square``, ``independent`` (the number
        of combinations of times that it sums over) and ``p_value``.

    Raises
    ------
    InvalidParameterError
        If the two share no variable, or no time.

    Examples
    --------
    >>> import hmm_rs as hr
    >>> model = hr.HiddenManifold(N=300, D=60)
    >>> sim = hr.OnlineSGD(model, hr.TwoLayer.random(2, 60), student=hr.TwoLayer.random(2, 300, seed=1), lr=0.2)
    >>> theory = hr.theory.HiddenManifoldODE.from_simulation(sim)
    >>> run = sim.run(5.0, save_at=[1.0, 2.0, 5.0])
    >>> hr.compare(run, theory.solve(run.t)).attrs["verdict"]
    'agrees'
    """
    import xarray as xr

    for name, given in (("run", run), ("theory", theory)):
        result_of(name, given)
    variable = _common_variable(run, theory, variable)
    sigmas = number("sigmas", sigmas, minimum=0.0, exclusive=True)
    own_spread = f"{variable}_std" in theory and allowed is None
    seeds = "seed" in run[variable].dims and run.sizes["seed"] > 1
    solved = variable_of("theory", theory, variable)
    # What chance does to the weights is in the order parameters; a test set adds its own.
    by_overlaps = own_spread and not seeds and variable == "eg" and "eg_analytic" in run
    measured = variable_of("run", run, "eg_analytic" if by_overlaps else variable)
    middle = measured.mean("seed") if "seed" in measured.dims else measured
    dim = leading(middle.dims)
    if dim is None:
        raise ShapeError(
            f"run.{variable} is one number: must be a curve; pass the whole run, or .isel(t=[-1]) for its last time"
        )
    middle = middle.transpose(dim, ...)
    times = _common_times(_places("run", measured, dim), theory, dim)
    for name, curve, beside in (("run", middle, solved), ("theory", solved, middle)):
        stray = [str(along) for along in curve.dims if along not in beside.dims]
        if stray:
            raise InvalidParameterError(
                f"{name}: its {variable} lies along {', '.join(map(str, curve.dims))}, that of "
                f"{'theory' if name == 'run' else 'run'} does not: must be the same; choose with "
                f"{name}.sel({stray[0]}=...), or average"
            )
    solved = numbers_of(f"theory.{variable}", solved, list(map(str, middle.dims)), axis=dim)
    if solved.shape[1:] != middle.shape[1:]:
        raise ShapeError(
            f"theory.{variable} has entries of shape {solved.shape[1:]}, that of run of {middle.shape[1:]}: must be "
            f"the same; solve theory for the run's own sizes"
        )
    _places("theory", solved, dim)
    middle = middle.sel({dim: times})
    predicted = _at(solved, times, dim)
    gap = middle - predicted.values
    if not np.isfinite(gap.values).any():
        raise InvalidParameterError(
            f"run and theory have no time with a finite {variable} in both: nothing to compare; solve "
            f"theory at run.{dim}"
        )

    error: Any = None
    limit: Any
    judged: dict[str, Any] = {}
    if allowed is not None:
        size = reals("allowed", allowed, infinite=True)
        if size.ndim and size.shape != gap.shape:
            raise ShapeError(
                f"allowed has shape {size.shape}: must be one number, or {gap.shape}, one for each compared value; "
                f"pass such an array"
            )
        limit = np.broadcast_to(size, gap.shape)
        why = "given"
    elif seeds:
        error = (measured.std("seed", ddof=1) / math.sqrt(measured.sizes["seed"])).sel({dim: times})
        limit, why = sigmas * error, f"{sigmas:g} standard errors over {measured.sizes['seed']} seeds"
    elif own_spread:
        known = _at(
            variable_of("theory", theory, f"{variable}_std", list(map(str, middle.dims)), axis=dim),
            times,
            dim,
        )
        sampling = np.zeros_like(gap.values) if by_overlaps else _sampling_error(run, predicted, variable)
        error = np.hypot(np.asarray(known), sampling)
        limit = sigmas * error + _ROUND_OFF * float(np.nanmax(np.abs(predicted)))
        why = f"{sigmas:g} times the theory's own spread at finite size"
        why += " and the test set's sampling error" if sampling.any() else ""
        if f"{variable}_covariance" in theory:
            covariance = _covariance(theory, variable, times, dim) + np.outer(sampling, sampling)
            judged = _chi_square(gap.values, covariance, sigmas)
    else:
        limit, why = _order_of_magnitude(run, predicted, variable, sigmas)

    values: dict[str, xr.DataArray] = {
        "run": middle,
        "theory": middle.copy(data=predicted.values),
        "gap": gap,
        "allowed": middle.copy(data=np.asarray(limit, dtype=np.float64)),
    }
    within = abs(values["gap"]) <= values["allowed"]
    values["within"] = within.astype(np.float64)
    if error is not None:
        one = np.asarray(error)
        values["z"] = gap.copy(data=np.divide(gap.values, one, out=np.zeros(gap.shape), where=one > 0.0))
    result = xr.Dataset({name: value.drop_attrs() for name, value in values.items()})
    place = int(np.nanargmax(np.fmax.reduce(np.abs(gap.values).reshape(len(times), -1), axis=1)))
    result.attrs.update(
        {
            "variable": variable,
            "verdict": "agrees" if bool(within.all()) else "differs",
            "why": why,
            "largest_gap": float(np.nanmax(np.abs(gap.values))),
            f"largest_gap_at_{dim}": float(times[place]),
            "source": "comparison",
            "cite": str(theory.attrs.get("cite", "")),
            **judged,
        }
    )
    return result


def _sampling_error(run: xr.Dataset, predicted: xr.DataArray, variable: str) -> npt.NDArray[np.float64]:
    """Return the sampling error of the run's test set; zero of what is not measured on one."""
    tests = _tests(_settings(run))
    level = np.abs(predicted.values)
    if tests is None or (variable != "eg" and variable not in _FRACTIONS):
        return np.zeros_like(level)
    if variable in _FRACTIONS:
        return np.asarray(np.sqrt(level * np.clip(1.0 - level, 0.0, 1.0) / tests))
    return np.asarray(math.sqrt(2.0 / tests) * level)


def _places(name: str, values: xr.DataArray, dim: str) -> npt.NDArray[np.float64]:
    """Return where the entries along `dim` lie, each of them once."""
    places = axis_of(name, values, dim)
    if len(np.unique(places)) < len(places):
        raise InvalidParameterError(
            f"{name}.{dim} holds a value twice: must be read off at each once; pass {name}.drop_duplicates({dim!r})"
        )
    return places


def _at(solved: xr.DataArray, times: npt.NDArray[Any], dim: str) -> xr.DataArray:
    """Return theory at the compared times, linearly in between its own."""
    return solved.interp({dim: times}) if solved.sizes[dim] > 1 else solved


def _covariance(
    theory: xr.Dataset, variable: str, times: npt.NDArray[Any], dim: str
) -> npt.NDArray[np.float64]:
    """Return the covariance between the compared times."""
    name = f"{variable}_covariance"
    others = [str(along) for along in theory[name].dims if along != dim]
    covariance = variable_of("theory", theory, name, (dim, *(others[:1] or ["t2"])), axis=dim)
    other = str(covariance.dims[1])
    if covariance.sizes[dim] == 1:
        return np.asarray(covariance.values, dtype=np.float64)
    _places("theory", covariance, other)
    return np.asarray(covariance.interp({dim: times, other: times}), dtype=np.float64)


def _chi_square(
    gap: npt.NDArray[Any], covariance: npt.NDArray[np.float64], sigmas: float
) -> dict[str, str | float]:
    """Return chi-square of gaps at correlated times, the number of its terms, its probability and the verdict."""
    from scipy.special import gammaincc

    spread = np.sqrt(np.maximum(np.diagonal(covariance), 0.0))
    kept = spread > 1e-9 * spread.max(initial=0.0)
    if not kept.any():
        return {}
    spread = spread[kept]
    sizes, vectors = eigh(np.ascontiguousarray(covariance[np.ix_(kept, kept)] / np.outer(spread, spread)))
    along = np.einsum("t,ti->i", gap[kept] / spread, vectors)
    counted = sizes > _INDEPENDENT * sizes.max()
    chi_square, terms = float((along[counted] ** 2 / sizes[counted]).sum()), int(counted.sum())
    probability = float(gammaincc(0.5 * terms, 0.5 * chi_square))
    noise = probability >= math.erfc(sigmas / math.sqrt(2.0))
    return {
        "chi_square": chi_square,
        "independent": terms,
        "p_value": probability,
        "verdict": "agrees" if noise else "differs",
        "why": f"chi-square of {terms} independent combinations of {kept.sum()} correlated times, at {sigmas:g} "
        f"standard deviations; the spread is the theory's own at finite size",
    }


def _common_variable(run: xr.Dataset, theory: xr.Dataset, variable: str | None) -> str:
    """Return the variable to compare."""
    shared = [str(name) for name in run.data_vars if name in theory.data_vars]
    if variable is None:
        found = next((name for name in _PREFERRED if name in shared), None)
    else:
        found = variable if isinstance(variable, str) and variable in shared else None
    if found is None:
        raise InvalidParameterError(
            f"variable = {shown(variable)}: run and theory must both hold it; they share {', '.join(shared) or 'none'}"
        )
    return found


def _common_times(times: npt.NDArray[Any], theory: xr.Dataset, dim: str) -> npt.NDArray[Any]:
    """Return those of the run's times that theory covers."""
    if dim not in theory.coords:
        raise InvalidParameterError(
            f"theory has no coordinate {dim!r}: must be over the run's axis; solve it at run.{dim}"
        )
    known = axis_of("theory", theory, dim)
    if not known.size:
        raise InvalidParameterError(f"theory holds no {dim}: must cover the run's; solve it at run.{dim}")
    slack = 1e-9 * max(1.0, float(np.abs(known).max()))
    covered: npt.NDArray[Any] = times[(times >= known.min() - slack) & (times <= known.max() + slack)]
    if len(covered) == 0:
        raise InvalidParameterError(
            f"theory covers {dim} = {known.min():g} to {known.max():g}: no time of the run lies there; "
            f"solve it at run.{dim}"
        )
    return covered


def _order_of_magnitude(
    run: xr.Dataset, predicted: xr.DataArray, variable: str, sigmas: float
) -> tuple[npt.NDArray[np.float64], str]:
    """Return the allowed gap of a single run from the sizes it was made with, and the reason."""
    settings = _settings(run)
    size, tests = _inputs(settings), _tests(settings)
    level = np.abs(predicted.values)
    parts, reasons = np.zeros_like(level), []
    if tests is not None:
        sampling = (
            np.sqrt(level * np.clip(1 - level, 0, 1)) if variable in _FRACTIONS else math.sqrt(2) * level
        )
        parts = parts + sampling**2 / tests
        reasons.append(f"the sampling error of {tests} test examples")
    if size is not None:
        parts = parts + np.nanmax(level) ** 2 / size
        reasons.append(f"a fluctuation of order 1/sqrt({size}) of one run")
    if not reasons:
        raise InvalidParameterError(
            "allowed = None: the run says neither its size nor its test set, and has no seeds; pass allowed="
        )
    return sigmas * np.sqrt(parts), f"{sigmas:g} times " + " and ".join(reasons) + " (an order of magnitude)"


def _settings(run: xr.Dataset) -> dict[str, Any]:
    """Return what the run was asked for."""
    told = run.attrs.get("settings", "{}")
    try:
        settings = json.loads(told)
    except (TypeError, ValueError, RecursionError):
        settings = None
    if not isinstance(settings, dict):
        raise InvalidParameterError(
            f"run.attrs['settings'] = {shown(told)}: must be the JSON of a run's settings; pass the run as it was "
            "returned, or allowed="
        )
    return settings


def _tests(settings: dict[str, Any]) -> int | None:
    """Return the number of test examples of a run, if it had any."""
    tests = settings.get("test_size")
    return tests if type(tests) is int and tests > 0 else None


def _inputs(settings: dict[str, Any]) -> int | None:
    """Return the number of inputs (or nodes) of a run, if its settings say it."""
    for value in settings.values():
        found = re.search(r"\bN=([1-9]\d{0,15})\b", value) if isinstance(value, str) else None
        if found:
            return int(found.group(1))
    return None
