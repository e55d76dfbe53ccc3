//! From arrays to a response: the `output_fn` of models that write none.

mod csv;
mod json;

use ndarray::{Array, Array1, Dimension};

use crate::element::Element;
use crate::tensor::FORMATS;
use crate::{Accept, Payload, Result, npy};

/// Encodes a prediction: the `output_fn` of models that leave it out.
///
/// Arrays (and a `Vec` of numbers, which counts as an `Array1`) become what the caller's `Accept`
/// asks for, JSON if it has no preference:
///
/// - `application/json`: nested lists, as SageMaker's inference toolkit writes. JSON has no NaN and
///   no infinity: they become `null`.
/// - `text/csv`: one line per row; the values of an `Array1` have a line each. Only for up to two
///   dimensions.
/// - `application/x-npy`: NumPy's `.npy` with the array's own element type.
///
/// Floats have as many digits as it takes to read back the same value: an `f32` of 0.1 is `0.1`.
/// A `Vec` of texts becomes JSON or CSV.
///
/// # Errors
/// Unsupported accept, if the caller takes none of these.
#[diagnostic::on_unimplemented(
    message = "cannot encode `{Self}` as a response: write output_fn or implement Encode for it",
    label = "write output_fn or implement Encode for this type"
)]
pub trait Encode {
    /// Encodes the prediction as `accept` asks.
    fn encode(self, accept: &Accept) -> Result<Payload>;
}

impl<T: Element, D: Dimension> Encode for Array<T, D> {
    fn encode(self, accept: &Accept) -> Result<Payload> {
        let offered: &[&str] = if self.ndim() <= 2 {
            &FORMATS
        } else {
            &["application/json", "application/x-npy"]
        };
        let chosen = accept.choose(offered)?;
        let body = match chosen {
            "text/csv" => csv::rows(self.as_standard_layout().view()),
            "application/x-npy" => npy::to_bytes(&self),
            _ => json::nested(self.as_standard_layout().view()),
        };
        Ok(Payload::new(chosen, body))
    }
}

impl<T: Element> Encode for Vec<T> {
    fn encode(self, accept: &Accept) -> Result<Payload> {
        Array1::from_vec(self).encode(accept)
    }
}

impl Encode for Vec<String> {
    fn encode(self, accept: &Accept) -> Result<Payload> {
        match accept.choose(&["application/json", "text/csv"])? {
            "text/csv" => Ok(Payload::new("text/csv", csv::texts(&self))),
            _ => Payload::json(&self),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array2, Array3, arr0, array};

    fn text(prediction: impl Encode, accept: &str) -> String {
        let payload = prediction.encode(&Accept::new(Some(accept))).unwrap();
        assert_eq!(payload.content_type, accept);
        String::from_utf8(payload.body).unwrap()
    }

    #[test]
    fn json() {
        let json = "application/json";
        assert_eq!(
            text(array![[0.1_f32, -2.0], [1e30, 5e-8]], json),
            "[[0.1,-2.0],[1e+30,5e-8]]"
        );
        assert_eq!(
            text(array![f64::NAN, f64::INFINITY, 0.1], json),
            "[null,null,0.1]"
        );
        assert_eq!(text(array![[[1_i64], [2]]], json), "[[[1],[2]]]");
        assert_eq!(text(vec![1_u8, 2], json), "[1,2]");
        assert_eq!(text(arr0(1.5_f32), json), "1.5");
        assert_eq!(text(Array2::<f32>::zeros((2, 0)), json), "[[],[]]");
        assert_eq!(text(Array2::<f32>::zeros((0, 2)), json), "[]");
        assert_eq!(text(vec!["a\"b".to_owned()], json), r#"["a\"b"]"#);
    }

    #[test]
    fn csv() {
        let csv = "text/csv";
        assert_eq!(
            text(array![[0.1_f32, -2.0], [3.5, 4.0]], csv),
            "0.1,-2.0\n3.5,4.0\n"
        );
        assert_eq!(
            text(array![0.1_f32, f32::NAN, f32::NEG_INFINITY], csv),
            "0.1\nnan\n-inf\n"
        );
        assert_eq!(text(vec![1_i64, 2], csv), "1\n2\n");
        assert_eq!(text(arr0(1.5_f32), csv), "1.5\n");
        let texts = ["plain", "a,b", "say \"x\"", "two\nlines", ""].map(str::to_owned);
        assert_eq!(
            text(texts.to_vec(), csv),
            "plain\n\"a,b\"\n\"say \"\"x\"\"\"\n\"two\nlines\"\n\"\"\n"
        );
    }

    #[test]
    fn npy() {
        let rows = array![[1_i64, 2], [3, 4]];
        let payload = rows
            .clone()
            .encode(&Accept::new(Some("application/x-npy")))
            .unwrap();
        assert_eq!(
            npy::from_bytes::<i64>(&payload.body).unwrap(),
            rows.into_dyn()
        );
    }

    #[test]
    fn other_memory_layouts_come_out_in_order() {
        let transposed = array![[1_u8, 2], [3, 4]].reversed_axes();
        assert_eq!(
            text(transposed.clone(), "application/json"),
            "[[1,3],[2,4]]"
        );
        assert_eq!(text(transposed, "text/csv"), "1,3\n2,4\n");
    }

    #[test]
    fn csv_holds_two_dimensions_at_most() {
        let cube = || Array3::<f32>::zeros((1, 1, 1));
        let error = cube().encode(&Accept::new(Some("text/csv"))).unwrap_err();
        assert_eq!(error.status(), 406);
        let payload = cube()
            .encode(&Accept::new(Some("text/csv, */*;q=0.1")))
            .unwrap();
        assert_eq!(payload.content_type, "application/json");
    }
}
