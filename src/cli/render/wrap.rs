//! Lines that fit.

/// `text` behind `label`, broken between words; further lines are indented as deep as the label.
pub(super) fn wrapped(text: &str, label: &str, width: Option<usize>) -> Vec<String> {
    let indent = label.chars().count();
    let room = width.map_or(usize::MAX, |width| width.saturating_sub(indent).max(1));
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let mut word: Vec<char> = word.chars().collect();
        loop {
            let line = lines.last_mut().expect("there is always a line");
            let used = line.chars().count();
            let gap = usize::from(used > 0);
            if used + gap + word.len() <= room {
                if gap > 0 {
                    line.push(' ');
                }
                line.extend(word);
                break;
            }
            if used == 0 {
                // A word that fits on no line is cut.
                line.extend(word.drain(..room));
            }
            lines.push(String::new());
        }
    }
    let labels = std::iter::once(label.to_owned()).chain(std::iter::repeat(" ".repeat(indent)));
    labels.zip(lines).map(|(l, line)| l + &line).collect()
}

/// Between two parts of a line.
const GAP: &str = "   ";

/// Parts one after the other, on as many lines as they need; each comes with its width as seen.
pub(super) fn flowed(
    parts: impl IntoIterator<Item = (String, usize)>,
    indent: &str,
    width: Option<usize>,
) -> Vec<String> {
    let room = width.unwrap_or(usize::MAX);
    let mut lines: Vec<String> = Vec::new();
    let mut used = 0;
    for (part, seen) in parts {
        match lines.last_mut() {
            Some(line) if used + GAP.len() + seen <= room => {
                line.push_str(GAP);
                line.push_str(&part);
                used += GAP.len() + seen;
            }
            _ => {
                lines.push(indent.to_owned() + &part);
                used = indent.len() + seen;
            }
        }
    }
    lines
}

/// At most `width` characters of `text`; the last of them says when there was more.
pub(super) fn clipped(text: &str, width: Option<usize>) -> String {
    match width {
        Some(width) if text.chars().count() > width => {
            let kept = text.chars().take(width.saturating_sub(1));
            kept.chain(std::iter::once('…')).collect()
        }
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_between_words_and_parts_and_long_words_are_cut() {
        for (text, width, lines) in [
            ("a bb ccc", Some(8), vec!["- a bb", "  ccc"]),
            ("abcdefgh", Some(5), vec!["- abc", "  def", "  gh"]),
            ("a bb ccc", None, vec!["- a bb ccc"]),
            ("", Some(8), vec!["- "]),
        ] {
            assert_eq!(wrapped(text, "- ", width), lines, "{text:?}");
        }
        let parts = ["aa", "bb", "cc"].map(|part| (part.to_owned(), 2));
        assert_eq!(flowed(parts, " ", Some(8)), [" aa   bb", " cc"]);
        assert_eq!(clipped("abcdef", Some(4)), "abc…");
        assert_eq!(clipped("abcd", Some(4)), "abcd");
    }
}
