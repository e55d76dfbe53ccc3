//! Probabilities of classes from those of pairs, as libsvm couples them: Wu, Lin and Weng,
//! "Probability estimates for multi-class classification by pairwise coupling" (2004), algorithm 2.

use crate::ops::post::logistic;

/// The probability that a pair's first class wins.
pub(super) fn sigmoid(sum: f32, (slope, intercept): (f32, f32)) -> f32 {
    let probability = 1.0 - logistic(sum * slope + intercept);
    probability.clamp(1e-7, 1.0 - 1e-7)
}

/// The probabilities of `classes` classes. `wins` has the pairs in order: (0, 1), (0, 2), (1, 2) for
/// three.
pub(super) fn of_pairs(classes: usize, wins: &[f32]) -> Vec<f32> {
    let q = quadratic(classes, wins);
    let mut p = vec![1.0 / classes as f32; classes];
    let enough = 0.005 / classes as f32;
    for _ in 0..classes.max(100) {
        let mut qp: Vec<f32> = q.iter().map(|row| product(row, &p)).collect();
        let mut pqp = product(&p, &qp);
        if qp.iter().all(|value| (value - pqp).abs() < enough) {
            break;
        }
        for (class, row) in q.iter().enumerate() {
            let (Some(diagonal), Some(at)) = (row.get(class), qp.get(class)) else {
                break;
            };
            let step = (pqp - at) / diagonal;
            let norm = 1.0 + step;
            pqp = (pqp + step * (step * diagonal + 2.0 * at)) / norm / norm;
            if let Some(p) = p.get_mut(class) {
                *p += step;
            }
            p.iter_mut().for_each(|p| *p /= norm);
            for (qp, q) in qp.iter_mut().zip(row) {
                *qp = (*qp + step * q) / norm;
            }
        }
    }
    p
}

fn product(left: &[f32], right: &[f32]) -> f32 {
    left.iter().zip(right).map(|(l, r)| l * r).sum()
}

/// The matrix of the quadratic form whose minimum the probabilities are.
fn quadratic(classes: usize, wins: &[f32]) -> Vec<Vec<f32>> {
    let mut q = vec![vec![0.0; classes]; classes];
    let pairs =
        (0..classes).flat_map(|first| (first + 1..classes).map(move |second| (first, second)));
    let mut add = |row: usize, column: usize, value: f32| {
        if let Some(place) = q.get_mut(row).and_then(|row| row.get_mut(column)) {
            *place += value;
        }
    };
    for ((first, second), win) in pairs.zip(wins) {
        let loss = 1.0 - win;
        add(first, first, loss * loss);
        add(second, second, win * win);
        add(first, second, -win * loss);
        add(second, first, -win * loss);
    }
    q
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn consistent_pairs_give_their_probabilities() {
        let expected = [0.5_f32, 0.3, 0.2];
        let win =
            |first: usize, second: usize| expected[first] / (expected[first] + expected[second]);
        let found = of_pairs(3, &[win(0, 1), win(0, 2), win(1, 2)]);
        for (found, expected) in found.iter().zip(expected) {
            assert!(
                (found - expected).abs() < 0.01,
                "{found} instead of {expected}"
            );
        }
    }
}
