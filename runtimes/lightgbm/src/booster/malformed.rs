//! Files that are not as LightGBM writes them: errors that say where, and never a panic.

use std::io::Cursor;

use super::*;

mod errors;

/// Three trees on four features: one with comparisons and sets of categories, one of a leaf, one of linear
/// models.
const SMALL: &str = "\
tree
version=v4
num_class=1
num_tree_per_iteration=1
label_index=0
max_feature_idx=3
objective=binary sigmoid:1
feature_names=a b c d
feature_infos=[0:1] [0:1] 0:1:2:33 none
tree_sizes=10 20 30

Tree=0
num_leaves=4
num_cat=2
split_feature=0 2 2
split_gain=1 1 1
threshold=0.5 0 1
decision_type=10 9 1
left_child=1 -1 -3
right_child=2 -2 -4
leaf_value=0.25 -0.5 1 2
leaf_weight=1 1 1 1
cat_boundaries=0 1 3
cat_threshold=5 1 2
is_linear=0
shrinkage=1


Tree=1
num_leaves=1
num_cat=0
split_feature=
threshold=
decision_type=
left_child=
right_child=
leaf_value=0.125
is_linear=0
shrinkage=1


Tree=2
num_leaves=2
num_cat=0
split_feature=1
threshold=1e-3
decision_type=10
left_child=-1
right_child=-2
leaf_value=1 2
is_linear=1
leaf_const=0.5 0.25
num_features=2 0
leaf_features=0 3  
leaf_coeff=2 -1.5  
shrinkage=1


end of trees

feature_importances:
a=1

parameters:
[boosting: dart]
end of parameters

pandas_categorical:null
";

/// Rows that reach all leaves.
const ROWS: [[f64; 4]; 5] = [
    [0.0, 0.0, 0.0, 1.0],
    [0.0, 1.0, 1.0, f64::NAN],
    [1.0, f64::NAN, 7.0, 1.0],
    [1.0, 1.0, 33.0, f64::INFINITY],
    [f64::NAN, -1.0, 1e300, -0.0],
];

fn parse(text: &[u8]) -> Result<Booster> {
    Booster::parse("m.txt", Cursor::new(text))
}

fn changed(from: &str, to: &str) -> String {
    assert!(SMALL.contains(from), "{from}");
    SMALL.replacen(from, to, 1)
}

#[test]
fn the_small_file_is_a_model() {
    let booster = parse(SMALL.as_bytes()).unwrap();
    assert_eq!(
        booster.description(),
        "lightgbm v4: dart, binary, 3 linear trees, 4 features, 2 classes"
    );
    let sums = booster.predict_raw(ROWS.as_flattened()).unwrap();
    // By hand: the leaf of tree 0, 0.125, the linear model of tree 2 (or its number).
    let expected = [
        0.25 + 0.125 + (0.5 - 1.5),
        -0.5 + 0.125 + 0.25,
        2.0 + 0.125 + (0.5 + 2.0 - 1.5),
        1.0 + 0.125 + 0.25,
        -0.5 + 0.125 + 1.0,
    ];
    assert_eq!(sums, expected);
}

#[test]
fn lines_may_end_as_on_windows() {
    let text = SMALL.replace('\n', "\r\n");
    let booster = parse(text.as_bytes()).unwrap();
    let expected = parse(SMALL.as_bytes())
        .unwrap()
        .predict(ROWS.as_flattened())
        .unwrap();
    assert_eq!(booster.predict(ROWS.as_flattened()).unwrap(), expected);
}

#[test]
fn a_file_cut_off_anywhere_among_its_trees_is_refused() {
    let end = SMALL.find("end of trees").unwrap() + "end of trees".len();
    for length in 0..SMALL.len() {
        let result = parse(&SMALL.as_bytes()[..length]);
        assert_eq!(result.is_ok(), length >= end, "{length} bytes");
    }
    let error = parse(&SMALL.as_bytes()[..end - 20]).unwrap_err();
    assert_eq!(
        error.message(),
        "m.txt: the file ends after 3 trees: \"end of trees\" is missing"
    );
}

/// What is still a model then predicts something.
#[test]
fn no_changed_byte_does_harm() {
    let mut models = 0;
    for at in 0..SMALL.len() {
        for byte in [0, 1, b' ', b'\n', b'-', b'.', b'0', b'9', b'e', b'=', 0xff] {
            let mut text = SMALL.as_bytes().to_vec();
            text[at] = byte;
            if let Ok(booster) = parse(&text) {
                let rows: Vec<f64> = ROWS
                    .as_flattened()
                    .iter()
                    .copied()
                    .cycle()
                    .take(booster.features() * 5)
                    .collect();
                assert_eq!(booster.predict(&rows).unwrap().len(), 5 * booster.outputs());
                models += 1;
            }
        }
    }
    assert!(models > 1000, "{models}");
}

