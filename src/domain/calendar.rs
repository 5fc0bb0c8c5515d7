//! Spans of the calendar in a named time zone: every week from one weekday and time to another, or once
//! from one date to another. The moment comes in as a value, and the rules of the zones are compiled in.
//!
//! Where clocks change, a time may come twice or never. A window begins with the earlier and ends with the
//! later of the two moments that could be meant, so it is never shorter than it reads.

use std::fmt;
use std::str::FromStr;

use jiff::civil::{self, Weekday};
use jiff::tz::{TimeZone, TimeZoneDatabase};
use serde::{Deserialize, Serialize};

use super::Time;

/// A part of the calendar.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// When.
    #[serde(flatten)]
    pub span: WindowSpan,
    /// By whose clocks.
    pub zone: Zone,
}

/// From when until when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum WindowSpan {
    /// Every week.
    Weekly {
        /// From this moment of the week.
        from: WeekTime,
        /// Until this one, at most a week later.
        to: WeekTime,
    },
    /// Once.
    Dates {
        /// From this date's beginning, or this time.
        from: DateText,
        /// Until this date's end, or this time.
        to: DateText,
    },
}

/// A moment of the week, as `Fri 16:00`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct WeekTime {
    day: Weekday,
    time: civil::Time,
}

/// A date, or a time on it, as `2026-12-20` or `2026-12-20 16:00`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DateText {
    date: civil::Date,
    time: Option<civil::Time>,
}

/// A time zone by its name in the IANA database, as `Europe/Berlin`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Zone(TimeZone);

/// A text that is no moment or no zone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadCalendar {
    /// No weekday and time.
    #[error("`{0}` is no moment of the week; write it like `Fri 16:00`")]
    WeekTime(String),
    /// No date.
    #[error("`{0}` is no date; write it like `2026-12-20` or `2026-12-20 16:00`")]
    Date(String),
    /// No zone.
    #[error("`{0}` is no time zone; write it like `Europe/Berlin` or `UTC`")]
    Zone(String),
}

impl Window {
    /// Until when it lasts, if `now` is in it.
    pub fn until(&self, now: Time) -> Option<Time> {
        let is_in = |from: Option<Time>, to: Option<Time>| {
            let (from, to) = (from?, to?);
            (from <= now && now < to).then_some(to)
        };
        match &self.span {
            WindowSpan::Weekly { from, to } => {
                let today = now.to_zoned(self.zone.0.clone()).date();
                // One that began today may not have begun yet, and the one before may still last.
                let since = i64::from(from.day.until(today.weekday()));
                let begins = [since, since + 7].into_iter().filter_map(|days| {
                    let days = jiff::Span::new().try_days(days).ok()?;
                    today.checked_sub(days).ok()
                });
                let windows = begins.filter_map(|first| {
                    let ends = first.checked_add(from.days_until(*to)).ok()?;
                    let begin = self.zone.earlier(first.to_datetime(from.time));
                    is_in(begin, self.zone.later(ends.to_datetime(to.time)))
                });
                windows.max()
            }
            WindowSpan::Dates { from, to } => is_in(
                self.zone.earlier(from.begin()),
                to.end().and_then(|end| self.zone.later(end)),
            ),
        }
    }

    /// Does it end after it begins?
    pub fn is_possible(&self) -> bool {
        match &self.span {
            WindowSpan::Weekly { from, to } => from != to,
            WindowSpan::Dates { from, to } => to.end().is_some_and(|end| from.begin() < end),
        }
    }
}

impl WeekTime {
    /// So many days pass until `to` comes next.
    fn days_until(self, to: Self) -> jiff::Span {
        let days = i64::from(self.day.until(to.day));
        let is_past = days == 0 && to.time <= self.time;
        jiff::Span::new().days(if is_past { 7 } else { days })
    }
}

impl DateText {
    fn begin(self) -> civil::DateTime {
        self.date
            .to_datetime(self.time.unwrap_or(civil::Time::midnight()))
    }

    /// A date without a time ends when the next one begins.
    fn end(self) -> Option<civil::DateTime> {
        match self.time {
            Some(time) => Some(self.date.to_datetime(time)),
            None => Some(
                self.date
                    .tomorrow()
                    .ok()?
                    .to_datetime(civil::Time::midnight()),
            ),
        }
    }
}

impl Zone {
    fn earlier(&self, at: civil::DateTime) -> Option<Time> {
        self.0.to_ambiguous_timestamp(at).earlier().ok()
    }

    fn later(&self, at: civil::DateTime) -> Option<Time> {
        self.0.to_ambiguous_timestamp(at).later().ok()
    }
}

