"""All cases of the hidden-manifold reference file, at the tolerances it states."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from hmm_rs import theory

CASES = {
    case["id"]: case
    for case in json.loads((Path(__file__).parents[1] / "reference" / "hidden-manifold.json").read_text())[
        "cases"
    ]
}
INTEGRALS = {"I2": theory.i2, "I3": theory.i3, "I4": theory.i4}


def of_kind(*kinds):
    return [case_id for case_id, case in CASES.items() if case["kind"] in kinds]


@pytest.mark.parametrize("case_id", of_kind("gaussian_moments"))
def test_gaussian_moments(case_id):
    case = CASES[case_id]
    for item in case["cases"]:
        np.testing.assert_allclose(
            theory.gaussian_moments(item["f"]),
            [item["a"], item["b"], item["c"]],
            rtol=0,
            atol=case["tolerance"]["abs"],
        )


@pytest.mark.parametrize("case_id", of_kind("I2", "I3", "I4", "integral_edges"))
def test_integrals(case_id):
    case = CASES[case_id]
    for item in case["cases"]:
        integral = INTEGRALS[item.get("kind", case["kind"])]
        value = integral(item["C"], item.get("g", case.get("g", "relu")))
        assert abs(value - item["value"]) <= case["tolerance"]["abs"], item


@pytest.mark.parametrize("case_id", of_kind("eg"))
def test_generalisation_error(case_id):
    case = CASES[case_id]
    for item in case["cases"]:
        value = theory.generalisation_error(
            item["Q"], item["R"], item["T"], item["v"], item["v_teacher"], activation=item["g"]
        )
        assert abs(value - item["eg"]) <= case["tolerance"]["abs"]


def rates(case):
    return {
        "lr": case["eta"],
        "lr_v": case["eta_v"],
        "noise": case.get("noise_std", 0.0),
        "activation": case["g"],
    }


def saad_solla(case):
    return theory.SaadSolla(
        case["Q0"], case["R0"], T=case["T"], v0=case["v0"], v_teacher=case["v_teacher"], **rates(case)
    )


def hidden_manifold(case):
    common = {
        "W0": case["W0"],
        "v0": case["v0"],
        "v_teacher": case["v_teacher"],
        "delta": case["delta"],
        "f": case["f"],
        **rates(case),
    }
    if case["spectrum"] == "modes":
        gamma, omega = np.array(case["Gamma"]), np.array(case["omega"])
        return theory.HiddenManifoldODE(
            rho=case["rho"],
            weights=np.full(len(gamma), 1 / len(gamma)),
            sigma0=np.einsum("sk,sl->skl", gamma, gamma),
            r0=np.einsum("sk,sm->skm", gamma, omega),
            t_modes=np.einsum("sm,sn->smn", omega, omega),
            **common,
        )
    W0, r0, T = (np.array(case[name]) for name in ("W0", "r0", "T"))
    if case["spectrum"] == "delta":
        rho, weights = np.ones(1), np.ones(1)
        sigma0 = np.array([case["Sigma0"]])
    else:
        rho, weights = theory.marchenko_pastur(case["delta"], 80)
        sigma0 = rho[:, None, None] * W0
    return theory.HiddenManifoldODE(
        rho=rho,
        weights=weights,
        sigma0=sigma0,
        r0=np.sqrt(rho)[:, None, None] * r0,
        t_modes=np.broadcast_to(T, (rho.size, *T.shape)),
        **common,
    )


def generic(case):
    return theory.CovarianceODE(
        case["Omega"],
        case["Phi"],
        w=case["w"],
        w_teacher=case["w_teacher"],
        v=case["v0"],
        v_teacher=case["v_teacher"],
        **rates(case),
    )


SYSTEMS = {"ode_saad_solla": saad_solla, "ode_hmm": hidden_manifold, "ode_generic": generic}


@pytest.mark.parametrize("method", ["auto", "explicit", "stiff"])
@pytest.mark.parametrize("case_id", of_kind(*SYSTEMS))
def test_trajectories(case_id, method):
    case = CASES[case_id]
    result = SYSTEMS[case["kind"]](case).solve(case["t"], method=method)
    for name in case["trajectory"][0]:
        expected = np.array([point[name] for point in case["trajectory"]])
        np.testing.assert_allclose(
            result[name], expected, rtol=case["tolerance"]["rel"], atol=case["tolerance"]["abs"], err_msg=name
        )
    if "T" in case:
        np.testing.assert_allclose(result["T"], [case["T"]] * len(result.t), atol=1e-12)


def test_order_parameters():
    case = CASES["init_from_weights"]
    tolerance = case["tolerance"]["abs"]
    for item in case["outputs"]:
        result = theory.order_parameters(case["F"], case["w"], case["w_teacher"], f=item["f"])
        for name, expected in [
            ("Q", item["Q"]),
            ("R", item["R"]),
            ("T", case["T"]),
            ("W", case["W"]),
            ("Sigma", case["Sigma"]),
        ]:
            np.testing.assert_allclose(result[name], expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("case_id", of_kind("spectrum"))
def test_marchenko_pastur(case_id):
    case = CASES[case_id]
    for item in case["cases"]:
        rho, weights = theory.marchenko_pastur(item["delta"], 400)
        expected = {
            "mean": rho,
            "mean_sq": rho**2,
            "mean_cube": rho**3,
            "mean_inv_1p": 1 / (1 + rho),
            "mean_sqrt": np.sqrt(rho),
        }
        for name, values in expected.items():
            if name in item:
                assert abs(weights @ values - item[name]) <= case["tolerance"]["abs"], name


def test_generator_covariances():
    case = CASES["generator_covariances"]
    tolerance = case["tolerance"]["abs"]
    layers = [np.array(case["F1"]), np.array(case["F2"])]
    for f, expected in case["one_layer_exact"].items():
        for value, name in zip(theory.one_layer_covariances(layers[1], f), ("Omega", "Phi"), strict=True):
            np.testing.assert_allclose(value, expected[name], rtol=0, atol=tolerance)
    expected = case["two_layer_sign_gep"]
    for value, name in zip(theory.recursive_covariances(layers, "sign"), ("Omega", "Phi"), strict=True):
        np.testing.assert_allclose(value, expected[name], rtol=0, atol=tolerance)
