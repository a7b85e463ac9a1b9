//! Tests of combinations of ratios by hand.

use super::*;
use crate::testing::close;

const FIRST: Sum<2> = |sums| sums[1];

fn group(cells: &[(u32, f64, f64)], resamples: &Resamples) -> Resampled<2> {
    let cells = cells.iter().map(|&(document, tokens, sum)| Cell { document, sums: [tokens, sum] });
    Resampled::new(cells.collect(), resamples)
}

#[test]
fn a_difference_of_ratios_over_different_documents() {
    let resamples = Resamples::new(&Vec::from_iter(0..15), 99, 3);
    let left: Vec<(u32, f64, f64)> = (0..12).map(|document| (document, 2.0, f64::from(document))).collect();
    let right: Vec<(u32, f64, f64)> =
        (3..15).map(|document| (document, 1.0, 4.0 + f64::from(document % 2))).collect();
    let (x, y) = (group(&left, &resamples), group(&right, &resamples));
    let found = combine(&[x.term(FIRST, 0), y.term(FIRST, 0).minus()], &resamples).unwrap();
    // 66 / 24 − 54 / 12.
    assert!(close(found.estimate.value, 2.75 - 4.5));
    assert_eq!(found.documents, 12);
    let residual = |document: u32| {
        let of_left = if document < 12 { (f64::from(document) - 2.75 * 2.0) / 24.0 } else { 0.0 };
        let of_right = if document >= 3 { (f64::from(document % 2) - 0.5) / 12.0 } else { 0.0 };
        of_left - of_right
    };
    let squares: f64 = (0..15).map(|document| residual(document).powi(2)).sum();
    assert!(close(found.estimate.standard_error.unwrap(), (squares * 15.0 / 14.0).sqrt()));
    let test = found.test().unwrap();
    assert_eq!(test.degrees_of_freedom, 11);
    // Replicate by replicate.
    let (xs, ys) = (x.replicates().unwrap(), y.replicates().unwrap());
    let naive = percentiles(xs.iter().zip(ys).map(|(x, y)| Some(x[1] / x[0] - y[1] / y[0])), 12);
    assert_eq!(found.estimate.interval, naive);
}

#[test]
fn a_difference_from_itself_is_zero_without_a_test() {
    let resamples = Resamples::new(&Vec::from_iter(0..20), 50, 3);
    let cells: Vec<(u32, f64, f64)> =
        (0..20).map(|document| (document, 3.0, f64::from(document).sqrt())).collect();
    let x = group(&cells, &resamples);
    let found = combine(&[x.term(FIRST, 0), x.term(FIRST, 0).minus()], &resamples).unwrap();
    let expected = Estimate { value: 0.0, interval: Some([0.0, 0.0]), standard_error: Some(0.0) };
    assert_eq!((found.estimate, found.test()), (expected, None));
}

#[test]
fn nothing_without_tokens_and_no_error_from_few_documents() {
    let resamples = Resamples::new(&Vec::from_iter(0..20), 50, 3);
    let all: Vec<(u32, f64, f64)> = (0..20).map(|document| (document, 1.0, f64::from(document))).collect();
    let (whole, few, none) = (group(&all, &resamples), group(&all[..9], &resamples), group(&[], &resamples));
    assert_eq!(combine(&[none.term(FIRST, 0)], &resamples), None);
    assert_eq!(combine(&[whole.term(FIRST, 0), none.term(FIRST, 0).minus()], &resamples), None);
    let found = combine(&[few.term(FIRST, 0), whole.term(FIRST, 0).minus()], &resamples).unwrap();
    assert_eq!((found.estimate, found.test()), (Estimate::point(4.0 - 9.5), None));
}
