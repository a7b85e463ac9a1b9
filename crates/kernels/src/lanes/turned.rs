//! A window's matrix turned: tokens as rows again, for what works token by token. Weight gradients read it, since they sum over tokens,
//! and products of what AbsTopK kept, which differs from token to token.

use super::rows::Turn;
use super::{TILE, rows_of};
use crate::aligned::Aligned;
use crate::isa::dispatch;
use crate::vector::LANES;

/// Features of a panel: four AVX-512 registers.
pub(super) const PANEL: usize = 64;

/// A matrix `[features][lanes]` of a whole window, turned; see [`lanes_turn`].
#[derive(Clone, Debug, Default)]
pub struct Turned {
    features: usize,
    lanes: usize,
    /// `[features / PANEL, rounded up][lanes][PANEL]`, zeros beyond the last feature.
    panels: Aligned,
}

impl Turned {
    /// Makes room for so many features of a window of so many lanes; what is in it does not matter until it is written.
    pub fn prepare(&mut self, features: usize, lanes: usize) {
        if (self.features, self.lanes) == (features, lanes) {
            return;
        }
        (self.features, self.lanes) = (features, lanes);
        let len = features.div_ceil(PANEL) * lanes * PANEL;
        self.panels.at_least(len);
        if !features.is_multiple_of(PANEL) {
            self.panels[len - lanes * PANEL..len].fill(0.0);
        }
    }

    /// Its features.
    pub fn features(&self) -> usize {
        self.features
    }

    /// Its lanes.
    pub fn lanes(&self) -> usize {
        self.lanes
    }

    /// Lanes `first..first + lanes` of one panel, `[lanes][PANEL]`.
    #[inline(always)]
    pub(super) fn panel(&self, panel: usize, first: usize, lanes: usize) -> &[f32] {
        &self.panels[(panel * self.lanes + first) * PANEL..][..lanes * PANEL]
    }

    /// The same, to be written.
    #[inline(always)]
    pub(super) fn panel_mut(&mut self, panel: usize, first: usize, lanes: usize) -> &mut [f32] {
        &mut self.panels[(panel * self.lanes + first) * PANEL..][..lanes * PANEL]
    }

    #[track_caller]
    fn check(&self, what: &str, features: usize, first: usize, lanes: usize) {
        assert_eq!(self.features, features, "{what}: other features than were prepared");
        assert!(first + lanes <= self.lanes, "{what}: lanes {first} to {} of {}", first + lanes, self.lanes);
    }
}

#[inline(always)]
fn lanes_turn_body<V: Turn>(x: &[f32], lanes: usize, first: usize, to: &mut Turned) {
    let features = rows_of("lanes_turn", x, lanes);
    to.check("lanes_turn", features, first, lanes);
    for start in (0..features).step_by(LANES) {
        let (count, column) = (LANES.min(features - start), start % PANEL);
        let panel = to.panel_mut(start / PANEL, first, lanes);
        for lane in (0..lanes).step_by(LANES) {
            let mut square = [V::splat(0.0); LANES];
            for i in 0..LANES {
                if i < count {
                    square[i] = V::load(&x[(start + i) * lanes + lane..]);
                }
            }
            let turned = V::turn(square);
            for i in 0..LANES {
                turned[i].store(&mut panel[(lane + i) * PANEL + column..]);
            }
        }
    }
}

dispatch! {
    /// Turns a tile `x` `[features][lanes]` into rows, from the window's lane `first` on.
    pub fn lanes_turn(x: &[f32], lanes: usize, first: usize, to: &mut Turned) = vector lanes_turn_body
}

#[inline(always)]
fn lanes_turn_back_body<V: Turn>(from: &Turned, first: usize, lanes: usize, out: &mut [f32]) {
    let features = rows_of("lanes_turn_back", out, lanes);
    from.check("lanes_turn_back", features, first, lanes);
    for start in (0..features).step_by(LANES) {
        let (count, column) = (LANES.min(features - start), start % PANEL);
        let panel = from.panel(start / PANEL, first, lanes);
        for lane in (0..lanes).step_by(LANES) {
            let mut square = [V::splat(0.0); LANES];
            for i in 0..LANES {
                square[i] = V::load(&panel[(lane + i) * PANEL + column..]);
            }
            let turned = V::turn(square);
            for i in 0..LANES {
                if i < count {
                    turned[i].store(&mut out[(start + i) * lanes + lane..]);
                }
            }
        }
    }
}

dispatch! {
    /// Lanes `first..first + lanes` of a turned window as a tile `out` `[features][lanes]`.
    pub fn lanes_turn_back(from: &Turned, first: usize, lanes: usize, out: &mut [f32]) = vector lanes_turn_back_body
}

/// A window's lanes, tile by tile: the first lane of each and how many it has.
pub(super) fn tiles_of(lanes: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..lanes).step_by(TILE).map(move |first| (first, TILE.min(lanes - first)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Isa;

    #[test]
    fn a_window_is_turned_and_back() {
        for (features, lanes) in [(1, 16), (16, 64), (20, 80), (64, 128), (100, 208)] {
            let x: Vec<f32> = (0..features * lanes).map(|i| i as f32 + 1.0).collect();
            for isa in Isa::available() {
                let mut turned = Turned::default();
                turned.prepare(features, lanes);
                let mut back = vec![f32::NAN; x.len()];
                for (first, count) in tiles_of(lanes) {
                    let tile = first * features..(first + count) * features;
                    lanes_turn(isa, &x[tile.clone()], count, first, &mut turned);
                    for lane in 0..count {
                        for feature in 0..features.next_multiple_of(PANEL) {
                            let entry = turned.panel(feature / PANEL, first + lane, 1)[feature % PANEL];
                            let at = tile.start + feature * count + lane;
                            assert_eq!(entry, if feature < features { x[at] } else { 0.0 }, "{isa}");
                        }
                    }
                    lanes_turn_back(isa, &turned, first, count, &mut back[tile]);
                }
                assert_eq!(back, x, "{isa}: {features} x {lanes}");
            }
        }
    }
}
