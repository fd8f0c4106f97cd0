//! Runs of a small flow.

use super::{Controller, Flow, Inputs, Limits, Method, ReluLayer, ReluWeights, Rule, StopRules};
use crate::loss::{ExampleLoss, MarginLoss};
use crate::stepper::{Stepper, Stretch};
use hmm_core::{Activation, Cancel, Error, Table};
use ndarray::{Array, Array1, Array2, Ix1};

/// Twenty neurons on thirty points, with initial weights of size `size`.
fn flow_of_size(method: Method, size: f64) -> Flow<ReluLayer<f64>> {
    let x = Array2::from_shape_fn((30, 2), |(i, j)| (1.0 + 1.7 * (2 * i + j) as f64).sin());
    let y: Array1<f64> = x.column(0).mapv(f64::signum);
    let theta = Array::from_shape_fn(80, |i| size * (0.3 + 2.3 * i as f64).sin());
    let rows = theta
        .slice(ndarray::s![..60])
        .to_shape((20, 3))
        .unwrap()
        .to_owned();
    let weights = ReluWeights {
        w: rows.slice(ndarray::s![.., ..2]),
        b: rows.column(2),
        a: theta.slice(ndarray::s![60..]),
        unit: Activation::Sqrt2Relu,
    };
    let layer = ReluLayer::new(Inputs::new(x.view()).unwrap(), &weights).unwrap();
    let rule = Rule {
        loss: MarginLoss {
            loss: ExampleLoss::SoftHinge { sharpness: 5.0 },
            margin: 1.0,
        },
        alpha: 1.0,
        method,
        limits: Limits {
            max_dout: 0.1,
            max_dw: 0.01,
        },
        subtract_initial: true,
    };
    Flow::new(layer, weights.parameters(), y.view(), rule, &Cancel::new()).unwrap()
}

fn run(method: Method) -> Flow<ReluLayer<f64>> {
    flow_of_size(method, 1.0)
}

#[test]
fn slices_do_not_change_the_run() {
    let cancel = Cancel::new();
    let (mut whole, mut sliced) = (run(Method::Chatter), run(Method::Chatter));
    assert!(whole.go_on(100_000, 50.0, u64::MAX, &cancel).unwrap());
    while !sliced.go_on(3, 50.0, u64::MAX, &cancel).unwrap() {}
    assert_eq!(whole.state(), sliced.state());
    assert_eq!(whole.state().t, 50.0);
}

#[test]
fn restored_equals_never_stopped() {
    let cancel = Cancel::new();
    let (mut whole, mut first) = (run(Method::Chatter), run(Method::Chatter));
    first.go_on(40, f64::INFINITY, u64::MAX, &cancel).unwrap();
    let mut second = run(Method::Chatter);
    second.set_state(first.state().clone(), &cancel).unwrap();
    second.go_on(60, f64::INFINITY, u64::MAX, &cancel).unwrap();
    whole.go_on(100, f64::INFINITY, u64::MAX, &cancel).unwrap();
    assert_eq!(whole.state(), second.state());
    assert_eq!(whole.observation(), second.observation());
}

#[test]
fn euler_approaches_the_high_order_method() {
    let cancel = Cancel::new();
    let mut precise = run(Method::RungeKutta {
        rtol: 1e-10,
        atol: 1e-12,
    });
    let mut euler = run(Method::Chatter);
    assert!(precise.go_on(100_000, 5.0, u64::MAX, &cancel).unwrap());
    assert!(euler.go_on(100_000, 5.0, u64::MAX, &cancel).unwrap());
    for (a, b) in precise.state().theta.iter().zip(&euler.state().theta) {
        // Steps of 1 % of the parameters.
        assert!((a - b).abs() < 0.05);
    }
    assert_ne!(precise.state().theta, euler.state().theta);
}