const DAYS: [(&str, Weekday); 7] = [
    ("Mon", Weekday::Monday),
    ("Tue", Weekday::Tuesday),
    ("Wed", Weekday::Wednesday),
    ("Thu", Weekday::Thursday),
    ("Fri", Weekday::Friday),
    ("Sat", Weekday::Saturday),
    ("Sun", Weekday::Sunday),
];

/// `16:00`; seconds are no part of a house rule.
fn clock(text: &str) -> Option<civil::Time> {
    let (hours, minutes) = text.split_once(':')?;
    let is_short = hours.len() <= 2 && minutes.len() == 2;
    let (hours, minutes) = (hours.parse().ok()?, minutes.parse().ok()?);
    civil::Time::new(hours, minutes, 0, 0)
        .ok()
        .filter(|_| is_short)
}

fn clocked(time: civil::Time) -> String {
    format!("{:02}:{:02}", time.hour(), time.minute())
}

impl FromStr for WeekTime {
    type Err = BadCalendar;

    fn from_str(text: &str) -> Result<Self, BadCalendar> {
        let parsed = text.trim().split_once(' ').and_then(|(day, time)| {
            let (_, day) = DAYS.iter().find(|(name, _)| *name == day)?;
            let time = clock(time.trim())?;
            Some(Self { day: *day, time })
        });
        parsed.ok_or_else(|| BadCalendar::WeekTime(text.to_owned()))
    }
}

impl FromStr for DateText {
    type Err = BadCalendar;

    fn from_str(text: &str) -> Result<Self, BadCalendar> {
        let bad = || BadCalendar::Date(text.to_owned());
        let (date, time) = match text.trim().split_once(' ') {
            Some((date, time)) => (date, Some(clock(time.trim()).ok_or_else(bad)?)),
            None => (text.trim(), None),
        };
        let date = Some(date).filter(|date| date.len() == "2026-12-20".len());
        let date = date.and_then(|date| date.parse().ok()).ok_or_else(bad)?;
        Ok(Self { date, time })
    }
}

impl FromStr for Zone {
    type Err = BadCalendar;

    fn from_str(text: &str) -> Result<Self, BadCalendar> {
        let known = TimeZoneDatabase::bundled().get(text.trim()).ok();
        known
            .filter(|zone| zone.iana_name().is_some())
            .map(Self)
            .ok_or_else(|| BadCalendar::Zone(text.to_owned()))
    }
}

impl fmt::Display for WeekTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut days = DAYS.iter();
        let name = days.find(|(_, day)| *day == self.day);
        write!(
            f,
            "{} {}",
            name.map_or("", |(name, _)| name),
            clocked(self.time)
        )
    }
}

impl fmt::Display for DateText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.date)?;
        self.time
            .map_or(Ok(()), |time| write!(f, " {}", clocked(time)))
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.0.iana_name().unwrap_or("UTC"))
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.span {
            WindowSpan::Weekly { from, to } => write!(f, "{from} to {to}")?,
            WindowSpan::Dates { from, to } => write!(f, "{from} to {to}")?,
        }
        write!(f, " {}", self.zone)
    }
}

macro_rules! as_text {
    ($($name:ident)*) => {$(
        impl TryFrom<String> for $name {
            type Error = BadCalendar;

            fn try_from(text: String) -> Result<Self, BadCalendar> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.to_string()
            }
        }
    )*};
}

as_text! { WeekTime DateText Zone }

#[cfg(test)]
mod tests {
    use super::*;

    fn weekly(from: &str, to: &str) -> Window {
        let (from, to) = (from.parse().unwrap(), to.parse().unwrap());
        Window {
            span: WindowSpan::Weekly { from, to },
            zone: "Europe/Berlin".parse().unwrap(),
        }
    }

    fn dates(from: &str, to: &str) -> Window {
        let (from, to) = (from.parse().unwrap(), to.parse().unwrap());
        Window {
            span: WindowSpan::Dates { from, to },
            zone: "Europe/Berlin".parse().unwrap(),
        }
    }

