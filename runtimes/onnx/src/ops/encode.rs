//! OneHotEncoder, LabelEncoder and CategoryMapper: operators that look values up.

use tract_onnx::data_resolver::MmapDataResolver;
use tract_onnx::pb::TensorProto;
use tract_onnx::tensor::load_tensor;
use tract_onnx::tract_hir::internal::*;

use super::attributes::Attributes;
use super::kernel::{Fact, Kernel};
use super::values::{cast, expect_numbers, refused, tensor, values};

/// Positions by value: sorted, so that a look-up takes few steps and the table little memory.
#[derive(Debug)]
enum Index {
    Strings(Vec<(String, u32)>),
    Ints(Vec<(i64, u32)>),
    /// Floats by their bits; all NaNs are the same.
    Floats(Vec<(u64, u32)>),
}

/// The bits by which floats are compared: zeros are equal, and so are NaNs.
fn bits(value: f64) -> u64 {
    if value.is_nan() {
        f64::NAN.to_bits()
    } else {
        (value + 0.0).to_bits()
    }
}

fn sorted<T: Ord>(keys: impl Iterator<Item = T>) -> Vec<(T, u32)> {
    let mut index: Vec<(T, u32)> = keys.zip(0..).collect();
    // Of equal keys the first is found.
    index.sort();
    index.dedup_by(|later, first| later.0 == first.0);
    index.shrink_to_fit();
    index
}

fn find<T: Ord>(index: &[(T, u32)], key: &T) -> Option<usize> {
    let at = index.binary_search_by(|(known, _)| known.cmp(key)).ok()?;
    index.get(at).map(|(_, position)| *position as usize)
}

impl Index {
    fn of(keys: &Tensor) -> TractResult<Self> {
        let kind = keys.datum_type();
        Ok(if kind == String::datum_type() {
            Self::Strings(sorted(values::<String>(keys)?.iter().cloned()))
        } else if kind.is_float() {
            let keys = cast::<f64>(keys)?;
            Self::Floats(sorted(values::<f64>(&keys)?.iter().map(|key| bits(*key))))
        } else {
            let keys = cast::<i64>(keys)?;
            Self::Ints(sorted(values::<i64>(&keys)?.iter().copied()))
        })
    }

    fn check(&self, kind: DatumType) -> TractResult<()> {
        match self {
            Self::Strings(_) if kind == String::datum_type() => Ok(()),
            Self::Strings(_) => bail!("it takes text, and its input is of type {kind:?}"),
            Self::Ints(_) | Self::Floats(_) => expect_numbers(kind),
        }
    }

    /// The positions of a tensor's values.
    fn positions(&self, input: &Tensor) -> TractResult<Vec<Option<usize>>> {
        Ok(match self {
            Self::Strings(index) => {
                let input = values::<String>(input)?.iter();
                input.map(|value| find(index, value)).collect()
            }
            Self::Ints(index) => {
                let input = cast::<i64>(input)?;
                let input = values::<i64>(&input)?.iter();
                input.map(|value| find(index, value)).collect()
            }
            Self::Floats(index) => {
                let input = cast::<f64>(input)?;
                let input = values::<f64>(&input)?.iter();
                input.map(|value| find(index, &bits(*value))).collect()
            }
        })
    }
}

fn only<T>(inputs: &[T]) -> TractResult<&T> {
    let [input] = inputs else {
        bail!("it takes one input");
    };
    Ok(input)
}

/// A column for each category.
#[derive(Debug)]
pub(crate) struct OneHotEncoder {
    index: Index,
    categories: usize,
    /// Whether values that are no category give zeros, and no error.
    zeros: bool,
}

impl Kernel for OneHotEncoder {
    fn read(attributes: &Attributes) -> TractResult<Self> {
        let ints = attributes.ints("cats_int64s")?;
        let strings = attributes.strings("cats_strings")?;
        let categories = match (ints.is_empty(), strings.is_empty()) {
            (false, true) => tensor1(ints),
            (true, false) => tensor1(&strings),
            _ => bail!("it has not one of cats_int64s and cats_strings"),
        };
        Ok(Self {
            index: Index::of(&categories)?,
            categories: categories.len(),
            zeros: attributes.int("zeros")?.unwrap_or(1) != 0,
        })
    }

    fn outputs(&self, inputs: &[Fact]) -> TractResult<TVec<Fact>> {
        let input = only(inputs)?;
        self.index.check(input.kind)?;
        let mut shape = input.shape.clone();
        shape.push(self.categories.to_dim());
        Ok(tvec![Fact::new(f32::datum_type(), shape)])
    }

    fn eval(&self, inputs: &[TValue]) -> TractResult<TVec<Tensor>> {
        let input = only(inputs)?;
        let positions = self.index.positions(input)?;
        let mut columns = vec![0.0_f32; positions.len() * self.categories];
        for (columns, position) in columns.chunks_exact_mut(self.categories).zip(&positions) {
            match position.and_then(|position| columns.get_mut(position)) {
                Some(column) => *column = 1.0,
                None if self.zeros => {}
                None => {
                    let categories = self.categories;
                    return Err(refused(format_args!(
                        "a value is none of the {categories} categories"
                    )));
                }
            }
        }
        let mut shape = input.shape().to_vec();
        shape.push(self.categories);
        Ok(tvec![tensor(&shape, columns)?])
    }
}

