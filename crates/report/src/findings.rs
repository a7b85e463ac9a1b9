//! The answer in sentences, made from the numbers of a comparison.
//!
//! The words only order and compare numbers that the comparison holds; what they may conclude is kept to what
//! numbers of their kind (with or without an interval, with or without a placebo) can carry.

mod placebo;
#[cfg(test)]
mod tests;

use deltaloss_records::Role;
use deltaloss_stats::{ConfidenceCell, ConfidenceRow, DeltaRow, Equivalence, Estimate};

use crate::format;
use crate::prose::{Prose, in_words};
use crate::scale::extent;
use crate::view::{FEW_TOKENS, View, delta_of, estimate, value};

/// Differences below this are written `0.000`, and sentences call them none.
const SMALLEST_SHOWN: f64 = 0.000_5;

/// How many categories a sentence names on either side.
const NAMED: usize = 3;

/// What a threshold is in sentences about confidence, and several.
const PAIR: &str = "pair of c and u";
const PAIRS: &str = "pairs of c and u";

/// Every finding, in the order of the report; those that the comparison has no numbers for are left out.
pub(crate) fn findings(view: View<'_>) -> Vec<Prose> {
    [overall(view), categories(view), brackets(view), entropy(view), confidence(view), placebo::placebo(view)]
        .into_iter()
        .flatten()
        .collect()
}

/// Who has the lower mean loss.
fn overall(view: View<'_>) -> Option<Prose> {
    let pair = view.pair(Role::A, Role::B)?;
    let delta = estimate(pair.mean_delta_nats)?;
    let loss = |role| {
        view.summary(role)
            .and_then(|summary| value(summary.mean_loss_nats))
            .map_or_else(|| format::ABSENT.to_owned(), format::nats)
    };
    let shown = format::NumberFormat::Delta.write_estimate(Some(delta));
    let prose = match winner(delta.value) {
        None => both(view).text(" are ").strong("level in mean loss").text(format!(
            ", at {} and {} nats a token",
            loss(Role::A),
            loss(Role::B)
        )),
        Some((better, worse)) => model(Prose::new(), view, better)
            .text(" has ")
            .strong("the lower mean loss")
            .text(format!(", {} nats a token against {} for ", loss(better), loss(worse)))
            .then(model(Prose::new(), view, worse)),
    };
    let prose = model(model(prose.text(": Δ\u{a0}=\u{a0}"), view, Role::A).text(" − "), view, Role::B)
        .text(format!(" =\u{a0}{shown}."))
        .text(zero_in_words(delta))
        .text(pair.equivalence.map_or_else(String::new, equivalence_in_words));
    let shares = [estimate(pair.first_wins_tokens), estimate(pair.first_wins_documents)];
    let [Some(tokens), Some(documents)] = shares else { return Some(prose) };
    Some(model(prose.text(" "), view, Role::A).text(format!(
        " has the lower loss on {} of the tokens and the lower mean loss in {} of the documents.",
        format::share(tokens.value),
        format::share(documents.value)
    )))
}

/// Whether an interval includes zero, in a sentence; nothing where there is no interval.
fn zero_in_words(delta: Estimate) -> &'static str {
    match delta.interval {
        Some([low, high]) if low <= 0.0 && high >= 0.0 => {
            " The interval includes zero: these documents do not tell the two apart."
        }
        Some(_) => " The interval excludes zero.",
        None => "",
    }
}

/// What the test of equivalence says, in a sentence.
fn equivalence_in_words(test: Equivalence) -> String {
    let margin = format::NumberFormat::Plain.write(test.margin_nats);
    let holds = if test.equivalent { "holds at the 5 % level" } else { "is not shown" };
    let p = match test.p_value {
        p if p < 0.001 => "<\u{a0}0.001".to_owned(),
        p => format!("=\u{a0}{}", format::nats(p)),
    };
    format!(" That the two differ by less than {margin} nats {holds} (two one-sided tests, p\u{a0}{p}).")
}

