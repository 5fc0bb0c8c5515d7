//! Documents in, domain or messages out.

mod accepted;
mod gates;
mod refused;
mod server;
mod sessions;

use super::*;
use crate::domain::{Help, Step};

/// Takes any overlay but one that says `bad`: as a key within `x`, or as an item of `x`.
fn overlay(_: OverlayPart, json: &str) -> Vec<OverlayFault> {
    let json: serde_json::Value = serde_json::from_str(json).unwrap();
    let fault = |step, at_key, help| OverlayFault {
        path: vec![Step::Key("x".to_owned()), step],
        at_key,
        message: "no field `bad`".to_owned(),
        help,
    };
    let known = vec!["bat".to_owned()];
    let word = "bad".to_owned();
    let mut faults = Vec::new();
    if json["x"].get("bad").is_some() {
        faults.push(fault(
            Step::Key(word.clone()),
            true,
            Help::Known { word, known },
        ));
    }
    if json["x"][1] == "bad" {
        faults.push(fault(
            Step::Item(1),
            false,
            Help::Hint("say good".to_owned()),
        ));
    }
    faults
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
