//! How long walks take: 100 full trees of depth 6 over 10 features, one row and 1,000 rows.
//!
//! `cargo run --release -p modelcell-forest --example walk`

use std::hint::black_box;
use std::time::Instant;

use modelcell_forest::{Branch, BuildError, Builder, Forest, Missing, Node, Side, Test};

const FEATURES: u32 = 10;
const BRANCHES: u32 = 63;

fn main() -> Result<(), BuildError> {
    let forest = forest()?;
    println!("{} trees, {} bytes", forest.trees(), forest.node_bytes());
    let rows: Vec<f32> = (0..1000 * FEATURES).map(number).collect();
    let mut payloads = [0; 100];
    let mut turn = rows.chunks(FEATURES as usize).cycle();
    time("one row", 20_000, || {
        forest.leaves(turn.next().unwrap_or_default(), &mut payloads);
        black_box(&payloads);
    });
    time("1,000 rows", 100, || {
        forest.leaves_of_rows(&rows, FEATURES as usize, |_, _, payloads| {
            black_box(payloads);
        });
    });
    Ok(())
}

fn time(what: &str, times: u32, mut task: impl FnMut()) {
    for _ in 0..3 {
        let start = Instant::now();
        for _ in 0..times {
            task();
        }
        println!("{what}: {:?}", start.elapsed() / times);
    }
}

fn forest() -> Result<Forest<f32>, BuildError> {
    let mut builder = Builder::new(FEATURES);
    for tree in 0..100 {
        builder.add_tree(2 * BRANCHES as usize + 1, |node| {
            Ok(if node >= BRANCHES {
                Node::Leaf(node)
            } else {
                Node::Branch(Branch {
                    feature: (node * 31 + tree * 17) % FEATURES,
                    left: 2 * node + 1,
                    right: 2 * node + 2,
                    test: Test::Below {
                        threshold: number(tree * 1000 + node),
                        missing: Missing::Nan(if node % 2 == 0 {
                            Side::Left
                        } else {
                            Side::Right
                        }),
                    },
                })
            })
        })?;
    }
    Ok(builder.finish())
}

/// Numbers from 0 to 1 that look random.
fn number(seed: u32) -> f32 {
    let mixed = (seed ^ seed >> 15).wrapping_mul(0x2c1b_3c6d);
    let mixed = (mixed ^ mixed >> 12).wrapping_mul(0x297a_2d39);
    (mixed >> 8) as f32 / (1 << 24) as f32
}