/// Each line in its turn is left out, and given twice.
#[test]
fn no_missing_or_repeated_line_does_harm() {
    let lines: Vec<&str> = SMALL.lines().collect();
    for at in 0..lines.len() {
        let mut fewer = lines.clone();
        fewer.remove(at);
        let mut more = lines.clone();
        more.insert(at, lines[at]);
        for lines in [fewer, more] {
            if let Ok(booster) = parse(lines.join("\n").as_bytes()) {
                booster.predict(ROWS.as_flattened()).unwrap();
            }
        }
    }
}

#[test]
fn iterations_are_whole() {
    let text =
        changed("objective=binary sigmoid:1\n", "").replace("per_iteration=1", "per_iteration=2");
    assert_eq!(
        parse(text.as_bytes()).unwrap_err().message(),
        "m.txt: 3 trees are no whole number of iterations: num_tree_per_iteration is 2"
    );
    let text = text.replace("per_iteration=2", "per_iteration=3");
    let booster = parse(text.as_bytes()).unwrap();
    assert_eq!(booster.predict(&ROWS[0]).unwrap(), [0.25, 0.125, -1.0]);
}

#[test]
fn there_must_be_trees() {
    let (head, tail) = (SMALL.find("Tree=0").unwrap(), SMALL.find("end of").unwrap());
    let text = SMALL[..head].to_owned() + &SMALL[tail..];
    let text = text.replace("10 20 30", "");
    let error = parse(text.as_bytes()).unwrap_err();
    assert_eq!(error.message(), "m.txt: the model has no trees");
}

/// A chain as long as the file allows: neither reading nor predicting goes by recursion.
#[test]
fn a_tree_may_be_as_deep_as_it_has_splits() {
    let splits = 100_000;
    let list = |entry: &dyn Fn(usize) -> String, count: usize| {
        (0..count).map(entry).collect::<Vec<_>>().join(" ")
    };
    let chain = |at: usize| {
        if at + 1 < splits {
            (at + 1).to_string()
        } else {
            format!("-{}", splits + 1)
        }
    };
    let text = format!(
        "tree\nversion=v3\nnum_class=1\nmax_feature_idx=0\nfeature_names=a\n\nTree=0\nnum_leaves={}\nnum_cat=0\n\
         split_feature={}\nthreshold={}\ndecision_type={}\nleft_child={}\nright_child={}\nleaf_value={}\n\nend of trees\n",
        splits + 1,
        list(&|_| "0".to_owned(), splits),
        list(&|at| at.to_string(), splits),
        list(&|_| "2".to_owned(), splits),
        list(&|at| format!("-{}", at + 1), splits),
        list(&chain, splits),
        list(&|at| at.to_string(), splits + 1),
    );
    let booster = parse(text.as_bytes()).unwrap();
    let rows = [-1.0, 0.0, 0.5, 99_999.0, 1e9, f64::NAN];
    assert_eq!(
        booster.predict(&rows).unwrap(),
        [0.0, 0.0, 1.0, 99_999.0, 100_000.0, 0.0]
    );
}

/// Each split has a copy of its set, but a file may name one large set again and again.
#[test]
fn a_set_that_many_splits_name_is_bounded() {
    let (splits, words) = (17, 1 << 20);
    let list = |entry: &dyn Fn(usize) -> String, count: usize| {
        (0..count).map(entry).collect::<Vec<_>>().join(" ")
    };
    let zeros = list(&|_| "0".to_owned(), splits);
    let text = format!(
        "tree\nversion=v3\nnum_class=1\nmax_feature_idx=0\nfeature_names=a\n\nTree=0\nnum_leaves={}\nnum_cat=1\n\
         split_feature={zeros}\nthreshold={zeros}\ndecision_type={}\nleft_child={}\nright_child={}\nleaf_value={}\n\
         cat_boundaries=0 {words}\ncat_threshold={}\n\nend of trees\n",
        splits + 1,
        list(&|_| "1".to_owned(), splits),
        list(&|at| format!("-{}", at + 1), splits),
        list(
            &|at| if at + 1 < splits {
                (at + 1).to_string()
            } else {
                format!("-{}", splits + 1)
            },
            splits
        ),
        list(&|at| at.to_string(), splits + 1),
        list(&|_| "1".to_owned(), words),
    );
    assert_eq!(
        parse(text.as_bytes()).unwrap_err().message(),
        "m.txt: tree 0: node 16: up to it, sets of categories take more than 16777216 words of 32 categories"
    );
}
