//! The answer in sentences, made from the numbers of a comparison.
//!
//! The words only order and compare numbers that the comparison holds; what they may conclude is kept to what
//! numbers of their kind (with or without an interval, with or without a placebo) can carry.

mod calibration;
mod confidence;
mod held_fixed;
mod oracle;
mod placebo;
#[cfg(test)]
mod tests;

use deltaloss_records::Role;
use deltaloss_stats::{DeltaRow, Equivalence, Estimate, Sections, Test};

use crate::format;
use crate::prose::{Prose, in_words};
use crate::view::{FEW_TOKENS, View, delta_of, estimate, holds, pair_of, row_named, value};

pub(crate) use held_fixed::covariates_in_words;

/// Differences below this are written `0.000`, and sentences call them none.
const SMALLEST_SHOWN: f64 = 0.000_5;

/// How many categories a sentence names on either side.
const NAMED: usize = 3;

/// Every finding, in the order of the report; those that the comparison has no numbers for are left out.
pub(crate) fn findings(view: View<'_>) -> Vec<Prose> {
    let found = [
        overall(view),
        placebo::placebo(view),
        calibration::calibration(view),
        not_shown(view),
        categories(view),
        brackets(view),
        entropy(view),
        confidence::confidence(view),
        oracle::oracle(view),
        held_fixed::held_fixed(view),
    ];
    found.into_iter().flatten().collect()
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
        .text(format!(
            " =\u{a0}{shown}{}.",
            discovery_in_words(view, |half| { value(pair_of(half, Role::A, Role::B)?.mean_delta_nats) })
        ))
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

/// ` (discovery half: +0.004)`; nothing where the halves are not told apart.
fn discovery_in_words(view: View<'_>, number: impl Fn(&Sections) -> Option<f64>) -> String {
    let found = view.beside().and_then(number);
    found.map_or_else(String::new, |delta| format!(" (discovery half: {})", format::delta(delta)))
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
    let (all, discovery) = (&view.lead().categories, view.beside().map(|half| &half.categories[..]));
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
        false => {
            prose.text(format!("{} of {} categories", wins.len(), rows.len())).then(most_on(&wins, discovery))
        }
    };
    prose = match losses.is_empty() {
        true => prose.text(". It is behind in none"),
        false => prose.text(format!(". It is behind in {}", losses.len())).then(most_on(&losses, discovery)),
    };
    let level = rows.len() - wins.len() - losses.len();
    prose = prose.text(if level > 0 { format!(", and level in {level}.") } else { ".".to_owned() });
    prose = prose.text(tests_in_words(&rows, discovery));
    let few = all.iter().filter(|row| row.tokens < FEW_TOKENS).count();
    if few > 0 {
        let noun = if few == 1 { "category" } else { "categories" };
        prose = prose.text(format!(" Left out: {few} {noun} with fewer than {FEW_TOKENS} tokens."));
    }
    Some(prose)
}

/// In how many categories a difference is shown, and in how many of these the discovery half agrees; nothing where none
/// was tested.
fn tests_in_words(rows: &[(&DeltaRow, f64)], discovery: Option<&[DeltaRow]>) -> String {
    let tested = rows.iter().filter(|(row, _)| row.delta_test.is_some()).count();
    if tested == 0 {
        return String::new();
    }
    let shown: Vec<_> = rows.iter().filter(|(row, _)| holds(row.delta_test)).collect();
    let text = format!(
        " Δ differs from zero at q\u{a0}<\u{a0}0.05 in {}",
        part_of(shown.len(), tested, ["category tested", "categories tested"])
    );
    let Some(discovery) = discovery.filter(|_| !shown.is_empty()) else { return format!("{text}.") };
    let agrees = |row: &DeltaRow, delta: f64| {
        let before = row_named(discovery, &row.name).and_then(delta_of);
        before.is_some_and(|before| before * delta > 0.0)
    };
    match shown.iter().filter(|(row, delta)| agrees(row, *delta)).count() {
        all if all == shown.len() => format!("{text}, always with the sign it has in the discovery half."),
        some => format!("{text}; in {some} of these it has the same sign in the discovery half."),
    }
}

