//! Tests of the grids.

use proptest::prelude::*;

use super::*;
use crate::testing::close;

/// Counts points (x, y, how many tokens).
fn count(grid: &Grid, points: impl Iterator<Item = (f64, f64, u64)>) -> Heatmap {
    let mut counts = Counts::default();
    points.for_each(|(x, y, tokens)| counts.add(grid.cell(x), grid.cell(y), tokens));
    grid.heatmap(&counts)
}

#[test]
fn edges_are_even_in_the_logarithm_and_end_exactly() {
    let edges = Grid::log_spaced(0.3, 18.0).edges;
    assert_eq!((edges.len(), edges[0], edges[20]), (21, 0.3, 18.0));
    assert!(edges.array_windows().all(|[low, high]| close(high / low, (18.0f64 / 0.3).powf(0.05))));
}

#[test]
fn edges_belong_to_the_cell_above_and_the_last_to_the_last() {
    let grid = Grid::log_spaced(1.0, 1024.0 * 1024.0);
    for (value, cell) in [
        (1.0, Some(0)),
        (1.99, Some(0)),
        (grid.edges[1], Some(1)),
        (grid.edges[19], Some(19)),
        (1024.0 * 1024.0, Some(19)),
        (0.99, None),
        (0.0, None),
        (-1.0, None),
        (1024.0 * 1024.0 + 1.0, None),
    ] {
        assert_eq!(grid.cell(value), cell, "{value}");
    }
}

#[test]
fn counts_are_rows_of_y() {
    let grid = Grid::log_spaced(1.0, 1024.0 * 1024.0);
    let map = count(&grid, [(3.0, 1.5, 7), (3.0, 0.5, 2), (1e9, 2.0, 1)].into_iter());
    assert_eq!(map.clone().transposed().counts[1][0], 7);
    assert_eq!(map.counts[0][1], 7);
    assert_eq!(map.counts.iter().flatten().sum::<u64>(), 7);
    assert_eq!(map.outside, 3);
}

proptest! {
    #[test]
    fn agrees_with_looking_through_the_cells(
        points in prop::collection::vec((-1.0..25.0, -1.0..25.0, 1u64..9), 0..50),
    ) {
        let grid = Grid::log_spaced(0.01, 20.0);
        let map = count(&grid, points.iter().copied());
        for (y, row) in map.counts.iter().enumerate() {
            for (x, &count) in row.iter().enumerate() {
                let within = |value: f64, cell: usize| (grid.edges[cell]..grid.edges[cell + 1]).contains(&value);
                let held = points.iter().filter(|point| within(point.0, x) && within(point.1, y));
                prop_assert_eq!(count, held.map(|point| point.2).sum::<u64>());
            }
        }
        let all: u64 = points.iter().map(|point| point.2).sum();
        prop_assert_eq!(map.counts.iter().flatten().sum::<u64>() + map.outside, all);
    }
}
