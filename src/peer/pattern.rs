//! Patterns for the names in certificates, and for the nodes that their owners claim to be.
//!
//! `*` stands for a part of a segment, `**` for any number of segments, `{node}` and `{cluster}` for
//! what is claimed. What is claimed is compared as it is: a `*` within it stands for itself alone.

use std::fmt;
use std::str::FromStr;

use super::Claim;

/// Most parts of a pattern.
const PARTS_MAX: usize = 32;

/// A pattern, parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    text: String,
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    /// `**`
    Anything,
    Cluster,
    Literal(String),
    Node,
    /// `*`
    Segment,
}

/// A text that is no pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPattern {
    /// It says nothing.
    #[error("a pattern may not be empty")]
    Empty,
    /// A brace that is not closed, or was not opened.
    #[error("the pattern `{pattern}` has a brace without its other half")]
    Brace {
        /// The whole of it.
        pattern: String,
    },
    /// More than anybody needs.
    #[error("the pattern `{pattern}` has more than {PARTS_MAX} parts")]
    Long {
        /// The whole of it.
        pattern: String,
    },
    /// Something in braces that is not known.
    #[error("`{{{placeholder}}}` is no placeholder; there are `{{node}}` and `{{cluster}}`")]
    Placeholder {
        /// What stands in the braces.
        placeholder: String,
    },
}

impl Pattern {
    /// Has it `{node}` in it?
    pub fn names_node(&self) -> bool {
        self.parts.contains(&Part::Node)
    }

    /// Has it `{cluster}` in it?
    pub fn names_cluster(&self) -> bool {
        self.parts.contains(&Part::Cluster)
    }

    /// Does `text` fit, for this claim? Segments end at `separator`.
    pub fn fits(&self, text: &str, claim: Claim<'_>, separator: Option<char>) -> bool {
        // Alone, a placeholder is the whole name, and nothing beside it can be taken for a part of it.
        let is_alone = self.parts.len() == 1;
        // Where in `text` the parts so far may end. One pass per part, so no pattern takes long.
        let mut ends = vec![0];
        for part in &self.parts {
            let mut next: Vec<usize> = Vec::new();
            for &end in &ends {
                let rest = &text[end..];
                match part {
                    Part::Literal(literal) if rest.starts_with(literal.as_str()) => {
                        next.push(end + literal.len());
                    }
                    Part::Literal(_) => {}
                    Part::Node => {
                        next.extend(placeholder(claim.node, rest, end, separator, is_alone));
                    }
                    Part::Cluster => match claim.cluster {
                        Some(cluster) => {
                            next.extend(placeholder(cluster, rest, end, separator, is_alone));
                        }
                        None => next.extend(run(rest, end, separator).skip(1)),
                    },
                    Part::Segment => next.extend(run(rest, end, separator)),
                    Part::Anything => next.extend(run(rest, end, None)),
                }
            }
            next.sort_unstable();
            next.dedup();
            ends = next;
        }
        ends.contains(&text.len())
    }
}

/// Where a claimed value ends, if `rest` begins with it. One that holds a separator would make it
/// possible to read one name in two ways, so it never fits within a longer pattern.
fn placeholder(
    value: &str,
    rest: &str,
    begin: usize,
    separator: Option<char>,
    is_alone: bool,
) -> Option<usize> {
    let is_one_segment = is_alone || separator.is_none_or(|separator| !value.contains(separator));
    let fits = !value.is_empty() && is_one_segment && rest.starts_with(value);
    fits.then_some(begin + value.len())
}

/// Every end of a run of characters up to the next separator, the empty one first.
fn run(rest: &str, begin: usize, separator: Option<char>) -> impl Iterator<Item = usize> {
    let within = separator.and_then(|separator| rest.find(separator));
    let within = &rest[..within.unwrap_or(rest.len())];
    let ends = within.char_indices().map(move |(i, _)| begin + i);
    ends.chain(std::iter::once(begin + within.len()))
}

impl FromStr for Pattern {
    type Err = BadPattern;

