//! What is wrong with a set of documents: everything at once, each with its place and a hint.
//!
//! A [`Problem`] prints as one line for logs and the API; a [`Refusal`] also prints as a report
//! that shows the lines with a marker.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use miette::{GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, SourceSpan};
use serde::Serialize;

use super::PROBLEMS_PER_FILE_MAX;
use super::source::{Place, Source};

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The name of the source.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1, in characters.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// What would help.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    #[serde(skip)]
    place: Place,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}:{}:{}: {}",
            self.file, self.line, self.column, self.message
        )?;
        match &self.hint {
            Some(hint) => write!(f, " (hint: {hint})"),
            None => Ok(()),
        }
    }
}

/// Something that a user should know of documents that are accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Warning {
    /// The name of the source.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1, in characters.
    pub column: usize,
    /// What it is.
    pub message: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}:{}:{}: warning: {}",
            self.file, self.line, self.column, self.message
        )
    }
}

/// Why a set of documents is refused; never without a problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Everything that is wrong, in the order of the sources and their lines.
    pub problems: Vec<Problem>,
    texts: BTreeMap<String, Arc<str>>,
}

impl Refusal {
    /// Keeps the sources that are complained about, for the report.
    pub(super) fn new(mut problems: Vec<Problem>, sources: &[Source]) -> Self {
        assert!(!problems.is_empty(), "a refusal says why");
        let numbers = sources
            .iter()
            .enumerate()
            .map(|(i, s)| (s.name.as_str(), i));
        let order: BTreeMap<_, _> = numbers.rev().collect();
        problems.sort_by_key(|p| (order.get(p.file.as_str()).copied(), p.place));
        let named: BTreeSet<_> = problems.iter().map(|p| p.file.as_str()).collect();
        let texts = sources
            .iter()
            .filter(|source| named.contains(source.name.as_str()))
            .map(|source| (source.name.clone(), printable(&source.text).into()))
            .collect();
        Self { problems, texts }
    }

    /// For a terminal: each problem with its line, a marker and a hint.
    pub fn report(&self, colour: bool) -> String {
        let theme = if colour {
            GraphicalTheme::unicode()
        } else {
            GraphicalTheme::unicode_nocolor()
        };
        let handler = GraphicalReportHandler::new_themed(theme)
            .with_width(REPORT_COLUMNS)
            .with_links(false)
            .without_syntax_highlighting();
        let mut report = String::new();
        for problem in &self.problems {
            let text = self
                .texts
                .get(&problem.file)
                .map(Arc::clone)
                .unwrap_or_default();
            let shown = Shown {
                problem,
                source: NamedSource::new(&problem.file, text),
            };
            // Writing to a string cannot fail; if rendering does, the plain line says it all.
            if handler.render_report(&mut report, &shown).is_err() {
                report.push_str(&problem.to_string());
            }
            report.push('\n');
        }
        report
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.problems.iter().enumerate() {
            let end = if i + 1 == self.problems.len() {
                ""
            } else {
                "\n"
            };
            write!(f, "{problem}{end}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Refusal {}

/// A problem with its text, as miette wants it.
#[derive(Debug)]
struct Shown<'a> {
    problem: &'a Problem,
    source: NamedSource<Arc<str>>,
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problem.message)
    }
}

impl std::error::Error for Shown<'_> {}

impl miette::Diagnostic for Shown<'_> {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.problem
            .hint
            .as_ref()
            .map(|hint| Box::new(hint) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn miette::SourceCode> {
        Some(&self.source)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let Place { offset, bytes, .. } = self.problem.place;
        let label = LabeledSpan::new_primary_with_span(None, SourceSpan::from((offset, bytes)));
        Some(Box::new(std::iter::once(label)))
    }
}

/// Width of a report in columns; a fixed one, so that reports can be compared.
const REPORT_COLUMNS: usize = 100;

/// Collects what one source gets told.
#[derive(Debug)]
pub(super) struct Sink {
    file: String,
    /// Where it is written what the file may have in it.
    reference: &'static str,
    problems: RefCell<Vec<Problem>>,
    warnings: RefCell<Vec<Warning>>,
}

impl Sink {
    /// Of a file with documents.
    pub(super) fn new(file: &str) -> Self {
        Self::with_reference(file, "`tidegate schema` prints what may stand here")
    }

