//! TopK and Gather on data. tract's own give up the whole cell where a request holds what they do not
//! expect: a NaN among the numbers that TopK sorts, or an index that is out of range.

use std::cmp::Ordering;

use tract_onnx::tract_hir::internal::*;

use super::attributes::Attributes;
use super::kernel::{Fact, Kernel};
use super::values::{cast, expect_numbers, tensor, values};

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
        let numbers = cast::<f64>(input)?;
        let (outer, along, inner) = split(input.shape(), axis);
        let k = usize::try_from(k)?;
        if k > along {
            bail!("it takes {k} of {along} values");
        }
        let mut best = vec![0.0; outer * k * inner];
        let mut places = vec![0_i64; best.len()];
        let numbers = values::<f64>(&numbers)?;
        let mut order: Vec<(f64, usize)> = Vec::with_capacity(along);
        for block in 0..outer {
            for lane in 0..inner {
                order.clear();
                let list = numbers.iter().skip(block * along * inner + lane);
                let list = list.step_by(inner.max(1)).take(along).copied();
                order.extend(list.zip(0..));
                order.sort_by(|left, right| self.compare(left, right));
                for (rank, (number, place)) in order.iter().take(k).enumerate() {
                    let at = (block * k + rank) * inner + lane;
                    best.get_mut(at)
                        .into_iter()
                        .for_each(|best| *best = *number);
                    places
                        .get_mut(at)
                        .into_iter()
                        .for_each(|at| *at = *place as i64);
                }
            }
        }
        let mut shape = input.shape().to_vec();
        shape
            .get_mut(axis)
            .into_iter()
            .for_each(|length| *length = k);
        let best = tensor(&shape, best)?
            .cast_to_dt(input.datum_type())?
            .into_owned();
        Ok(tvec![best, tensor(&shape, places)?])
    }
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

    /// Numbers as wanted, equal ones by their places.
    fn compare(&self, left: &(f64, usize), right: &(f64, usize)) -> Ordering {
        let key = |number: f64| {
            if number.is_nan() {
                f64::NAN
            } else {
                number + 0.0
            }
        };
        let order = key(left.0).total_cmp(&key(right.0));
        let order = if self.largest { order.reverse() } else { order };
        order.then(left.1.cmp(&right.1))
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
                .with_context(|| format!("index {index} is out of range: there are {along}"))?;
            gathered.extend_from_slice(slice);
        }
    }
    tensor(shape, gathered)
}