/// `: X, Y and Z` or, where there are more, `, most on X, Y and Z`, with Δ and count, or with Δ of the discovery half.
fn most_on(rows: &[(&DeltaRow, f64)], discovery: Option<&[DeltaRow]>) -> Prose {
    let named = listed(rows, |row, delta| {
        let mark = if holds(row.delta_test) { format::MARK } else { "" };
        let delta = format!("{}{mark}", format::delta(delta));
        match discovery.and_then(|rows| row_named(rows, &row.name)).and_then(delta_of) {
            None => format!(" ({delta} over {})", format::counted(row.tokens, "token", "tokens")),
            Some(before) => format!(" ({delta}, discovery half {})", format::delta(before)),
        }
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

/// What these documents leave open.
fn not_shown(view: View<'_>) -> Option<Prose> {
    let tested = |test: fn(&DeltaRow) -> Option<Test>| {
        let rows: Vec<&DeltaRow> = view.lead().categories.iter().filter(|row| test(row).is_some()).collect();
        let open: Vec<String> =
            rows.iter().filter(|row| !holds(test(row))).map(|row| row.name.clone()).collect();
        (rows.len(), open)
    };
    let (categories, open) = tested(|row| row.delta_test);
    let pair = view.pair(Role::A, Role::B)?;
    let undecided = pair.mean_delta_test.is_some() && !holds(pair.mean_delta_test);
    if categories == 0 && !undecided {
        return None;
    }
    let mut prose = Prose::new().strong("Not shown").text(": ");
    if undecided {
        prose = prose.text("that the mean losses differ");
    }
    if !open.is_empty() {
        let part = part_of(open.len(), categories, ["category tested", "categories tested"]);
        let between = if undecided { "; " } else { "" };
        prose = prose.text(format!("{between}that Δ differs from zero in {part} ({})", in_words(&open)));
    }
    let (beyond, within) = tested(|row| row.difference_test);
    if !within.is_empty() && beyond > 0 {
        let between = if undecided || !open.is_empty() { "; " } else { "" };
        let part = part_of(within.len(), beyond, ["", ""]);
        prose = prose.text(format!("{between}that it goes beyond the placebo’s in {}", part.trim_end()));
    }
    if !undecided && open.is_empty() && within.is_empty() {
        return Some(Prose::new().text(
            "Every number of the categories that was tested differs from zero at q\u{a0}<\u{a0}0.05.",
        ));
    }
    Some(prose.text(". What is not shown may still be there: more documents would tell."))
}

/// What closing brackets show: the trend over how many a token holds.
fn brackets(view: View<'_>) -> Option<Prose> {
    let mut rows = rows_with_enough_tokens(&view.lead().brackets.by_count);
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
        Prose::new().text("On ").strong("closing brackets").text(format!(" Δ is {}", in_words(&steps)));
    let before: Vec<String> = view.beside().map_or_else(Vec::new, |half| {
        let again = |(row, _): &(&DeltaRow, f64)| {
            let found = row_named(&half.brackets.by_count, &row.name).and_then(delta_of);
            found.map_or_else(|| format::ABSENT.to_owned(), format::delta)
        };
        rows.iter().map(again).collect()
    });
    let prose = match before.is_empty() {
        true => prose.text(": "),
        false => prose.text(format!(" (discovery half: {}): ", in_words(&before))),
    };
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
        let model = view.lead().entropy.iter().find(|model| model.role == role)?;
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
    Some(prose)
}

/// `all 7 pairs`, `none of the 7 pairs`, `4 of the 7 pairs`, `the only pair`.
fn part_of(count: usize, total: usize, [one, many]: [&str; 2]) -> String {
    match (count, total) {
        (0, 1) => format!("0 of 1 {one}"),
        (_, 1) => format!("the only {one}"),
        (0, _) => format!("none of the {total} {many}"),
        (2, 2) => format!("both {many}"),
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