#[test]
fn rules_end_a_run() {
    let cancel = Cancel::new();
    let mut flow = run(Method::Chatter);
    flow.set_rules(StopRules {
        steps: Some(7),
        ..StopRules::default()
    });
    assert!(!flow.go_on(100, f64::INFINITY, u64::MAX, &cancel).unwrap());
    assert_eq!((flow.stopped(), flow.state().step), (Some("max_steps"), 7));
    flow.set_rules(StopRules {
        fraction: Some(0.5),
        ..StopRules::default()
    });
    flow.go_on(1_000_000, f64::INFINITY, u64::MAX, &cancel)
        .unwrap();
    assert_eq!(flow.stopped(), Some("fraction"));
    assert!(flow.state().events[0].is_some());
}

#[test]
fn a_raised_flag_leaves_a_whole_step() {
    let cancel = Cancel::new();
    let mut flow = run(Method::Chatter);
    flow.go_on(5, f64::INFINITY, u64::MAX, &cancel).unwrap();
    let before = flow.state().clone();
    cancel.raise();
    assert!(matches!(
        flow.go_on(5, f64::INFINITY, u64::MAX, &cancel),
        Err(Error::Interrupted)
    ));
    assert_eq!(&before, flow.state());
}

#[test]
fn a_state_goes_through_its_table() {
    let cancel = Cancel::new();
    let mut first = run(Method::Chatter);
    while first.state().events[0].is_none() {
        first.advance(&Stretch::steps(100), &cancel).unwrap();
    }
    let mut second = run(Method::Chatter);
    second.restore(&first.snapshot(), &cancel).unwrap();
    assert_eq!(first.state(), second.state());
    assert_eq!(
        first.observe(&cancel).unwrap(),
        second.observe(&cancel).unwrap()
    );
    let events = second.query("events", &cancel).unwrap();
    assert!(events.has("t_star_theta"));
    let broken: Table = first
        .snapshot()
        .into_iter()
        .filter(|(name, _)| name != "dt")
        .collect();
    assert!(second.restore(&broken, &cancel).is_err());
}

#[test]
fn unknown_questions_and_rules_are_refused_with_their_list() {
    let cancel = Cancel::new();
    let mut flow = run(Method::Chatter);
    let refused = flow.query("margin", &cancel).unwrap_err().to_string();
    assert!(refused.contains("'margins', 'test_predictions'"));
    assert!(flow.stop_when(&Table::new().with("typo", 1.0)).is_err());
    assert!(flow.stop_when(&Table::new().with("fraction", 0.5)).is_ok());
    assert!("typo".parse::<Controller>().is_err());
}

#[test]
fn the_high_order_method_bounds_the_predictions_of_large_weights_too() {
    let cancel = Cancel::new();
    for size in [1.0, 1e3, 1e6] {
        let mut flow = flow_of_size(
            Method::RungeKutta {
                rtol: 1e-9,
                atol: 1e-12,
            },
            size,
        );
        let mut before = flow.observation().loss;
        for _ in 0..50 {
            flow.go_on(1, f64::INFINITY, u64::MAX, &cancel).unwrap();
            let now = flow.observation().loss;
            assert!(now <= before * (1.0 + 1e-9), "{size}: {before} -> {now}");
            before = now;
        }
    }
}

#[test]
fn test_points_are_predicted_from_the_start() {
    let cancel = Cancel::new();
    let x = Array2::from_shape_fn((30, 2), |(i, j)| (1.0 + 1.7 * (2 * i + j) as f64).sin());
    let mut flow = run(Method::Chatter)
        .with_test(Inputs::new(x.view()).unwrap(), &cancel)
        .unwrap();
    let at_start = flow.test_predictions(&cancel).unwrap().unwrap();
    assert_eq!(at_start, vec![0.0; 30]);
    flow.go_on(20, f64::INFINITY, u64::MAX, &cancel).unwrap();
    let predictions = flow.query("test_predictions", &cancel).unwrap();
    let predictions = predictions.array::<f64, Ix1>("predictions").unwrap();
    // The test points are the training points.
    for ((prediction, margin), x) in predictions.iter().zip(flow.margins()).zip(x.column(0)) {
        assert!((prediction * x.signum() - margin).abs() < 1e-14);
    }
}
