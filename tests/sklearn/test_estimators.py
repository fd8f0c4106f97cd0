"""hr.sklearn and hr.FullBatch as estimators: scikit-learn's own checks, pipelines, searches, data frames."""

import pickle

import numpy as np
import pytest

import hmm_rs as hr

sklearn = pytest.importorskip("sklearn")
from sklearn.base import clone  # noqa: E402
from sklearn.model_selection import GridSearchCV, cross_val_score  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import StandardScaler  # noqa: E402
from sklearn.utils.estimator_checks import check_estimator  # noqa: E402

ESTIMATORS = [
    hr.sklearn.NTKClassifier(),
    hr.sklearn.MeanFieldClassifier(width=20, max_steps=300),
    hr.sklearn.RandomFeatures(),
]


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda estimator: type(estimator).__name__)
def test_the_checks_of_scikit_learn_pass(estimator):
    results = check_estimator(estimator, on_skip=None)
    statuses = {result["check_name"]: result["status"] for result in results}
    assert len(statuses) > 30
    # Skipped is what scikit-learn asks of other kinds of estimators, or of other array libraries.
    assert set(statuses.values()) <= {"passed", "skipped"}
    assert [
        name for name, status in statuses.items() if status == "skipped" and "array_api" not in name
    ] == []


def stripe(P=200, seed=1):
    return hr.Stripe(3).sample(P, seed=seed)


@pytest.mark.parametrize(
    "estimator",
    [hr.sklearn.NTKClassifier(C=100.0), hr.sklearn.MeanFieldClassifier(alpha=1e-3)],
    ids=["ntk", "mf"],
)
def test_a_stripe_is_learnt_and_classes_may_have_any_names(estimator):
    X, y = stripe()
    X_test, y_test = stripe(seed=2)
    names = np.array(["outside", "inside"])
    fitted = estimator.fit(X, names[(y > 0).astype(int)])
    # A linear classifier cannot beat the larger of the two classes here.
    assert fitted.score(X_test, names[(y_test > 0).astype(int)]) > 0.9
    assert fitted.classes_.tolist() == ["inside", "outside"]
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.decision_function(X_test), fitted.decision_function(X_test))
    assert not hasattr(clone(fitted), "classes_")


def test_the_decision_of_the_kernel_classifier_is_that_of_the_kernel():
    X, y = stripe(60)
    fit = hr.kernels.svc(hr.kernels.ntk(X), y, C=2.0)
    np.testing.assert_array_equal(
        hr.sklearn.NTKClassifier(C=2.0).fit(X, y).decision_function(X), fit.decision(hr.kernels.ntk(X, X))
    )


def test_the_decision_of_the_network_is_that_of_gradient_flow():
    X, y = stripe(60)
    start = hr.MeanFieldNetwork.random(20, 3, std_b=1.0, paired="even", activation="sqrt2_relu", seed=4)
    flow = hr.GradientFlow(start, X, y, alpha=0.1)
    flow.run(stop_margin=0.9, max_steps=2000)
    classifier = hr.sklearn.MeanFieldClassifier(20, seed=4).fit(X, y)
    np.testing.assert_array_equal(classifier.decision_function(X), 0.1 * flow.network.forward(X))
    assert classifier.stopped_ == [flow.result.attrs["stopped"]]


def test_random_features_are_those_of_the_formula():
    X, _ = stripe(10)
    features = hr.sklearn.RandomFeatures(7, f="erf", seed=3).fit(X)
    w = hr.TwoLayer.random(7, 3, seed=3).w
    from scipy.special import erf

    np.testing.assert_allclose(
        features.transform(X), erf(X @ w.T / np.sqrt(6)) / np.sqrt(7), rtol=1e-13, atol=1e-15
    )
    assert features.get_feature_names_out()[0] == "randomfeatures0"


def test_wrong_options_are_refused_in_our_words():
    X, y = stripe(20)
    for estimator, match in (
        (hr.sklearn.RandomFeatures(0), "n_components = 0"),
        (hr.sklearn.RandomFeatures(f="sine"), "f = 'sine': unknown choice"),
        (hr.sklearn.NTKClassifier(C=-1.0), "C = -1.0"),
        (hr.sklearn.NTKClassifier(bias="big"), "bias = 'big'"),
        (hr.sklearn.MeanFieldClassifier(width=3), "width = 3"),
        (hr.sklearn.MeanFieldClassifier(loss="square"), "loss"),
    ):
        with pytest.raises(hr.HmmError, match=match):
            estimator.fit(X, y)
    with pytest.raises(hr.InvalidParameterError, match="y holds one class"):
        hr.sklearn.NTKClassifier().fit(X, np.ones(20))


# -- FullBatch ------------------------------------------------------------------------------------------


def separable(n=120, p=5, seed=0):
    X, y = hr.LinearlySeparable(p, flip=0.1).sample(n, seed=seed)
    return X / np.sqrt(p), y


