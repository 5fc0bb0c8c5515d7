//! How connections begin, are limited and end.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

const ANYBODY: &str = "/may?node=a&cluster=b";

#[tokio::test]
async fn without_certificates_nobody_is_asked() {
    let world = World::new(Limits::default(), calm());
    let client = world.connect().await;
    assert_eq!(client.status_of(ANYBODY).await, "0 yes");
}

#[tokio::test]
async fn a_drain_ends_streams_with_a_reason_and_then_the_port() {
    let world = World::new(Limits::default(), calm());
    let client = world.connect().await;
    let held = client.call("/hold").await.unwrap();
    world.draining.cancel();
    assert!(trailers(held).await.starts_with("this server shuts down"));
    soon(client.ended).await.unwrap();
    soon(world.served).await.unwrap();
    TcpStream::connect(world.address).await.unwrap_err();
}

#[tokio::test]
async fn a_drain_does_not_wait_for_who_does_not_end() {
    let lifetimes = Lifetimes {
        grace: Span::millis(10),
        ..calm()
    };
    let world = World::new(Limits::default(), lifetimes);
    let client = world.connect().await;
    // Reads nothing, so the response cannot end.
    let _flood = client.call("/hold").await.unwrap();
    let silent = TcpStream::connect(world.address).await.unwrap();
    world.until_open(2).await;
    world.draining.cancel();
    soon(world.served).await.unwrap();
    assert_eq!(Counts::of(&world.counts.open), 0);
    drop(silent);
}

#[tokio::test]
async fn a_connection_that_is_old_ends() {
    let lifetimes = Lifetimes {
        age_max: Span::millis(1),
        age_jitter: Span::millis(20),
        ..calm()
    };
    let world = World::new(Limits::default(), lifetimes);
    let client = world.connect().await;
    if let Ok(held) = client.call("/hold").await {
        assert!(trailers(held).await.contains("connections.ageMax"));
    }
    soon(client.ended).await.unwrap();
    world.until_open(0).await;
}

#[tokio::test]
async fn who_connects_and_asks_nothing_is_closed() {
    let limits = Limits {
        first_request_time: Span::millis(10),
        ..Limits::default()
    };
    let lifetimes = Lifetimes {
        grace: Span::millis(10),
        ..calm()
    };
    let world = World::new(limits, lifetimes);
    let mut mute = TcpStream::connect(world.address).await.unwrap();
    let client = world.connect().await;
    soon(client.ended).await.unwrap();
    // What the server says first may come; then it is over.
    let _ = soon(mute.read_to_end(&mut Vec::new())).await;
    world.until_open(0).await;
}

#[tokio::test]
async fn connections_are_limited_and_a_place_is_free_again_when_one_ends() {
    let limits = Limits {
        connections: 1,
        ..Limits::default()
    };
    let world = World::new(limits, calm());
    let first = world.connect().await;
    assert_eq!(first.status_of(ANYBODY).await, "0 yes");
    let mut second = TcpStream::connect(world.address).await.unwrap();
    let read = soon(second.read_to_end(&mut Vec::new())).await;
    assert!(read.is_err() || read.unwrap() == 0);
    assert_eq!(Counts::of(&world.counts.over_limit), 1);

    let Client { sender, ended } = first;
    drop(sender);
    soon(ended).await.unwrap();
    world.until_open(0).await;
    assert_eq!(world.connect().await.status_of(ANYBODY).await, "0 yes");
}

#[tokio::test]
async fn a_stream_that_nobody_reads_is_cut_and_its_connection_goes_on() {
    let world = World::new(Limits::default(), calm());
    let client = world.connect().await;
    let flood = client.call("/flood").await.unwrap();
    client.call("/cut").await.unwrap();
    let error = soon(async {
        let mut body = flood.into_body();
        loop {
            match body.frame().await {
                Some(Ok(_)) => {}
                Some(Err(error)) => break error,
                None => panic!("it ended as if it were whole"),
            }
        }
    });
    let error = error.await;
    assert!(error.to_string().contains("body"), "{error}");
    assert_eq!(client.status_of(ANYBODY).await, "0 yes");
}

/// The head of HTTP/2 as RFC 9113 has it, with all the room that a client can give, and a call of
/// `/flood`.
const GREEDY: &[&[u8]] = &[
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    // SETTINGS: INITIAL_WINDOW_SIZE is 2^31 - 1.
    b"\0\0\x06\x04\0\0\0\0\0\0\x04\x7f\xff\xff\xff",
    // WINDOW_UPDATE of the connection by nearly as much.
    b"\0\0\x04\x08\0\0\0\0\0\x7f\xf0\0\0",
    // HEADERS, of which no more come: POST, http, a path and an authority.
    b"\0\0\x10\x01\x05\0\0\0\x01\x83\x86\x44\x06/flood\x41\x04port",
];

#[tokio::test]
async fn who_gives_all_room_and_then_reads_nothing_is_dropped() {
    let lifetimes = Lifetimes {
        keepalive_interval: Span::millis(50),
        keepalive_timeout: Span::millis(50),
        ..calm()
    };
    let world = World::new(Limits::default(), lifetimes);
    let mut client = TcpStream::connect(world.address).await.unwrap();
    client.write_all(&GREEDY.concat()).await.unwrap();
    until("it is let in", || Counts::of(&world.counts.opened) == 1).await;
    world.until_open(0).await;
    // It was sent as much as the sockets hold, so it was not dropped for what it said.
    let mut sent = Vec::new();
    let _ = soon(client.read_to_end(&mut sent)).await;
    assert!(sent.len() > 100_000, "{}", sent.len());
}

#[tokio::test]
async fn a_panic_ends_one_stream() {
    let world = World::new(Limits::default(), calm());
    let client = world.connect().await;
    let held = client.call("/hold").await.unwrap();
    client.call("/panic").await.unwrap_err();
    assert_eq!(client.status_of(ANYBODY).await, "0 yes");
    world.draining.cancel();
    trailers(held).await;
}

/// Counts, not times: every one of a fleet that comes at once is served, and none is left behind.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fleet_that_comes_at_once_is_let_in() {
    let count = fleet();
    let lifetimes = Lifetimes {
        drain_window: Span::millis(200),
        ..Lifetimes::default()
    };
    let world = World::new(Limits::default(), lifetimes);
    let come = (0..count).map(|_| async {
        let client = world.connect().await;
        let held = client.call("/hold").await.unwrap();
        (client, held)
    });
    let fleet = futures_util::future::join_all(come).await;
    assert_eq!(Counts::of(&world.counts.open), count);
    world.draining.cancel();
    let told = fleet.into_iter().map(|(client, held)| async {
        let words = trailers(held).await;
        soon(client.ended).await.unwrap();
        words
    });
    for words in futures_util::future::join_all(told).await {
        assert!(words.starts_with("this server shuts down"), "{words}");
    }
    soon(world.served).await.unwrap();
    assert_eq!(Counts::of(&world.counts.opened), count);
}

/// As many clients as the process may have, up to 5,000: each takes two files.
fn fleet() -> usize {
    let limits = fs_err::read_to_string("/proc/self/limits").unwrap_or_default();
    let files = limits
        .lines()
        .find(|line| line.starts_with("Max open files"));
    let most = files.and_then(|line| line.split_whitespace().nth(3)?.parse().ok());
    let most: usize = most.unwrap_or(1024);
    (most / 3).min(5_000)
}
