//! The sentences, case by case.

use deltaloss_records::Role;
use deltaloss_stats::{Comparison, Equivalence, Estimate, Test};

use super::calibration::calibration;
use super::confidence::confidence;
use super::held_fixed::held_fixed;
use super::placebo::placebo;
use super::*;
use crate::sample;

fn sentence(finding: fn(View<'_>) -> Option<Prose>, comparison: &Comparison) -> String {
    finding(View::new(comparison)).map(|prose| prose.to_plain()).unwrap_or_default()
}

fn with_delta(delta: f64, interval: Option<[f64; 2]>) -> Comparison {
    let mut comparison = sample::one_pair();
    comparison.all.overall.pairs[0].mean_delta_nats = Estimate { interval, ..Estimate::point(delta) };
    comparison
}

#[test]
fn the_lower_mean_loss_wins() {
    let b_wins = sentence(overall, &with_delta(0.005, None));
    assert!(
        b_wins.starts_with(
            "dense has the lower mean loss, 2.200 nats a token against 2.205 for sparse: Δ\u{a0}=\u{a0}sparse − dense =\u{a0}+0.005."
        ),
        "{b_wins}"
    );
    let a_wins = sentence(overall, &with_delta(-0.005, None));
    assert!(a_wins.starts_with("sparse has the lower mean loss, 2.205 nats"), "{a_wins}");
    assert!(
        a_wins.contains("on 48.3% of the tokens") && a_wins.contains("47.1% of the documents"),
        "{a_wins}"
    );
    let equal = sentence(overall, &with_delta(0.0004, None));
    assert!(
        equal.starts_with("sparse and dense are level in mean loss, at 2.205 and 2.200 nats a token: Δ"),
        "{equal}"
    );
}

#[test]
fn an_interval_says_whether_it_holds_zero() {
    assert!(
        sentence(overall, &with_delta(0.005, Some([-0.001, 0.011]))).contains("do not tell the two apart")
    );
    assert!(sentence(overall, &with_delta(0.005, Some([0.001, 0.009]))).contains("excludes zero"));
    assert!(!sentence(overall, &with_delta(0.005, None)).contains("interval"));
}

#[test]
fn equivalence_is_a_test_not_a_glance() {
    let mut comparison = with_delta(0.005, Some([0.001, 0.009]));
    assert!(!sentence(overall, &comparison).contains("equivalent"));
    let shown = Equivalence {
        margin_nats: 0.02,
        degrees_of_freedom: 99,
        p_value: 0.0123,
        interval_90: [0.002, 0.008],
        equivalent: true,
    };
    comparison.all.overall.pairs[0].equivalence = Some(shown);
    let text = sentence(overall, &comparison);
    assert!(text.contains("That the two differ by less than 0.02 nats holds at the 5 % level (two one-sided tests, p\u{a0}=\u{a0}0.012)."), "{text}");
    comparison.all.overall.pairs[0].equivalence = Some(Equivalence { p_value: 1e-9, ..shown });
    assert!(sentence(overall, &comparison).contains("p\u{a0}<\u{a0}0.001)"));
    comparison.all.overall.pairs[0].equivalence =
        Some(Equivalence { p_value: 0.31, equivalent: false, ..shown });
    let text = sentence(overall, &comparison);
    assert!(text.contains("That the two differ by less than 0.02 nats is not shown (two one-sided tests, p\u{a0}=\u{a0}0.310)."), "{text}");
}

#[test]
fn categories_are_named_with_counts_and_small_ones_are_not() {
    let mut comparison = sample::one_pair();
    comparison.all.categories[0].tokens = 99;
    let text = sentence(categories, &comparison);
    assert!(
        text.starts_with("sparse is ahead in 7 of 18 categories, most on Compound closing brackets (−0.210 over 40,456 tokens), Digits"),
        "{text}"
    );
    assert!(
        text.contains("It is behind in 10, most on Control flow start (+0.350 over 25,045 tokens)"),
        "{text}"
    );
    assert!(
        text.ends_with(", and level in 1. Left out: 1 category with fewer than 100 tokens.")
            && !text.contains("Logical operators"),
        "{text}"
    );
}

#[test]
fn a_side_of_few_categories_is_named_whole() {
    let mut comparison = sample::one_pair();
    comparison.all.categories.truncate(2);
    let text = sentence(categories, &comparison);
    assert_eq!(
        text,
        "sparse is ahead in 2 of 2 categories: Logical operators (−0.320 over 1,065 tokens) and Compound closing brackets (−0.210 over 40,456 tokens). It is behind in none."
    );
}

#[test]
fn categories_that_hold_are_counted_with_those_the_discovery_half_agrees_on() {
    let mut comparison = sample::halves();
    let text = sentence(categories, &comparison);
    assert!(
        text.starts_with("sparse is ahead in 8 of 19 categories, most on Logical operators (−0.310*, discovery half −0.330), "),
        "{text}"
    );
    assert!(
        text.ends_with("Δ differs from zero at q\u{a0}<\u{a0}0.05 in 12 of the 19 categories tested, always with the sign it has in the discovery half."),
        "{text}"
    );
    // One whose sign was another in the discovery half, and one that was not tested.
    let discovery = comparison.discovery.as_mut().unwrap();
    discovery.categories[0].delta_nats = Some(Estimate::point(0.2));
    comparison.confirmation.as_mut().unwrap().categories[1].delta_test = None;
    let text = sentence(categories, &comparison);
    assert!(
        text.ends_with(
            "in 11 of the 18 categories tested; in 10 of these it has the same sign in the discovery half."
        ),
        "{text}"
    );
    assert!(!sentence(categories, &sample::comparison()).contains("q\u{a0}<"), "nothing was tested");
}

#[test]
fn what_is_not_shown_is_named() {
    let mut comparison = sample::halves();
    // 12 of the 19 categories hold; the means differ by 0.015, which does not.
    let text = sentence(not_shown, &comparison);
    assert!(
        text.starts_with("Not shown: that the mean losses differ; that Δ differs from zero in 7 of the 19 categories tested ("),
        "{text}"
    );
    assert!(text.contains("Punctuation") && !text.contains("Digits"), "{text}");
    assert!(text.contains("; that it goes beyond the placebo’s in "), "{text}");
    for row in &mut comparison.confirmation.as_mut().unwrap().categories {
        (row.delta_test, row.difference_test) = (None, None);
    }
    let text = sentence(not_shown, &comparison);
    assert!(text.starts_with("Not shown: that the mean losses differ. "), "{text}");
    assert_eq!(sentence(not_shown, &sample::comparison()), "", "nothing was tested");
}

#[test]
fn headline_numbers_are_of_the_confirmation_half_with_discovery_beside() {
    let text = sentence(overall, &sample::halves());
    assert!(text.contains("=\u{a0}+0.015 [+0.011, +0.019] (discovery half: −0.005). The interval"), "{text}");
    let text = sentence(brackets, &sample::halves());
    assert!(
        text.contains("−0.100 where a token holds 1")
            && text.contains("(discovery half: −0.120, −0.410 and −0.720): sparse"),
        "{text}"
    );
    let text = sentence(confidence, &sample::halves());
    assert!(
        text.contains("Δ runs from −2.490 to −0.290")
            && text.contains("In the discovery half it runs from −2.510 to −0.310."),
        "{text}"
    );
    assert!(
        text.contains(
            "sparse is ahead at all 12 pairs of c and u with at least 100 tokens (q\u{a0}<\u{a0}0.05)."
        ),
        "{text}"
    );
    let mut fewer = sample::halves();
    fewer.confirmation.as_mut().unwrap().confidence[0].a_confident.delta_test = None;
    let text = sentence(confidence, &fewer);
    assert!(text.contains("at least 100 tokens (at 11 with q\u{a0}<\u{a0}0.05)."), "{text}");
    // Where a half has too few documents everything is about all of them.
    let mut comparison = sample::halves();
    comparison.discovery.as_mut().unwrap().intervals.none_because = Some("4 documents hold tokens".into());
    let text = sentence(overall, &comparison);
    assert!(text.contains("=\u{a0}+0.005 [+0.001, +0.009]. The interval"), "{text}");
    let page = crate::report_html(&comparison, &[]);
    assert!(page.contains("discovery and confirmation are not told apart: the discovery half carries no intervals (4 documents hold tokens)."));
}

#[test]
fn calibration_says_before_and_after() {
    let mut comparison = sample::halves();
    let text = sentence(calibration, &comparison);
    assert!(
        text.starts_with("Calibrated, with the logits of sparse divided by 0.9410 and those of dense by 0.9400, Δ over all tokens is +0.007 [+0.003, +0.011]; as scored it is +0.015 [+0.011, +0.019]. On closing brackets it is −0.050, −0.195 and −0.350 where a token holds 1, 2 and 3; as scored −0.100, −0.390 and −0.700. Where sparse is confident and dense is not, Δ runs from −1.245 to −0.145; as scored it runs from −2.490 to −0.290."),
        "{text}"
    );
    // The sentence is the same whichever leads.
    comparison.setup.basis = deltaloss_records::Basis::Calibrated;
    assert_eq!(sentence(calibration, &comparison), text);
    assert!(
        sentence(overall, &comparison).contains("=\u{a0}+0.007 [+0.003, +0.011] (discovery half: −0.003).")
    );
    let text = sentence(calibration, &sample::one_pair());
    assert!(text.starts_with("Losses are as scored: not every run has a temperature"), "{text}");
}

#[test]
fn held_fixed_counts_what_stays() {
    let mut comparison = sample::halves();
    let text = sentence(held_fixed, &comparison);
    assert!(
        text.starts_with("With the token’s frequency and bracket depth held fixed, 6 of the 11 categories whose Δ differs from that of all tokens"),
        "{text}"
    );
    // A sign that turns does not stay.
    let found = comparison.confirmation.as_mut().unwrap().held_fixed.as_mut().unwrap();
    found.pairs[0].categories[0].excess_nats = Some(Estimate::point(0.3));
    assert!(sentence(held_fixed, &comparison).contains("held fixed, 5 of the 11"));
    assert_eq!(sentence(held_fixed, &sample::comparison()), "");
}

#[test]
fn categories_without_a_winner_say_so() {
    assert_eq!(
        sentence(categories, &sample::identical()),
        "same (a) and same (b) differ in none of the 19 categories by as much as 0.001 nats."
    );
}

#[test]
fn brackets_tell_a_trend_only_when_there_is_one() {
    let mut comparison = sample::one_pair();
    let text = sentence(brackets, &comparison);
    assert!(
        text.contains("Δ is −0.110 where a token holds 1 (50,605 tokens), −0.400 where it holds 2")
            && text.ends_with("sparse is ahead, by more the more brackets a token holds."),
        "{text}"
    );
    comparison.all.brackets.by_count[1].delta_nats = Some(Estimate::point(-0.9));
    assert!(sentence(brackets, &comparison).ends_with("without a steady trend."));
    comparison.all.brackets.by_count[1].delta_nats = Some(Estimate::point(0.9));
    assert!(sentence(brackets, &comparison).ends_with("neither model is ahead at every count."));
    for (row, delta) in comparison.all.brackets.by_count.iter_mut().zip([0.1, 0.2, 0.3]) {
        row.delta_nats = Some(Estimate::point(delta));
    }
    assert!(
        sentence(brackets, &comparison).ends_with("dense is ahead, by less the more brackets a token holds.")
    );
}

#[test]
fn the_sharper_model_has_the_lower_entropy() {
    let text = sentence(entropy, &sample::one_pair());
    assert!(text.starts_with("sparse is the sharper of the two: mean entropy 1.810 nats against 1.970, median 1.590 against 1.650."), "{text}");
    assert!(sentence(entropy, &sample::identical()).contains("level in mean entropy"));
    let mut comparison = sample::one_pair();
    comparison.all.entropy[0].median_nats = Estimate::point(1.7);
    let text = sentence(entropy, &comparison);
    assert!(text.starts_with("Neither is the sharper throughout: sparse has the lower mean entropy (1.810 nats against 1.970), dense the lower median (1.650 against 1.700)."), "{text}");
}

#[test]
fn confidence_is_told_both_ways() {
    let text = sentence(confidence, &sample::one_pair());
    assert!(
        text.contains(
            "Δ runs from −2.500 to −0.300: sparse is ahead at all 12 pairs of c and u with at least 100 tokens."
        ),
        "{text}"
    );
    assert!(
        text.contains(
            "The other way round, Δ runs from +0.100 to +1.000: dense is ahead at all 12 such pairs."
        ),
        "{text}"
    );
    assert!(
        text.contains("sparse is the confident one on more tokens at all 12 pairs where either has 100."),
        "{text}"
    );
    let text = sentence(confidence, &sample::identical());
    assert!(text.starts_with("At none of the 12 pairs of c and u are there 100 tokens"), "{text}");
}

#[test]
fn cells_with_few_tokens_are_neither_quoted_nor_counted() {
    let comparison = sample::few();
    let text = sentence(confidence, &comparison);
    assert!(text.contains("Δ runs from −0.900 to −0.300: sparse is ahead at all 4 pairs"), "{text}");
    assert!(text.contains("Δ is +0.100: dense is ahead at all 4 such pairs."), "{text}");
    assert!(text.contains("at all 4 pairs where either has 100."), "{text}");
    let beside = sentence(placebo, &comparison);
    for number in ["3.650", "1.548", "1.477", "5.000", "7.000"] {
        assert!(!text.contains(number) && !beside.contains(number), "{number}: {text} {beside}");
    }
    let mut one_sided = sample::comparison();
    for row in &mut one_sided.all.confidence {
        row.a_confident.tokens = 99;
    }
    let text = sentence(confidence, &one_sided);
    assert!(text.contains("none of the pairs of c and u has 100 tokens. The other way round, Δ runs from +0.100 to +1.000: dense is ahead at all 12 pairs of c and u with at least 100 tokens."), "{text}");
    assert!(
        text.ends_with(
            "dense is the confident one on more tokens at all 12 pairs where either has 100. The pairs overlap: each holds the tokens of all stricter ones."
        ),
        "{text}"
    );
}

#[test]
fn parts_are_counted_as_people_count() {
    let part = |count, total| part_of(count, total, ["pair", "pairs"]);
    assert_eq!(part(0, 7), "none of the 7 pairs");
    assert_eq!(part(4, 7), "4 of the 7 pairs");
    assert_eq!(part(2, 2), "both pairs");
    assert_eq!(part(7, 7), "all 7 pairs");
    assert_eq!(part(1, 1), "the only pair");
    assert_eq!(part(0, 1), "0 of 1 pair");
    assert_eq!(part(0, 0), "none of the 0 pairs");
}

#[test]
fn what_is_beyond_the_placebo_is_what_was_tested() {
    let mut comparison = sample::halves();
    let text = sentence(placebo, &comparison);
    assert!(
        text.starts_with("Beyond the placebo: in 11 of the 19 categories tested, Δ differs from that between dense and its twin dense twin at q\u{a0}<\u{a0}0.05. Beyond what the twin does, the difference favours sparse in 4, most on Logical operators (−0.269), Compound closing brackets (−0.212) and Closing brackets (−0.076); dense in 7, most on Control flow start (+0.341), "),
        "{text}"
    );
    assert!(
        text.contains(
            "differ by 0.015, the twins by 0.003; Δ less the placebo’s is +0.012 [+0.008, +0.016]."
        ),
        "{text}"
    );
    assert!(
        text.contains("runs from −1.380 to −0.130: what choosing tokens by entropy does of itself. With sparse in its place Δ is lower at all 12 pairs tested (q\u{a0}<\u{a0}0.05)."),
        "{text}"
    );
    assert!(text.ends_with("not what yet another seed would do."), "{text}");
    let confirmation = comparison.confirmation.as_mut().unwrap();
    for row in &mut confirmation.categories[1..] {
        row.difference_test = None;
    }
    let text = sentence(placebo, &comparison);
    assert!(
        text.starts_with("Beyond the placebo: in the only category tested, Δ differs from that between dense and its twin dense twin at q\u{a0}<\u{a0}0.05. Beyond what the twin does, the difference favours sparse in 1: Logical operators (−0.269). In mean"),
        "{text}"
    );
    let confirmation = comparison.confirmation.as_mut().unwrap();
    let unlikely = confirmation.categories[0].difference_test.as_mut().unwrap();
    unlikely.q_value = 0.05;
    let text = sentence(placebo, &comparison);
    assert!(text.starts_with("Within the placebo: in 0 of 1 category tested, Δ differs"), "{text}");
    // Without tests nothing is said to be beyond it.
    let untested = sentence(placebo, &sample::comparison());
    assert!(
        untested.starts_with("In mean loss sparse and dense differ by 0.005, the twins by 0.003."),
        "{untested}"
    );
    assert!(sentence(placebo, &sample::one_pair()).contains("no placebo"));
}

#[test]
fn nothing_to_say_is_nothing_said() {
    let empty = sample::empty();
    assert_eq!(findings(View::new(&empty)).len(), 1, "only that there is no placebo");
    assert!(View::new(&empty).pair(Role::A, Role::B).is_none());
}

#[test]
fn bins_by_the_oracles_entropy_are_counted_by_who_is_ahead() {
    let said = |sure: &[f64]| {
        let mut comparison = sample::comparison();
        sample::add_oracle(&mut comparison);
        let bins = &mut comparison.all.oracle.as_mut().unwrap().bins;
        assert!(bins.len() > sure.len());
        for bin in bins.iter_mut() {
            bin.row.delta_test = Some(Test { degrees_of_freedom: 99, p_value: 0.5, q_value: 0.5 });
        }
        for (bin, delta) in bins.iter_mut().zip(sure) {
            bin.row.delta_nats = Some(Estimate::point(*delta));
            bin.row.delta_test = Some(Test { degrees_of_freedom: 99, p_value: 0.001, q_value: 0.01 });
        }
        let bins = format!("of the {} bins tested", bins.len());
        sentence(oracle::oracle, &comparison).replace(&bins, "BINS").replace('\u{a0}', " ")
    };
    for (sure, expected) in [
        (&[][..], "in none BINS."),
        (&[-0.1, -0.2], "in 2 BINS, always for sparse."),
        (&[0.1], "in 1 BINS, always for dense."),
        (&[-0.1, 0.1, 0.3], "in 3 BINS, in 1 for sparse and in 2 for dense."),
    ] {
        let said = said(sure);
        assert!(said.contains(&format!("Δ differs from zero at q < 0.05 {expected}")), "{said}");
    }
}
