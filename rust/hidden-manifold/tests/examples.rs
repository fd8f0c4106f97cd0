//! The examples run, and simulation and theory agree in them.

#[path = "../examples/hidden_manifold.rs"]
#[expect(dead_code, reason = "its main prints")]
mod hidden_manifold_example;
#[path = "../examples/hinge.rs"]
#[expect(dead_code, reason = "its main prints")]
mod hinge;
#[path = "../examples/replica.rs"]
#[expect(dead_code, reason = "its main prints")]
mod replica;

#[test]
fn one_pass_sgd_follows_its_equations() {
    let rows = hidden_manifold_example::rows().unwrap();
    let (first, last) = (rows[0][1], rows[rows.len() - 1][1]);
    assert!(last < 0.5 * first, "{rows:?}");
    for [t, simulation, theory] in rows {
        // 10,000 test samples give the error to 2 %; one run at D = 100 strays from the mean by some 1/sqrt D of it.
        let tolerance = 0.15 * theory;
        assert!(
            (simulation - theory).abs() < tolerance,
            "t = {t}: {simulation} {theory}"
        );
    }
}

#[test]
fn particles_follow_their_mean_field() {
    let rows = hinge::rows().unwrap();
    assert!(rows[rows.len() - 1][1] > 0.5, "{rows:?}");
    for [t, simulation, theory] in rows {
        // 1000 nodes know the moments of their law to 3 %.
        let tolerance = 0.1 * theory + 1e-12;
        assert!(
            (simulation - theory).abs() < tolerance,
            "t = {t}: {simulation} {theory}"
        );
    }
}

#[test]
fn fits_follow_the_replica_theory() {
    let rows = replica::rows().unwrap();
    assert!(rows[rows.len() - 1][1] < rows[0][1], "{rows:?}");
    for [alpha, mean, error_of_mean, theory] in rows {
        // Four standard errors, and the 1/p of a finite number of features.
        let tolerance = 4.0 * error_of_mean + 0.005;
        assert!(
            (mean - theory).abs() < tolerance,
            "alpha = {alpha}: {mean} +- {error_of_mean}, {theory}"
        );
    }
}
