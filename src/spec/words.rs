//! Small texts of documents that have no type in the domain, and what the schema says of texts.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

use crate::domain::Amount;

/// A number of instances or a share of them.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct AmountText(pub(super) Amount);

impl AmountText {
    /// Is it nothing, of however many?
    pub(super) fn is_zero(self) -> bool {
        match self.0 {
            Amount::Count(count) => count == 0,
            Amount::Percent(share) => share.millionths() == 0,
        }
    }
}

impl TryFrom<String> for AmountText {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let share = || text.parse().map(Amount::Percent);
        text.parse()
            .map(Amount::Count)
            .or_else(|_| share())
            .map(Self)
            .map_err(|_| {
                format!("`{text}` is neither a number nor a share; write it like `2` or `10%`")
            })
    }
}

/// How many times as much is tolerated, at least once.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Ratio(pub(super) f64);

impl TryFrom<String> for Ratio {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let number = text
            .trim()
            .strip_suffix('x')
            .and_then(|digits| digits.parse().ok());
        number
            .filter(|ratio: &f64| ratio.is_finite() && *ratio >= 1.0)
            .map(Self)
            .ok_or_else(|| {
                format!("`{text}` is not a ratio of at least 1; write it like `1x` or `1.1x`")
            })
    }
}

/// A share that may be more than all, in whole percent.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Percent(pub(super) u32);

impl TryFrom<String> for Percent {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let digits = text.trim().strip_suffix('%').map(str::trim_end);
        let percent = digits.and_then(|digits| digits.parse().ok());
        percent
            .filter(|percent| (1..=1000).contains(percent))
            .map(Self)
            .ok_or_else(|| {
                format!("`{text}` is not a share from 1% to 1000%; write it like `120%`")
            })
    }
}

/// A quantile as people write it: `p99`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Quantile(pub(super) f64);

impl TryFrom<String> for Quantile {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let percent = text
            .trim()
            .strip_prefix('p')
            .and_then(|digits| digits.parse().ok());
        percent
            .filter(|percent: &f64| *percent > 0.0 && *percent < 100.0)
            .map(|percent| Self(percent / 100.0))
            .ok_or_else(|| format!("`{text}` is not a quantile; write it like `p50` or `p99.9`"))
    }
}

/// A number, perhaps negative or with a fraction.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Number(pub(super) f64);

impl TryFrom<String> for Number {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let number = text.trim().parse().ok();
        number
            .filter(|number: &f64| number.is_finite())
            .map(Self)
            .ok_or_else(|| format!("`{text}` is not a number; write it like `5` or `0.05`"))
    }
}

/// A size with its unit, in bytes.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct SizeWord(pub(super) usize);

impl TryFrom<String> for SizeWord {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let units = [("KiB", 10), ("MiB", 20), ("GiB", 30), ("B", 0)];
        let parsed = units.iter().find_map(|(unit, bits)| {
            let digits = text.trim().strip_suffix(unit)?.trim_end();
            let count: usize = digits.parse().ok()?;
            count.checked_mul(1 << bits)
        });
        parsed
            .map(Self)
            .ok_or_else(|| format!("`{text}` is not a size; write it like `64KiB` or `32MiB`"))
    }
}

/// Types that stand for texts in the schema alone.
macro_rules! texts {
    ($($(#[$doc:meta])* $name:ident = $schema:tt;)*) => {$(
        $(#[$doc])*
        pub(super) enum $name {}

        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    )*};
}

texts! {
    /// See [`AmountText`].
    AmountSchema = { "type": ["integer", "string"], "minimum": 0, "pattern": "^[0-9]+(\\.[0-9]+)?%?$" };
    /// `true`, or who must say so.
    ApprovalText = { "type": ["boolean", "string"] };
    /// See [`crate::domain::Burn`].
    BurnText = { "type": "string", "pattern": "^[0-9]+(\\.[0-9]+)?x over [0-9a-z. ]+( and [0-9a-z. ]+)?$" };
    /// See [`crate::domain::Rps`]; or `auto`.
    CapacityText = { "type": "string", "pattern": "^([0-9]+ ?rps|auto)$" };
    /// See [`crate::domain::CodeRange`] and [`crate::domain::GrpcCode`].
    CodeText = { "type": ["string", "integer"] };
    /// The name of a document.
    NameText = { "type": "string", "pattern": "^[A-Za-z0-9._-]{1,128}$" };
    /// See [`Number`].
    NumberText = { "type": "number" };
    /// A TCP port.
    PortNumber = { "type": "integer", "minimum": 0, "maximum": 65535 };
    /// See [`Percent`].
    PercentText = { "type": "string", "pattern": "^[0-9]+ ?%$" };
    /// See [`Quantile`].
    QuantileText = { "type": "string", "pattern": "^p[0-9]+(\\.[0-9]+)?$" };
    /// See [`Ratio`].
    RatioText = { "type": "string", "pattern": "^[0-9]+(\\.[0-9]+)?x$" };
    /// The name of a service, perhaps with one of its aliases.
    ServiceText = { "type": "string", "pattern": "^[A-Za-z0-9._-]+(@[A-Za-z0-9._-]+)?$", "maxLength": 128 };
    /// See [`crate::domain::Share`].
    ShareText = { "type": "string", "pattern": "^[0-9]+(\\.[0-9]+)? ?%$" };
    /// See [`SizeWord`].
    SizeText = { "type": "string", "pattern": "^[0-9]+ ?([KMG]i)?B$" };
    /// See [`crate::domain::Span`].
    SpanText = { "type": "string", "pattern": "^([0-9]+(\\.[0-9]+)?(ms|s|m|h|d) ?)+$" };
    /// A version; a bare number is taken as it is written.
    VersionText = { "type": ["string", "number"] };
}
