//! What a command says when it is done: one document for programs, text for people.

use std::io::{self, Write};

use comfy_table::{Table, presets};
use serde::Serialize;
use serde_json::Value;

/// The same in both forms.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    /// With --json.
    pub(crate) document: Value,
    /// Without; ends without a newline, and may be empty.
    pub(crate) text: String,
    /// What people should know besides; goes to stderr.
    pub(crate) notes: Vec<String>,
}

impl Answer {
    pub(crate) fn new(document: &impl Serialize, text: impl Into<String>) -> Self {
        // Our own documents have nothing that JSON cannot hold.
        Self {
            document: serde_json::to_value(document).unwrap_or_default(),
            text: text.into(),
            notes: Vec::new(),
        }
    }

    pub(crate) fn with_notes(self, notes: Vec<String>) -> Self {
        Self { notes, ..self }
    }

    pub(crate) fn print(&self, json: bool) {
        for note in &self.notes {
            say(&mut io::stderr(), &format!("note: {note}"));
        }
        if json {
            print_document(&self.document);
        } else if !self.text.is_empty() {
            say(&mut io::stdout(), &self.text);
        }
    }
}

/// One document on stdout, indented.
pub(crate) fn print_document(document: &Value) {
    say(&mut io::stdout(), &format!("{document:#}"));
}

/// A line; who closed the pipe does not want to read it.
pub(crate) fn say(out: &mut impl Write, line: &str) {
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// Columns under a head, without lines and colours: as easy to cut as to read.
pub(crate) fn table<const N: usize>(head: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(head);
    for row in rows {
        table.add_row(row);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    let lines: Vec<_> = table.lines().map(|line| line.trim_end().to_owned()).collect();
    lines.join("\n")
}