/// Where a wins most and loses most.
fn categories(view: View<'_>) -> Option<Prose> {
    let all = &view.comparison.all.categories;
    let rows = rows_with_enough_tokens(all);
    if rows.is_empty() {
        return None;
    }
    let wins = ordered(&rows, |delta| delta <= -SMALLEST_SHOWN);
    let losses = ordered(&rows, |delta| delta >= SMALLEST_SHOWN);
    if wins.is_empty() && losses.is_empty() {
        let text = format!(" differ in none of the {} categories by as much as 0.001 nats.", rows.len());
        return Some(both(view).text(text));
    }
    let mut prose = model(Prose::new(), view, Role::A).text(" is ahead in ");
    prose = match wins.is_empty() {
        true => prose.text(format!("none of {} categories", rows.len())),
        false => prose.text(format!("{} of {} categories", wins.len(), rows.len())).then(most_on(&wins)),
    };
    prose = match losses.is_empty() {
        true => prose.text(". It is behind in none"),
        false => prose.text(format!(". It is behind in {}", losses.len())).then(most_on(&losses)),
    };
    let level = rows.len() - wins.len() - losses.len();
    prose = prose.text(if level > 0 { format!(", and level in {level}.") } else { ".".to_owned() });
    let intervals: Vec<[f64; 2]> =
        rows.iter().filter_map(|(row, _)| estimate(row.delta_nats)?.interval).collect();
    if !intervals.is_empty() {
        let clear = intervals.iter().filter(|[low, high]| *low > 0.0 || *high < 0.0).count();
        prose = prose.text(format!(
            " The interval excludes zero in {}{}.",
            part_of(clear, intervals.len(), ["category", "categories"]),
            if intervals.len() < rows.len() { " that carry one" } else { "" }
        ));
    }
    let few = all.iter().filter(|row| row.tokens < FEW_TOKENS).count();
    if few > 0 {
        let noun = if few == 1 { "category" } else { "categories" };
        prose = prose.text(format!(" Left out: {few} {noun} with fewer than {FEW_TOKENS} tokens."));
    }
    Some(prose)
}

/// `: X, Y and Z` or, where there are more, `, most on X, Y and Z`, with Δ and count.
fn most_on(rows: &[(&DeltaRow, f64)]) -> Prose {
    let named = listed(rows, |row, delta| {
        format!(" ({} over {})", format::delta(delta), format::counted(row.tokens, "token", "tokens"))
    });
    Prose::new().text(if rows.len() > NAMED { ", most on " } else { ": " }).then(named)
}

/// The most extreme rows by name, each with what `aside` says of it.
fn listed(rows: &[(&DeltaRow, f64)], aside: impl Fn(&DeltaRow, f64) -> String) -> Prose {
    let count = rows.len().min(NAMED);
    rows.iter().take(NAMED).enumerate().fold(Prose::new(), |prose, (index, (row, delta))| {
        let before = match index {
            0 => "",
            _ if index + 1 == count => " and ",
            _ => ", ",
        };
        prose.text(before).strong(&row.name).text(aside(row, *delta))
    })
}

fn rows_with_enough_tokens(rows: &[DeltaRow]) -> Vec<(&DeltaRow, f64)> {
    rows.iter().filter(|row| row.tokens >= FEW_TOKENS).filter_map(|row| Some((row, delta_of(row)?))).collect()
}

/// The rows whose Δ is kept, largest in size first.
fn ordered<'r>(rows: &[(&'r DeltaRow, f64)], keep: impl Fn(f64) -> bool) -> Vec<(&'r DeltaRow, f64)> {
    let mut kept: Vec<_> = rows.iter().copied().filter(|(_, delta)| keep(*delta)).collect();
    kept.sort_by(|(_, one), (_, other)| other.abs().total_cmp(&one.abs()));
    kept
}