    fn from_str(text: &str) -> Result<Self, BadPattern> {
        let brace = || BadPattern::Brace {
            pattern: text.to_owned(),
        };
        let mut parts = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            if parts.len() == PARTS_MAX {
                return Err(BadPattern::Long {
                    pattern: text.to_owned(),
                });
            }
            let taken = if rest.starts_with("**") {
                parts.push(Part::Anything);
                2
            } else if rest.starts_with('*') {
                parts.push(Part::Segment);
                1
            } else if let Some(inner) = rest.strip_prefix('{') {
                let (name, _) = inner.split_once('}').ok_or_else(brace)?;
                parts.push(match name {
                    "cluster" => Part::Cluster,
                    "node" => Part::Node,
                    _ => {
                        return Err(BadPattern::Placeholder {
                            placeholder: name.to_owned(),
                        });
                    }
                });
                name.len() + 2
            } else {
                let end = rest.find(['*', '{', '}']).unwrap_or(rest.len());
                if end == 0 {
                    return Err(brace());
                }
                parts.push(Part::Literal(rest[..end].to_owned()));
                end
            };
            rest = &rest[taken..];
        }
        if parts.is_empty() {
            return Err(BadPattern::Empty);
        }
        Ok(Self {
            text: text.to_owned(),
            parts,
        })
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(pattern: &str, text: &str, node: &str, cluster: Option<&str>) -> bool {
        let pattern: Pattern = pattern.parse().unwrap();
        pattern.fits(text, Claim { node, cluster }, Some('/'))
    }

    #[test]
    fn what_fits() {
        for (pattern, text, node, cluster) in [
            (
                "spiffe://p/{cluster}/{node}",
                "spiffe://p/edge/a",
                "a",
                "edge",
            ),
            ("spiffe://p/ns/*/sa/{node}", "spiffe://p/ns/x/sa/a", "a", ""),
            ("spiffe://p/**/{node}", "spiffe://p/x/y/z/a", "a", ""),
            ("spiffe://p/**", "spiffe://p/x/y", "a", ""),
            (
                "spiffe://p/edge-{node}-*",
                "spiffe://p/edge-a-b-c",
                "a-b",
                "",
            ),
            ("{node}", "spiffe://p/a", "spiffe://p/a", ""),
            ("*é*", "aéb", "", ""),
            ("{node}{node}", "aaaa", "aa", ""),
        ] {
            assert!(fits(pattern, text, node, Some(cluster)), "{pattern} {text}");
        }
    }

    #[test]
    fn what_does_not() {
        for (pattern, text, node, cluster) in [
            ("spiffe://p/{node}", "spiffe://p/a", "b", ""),
            ("spiffe://p/{node}", "spiffe://p/ab", "a", ""),
            ("spiffe://p/{node}", "spiffe://q/a", "a", ""),
            // Part of a segment, more segments, and none.
            ("spiffe://p/*/{node}", "spiffe://p/x/y/a", "a", ""),
            ("spiffe://p/{node}", "spiffe://p/x/a", "x/a", ""),
            (
                "spiffe://p/{cluster}/{node}",
                "spiffe://p/x/y/a",
                "y/a",
                "x",
            ),
            ("spiffe://p/{node}", "spiffe://p/", "", ""),
            // A claim is no pattern.
            ("spiffe://p/{node}", "spiffe://p/a", "*", ""),
            ("spiffe://p/{node}", "spiffe://p/a", "{node}", ""),
        ] {
            assert!(
                !fits(pattern, text, node, Some(cluster)),
                "{pattern} {text}"
            );
        }
    }

    #[test]
    fn a_cluster_that_is_not_said_may_be_any_but_none() {
        let pattern = "spiffe://p/{cluster}/{node}";
        assert!(fits(pattern, "spiffe://p/edge/a", "a", None));
        assert!(!fits(pattern, "spiffe://p//a", "a", None));
        assert!(!fits(pattern, "spiffe://p/edge/x/a", "a", None));
    }

    #[test]
    fn what_is_no_pattern() {
        for text in ["", "{node", "node}", "{pod}", "{}", &"a*".repeat(PARTS_MAX)] {
            text.parse::<Pattern>().expect_err(text);
        }
    }
}