/// Values for values.
#[derive(Debug)]
pub(crate) struct LabelEncoder {
    /// The ways it works, of which the input's type chooses one.
    maps: Vec<Map>,
}

/// Values for keys of one type.
#[derive(Debug)]
struct Map {
    index: Index,
    values: Tensor,
    /// A value for everything else.
    default: Tensor,
}

impl Map {
    fn new(keys: &Tensor, values: Tensor, default: Tensor) -> TractResult<Self> {
        if keys.len() != values.len() {
            bail!("{} keys do not fit {} values", keys.len(), values.len());
        }
        if default.len() != 1 || default.datum_type() != values.datum_type() {
            bail!("its default is not a value of the type of the others");
        }
        Ok(Self {
            index: Index::of(keys)?,
            values,
            default,
        })
    }

    fn look_up<T: Datum>(&self, input: &Tensor) -> TractResult<Tensor> {
        let known = values::<T>(&self.values)?;
        let default = values::<T>(&self.default)?;
        let default = default.first().context("it has no default")?;
        let found = self.index.positions(input)?.into_iter().map(|position| {
            let value = position.and_then(|position| known.get(position));
            value.unwrap_or(default).clone()
        });
        tensor(input.shape(), found.collect())
    }
}

/// An attribute that may be a list of any of three types, or a tensor: `keys_*` or `values_*`.
fn list(attributes: &Attributes, prefix: &str) -> TractResult<Tensor> {
    if let Some(proto) = attributes.tensor(&format!("{prefix}_tensor"))? {
        return load(proto);
    }
    let strings = attributes.strings(&format!("{prefix}_strings"))?;
    let ints = attributes.ints(&format!("{prefix}_int64s"))?;
    let floats = attributes.floats(&format!("{prefix}_floats"))?;
    match (strings.is_empty(), ints.is_empty(), floats.is_empty()) {
        (false, true, true) => Ok(tensor1(&strings)),
        (true, false, true) => Ok(tensor1(ints)),
        (true, true, false) => Ok(tensor1(floats)),
        _ => bail!("it has not one kind of {prefix}"),
    }
}

fn load(proto: &TensorProto) -> TractResult<Tensor> {
    load_tensor(&MmapDataResolver, proto, None)
}

/// The default for values of this type.
fn default(attributes: &Attributes, kind: DatumType) -> TractResult<Tensor> {
    if let Some(proto) = attributes.tensor("default_tensor")? {
        return load(proto);
    }
    if kind == String::datum_type() {
        let text = attributes.string("default_string")?.unwrap_or("_Unused");
        Ok(tensor0(text.to_owned()))
    } else if kind.is_float() {
        let value = tensor0(attributes.float("default_float")?.unwrap_or(-0.0));
        Ok(value.cast_to_dt(kind)?.into_owned())
    } else {
        let value = tensor0(attributes.int("default_int64")?.unwrap_or(-1));
        Ok(value.cast_to_dt(kind)?.into_owned())
    }
}

/// Names and their numbers, to be looked up both ways.
fn both_ways(attributes: &Attributes, names: Tensor, numbers: Tensor) -> TractResult<Vec<Map>> {
    let default_number = default(attributes, i64::datum_type())?;
    let default_name = default(attributes, String::datum_type())?;
    Ok(vec![
        Map::new(&names, numbers.clone(), default_number)?,
        Map::new(&numbers, names, default_name)?,
    ])
}

impl Kernel for LabelEncoder {
    fn read(attributes: &Attributes) -> TractResult<Self> {
        // The operator's first version, and CategoryMapper, which is nearly the same.
        let names = match attributes.operator() {
            "CategoryMapper" => attributes.strings("cats_strings")?,
            _ => attributes.strings("classes_strings")?,
        };
        if !names.is_empty() {
            let numbers = match attributes.operator() {
                "CategoryMapper" => attributes.ints("cats_int64s")?.to_vec(),
                _ => (0..).take(names.len()).collect(),
            };
            let maps = both_ways(attributes, tensor1(&names), tensor1(&numbers))?;
            return Ok(Self { maps });
        }
        let values = list(attributes, "values")?;
        let default = default(attributes, values.datum_type())?;
        let map = Map::new(&list(attributes, "keys")?, values, default)?;
        Ok(Self { maps: vec![map] })
    }

    fn outputs(&self, inputs: &[Fact]) -> TractResult<TVec<Fact>> {
        let input = only(inputs)?;
        let map = self.map(input.kind)?;
        let shape = input.shape.iter().cloned();
        Ok(tvec![Fact::new(map.values.datum_type(), shape)])
    }

    fn eval(&self, inputs: &[TValue]) -> TractResult<TVec<Tensor>> {
        let input = only(inputs)?;
        let map = self.map(input.datum_type())?;
        Ok(tvec![dispatch_datum!(Map::look_up(
            map.values.datum_type()
        )(map, input))?])
    }
}

impl LabelEncoder {
    /// The map for inputs of this type.
    fn map(&self, kind: DatumType) -> TractResult<&Map> {
        let fits = self.maps.iter().find(|map| map.index.check(kind).is_ok());
        fits.with_context(|| format!("its input is of type {kind:?}, which it does not take"))
    }
}
