//! YAML text → trees of nodes that know where they stand.
//!
//! Scalars keep the text that was written (`1.10` stays a version, not a number); their type is
//! decided by who reads them. A syntax error ends its document, not its file, so that everything
//! wrong is found in one go. Depth and size are bounded, aliases included.

use std::collections::{BTreeMap, btree_map};

use serde_saphyr::granit_parser::{
    Event, Options, Parser, ScalarStyle, ScanError, Span, StrInput, Tag,
};

use super::problem::Sink;
use super::source::Place;
use super::{DEPTH_MAX, NODES_PER_FILE_MAX};

/// A value and its place; of a mapping, the place of its first key.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) place: Place,
    pub(super) value: Value,
}

/// What a node holds.
#[derive(Clone, Debug)]
pub(super) enum Value {
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
    Null,
    Scalar {
        text: String,
        /// Written without quotes, so it may be a number or a boolean.
        plain: bool,
    },
}

/// A key of a mapping; each occurs once.
#[derive(Clone, Debug)]
pub(super) struct Key {
    pub(super) name: String,
    pub(super) place: Place,
}

/// One document of a file.
#[derive(Debug)]
pub(super) struct Tree<'a> {
    pub(super) root: Node,
    /// Its text, comments included.
    pub(super) text: &'a str,
}

impl Node {
    /// The value under `name`, if this is a mapping that has it.
    pub(super) fn get(&self, name: &str) -> Option<(&Key, &Self)> {
        let Value::Map(entries) = &self.value else {
            return None;
        };
        entries
            .iter()
            .find(|(key, _)| key.name == name)
            .map(|(key, node)| (key, node))
    }

    fn size(&self) -> usize {
        1 + match &self.value {
            Value::List(items) => items.iter().map(Self::size).sum(),
            Value::Map(entries) => entries.iter().map(|(_, node)| node.size()).sum(),
            Value::Null | Value::Scalar { .. } => 0,
        }
    }
}

/// Reads every document of `text`; empty ones are left out, broken ones told to `sink`.
pub(super) fn parse<'a>(text: &'a str, sink: &'a Sink) -> Vec<Tree<'a>> {
    let mut options = Options::default();
    options.set_emit_comments(false);
    let mut builder = Builder {
        parser: Parser::new_from_str_with_options(text, options),
        sink,
        anchors: BTreeMap::new(),
        nodes_left: NODES_PER_FILE_MAX,
    };
    let mut trees = Vec::new();
    let mut begin = 0;
    loop {
        match builder.document(text, &mut begin) {
            Ok(Some(tree)) if matches!(tree.root.value, Value::Null) => {}
            Ok(Some(tree)) => trees.push(tree),
            Ok(None) => break,
            Err(stop) => {
                let goes_on = stop.tell(sink) && builder.parser.proceed_next_document() == Ok(true);
                if !goes_on {
                    break;
                }
            }
        }
    }
    trees
}

/// Why a document could not be read to its end.
enum Stop {
    /// It is no YAML.
    Syntax(ScanError),
    /// It is YAML that is not taken.
    Refused(Place, String),
    /// The file has used up what a file may have.
    Spent(Place),
}

impl Stop {
    /// Tells what happened; may the next document be read?
    fn tell(self, sink: &Sink) -> bool {
        match self {
            Self::Syntax(error) => {
                let mark = error.marker();
                let place = Place {
                    line: mark.line(),
                    column: mark.col() + 1,
                    offset: mark.byte_offset().unwrap_or(0),
                    bytes: 0,
                };
                sink.problem(place, format!("this is not YAML: {}", error.info()));
                true
            }
            Self::Refused(place, message) => {
                sink.problem(place, message);
                true
            }
            Self::Spent(place) => {
                let message = format!("the file has more than {NODES_PER_FILE_MAX} values");
                sink.hinted(place, message, "split it".to_owned());
                false
            }
        }
    }
}

impl From<ScanError> for Stop {
    fn from(error: ScanError) -> Self {
        Self::Syntax(error)
    }
}

struct Builder<'a> {
    parser: Parser<'a, StrInput<'a>>,
    sink: &'a Sink,
    anchors: BTreeMap<usize, Node>,
    nodes_left: usize,
}

