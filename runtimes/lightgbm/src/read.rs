//! Reads a model file.

use std::io::{Read, Seek};

use memchr::memmem;
use modelcell_forest::{Builder, Forest};
use modelcell_guest::{Error, Result};

use crate::blocks::Blocks;
use crate::header::Header;
use crate::leaves::Leaves;
use crate::lines::{Lines, quote};
use crate::tree::TreeReader;

/// No file has more nodes than bytes over this: a leaf takes at least a digit and a space in six lists, and
/// comes with a split.
const BYTES_PER_NODE: usize = 6;

/// What a file says.
pub(crate) struct Saved {
    pub(crate) header: Header,
    /// How the model was trained, as far as the file says.
    pub(crate) boosting: String,
    pub(crate) forest: Forest<f64>,
    pub(crate) leaves: Leaves,
    /// Whether some tree compares with infinity.
    pub(crate) compares_with_infinity: bool,
}

/// Reads a file from its beginning, twice: memory that grows step by step leaves copies of itself behind,
/// so room for all trees is made at once.
///
/// # Errors
/// Whatever is wrong with the file, and where in it.
pub(crate) fn read(source: impl Read + Seek) -> Result<Saved> {
    let mut blocks = Blocks::new(source);
    let room = Room::count(&mut blocks)?;
    blocks.rewind()?;
    let header = Header::read(blocks.next()?)?;
    let mut trees = Trees {
        features: header.features,
        forest: Builder::new(header.features),
        leaves: Leaves::with_capacity(room.leaves),
        reader: TreeReader::default(),
    };
    trees.forest.reserve(room.nodes);
    let count = trees.read(&mut blocks)?;
    header.check_trees(count)?;
    let boosting = boosting(&mut blocks, header.averaged)?;
    // Before what was needed to read is given back, so that nothing is kept behind it.
    trees.leaves.shrink_to_fit();
    Ok(Saved {
        header,
        boosting,
        compares_with_infinity: trees.reader.compares_with_infinity,
        forest: trees.forest.finish(),
        leaves: trees.leaves,
    })
}

/// How much there is to read, by what the file says itself, within what it can hold.
struct Room {
    nodes: usize,
    leaves: usize,
}

impl Room {
    fn count<R: Read + Seek>(blocks: &mut Blocks<R>) -> Result<Self> {
        let (mut nodes, mut leaves) = (0_usize, 0_usize);
        loop {
            let block = blocks.next()?;
            if block.is_empty() {
                break;
            }
            if let Some(count) = leaf_count(block) {
                leaves = leaves.saturating_add(count);
                nodes = nodes.saturating_add(count.saturating_mul(2).saturating_sub(1));
            }
        }
        let most = blocks.bytes() / BYTES_PER_NODE;
        Ok(Self {
            nodes: nodes.min(most),
            leaves: leaves.min(most),
        })
    }
}

/// The number of leaves that a tree says it has.
fn leaf_count(block: &[u8]) -> Option<usize> {
    const KEY: &[u8] = b"\nnum_leaves=";
    let at = memmem::find(block, KEY)?;
    let line = Lines::new(block.get(at + KEY.len()..)?).next()?;
    str::from_utf8(line).ok()?.parse().ok()
}

/// The trees so far.
struct Trees {
    features: u32,
    forest: Builder<f64>,
    leaves: Leaves,
    reader: TreeReader,
}

impl Trees {
    /// Reads trees up to the line that ends them. Returns how many there are.
    fn read<R: Read + Seek>(&mut self, blocks: &mut Blocks<R>) -> Result<usize> {
        let mut tree = 0;
        loop {
            let block = blocks.next()?;
            if block.is_empty() {
                return Err(Error::failed(format_args!(
                    "the file ends after {tree} trees: \"end of trees\" is missing"
                )));
            }
            let mut lines = Lines::new(block);
            let line = lines.next().unwrap_or_default();
            if line == b"end of trees" {
                return Ok(tree);
            }
            self.add(line, lines)
                .map_err(|error| Error::failed(format_args!("tree {tree}: {error}")))?;
            tree += 1;
        }
    }

    fn add(&mut self, first_line: &[u8], lines: Lines<'_>) -> Result<()> {
        if !first_line.starts_with(b"Tree=") {
            return Err(Error::failed(format_args!(
                "expected a line \"Tree=...\" or \"end of trees\", found {}",
                quote(first_line)
            )));
        }
        self.reader
            .read(lines, self.features, &mut self.forest, &mut self.leaves)
    }
}

/// How the model was trained, from the parameters after the trees. Only for the description.
fn boosting<R: Read + Seek>(blocks: &mut Blocks<R>, averaged: bool) -> Result<String> {
    let default = if averaged { "rf" } else { "gbdt" };
    loop {
        let block = blocks.next()?;
        if block.is_empty() {
            return Ok(default.to_owned());
        }
        let named = Lines::new(block)
            .find_map(|line| line.strip_prefix(b"[boosting: ")?.strip_suffix(b"]"));
        if let Some(named) = named {
            let known = ["gbdt", "dart", "goss", "rf"];
            let found = known.into_iter().find(|name| named == name.as_bytes());
            return Ok(found.unwrap_or(default).to_owned());
        }
    }
}
