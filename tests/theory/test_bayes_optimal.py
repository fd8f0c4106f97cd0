"""The Bayes-optimal error: below everything, met where something is optimal, equal to a twin by quadrature."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate
from scipy.special import expit, ndtr

import hmm_rs as hr
from hmm_rs.errors import InvalidParameterError
from hmm_rs.testing import spectra
from hmm_rs.theory import replica
from hmm_rs.theory.replica import Spectrum, bayes_optimal, state_evolution

ISOTROPIC = Spectrum([1.0], [1.0], [1.0], 1.0)
THREE = Spectrum([2.0, 1.0, 0.25], [0.25, 0.5, 0.25], [0.6, 0.3, 0.05], 1.3)

pytestmark = pytest.mark.filterwarnings("ignore:noise = :FutureWarning")


# --- a twin: plain iteration, the definition of the Fisher information, adaptive quadrature ----


def normal(x, variance):
    return math.exp(-x * x / (2 * variance)) / math.sqrt(2 * math.pi * variance)


def labels(teacher, flip, V):
    """Probability of +1 given omega, and its slope."""
    if teacher == "sign":
        clean = lambda w: ndtr(w / math.sqrt(V))  # noqa: E731
        slope = lambda w: normal(w, V)  # noqa: E731
    else:
        # Steps of 0.01 resolve a sigmoid in sqrt(V) u up to V of some hundreds.
        u = np.linspace(-9.0, 9.0, 1801)
        weights = np.exp(-(u**2) / 2)
        weights = weights / weights.sum()
        clean = lambda w: float(weights @ expit(w + math.sqrt(V) * u))  # noqa: E731
        slope = lambda w: float(  # noqa: E731
            weights @ (expit(w + math.sqrt(V) * u) * expit(-w - math.sqrt(V) * u))
        )
    return lambda w: flip + (1 - 2 * flip) * clean(w), lambda w: (1 - 2 * flip) * slope(w)


def twin(spectrum, alpha, teacher, flip, noise):
    omega, c, t, rho = spectrum.atoms
    s = t / omega / c
    q = 0.0
    for _ in range(2000):
        V = rho + noise**2 - q
        if teacher == "linear":
            information = 1 / V
        else:
            Z, slope = labels(teacher, flip, V)
            reach = 9 * math.sqrt(q)
            if q == 0:
                information = slope(0.0) ** 2 / (Z(0.0) * (1 - Z(0.0)))
            else:
                # Both labels at once: Z'^2 (1/Z + 1/(1-Z)).
                information = integrate.quad(
                    lambda w: normal(w, q) * slope(w) ** 2 / (Z(w) * Z(-w)),  # noqa: B023
                    -min(reach, 8 * math.sqrt(V + 3)),
                    min(reach, 8 * math.sqrt(V + 3)),
                    epsabs=1e-12,
                    epsrel=1e-11,
                    limit=300,
                )[0]
        q_hat = alpha * information
        new = float((c * s**2 * q_hat / (1 + s * q_hat)).sum())
        if abs(new - q) < 1e-12:
            break
        q = new
    return q


@pytest.mark.parametrize(
    ("teacher", "flip", "noise"),
    [
        ("sign", 0.0, 0.0),
        ("sign", 0.1, 0.0),
        ("sign", 0.02, 0.5),
        ("linear", 0.0, 0.0),
        ("linear", 0.0, 0.4),
        ("logit", 0.0, 0.0),
        ("logit", 0.05, 0.3),
    ],
)
def test_twin(teacher, flip, noise):
    for alpha in (0.3, 2.0, 15.0):
        ours = bayes_optimal(THREE, alpha=alpha, teacher=teacher, flip=flip, noise=noise)
        # The twin's quadrature reaches over eight widths: 1e-14 of the mass and some of its tail's ratio.
        assert ours.q == pytest.approx(twin(THREE, alpha, teacher, flip, noise), rel=1e-8)
        assert ours.residual < 1e-12


@pytest.mark.parametrize("V", [0.05, 3.9, 4.1, 60.0])
@pytest.mark.parametrize("q", [1e-6, 0.5, 30.0, 1e4])
def test_logit_information_and_error_at_any_scale(V, q):
    from hmm_rs.theory.replica.teachers import logit_error, logit_information

    Z, slope = labels("logit", 0.03, V)
    reach = min(9 * math.sqrt(q), 9 * math.sqrt(V) + 40)
    points = [x for x in (-3.0, 0.0, 3.0) if abs(x) < reach]
    information = integrate.quad(
        lambda w: normal(w, q) * slope(w) ** 2 / (Z(w) * Z(-w)), -reach, reach, points=points, limit=400
    )[0]
    assert logit_information(V, q, 0.03) == pytest.approx(information, rel=1e-8)
    error = (
        2
        * integrate.quad(
            lambda w: normal(w, q) * Z(-w), 0, 9 * math.sqrt(q), points=[min(3.0, math.sqrt(q))], limit=400
        )[0]
    )
    assert logit_error(V, q, 0.03) == pytest.approx(error, rel=1e-8)


# --- known values and limits ---------------------------------------------------------------------


def test_isotropic_sign_teacher_has_the_known_errors():
    curve = bayes_optimal(ISOTROPIC, alpha=[1.0, 2.0, 5.0, 10.0])
    assert curve.test_error.values == pytest.approx([0.25437, 0.17453, 0.08394, 0.04357], abs=5e-6)


def test_many_examples_of_an_isotropic_sign_teacher():
    # V = 1/q_hat and q_hat = alpha J/(pi sqrt V): the error sqrt(V)/pi is 1/(J alpha).
    integral = integrate.quad(
        lambda u: math.exp(-u * u / 2) * normal(u, 1.0) / ndtr(u), -20, 20, epsrel=1e-12
    )[0]
    point = bayes_optimal(ISOTROPIC, alpha=1e6)
    # Corrections are of relative order V = (pi/(J alpha))^2.
    assert point.test_error * 1e6 == pytest.approx(1 / integral, rel=1e-9)
    assert 1 / integral == pytest.approx(0.442, abs=5e-4)


@pytest.mark.parametrize(("teacher", "flip"), [("sign", 0.0), ("sign", 0.2), ("logit", 0.0)])
def test_few_examples(teacher, flip):
    alpha = 1e-6
    point = bayes_optimal(THREE, alpha=alpha, teacher=teacher, flip=flip)
    omega, c, t, rho = THREE.atoms
    if teacher == "sign":
        information = 2 * (1 - 2 * flip) ** 2 / (math.pi * rho)
    else:
        slope = integrate.quad(lambda x: normal(x, rho) * expit(x) * expit(-x), -30, 30)[0]
        information = 4 * slope**2
    # First order in alpha: q = alpha F(rho, 0) sum_j t_j^2/(omega_j^2 c_j).
    q = alpha * information * float((t**2 / omega**2 / c).sum())
    assert point.q == pytest.approx(q, rel=1e-5)
    assert point.test_error_clean == pytest.approx(0.5 - math.sqrt(q / rho) / math.pi, rel=1e-6)


def test_nothing_is_learnt_from_random_labels_or_of_an_unseen_teacher():
    assert bayes_optimal(THREE, alpha=3.0, flip=0.5).test_error == 0.5
    unseen = Spectrum([1.0], [1.0], [0.0], 1.0)
    assert bayes_optimal(unseen, alpha=3.0).test_error == 0.5
    assert bayes_optimal(unseen, alpha=3.0, teacher="linear", noise=0.5).test_mse == pytest.approx(1.25)


def test_a_noiseless_linear_teacher_is_known_from_as_many_examples_as_directions():
    # The teacher uses 60 % of the directions.
    spectrum = Spectrum([2.0, 0.5], [0.6, 0.4], [1.0, 0.0], 0.5)
    curve = bayes_optimal(spectrum, alpha=[0.3, 0.59, 0.61, 2.0], teacher="linear")
    assert curve.test_mse.values[:2] == pytest.approx([0.25, 0.5 / 60], rel=1e-9)
    assert (curve.test_mse.values[2:] == 0.0).all()
    assert np.isinf(curve.q_hat.values[2:]).all()


def test_strong_fields_make_a_logit_teacher_a_sign_teacher():
    strong = Spectrum([1.0], [1.0], [1e8], 1e8)
    logit = bayes_optimal(strong, alpha=2.0, teacher="logit")
    # Labels differ where the field is of order one: a share of 1e-4.
    assert logit.test_error == pytest.approx(bayes_optimal(ISOTROPIC, alpha=2.0).test_error, rel=1e-3)


def test_a_wide_field_of_noise_makes_a_logit_teacher_a_noisy_sign_teacher():
    # A logistic variable has variance pi^2/3; beside a Gaussian of variance 400 its shape does not matter.
    logit = bayes_optimal(Spectrum([1.0], [1.0], [30.0], 30.0), alpha=2.0, teacher="logit", noise=20.0)
    sign = bayes_optimal(
        Spectrum([1.0], [1.0], [30.0], 30.0), alpha=2.0, noise=math.sqrt(400 + math.pi**2 / 3)
    )
    # What is left is the fourth cumulant, 2 pi^4/15 of (400)^2.
    assert logit.q == pytest.approx(sign.q, rel=2e-4)


# --- below everything, and met where something is optimal ------------------------------------


@settings(max_examples=40)
@given(
    spectrum=spectra(),
    alpha=st.floats(0.05, 20.0),
    lam=st.floats(1e-3, 10.0),
    loss=st.sampled_from(["ridge", "square", "logistic", "hinge"]),
    flip=st.sampled_from([0.0, 0.05, 0.3]),
    noise=st.sampled_from([0.0, 0.4]),
)
def test_nothing_is_better(spectrum, alpha, lam, loss, flip, noise):
    if loss == "ridge":
        best = bayes_optimal(spectrum, alpha=alpha, teacher="linear", noise=noise)
        other = replica.solve(spectrum, loss=loss, alpha=alpha, lam=lam, noise=noise)
        # 1e-9: both sides are fixed points to a relative 1e-10.
        assert best.test_mse <= other.test_mse * (1 + 1e-9)
        return
    best = bayes_optimal(spectrum, alpha=alpha, flip=flip, noise=noise)
    other = replica.solve(spectrum, loss=loss, alpha=alpha, lam=lam, flip=flip, noise=noise)
    assert best.test_error <= other.test_error * (1 + 1e-9)
    assert best.test_error_clean <= other.test_error_clean * (1 + 1e-9)


@settings(max_examples=15)
@given(spectrum=spectra(), alpha=st.floats(0.05, 0.9))
def test_no_limit_and_no_tuning_is_better(spectrum, alpha):
    best = bayes_optimal(spectrum, alpha=alpha)
    if alpha < 0.8 * replica.separability_threshold(spectrum):
        assert best.test_error <= replica.max_margin(spectrum, alpha=alpha).test_error * (1 + 1e-9)
    linear = bayes_optimal(spectrum, alpha=alpha, teacher="linear")
    if abs(alpha - spectrum.rank) > 0.01:
        assert linear.test_mse <= replica.ridgeless(spectrum, alpha=alpha).test_mse * (1 + 1e-9)
    assert linear.test_mse <= replica.optimal_ridge(spectrum, loss="ridge", alpha=alpha).test_mse * (1 + 1e-9)


@pytest.mark.parametrize("alpha", [0.2, 0.9, 1.0, 3.0])
def test_ridge_is_optimal_where_the_prior_is_isotropic(alpha):
    # Weights of one variance on every feature, t_j = c_j omega_j^2, and Gaussian noise: the posterior mean is ridge
    # with lam = noise variance.
    omega, c = np.array([3.0, 1.0, 0.2]), np.array([0.2, 0.3, 0.5])
    spectrum = Spectrum(omega, c, c * omega**2, float(c @ omega))
    noise = 0.6
    best = bayes_optimal(spectrum, alpha=alpha, teacher="linear", noise=noise)
    ridge = replica.solve(spectrum, loss="ridge", alpha=alpha, lam=noise**2, noise=noise)
    assert best.test_mse == pytest.approx(ridge.test_mse, rel=1e-10)
    assert best.q == pytest.approx(ridge.q, rel=1e-10)
    tuned = replica.optimal_ridge(spectrum, loss="ridge", alpha=alpha, noise=noise)
    assert best.test_mse == pytest.approx(tuned.test_mse, rel=1e-10)


@settings(max_examples=25)
@given(
    spectrum=spectra(),
    teacher=st.sampled_from(["sign", "linear", "logit"]),
    alpha=st.floats(0.1, 5.0),
    noise=st.floats(0.0, 1.0),
)
def test_examples_help_and_noise_harms(spectrum, teacher, alpha, noise):
    error = "test_mse" if teacher == "linear" else "test_error"
    curve = bayes_optimal(spectrum, alpha=[alpha, 1.5 * alpha, 4 * alpha], teacher=teacher, noise=noise)
    assert (np.diff(curve[error].values) <= 1e-12).all()
    assert (np.diff(curve.q.values) >= -1e-12).all()
    noisier = bayes_optimal(spectrum, alpha=alpha, teacher=teacher, noise=noise + 0.3)
    assert noisier[error] >= float(curve[error][0]) * (1 - 1e-12)
    assert noisier.q <= float(curve.q[0]) * (1 + 1e-12)


@settings(max_examples=20)
@given(
    spectrum=spectra(), teacher=st.sampled_from(["sign", "linear", "logit"]), flip=st.sampled_from([0.0, 0.1])
)
def test_state_evolution_climbs_to_the_fixed_point(spectrum, teacher, flip):
    # It starts from no knowledge and is monotone: its limit is the smallest fixed point, what an algorithm reaches.
    flip = 0.0 if teacher == "linear" else flip
    path = state_evolution(spectrum, alpha=1.5, steps=400, teacher=teacher, flip=flip)
    assert (np.diff(path.q.values) >= -1e-12).all()
    limit = bayes_optimal(spectrum, alpha=1.5, teacher=teacher, flip=flip)
    assert float(path.q[-1]) == pytest.approx(limit.q, rel=1e-6)
    assert float(path.q[0]) == 0.0


# --- the shape of answers, units, errors --------------------------------------------------------


def test_answers_have_the_shape_of_other_curves():
    point = bayes_optimal(THREE, alpha=2.0)
    curve = bayes_optimal(THREE, alpha=[2.0, 1.0])
    assert curve.alpha.values.tolist() == [2.0, 1.0]
    assert {name: float(curve[name][0]) for name in curve} == {
        name: float(value) for name, value in point.items()
    }
    other = replica.learning_curve(THREE, [2.0, 1.0], loss="logistic", lam=0.1)
    assert {"q", "m", "V", "q_hat", "test_error", "test_error_clean", "converged"} <= set(other) & set(curve)
    assert (curve.test_error < other.test_error).all()
    assert point.to_dataset().test_error.dims == ("alpha",)


def test_ridge_is_another_name_of_the_linear_teacher():
    named = bayes_optimal(THREE, alpha=2.0, teacher="ridge", noise=0.2)
    assert dict(named) == dict(bayes_optimal(THREE, alpha=2.0, teacher="linear", noise=0.2))


@pytest.mark.parametrize("scale", [1e-150, 1e-3, 1e3, 1e150])
def test_units_do_not_matter(scale):
    omega, c, t, rho = THREE.atoms
    features = Spectrum(omega * scale, c, t * scale, rho)
    field = Spectrum(omega, c, t * scale, rho * scale)
    for kind, error in (("sign", "test_error"), ("linear", "test_mse")):
        plain = bayes_optimal(THREE, alpha=1.3, teacher=kind, noise=0.2)
        same = bayes_optimal(features, alpha=1.3, teacher=kind, noise=0.2)
        assert same[error] == pytest.approx(plain[error], rel=1e-12)
        scaled = bayes_optimal(field, alpha=1.3, teacher=kind, noise=0.2 * math.sqrt(scale))
        unit = scale if kind == "linear" else 1.0
        assert scaled[error] == pytest.approx(plain[error] * unit, rel=1e-12)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"alpha": 0.0}, "alpha = 0"),
        ({"alpha": [1.0, -1.0]}, "alpha = -1"),
        ({"teacher": "probit"}, "teacher = 'probit'"),
        ({"flip": 0.6}, "flip = 0.6"),
        ({"teacher": "linear", "flip": 0.1}, "flip = 0.1"),
        ({"noise": 1e200}, "noise = 1e\\+200"),
    ],
)
def test_refused(options, message):
    with pytest.raises(InvalidParameterError, match=message):
        bayes_optimal(THREE, **{"alpha": 1.0, **options})


def test_labels_without_a_teacher_are_warned_of():
    rng = np.random.default_rng(0)
    v = rng.standard_normal((400, 5))
    labels_spectrum = Spectrum.from_data(v, np.sign(v[:, 0] + 0.05 * rng.standard_normal(400)))
    crowded = Spectrum([1.0], [1.0], [0.9], 1.0, from_labels=True)
    assert labels_spectrum.from_labels
    with pytest.warns(UserWarning, match="no Gaussian teacher") as caught:
        bayes_optimal(crowded, alpha=1.0)
    assert caught[0].filename == __file__
    bayes_optimal(crowded, alpha=1.0, teacher="linear")


def test_a_curve_of_twenty_points_is_quick():
    import time

    spectrum = Spectrum.random_features(1.5, (0.8, 0.6), nodes=1000)
    alphas = np.geomspace(0.1, 20, 20)
    bayes_optimal(spectrum, alpha=[1.0], teacher="logit")
    start = time.perf_counter()
    bayes_optimal(spectrum, alpha=alphas, teacher="logit")
    # 0.1 s on an idle core; ten times that on a crowded machine.
    assert time.perf_counter() - start < 1.0
    assert hr.theory.replica.bayes_optimal is bayes_optimal