    /// In 2026 Berlin's clocks go forward on 29 March at 01:00 UTC and back on 25 October at 01:00 UTC.
    #[test]
    fn windows_follow_the_clocks_of_their_zone() {
        let weekend = weekly("Fri 16:00", "Mon 08:00");
        let overnight = weekly("Sat 22:00", "Sun 02:30");
        let fold = weekly("Sun 02:30", "Sun 04:00");
        let week = weekly("Mon 08:00", "Mon 07:00");
        for (window, at, until) in [
            // Winter, summer, and the two weekends in which that changes.
            (&weekend, "2026-01-09T14:59:59Z", None),
            (
                &weekend,
                "2026-01-09T15:00:00Z",
                Some("2026-01-12T07:00:00Z"),
            ),
            (
                &weekend,
                "2026-01-12T06:59:59Z",
                Some("2026-01-12T07:00:00Z"),
            ),
            (&weekend, "2026-01-12T07:00:00Z", None),
            (
                &weekend,
                "2026-07-10T14:00:00Z",
                Some("2026-07-13T06:00:00Z"),
            ),
            (&weekend, "2026-07-13T06:00:00Z", None),
            (
                &weekend,
                "2026-03-27T15:00:00Z",
                Some("2026-03-30T06:00:00Z"),
            ),
            (&weekend, "2026-03-30T06:30:00Z", None),
            (
                &weekend,
                "2026-10-23T14:00:00Z",
                Some("2026-10-26T07:00:00Z"),
            ),
            (
                &weekend,
                "2026-10-26T06:30:00Z",
                Some("2026-10-26T07:00:00Z"),
            ),
            // 02:30 does not come on 29 March: it ends with the later moment that could be meant.
            (
                &overnight,
                "2026-03-29T01:29:59Z",
                Some("2026-03-29T01:30:00Z"),
            ),
            (&overnight, "2026-03-29T01:30:00Z", None),
            // 02:30 comes twice on 25 October.
            (
                &overnight,
                "2026-10-25T00:45:00Z",
                Some("2026-10-25T01:30:00Z"),
            ),
            (&overnight, "2026-10-25T01:30:00Z", None),
            (&fold, "2026-10-25T00:29:59Z", None),
            (&fold, "2026-10-25T00:30:00Z", Some("2026-10-25T03:00:00Z")),
            (&fold, "2026-03-29T00:30:00Z", Some("2026-03-29T02:00:00Z")),
            // Nearly all of the week.
            (&week, "2026-07-13T05:30:00Z", None),
            (&week, "2026-07-13T04:30:00Z", Some("2026-07-13T05:00:00Z")),
            (&week, "2026-07-13T06:30:00Z", Some("2026-07-20T05:00:00Z")),
            // Dates count whole, times to the minute.
            (
                &dates("2026-12-20", "2027-01-02"),
                "2026-12-19T22:59:59Z",
                None,
            ),
            (
                &dates("2026-12-20", "2027-01-02"),
                "2026-12-19T23:00:00Z",
                Some("2027-01-02T23:00:00Z"),
            ),
            (
                &dates("2026-12-20", "2027-01-02"),
                "2027-01-02T23:00:00Z",
                None,
            ),
            (
                &dates("2026-12-20 16:00", "2026-12-20 17:00"),
                "2026-12-20T15:30:00Z",
                Some("2026-12-20T16:00:00Z"),
            ),
            (
                &dates("2026-12-20 16:00", "2026-12-20 17:00"),
                "2026-12-20T16:00:00Z",
                None,
            ),
        ] {
            let until = until.map(|until| until.parse().unwrap());
            assert_eq!(window.until(at.parse().unwrap()), until, "{window} at {at}");
        }
    }

    #[test]
    fn texts_read_as_they_are_written() {
        for text in ["Fri 16:00", "Mon 08:05"] {
            assert_eq!(text.parse::<WeekTime>().unwrap().to_string(), text);
        }
        for text in ["2026-12-20", "2026-12-20 16:00"] {
            assert_eq!(text.parse::<DateText>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "Fri",
            "Friday 16:00",
            "Fri 24:00",
            "Fri 16",
            "Fri 016:00",
            "Fri 16:0",
        ] {
            assert!(text.parse::<WeekTime>().is_err(), "{text:?}");
        }
        for text in [
            "",
            "2026-13-01",
            "2026-12",
            "20261220",
            "2026-12-20 25:00",
            "2026-12-20T16:00",
        ] {
            assert!(text.parse::<DateText>().is_err(), "{text:?}");
        }
        assert!("Mars/Olympus".parse::<Zone>().is_err());
        assert!(!weekly("Fri 16:00", "Fri 16:00").is_possible());
        assert!(!dates("2027-01-02", "2026-12-20").is_possible());
        assert!(dates("2026-12-20", "2026-12-20").is_possible());
        let window = weekly("Fri 16:00", "Mon 08:00");
        let written = serde_json::to_string(&window).unwrap();
        assert_eq!(serde_json::from_str::<Window>(&written).unwrap(), window);
    }
}
