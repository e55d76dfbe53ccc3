//! Forests of random trees, walked by this crate and, for comparison, node by node as they were given.

use crate::{Branch, Builder, Codes, Forest, MOST_SET_WORDS, Missing, Node, Side, Test};

/// A generator of numbers that look random (xorshift), the same in each run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 20) % bound
    }

    fn number(&mut self) -> f32 {
        match self.below(12) {
            0 => f32::NAN,
            1 => f32::INFINITY,
            2 => f32::NEG_INFINITY,
            3 => 0.0,
            4 => -0.0,
            5 => 1e-36,
            6 => -0.5,
            _ => self.below(16) as f32 / 2.0 - 2.0,
        }
    }

    fn side(&mut self) -> Side {
        if self.below(2) == 0 {
            Side::Left
        } else {
            Side::Right
        }
    }
}

/// Trees as a file would have them.
type Tree = Vec<Node<'static, f32>>;

const FEATURES: u32 = 7;

fn test(random: &mut Random, categories: bool) -> Test<'static, f32> {
    const SETS: [&[u32]; 4] = [&[0b1011], &[0, 0, 0], &[], &[0x8000_0001, 3, 0]];
    if categories && random.below(3) == 0 {
        let codes = [Codes::NonNegative, Codes::Truncated];
        return Test::Among {
            members: SETS[random.below(4) as usize],
            side: random.side(),
            missing: random.side(),
            codes: codes[random.below(2) as usize],
        };
    }
    let missing = match random.below(3) {
        0 => Missing::Nan(random.side()),
        1 => Missing::NanAndZero(random.side()),
        _ => Missing::Nothing,
    };
    let mut threshold = random.number();
    if threshold.is_nan() {
        threshold = 0.25;
    }
    Test::Below { threshold, missing }
}

/// A tree with so many branches, each put in place of a leaf that chance picks.
fn tree(random: &mut Random, branches: usize, categories: bool) -> Tree {
    let mut tree: Tree = vec![Node::Leaf(0)];
    for _ in 0..branches {
        let leaf = loop {
            let at = random.below(tree.len() as u64) as usize;
            if matches!(tree[at], Node::Leaf(_)) {
                break at;
            }
        };
        let left = tree.len() as u32;
        let payload = random.below(u64::from(u32::MAX)) as u32;
        tree.extend([Node::Leaf(payload), Node::Leaf(!payload)]);
        tree[leaf] = Node::Branch(Branch {
            feature: random.below(u64::from(FEATURES)) as u32,
            // Files need not have the left child first.
            left: left + (branches % 2) as u32,
            right: left + 1 - (branches % 2) as u32,
            test: test(random, categories),
        });
    }
    tree
}

/// What the documentation says about one step.
fn goes_right(test: Test<'_, f32>, value: f32) -> bool {
    match test {
        Test::Below { threshold, missing } => match missing {
            Missing::Nan(side) if value.is_nan() => side == Side::Right,
            Missing::NanAndZero(side) if value.is_nan() || value.abs() < 1e-35 => {
                side == Side::Right
            }
            Missing::Nothing if value.is_nan() => 0.0 >= threshold,
            _ => value >= threshold,
        },
        Test::Among {
            members,
            side,
            missing,
            codes,
        } => {
            if value.is_nan() {
                return missing == Side::Right;
            }
            let code = value.trunc();
            let valid = match codes {
                Codes::NonNegative => (0.0..16_777_216.0).contains(&value),
                Codes::Truncated => code >= 0.0 && value < 1e9,
            };
            let code = code as usize;
            let word = members.get(code / 32).copied().unwrap_or(0);
            let member = valid && word >> (code % 32) & 1 == 1;
            member == (side == Side::Right)
        }
    }
}

fn expected(tree: &Tree, row: &[f32]) -> u32 {
    let mut at = 0;
    loop {
        match tree[at] {
            Node::Leaf(payload) => return payload,
            Node::Branch(branch) => {
                let value = row.get(branch.feature as usize).copied();
                let right = goes_right(branch.test, value.unwrap_or(f32::NAN));
                at = if right { branch.right } else { branch.left } as usize;
            }
        }
    }
}

fn build(trees: &[Tree]) -> Forest<f32> {
    let mut builder = Builder::new(FEATURES);
    for tree in trees {
        builder
            .add_tree(tree.len(), |node| Ok(tree[node as usize]))
            .unwrap();
    }
    builder.finish()
}

fn compare(trees: &[Tree], forest: &Forest<f32>, random: &mut Random, count: usize, width: usize) {
    let rows: Vec<f32> = (0..count * width).map(|_| random.number()).collect();
    let mut payloads = vec![0; trees.len()];
    for row in rows.chunks(width) {
        forest.leaves(row, &mut payloads);
        for (tree, payload) in trees.iter().zip(&payloads) {
            assert_eq!(*payload, expected(tree, row), "{row:?}");
        }
    }
    let mut calls = 0;
    forest.leaves_of_rows(&rows, width, |first, tree, payloads| {
        for (row, &payload) in rows.chunks(width).skip(first).zip(payloads) {
            assert_eq!(payload, expected(&trees[tree], row), "{row:?}");
            calls += 1;
        }
    });
    assert_eq!(calls, count * trees.len());
}

#[test]
fn walks_go_where_the_trees_say() {
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    for (trees, branches, categories) in [
        (0, 0, false),
        (1, 0, false),
        (3, 1, true),
        (8, 5, false),
        (21, 40, true),
        (9, 300, false),
    ] {
        let trees: Vec<Tree> = (0..trees)
            .map(|_| tree(&mut random, branches, categories))
            .collect();
        let forest = build(&trees);
        assert_eq!(forest.trees(), trees.len());
        for (count, width) in [(0, 7), (1, 7), (7, 7), (65, 7), (200, 3), (9, 12)] {
            compare(&trees, &forest, &mut random, count, width);
        }
    }
}

