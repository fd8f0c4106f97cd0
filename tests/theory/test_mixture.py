"""Features in clusters: the one-Gaussian theory as a limit, a twin with plain matrices, fits of samples."""

import math

import numpy as np
import pytest
from scipy.special import expit, ndtr

import hmm_rs as hr
from hmm_rs.errors import InvalidParameterError, ShapeError
from hmm_rs.theory import replica
from hmm_rs.theory.replica import Mixture, Spectrum
from hmm_rs.theory.replica.channel import Cluster, Law, conjugates
from hmm_rs.theory.replica.covariate import Dense, Diagonal, _inverse, covariate

pytestmark = pytest.mark.filterwarnings("ignore:noise = :FutureWarning")

LOSSES = replica.LOSSES


def wishart(rng, p):
    A = rng.standard_normal((p, 2 * p))
    return A @ A.T / (2 * p)


def one_gaussian(p=30, seed=0):
    """Covariance, b and rho with four fifths of the field linear in the features."""
    rng = np.random.default_rng(seed)
    Omega = wishart(rng, p)
    theta = rng.standard_normal(p) / math.sqrt(p)
    b = Omega @ theta
    return Omega, b, 1.25 * float(theta @ b)


def uneven(p=24, seed=1):
    """Three clusters that share nothing: covariances that do not commute, means, teachers, sizes."""
    rng = np.random.default_rng(seed)
    covariances = [wishart(rng, p), 2 * np.diag(np.linspace(0.1, 1.0, p)), 0.4 * wishart(rng, p)]
    thetas = rng.standard_normal((3, p)) / math.sqrt(p)
    shares = np.array([0.2, 0.5, 0.3])
    means = rng.standard_normal((3, p)) / math.sqrt(p) * [[1.5], [0.5], [1.0]]
    b = np.array([O @ t for O, t in zip(covariances, thetas, strict=True)])
    rho = [float(t @ x) + 0.1 for t, x in zip(thetas, b, strict=True)]
    return Mixture(shares, means - shares @ means, covariances, b, [1.0, -0.4, 0.2], rho)


def along_axis(p, a, noise=0.4):
    """Features +-a e_1 + g, field e_1.v plus noise: bimodal where a > 1."""
    axis = np.zeros(p)
    axis[0] = 1.0
    return Mixture(
        [0.5, 0.5], [a * axis, -a * axis], np.eye(p), [axis, axis], [a, -a], [1 + noise, 1 + noise]
    )


# -- limits ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("copies", [1, 2])
def test_identical_clusters_are_one_gaussian(loss, copies):
    Omega, b, rho = one_gaussian()
    spectrum = Spectrum.from_b(Omega, b, rho)
    zero = np.zeros((copies, b.size))
    mixture = Mixture(
        [[1.0], [0.3, 0.7]][copies - 1], zero, [Omega] * copies, [b] * copies, [0.0] * copies, [rho] * copies
    )
    options = {"loss": loss, "lam": 0.05, "noise": 0.3, "flip": 0.0 if loss == "ridge" else 0.05}
    expected = replica.learning_curve(spectrum, [0.4, 1.5, 6.0], **options)
    found = replica.learning_curve(mixture, [0.4, 1.5, 6.0], **options)
    for name in set(expected.data_vars) - {"iterations", "residual"}:
        # Both stop at 1e-10 of each unknown; an error of the fixed point is a few of these.
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-8, err_msg=name)
    one = replica.solve(mixture, alpha=1.5, **options)
    assert one.norm2 == pytest.approx(float(expected.norm2[1]), rel=1e-8)


def test_dense_and_diagonal_answers_are_the_same():
    rng = np.random.default_rng(0)
    p = 15
    basis = np.linalg.qr(rng.standard_normal((p, p)))[0]
    omega = rng.uniform(0.1, 2.0, (2, p))
    directions = rng.standard_normal((4, p))
    covariances = np.array([basis * one @ basis.T for one in omega])
    dense = Dense(covariances, directions)
    found = covariate(covariances, directions)
    assert isinstance(found, Diagonal)
    a, b = (side.response(np.array([0.3, 1.1]), 0.2) for side in (dense, found))
    for name in vars(a):
        np.testing.assert_allclose(getattr(a, name), getattr(b, name), rtol=1e-10, atol=1e-12, err_msg=name)
    assert isinstance(uneven()._covariate, Dense)


