"""What a table allows: chance is let through, a shift is not, statements of more have a side."""

import numpy as np
import pytest

import hmm_rs as hr
from hmm_rs.figures.allowance import confidence, exceeds, over_seeds, paired_row, two_sample_row
from hmm_rs.figures.finite_size import neglected, orthogonal_teacher
from hmm_rs.figures.reproduction import Row, table_html


def test_few_seeds_need_more_standard_errors():
    assert confidence(2) == pytest.approx(19.2, abs=0.1)
    assert confidence(10**6) == pytest.approx(3.0, abs=1e-3)


@pytest.mark.parametrize("seeds", [3, 5, 20])
def test_chance_is_let_through_and_a_shift_is_not(seeds):
    # Student's level is three standard deviations: of 2000 tables 5.4 +- 2.3 fail by chance, 15 would be four of them.
    draws = np.random.default_rng(seeds).normal(1.0, 0.001, (2000, seeds))
    failed = sum(not over_seeds("x", 1.0, draw).passed for draw in draws)
    assert failed <= 15
    # A shift of twice what is allowed.
    row = over_seeds("x", 1.0, draws[0])
    assert not over_seeds("x", 1.0, draws[0] - row.gap + 2 * row.allowed).passed


def test_second_order_and_neglected_terms_are_allowed_for_and_named():
    values = np.array([1.0, 1.2, 0.8, 1.1])
    plain, more = (
        over_seeds("x", 1.0, values),
        over_seeds("x", 1.0, values, neglected=0.25, because="small D"),
    )
    assert more.allowed - plain.allowed == pytest.approx(0.25)
    assert "small D" in more.why
    # An exponential of a Gaussian: its mean lies s^2/2 off, relative to it, whatever the number of seeds.
    many = np.exp(np.random.default_rng(1).normal(0.0, 0.2, 200_000))
    row = over_seeds("x", 1.0, many)
    assert row.gap > 4 * many.std() / many.size**0.5
    assert row.passed


def test_paired_theory_takes_the_common_spread_away():
    seeds = np.array([1.0, 2.0, 3.0, 4.0])
    assert over_seeds("x", seeds, seeds + 0.01).allowed == pytest.approx(0.0, abs=1e-12)
    with pytest.raises(hr.InvalidParameterError, match="two seeds"):
        over_seeds("x", 1.0, [1.0])


def test_a_statement_of_more_must_clear_chance():
    assert exceeds("x", 0.0, [1.0, 1.1, 0.9, 1.0]).passed
    assert not exceeds("x", 0.0, [1.0, -0.5, 0.4]).passed
    assert not exceeds("x", 2.0, [1.0, 1.1, 0.9]).passed


def test_rows_have_sides():
    assert Row("x", 1.0, 9.0, 0.0, side="above").passed
    assert not Row("x", 1.0, 0.9, 0.0, side="above").passed
    assert Row("x", 1.0, 0.0, 0.0, side="below").passed
    assert not Row("x", 1.0, float("nan"), 0.0, side="below").passed
    text = table_html([Row("x", 1.0, 9.0, -0.5, side="above"), Row("y", 1.0, 0.5, 0.25, side="below")])
    assert "&gt;= 0.5" in text
    assert "&lt;= 0.25" in text


def test_a_verdict_tells_agreement_from_what_is_only_allowed():
    def verdict(gap, **options):
        return Row("x", 1.0, 1.0 + gap, **options).verdict

    wide = {"allowed": 0.5, "chance": 0.1}
    assert verdict(0.05, **wide) == "agrees"
    assert verdict(-0.3, **wide) == "allowed"
    assert verdict(-0.3, afterwards=True, **wide) == "allowed, after the fact"
    assert verdict(0.05, afterwards=True, **wide) == "agrees"
    assert verdict(0.6, afterwards=True, **wide) == "FAILED"
    # Without a part of its own all of it is chance; without a bound nothing is claimed.
    assert verdict(0.3, allowed=0.5) == "agrees"
    assert verdict(0.3) == "no claim"
    text = table_html([Row("x", 1.0, 1.3, 0.5, chance=0.1), Row("x", 1.0, 1.6, 0.5, chance=0.1)])
    assert text.count("class=allowed") == text.count("class=failed") == 1


def test_means_over_seeds_say_which_part_of_what_they_allow_is_chance():
    values = np.array([1.0, 1.2, 0.8, 1.1])
    for row in (
        over_seeds("x", 2.0, values, neglected=3.0, because="small D"),
        paired_row("x", 2.0, values, more=3.0, because="small D"),
        two_sample_row("x", 2.0 + values, values, more=3.0, because="small D"),
    ):
        assert row.allowed == pytest.approx(row.chance + 3.0)
        assert row.verdict == "allowed"
    assert "150% of the value" in over_seeds("x", 2.0, values, neglected=3.0, because="small D").why
    assert paired_row("x", 2.0, values, more=3.0, afterwards=True).verdict == "allowed, after the fact"


def test_an_orthogonal_teacher_has_no_overlaps_and_stays_near_the_random_one():
    teacher, random = orthogonal_teacher(3, 200, 4), hr.TwoLayer.random(3, 200, seed=4)
    np.testing.assert_allclose(teacher.w @ teacher.w.T / 200, np.eye(3), atol=1e-12)
    assert np.corrcoef(teacher.w.ravel(), random.w.ravel())[0, 1] > 0.98


def test_what_the_equations_leave_out_falls_with_the_number_of_latents():
    def share(D, inputs=8, **options):
        sim = hr.OnlineSGD(
            hr.HiddenManifold(inputs * D, D, seed=1),
            orthogonal_teacher(1, D, 1),
            student=hr.TwoLayer.random(1, inputs * D, seed=2),
            lr=0.2,
            test_size=1,
        )
        return float(neglected(sim, [50.0], **options).eg[0])

    assert share(80) < 0.6 * share(10)
    # Measured on fewer inputs it has the same size.
    assert 0.5 < share(40, 16, most=320) / share(40, 16) < 2.0