#[test]
fn a_forest_may_be_cut_short() {
    let mut random = Random(3);
    let trees: Vec<Tree> = (0..10).map(|_| tree(&mut random, 9, false)).collect();
    let mut forest = build(&trees);
    forest.truncate(11);
    assert_eq!((forest.trees(), forest.node_bytes()), (10, 190 * 8));
    forest.truncate(4);
    assert_eq!((forest.trees(), forest.node_bytes()), (4, 76 * 8));
    compare(&trees[..4], &forest, &mut random, 20, 7);
}

#[test]
fn a_node_takes_eight_bytes() {
    let mut random = Random(7);
    let forest = build(&[tree(&mut random, 63, true)]);
    assert_eq!(forest.node_bytes(), 127 * 8);
}

#[test]
fn more_features_than_narrow_nodes_have_room_for() {
    let mut builder = Builder::new(5000);
    for feature in 0..5000 {
        builder
            .add_tree(3, |node| {
                Ok(match node {
                    0 => Node::Branch(Branch {
                        feature,
                        left: 1,
                        right: 2,
                        test: Test::Below {
                            threshold: feature as f32,
                            missing: Missing::Nan(Side::Right),
                        },
                    }),
                    _ => Node::Leaf(node * feature),
                })
            })
            .unwrap();
    }
    let forest = builder.finish();
    assert_eq!(forest.node_bytes(), 5000 * 3 * 12);
    let mut payloads = vec![0; 5000];
    forest.leaves(&vec![2500.0; 5000], &mut payloads);
    for (feature, &payload) in (0..).zip(&payloads) {
        let side = if feature <= 2500 { 2 } else { 1 };
        assert_eq!(payload, side * feature);
    }
}

#[test]
fn a_chain_of_a_hundred_thousand_nodes_ends() {
    const LENGTH: u32 = 100_000;
    let mut builder = Builder::new(1);
    builder
        .add_tree(2 * LENGTH as usize + 1, |node| {
            Ok(if node % 2 == 1 || node == 2 * LENGTH {
                Node::Leaf(node)
            } else {
                Node::Branch(Branch {
                    feature: 0,
                    left: node + 1,
                    right: node + 2,
                    test: Test::Below {
                        threshold: f64::from(node),
                        missing: Missing::Nothing,
                    },
                })
            })
        })
        .unwrap();
    let forest = builder.finish();
    for (value, leaf) in [(-1.0, 1), (11.0, 13), (1e9, 2 * LENGTH), (f64::NAN, 3)] {
        let mut payloads = [0];
        forest.leaves(&[value], &mut payloads);
        assert_eq!(payloads, [leaf]);
    }
}

#[test]
fn what_is_no_tree_is_refused() {
    let branch = |feature, left, right, threshold| {
        Node::Branch(Branch {
            feature,
            left,
            right,
            test: Test::Below {
                threshold,
                missing: Missing::Nothing,
            },
        })
    };
    let leaf = Node::Leaf(0);
    for (tree, message) in [
        (vec![], "node 0: there is no such node: the tree has 0"),
        (
            vec![branch(0, 0, 1, 0.0), leaf],
            "node 0: two paths lead to it",
        ),
        (
            vec![branch(0, 1, 1, 0.0), leaf],
            "node 1: two paths lead to it",
        ),
        (
            vec![branch(0, 1, 2, 0.0), leaf, branch(0, 0, 1, 0.0)],
            "node 0: two paths lead to it",
        ),
        (
            vec![branch(0, 1, 9, 0.0), leaf],
            "node 9: there is no such node: the tree has 2",
        ),
        (
            vec![branch(FEATURES, 1, 2, 0.0), leaf, leaf],
            "node 0: it splits on feature 7, but there are 7 (the first is 0)",
        ),
        (
            vec![branch(0, 1, 2, f32::NAN), leaf, leaf],
            "node 0: its threshold is not a number",
        ),
    ] {
        let mut builder = Builder::new(FEATURES);
        builder.add_tree(1, |_| Ok(leaf)).unwrap();
        let error = builder
            .add_tree(tree.len(), |node| Ok(tree[node as usize]))
            .unwrap_err();
        assert_eq!(error.to_string(), format!("tree 1, {message}"));
    }
    let error = Builder::<f32>::new(1)
        .add_tree(1, |_| Err("no".to_owned()))
        .unwrap_err();
    assert_eq!(error.to_string(), "tree 0, node 0: no");
}

/// Many nodes may name the same large set, whether it has members or not.
#[test]
fn sets_are_bounded() {
    for last in [0, 1] {
        let mut members = vec![0; MOST_SET_WORDS / 2];
        members[MOST_SET_WORDS / 2 - 1] = last;
        let mut builder = Builder::<f32>::new(1);
        let mut add = |members: &[u32]| {
            builder.add_tree(3, |node| {
                Ok(match node {
                    0 => Node::Branch(Branch {
                        feature: 0,
                        left: 1,
                        right: 2,
                        test: Test::Among {
                            members,
                            side: Side::Right,
                            missing: Side::Left,
                            codes: Codes::Truncated,
                        },
                    }),
                    _ => Node::Leaf(node),
                })
            })
        };
        add(&members).unwrap();
        add(&members).unwrap();
        assert_eq!(
            add(&[1]).unwrap_err().to_string(),
            "tree 2, node 0: up to it, sets of categories take more than 16777216 words of 32 categories"
        );
    }
}