def test_the_inverse_by_blocks_is_the_inverse():
    # Two levels of blocks; condition 1e6.
    matrix = wishart(np.random.default_rng(0), 301) + 1e-6 * np.eye(301)
    # Errors of an inverse: rounding times the condition.
    np.testing.assert_allclose(_inverse(matrix) @ matrix, np.eye(301), atol=1e-9)


def test_the_closed_square_loss_is_the_average_of_its_proximal_operator():
    mixture = uneven()
    alpha, flip, noise = 1.7, 0.1, 0.3
    found = replica.solve(mixture, loss="square", alpha=alpha, lam=0.1, flip=flip, noise=noise)
    for c in range(mixture.clusters):
        cluster = Cluster(mixture.nu[c], mixture.rho[c] + noise**2, flip)
        law = Law(found.mean_cluster[c], found.q_cluster[c], found.m_cluster[c], cluster)
        hats = conjugates("square", alpha * mixture.probability[c], found.V_cluster[c], law)
        expected = [found[f"{name}_hat_cluster"][c] for name in ("V", "q", "m", "mean")]
        # The Gaussian is cut at nine standard deviations; the rest is rounding.
        np.testing.assert_allclose([hats.V, hats.q, hats.m, hats.s], expected, rtol=1e-9)


@pytest.mark.parametrize("loss", ["square", "logistic", "hinge"])
@pytest.mark.parametrize("alpha", [0.5, 8.0])
def test_an_infinite_penalty_takes_the_mean_of_the_examples(loss, alpha):
    # Clusters +-a with their own labels: w is the mean of y v, a plus noise of variance 1/n in each of p directions, so
    # that w.a/|w| = a^2/sqrt(a^2 + 1/alpha).
    p, a = 20, 1.3
    axis = np.eye(p)[0]
    mixture = Mixture([0.5, 0.5], [a * axis, -a * axis], np.eye(p), np.zeros((2, p)), [1, -1], [0, 0])
    found = replica.solve(mixture, loss=loss, alpha=alpha, lam=1e7)
    # Corrections are of order 1/lam.
    assert found.test_error == pytest.approx(ndtr(-(a**2) / math.sqrt(a**2 + 1 / alpha)), rel=1e-6)


def test_far_clusters_and_vanishing_penalties_are_reached():
    # A force along the means that did not know its own slope would overshoot by |mu|^2 = 64.
    far = along_axis(20, 8.0, noise=0.2)
    found = replica.solve(far, loss="logistic", alpha=0.1, lam=1e-4, flip=0.02)
    assert found.iterations < 40
    assert found.test_error == pytest.approx(0.02, abs=1e-6)
    # Covariances of rank 8 and separable labels: V is of order 1e5 there.
    rng = np.random.default_rng(0)
    roots = rng.standard_normal((2, 32, 8))
    covariances = np.einsum("cik,cjk->cij", roots, roots) / 8
    theta = rng.standard_normal(32) / math.sqrt(32)
    b = covariances @ theta
    mixture = Mixture([0.5, 0.5], np.zeros((2, 32)), covariances, b, [0.3, -0.3], b @ theta)
    for loss in LOSSES:
        found = replica.solve(mixture, loss=loss, alpha=0.3, lam=1e-6)
        assert found.iterations < 60


# -- a twin: inverses of matrices, plain damped iteration, a trapezoid rule over the student's field ------


def logistic_point(y, omega, V):
    x = omega.copy()
    for _ in range(25):
        force = y * expit(-y * x)
        x = x - (x - omega - V * force) / (1 + V * expit(x) * expit(-x))
    return x


def proximal(loss, y, omega, V):
    """Proximal point and its slope."""
    if loss == "square":
        return (omega + V * y) / (1 + V), np.full_like(omega, 1 / (1 + V))
    if loss == "logistic":
        x = logistic_point(y, omega, V)
        return x, 1 / (1 + V * expit(x) * expit(-x))
    s = y * omega
    x = np.where(s < 1 - V, s + V, np.where(s < 1, 1.0, s))
    return y * x, np.where((s >= 1 - V) & (s < 1), 0.0, 1.0)


