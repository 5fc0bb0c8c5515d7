//! Sessions: what is written and holds, and what contradicts itself.

use super::accepted::{rollout, service};
use super::refused::check;
use crate::domain::{Moves, SessionKey, Sessions, Span};

#[test]
fn sessions_are_kept_as_written() {
    let of = |sessions: &str| {
        service(&format!(
            "{{ instances: {{ from: api }}, sessions: {sessions} }}"
        ))
        .sessions
    };
    assert_eq!(of("{ stickTo: none }"), None);
    assert_eq!(of("{ stickTo: version }"), Some(Sessions::default()));
    let known_by = |key| Sessions {
        key,
        ..Sessions::default()
    };
    let cookie = known_by(SessionKey::Cookie("SID".to_owned()));
    assert_eq!(
        of("{ stickTo: version, key: { cookie: SID } }"),
        Some(cookie)
    );
    let header = known_by(SessionKey::Header("x-user".to_owned()));
    assert_eq!(
        of("{ stickTo: version, key: { header: X-User } }"),
        Some(header)
    );
    assert_eq!(
        of("{ stickTo: version, move: newOnly, ttl: 30m }"),
        Some(Sessions {
            moves: Moves::NewOnly,
            ttl: Some(Span::secs(1800)),
            ..Sessions::default()
        })
    );
    assert!(rollout("{ service: cart, to: v2, stickTo: version }").keeps_sessions);
}

#[test]
fn sessions_that_contradict_themselves_are_told() {
    check(
        "kind: Service
name: cart
spec:
  instances: { from: api }
  sessions: { stickTo: version, move: newOnly, key: { cookie: SID } }
---
kind: Service
name: redis
spec:
  instances: { from: api }
  protocol: tcp
  sessions: { stickTo: version }
---
kind: Service
name: web
spec:
  instances: { from: api }
  sessions: { stickTo: version, key: { cookie: 'a b' } }
---
kind: Service
name: api
spec:
  instances: { from: api }
  sessions: { stickTo: version, key: { query: id } }
---
kind: Service
name: shop
spec:
  instances: { from: api }
  sessions: { stickTo: version, key: cookie }
---
kind: Service
name: till
spec:
  instances: { from: api }
  sessions: { ttl: 30m }
---
kind: Service
name: user
spec:
  instances: { from: api }
  sessions: { stickTo: version, key: { header: x-user }, ttl: 30m }
---
kind: Service
name: news
spec:
  instances: { from: api }
  sessions: { stickTo: version, ttl: 200ms }
---
kind: Service
name: mail
spec:
  instances: { from: api }
  sessions: { stickTo: none, move: newOnly }
",
        &[
            "a.yaml:5:48: `key` does not go with `move: newOnly` (hint: with `newOnly` a client is known by the version in its cookie: remove one of them)",
            "a.yaml:12:3: `sessions` does not go with `protocol: tcp` (hint: a connection stays with its instance as it is: remove it)",
            "a.yaml:18:40: `a b` is not the name of a cookie",
            "a.yaml:24:40: it may be `auto`, `{ cookie: NAME }` or `{ header: NAME }`",
            "a.yaml:30:38: unknown value `cookie`; it may be `auto`, `{ cookie: NAME }` or `{ header: NAME }`",
            "a.yaml:36:3: `sessions` does not say what they stick to (hint: write `stickTo: version`)",
            "a.yaml:42:58: `ttl` does not go with a header (hint: it is the time to live of a cookie: remove one of them)",
            "a.yaml:48:38: a cookie lives for 1s at least (hint: without `ttl` it lives until the client ends)",
        ],
    );
}
