//! Which models are asked for, and what exact LRU makes of it. The same seed gives the same trace on
//! every machine.

use std::collections::{BTreeMap, HashMap};

/// `requests` numbers of models below `models`, of which number n is asked for with a probability in
/// proportion to 1/(n + 1): Zipf's law with s = 1.
pub fn zipf(models: usize, requests: usize, seed: u64) -> Vec<usize> {
    let mut sum = 0.0;
    let cumulative: Vec<f64> = (1..=models)
        .map(|rank| {
            sum += 1.0 / rank as f64;
            sum
        })
        .collect();
    let mut random = Random(seed);
    (0..requests)
        .map(|_| {
            let at = random.unit() * sum;
            cumulative.partition_point(|&upper| upper <= at)
        })
        .collect()
}

/// `requests` numbers of models below `models`, each as likely as any other.
pub fn uniform(models: usize, requests: usize, seed: u64) -> Vec<usize> {
    let mut random = Random(seed);
    let mut next = || (random.unit() * models as f64) as usize;
    (0..requests).map(|_| next()).collect()
}

/// SplitMix64 (Steele, Lea and Flood, 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// At least 0 and below 1.
    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// Exact LRU over models that each take a size.
pub struct Lru {
    capacity: u64,
    used: u64,
    clock: u64,
    /// When each model was last used, and what it takes.
    held: HashMap<usize, (u64, u64)>,
    /// The same by time.
    order: BTreeMap<u64, usize>,
}

impl Lru {
    /// Holds nothing yet.
    pub fn new(capacity: u64) -> Self {
        Self {
            capacity,
            used: 0,
            clock: 0,
            held: HashMap::new(),
            order: BTreeMap::new(),
        }
    }

    /// Uses a model, which pushes out those that were not used for longest until it fits. Returns
    /// whether it was held already.
    pub fn touch(&mut self, model: usize, size: u64) -> bool {
        self.clock += 1;
        let before = self.held.insert(model, (self.clock, size));
        self.order.insert(self.clock, model);
        if let Some((then, _)) = before {
            self.order.remove(&then);
            return true;
        }
        self.used += size;
        while self.used > self.capacity {
            let Some((_, oldest)) = self.order.pop_first() else {
                break;
            };
            let freed = self.held.remove(&oldest);
            self.used -= freed.map_or(0, |(_, size)| size);
        }
        false
    }

    /// How many models are held.
    pub fn count(&self) -> usize {
        self.held.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_recently_used_goes_first() {
        let mut lru = Lru::new(2);
        let hits: Vec<bool> = [1, 2, 1, 3, 1, 2, 3]
            .iter()
            .map(|&model| lru.touch(model, 1))
            .collect();
        assert_eq!(hits, [false, false, true, false, true, false, false]);
        assert_eq!(lru.count(), 2);
    }

    #[test]
    fn a_large_model_pushes_out_several() {
        let mut lru = Lru::new(10);
        for model in 0..10 {
            lru.touch(model, 1);
        }
        lru.touch(10, 8);
        assert_eq!(lru.count(), 3);
        assert!(lru.touch(9, 1) && lru.touch(8, 1) && !lru.touch(7, 1));
    }

    #[test]
    fn a_uniform_trace_favours_nobody() {
        let trace = uniform(10, 100_000, 1);
        for model in 0..10 {
            let count = trace.iter().filter(|&&asked| asked == model).count();
            assert!((9_500..10_500).contains(&count), "{count}");
        }
    }

    #[test]
    fn a_trace_follows_zipf_and_its_seed() {
        let trace = zipf(100, 100_000, 1);
        assert_eq!(trace, zipf(100, 100_000, 1));
        assert_ne!(trace, zipf(100, 100_000, 2));
        assert!(trace.iter().all(|&model| model < 100));
        let share = |model| {
            let count = trace.iter().filter(|&&asked| asked == model).count();
            count as f64 / trace.len() as f64
        };
        // The hundredth harmonic number is 5.187.
        assert!((share(0) - 1.0 / 5.187).abs() < 0.01);
        assert!((share(9) - 0.1 / 5.187).abs() < 0.005);
    }
}