def twin(mixture, loss, alpha, lam, flip, noise, steps):
    C, p = mixture.mean.shape
    # Smooth integrands need few points, those with kinks many.
    xi = np.linspace(-9, 9, 20_001 if loss == "hinge" else 1001)
    weight = np.exp(-(xi**2) / 2) / math.sqrt(2 * math.pi) * (xi[1] - xi[0])
    q, m, s, V = np.ones(C), np.zeros(C), np.zeros(C), np.ones(C)
    R = mixture.rho + noise**2
    for _ in range(steps):
        hats = np.zeros((4, C))
        for c in range(C):
            omega = s[c] + math.sqrt(q[c]) * xi
            unseen = R[c] - m[c] ** 2 / q[c]
            mean = mixture.nu[c] + m[c] / math.sqrt(q[c]) * xi
            share = alpha * mixture.probability[c]
            for y in (1.0, -1.0):
                P = flip + (1 - 2 * flip) * ndtr(y * mean / math.sqrt(unseen))
                slope = y * (1 - 2 * flip) * np.exp(-(mean**2) / 2 / unseen) / math.sqrt(2 * math.pi * unseen)
                x, dx = proximal(loss, y, omega, V[c])
                f, df = (x - omega) / V[c], (dx - 1) / V[c]
                hats[:, c] += share * np.array(
                    [-(weight * P) @ df, (weight * P) @ f**2, (weight * slope) @ f, (weight * P) @ f]
                )
        V_hat, q_hat, m_hat, s_hat = hats
        A = lam * np.eye(p) + np.einsum("c,cij->ij", V_hat, mixture.Omega)
        X = np.linalg.inv(A)
        noise_of_w = X @ np.einsum("c,cij->ij", q_hat, mixture.Omega) @ X
        centre = X @ (m_hat @ mixture.b + s_hat @ mixture.mean)
        new = (
            np.array([np.trace(O @ X) / p for O in mixture.Omega]),
            np.array([np.trace(O @ noise_of_w) / p + centre @ O @ centre for O in mixture.Omega]),
            mixture.b @ centre,
            mixture.mean @ centre,
        )
        V, q, m, s = (0.4 * old + 0.6 * fresh for old, fresh in zip((V, q, m, s), new, strict=True))
    wrong, train = np.zeros(C), np.zeros(C)
    for c in range(C):
        mean = mixture.nu[c] + m[c] / math.sqrt(q[c]) * xi
        up = flip + (1 - 2 * flip) * ndtr(mean / math.sqrt(R[c] - m[c] ** 2 / q[c]))
        omega = s[c] + math.sqrt(q[c]) * xi
        wrong[c] = weight @ np.where(omega > 0, 1 - up, up)
        for y, P in ((1.0, up), (-1.0, 1 - up)):
            margin = y * proximal(loss, y, omega, V[c])[0]
            losses = {
                "square": (1 - margin) ** 2 / 2,
                "logistic": np.logaddexp(0, -margin),
                "hinge": np.maximum(0, 1 - margin),
            }
            train[c] += weight @ (P * losses[loss])
    return {"V": V, "q": q, "m": m, "mean": s, "test_error": wrong, "train_loss": train}


@pytest.mark.parametrize("loss", ["square", "logistic", "hinge"])
def test_clusters_that_share_nothing_against_a_twin(loss):
    mixture = uneven()
    options = {"loss": loss, "alpha": 1.7, "lam": 0.2, "flip": 0.05, "noise": 0.3}
    found = replica.solve(mixture, **options)
    expected = twin(mixture, loss, 1.7, 0.2, 0.05, 0.3, steps=50)
    for name, values in expected.items():
        # The twin's iteration ends at 1e-8; its grid meets kinks of the hinge, and the jump of the error at a node.
        rtol = 2e-2 if name == "test_error" else 2e-3 if loss == "hinge" else 1e-6
        np.testing.assert_allclose(found[f"{name}_cluster"], values, rtol=rtol, atol=1e-7, err_msg=name)
    assert found.test_error == pytest.approx(float(mixture.probability @ found.test_error_cluster), rel=1e-12)


# -- samples ---------------------------------------------------------------------------------------------


