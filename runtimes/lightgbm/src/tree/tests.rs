use super::*;

/// Where LightGBM sends a value: what is nearly zero reaches its trees as 0.
fn goes_left(value: f64, threshold: f64) -> bool {
    let value = if value.abs() <= ZERO { 0.0 } else { value };
    value <= threshold
}

#[test]
fn comparisons_are_lightgbms() {
    let near = [
        0.0,
        -0.0,
        1e-36,
        -1e-36,
        5e-324,
        ZERO,
        -ZERO,
        ZERO.next_up(),
        ZERO.next_down(),
    ];
    let far = [
        1.5,
        -1.5,
        f64::MAX,
        f64::MIN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        1.5_f64.next_up(),
    ];
    let all: Vec<f64> = near.into_iter().chain(far).flat_map(|x| [x, -x]).collect();
    for &threshold in &all {
        for &value in &all {
            if threshold == f64::INFINITY && value == f64::INFINITY {
                // See `Booster::comparable`.
                continue;
            }
            assert_eq!(
                value < first_to_the_right(threshold),
                goes_left(value, threshold),
                "{value:e} <= {threshold:e}"
            );
        }
    }
}
