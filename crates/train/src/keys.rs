//! Keys of a TOML file that nothing knows: refused, with the nearest one that is known.

use toml::de::{DeTable, DeValue};

/// Refuses a key that no table knows. `known` has the tables by their dotted names, the empty one first, each with its keys;
/// what lies below a table that is not listed is left to whoever reads it.
///
/// # Errors
/// The text is no TOML, or the first unknown key: its table, its line and the nearest known one.
pub fn refuse_unknown_keys(text: &str, known: &[(&str, &[&str])]) -> Result<(), String> {
    let table = DeTable::parse(text).map_err(|error| error.to_string())?;
    refuse("", table.get_ref(), text, known)
}

fn refuse(name: &str, table: &DeTable<'_>, text: &str, known: &[(&str, &[&str])]) -> Result<(), String> {
    let Some((_, keys)) = known.iter().find(|(table, _)| *table == name) else { return Ok(()) };
    // In the order of the file.
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    for (key, value) in entries {
        let word = key.get_ref().as_ref();
        if !keys.contains(&word) {
            let place = if name.is_empty() { String::new() } else { format!("[{name}] ") };
            let line = 1 + text.as_bytes().iter().take(key.span().start).filter(|&&b| b == b'\n').count();
            let hint = match nearest(word, keys) {
                Some(nearest) => format!("; the nearest known is `{nearest}`"),
                None => String::new(),
            };
            return Err(format!("{place}unknown key `{word}`{hint} (line {line})"));
        }
        if let DeValue::Table(inner) = value.get_ref() {
            let dotted = if name.is_empty() { word.to_owned() } else { format!("{name}.{word}") };
            refuse(&dotted, inner, text, known)?;
        }
    }
    Ok(())
}

/// The word among `known` that takes the fewest edits to get to.
pub fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    known.iter().copied().min_by_key(|candidate| distance(word, candidate))
}

/// Edits between two words (Levenshtein 1966).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, letter) in a.chars().enumerate() {
        let mut corner = std::mem::replace(&mut row[0], i + 1);
        for (j, other) in b.iter().enumerate() {
            let above = row[j + 1];
            row[j + 1] = (corner + usize::from(letter != *other)).min(above + 1).min(row[j] + 1);
            corner = above;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [(&str, &[&str]); 3] =
        [("", &["seed", "models"]), ("models", &["a", "b"]), ("models.a", &["source", "label"])];

    #[test]
    fn the_first_unknown_key_is_named_with_its_line() {
        let refused = |text: &str| refuse_unknown_keys(text, &KNOWN).unwrap_err();
        assert_eq!(
            refused("seed = 1\nmodles = 2\n"),
            "unknown key `modles`; the nearest known is `models` (line 2)"
        );
        let text = "[models.b]\nwhatever = 1\n[models.a]\nlabel = \"x\"\nsuorce = \"y\"\nlable = 1\n";
        assert_eq!(refused(text), "[models.a] unknown key `suorce`; the nearest known is `source` (line 5)");
        assert!(refused("seed = \n").contains("line 1"));
        assert_eq!(refuse_unknown_keys("seed = 1\n[models]\na.source = \"x\"\n", &KNOWN), Ok(()));
    }
}