def draw(mixture, n, seed):
    """Fields, features and clusters of n examples."""
    rng = np.random.default_rng(seed)
    members = rng.choice(mixture.clusters, size=n, p=mixture.probability)
    nu, v = np.empty(n), np.empty((n, mixture.p))
    for c in range(mixture.clusters):
        Omega = mixture.Omega if mixture.Omega.ndim == 2 else mixture.Omega[c]
        joint = np.block([[Omega, mixture.b[c][:, None]], [mixture.b[c][None], mixture.rho[c]]])
        root = np.linalg.cholesky(joint + 1e-12 * np.eye(mixture.p + 1))
        z = rng.standard_normal((int((members == c).sum()), mixture.p + 1)) @ root.T
        v[members == c], nu[members == c] = z[:, :-1] + mixture.mean[c], z[:, -1] + mixture.nu[c]
    return nu, v, members


def simulated(mixture, *, loss, alpha, lam, repeats, test_size=10_000):
    features = hr.experiments.full_batch.SampledFeatures(
        lambda n, seed: draw(mixture, n, seed)[:2], p=mixture.p
    )
    runs = hr.experiments.full_batch.full_batch_curve(
        features, [alpha], loss=loss, lam=lam, repeats=repeats, test_size=test_size, seed=5
    )
    values = runs["test_mse" if loss == "ridge" else "test_error"].values[0]
    return float(values.mean()), float(values.std(ddof=1)) / math.sqrt(repeats)


@pytest.mark.parametrize("loss", ["square", "logistic", "hinge"])
def test_labels_of_a_bimodal_field(loss):
    mixture = along_axis(100, 2.0)
    options = {"loss": loss, "alpha": 2.0, "lam": 0.1}
    measured, error = simulated(mixture, repeats=40, **options)
    theory = replica.solve(mixture, **options).test_error
    gaussian = replica.solve(mixture.gaussian_equivalent(), **options).test_error
    # Four standard errors and the bias of p = 100, .5/p.
    assert abs(measured - theory) < 4 * error + 0.5 / 100
    assert gaussian > 2 * theory


def test_errors_of_single_clusters_that_share_nothing():
    mixture = uneven(p=100, seed=3)
    n = 200
    rows = []
    for seed in range(20):
        nu, v, _ = draw(mixture, n, 2 * seed)
        w = hr.FullBatch(v / 10, np.sign(nu), loss="logistic", lam=0.2).fit()
        nu, v, members = draw(mixture, 4000, 2 * seed + 1)
        wrong = np.sign(v @ w) != np.sign(nu)
        rows.append([wrong[members == c].mean() for c in range(3)])
    measured, error = np.mean(rows, axis=0), np.std(rows, axis=0, ddof=1) / math.sqrt(20)
    theory = replica.solve(mixture, loss="logistic", alpha=n / 100, lam=0.2).test_error_cluster
    # Four standard errors and the bias of p = 100, .5/p; clusters differ by more than that.
    assert (abs(measured - theory) < 4 * error + 0.5 / 100).all()
    assert np.ptp(theory) > 0.05


def test_ridge_regression_on_clusters_of_different_width():
    # Second moments do not tell that all examples with something to learn from are in a fifth of them.
    p = 100
    theta = np.random.default_rng(0).standard_normal(p) / math.sqrt(p)
    widths = np.array([4.0, 0.05])
    mixture = Mixture(
        [0.2, 0.8],
        np.zeros((2, p)),
        widths[:, None, None] * np.eye(p),
        widths[:, None] * theta,
        [0.0, 0.0],
        widths * float(theta @ theta) + 0.2,
    )
    options = {"loss": "ridge", "alpha": 2.0, "lam": 0.05}
    measured, error = simulated(mixture, repeats=40, **options)
    theory = replica.solve(mixture, **options).test_mse
    gaussian = replica.solve(mixture.gaussian_equivalent(), **options).test_mse
    # Four standard errors and the bias of p = 100, 2/p.
    assert abs(measured - theory) < 4 * error + 2 / 100 * theory
    assert gaussian < 0.8 * theory


