//! The page holds together whatever is put into it.

use deltaloss_stats::Comparison;

use super::*;
use crate::sample;

fn every_sample() -> Vec<(&'static str, Comparison)> {
    vec![
        ("post", sample::comparison()),
        ("intervals", sample::with_intervals()),
        ("halves", sample::halves()),
        ("few", sample::few()),
        ("one pair", sample::one_pair()),
        ("identical", sample::identical()),
        ("empty", sample::empty()),
        ("hostile", sample::hostile()),
        ("extreme", sample::extreme()),
    ]
}

/// The page with what XML does not know taken out: void elements closed, bare attributes valued, style and
/// script emptied (they hold our own text alone).
fn as_xml(page: &str) -> String {
    let mut page = page
        .replace("<!doctype html>\n", "")
        .replace(" data-sort>", " data-sort=\"\">")
        .replace(" hidden>", " hidden=\"\">");
    for name in ["style", "script"] {
        let (start, end) = (format!("<{name}>"), format!("</{name}>"));
        let from = page.find(&start).unwrap();
        let to = page[from..].find(&end).unwrap() + from;
        page.replace_range(from + start.len()..to, "");
    }
    page.lines()
        .map(|line| match line.starts_with("<meta") || line.starts_with("<link") {
            true => line.replacen('>', "/>", 1),
            false => line.to_owned(),
        })
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn every_page_is_well_formed_and_shows_no_broken_number() {
    for (name, comparison) in every_sample() {
        let xml = as_xml(&report_html(&comparison, &[]));
        let document = roxmltree::Document::parse(&xml).unwrap_or_else(|error| panic!("{name}: {error}"));
        for node in document.descendants() {
            let texts = node.attributes().map(|attribute| attribute.value()).chain(node.text());
            for text in texts {
                let broken =
                    text.split(|c: char| !c.is_alphanumeric()).any(|word| word == "NaN" || word == "inf");
                assert!(!broken, "{name}: {text}");
            }
        }
    }
}

#[test]
fn ids_are_unique_and_links_lead_somewhere() {
    let xml = as_xml(&report_html(&sample::comparison(), &[]));
    let document = roxmltree::Document::parse(&xml).unwrap();
    let mut ids: Vec<&str> = document.descendants().filter_map(|node| node.attribute("id")).collect();
    ids.sort_unstable();
    let count = ids.len();
    ids.dedup();
    assert_eq!(ids.len(), count);
    for node in document.descendants().filter(|node| node.has_tag_name("a")) {
        let target = node.attribute("href").unwrap();
        match target.strip_prefix('#') {
            Some(id) => assert!(ids.contains(&id), "{target}"),
            None => assert!(
                target.starts_with("data:text/csv") && node.attribute("download").is_some(),
                "{target}"
            ),
        }
    }
    for node in document.descendants() {
        for reference in node.attribute("aria-labelledby").into_iter().flat_map(str::split_whitespace) {
            assert!(ids.contains(&reference), "{reference}");
        }
    }
}

#[test]
fn nothing_is_loaded_from_elsewhere() {
    let page = report_html(&sample::comparison(), &[]);
    // The policy knows the script and the style by the hashes of what stands there.
    for name in ["script", "style"] {
        let from = page.find(&format!("<{name}>")).unwrap() + name.len() + 2;
        let to = from + page[from..].find(&format!("</{name}>")).unwrap();
        let hash = STANDARD.encode(Sha256::digest(&page.as_bytes()[from..to]));
        assert!(page.contains(&format!("{name}-src 'sha256-{hash}';")), "{name}");
    }
    assert!(!page.contains("unsafe-inline") && !page.contains(" style=\"") && !page.contains(" onclick"));
    for forbidden in ["http://", "https://", "src=", "@import", "url("] {
        assert!(!page.contains(forbidden), "{forbidden}");
    }
}

#[test]
fn hostile_text_stays_text() {
    let page = report_html(&sample::hostile(), &[]);
    assert!(!page.contains("<img"), "a label became an element");
    assert_eq!(page.matches("</script>").count(), 1);
    assert!(page.contains("&lt;/script&gt;&lt;img src=x onerror=alert(1)&gt;"));
    assert!(page.contains("⏎") && page.contains("␛") && page.contains("\\u{202e}"));
    assert!(!page.chars().any(|c| c != '\n' && c.is_control()));
}

#[test]
fn data_links_hold_the_files() {
    for comparison in [sample::comparison(), sample::halves(), sample::empty()] {
        let page = report_html(&comparison, &[]);
        for table in crate::tables::tables(&comparison) {
            let link = format!("href=\"data:text/csv;charset=utf-8,{}\"", percent_encode(&table.to_csv()));
            assert!(page.contains(&link), "{}", table.name);
        }
    }
}

#[test]
fn grouped_headings_cover_their_columns() {
    let xml = as_xml(&report_html(&sample::comparison(), &[]));
    let document = roxmltree::Document::parse(&xml).unwrap();
    for table in document.descendants().filter(|node| node.has_tag_name("table")) {
        let sortable = table.descendants().filter(|node| node.has_attribute("data-sort")).count();
        let span =
            |node: roxmltree::Node<'_, '_>| node.attribute("colspan").map_or(1, |span| span.parse().unwrap());
        let first = table.descendants().find(|node| node.has_tag_name("tr")).unwrap();
        let columns: usize = first.children().filter(|node| node.is_element()).map(span).sum();
        assert_eq!(columns, sortable, "every column has one heading that sorts");
        for row in table
            .descendants()
            .find(|node| node.has_tag_name("tbody"))
            .unwrap()
            .children()
            .filter(|n| n.is_element())
        {
            assert_eq!(row.children().filter(|node| node.is_element()).map(span).sum::<usize>(), columns);
        }
    }
}

#[test]
fn stays_under_five_megabytes() {
    assert!(report_html(&sample::comparison(), &[]).len() < 5_000_000);
}

#[test]
fn intervals_are_missed_until_they_are_there() {
    let without = report_html(&sample::comparison(), &[]);
    assert!(without.contains("These numbers carry no intervals."));
    let mut few = sample::comparison();
    few.all.intervals.none_because = Some("only 4 documents hold tokens".into());
    assert!(
        report_html(&few, &[]).contains("These numbers carry no intervals: only 4 documents hold tokens.")
    );
    let with = report_html(&sample::with_intervals(), &[]);
    assert!(!with.contains("carry no intervals") && with.contains("95 % intervals"));
    assert!(with.contains("<span class=\"interval\">[+0.001, +0.009]</span>"));
    assert!(!without.contains("stacked\">"));
    let tested = report_html(&sample::halves(), &[]);
    assert!(
        tested.contains("<table class=\"sortable stacked\">\n<caption id=\"table-confidence\">"),
        "four columns of intervals"
    );
    assert!(
        tested
            .contains("−0.310<span class=\"mark\">*</span> <span class=\"interval\">[−0.347, −0.273]</span>")
    );
    assert!(
        tested.contains("−0.040<span class=\"mark\"></span> <span class=\"interval\">"),
        "not marked, but aligned"
    );
    assert!(
        with.contains("<table class=\"sortable\">\n<caption id=\"table-categories\">"),
        "one column of intervals"
    );
}