@pytest.mark.parametrize("loss", ["ridge", "square", "logistic", "hinge"])
def test_full_batch_learns_as_an_estimator_what_it_learns_as_a_problem(loss):
    X, y = separable()
    w = hr.FullBatch(X, y, loss=loss, lam=0.1).fit()
    estimator = hr.FullBatch(loss=loss, lam=0.1)
    assert estimator.fit(X, y) is estimator
    np.testing.assert_array_equal(estimator.w, w)
    expected = X @ w if loss == "ridge" else np.where(X @ w >= 0, 1.0, -1.0)
    # The product of numpy differs from ours in the last digits.
    np.testing.assert_allclose(estimator.predict(X), expected, rtol=1e-12, atol=1e-14)
    if loss == "ridge":
        right = 1 - np.mean((y - X @ w) ** 2) / np.var(y)
        assert estimator.score(X, y) == pytest.approx(right, rel=1e-12)
    else:
        assert estimator.score(X, y) == np.mean(expected == y)


def test_full_batch_agrees_with_scikit_learn():
    from sklearn.linear_model import LogisticRegression, Ridge

    X, y = separable()
    ridge = Ridge(alpha=0.3, fit_intercept=False, tol=1e-12).fit(X, y)
    np.testing.assert_allclose(hr.FullBatch(loss="ridge", lam=0.3).fit(X, y).w, ridge.coef_, rtol=1e-9)
    logistic = LogisticRegression(C=1 / 0.3, fit_intercept=False, tol=1e-10, max_iter=1000).fit(X, y)
    # scikit-learn stops at a gradient of 1e-10 of the mean loss.
    np.testing.assert_allclose(
        hr.FullBatch(loss="logistic", lam=0.3).fit(X, y).w, logistic.coef_[0], rtol=1e-6
    )


def test_full_batch_is_cloned_searched_and_piped():
    X, y = separable()
    estimator = hr.FullBatch(loss="logistic", lam=0.3)
    assert estimator.get_params() == {"loss": "logistic", "lam": 0.3}
    fitted = hr.FullBatch(X, y, loss="logistic", lam=0.3)
    fitted.fit()
    fresh = clone(fitted)
    assert fresh.w is None
    assert fresh.X is None
    assert fresh.get_params() == fitted.get_params()
    search = GridSearchCV(estimator, {"lam": [1e-2, 1.0, 1e2]}, cv=3).fit(X, y)
    assert search.best_params_["lam"] in (1e-2, 1.0)
    assert search.best_score_ > 0.7
    pipe = make_pipeline(StandardScaler(), hr.sklearn.RandomFeatures(50), hr.FullBatch(loss="hinge", lam=1.0))
    assert cross_val_score(pipe, X, y, cv=3).mean() > 0.7
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.predict(X), fitted.predict(X))
    ridge = hr.FullBatch(loss="ridge", lam=1.0)
    assert sklearn.base.is_regressor(ridge)
    assert sklearn.base.is_classifier(estimator)
    assert repr(ridge).splitlines() == ["FullBatch, not fitted", "  loss  ridge", "  lam   1"]


def test_full_batch_takes_data_frames_and_lists():
    pandas = pytest.importorskip("pandas")
    X, y = separable(30)
    frame = pandas.DataFrame(X, columns=list("abcde"))
    w = hr.FullBatch(loss="logistic", lam=0.1).fit(frame, pandas.Series(y)).w
    np.testing.assert_array_equal(w, hr.FullBatch(X, y, loss="logistic", lam=0.1).fit())
    np.testing.assert_array_equal(hr.FullBatch(loss="logistic", lam=0.1).fit(X.tolist(), y.tolist()).w, w)
    classifier = hr.sklearn.NTKClassifier().fit(frame, pandas.Series(y).map({1.0: "up", -1.0: "down"}))
    assert classifier.feature_names_in_.tolist() == list("abcde")
    assert set(classifier.predict(frame)) <= {"up", "down"}


def test_the_path_of_full_batch_is_a_fit_for_every_penalty():
    X, y = separable()
    path = hr.FullBatch(X, y, loss="logistic", lam=1.0).path([0.1, 1.0, 10.0])
    assert path.w.dims == ("lam", "feature")
    np.testing.assert_array_equal(path.w[2], hr.FullBatch(X, y, loss="logistic", lam=10.0).fit())
    assert (np.diff(path.norm2) < 0).all()
    assert (np.diff(path.train_loss) > 0).all()
    assert (path.converged == 1).all()
    assert hr.FullBatch(loss="ridge", lam=1.0).fit(X, y).path([0.1, 1.0]).train_mse.dims == ("lam",)


def test_full_batch_refuses_what_makes_no_sense():
    X, y = separable(20)
    empty = hr.FullBatch(loss="ridge", lam=1.0)
    for call in (empty.fit, lambda: empty.path([1.0]), lambda: empty.result):
        with pytest.raises(hr.InvalidParameterError, match=r"X: there are no examples .*pass X and y"):
            call()
    with pytest.raises(hr.InvalidParameterError, match="not fitted"):
        empty.predict(X)
    with pytest.raises(hr.InvalidParameterError, match=r"y is missing"):
        empty.fit(X)
    with pytest.raises(hr.InvalidParameterError, match=r"y is missing"):
        hr.FullBatch(X, loss="ridge", lam=1.0)
    with pytest.raises(hr.ShapeError, match="must be"):
        hr.FullBatch(loss="ridge", lam=1.0).fit(X, y).predict(X[:, :2])
    with pytest.raises(hr.InvalidParameterError, match="penalty"):
        empty.set_params(penalty=1)
    with pytest.raises(hr.InvalidParameterError, match="lam = -1"):
        empty.set_params(lam=-1).fit(X, y)
