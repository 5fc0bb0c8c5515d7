//! The rows of the table: what is claimed, for which rule, and how it is seen.

use super::variant::Variant;

/// One rule of the protocol, in our words.
pub(crate) struct Rule {
    /// 0: it is none of the counted ones.
    pub(crate) number: u8,
    /// What a correct server does.
    pub(crate) says: &'static str,
    /// Why Tidegate does not serve it, where that is so; its rows show what a client gets that asks.
    pub(crate) not_served: Option<&'static str>,
    pub(crate) rows: &'static [Row],
}

impl Rule {
    /// Its number, where it has one.
    pub(crate) fn label(&self) -> String {
        if self.number == 0 {
            String::new()
        } else {
            self.number.to_string()
        }
    }
}

/// One claim about a rule.
pub(crate) struct Row {
    pub(crate) says: &'static str,
    pub(crate) how: How,
}

/// How a claim is seen.
pub(crate) enum How {
    /// Over gRPC, once for each variant; it panics where the claim does not hold.
    Wire(&'static [Variant], fn(Variant)),
    /// A scenario of the public harness, once for each variant and each type (or types, by letter).
    Harness(
        &'static [Variant],
        &'static [&'static str],
        fn(Variant, &str),
    ),
    /// A story with a real Envoy.
    Envoy(fn()),
    /// By a test that is run elsewhere: a file, and the name of a function in it.
    Elsewhere(&'static str, &'static str),
}

pub(crate) const fn served(number: u8, says: &'static str, rows: &'static [Row]) -> Rule {
    Rule {
        number,
        says,
        not_served: None,
        rows,
    }
}

pub(crate) const fn not_served(
    number: u8,
    says: &'static str,
    why: &'static str,
    rows: &'static [Row],
) -> Rule {
    Rule {
        number,
        says,
        not_served: Some(why),
        rows,
    }
}

pub(crate) const fn wire(
    says: &'static str,
    variants: &'static [Variant],
    run: fn(Variant),
) -> Row {
    Row {
        says,
        how: How::Wire(variants, run),
    }
}

pub(crate) const fn envoy(says: &'static str, story: fn()) -> Row {
    Row {
        says,
        how: How::Envoy(story),
    }
}

pub(crate) const fn elsewhere(says: &'static str, file: &'static str, test: &'static str) -> Row {
    Row {
        says,
        how: How::Elsewhere(file, test),
    }
}

pub(crate) const fn harness(
    types: &'static [&'static str],
    variants: &'static [Variant],
    run: fn(Variant, &str),
) -> Row {
    Row {
        says: "the same state, set through the adapter",
        how: How::Harness(variants, types, run),
    }
}
