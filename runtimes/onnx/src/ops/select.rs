//! TopK and Gather on data. tract's own give up the whole cell where a request holds what they do not
//! expect: a NaN among the numbers that TopK sorts, or an index that is out of range.

use tract_onnx::tract_hir::internal::*;

use super::attributes::Attributes;
use super::kernel::{Fact, Kernel};
use super::values::{cast, expect_numbers, refused, tensor, values};

/// The position of an axis, which counts from the end if it is negative.
fn axis(axis: i64, rank: usize) -> TractResult<usize> {
    let rank_as_int = rank as i64;
    let found = if axis < 0 {
        axis.checked_add(rank_as_int)
    } else {
        Some(axis)
    };
    found
        .filter(|axis| (0..rank_as_int).contains(axis))
        .map(|axis| axis as usize)
        .with_context(|| format!("there is no axis {axis} among {rank}"))
}

/// How many lists a tensor holds along an axis: before the axis, along it, and after it.
fn split(shape: &[usize], axis: usize) -> (usize, usize, usize) {
    let product = |range: Option<&[usize]>| range.unwrap_or_default().iter().product();
    let along = shape.get(axis).copied().unwrap_or_default();
    (
        product(shape.get(..axis)),
        along,
        product(shape.get(axis + 1..)),
    )
}

/// The `k` largest or smallest values, and where they stand. Of equal ones the first come first. NaN
/// counts as larger than all numbers.
#[derive(Debug)]
pub(crate) struct TopK {
    axis: i64,
    largest: bool,
    /// How many, where it is an attribute: that was so before version 10.
    k: Option<i64>,
}

impl Kernel for TopK {
    fn read(attributes: &Attributes) -> TractResult<Self> {
        Ok(Self {
            axis: attributes.int("axis")?.unwrap_or(-1),
            largest: attributes.int("largest")?.unwrap_or(1) != 0,
            k: attributes.int("k")?,
        })
    }

    fn outputs(&self, inputs: &[Fact]) -> TractResult<TVec<Fact>> {
        let input = inputs.first().context("it takes an input")?;
        expect_numbers(input.kind)?;
        let mut shape = input.shape.clone();
        let axis = axis(self.axis, shape.len())?;
        let k = self.constant_k(inputs)?;
        if let Some(length) = shape.get_mut(axis) {
            if length.to_usize().is_ok_and(|length| k > length) {
                bail!("it takes {k} of {length} values");
            }
            *length = k.to_dim();
        }
        Ok(tvec![
            Fact::new(input.kind, shape.iter().cloned()),
            Fact::new(i64::datum_type(), shape),
        ])
    }

    fn eval(&self, inputs: &[TValue]) -> TractResult<TVec<Tensor>> {
        let input = inputs.first().context("it takes an input")?;
        let k = match (self.k, inputs.get(1)) {
            (Some(k), _) => k,
            (None, Some(k)) => first(k)?,
            (None, None) => bail!("it has no k"),
        };
        let axis = axis(self.axis, input.rank())?;
        let (outer, along, inner) = split(input.shape(), axis);
        let k = usize::try_from(k)?;
        if k > along {
            return Err(refused(format_args!("it takes {k} of {along} values")));
        }
        let keys = self.keys(input)?;
        let mut places = vec![0_i64; outer * k * inner];
        // Where the values stand in the whole input.
        let mut sources = vec![0; places.len()];
        let mut order: Vec<(i64, usize)> = Vec::with_capacity(along);
        for block in 0..outer {
            for lane in 0..inner {
                order.clear();
                let list = keys.iter().skip(block * along * inner + lane);
                let list = list.step_by(inner.max(1)).take(along).copied();
                order.extend(list.zip(0..));
                order.sort_unstable();
                for (rank, (_, place)) in order.iter().take(k).enumerate() {
                    let at = (block * k + rank) * inner + lane;
                    if let (Some(to), Some(source)) = (places.get_mut(at), sources.get_mut(at)) {
                        *to = *place as i64;
                        *source = (block * along + place) * inner + lane;
                    }
                }
            }
        }
        let mut shape = input.shape().to_vec();
        shape
            .get_mut(axis)
            .into_iter()
            .for_each(|length| *length = k);
        let best = dispatch_datum!(pick(input.datum_type())(input, &sources, &shape))?;
        Ok(tvec![best, tensor(&shape, places)?])
    }
}

/// The values at these places.
fn pick<T: Datum>(input: &Tensor, sources: &[usize], shape: &[usize]) -> TractResult<Tensor> {
    let all = values::<T>(input)?;
    let picked = sources.iter().map(|source| all.get(*source).cloned());
    let picked: Option<Vec<T>> = picked.collect();
    tensor(shape, picked.context("there is no such value")?)
}

/// A whole number that is larger for a larger float. Zeros are equal, and so are NaNs, which are larger
/// than all others.
fn float_key(number: f64) -> i64 {
    if number.is_nan() {
        return i64::MAX;
    }
    let bits = (number + 0.0).to_bits() as i64;
    if bits < 0 { bits ^ i64::MAX } else { bits }
}

impl TopK {
    /// How many values are taken, if that is known when the plan is made.
    fn constant_k(&self, inputs: &[Fact]) -> TractResult<usize> {
        let k = match (self.k, inputs.get(1)) {
            (Some(k), _) => Some(k),
            (None, Some(fact)) => fact.value.as_ref().map(|k| first(k)).transpose()?,
            (None, None) => None,
        };
        Ok(usize::try_from(k.context("its k is not a constant")?)?)
    }