    /// Of a server's own file.
    pub(super) fn of_server(file: &str) -> Self {
        Self::with_reference(file, "docs/server.md lists every setting")
    }

    fn with_reference(file: &str, reference: &'static str) -> Self {
        Self {
            file: file.to_owned(),
            reference,
            problems: RefCell::default(),
            warnings: RefCell::default(),
        }
    }

    pub(super) fn file(&self) -> &str {
        &self.file
    }

    pub(super) const fn reference(&self) -> &'static str {
        self.reference
    }

    pub(super) fn problem(&self, place: Place, message: impl Into<String>) {
        self.push(place, message.into(), None);
    }

    pub(super) fn hinted(
        &self,
        place: Place,
        message: impl Into<String>,
        hint: impl Into<Option<String>>,
    ) {
        self.push(place, message.into(), hint.into());
    }

    pub(super) fn warn(&self, place: Place, message: impl Into<String>) {
        let (file, message) = (self.file.clone(), message.into());
        let Place { line, column, .. } = place;
        self.warnings.borrow_mut().push(Warning {
            file,
            line,
            column,
            message,
        });
    }

    pub(super) fn into_parts(self) -> (Vec<Problem>, Vec<Warning>) {
        (self.problems.into_inner(), self.warnings.into_inner())
    }

    fn push(&self, place: Place, message: String, hint: Option<String>) {
        let mut problems = self.problems.borrow_mut();
        let message = match problems.len() {
            ..PROBLEMS_PER_FILE_MAX => message,
            PROBLEMS_PER_FILE_MAX => "more problems follow; mend these first".to_owned(),
            _ => return,
        };
        let (message, hint) = (one_line(&message), hint.as_deref().map(one_line));
        let Place { line, column, .. } = place;
        problems.push(Problem {
            file: self.file.clone(),
            line,
            column,
            message,
            hint,
            place,
        });
    }
}

/// What documents say may be quoted in a message, but not break it up or fill the screen.
fn one_line(text: &str) -> String {
    let mut line = String::new();
    for c in text.chars().take(MESSAGE_CHARS_MAX) {
        if c.is_control() {
            line.extend(c.escape_default());
        } else {
            line.push(c);
        }
    }
    if text.chars().nth(MESSAGE_CHARS_MAX).is_some() {
        line.push('…');
    }
    line
}

/// A text that a terminal shows and does not obey. Every offset into it stays right.
fn printable(text: &str) -> String {
    let replace = |c: char| match c {
        '\n' | '\r' | '\t' => c,
        c if c.is_ascii_control() => '?',
        c if c.is_control() => TWO_BYTES,
        c => c,
    };
    text.chars().map(replace).collect()
}

/// Stands for a control character beyond ASCII, which has two bytes as well.
const TWO_BYTES: char = '·';

/// Longest message, in characters.
const MESSAGE_CHARS_MAX: usize = 400;

/// A hint for a word that is none of `known`: the one probably meant, or else all of them.
pub(super) fn suggestion<'a>(
    word: &str,
    known: impl IntoIterator<Item = &'a str> + Clone,
) -> String {
    did_you_mean(word, known.clone()).unwrap_or_else(|| {
        let list = known
            .into_iter()
            .map(|known| format!("`{known}`"))
            .collect::<Vec<_>>();
        format!("it may be {}", list.join(", "))
    })
}

/// The one of `known` that `word` was probably meant to be.
pub(super) fn did_you_mean<'a>(
    word: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    let plain = |text: &str| text.to_lowercase().replace(['_', '-', ' '], "");
    let word = plain(word);
    known
        .into_iter()
        .map(|known| (strsim::damerau_levenshtein(&word, &plain(known)), known))
        .filter(|(distance, known)| *distance <= known.chars().count().div_ceil(4).max(1))
        .min()
        .map(|(_, known)| format!("did you mean `{known}`?"))
}
