//! Square log-log grids of token counts.

use crate::Heatmap;

#[cfg(test)]
mod tests;

/// Cells a side, as in the post.
const CELLS: usize = 20;

/// The boundaries of a square grid's cells.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Grid {
    edges: Vec<f64>,
}

impl Grid {
    /// 20 x 20 cells whose edges are evenly spaced in the logarithm from `low` to `high`, both > 0.
    pub(crate) fn log_spaced(low: f64, high: f64) -> Self {
        let edge = |index: usize| match index {
            0 => low,
            CELLS => high,
            _ => low * (high / low).powf(index as f64 / CELLS as f64),
        };
        Grid { edges: (0..=CELLS).map(edge).collect() }
    }

    /// The cell that holds a value: edges belong to the cell above them, the last edge to the last cell.
    pub(crate) fn cell(&self, value: f64) -> Option<usize> {
        let (low, high) = (self.edges[0], self.edges[CELLS]);
        (low <= value && value <= high)
            .then(|| (self.edges.partition_point(|edge| *edge <= value) - 1).min(CELLS - 1))
    }

    /// Counts on this grid as a result.
    pub(crate) fn heatmap(&self, counts: &Counts) -> Heatmap {
        let rows = counts.cells.chunks_exact(CELLS).map(<[u64]>::to_vec);
        Heatmap { edges_nats: self.edges.clone(), counts: rows.collect(), outside: counts.outside }
    }
}

/// Tokens in each cell of a grid.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Counts {
    /// `[y][x]`.
    cells: Vec<u64>,
    outside: u64,
}

impl Default for Counts {
    fn default() -> Self {
        Counts { cells: vec![0; CELLS * CELLS], outside: 0 }
    }
}

impl Counts {
    /// Adds tokens at a cell of either axis, or outside.
    pub(crate) fn add(&mut self, x: Option<usize>, y: Option<usize>, tokens: u64) {
        match (x, y) {
            (Some(x), Some(y)) => self.cells[y * CELLS + x] += tokens,
            _ => self.outside += tokens,
        }
    }

    /// Adds other counts.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.cells.iter_mut().zip(&other.cells).for_each(|(ours, theirs)| *ours += theirs);
        self.outside += other.outside;
    }
}

impl Heatmap {
    /// The same tokens with the axes exchanged.
    pub(crate) fn transposed(self) -> Self {
        let counts = (0..CELLS).map(|x| self.counts.iter().map(|row| row[x]).collect()).collect();
        Heatmap { counts, ..self }
    }
}
