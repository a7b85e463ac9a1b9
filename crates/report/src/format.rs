//! How numbers are written, in one place: nats, differences, shares, counts, hashes, durations.
//!
//! Every function returns [`ABSENT`] for a number that is not finite, so no page ever shows `NaN`.

use deltaloss_stats::Estimate;

/// Shown where there is no number.
pub const ABSENT: &str = "–";

/// Stands behind a number whose test holds.
pub const MARK: &str = "*";

/// U+2212, the minus sign; a hyphen is too short beside digits.
const MINUS: char = '\u{2212}';

/// How a column or sentence writes its numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NumberFormat {
    /// Losses and entropies: three decimals.
    Nats,
    /// Differences: three decimals and always a sign.
    Delta,
    /// A share of one, written as a percentage.
    Share,
    /// Four significant digits.
    Significant,
    /// A threshold as it was set: no trailing zeros.
    Plain,
    /// A p- or q-value.
    Probability,
}

impl NumberFormat {
    /// Writes `value`.
    pub fn write(self, value: f64) -> String {
        match self {
            NumberFormat::Nats => nats(value),
            NumberFormat::Delta => delta(value),
            NumberFormat::Share => share(value),
            NumberFormat::Significant => significant(value),
            NumberFormat::Plain => plain(value),
            NumberFormat::Probability => probability(value),
        }
    }

    /// Writes an estimate: its value, then its interval in brackets where it has one.
    pub fn write_estimate(self, estimate: Option<Estimate>) -> String {
        self.write_marked(estimate, false)
    }

    /// The same with [`MARK`] behind the value where it is marked.
    pub fn write_marked(self, estimate: Option<Estimate>, marked: bool) -> String {
        let Some(Estimate { value, interval, .. }) = estimate else { return ABSENT.to_owned() };
        let value = format!("{}{}", self.write(value), if marked { MARK } else { "" });
        match interval {
            None => value,
            Some([low, high]) => format!("{value} [{}, {}]", self.write(low), self.write(high)),
        }
    }
}

/// A loss or an entropy: `2.205`.
pub fn nats(value: f64) -> String {
    if !value.is_finite() {
        return ABSENT.to_owned();
    }
    if value.abs() >= 1e5 {
        return significant(value);
    }
    with_minus(without_negative_zero(format!("{value:.3}")))
}

/// A difference: `+0.350`, `−0.321`, and `0.000` for what rounds to nothing.
pub fn delta(value: f64) -> String {
    let text = nats(value);
    let nothing = text.starts_with(MINUS) || !text.chars().any(|c| ('1'..='9').contains(&c));
    if nothing || !value.is_finite() { text } else { format!("+{text}") }
}

/// A share of one as a percentage: `48.3%`.
pub fn share(value: f64) -> String {
    if !value.is_finite() {
        return ABSENT.to_owned();
    }
    if value.abs() >= 1e5 {
        return format!("{}%", significant(value * 100.0));
    }
    with_minus(format!("{}%", without_negative_zero(format!("{:.1}", value * 100.0))))
}

/// Four significant digits: `11.44`, `0.0003142`, `1.235e12`.
pub fn significant(value: f64) -> String {
    if !value.is_finite() {
        return ABSENT.to_owned();
    }
    if value == 0.0 {
        return "0".to_owned();
    }
    // Rounding first settles which power of ten 9.99999 belongs to.
    let scientific = format!("{value:.3e}");
    let exponent: i32 = scientific.split_once('e').and_then(|(_, e)| e.parse().ok()).unwrap_or(0);
    if !(-5..6).contains(&exponent) {
        return with_minus(scientific);
    }
    let decimals = usize::try_from(3 - exponent).unwrap_or(0);
    with_minus(format!("{value:.decimals$}"))
}

/// A number as short as it can be written: `0.25`, `3`.
pub fn plain(value: f64) -> String {
    if !value.is_finite() {
        return ABSENT.to_owned();
    }
    if value != 0.0 && !(1e-4..1e6).contains(&value.abs()) {
        significant(value)
    } else {
        with_minus(format!("{value}"))
    }
}

/// A count with thousands separators: `870,144`.
pub fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A count with its noun: `1 token`, `870,144 tokens`.
pub fn counted(value: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(value), if value == 1 { one } else { many })
}

/// A parameter count: `512`, `49.2 thousand`, `1.24 million`, `20.9 billion`.
pub fn parameters(value: u64) -> String {
    let number = value as f64;
    let (scaled, word) = match value {
        0..10_000 => return count(value),
        10_000..1_000_000 => (number / 1e3, "thousand"),
        1_000_000..1_000_000_000 => (number / 1e6, "million"),
        _ => (number / 1e9, "billion"),
    };
    let decimals = if scaled < 10.0 { 2 } else { 1 };
    format!("{scaled:.decimals$} {word}")
}

