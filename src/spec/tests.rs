//! Documents in, domain or messages out.

mod accepted;
mod refused;

use super::*;

/// Takes any overlay but one that says `bad`.
fn overlay(json: &str) -> Result<(), String> {
    if json.contains("bad") {
        Err("no field `bad`".to_owned())
    } else {
        Ok(())
    }
}

fn source(name: &str, text: &str) -> Source {
    Source {
        name: name.to_owned(),
        text: text.to_owned(),
    }
}

fn load_text(text: &str) -> Result<Loaded, Refusal> {
    load(&[source("a.yaml", text)], overlay)
}
