"""Gaussian equivalence: conditions, bounds, distances, and the cases that must fail."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import integrate, stats
from scipy.special import erf, ndtr

import hmm_rs as hr
from hmm_rs.errors import InvalidParameterError, ResourceError, ShapeError
from hmm_rs.measure.equivalence import bounds, distances, harness
from hmm_rs.theory import equivalence, replica

REFERENCE = json.loads((Path(__file__).parents[1] / "reference" / "gaussian-equivalence.json").read_text())
NAMES = {"sign": "sign", "relu": "relu", "tanh": "tanh", "erf_over_sqrt2": "erf"}


def unit_rows(N, D, seed=0):
    F = np.random.default_rng(seed).standard_normal((N, D))
    return F / np.linalg.norm(F, axis=1, keepdims=True)


@pytest.mark.parametrize("case", REFERENCE["kappa"], ids=lambda c: f"{c['activation']}-{c['gain']}")
def test_reference_kappas(case):
    # "erf" of the reference is erf(x): ours is erf(x/sqrt 2), so a gain of sqrt 2 more.
    f, gain = ("erf", math.sqrt(2)) if case["activation"] == "erf" else (NAMES[case["activation"]], 1.0)
    ours = equivalence.kappas(f, gain=gain * case["gain"])
    expected = [case["kappa0"], case["kappa1"], case["kappa_star"]]
    assert ours == pytest.approx(expected, rel=REFERENCE["meta"]["kappa_rtol"], abs=1e-12)


@pytest.mark.parametrize("case", REFERENCE["kernel"], ids=lambda c: str(c["r"]))
def test_reference_kernels(case):
    for name, f in (("sign", "sign"), ("erf_over_sqrt2", "erf"), ("relu_centred", "relu")):
        ours = float(equivalence.kernel(case["r"], f))
        assert ours == pytest.approx(case[name], rel=REFERENCE["meta"]["kernel_rtol"], abs=1e-12)


@pytest.mark.parametrize("f", ["erf", "relu"])
def test_reference_stein_kernel(f):
    for case in REFERENCE["get"]["S_erf_over_sqrt2" if f == "erf" else "S_relu"]:
        ours = float(equivalence.stein_kernel(case["u"], f))
        assert ours == pytest.approx(case["S"], rel=REFERENCE["get"]["rtol"])


def test_reference_distances():
    case = REFERENCE["get"]["mmd2"]
    assert equivalence.mmd2(case["points"], bandwidth=case["bandwidth"]) == pytest.approx(
        case["value"], rel=1e-7
    )
    case = REFERENCE["get"]["ks_standardised"]
    assert equivalence.kolmogorov_distance(case["x"]) == pytest.approx(case["value"], rel=1e-7)


@pytest.mark.parametrize("case", REFERENCE["crude"], ids=lambda c: c["name"])
def test_reference_crude_bound(case):
    F, w, f = np.array(case["F_normalised"]), case["w"], NAMES[case["activation"]]
    numbers = equivalence.conditions(F, w, f=f)
    expected = case["expected"]
    assert numbers["operator_norm"] == pytest.approx(expected["op_norm"], rel=case["rtol"])
    assert numbers["incoherence"] == pytest.approx(expected["incoherence"], rel=case["rtol"])
    assert numbers["variance"] == pytest.approx([expected["var"]], rel=case["rtol"])
    bound = equivalence.crude_bound(F, w, f)
    assert bound == pytest.approx([expected["crude_kolmogorov_bound"]], rel=case["rtol"])


@pytest.mark.parametrize(
    ("f", "gain"), [("erf", 1.0), ("erf", 0.6), ("relu", 1.0), ("relu", 1.7), ("tanh", 1.0), ("tanh", 0.5)]
)
@pytest.mark.parametrize("u", [-1.3, 0.0, 0.4, 2.2])
def test_stein_kernel_by_its_definition(f, gain, u):
    """-D L^-1 G by the Ornstein-Uhlenbeck semigroup, integrated adaptively: no code shared."""
    slope = {
        "erf": lambda x: gain * math.sqrt(2 / math.pi) * math.exp(-((gain * x) ** 2) / 2),
        "relu": lambda x: gain * (x > 0),
        "tanh": lambda x: gain / math.cosh(gain * x) ** 2,
    }[f]

    def inner(t):
        kink = -t * u / math.sqrt(1 - t * t) if t < 1 else 0.0
        return sum(
            integrate.quad(
                lambda x: (
                    slope(t * u + math.sqrt(1 - t * t) * x) * math.exp(-x * x / 2) / math.sqrt(2 * math.pi)
                ),
                a,
                b,
                epsabs=1e-11,
            )[0]
            for a, b in ((-9, max(-9, min(9, kink))), (max(-9, min(9, kink)), 9))
        )

    expected = integrate.quad(inner, 0, 1, epsabs=1e-9, limit=200)[0]
    assert float(equivalence.stein_kernel(u, f, gain=gain)) == pytest.approx(expected, abs=1e-7)


@pytest.mark.parametrize("f", ["erf", "relu", "tanh", "identity"])
def test_bound_passes_its_self_check(f):
    F, w = unit_rows(120, 60), np.random.default_rng(1).standard_normal((3, 120))
    bound = equivalence.stein_bound(F, w, f, teacher=np.random.default_rng(2).standard_normal(60))
    # E T = s^2 exactly; tanh has a linearised s^2, good to a few per mille at this size.
    slack = 0.02 if f == "tanh" else 1e-9
    assert np.all(np.abs(bound["self_check"] - 1) < 4.5 * bound["self_check_error"] + slack)
    if f == "identity":
        assert bound["beta"].max() < 1e-9  # a linear field is Gaussian


def test_bound_with_row_norms_is_the_bound_of_scaled_functions():
    """Rows of norm s are unit rows with f(s x); checked through the sample variance of the field."""
    rng = np.random.default_rng(3)
    F = unit_rows(60, 30) * rng.uniform(0.5, 1.5, 60)[:, None]
    w = rng.standard_normal(60)
    bound = equivalence.stein_bound(F, w, "erf", n_samples=4000)
    z = rng.standard_normal((200_000, 30))
    field = erf(z @ F.T / math.sqrt(2)) @ w / math.sqrt(60)
    # Sampling error of a variance: sqrt(2/n) = 0.003.
    assert field.var() == pytest.approx(bound["variance"][0], rel=0.015)
    assert abs(bound["self_check"][0] - 1) < 4.5 * bound["self_check_error"][0]
    assert equivalence.kolmogorov_distance(field) < bound["kolmogorov"][0]


def test_published_betas():
    """Mean over weights at N/D = 2 (theory note 2.3): 0.207, 0.118, 0.058 for erf at N = 25, 100, 400."""
    for N, beta in ((25, 0.207), (100, 0.118), (400, 0.058)):
        w = np.random.default_rng(N).standard_normal((12, N))
        bound = equivalence.stein_bound(unit_rows(N, N // 2, N), w, "erf", n_samples=4000)
        # One matrix F here, several there: beta scatters by 15 % at N = 25.
        assert bound["beta"].mean() == pytest.approx(beta, rel=0.2)


@pytest.mark.parametrize("f", ["erf", "sign", "relu"])
def test_rates(f):
    result = equivalence.rates([25, 50, 100, 200], f=f, n_samples=150_000, draws=8, seed=1)
    assert -1.3 < result.attrs["kurtosis_slope"] < -0.6
    if f != "sign":
        # The bound holds in every run, up to twice what sampling alone gives.
        assert (result.beta > result.ks - 2 * result.attrs["ks_floor"]).all()
        assert -0.7 < result.attrs["beta_slope"] < -0.3


def test_weights_of_one_sign_are_the_slow_case():
    result = equivalence.rates([50, 200], f="relu", weights="equal", n_samples=200_000)
    # Edgeworth: a skewed field is |skewness|/(6 sqrt(2 pi)) away, here to 20 %.
    predicted = np.abs(result.skewness) / (6 * math.sqrt(2 * math.pi))
    assert np.all(np.abs(result.ks / predicted - 1) < 0.2)
    assert result.ks.values.min() > 8 * result.attrs["ks_floor"]


@pytest.mark.parametrize(("f", "kurtosis", "ks"), [("erf", -1.2, 0.058), ("sign", -2.0, 0.34)])
def test_localised_weights_fail_at_every_size(f, kurtosis, ks):
    result = equivalence.rates([25, 100, 400], f=f, weights="localised", n_samples=50_000, bound_samples=500)
    assert result.excess_kurtosis.values == pytest.approx(kurtosis, abs=0.03)
    assert result.ks.values == pytest.approx(ks, abs=0.01)
    assert abs(result.attrs["kurtosis_slope"]) < 0.02


def test_repeated_rows_count_once():
    F = np.repeat(unit_rows(8, 100), 25, axis=0)
    model = hr.HiddenManifold(200, 100, F=F * 10, f="erf", normalise_rows=True)
    w = np.random.default_rng(0).standard_normal(200)
    result = equivalence.test_gaussian_equivalence(model, w, n_samples=50_000)
    assert result.attrs["gaussian"] == 0
    assert result.attrs["incoherence"] == pytest.approx(1.0)
    assert float(result.excess_kurtosis[0]) < -0.1


def test_harness_on_a_wide_model():
    rng = np.random.default_rng(0)
    N, D = 400, 200
    model = hr.HiddenManifold(N, D, f="erf", normalise_rows=True)
    result = equivalence.test_gaussian_equivalence(
        model, rng.standard_normal((2, N)), teacher=rng.standard_normal((2, D)), n_samples=60_000
    )
    pull = (result.covariance - result.covariance_theory) / result.covariance_error
    assert float(np.abs(pull).max()) < 4.5
    assert result.attrs["gaussian"] == 1
    assert result.attrs["ks_max"] < 2.5 * result.attrs["ks_floor"]
    assert result.attrs["ks_max"] < result.attrs["beta_max"] + 2 * result.attrs["ks_floor"]
    # Noise of the estimate at 4000 points is about 5e-5 in two dimensions; four fields have more of it.
    assert abs(result.attrs["mmd2"]) < 5e-4
    assert list(result["name"].values) == ["student 0", "student 1", "teacher 0", "teacher 1"]
    assert result.attrs["row_norm"] < 1e-12


def test_harness_on_exactly_gaussian_and_localised_fields():
    model = hr.HiddenManifold(60, 30, f="sign", normalise_rows=True)
    control = hr.GaussianEquivalent(model)
    w = np.random.default_rng(0).standard_normal(60)
    assert equivalence.test_gaussian_equivalence(control, w, n_samples=50_000).attrs["gaussian"] == 1
    localised = equivalence.test_gaussian_equivalence(model, np.eye(60)[0], n_samples=50_000)
    assert localised.attrs["gaussian"] == 0
    assert localised.attrs["ks_max"] == pytest.approx(0.34, abs=0.01)
    assert "beta" not in localised


def test_harness_repeats_and_blocks_do_not_matter(monkeypatch):
    model = hr.HiddenManifold(50, 20, f="relu")
    w = np.random.default_rng(0).standard_normal(50)
    a = equivalence.test_gaussian_equivalence(model, w, n_samples=3000, seed=5)
    monkeypatch.setattr(harness, "BLOCK", 1 << 14)
    monkeypatch.setattr(bounds, "BLOCK", 1 << 14)
    b = equivalence.test_gaussian_equivalence(model, w, n_samples=3000, seed=5)
    assert np.allclose(a.covariance, b.covariance, rtol=1e-12)
    assert np.allclose(a.ks, b.ks, rtol=1e-9)


def test_distances_against_scipy():
    x = np.random.default_rng(0).exponential(size=500)
    z = (x - x.mean()) / x.std()
    assert equivalence.kolmogorov_distance(x) == pytest.approx(stats.kstest(z, "norm").statistic, rel=1e-12)
    assert equivalence.skewness(x) == pytest.approx(stats.skew(x), rel=1e-12)
    assert equivalence.excess_kurtosis(x) == pytest.approx(stats.kurtosis(x), rel=1e-12)
    gaussian = np.random.default_rng(1).standard_normal((3000, 2))
    assert abs(equivalence.mmd2(gaussian)) < 5e-4
    assert equivalence.mmd2(gaussian * 1.5) > 5e-3


def test_incoherence_and_operator_norm_of_random_rows():
    numbers = equivalence.conditions(unit_rows(400, 200), np.ones(400), teacher=np.ones(200))
    # A leading-order formula for the largest of 80000 overlaps: 0.31 measured against 0.35.
    assert numbers["incoherence"] == pytest.approx(math.sqrt(4 * math.log(400) / 200), rel=0.25)
    assert numbers["operator_norm"] == pytest.approx(numbers["operator_norm_random"], rel=0.02)
    assert numbers["teacher_norm"] == pytest.approx([1.0])
    assert numbers["delocalisation"] == pytest.approx([1 / 20])


# --- diagnose -----------------------------------------------------------------------------------


def clusters(a, p, seed=0):
    """v = +-a e + g, nu = e.v + noise of variance 0.4: bimodal for large a."""
    e = np.zeros(p)
    e[0] = 1.0

    def draw(n, stream):
        rng = np.random.default_rng([seed, stream])
        v = rng.standard_normal((n, p))
        v[:, 0] += a * rng.choice([-1.0, 1.0], n)
        return v[:, 0] + math.sqrt(0.4) * rng.standard_normal(n), v

    return hr.dynamics.full_batch.SampledFeatures(draw, p=p), replica.Spectrum.from_b(
        np.eye(p) + a * a * np.outer(e, e), (1 + a * a) * e, 1 + a * a + 0.4
    )


def test_the_case_that_must_fail_fails_and_is_diagnosed():
    p, alpha, lam = 100, 2.0, 0.1
    for a, fails in ((0.0, False), (4.0, True)):
        features, spectrum = clusters(a, p)
        nu, _ = features.fields(20_000, 7)
        verdict = equivalence.diagnose(spectrum, nu=nu, loss="logistic", alpha=alpha, lam=lam)
        assert verdict["trustworthy"] is not fails
        options = {"lam": lam, "repeats": 12, "test_size": 20_000}
        curve = hr.dynamics.full_batch.full_batch_curve
        simulated = float(curve(features, [alpha], loss="logistic", **options).test_error.mean())
        theory = replica.solve(spectrum, loss="logistic", alpha=alpha, lam=lam)["test_error"]
        if fails:
            assert verdict["kurtosis"] == pytest.approx(-1.69, abs=0.05)
            assert "bimodal" in verdict["findings"][0]
            assert theory > 10 * simulated
        else:
            assert theory == pytest.approx(simulated, abs=0.015)
        # Second moments are all that ridge regression sees.
        assert equivalence.diagnose(spectrum, nu=nu, loss="ridge")["trustworthy"]
        ridge = float(curve(features, [alpha], loss="ridge", **options).test_mse.mean())
        assert replica.solve(spectrum, loss="ridge", alpha=alpha, lam=lam)["test_mse"] == pytest.approx(
            ridge, rel=0.05
        )


def test_what_fails_is_answered_with_the_theory_of_clusters():
    p, options = 100, {"alpha": 2.0, "lam": 0.1}
    features, spectrum = clusters(4.0, p)
    nu, v = features.fields(20_000, 7)
    verdict = equivalence.diagnose(nu=nu, v=v, loss="logistic")
    assert "replica.Mixture.from_samples" in verdict["findings"][0]
    # Clusters of one width: +-4 along the axis scatters less than a Gaussian of variance 17, (264 - 776)/116^2.
    assert verdict["scatter_of_lengths"] == pytest.approx(-512 / 116**2, rel=0.1)
    mixture = replica.Mixture.from_samples(nu, v, v[:, 0] > 0, shared=True)
    theory = replica.solve(mixture, loss="logistic", **options)["test_error"]
    runs = hr.experiments.full_batch.full_batch_curve(
        features, [2.0], loss="logistic", lam=0.1, repeats=12, test_size=20_000
    )
    # Both are below 1e-3; one Gaussian says 0.075.
    assert theory < 0.002
    assert float(runs.test_error.mean()) < 0.002
    assert replica.solve(spectrum, loss="logistic", **options)["test_error"] > 0.05


def test_lengths_that_scatter_are_seen():
    rng = np.random.default_rng(0)
    v = rng.standard_normal((4000, 50)) * rng.choice([0.5, 2.0], 4000)[:, None]
    verdict = equivalence.diagnose(v=v, loss="ridge")
    # Widths squared 1/4 and 4: variance over squared mean (15/8)^2/(17/8)^2, times 1 + 2/p.
    assert verdict["scatter_of_lengths"] == pytest.approx((15 / 17) ** 2, rel=0.1)
    assert "ridge regression too" in verdict["findings"][0]
    heavy = equivalence.diagnose(nu=v[:, 0], loss="logistic")["findings"][0]
    assert "heavy-tailed" in heavy
    assert "pass v" in heavy
    with pytest.raises(hr.errors.ShapeError, match="two samples"):
        equivalence.diagnose(v=v[:1])


def test_diagnose_names_every_reason():
    rng = np.random.default_rng(0)
    v = np.r_[rng.standard_normal((200, 3)) + 3, rng.standard_normal((200, 3)) - 3]
    labels = replica.Spectrum.from_data(v, np.repeat([1.0, -1.0], 200))
    verdict = equivalence.diagnose(
        labels, loss="hinge", w=np.eye(1000)[0], latents=10, n_samples=1000, p=300, lam=1e-5
    )
    text = " ".join(verdict["findings"])
    for reason in (
        "no Gaussian teacher",
        "one weight",
        "latent dimension 10",
        "samples per feature",
        "penalties",
    ):
        assert reason in text
    near = replica.Spectrum([1.0], [1.0], [0.5], 1.0)
    assert "separability" in equivalence.diagnose(near, loss="hinge", alpha=2.7, lam=1e-4)["findings"][0]
    assert equivalence.diagnose()["trustworthy"]


# --- bad input ----------------------------------------------------------------------------------


def test_bad_input():
    F = unit_rows(6, 4)
    with pytest.raises(InvalidParameterError, match="infinite"):
        equivalence.stein_bound(F, np.ones(6), "sign")
    with pytest.raises(InvalidParameterError, match="f is missing"):
        equivalence.stein_bound(F, np.ones(6))
    with pytest.raises(InvalidParameterError, match="closed form"):
        equivalence.stein_bound(F, np.ones(6), np.cos)
    with pytest.raises(ShapeError, match="w has shape"):
        equivalence.conditions(F, np.ones(5))
    with pytest.raises(InvalidParameterError, match="row of zeros"):
        equivalence.conditions(np.zeros((3, 2)), np.ones(3))
    with pytest.raises(InvalidParameterError, match="w has a row of zeros"):
        equivalence.conditions(F, np.zeros(6))
    with pytest.raises(InvalidParameterError, match="one-layer"):
        equivalence.conditions(hr.TeacherStudent(6), np.ones(6))
    with pytest.raises(InvalidParameterError, match="does not vary"):
        equivalence.kolmogorov_distance(np.ones(5))
    with pytest.raises(InvalidParameterError, match="correlations"):
        equivalence.kernel(1.5, "sign")
    with pytest.raises(InvalidParameterError, match="model of data"):
        equivalence.test_gaussian_equivalence(F, np.ones(6))
    with pytest.raises(InvalidParameterError, match="weights"):
        equivalence.rates([10, 20], weights="spam")
    with pytest.raises(ShapeError, match="one row"):
        equivalence.mmd2([[1.0, 2.0]])


def test_normal_cdf_floor():
    """0.87/sqrt n is the mean Kolmogorov distance of n Gaussian samples."""
    rng = np.random.default_rng(0)
    measured = []
    for _ in range(400):
        z = np.sort(rng.standard_normal(1000))
        steps = np.arange(1001) / 1000
        measured.append(max((steps[1:] - ndtr(z)).max(), (ndtr(z) - steps[:-1]).max()))
    assert np.mean(measured) * math.sqrt(1000) == pytest.approx(distances.FLOOR, abs=0.03)


# --- faults met in use --------------------------------------------------------------------------


def test_what_is_too_large_is_refused_before_it_is_begun():
    with pytest.raises(ResourceError, match="mmd2 of 10000000 points"):
        equivalence.mmd2(np.zeros((10**7, 2)))
    with pytest.raises(ResourceError, match="conditions of 1000000 inputs"):
        equivalence.conditions(np.ones((10**6, 2)), np.ones(10**6))
    with pytest.raises(ResourceError, match="the bound of 1000000 inputs"):
        equivalence.stein_bound(np.ones((10**6, 2)), np.ones(10**6), "erf")
    model = hr.HiddenManifold(50, 20, f="sign")
    with pytest.raises(ResourceError, match="fields of"):
        equivalence.test_gaussian_equivalence(model, np.ones(50), n_samples=10**13)


def test_diagnose_refuses_what_is_no_spectrum():
    for wrong in (5, "spam", np.eye(2)):
        with pytest.raises(InvalidParameterError, match=r"must be a replica\.Spectrum"):
            equivalence.diagnose(spectrum=wrong, loss="hinge")


def test_fields_that_repeat_cannot_be_whitened():
    model = hr.HiddenManifold(50, 20, f="sign")
    with pytest.raises(InvalidParameterError, match="linearly independent"):
        equivalence.test_gaussian_equivalence(model, np.ones((2, 50)), n_samples=1000)


def test_answers_are_records():
    bound = equivalence.stein_bound(unit_rows(20, 10), np.eye(2, 20), "erf", n_samples=100)
    assert bound.beta is bound["beta"]
    assert bound.to_dataset().beta.dims == ("slice",)
    numbers = equivalence.conditions(unit_rows(20, 10), np.eye(3, 20))
    assert numbers.to_dataset().tensor.shape == (3,)
    verdict = equivalence.diagnose(latents=10)
    assert "latent dimension 10" in verdict.to_dataset().attrs["findings"]


PROGRAM = """
import hashlib, numpy as np, hmm_rs as hr
from hmm_rs.theory import equivalence
rng = np.random.default_rng(0)
F = rng.standard_normal((700, 350))
F /= np.sqrt((F * F).sum(axis=1, keepdims=True))
w, h = rng.standard_normal((2, 700)), rng.standard_normal(350)
digest = hashlib.sha256()
for record in (equivalence.conditions(F, w, f="erf"), equivalence.stein_bound(F, w, "tanh", teacher=h, n_samples=500)):
    for name in sorted(record):
        if not (name in ("variance", "tensor_over_sd") and "row_norm" in record):
            digest.update(np.asarray(record[name]).tobytes())
digest.update(np.float64(equivalence.mmd2(rng.standard_normal((3000, 3)))).tobytes())
v = rng.standard_normal((4000, 150))
spectrum = hr.theory.replica.Spectrum.from_samples(v[:, 0], v)
digest.update(spectrum.omega.tobytes() + spectrum.t.tobytes())
print(digest.hexdigest())
"""


def test_bits_do_not_depend_on_the_threads_of_blas():
    found = set()
    for threads in ("1", "2"):
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": threads}
        done = subprocess.run(
            [sys.executable, "-P", "-c", PROGRAM], capture_output=True, text=True, env=environment, check=True
        )
        found.add(done.stdout)
    assert len(found) == 1
