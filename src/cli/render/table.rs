//! Plain tables: columns, no lines.

use comfy_table::{ContentArrangement, presets};

use super::Look;

/// Space between two columns.
const GAP: u16 = 2;

pub(super) struct Table(comfy_table::Table);

impl Table {
    pub(super) fn new(headers: &[&str]) -> Self {
        let mut table = comfy_table::Table::new();
        table.load_style(presets::NOTHING);
        table.force_no_tty();
        table.set_header(headers);
        Self(table)
    }

    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.0.add_row(cells.into_iter().collect::<Vec<_>>());
    }

    /// Fits the columns to the width, if there is one; else each row is one line.
    pub(super) fn print(mut self, look: Look) -> String {
        match look.width.and_then(|width| u16::try_from(width).ok()) {
            Some(width) => self
                .0
                .set_content_arrangement(ContentArrangement::Dynamic)
                .set_width(width),
            None => self.0.set_content_arrangement(ContentArrangement::Disabled),
        };
        for column in self.0.column_iter_mut() {
            column.set_padding((0, GAP));
        }
        self.0.trim_fmt()
    }
}
