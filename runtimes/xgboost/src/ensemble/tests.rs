use super::{mean, vote};

#[test]
fn means_and_votes() {
    assert_eq!(mean(&mut [1.0, 2.0, 6.0]), 3.0);
    // As scipy's mode: the smallest of the most frequent.
    for (votes, expected) in [
        (vec![2.0, 1.0, 2.0], 2.0),
        (vec![2.0, 1.0], 1.0),
        (vec![0.0, 1.0, 1.0, 0.0], 0.0),
        (vec![3.0], 3.0),
    ] {
        let mut votes: Vec<f32> = votes;
        assert_eq!(vote(&mut votes), expected);
    }
}
