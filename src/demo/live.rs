//! The roll as it happens, on standard error: redrawn twice a second on a terminal, a line every
//! two seconds elsewhere. Each instance is a letter, and a colour that says nothing more.

use std::fmt::Write as _;
use std::io::{IsTerminal, Write as _};
use std::time::Duration;

use owo_colors::{AnsiColors, OwoColorize};
use tokio::time::Instant;

use super::clock::now;
use super::view::{Instance, Rollout, Service, View};

/// What the letters mean.
pub(super) const LEGEND: &str = "n registered  r ready  J joining  S serving  ! unhealthy  L leaving  D draining  E drained  . released";

/// One frame's input.
#[derive(Debug)]
pub(super) struct Frame<'a> {
    /// The state; the last one known if the control plane is down.
    pub(super) view: &'a View,
    /// Which service and which rollout to show.
    pub(super) service: &'a str,
    /// The rollout's name.
    pub(super) rollout: &'a str,
    /// Does the control plane answer?
    pub(super) control_plane: bool,
    /// Requests that have ended.
    pub(super) requests: u64,
    /// Those of them that failed.
    pub(super) failed: u64,
}

/// The place on the screen.
#[derive(Debug)]
pub(super) struct Live {
    terminal: bool,
    started: Instant,
    drawn: Option<(Instant, u64)>,
    /// Lines of the last frame that the next one replaces.
    lines: usize,
}

impl Live {
    /// Nothing drawn yet.
    pub(super) fn new() -> Self {
        let terminal = std::io::stderr().is_terminal();
        Self {
            terminal,
            started: now(),
            drawn: None,
            lines: 0,
        }
    }

    /// Says something that stays.
    pub(super) fn say(&mut self, text: &str) {
        let seconds = self.started.elapsed().as_secs_f64();
        Self::write(&format!("{seconds:6.1} s  {text}\n"));
        self.lines = 0;
    }

    /// Draws a frame, if it is time for one.
    pub(super) fn draw(&mut self, frame: &Frame<'_>) {
        let time = now();
        let pause = if self.terminal { REDRAW } else { APPEND };
        let rate = match self.drawn {
            Some((last, _)) if time - last < pause => return,
            Some((last, before)) => {
                frame.requests.saturating_sub(before) as f64 / (time - last).as_secs_f64()
            }
            None => 0.0,
        };
        self.drawn = Some((time, frame.requests));
        let seconds = self.started.elapsed().as_secs_f64();
        let [cells, numbers, waits] = lines(frame, rate);
        let text = if self.terminal {
            let text =
                format!("{seconds:6.1} s  {cells}\n          {numbers}\n          {waits}\n");
            let back = if self.lines > 0 {
                format!("\x1b[{}A\x1b[0J", self.lines)
            } else {
                String::new()
            };
            self.lines = text.lines().count();
            back + &text
        } else {
            format!("{seconds:6.1} s  {cells}  {numbers}  {waits}\n")
        };
        Self::write(&text);
    }

    /// Colours are taken out where standard error shows none. A closed one is no reason to stop.
    fn write(text: &str) {
        let mut stream = anstream::AutoStream::auto(std::io::stderr());
        let _ = stream
            .write_all(text.as_bytes())
            .and_then(|()| stream.flush());
    }
}

/// Instances and weights; rates and failures; what is waited for.
fn lines(frame: &Frame<'_>, rate: f64) -> [String; 3] {
    let mut cells = frame
        .view
        .service(frame.service)
        .map(cells)
        .unwrap_or_default();
    let rollout = frame.view.rollout(frame.rollout);
    if let Some(Rollout {
        phase, done, total, ..
    }) = rollout
    {
        let _ = write!(cells, "  {phase} {done}/{total}");
    }
    let Frame {
        requests, failed, ..
    } = frame;
    let numbers = format!("{rate:5.0} rps  {requests} requests  {failed} failed");
    let waits = match rollout.and_then(|rollout| rollout.blockers.first()) {
        _ if !frame.control_plane => "the control plane is down".to_owned(),
        Some(blocker) => format!("waits: {}", shorten(&blocker.text)),
        None => String::new(),
    };
    [cells, numbers, waits]
}

/// Each version with its instances and its share of the traffic.
fn cells(service: &Service) -> String {
    let mut text = String::new();
    for version in &service.versions {
        let of_it = service
            .instances
            .iter()
            .filter(|i| i.version == version.name);
        let cells: String = of_it.map(cell).collect();
        let _ = write!(text, "{} {cells} {:.0} %  ", version.name, version.weight);
    }
    text.trim_end().to_owned()
}

fn cell(instance: &Instance) -> String {
    let (letter, colour) = letter(instance);
    letter.color(colour).to_string()
}

fn letter(instance: &Instance) -> (char, AnsiColors) {
    match instance.stage.to_ascii_lowercase().as_str() {
        "draining" => ('D', AnsiColors::Yellow),
        "drained" | "removed" => ('E', AnsiColors::Cyan),
        "released" => ('.', AnsiColors::BrightBlack),
        "leaving" => ('L', AnsiColors::Yellow),
        "joining" => ('J', AnsiColors::Blue),
        "registered" => ('n', AnsiColors::BrightBlack),
        _ if !instance.healthy => ('!', AnsiColors::Red),
        "ready" => ('r', AnsiColors::Blue),
        "serving" => ('S', AnsiColors::Green),
        _ => ('?', AnsiColors::Red),
    }
}

fn shorten(text: &str) -> String {
    match text.char_indices().nth(WAITS_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

const REDRAW: Duration = Duration::from_millis(500);
const APPEND: Duration = Duration::from_secs(2);
/// So that a frame's lines do not wrap on a terminal of 80 columns.
const WAITS_CHARS_MAX: usize = 60;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_says_it_all_without_colour() {
        let view: View = serde_json::from_str(
            r#"{"services":[{"name":"web","versions":[{"name":"v1","weight":90.0},{"name":"v2","weight":10.0}],
                "instances":[{"id":"v1-0","version":"v1","stage":"draining","healthy":true},
                             {"id":"v1-1","version":"v1","stage":"serving","healthy":true},
                             {"id":"v2-0","version":"v2","stage":"serving","healthy":false}]}],
                "rollouts":[{"name":"web-v2","phase":"Draining","done":0,"total":2,
                             "blockers":[{"text":"edge-1 has 3 requests in progress on v1-0"}]}]}"#,
        )
        .unwrap();
        let frame = Frame {
            view: &view,
            service: "web",
            rollout: "web-v2",
            control_plane: true,
            requests: 12,
            failed: 0,
        };
        let plain =
            lines(&frame, 1600.0).map(|line| anstream::adapter::strip_str(&line).to_string());
        assert_eq!(
            plain,
            [
                "v1 DS 90 %  v2 ! 10 %  Draining 0/2",
                " 1600 rps  12 requests  0 failed",
                "waits: edge-1 has 3 requests in progress on v1-0",
            ]
        );
        let down = Frame {
            control_plane: false,
            ..frame
        };
        assert_eq!(lines(&down, 0.0)[2], "the control plane is down");
    }
}
