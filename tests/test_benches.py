"""The benchmark's bookkeeping: verdicts, missing rivals, the manual's table. What it measures is not tested here."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

import pytest

BENCHES = Path(__file__).parent.parent / "benches"
sys.path.insert(0, str(BENCHES))
try:
    import contender
    import interleaved
    import profiling
    import report
    import roof
    import run
    import scaling
    import workloads
finally:
    sys.path.remove(str(BENCHES))

#: Every rate is one per second of something: 1e9 flops or bytes, a nanosecond a deviate.
FLAT = roof.Roof(
    {
        1: {
            "hmm_rs": {
                f"{shape} {dtype}": 1e9 for shape, (_, dtypes) in roof.SHAPES.items() for dtype in dtypes
            },
            "memory": dict.fromkeys(("copy", "triad", "triad in L2", "fresh"), 1e9),
            "deviates": {f"normals {dtype}": 1e9 for dtype in roof.DTYPES},
        }
    }
)


def timing(*seconds: float, mebibytes: float = 1.0) -> interleaved.Timing:
    return interleaved.Timing(list(seconds), mebibytes)


def test_every_workload_has_us_a_target_and_a_finite_limit():
    for name, workload in workloads.WORKLOADS.items():
        assert report.OURS in workload.contenders, name
        assert len(workload.contenders) > 1 or workload.note, name
        assert workload.targets, name
        for target in workload.targets:
            assert not target.than or target.than in workload.contenders, name
            assert target.kind != "threads" or report.ALONE in workload.contenders, name
        if workload.limit:
            parts = workload.limit(FLAT, 1)
            assert all(0 < seconds < math.inf for seconds in parts.values()), name


def test_verdicts_are_those_of_the_timings():
    workload = workloads.WORKLOADS["sgd-f64"]
    # Product, deviates and passes at the flat rates: 200 + 0.1 + 88 us.
    least = 200e-6 + 0.1e-6 + (3 + 8) * 1000 * 8e-9
    found = {
        "hmm_rs": timing(2 * least, 3 * least),
        "numpy": timing(7 * least, 9 * least),
        "Numba": interleaved.Timing(missing="No module named 'numba'"),
    }
    row = report.row(workload, found, FLAT, 1)
    assert row["ratios"] == {"numpy": pytest.approx(3.5)}
    assert row["share"] == pytest.approx(0.5)
    assert row["binds"] == "product"
    assert [judged["met"] for judged in row["targets"]] == [True, False]
    text = report.row_lines(row)
    assert "Numba: No module named 'numba'" in text
    assert "MISSED       >= 0.85 of the limit (found 0.50)" in text
    # What is kept is what was said.
    kept = json.loads(report.as_json({"name": "here"}, FLAT, {"sgd-f64": row}, 1.0))
    assert kept["workloads"]["sgd-f64"]["targets"] == row["targets"]


def test_memory_and_own_contenders_are_judged():
    kernel = workloads.WORKLOADS["network-kernel"]
    found = {
        "hmm_rs": timing(1.0, mebibytes=100.0),
        "hmm_rs, 1 thread": timing(2.0),
        "numpy": timing(1.1, mebibytes=400.0),
    }
    row = report.row(kernel, found, None, 2)
    assert [judged["met"] for judged in row["targets"]] == [False, True]
    short = workloads.WORKLOADS["first-steps"]
    row = report.row(short, {"hmm_rs": timing(1.2), "steady hmm_rs": timing(1.0)}, None, 2)
    assert [judged["met"] for judged in row["targets"]] == [False]
    # What was not measured is neither met nor missed.
    row = report.row(kernel, {name: interleaved.Timing(missing="gone") for name in found}, FLAT, 1)
    assert {judged["met"] for judged in row["targets"]} == {None}
    assert "gone" in report.row_lines(row)


def test_a_contender_that_fails_is_said_and_does_not_stop_the_rest():
    found = interleaved.timings("replica-ridge", {"hmm_rs": 1, "nobody": 1}, 1, quick=True)
    assert 0 < found["hmm_rs"].best < 1
    assert "KeyError: 'nobody'" in found["nobody"].missing


def test_the_manual_shows_what_is_kept():
    page = run.PAGE.read_text()
    assert page == run.page_with(report.markdown(report.results()), page)


def test_a_bout_is_of_timings_alone():
    times = iter([3.0, 1.0, 2.0, *[4.0] * 10**6])
    assert contender.best_of_a_bout(lambda: next(times), 0.01) == 1.0
    assert contender.best_of_a_bout(lambda: 5.0, 0.0) == 5.0
    # Rates of the machine are not the smaller the better.
    calls = []
    rates = contender.best_of_a_bout(lambda: calls.append(1) or {"peak": 1.0}, 0.01)
    assert rates == {"peak": 1.0}
    assert len(calls) == 1


def test_symbols_become_names_of_functions():
    vector = (
        "<pulp::x86::v4::V4>::vectorize::imp_fastcall::<hmm_core[0123456789abcdef]::special::vectorised"
        "::{closure#0}<<hmm_theory[0123456789abcdef]::online::jacobian::OnlineSystem>::solve::{closure#1}, ()>>"
    )
    assert profiling.plain(vector) == "hmm_theory::online::jacobian::OnlineSystem::solve"
    assert profiling.plain("hmm_sim[0123456789abcdef]::online::step::learn_at::<f64>") == (
        "hmm_sim::online::step::learn_at"
    )


def test_the_page_says_where_rows_that_miss_spend_their_time():
    workload = workloads.WORKLOADS["sgd-f64"]
    row = report.row(workload, {"hmm_rs": timing(1.0), "numpy": timing(1.0)}, None, 1)
    row["profile"] = {"idle": 0.25, "functions": [["hmm_sim::online::step::learn_at", 0.5]]}
    machine = {"processor": "one", "kind": "kind", "instruction_set": "AVX2", "cores": 2}
    result = {"machine": machine, "roof": {}, "workloads": {"sgd-f64": row}}
    assert report.missing_rows(result) == ["sgd-f64"]
    assert "`hmm_sim::online::step::learn_at` 50 %; 25 % of the cores' time idle." in report.markdown(
        [result]
    )
    # A row that meets its targets needs no explanation.
    for judged in row["targets"]:
        judged["met"] = True
    assert "learn_at" not in report.markdown([result])


def test_slopes_are_those_of_the_larger_half():
    x = [1, 2, 4, 8, 16, 32]
    assert scaling.slope(x, [one**2.0 for one in x]) == pytest.approx(2.0)
    assert scaling.slope(x, [5.0, 5.0, 5.0, 8.0, 16.0, 32.0]) == pytest.approx(1.0)
    assert math.isnan(scaling.slope([1], [1.0]))