impl<'a> Builder<'a> {
    /// The next document; `begin` is where its text may start, and moves on.
    fn document(&mut self, text: &'a str, begin: &mut usize) -> Result<Option<Tree<'a>>, Stop> {
        let mut root = None;
        while let Some(next) = self.parser.next_event() {
            let (event, span) = next?;
            match event {
                Event::DocumentStart(explicit, _) => {
                    self.anchors.clear();
                    if explicit {
                        *begin = offset_after(&span);
                    }
                }
                Event::DocumentEnd => {
                    let end = span.start.byte_offset().unwrap_or(text.len());
                    let part = text.get(*begin..end).unwrap_or_default();
                    *begin = offset_after(&span);
                    if let Some(root) = root {
                        return Ok(Some(Tree {
                            root,
                            text: part.trim_matches('\n'),
                        }));
                    }
                }
                Event::StreamEnd => return Ok(None),
                event if event.is_node() => root = Some(self.node(event, span, DEPTH_MAX)?),
                _ => {}
            }
        }
        Ok(None)
    }

    fn node(&mut self, event: Event<'a>, span: Span, depth_left: usize) -> Result<Node, Stop> {
        let place = place_of(&span);
        if depth_left == 0 {
            let message = format!("values may be nested at most {DEPTH_MAX} deep");
            return Err(Stop::Refused(place, message));
        }
        self.spend(1, place)?;
        let anchor = event.anchor_id();
        let node = match event {
            Event::Alias(id) => {
                // The parser refuses unknown names, so what is missing here is still being built.
                let Some(target) = self.anchors.get(&id).cloned() else {
                    let message = "an alias may not stand inside of what it names".to_owned();
                    return Err(Stop::Refused(place, message));
                };
                self.spend(target.size(), place)?;
                Node {
                    place,
                    value: target.value,
                }
            }
            Event::MappingStart(_, _, tag) => {
                check_tag(tag.as_deref(), place)?;
                self.map(place, depth_left)?
            }
            Event::Scalar(text, style, _, tag) => {
                let is_text = check_tag(tag.as_deref(), place)?;
                Node {
                    place,
                    value: scalar(&text, style == ScalarStyle::Plain && !is_text),
                }
            }
            Event::SequenceStart(_, _, tag) => {
                check_tag(tag.as_deref(), place)?;
                let mut items = Vec::new();
                while let Some((event, span)) = self.next_node()? {
                    items.push(self.node(event, span, depth_left - 1)?);
                }
                Node {
                    place: Place { bytes: 1, ..place },
                    value: Value::List(items),
                }
            }
            _ => Node {
                place,
                value: Value::Null,
            },
        };
        if let Some(id) = anchor {
            self.spend(node.size(), place)?;
            self.anchors.insert(id, node.clone());
        }
        Ok(node)
    }

    fn map(&mut self, start: Place, depth_left: usize) -> Result<Node, Stop> {
        let mut entries: Vec<(Key, Node)> = Vec::new();
        let mut lines = BTreeMap::new();
        while let Some((event, span)) = self.next_node()? {
            let key = match self.node(event, span, depth_left - 1)? {
                Node {
                    place,
                    value: Value::Scalar { text: name, .. },
                } => Key { name, place },
                Node { place, .. } => {
                    return Err(Stop::Refused(place, "a key must be a text".to_owned()));
                }
            };
            let Some((event, span)) = self.next_node()? else {
                break;
            };
            let value = self.node(event, span, depth_left - 1)?;
            match lines.entry(key.name.clone()) {
                btree_map::Entry::Vacant(entry) => {
                    entry.insert(key.place.line);
                    entries.push((key, value));
                }
                btree_map::Entry::Occupied(entry) => {
                    let message = format!(
                        "`{}` is given twice, first in line {}",
                        key.name,
                        entry.get()
                    );
                    self.sink.problem(key.place, message);
                }
            }
        }
        let place = entries
            .first()
            .map_or(Place { bytes: 1, ..start }, |(key, _)| key.place);
        Ok(Node {
            place,
            value: Value::Map(entries),
        })
    }

    /// The next node of the collection that is open, or `None` at its end.
    fn next_node(&mut self) -> Result<Option<(Event<'a>, Span)>, Stop> {
        while let Some(next) = self.parser.next_event() {
            let (event, span) = next?;
            match event {
                Event::MappingEnd | Event::SequenceEnd => return Ok(None),
                event if event.is_node() => return Ok(Some((event, span))),
                _ => {}
            }
        }
        Ok(None)
    }

    fn spend(&mut self, nodes: usize, place: Place) -> Result<(), Stop> {
        self.nodes_left = self
            .nodes_left
            .checked_sub(nodes)
            .ok_or(Stop::Spent(place))?;
        Ok(())
    }
}

fn scalar(text: &str, plain: bool) -> Value {
    if plain && matches!(text, "" | "~" | "null" | "Null" | "NULL") {
        return Value::Null;
    }
    Value::Scalar {
        text: text.to_owned(),
        plain,
    }
}

/// Is the tag `!!str`? Any other is refused: a document says nothing by tags.
fn check_tag(tag: Option<&Tag>, place: Place) -> Result<bool, Stop> {
    match tag {
        None => Ok(false),
        Some(tag) if tag.is_yaml_core_schema_tag("str") => Ok(true),
        Some(tag) => Err(Stop::Refused(
            place,
            format!("not supported: the tag `{}`", tag.original()),
        )),
    }
}

fn place_of(span: &Span) -> Place {
    let start = span.start.byte_offset().unwrap_or(0);
    let end = span.end.byte_offset().unwrap_or(start);
    Place {
        line: span.start.line(),
        column: span.start.col() + 1,
        offset: start,
        bytes: end.saturating_sub(start),
    }
}

fn offset_after(span: &Span) -> usize {
    span.end.byte_offset().unwrap_or(0)
}