def test_moments_from_samples_in_batches():
    mixture = uneven(p=4)
    nu, v, members = draw(mixture, 4000, 0)
    whole = Mixture.from_samples(nu, v, members)
    parts = Mixture.from_samples((nu[i::3], v[i::3], members[i::3]) for i in range(3))
    for name in ("probability", "mean", "Omega", "b", "nu", "rho"):
        np.testing.assert_allclose(getattr(parts, name), getattr(whole, name), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(whole.probability @ whole.mean, 0.0, atol=1e-12)
    here = members == 1
    np.testing.assert_allclose(whole.Omega[1], np.cov(v[here].T, bias=True), rtol=1e-10)
    assert whole.nu[1] == pytest.approx(nu[here].mean())
    together = Mixture.from_samples(nu, v, members, shared=True)
    np.testing.assert_allclose(
        together.Omega, np.einsum("c,cij->ij", whole.probability, whole.Omega), rtol=1e-12
    )
    # The one Gaussian of the clusters is that of the samples.
    one, direct = whole.gaussian_equivalent(), Spectrum.from_samples(nu, v)
    for mine, theirs in zip(one.atoms, direct.atoms, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-9)


def test_labels_as_fields_are_constant_within_their_cluster():
    rng = np.random.default_rng(0)
    y = np.where(rng.random(500) < 0.3, 0.1, -0.1)
    v = y[:, None] * 10 + rng.standard_normal((500, 3))
    mixture = Mixture.from_samples(y, v, y > 0)
    assert (mixture.rho == 0).all()
    assert not mixture.b.any()
    assert replica.solve(mixture, loss="logistic", alpha=3.0, lam=0.1).test_error < 0.2


# -- the door --------------------------------------------------------------------------------------------


def test_results_have_the_schema_and_can_be_made_again(tmp_path):
    mixture = along_axis(10, 1.0)
    curve = replica.learning_curve(mixture, [2.0, 0.5], loss="logistic", lam=0.1)
    assert curve.test_error_cluster.dims == ("alpha", "cluster")
    assert curve.test_error[0] < curve.test_error[1]
    again = hr.rerun(curve)
    assert again.identical(curve)
    point = replica.solve(mixture, loss="logistic", alpha=2.0, lam=0.1)
    assert point.test_error_cluster.shape == (2,)
    assert point.to_dataset().q_cluster.dims == ("alpha", "cluster")
    assert float(curve.q[0]) == pytest.approx(point.q, rel=1e-8)
    ridge = replica.solve(mixture, loss="ridge", alpha=2.0, lam=0.1)
    assert "test_error_cluster" not in ridge
    assert ridge.test_mse > 0


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"probability": [0.5, 0.6]}, InvalidParameterError, "add up to 1"),
        ({"mean": np.zeros((3, 4))}, ShapeError, "clusters, features"),
        ({"Omega": np.zeros((4, 4))}, InvalidParameterError, "rescale features"),
        ({"Omega": np.arange(16.0).reshape(4, 4)}, InvalidParameterError, "symmetric"),
        ({"Omega": -np.eye(4)}, InvalidParameterError, "covariance of features and field"),
        ({"rho": [0.01, 1.0]}, InvalidParameterError, "cluster 0"),
        ({"rho": [0.0, 1.0]}, InvalidParameterError, "cluster 0"),
        ({"nu": [0.0]}, ShapeError, "nu"),
    ],
)
def test_what_is_no_mixture_is_refused(change, error, words):
    given = {
        "probability": [0.5, 0.5],
        "mean": np.zeros((2, 4)),
        "Omega": np.eye(4),
        "b": np.full((2, 4), 0.2),
        "nu": [0.0, 0.0],
        "rho": [1.0, 1.0],
    }
    Mixture(**given)
    with pytest.raises(error, match=words):
        Mixture(**{**given, **change})


def test_samples_that_tell_nothing_are_refused():
    with pytest.raises(ShapeError, match="fewer than 2 rows"):
        Mixture.from_samples([1.0, 2.0, 3.0], np.eye(3), [0, 0, 1])
    with pytest.raises(ShapeError, match="triple"):
        Mixture.from_samples([(np.ones(3), np.eye(3))])
    with pytest.raises(ShapeError, match="one number a sample"):
        Mixture.from_samples([1.0, 2.0, 3.0], np.eye(3), [0, 1])
    with pytest.raises(InvalidParameterError, match=r"must be a replica\.Spectrum or a replica\.Mixture"):
        replica.solve("clusters", loss="ridge", alpha=1.0, lam=1.0)


def test_a_solver_that_gives_up_says_so():
    mixture = uneven()
    with pytest.raises(hr.errors.ConvergenceError, match="did not converge"):
        replica.solve(mixture, loss="logistic", alpha=1.0, lam=0.1, max_iterations=3)
    flagged = replica.solve(mixture, loss="logistic", alpha=1.0, lam=0.1, max_iterations=3, on_failure="flag")
    assert not flagged.converged
