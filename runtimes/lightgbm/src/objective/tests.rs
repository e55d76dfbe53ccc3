use super::*;

fn transformed(objective: &str, sums: &[f64]) -> Vec<f64> {
    let mut outputs = sums.to_vec();
    let objective = Objective::parse(objective, sums.len()).unwrap();
    objective.transform.apply(&mut outputs);
    outputs
}

/// Those of real models are compared with LightGBM's; these are the ends of the range.
#[test]
fn transforms() {
    for (objective, sums, expected) in [
        ("regression", &[-1.5][..], &[-1.5][..]),
        ("regression sqrt", &[-1.5], &[-2.25]),
        ("mse sqrt", &[3.0], &[9.0]),
        ("quantile sqrt", &[-3.0], &[-9.0]),
        ("huber sqrt", &[3.0], &[3.0]),
        ("tweedie sqrt", &[0.0], &[1.0]),
        ("poisson", &[1000.0], &[f64::INFINITY]),
        ("binary sigmoid:2", &[0.0], &[0.5]),
        ("binary sigmoid:2", &[-1e6], &[0.0]),
        ("binary sigmoid:2", &[1e6], &[1.0]),
        ("xentropy", &[0.0], &[0.5]),
        ("cross_entropy_lambda", &[-1e6], &[0.0]),
        ("softmax num_class:2", &[1e300, 1e300], &[0.5, 0.5]),
        ("multiclass num_class:3", &[0.0, 1e3, 0.0], &[0.0, 1.0, 0.0]),
        ("ova num_class:2 sigmoid:1", &[0.0, 1e6], &[0.5, 1.0]),
        ("lambdarank", &[7.0], &[7.0]),
        ("custom", &[7.0, 8.0], &[7.0, 8.0]),
        ("null", &[7.0], &[7.0]),
    ] {
        assert_eq!(transformed(objective, sums), expected, "{objective}");
    }
}

#[test]
fn classes_are_counted() {
    for (objective, outputs, classes) in [
        ("binary sigmoid:1", 1, 2),
        ("multiclass num_class:5", 5, 5),
        ("multiclassova num_class:4 sigmoid:1", 4, 4),
        ("regression", 1, 0),
    ] {
        let objective = Objective::parse(objective, outputs).unwrap();
        assert_eq!(objective.classes, classes);
    }
}

#[test]
fn objectives_that_make_no_sense() {
    for (objective, outputs, message) in [
        (
            "survival",
            1,
            "objective \"survival\" is unknown: this runtime knows those of LightGBM 3 and 4",
        ),
        (
            "",
            1,
            "objective \"\" is unknown: this runtime knows those of LightGBM 3 and 4",
        ),
        ("binary", 1, "objective \"binary\" has no sigmoid"),
        ("binary sigmoid:0", 1, "sigmoid is 0: it must be above 0"),
        (
            "binary sigmoid:nan",
            1,
            "sigmoid is NaN: it must be above 0",
        ),
        ("binary sigmoid:x", 1, "sigmoid: invalid float literal"),
        ("multiclass", 3, "objective \"multiclass\" has no num_class"),
        (
            "multiclass num_class:4",
            3,
            "objective multiclass needs 4 trees per iteration, but num_tree_per_iteration is 3",
        ),
        (
            "regression",
            2,
            "objective regression needs 1 trees per iteration, but num_tree_per_iteration is 2",
        ),
    ] {
        let error = Objective::parse(objective, outputs).unwrap_err();
        assert_eq!((error.status(), error.message()), (500, message));
    }
}
