//! A number that a metrics server is asked for: its bounds, and the query with what stands for names in it.
//!
//! A variable stands within quotes, and what it stands for is escaped for them, and for a regular expression where
//! the quotes are one. So no name can end its quotes and become a part of the query.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::domain::Span;

/// A number that a metrics server knows, and its bounds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Metric {
    /// What people call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The query in PromQL, with [`Variable`]s.
    pub prometheus: String,
    /// It must be less.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub below: Option<f64>,
    /// It must be more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub above: Option<f64>,
    /// How often it is asked for.
    pub every: Span,
    /// The server's URL; the control plane's own server unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
}

impl Metric {
    /// Is a number within the bounds? Nothing that is no number is.
    pub fn is_good(&self, number: f64) -> bool {
        self.below.is_none_or(|bound| number < bound)
            && self.above.is_none_or(|bound| number > bound)
            && !number.is_nan()
    }

    /// The bounds, for people: `below 5`.
    pub fn bounds(&self) -> String {
        let above = self.above.map(|bound| format!("above {bound}"));
        let below = self.below.map(|bound| format!("below {bound}"));
        let bounds: Vec<String> = above.into_iter().chain(below).collect();
        bounds.join(" and ")
    }
}

/// A name in a query that stands for what is rolled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Variable {
    /// The regions or zones that are rolled now.
    Places,
    /// The rollout.
    Rollout,
    /// The service.
    Service,
    /// The version that it comes from.
    Stable,
    /// The version that it goes to.
    Version,
    /// The wave that is rolled now.
    Wave,
}

impl Variable {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Places,
        Self::Rollout,
        Self::Service,
        Self::Stable,
        Self::Version,
        Self::Wave,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Places => "places",
            Self::Rollout => "rollout",
            Self::Service => "service",
            Self::Stable => "stable",
            Self::Version => "version",
            Self::Wave => "wave",
        }
    }
}

impl fmt::Display for Variable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "${}", self.name())
    }
}

/// A variable that cannot be filled in, with its `$`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadVariable {
    /// There is none of this name.
    Unknown(String),
    /// It stands outside of quotes, or within those that know no escapes.
    Unquoted(String),
}

/// What variables stand for: one name each, or several of which a regular expression matches any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Variables(pub BTreeMap<Variable, Vec<String>>);

impl Variables {
    /// What is wrong with the variables of a query.
    pub fn problems(query: &str) -> Vec<BadVariable> {
        let mut problems = Vec::new();
        for piece in pieces(query) {
            let Piece::Variable { name, quotes } = piece else {
                continue;
            };
            if find(name).is_none() {
                problems.push(BadVariable::Unknown(format!("${name}")));
            } else if !matches!(
                quotes,
                Some(Quotes {
                    mark: '"' | '\'',
                    ..
                })
            ) {
                problems.push(BadVariable::Unquoted(format!("${name}")));
            }
        }
        problems
    }

    /// The query with what its variables stand for.
    pub fn fill(&self, query: &str) -> String {
        let mut filled = String::new();
        for piece in pieces(query) {
            match piece {
                Piece::Text(text) => filled += text,
                Piece::Variable { name, quotes } => {
                    let names = find(name).and_then(|variable| self.0.get(&variable));
                    let names = names.map_or(&[][..], Vec::as_slice);
                    filled += &quoted(names, quotes);
                }
            }
        }
        filled
    }
}

fn find(name: &str) -> Option<Variable> {
    Variable::ALL.into_iter().find(|it| it.name() == name)
}

/// Names as they stand within quotes.
fn quoted(names: &[String], quotes: Option<Quotes>) -> String {
    let Some(Quotes { mark, is_pattern }) = quotes else {
        return String::new();
    };
    let plain = if is_pattern {
        let escaped: Vec<String> = names.iter().map(|name| escaped(name, PATTERN)).collect();
        match escaped.as_slice() {
            [one] => one.clone(),
            several => format!("(?:{})", several.join("|")),
        }
    } else {
        names.join("|")
    };
    let mut text = String::new();
    for c in plain.chars() {
        match c {
            '\n' => text += "\\n",
            '\r' => text += "\\r",
            c if c == mark || c == '\\' => text.extend(['\\', c]),
            c => text.push(c),
        }
    }
    text
}

/// What means something in a regular expression.
const PATTERN: &str = r"\.+*?()|[]{}^$";