/// What closing brackets show: the trend over how many a token holds.
fn brackets(view: View<'_>) -> Option<Prose> {
    let mut rows = rows_with_enough_tokens(&view.comparison.all.brackets.by_count);
    rows.reverse(); // the table has most brackets first; the sentence counts up
    if rows.is_empty() {
        return None;
    }
    let steps: Vec<String> = rows
        .iter()
        .enumerate()
        .map(|(index, (row, delta))| {
            let holder = if index == 0 { "a token" } else { "it" };
            let tokens = format::counted(row.tokens, "token", "tokens");
            format!("{} where {holder} holds {} ({tokens})", format::delta(*delta), row.name)
        })
        .collect();
    let prose =
        Prose::new().text("On ").strong("closing brackets").text(format!(" Δ is {}: ", in_words(&steps)));
    let deltas: Vec<f64> = rows.iter().map(|(_, delta)| *delta).collect();
    let ahead = if deltas.iter().all(|delta| *delta <= -SMALLEST_SHOWN) {
        Some(Role::A)
    } else if deltas.iter().all(|delta| *delta >= SMALLEST_SHOWN) {
        Some(Role::B)
    } else {
        None
    };
    Some(match ahead {
        None => prose.text("neither model is ahead at every count."),
        Some(role) => {
            let growing = deltas.windows(2).all(|pair| matches!(pair, [few, more] if more.abs() > few.abs()));
            let shrinking =
                deltas.windows(2).all(|pair| matches!(pair, [few, more] if more.abs() < few.abs()));
            let end = match (deltas.len(), growing, shrinking) {
                (1, ..) => " is ahead.",
                (_, true, _) => " is ahead, by more the more brackets a token holds.",
                (_, _, true) => " is ahead, by less the more brackets a token holds.",
                _ => " is ahead at every count, without a steady trend.",
            };
            model(prose, view, role).text(end)
        }
    })
}

/// Who is sharper.
fn entropy(view: View<'_>) -> Option<Prose> {
    let numbers = |role| {
        let model = view.comparison.all.entropy.iter().find(|model| model.role == role)?;
        Some((value(model.mean_nats)?, value(model.median_nats)?))
    };
    let (a, b) = (numbers(Role::A)?, numbers(Role::B)?);
    let Some((sharper, other)) = winner(a.0 - b.0) else {
        let means = format!("{} and {} nats", format::nats(a.0), format::nats(b.0));
        return Some(both(view).text(" are ").strong("level in mean entropy").text(format!(", at {means}.")));
    };
    let ((mean, median), (other_mean, other_median)) = if sharper == Role::A { (a, b) } else { (b, a) };
    let means = format!("{} nats against {}", format::nats(mean), format::nats(other_mean));
    let prose = if median - other_median < SMALLEST_SHOWN {
        let medians = format!("{} against {}", format::nats(median), format::nats(other_median));
        model(Prose::new(), view, sharper)
            .text(" is ")
            .strong("the sharper of the two")
            .text(format!(": mean entropy {means}, median {medians}."))
    } else {
        let medians = format!("{} against {}", format::nats(other_median), format::nats(median));
        let prose = Prose::new().strong("Neither is the sharper throughout").text(": ");
        let prose = model(prose, view, sharper).text(format!(" has the lower mean entropy ({means}), "));
        model(prose, view, other).text(format!(" the lower median ({medians})."))
    };
    Some(prose.text(
        " Losses are not calibrated, so how much sharpness alone adds to the differences is not known.",
    ))
}

