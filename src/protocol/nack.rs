//! A refusal's text, made comparable.

/// Longest message kept, in characters.
const MESSAGE_CHARS_MAX: usize = 1000;

/// The proxy's words without what Envoy puts in at random: runs of blanks and the markers
/// `goo.gle/debugonly`, `goo.gle/debugproto`, `goo.gle/debugstr`. Equal faults get equal texts.
pub(super) fn normalised(message: &str) -> String {
    let words = message
        .split_whitespace()
        .filter(|word| !word.starts_with("goo.gle/debug"));
    let mut text = words.collect::<Vec<_>>().join(" ");
    if let Some((end, _)) = text.char_indices().nth(MESSAGE_CHARS_MAX) {
        text.truncate(end);
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_faults_get_equal_texts() {
        for (raw, text) in [
            (
                "Error adding/updating cluster(s) b3: no",
                "Error adding/updating cluster(s) b3: no",
            ),
            ("goo.gle/debugonly  cluster \t b3:\n no ", "cluster b3: no"),
            ("cluster b3: goo.gle/debugproto no", "cluster b3: no"),
            ("", ""),
        ] {
            assert_eq!(normalised(raw), text, "{raw:?}");
        }
        let long = normalised(&"é".repeat(5000));
        assert_eq!(long.chars().count(), MESSAGE_CHARS_MAX + 1);
    }
}
