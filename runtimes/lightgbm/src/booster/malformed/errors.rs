//! What is wrong with a file, and where.

use super::*;

#[test]
fn errors_name_the_place() {
    for (from, to, expected) in [
        // The header.
        (
            "tree\n",
            "trees\n",
            "this is no model that LightGBM saved as text: its first line is not \"tree\"",
        ),
        (
            "=v4",
            "=v2",
            "the version is \"v2\", and this runtime reads v3 and v4: load the file with LightGBM 3 or 4 and save it again",
        ),
        (
            "max_feature_idx=3",
            "max_feature_idx=4",
            "max_feature_idx is 4, but there are 4 feature_names",
        ),
        (
            "max_feature_idx=3",
            "max_feature_idx=4294967295",
            "max_feature_idx is 4294967295, but there are 4 feature_names",
        ),
        (
            "max_feature_idx=3",
            "max_feature_idx=-1",
            "max_feature_idx is \"-1\": invalid digit found in string",
        ),
        (
            "max_feature_idx=3\n",
            "",
            "the header has no max_feature_idx",
        ),
        ("feature_names", "names", "the header has no feature_names"),
        (
            "per_iteration=1",
            "per_iteration=0",
            "num_tree_per_iteration is 0",
        ),
        (
            "per_iteration=1",
            "per_iteration=2",
            "objective binary needs 1 trees per iteration, but num_tree_per_iteration is 2",
        ),
        (
            "sizes=10 20 30",
            "sizes=10 20",
            "tree_sizes is about 2 trees, but there are 3",
        ),
        // Counts.
        (
            "num_leaves=4",
            "num_leaves=2147483647",
            "tree 0: leaf_value has 4 entries instead of 2147483647",
        ),
        (
            "num_leaves=4",
            "num_leaves=2147483648",
            "tree 0: num_leaves is \"2147483648\": number too large to fit in target type",
        ),
        ("num_leaves=4", "num_leaves=0", "tree 0: num_leaves is 0"),
        ("num_leaves=4", "num_leaves=-4", "tree 0: num_leaves is -4"),
        ("num_leaves=4\n", "", "tree 0: it has no num_leaves"),
        (
            "leaf_value=0.125",
            "leaf_value=",
            "tree 1: leaf_value has 0 entries instead of 1",
        ),
        (
            "threshold=0.5 0 1",
            "threshold=0.5 0",
            "tree 0: threshold has 2 entries instead of 3",
        ),
        (
            "threshold=0.5 0 1",
            "threshold=0.5 x 1",
            "tree 0: threshold: entry 1 is \"x\": invalid float literal",
        ),
        (
            "threshold=0.5",
            "threshold=nan",
            "tree 0: node 0: its threshold is not a number",
        ),
        (
            "split_feature=0 2 2",
            "split_feature=0 2 -2",
            "tree 0: split_feature: entry 2 is \"-2\": invalid digit found in string",
        ),
        // Nodes.
        (
            "split_feature=0 2 2",
            "split_feature=0 2 4",
            "tree 0: node 2: it splits on feature 4, but there are 4 (the first is 0)",
        ),
        (
            "left_child=1 ",
            "left_child=0 ",
            "tree 0: node 0: two paths lead to it",
        ),
        (
            "right_child=2 -2",
            "right_child=1 -2",
            "tree 0: node 1: two paths lead to it",
        ),
        (
            "left_child=1 -1",
            "left_child=1 0",
            "tree 0: node 0: two paths lead to it",
        ),
        (
            "left_child=1 -1",
            "left_child=1 -2",
            "tree 0: leaf 1: two paths lead to it",
        ),
        (
            "left_child=1 ",
            "left_child=3 ",
            "tree 0: node 0: its child is node 3, but the tree has 3 (the first is 0)",
        ),
        (
            "left_child=1 -1",
            "left_child=1 -5",
            "tree 0: node 1: its child is leaf 4, but the tree has 4 (the first is 0)",
        ),
        (
            "left_child=1 -1",
            "left_child=1 -2147483648",
            "tree 0: node 1: its child is leaf 2147483647, but the tree has 4 (the first is 0)",
        ),
        (
            "decision_type=10",
            "decision_type=14",
            "tree 0: node 0: its decision_type is 14",
        ),
        (
            "decision_type=10",
            "decision_type=-6",
            "tree 0: decision_type: entry 0 is \"-6\": invalid digit found in string",
        ),
        // Categories.
        (
            "num_cat=2",
            "num_cat=2147483647",
            "tree 0: cat_boundaries has 3 entries instead of 2147483648",
        ),
        ("num_cat=2", "num_cat=-2", "tree 0: num_cat is -2"),
        (
            "num_cat=2",
            "num_cat=0",
            "tree 0: node 1: its categories are set 0, which is not in cat_boundaries and cat_threshold",
        ),
        (
            "cat_boundaries=0 1 3",
            "cat_boundaries=0 1 4294967295",
            "tree 0: cat_threshold has 3 entries instead of 4294967295",
        ),
        (
            "cat_boundaries=0 1 3",
            "cat_boundaries=2 1 3",
            "tree 0: node 1: its categories are set 0, which is not in cat_boundaries and cat_threshold",
        ),
        (
            "cat_boundaries=0 1 3",
            "cat_boundaries=0 9 3",
            "tree 0: node 1: its categories are set 0, which is not in cat_boundaries and cat_threshold",
        ),
        (
            "cat_threshold=5 1 2",
            "cat_threshold=5 1 4294967296",
            "tree 0: cat_threshold: entry 2 is \"4294967296\": number too large to fit in target type",
        ),
        (
            "threshold=0.5 0 1",
            "threshold=0.5 0 2",
            "tree 0: node 2: its categories are set 2, which is not in cat_boundaries and cat_threshold",
        ),
        (
            "threshold=0.5 0 1",
            "threshold=0.5 0 -1",
            "tree 0: node 2: its categories are set -1, which is not in cat_boundaries and cat_threshold",
        ),
        (
            "threshold=0.5 0 1",
            "threshold=0.5 0 1e300",
            "which is not in cat_boundaries and cat_threshold",
        ),
        (
            "threshold=0.5 0 1",
            "threshold=0.5 0 inf",
            "which is not in cat_boundaries and cat_threshold",
        ),
        (
            "threshold=0.5 0 1",
            "threshold=0.5 0 0.5",
            "tree 0: node 2: its categories are set 0.5, which is not in cat_boundaries and cat_threshold",
        ),
        // Linear models.
        (
            "is_linear=1\n",
            "is_linear=256\n",
            "tree 2: is_linear is \"256\": number too large to fit in target type",
        ),
        (
            "num_features=2 0",
            "num_features=2 1",
            "tree 2: leaf_features has 2 entries instead of 3",
        ),
        (
            "num_features=2 0",
            "num_features=18446744073709551615 2",
            "tree 2: num_features add up to too many",
        ),
        (
            "leaf_features=0 3",
            "leaf_features=0 4",
            "tree 2: leaf_features names feature 4, but there are 4 (the first is 0)",
        ),
        (
            "leaf_coeff=2 -1.5",
            "leaf_coeff=2",
            "tree 2: leaf_coeff has 1 entries instead of 2",
        ),
        ("leaf_const=0.5 0.25\n", "", "tree 2: it has no leaf_const"),
        // Trees.
        (
            "Tree=1\n",
            "Twig=1\n",
            "tree 1: expected a line \"Tree=...\" or \"end of trees\", found \"Twig=1\"",
        ),
        (
            "end of trees\n",
            "",
            "tree 3: expected a line \"Tree=...\" or \"end of trees\", found \"feature_importances:\"",
        ),
    ] {
        let error = parse(changed(from, to).as_bytes()).unwrap_err();
        assert_eq!(error.status(), 500);
        let message = error.message();
        assert!(
            message.starts_with("m.txt: ") && message.ends_with(expected),
            "{from:?} -> {to:?}: {message}"
        );
    }
}