/// What happens where one is confident and the other is not.
fn confidence(view: View<'_>) -> Option<Prose> {
    let rows = &view.comparison.all.confidence;
    if rows.is_empty() {
        return None;
    }
    let a = deltas(rows, |row| Some(row.a_confident));
    let b = deltas(rows, |row| Some(row.b_confident));
    if a.is_empty() && b.is_empty() {
        let text = format!(
            " are there {FEW_TOKENS} tokens on which one model is confident (entropy below c) and the other is not (above u)."
        );
        return Some(
            Prose::new().text("At ").strong(format!("none of the {} {PAIRS}", rows.len())).text(text),
        );
    }
    let prose = model(Prose::new().text("Where "), view, Role::A).text(" is ").strong("confident");
    let prose = model(prose.text(" (entropy below c) and "), view, Role::B).text(" is not (above u), ");
    let [one, many] = [PAIR, PAIRS].map(|noun| format!("{noun} with at least {FEW_TOKENS} tokens"));
    let enough_tokens = [one.as_str(), many.as_str()];
    let prose = prose.then(ahead_in_words(view, &a, Role::A, enough_tokens)).text(" The other way round, ");
    let again = if a.is_empty() { enough_tokens } else { ["such pair", "such pairs"] };
    let prose = prose.then(ahead_in_words(view, &b, Role::B, again)).text(" ");
    let tokens = || rows.iter().map(|row| [row.a_confident.tokens, row.b_confident.tokens]);
    let enough = tokens().filter(|[a, b]| *a.max(b) >= FEW_TOKENS);
    let (more_a, more_b) = enough
        .clone()
        .fold((0, 0), |(more_a, more_b), [a, b]| (more_a + usize::from(a > b), more_b + usize::from(b > a)));
    let (role, more) = if more_b > more_a { (Role::B, more_b) } else { (Role::A, more_a) };
    let part = part_of(more, enough.count(), ["pair", "pairs"]);
    Some(
        model(prose, view, role)
            .text(format!(" is the confident one on more tokens at {part} where either has {FEW_TOKENS}. The pairs overlap: each holds the tokens of all stricter ones.")),
    )
}

/// The range of Δ, and how often the confident model is ahead, over the `pairs` that have enough tokens.
fn ahead_in_words(view: View<'_>, deltas: &[f64], confident: Role, pairs: [&str; 2]) -> Prose {
    if deltas.is_empty() {
        return Prose::new().text(format!("none of the {PAIRS} has {FEW_TOKENS} tokens."));
    }
    let sign = if confident == Role::A { -1.0 } else { 1.0 };
    let ahead = deltas.iter().filter(|delta| **delta * sign >= SMALLEST_SHOWN).count();
    let prose = Prose::new().text(format!("Δ {}: ", range_in_words(deltas)));
    model(prose, view, confident).text(format!(" is ahead at {}.", part_of(ahead, deltas.len(), pairs)))
}

/// Δ of the cells with enough tokens to be taken seriously.
fn deltas(rows: &[ConfidenceRow], cell: impl Fn(&ConfidenceRow) -> Option<ConfidenceCell>) -> Vec<f64> {
    rows.iter().filter_map(|row| enough_delta(cell(row)?)).collect()
}

/// The cell's Δ, where it has enough tokens to be taken seriously.
fn enough_delta(cell: ConfidenceCell) -> Option<f64> {
    value(cell.delta_nats).filter(|_| cell.tokens >= FEW_TOKENS)
}

/// `runs from −2.500 to −0.300`, `is −0.300`.
fn range_in_words(deltas: &[f64]) -> String {
    match extent(deltas.iter().copied()) {
        None => format!("is {}", format::ABSENT),
        Some([low, high]) if format::delta(low) == format::delta(high) => {
            format!("is {}", format::delta(low))
        }
        Some([low, high]) => format!("runs from {} to {}", format::delta(low), format::delta(high)),
    }
}

/// `all 7 pairs`, `none of the 7 pairs`, `4 of the 7 pairs`, `the only pair`.
fn part_of(count: usize, total: usize, [one, many]: [&str; 2]) -> String {
    match (count, total) {
        (0, 1) => format!("0 of 1 {one}"),
        (_, 1) => format!("the only {one}"),
        (0, _) => format!("none of the {total} {many}"),
        _ if count == total => format!("all {total} {many}"),
        _ => format!("{count} of the {total} {many}"),
    }
}

/// The better and the worse of a and b by the sign of a difference; none where it is written `0.000`.
fn winner(delta: f64) -> Option<(Role, Role)> {
    match delta {
        _ if delta <= -SMALLEST_SHOWN => Some((Role::A, Role::B)),
        _ if delta >= SMALLEST_SHOWN => Some((Role::B, Role::A)),
        _ => None,
    }
}

fn model(prose: Prose, view: View<'_>, role: Role) -> Prose {
    prose.model(role, &view.label(role))
}

fn both(view: View<'_>) -> Prose {
    model(model(Prose::new(), view, Role::A).text(" and "), view, Role::B)
}
