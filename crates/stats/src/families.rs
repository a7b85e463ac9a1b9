//! Families of tests: two-sided t tests from cluster-robust standard errors, and the correction for their number.
//!
//! q-values are those of Benjamini and Hochberg (1995): the smallest false discovery rate at which the row
//! would be among the discoveries. They hold for independent tests and for positively dependent ones (Benjamini and
//! Yekutieli 2001).

use crate::student::upper_tail;
use crate::{Estimate, Test};

/// The test that a number is zero, with q = p; nothing without a standard error, or where that is zero: without spread
/// there is nothing to test by.
pub(crate) fn two_sided(estimate: &Estimate, documents: usize) -> Option<Test> {
    let error = estimate.standard_error.filter(|error| *error > 0.0)?;
    let degrees_of_freedom = (documents as u64).checked_sub(1).filter(|degrees| *degrees > 0)?;
    let p_value = (2.0 * upper_tail(estimate.value.abs() / error, degrees_of_freedom)).min(1.0);
    Some(Test { degrees_of_freedom, p_value, q_value: p_value })
}

/// Gives the tests of a family their q-values; rows without a test are no part of it.
pub(crate) fn correct<'t>(family: impl Iterator<Item = &'t mut Option<Test>>) {
    let mut tests: Vec<&mut Test> = family.flatten().collect();
    tests.sort_by(|left, right| left.p_value.total_cmp(&right.p_value));
    let count = tests.len() as f64;
    let mut least = 1.0f64;
    for (index, test) in tests.iter_mut().enumerate().rev() {
        least = least.min(test.p_value * count / (index + 1) as f64);
        test.q_value = least;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(p_values: &[f64]) -> Vec<f64> {
        let test = |&p: &f64| Test { degrees_of_freedom: 9, p_value: p, q_value: p };
        let mut rows: Vec<Option<Test>> = p_values.iter().map(test).map(Some).chain([None]).collect();
        correct(rows.iter_mut());
        assert_eq!(rows.pop(), Some(None));
        rows.into_iter().flatten().map(|test| test.q_value).collect()
    }

    #[test]
    fn q_values_by_hand() {
        // p.adjust(c(0.01, 0.04, 0.03, 0.005), "BH") in R.
        let found = of(&[0.01, 0.04, 0.03, 0.005]);
        for (found, expected) in found.iter().zip([0.02, 0.04, 0.04, 0.02]) {
            assert!((found - expected).abs() < 1e-15, "{found} {expected}");
        }
        assert_eq!(of(&[0.9, 1.0]), [1.0, 1.0]);
        assert_eq!(of(&[0.25]), [0.25]);
        assert!(of(&[]).is_empty());
    }

    #[test]
    fn the_test_by_hand() {
        let estimate = |value, standard_error| Estimate { value, interval: None, standard_error };
        // |t| = 2.262157 is the two-sided 5 % point of 9 degrees of freedom.
        for sign in [1.0, -1.0] {
            let test = two_sided(&estimate(sign * 2.262_157, Some(1.0)), 10).unwrap();
            assert!((test.p_value - 0.05).abs() < 1e-6 && test.degrees_of_freedom == 9, "{test:?}");
        }
        assert_eq!(two_sided(&estimate(0.0, Some(1.0)), 10).unwrap().p_value, 1.0);
        assert_eq!(two_sided(&estimate(1.0, Some(0.0)), 10), None);
        assert_eq!(two_sided(&estimate(1.0, None), 10), None);
    }
}