/// A duration: `4.2 s`, `12 min 5 s`, `3 h 20 min`.
pub fn duration(seconds: f64) -> String {
    if !seconds.is_finite() || seconds < 0.0 {
        return ABSENT.to_owned();
    }
    if seconds < 60.0 {
        return format!("{seconds:.1} s");
    }
    let whole = seconds.round() as u64;
    match whole {
        0..3600 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", count(whole / 3600), whole % 3600 / 60),
    }
}

/// A p- or q-value: `0.012`, `< 0.001`.
pub fn probability(value: f64) -> String {
    if value < 0.001 { "<\u{a0}0.001".to_owned() } else { nats(value) }
}

/// How many in a second: `27,107`, `12.34`.
pub fn rate(value: f64) -> String {
    if (1e3..1e15).contains(&value) { count(value.round() as u64) } else { significant(value) }
}

/// The first twelve characters of a hash.
pub fn short_hash(hash: &str) -> String {
    hash.chars().take(12).collect()
}

/// A number at full precision for a data file: what parses back to the same bits; empty when not finite.
pub fn exact(value: f64) -> String {
    if value.is_finite() { format!("{value:?}") } else { String::new() }
}

fn with_minus(text: String) -> String {
    match text.strip_prefix('-') {
        Some(rest) => format!("{MINUS}{rest}"),
        None => text,
    }
}

fn without_negative_zero(text: String) -> String {
    if text.starts_with('-') && !text.chars().any(|c| ('1'..='9').contains(&c)) {
        text.trim_start_matches('-').to_owned()
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_always_carry_a_sign_unless_they_round_to_nothing() {
        assert_eq!(delta(0.35), "+0.350");
        assert_eq!(delta(-0.3212), "−0.321");
        assert_eq!(delta(-0.0004), "0.000");
        assert_eq!(delta(0.0004), "0.000");
        assert_eq!(delta(0.0), "0.000");
        assert_eq!(delta(1e12), "+1.000e12");
        assert_eq!(delta(-1e12), "−1.000e12");
        assert_eq!(delta(f64::NAN), ABSENT);
    }

    #[test]
    fn four_significant_digits() {
        assert_eq!(significant(11.4391), "11.44");
        assert_eq!(significant(9.99999), "10.00");
        assert_eq!(significant(0.000314159), "0.0003142");
        assert_eq!(significant(123456.0), "123456");
        assert_eq!(significant(1.23456e12), "1.235e12");
        assert_eq!(significant(-2.0), "−2.000");
        assert_eq!(significant(0.0), "0");
        assert_eq!(significant(f64::INFINITY), ABSENT);
    }

    #[test]
    fn counts_parameters_shares_and_durations() {
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(1000), "1,000");
        assert_eq!(count(u64::MAX), "18,446,744,073,709,551,615");
        assert_eq!(counted(1, "token", "tokens"), "1 token");
        assert_eq!(parameters(9_999), "9,999");
        assert_eq!(parameters(49_152), "49.2 thousand");
        assert_eq!(parameters(1_240_000), "1.24 million");
        assert_eq!(share(0.4829), "48.3%");
        assert_eq!(share(-0.0001), "0.0%");
        assert_eq!(plain(0.25), "0.25");
        assert_eq!(plain(3.0), "3");
        assert_eq!(rate(27_106.6), "27,107");
        assert_eq!(rate(12.341), "12.34");
        assert_eq!(rate(f64::NAN), ABSENT);
        assert_eq!(duration(4.21), "4.2 s");
        assert_eq!(duration(725.0), "12 min 5 s");
        assert_eq!(duration(12_000.0), "3 h 20 min");
        assert_eq!(duration(f64::NAN), ABSENT);
    }

    #[test]
    fn intervals_stand_in_brackets() {
        let estimate = Estimate { interval: Some([-0.25, -0.15]), ..Estimate::point(-0.2) };
        assert_eq!(NumberFormat::Delta.write_estimate(Some(estimate)), "−0.200 [−0.250, −0.150]");
        assert_eq!(NumberFormat::Delta.write_estimate(None), ABSENT);
    }

    proptest::proptest! {
        #[test]
        fn exact_numbers_parse_back(bits in proptest::prelude::any::<u64>()) {
            let value = f64::from_bits(bits);
            let text = exact(value);
            if value.is_finite() {
                proptest::prop_assert_eq!(text.parse::<f64>().map(f64::to_bits), Ok(bits));
            } else {
                proptest::prop_assert_eq!(text, "");
            }
        }
    }
}