fn escaped(text: &str, special: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        if special.contains(c) {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

/// The quotes around a part of a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Quotes {
    mark: char,
    /// Is it the right side of `=~` or `!~`?
    is_pattern: bool,
}

enum Piece<'a> {
    Text(&'a str),
    Variable {
        name: &'a str,
        quotes: Option<Quotes>,
    },
}

/// A query taken apart. A `$` that no name follows is a text, as in `"$1"`; so is what stands in a comment.
fn pieces(query: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut quotes: Option<Quotes> = None;
    let (mut begin, mut at) = (0, 0);
    while let Some(c) = query[at..].chars().next() {
        let rest = &query[at..];
        match (c, quotes) {
            (
                '\\',
                Some(Quotes {
                    mark: '"' | '\'', ..
                }),
            ) => {
                at += rest.chars().take(2).map(char::len_utf8).sum::<usize>();
                continue;
            }
            (c, Some(Quotes { mark, .. })) if c == mark => quotes = None,
            ('"' | '\'' | '`', None) => {
                let before = query[..at].trim_end();
                let is_pattern = before.ends_with("=~") || before.ends_with("!~");
                quotes = Some(Quotes {
                    mark: c,
                    is_pattern,
                });
            }
            ('#', None) => {
                at += rest.find('\n').unwrap_or(rest.len());
                continue;
            }
            ('$', _) => {
                if let Some((name, length)) = variable(rest) {
                    pieces.push(Piece::Text(&query[begin..at]));
                    pieces.push(Piece::Variable { name, quotes });
                    at += length;
                    begin = at;
                    continue;
                }
            }
            _ => {}
        }
        at += c.len_utf8();
    }
    pieces.push(Piece::Text(&query[begin..]));
    pieces
}

/// The name of a variable that a text begins with, as `$name` or `${name}`, and the length of both.
fn variable(text: &str) -> Option<(&str, usize)> {
    let rest = text.strip_prefix('$')?;
    let (inner, around) = match rest.strip_prefix('{') {
        Some(inner) => (inner, 3),
        None => (rest, 1),
    };
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let end = inner.find(|c| !is_part(c)).unwrap_or(inner.len());
    let name = &inner[..end];
    let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic());
    let is_closed = around == 1 || inner[end..].starts_with('}');
    (is_name && is_closed).then_some((name, end + around))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(pairs: &[(Variable, &[&str])]) -> Variables {
        let pairs = pairs.iter().map(|(variable, names)| {
            let names = names.iter().map(|name| (*name).to_owned());
            (*variable, names.collect())
        });
        Variables(pairs.collect())
    }

    #[test]
    fn names_stay_within_their_quotes() {
        let known = variables(&[
            (Variable::Service, &["cart.v1"]),
            (Variable::Version, &["v4+2"]),
            (Variable::Wave, &[r#"a"} or up{x='\"#]),
            (Variable::Places, &["eu-west", "eu.central"]),
        ]);
        for (query, filled) in [
            ("up", "up"),
            (r#"up{a="$service"}"#, r#"up{a="cart.v1"}"#),
            (r#"up{a="${service}_x"}"#, r#"up{a="cart.v1_x"}"#),
            (r#"up{a =~ "$service-.*"}"#, r#"up{a =~ "cart\\.v1-.*"}"#),
            (r"up{a!~'x|$version'}", r"up{a!~'x|v4\\+2'}"),
            (r#"up{a="$wave"}"#, r#"up{a="a\"} or up{x='\\"}"#),
            (r"up{a='$wave'}", r#"up{a='a"} or up{x=\'\\'}"#),
            (
                r#"up{r=~"$places"}"#,
                r#"up{r=~"(?:eu-west|eu\\.central)"}"#,
            ),
            (r#"up{r="$places"}"#, r#"up{r="eu-west|eu.central"}"#),
            (r#"up{a="$stable"}"#, r#"up{a=""}"#),
            // Not variables.
            (
                r#"label_replace(up, "b", "$1", "a", "(.*)$")"#,
                r#"label_replace(up, "b", "$1", "a", "(.*)$")"#,
            ),
            (
                r#"up{a="\"$service"} # it's"#,
                r#"up{a="\"cart.v1"} # it's"#,
            ),
        ] {
            assert_eq!(known.fill(query), filled, "{query}");
            assert_eq!(Variables::problems(query), [], "{query}");
        }
    }

    #[test]
    fn what_cannot_be_filled_in_is_told() {
        let unknown = |name: &str| BadVariable::Unknown(name.to_owned());
        let unquoted = |name: &str| BadVariable::Unquoted(name.to_owned());
        for (query, problem) in [
            ("rate(x{a=\"$servise\"}[1m])", unknown("$servise")),
            ("up{a=\"$service_x\"}", unknown("$service_x")),
            ("${service}_total", unquoted("$service")),
            ("up{a=`$wave`}", unquoted("$wave")),
            ("up # '\n + $wave", unquoted("$wave")),
        ] {
            assert_eq!(Variables::problems(query), [problem], "{query}");
        }
    }

    #[test]
    fn a_number_is_held_against_its_bounds() {
        let mut metric = Metric {
            name: None,
            prometheus: "up".to_owned(),
            below: Some(5.0),
            above: None,
            every: Span::secs(15),
            server: None,
        };
        assert_eq!(
            [4.9, 5.0, f64::NAN].map(|n| metric.is_good(n)),
            [true, false, false]
        );
        assert_eq!(metric.bounds(), "below 5");
        metric.above = Some(0.5);
        assert_eq!([0.5, 0.6].map(|n| metric.is_good(n)), [false, true]);
        assert_eq!(metric.bounds(), "above 0.5 and below 5");
    }
}
