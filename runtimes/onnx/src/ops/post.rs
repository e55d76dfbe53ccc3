//! `post_transform`: what the classifiers and regressors of ai.onnx.ml do to their scores.

use tract_onnx::tract_hir::internal::*;

use super::attributes::Attributes;

/// A transformation of a row's scores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PostTransform {
    None,
    Softmax,
    Logistic,
    SoftmaxZero,
    Probit,
}

impl PostTransform {
    pub(crate) fn read(attributes: &Attributes) -> TractResult<Self> {
        Ok(
            match attributes.string("post_transform")?.unwrap_or("NONE") {
                "NONE" => Self::None,
                "SOFTMAX" => Self::Softmax,
                "LOGISTIC" => Self::Logistic,
                "SOFTMAX_ZERO" => Self::SoftmaxZero,
                "PROBIT" => Self::Probit,
                other => bail!("post_transform is {other:?}, which is unknown"),
            },
        )
    }

    /// The same by the number that version 5 of TreeEnsemble has for it.
    pub(crate) fn from_number(number: i64) -> TractResult<Self> {
        Ok(match number {
            0 => Self::None,
            1 => Self::Softmax,
            2 => Self::Logistic,
            3 => Self::SoftmaxZero,
            4 => Self::Probit,
            other => bail!("post_transform is {other}, which is unknown"),
        })
    }

    pub(crate) fn apply(self, scores: &mut [f32]) {
        match self {
            Self::None => {}
            Self::Softmax => softmax(scores, |_| true),
            Self::SoftmaxZero => softmax(scores, |score| score.abs() > 1e-7),
            Self::Logistic => scores
                .iter_mut()
                .for_each(|score| *score = logistic(*score)),
            Self::Probit => scores.iter_mut().for_each(|score| *score = probit(*score)),
        }
    }
}

/// A softmax of the scores that take part; the others stay.
fn softmax(scores: &mut [f32], takes_part: fn(f32) -> bool) {
    let largest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let parts = scores.iter().filter(|score| takes_part(**score));
    let sum: f32 = parts.map(|score| (score - largest).exp()).sum();
    // Whether a score takes part is told by itself, not by its exponential.
    scores
        .iter_mut()
        .filter(|score| takes_part(**score))
        .for_each(|score| *score = (*score - largest).exp() / sum);
}

/// The logistic function, without overflow on either side.
pub(crate) fn logistic(score: f32) -> f32 {
    let positive = 1.0 / (1.0 + (-score.abs()).exp());
    if score < 0.0 {
        1.0 - positive
    } else {
        positive
    }
}

/// The inverse of the normal distribution, by Winitzki's approximation of the inverse error function,
/// as onnxruntime has it.
fn probit(score: f32) -> f32 {
    let x = 2.0 * score - 1.0;
    let sign = if x < 0.0 { -1.0 } else { 1.0 };
    let log = ((1.0 - x) * (1.0 + x)).ln();
    let half = 2.0 / (std::f32::consts::PI * 0.147) + 0.5 * log;
    let other = log / 0.147;
    std::f32::consts::SQRT_2 * sign * ((half * half - other).sqrt() - half).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_are_transformed() {
        let mut scores = [0.0, 1000.0, -1000.0];
        PostTransform::Softmax.apply(&mut scores);
        assert_eq!(scores, [0.0, 1.0, 0.0]);

        let mut scores = [0.0, 1000.0, -1000.0];
        PostTransform::Logistic.apply(&mut scores);
        assert_eq!(scores, [0.5, 1.0, 0.0]);

        let mut scores = [0.0, 1.0, 1.0];
        PostTransform::SoftmaxZero.apply(&mut scores);
        assert_eq!(scores, [0.0, 0.5, 0.5]);

        // An exponential may be as small as a score that takes no part.
        let mut scores = [30.0, 30.0, 10.0];
        PostTransform::SoftmaxZero.apply(&mut scores);
        assert!(scores[2] < 1.1e-9, "{scores:?}");

        let mut scores = [0.5, 0.975];
        PostTransform::Probit.apply(&mut scores);
        assert!(
            scores[0].abs() < 1e-6 && (scores[1] - 1.96).abs() < 0.01,
            "{scores:?}"
        );
    }
}
