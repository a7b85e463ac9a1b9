//! How a column of single-precision values is distributed over all tokens: order statistics and ranks.
//!
//! Up to [`MOST_EXACT`] values are kept as they are. Beyond, they are counted by the upper 20 bits of the float (sign,
//! exponent, 11 bits of the significand): a bin is 2⁻¹² to 2⁻¹¹ of its values wide. Which of the two it is depends on
//! how many values there are and on nothing else, so parts merge to the same whole in any order.

#[cfg(test)]
mod tests;

/// More values than this are counted in bins.
const MOST_EXACT: usize = 1 << 18;

/// Bits of a key below its bin.
const WITHIN_BIN: u32 = 12;
/// Bins of a page: pages are made when a value falls into them.
const PAGE: usize = 1 << 12;
const PAGES: usize = 1 << (32 - WITHIN_BIN as usize - 12);

/// The values' order as that of unsigned integers; −0 and 0 are equal.
pub(crate) fn key(value: f32) -> u32 {
    // −0 + 0 is 0.
    let bits = (value + 0.0).to_bits();
    if bits >> 31 == 1 { !bits } else { bits | 1 << 31 }
}

/// The value of a key.
fn value(key: u32) -> f64 {
    f64::from(f32::from_bits(if key >> 31 == 1 { key & !(1 << 31) } else { !key }))
}

/// A multiset of values.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Distribution {
    count: u64,
    /// Keys of the values, while there are few.
    exact: Vec<u32>,
    /// How many values fall into each bin, once there are many: `[bin / PAGE][bin % PAGE]`.
    pages: Vec<Option<Box<[u64]>>>,
    most_exact: usize,
}

impl Default for Distribution {
    fn default() -> Self {
        Self::with_limit(MOST_EXACT)
    }
}

impl Distribution {
    fn with_limit(most_exact: usize) -> Self {
        Distribution { count: 0, exact: Vec::new(), pages: Vec::new(), most_exact }
    }

    /// Adds values, which must be numbers.
    pub(crate) fn extend(&mut self, values: &[f32]) {
        self.count += values.len() as u64;
        if self.count > self.most_exact as u64 {
            self.count_in_bins();
            values.iter().for_each(|&value| self.count_key(key(value)));
        } else {
            self.exact.extend(values.iter().map(|&value| key(value)));
        }
    }

    /// Adds the values of another.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.count += other.count;
        if self.count > self.most_exact as u64 {
            self.count_in_bins();
            other.exact.iter().for_each(|&key| self.count_key(key));
            for (page, counts) in other.pages.iter().enumerate() {
                let Some(counts) = counts else { continue };
                let ours = self.pages[page].get_or_insert_with(|| vec![0; PAGE].into());
                ours.iter_mut().zip(counts.iter()).for_each(|(ours, count)| *ours += count);
            }
        } else {
            self.exact.extend(&other.exact);
        }
    }

    fn count_in_bins(&mut self) {
        if self.pages.is_empty() {
            self.pages.resize(PAGES, None);
            std::mem::take(&mut self.exact).into_iter().for_each(|key| self.count_key(key));
        }
    }

    fn count_key(&mut self, key: u32) {
        let bin = (key >> WITHIN_BIN) as usize;
        self.pages[bin / PAGE].get_or_insert_with(|| vec![0; PAGE].into())[bin % PAGE] += 1;
    }

    /// The values in order, for looking things up.
    pub(crate) fn sorted(&self) -> Sorted {
        if self.pages.is_empty() {
            let mut keys = self.exact.clone();
            keys.sort_unstable();
            let runs = keys.chunk_by(|left, right| left == right).map(|run| (run[0], run.len() as u64));
            Sorted { runs: runs.collect(), count: self.count, bin_bits: 0 }
        } else {
            let pages = self.pages.iter().enumerate();
            let bins = pages.filter_map(|(page, counts)| Some((page, counts.as_ref()?)));
            let runs = bins.flat_map(|(page, counts)| {
                let counted = counts.iter().enumerate().filter(|(_, count)| **count > 0);
                counted.map(move |(bin, &count)| (((page * PAGE + bin) as u32) << WITHIN_BIN, count))
            });
            Sorted { runs: runs.collect(), count: self.count, bin_bits: WITHIN_BIN }
        }
    }
}

/// Values in order: runs of values that are equal, or in one bin.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sorted {
    /// The lowest key of each run and how many values it has, ascending.
    runs: Vec<(u32, u64)>,
    count: u64,
    /// A run's keys differ in so many low bits.
    bin_bits: u32,
}

impl Sorted {
    /// How many values.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// Whether all values are equal (or in one bin).
    pub(crate) fn is_one_run(&self) -> bool {
        self.runs.len() < 2
    }

    /// Whether runs are single values.
    pub(crate) fn is_exact(&self) -> bool {
        self.bin_bits == 0
    }

    /// The lowest key of the run that holds the value of this rank, counted from 0, and how many values lie below it.
    pub(crate) fn run_of_rank(&self, rank: u64) -> (u32, u64) {
        let mut below = 0;
        for &(key, count) in &self.runs {
            if rank < below + count {
                return (key, below);
            }
            below += count;
        }
        (u32::MAX, below)
    }

    /// The places of the middle values, equal where there is an odd number.
    pub(crate) fn middle_ranks(&self) -> [u64; 2] {
        [self.count.saturating_sub(1) / 2, self.count / 2]
    }

