//! A node in memory.

use crate::value::Value;

/// A node: 8 bytes with a threshold in float32 and a [`Narrow`] word, which nearly all forests fit.
///
/// The siblings of a pair stand side by side, so that a branch needs to know only the left one. Packed,
/// because float64 would otherwise leave 4 bytes empty.
#[derive(Debug, Clone, Copy)]
#[repr(C, packed(4))]
pub(crate) struct Packed<T, W> {
    /// A branch's threshold, or the bits of its set's place; a leaf's payload.
    value: T,
    word: W,
}

impl<T: Value, W: Word> Packed<T, W> {
    pub(crate) fn leaf(payload: u32) -> Self {
        Self {
            value: T::from_bits(payload),
            word: W::LEAF,
        }
    }

    /// A branch, or `None` if its numbers are too large for the word.
    pub(crate) fn branch(value: T, fields: Fields) -> Option<Self> {
        let word = W::pack(fields)?;
        Some(Self { value, word })
    }

    #[inline]
    pub(crate) fn value(self) -> T {
        self.value
    }

    #[inline]
    pub(crate) fn slot(self) -> usize {
        self.word.slot()
    }

    /// How far it is to the left child: 0 at leaves.
    #[inline]
    pub(crate) fn offset(self) -> u32 {
        self.word.offset()
    }

    #[inline]
    pub(crate) fn is_categorical(self) -> bool {
        self.word.is_categorical()
    }
}

/// What a word says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fields {
    pub(crate) slot: u32,
    pub(crate) offset: u32,
    pub(crate) categorical: bool,
}

/// Where the slot, the way to the left child and the kind of a node are kept.
pub(crate) trait Word: Copy {
    /// A leaf: slot 0, its own left child.
    const LEAF: Self;

    fn pack(fields: Fields) -> Option<Self>;
    fn slot(self) -> usize;
    fn offset(self) -> u32;
    fn is_categorical(self) -> bool;
}

/// 12 bits for the slot, 1 for the kind, 19 for the way to the child.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Narrow(u32);

impl Narrow {
    const SLOT_SHIFT: u32 = 20;
    const CATEGORICAL: u32 = 1 << 19;
}

impl Word for Narrow {
    const LEAF: Self = Self(0);

    fn pack(fields: Fields) -> Option<Self> {
        let fits = fields.slot < 1 << (32 - Self::SLOT_SHIFT) && fields.offset < Self::CATEGORICAL;
        let kind = u32::from(fields.categorical) * Self::CATEGORICAL;
        fits.then_some(Self(fields.slot << Self::SLOT_SHIFT | kind | fields.offset))
    }

    #[inline]
    fn slot(self) -> usize {
        (self.0 >> Self::SLOT_SHIFT) as usize
    }

    #[inline]
    fn offset(self) -> u32 {
        self.0 & (Self::CATEGORICAL - 1)
    }

    #[inline]
    fn is_categorical(self) -> bool {
        self.0 & Self::CATEGORICAL != 0
    }
}

/// For trees or rows that [`Narrow`] has no room for. Two halves, because a `u64` would ask for an
/// alignment that the nodes do not have.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wide {
    slot: u32,
    offset: u32,
}

impl Wide {
    const CATEGORICAL: u32 = 1 << 31;
}

impl Word for Wide {
    const LEAF: Self = Self { slot: 0, offset: 0 };

    fn pack(fields: Fields) -> Option<Self> {
        let kind = u32::from(fields.categorical) * Self::CATEGORICAL;
        (fields.offset < Self::CATEGORICAL).then_some(Self {
            slot: fields.slot,
            offset: fields.offset | kind,
        })
    }

    #[inline]
    fn slot(self) -> usize {
        self.slot as usize
    }

    #[inline]
    fn offset(self) -> u32 {
        self.offset & !Self::CATEGORICAL
    }

    #[inline]
    fn is_categorical(self) -> bool {
        self.offset & Self::CATEGORICAL != 0
    }
}

/// A forest's nodes.
#[derive(Debug, Clone)]
pub(crate) enum Nodes<T: Value> {
    Narrow(Vec<Packed<T, Narrow>>),
    Wide(Vec<Packed<T, Wide>>),
}

impl<T: Value> Nodes<T> {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Narrow(nodes) => nodes.len(),
            Self::Wide(nodes) => nodes.len(),
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Narrow(nodes) => size_of_val(nodes.as_slice()),
            Self::Wide(nodes) => size_of_val(nodes.as_slice()),
        }
    }

    pub(crate) fn shrink_to_fit(&mut self) {
        match self {
            Self::Narrow(nodes) => nodes.shrink_to_fit(),
            Self::Wide(nodes) => nodes.shrink_to_fit(),
        }
    }

    /// Keeps the first nodes only.
    pub(crate) fn truncate(&mut self, count: usize) {
        match self {
            Self::Narrow(nodes) => nodes.truncate(count),
            Self::Wide(nodes) => nodes.truncate(count),
        }
        self.shrink_to_fit();
    }

    pub(crate) fn reserve(&mut self, count: usize) {
        match self {
            Self::Narrow(nodes) => nodes.reserve_exact(count),
            Self::Wide(nodes) => nodes.reserve_exact(count),
        }
    }

    /// Appends leaves that hold nothing yet.
    pub(crate) fn extend(&mut self, count: usize) {
        match self {
            Self::Narrow(nodes) => nodes.resize(nodes.len() + count, Packed::leaf(0)),
            Self::Wide(nodes) => nodes.resize(nodes.len() + count, Packed::leaf(0)),
        }
    }

    pub(crate) fn set_leaf(&mut self, place: usize, payload: u32) {
        match self {
            Self::Narrow(nodes) => set(nodes, place, Packed::leaf(payload)),
            Self::Wide(nodes) => set(nodes, place, Packed::leaf(payload)),
        }
    }

    /// Sets a branch, and widens all nodes if it does not fit. False if it does not fit even then.
    pub(crate) fn set_branch(&mut self, place: usize, value: T, fields: Fields) -> bool {
        if let Self::Narrow(nodes) = self {
            if let Some(node) = Packed::branch(value, fields) {
                set(nodes, place, node);
                return true;
            }
            let wide = nodes.iter().map(|node| widen(*node)).collect();
            *self = Self::Wide(wide);
        }
        match (self, Packed::branch(value, fields)) {
            (Self::Wide(nodes), Some(node)) => {
                set(nodes, place, node);
                true
            }
            _ => false,
        }
    }
}

fn set<N>(nodes: &mut [N], place: usize, node: N) {
    if let Some(to) = nodes.get_mut(place) {
        *to = node;
    }
}

fn widen<T: Value>(node: Packed<T, Narrow>) -> Packed<T, Wide> {
    let kind = u32::from(node.is_categorical()) * Wide::CATEGORICAL;
    Packed {
        value: node.value(),
        word: Wide {
            slot: node.word.0 >> Narrow::SLOT_SHIFT,
            offset: node.offset() | kind,
        },
    }
}
