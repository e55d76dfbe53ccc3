//! From a request to a table.

use modelcell_guest::{Error, Request, Result};

use crate::table::wrong_width;
use crate::{Float, Table, csv, json, libsvm, record};

/// Turns requests into tables.
///
/// ```
/// use modelcell_guest::Request;
/// use modelcell_tabular::Decoder;
///
/// let decoder = Decoder { features: Some(3), ..Decoder::default() };
/// let table = decoder.decode::<f32>(Request::new("1,,3\n4,5,6").content_type("text/csv"))?;
/// assert_eq!((table.rows, table.columns), (2, 3));
/// assert!(table.values[1].is_nan());
/// # Ok::<(), modelcell_guest::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Decoder {
    /// The number of features that a row must have, if the model says.
    pub features: Option<usize>,
    /// What a feature is that a row of a sparse format leaves out: zero, or else missing (NaN).
    pub absent_is_zero: bool,
    /// Whether indices in `text/libsvm` are always counted from 0, as LightGBM counts them. Otherwise
    /// it is 1 in bodies without an index 0, as in the container.
    pub indices_from_zero: bool,
    /// The content type of requests that come without one, such as `text/csv`.
    pub default_content_type: &'static str,
}

/// For any number of features, with absent ones missing, and `application/json` without content
/// type as everywhere in Modelcell.
impl Default for Decoder {
    fn default() -> Self {
        Self {
            features: None,
            absent_is_zero: false,
            indices_from_zero: false,
            default_content_type: "application/json",
        }
    }
}

/// How a body is read.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Format {
    Csv,
    Libsvm,
    Recordio,
    Json,
    JsonLines,
    Npy,
}

/// The content types that a [`Decoder`] reads.
pub const REQUEST_TYPES: &str = "text/csv, text/libsvm, application/x-recordio-protobuf, \
                                 application/json, application/jsonlines, application/x-npy";

impl Decoder {
    /// Reads a request's body as its content type says.
    ///
    /// # Errors
    /// Unsupported content type (415), naming those that can be read. Invalid input (400) with the
    /// row and column counted from 1: text where a number should be, another number of features than
    /// the model's, rows of different lengths, a body that is empty or malformed, or a table of more
    /// than [`MOST_VALUES`](crate::MOST_VALUES).
    pub fn decode<T: Float>(&self, mut request: Request) -> Result<Table<T>> {
        let format = self.format(&mut request)?;
        if request.body.is_empty() {
            return Err(Error::invalid_input(
                "the body is empty: send at least one row",
            ));
        }
        let table = match format {
            Format::Csv => csv::read(&request.body)?,
            Format::Libsvm => libsvm::read(self, &request.body)?,
            Format::Recordio => record::read(self, &request.body)?,
            Format::Json => json::read(self, request)?,
            Format::JsonLines => json::read_lines(self, request)?,
            Format::Npy => json::read_npy(request)?,
        };
        self.check(&table)?;
        Ok(table)
    }

    fn format(&self, request: &mut Request) -> Result<Format> {
        let header = request.content_type.as_deref().unwrap_or_default();
        let essence = header.split(';').next().unwrap_or_default();
        if essence.trim().is_empty() {
            request.content_type = Some(self.default_content_type.to_owned());
        }
        let media_type = request.media_type()?;
        check_label_size(request.content_type.as_deref().unwrap_or_default())?;
        Ok(match media_type.as_str() {
            "text/csv" | "csv" => Format::Csv,
            "text/libsvm" | "text/x-libsvm" | "libsvm" => Format::Libsvm,
            "application/x-recordio-protobuf" | "recordio-protobuf" => Format::Recordio,
            "application/json" | "json" => Format::Json,
            "application/jsonlines" | "application/jsonl" | "jsonlines" => Format::JsonLines,
            "application/x-npy" => Format::Npy,
            other => {
                return Err(Error::unsupported_content_type(format_args!(
                    "cannot read {other:?}: send one of {REQUEST_TYPES}"
                )));
            }
        })
    }

    fn check<T>(&self, table: &Table<T>) -> Result<()> {
        match self.features {
            Some(features) if features != table.columns => {
                Err(wrong_width(1, features, table.columns))
            }
            _ => Ok(()),
        }
    }

    /// What stands for a feature that a sparse row leaves out.
    pub(crate) fn absent<T: Float>(&self) -> T {
        if self.absent_is_zero { T::ZERO } else { T::NAN }
    }
}

/// `text/csv; label_size=1` says of training data that it has a label. The container takes it of
/// requests too, which have none, and refuses other sizes.
fn check_label_size(content_type: &str) -> Result<()> {
    let mut parameters = content_type.split(';').skip(1);
    let label_size = parameters.find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        (name.trim().eq_ignore_ascii_case("label_size")).then(|| value.trim().trim_matches('"'))
    });
    match label_size {
        None | Some("0" | "1") => Ok(()),
        Some(other) => Err(Error::unsupported_content_type(format_args!(
            "cannot read label_size={other}: send text/csv without labels"
        ))),
    }
}