    /// The value that a share of the values lies below: within a bin, as if its values lay evenly.
    pub(crate) fn quantile(&self, share: f64) -> f64 {
        let rank = share.clamp(0.0, 1.0) * self.count as f64 - 0.5;
        let rank = rank.clamp(0.0, self.count.saturating_sub(1) as f64);
        let at = |rank: f64| {
            let (key, below) = self.run_of_rank(rank as u64);
            let count = self.runs.binary_search_by_key(&key, |run| run.0).map_or(1, |run| self.runs[run].1);
            let (low, high) = (value(key), value(key | ((1 << self.bin_bits) - 1)));
            low + (high - low) * (rank - below as f64 + 0.5) / count as f64
        };
        let (lower, upper) = (at(rank.floor()), at(rank.ceil()));
        lower + (upper - lower) * rank.fract()
    }

    /// Where to cut the values into so many parts of about equal count.
    pub(crate) fn edges(&self, parts: usize) -> Edges {
        let of_run = |rank: u64| self.run_of_rank(rank).0;
        let last = |part: usize| (part as u64 * self.count).div_ceil(parts as u64);
        // A part ends with the run that holds its last value.
        let mut uppers: Vec<u32> =
            (1..=parts).map(last).filter(|&rank| rank > 0).map(|rank| of_run(rank - 1)).collect();
        uppers.dedup();
        Edges { uppers, bin_bits: self.bin_bits }
    }

    /// For every run its lowest key, its count, and its rank's place from −½ to ½: (mean rank − ½) / count − ½.
    pub(crate) fn centred(&self) -> impl Iterator<Item = (u32, u64, f64)> {
        let (mut below, all) = (0u64, self.count as f64);
        self.runs.iter().map(move |&(key, count)| {
            let place = (below as f64 + count as f64 / 2.0) / all - 0.5;
            below += count;
            (key, count, place)
        })
    }

    /// A table to look up the places of [`Self::centred`] by value.
    pub(crate) fn ranks(&self) -> Ranks {
        let first = self.runs.first().map_or(0, |run| run.0 >> self.bin_bits);
        if self.is_exact() {
            let (keys, places) = self.centred().map(|(key, _, place)| (key, place)).unzip();
            return Ranks::Exact { keys, places };
        }
        let last = self.runs.last().map_or(0, |run| run.0 >> self.bin_bits);
        let mut places = vec![0.0; (last - first + 1) as usize];
        for (key, _, place) in self.centred() {
            places[((key >> self.bin_bits) - first) as usize] = place;
        }
        Ranks::Binned { first, places }
    }
}

/// Values cut into parts; equal values (or those in one bin) lie in one part.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Edges {
    /// The lowest key of each part's last run, ascending.
    uppers: Vec<u32>,
    bin_bits: u32,
}

impl Edges {
    /// The part of a value that was counted.
    pub(crate) fn bin(&self, key: u32) -> usize {
        let run = key >> self.bin_bits << self.bin_bits;
        self.uppers.partition_point(|&upper| upper < run).min(self.uppers.len().saturating_sub(1))
    }

    /// The largest value of a part.
    pub(crate) fn up_to(&self, part: usize) -> f64 {
        value(self.uppers[part] | ((1 << self.bin_bits) - 1))
    }
}

/// The place of each value among all, from −½ to ½.
#[derive(Clone, Debug)]
pub(crate) enum Ranks {
    /// By the value.
    Exact { keys: Vec<u32>, places: Vec<f64> },
    /// By the value's bin.
    Binned { first: u32, places: Vec<f64> },
}

impl Ranks {
    /// The place of a value that was counted; of any other, 0.
    pub(crate) fn of(&self, key: u32) -> f64 {
        match self {
            Ranks::Exact { keys, places } => keys.binary_search(&key).map_or(0.0, |index| places[index]),
            Ranks::Binned { first, places } => {
                let bin = (key >> WITHIN_BIN).wrapping_sub(*first) as usize;
                places.get(bin).copied().unwrap_or(0.0)
            }
        }
    }
}

/// Finds the exact value of some ranks in a second look at the values, where the first has found the bins.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Middle {
    /// The two middle runs' lowest keys, and the ranks within them.
    places: [(u32, u64); 2],
    /// How many values have each key of the run, where runs are bins.
    counts: Option<[Vec<u64>; 2]>,
}

impl Middle {
    /// Of the two middle values.
    pub(crate) fn new(sorted: &Sorted) -> Self {
        let places = sorted.middle_ranks().map(|rank| {
            let (key, below) = sorted.run_of_rank(rank);
            (key, rank - below)
        });
        let counts = (!sorted.is_exact()).then(|| [(); 2].map(|()| vec![0; 1 << WITHIN_BIN]));
        Middle { places, counts }
    }

    /// The key of the upper middle value's run: of all values about half lie below.
    pub(crate) fn threshold(&self) -> u32 {
        self.places[1].0
    }

    /// Takes note of a value.
    pub(crate) fn look(&mut self, key: u32) {
        let Some(counts) = &mut self.counts else { return };
        for ((run, _), counts) in self.places.iter().zip(counts) {
            if key >> WITHIN_BIN == run >> WITHIN_BIN {
                counts[(key & ((1 << WITHIN_BIN) - 1)) as usize] += 1;
            }
        }
    }

    /// Adds what another has found in other values.
    pub(crate) fn merge(&mut self, other: &Self) {
        let (Some(ours), Some(theirs)) = (&mut self.counts, &other.counts) else { return };
        for (ours, theirs) in ours.iter_mut().flatten().zip(theirs.iter().flatten()) {
            *ours += theirs;
        }
    }

    /// The median: the middle value or the mean of the two middle values.
    pub(crate) fn median(&self) -> f64 {
        let at = |which: usize| {
            let (run, rank) = self.places[which];
            let Some(counts) = &self.counts else { return value(run) };
            let mut below = 0;
            for (low, count) in counts[which].iter().enumerate() {
                below += count;
                if rank < below {
                    return value(run | low as u32);
                }
            }
            value(run)
        };
        (at(0) + at(1)) / 2.0
    }
}
