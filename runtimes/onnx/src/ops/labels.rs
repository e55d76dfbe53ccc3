//! Class labels: whole numbers or text.

use tract_onnx::tract_hir::internal::*;

use super::attributes::Attributes;
use super::values::tensor;

/// The labels of a classifier's classes, at least one.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Labels {
    Ints(Vec<i64>),
    Strings(Vec<String>),
}

impl Labels {
    /// Reads a classifier's labels from the two attributes, of which a node has one.
    pub(crate) fn read(attributes: &Attributes, ints: &str, strings: &str) -> TractResult<Self> {
        let numbers = attributes.ints(ints)?;
        let texts = attributes.strings(strings)?;
        match (numbers.is_empty(), texts.is_empty()) {
            (false, true) => Ok(Self::Ints(numbers.to_vec())),
            (true, false) => Ok(Self::Strings(texts)),
            (true, true) => bail!("it has neither {ints} nor {strings}"),
            (false, false) => bail!("it has both {ints} and {strings}"),
        }
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Ints(labels) => labels.len(),
            Self::Strings(labels) => labels.len(),
        }
    }

    pub(crate) fn kind(&self) -> DatumType {
        match self {
            Self::Ints(_) => i64::datum_type(),
            Self::Strings(_) => String::datum_type(),
        }
    }

    /// The labels as text.
    pub(crate) fn texts(&self) -> impl Iterator<Item = String> {
        let text = move |class| match self {
            Self::Ints(labels) => labels.get(class).map(i64::to_string),
            Self::Strings(labels) => labels.get(class).cloned(),
        };
        (0..self.len()).map_while(text)
    }

    /// A vector with the labels of these classes. A class that does not exist has an empty label.
    pub(crate) fn choose(&self, classes: &[usize]) -> TractResult<Tensor> {
        let shape = [classes.len()];
        match self {
            Self::Ints(labels) => tensor(&shape, choose(labels, classes)),
            Self::Strings(labels) => tensor(&shape, choose(labels, classes)),
        }
    }
}

fn choose<T: Clone + Default>(labels: &[T], classes: &[usize]) -> Vec<T> {
    classes
        .iter()
        .map(|class| labels.get(*class).cloned().unwrap_or_default())
        .collect()
}

/// The position of the largest score; of equal ones the first.
pub(crate) fn argmax(scores: &[f32]) -> usize {
    let mut best = (0, f32::NEG_INFINITY);
    for (position, score) in scores.iter().enumerate() {
        if *score > best.1 {
            best = (position, *score);
        }
    }
    best.0
}