    /// A number for each value, the smaller the earlier it comes. No two values that differ have the
    /// same, as they may have as floats.
    fn keys(&self, input: &Tensor) -> TractResult<Vec<i64>> {
        let mut keys: Vec<i64> = match input.datum_type() {
            kind if kind.is_float() => {
                let numbers = cast::<f64>(input)?;
                let numbers = values::<f64>(&numbers)?.iter();
                numbers.map(|number| float_key(*number)).collect()
            }
            DatumType::U64 => {
                let numbers = values::<u64>(input)?.iter();
                numbers.map(|number| *number as i64 ^ i64::MIN).collect()
            }
            _ => values::<i64>(&*cast::<i64>(input)?)?.to_vec(),
        };
        if self.largest {
            keys.iter_mut().for_each(|key| *key = !*key);
        }
        Ok(keys)
    }
}

/// The only whole number in a tensor.
fn first(tensor: &Tensor) -> TractResult<i64> {
    let number = cast::<i64>(tensor)?;
    values::<i64>(&number)?
        .first()
        .copied()
        .context("its k is empty")
}

/// Picks slices by their numbers, which count from the end if they are negative.
#[derive(Debug)]
pub(crate) struct Gather {
    axis: i64,
}

impl Kernel for Gather {
    fn read(attributes: &Attributes) -> TractResult<Self> {
        let axis = attributes.int("axis")?.unwrap_or(0);
        Ok(Self { axis })
    }

    fn outputs(&self, inputs: &[Fact]) -> TractResult<TVec<Fact>> {
        let [data, indices] = inputs else {
            bail!("it takes two inputs");
        };
        expect_numbers(indices.kind)?;
        let axis = axis(self.axis, data.shape.len())?;
        check_indices(data.shape.get(axis), indices.value.as_deref())?;
        let mut shape: TVec<TDim> = data.shape.iter().take(axis).cloned().collect();
        shape.extend(indices.shape.iter().cloned());
        shape.extend(data.shape.iter().skip(axis + 1).cloned());
        Ok(tvec![Fact::new(data.kind, shape)])
    }

    fn eval(&self, inputs: &[TValue]) -> TractResult<TVec<Tensor>> {
        let [data, indices] = inputs else {
            bail!("it takes two inputs");
        };
        let axis = axis(self.axis, data.rank())?;
        let numbers = cast::<i64>(indices)?;
        let numbers = values::<i64>(&numbers)?;
        let mut shape: Vec<usize> = data.shape().iter().take(axis).copied().collect();
        shape.extend(indices.shape());
        shape.extend(data.shape().iter().skip(axis + 1));
        Ok(tvec![dispatch_datum!(gather(data.datum_type())(
            data, axis, numbers, &shape
        ))?])
    }
}

/// Fails if indices that are known now are out of range.
fn check_indices(length: Option<&TDim>, indices: Option<&Tensor>) -> TractResult<()> {
    let length = length.and_then(|length| length.to_i64().ok());
    let indices = indices.and_then(|indices| cast::<i64>(indices).ok());
    let (Some(length), Some(indices)) = (length, indices) else {
        return Ok(());
    };
    let beyond = |index: &&i64| !(-length..length).contains(*index);
    match values::<i64>(&indices)?.iter().find(beyond) {
        Some(index) => bail!("index {index} is out of range: there are {length}"),
        None => Ok(()),
    }
}

fn gather<T: Datum>(
    data: &Tensor,
    axis: usize,
    indices: &[i64],
    shape: &[usize],
) -> TractResult<Tensor> {
    let (_, along, inner) = split(data.shape(), axis);
    let mut gathered = Vec::with_capacity(shape.iter().product());
    for block in values::<T>(data)?.chunks((along * inner).max(1)) {
        for index in indices {
            let at = if *index < 0 {
                index.checked_add(along as i64)
            } else {
                Some(*index)
            };
            let slice = at
                .and_then(|at| usize::try_from(at).ok())
                .filter(|at| *at < along)
                .and_then(|at| block.get(at * inner..(at + 1) * inner))
                .ok_or_else(|| {
                    refused(format_args!(
                        "index {index} is out of range: there are {along}"
                    ))
                })?;
            gathered.extend_from_slice(slice);
        }
    }
    tensor(shape, gathered)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn top<T: Datum>(largest: bool, k: i64, list: Vec<T>) -> (Vec<T>, Vec<i64>) {
        let top = TopK {
            axis: -1,
            largest,
            k: Some(k),
        };
        let input = tensor(&[list.len()], list).unwrap().into_tvalue();
        let outputs = top.eval(&[input]).unwrap();
        let best = values::<T>(&outputs[0]).unwrap().to_vec();
        (best, values::<i64>(&outputs[1]).unwrap().to_vec())
    }

    #[test]
    fn whole_numbers_are_not_rounded() {
        let large = (1_i64 << 53) + 1;
        let list = vec![-large, large - 1, large, i64::MIN];
        assert_eq!(
            top(true, 2, list.clone()),
            (vec![large, large - 1], vec![2, 1])
        );
        assert_eq!(top(false, 2, list), (vec![i64::MIN, -large], vec![3, 0]));
        assert_eq!(top(true, 1, vec![1, u64::MAX]), (vec![u64::MAX], vec![1]));
    }

    #[test]
    fn floats_come_in_order_and_equal_ones_by_place() {
        let list = vec![0.0_f32, -0.0, -1.5, f32::INFINITY, 2.0, -1.5];
        assert_eq!(top(false, 4, list.clone()).1, [2, 5, 0, 1]);
        assert_eq!(top(true, 4, list).1, [3, 4, 0, 1]);
        assert_eq!(top(true, 2, vec![1.0, f64::NAN, f64::INFINITY]).1, [1, 2]);
        assert_eq!(top(false, 1, vec![-f64::NAN, f64::INFINITY]).1, [1]);
    }
}
