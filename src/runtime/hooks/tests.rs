//! Hooks that really run, and really are posted to.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::*;
use crate::domain::{KeySource, Span, Time, When};
use crate::engine::{HookAction, Moment, Portion};

fn call() -> HookCall {
    HookCall {
        key: "k".into(),
        action: HookAction::Start,
        service: "cart".parse().unwrap(),
        instance: "i-1".parse().unwrap(),
        version: "v2".parse().unwrap(),
    }
}

fn ask() -> HookAsk {
    HookAsk {
        key: "next-1/before/batch/eu/2/1".into(),
        hook: "ci".into(),
        at: Time::UNIX_EPOCH,
        rollout: "next".parse().unwrap(),
        service: "cart".parse().unwrap(),
        from: "v1".parse().unwrap(),
        to: "v2".parse().unwrap(),
        moment: Moment {
            when: When::Before,
            of: Portion::Batch {
                number: 2,
                place: Some(crate::domain::PlaceName("eu".into())),
            },
        },
    }
}

fn exec(argv: &[&str], timeout: Span) -> Hook {
    Hook::Exec {
        argv: argv.iter().map(|word| (*word).to_owned()).collect(),
        timeout,
    }
}

#[tokio::test]
async fn a_program_gets_its_arguments_filled_in_and_fails_with_its_words() {
    for (argv, result) in [
        (
            &[
                "test",
                "start i-1 v2 cart",
                "=",
                "{action} {instance} {version} {service}",
            ][..],
            Ok(String::new()),
        ),
        (&["echo", "{instance} is up"], Ok("i-1 is up".to_owned())),
        (
            &[
                "sh",
                "-c",
                "echo no room for $TIDEGATE_INSTANCE >&2; exit 3",
            ],
            Err("`sh` ended with exit status: 3: no room for i-1".to_owned()),
        ),
    ] {
        let hook = exec(argv, Span::secs(60));
        assert_eq!(work(&hook, &call()).await, result);
    }
}

#[tokio::test]
async fn a_program_has_a_say_by_its_exit_code() {
    let told = "next cart v1 v2 before batch eu 2 next-1/before/batch/eu/2/1 3";
    let script = "echo $TIDEGATE_ROLLOUT $TIDEGATE_SERVICE $TIDEGATE_FROM $TIDEGATE_TO \
                  $TIDEGATE_WHEN $TIDEGATE_EACH $TIDEGATE_PLACE $TIDEGATE_NUMBER $TIDEGATE_KEY \
                  $TIDEGATE_ATTEMPT";
    for (script, answer) in [
        (script, HookAnswer::Passes(told.to_owned())),
        (
            "echo not before {number} pm; exit 75",
            HookAnswer::Holds("not before 2 pm".to_owned()),
        ),
        (
            "echo tests run; echo 2 of 9 fail >&2; exit 1",
            HookAnswer::Fails("`sh` ended with exit status: 1: 2 of 9 fail".to_owned()),
        ),
        (
            "kill -9 $$",
            HookAnswer::Silent("`sh` ended with signal: 9 (SIGKILL)".to_owned()),
        ),
    ] {
        let hook = exec(&["sh", "-c", script], Span::secs(60));
        assert_eq!(say(&hook, &ask(), 3).await, answer);
    }
    let nowhere = say(&exec(&["/nowhere"], Span::secs(60)), &ask(), 1).await;
    let silent = HookAnswer::Silent(
        "`/nowhere` does not run: No such file or directory (os error 2)".to_owned(),
    );
    assert_eq!(nowhere, silent);
}

#[tokio::test]
async fn a_program_that_takes_too_long_is_ended_and_its_last_words_kept() {
    let hook = exec(&["sleep", "600"], Span::millis(50));
    let error = Err("no answer within 50ms".to_owned());
    assert_eq!(work(&hook, &call()).await, error);

    let hook = exec(
        &["sh", "-c", "echo still at it; exec sleep 600"],
        Span::secs(2),
    );
    let error = "no answer within 2s, after still at it".to_owned();
    assert_eq!(say(&hook, &ask(), 1).await, HookAnswer::Silent(error));
}

#[tokio::test]
async fn what_a_program_has_started_ends_with_it_when_it_takes_too_long() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("started");
    let script = format!("sleep 600 & echo $! > '{}'; wait", path.display());
    let hook = exec(&["sh", "-c", &script], Span::secs(3));
    let error = Err("no answer within 3s".to_owned());
    assert_eq!(work(&hook, &call()).await, error);
    let started = fs_err::read_to_string(path).unwrap();
    let status = format!("/proc/{}/stat", started.trim());
    let runs = || fs_err::read_to_string(&status).is_ok_and(|it| !it.contains(") Z "));
    let ends = async {
        while runs() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let ended = tokio::time::timeout(Duration::from_mins(1), ends).await;
    assert!(ended.is_ok(), "it runs on");
}

/// Each takes one of two places, and fails where there is none.
#[tokio::test]
async fn no_more_calls_than_the_limit_are_made_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let script =
        "for place in a b; do mkdir $place 2>/dev/null && rmdir $place && exit; done; exit 1";
    let script = format!("cd '{}'; {script}", directory.path().display());
    let (sender, mut events) = mpsc::channel(64);
    let hooks = Hooks::taking_turns(Tasks::new(), sender, 2);
    let hook = exec(&["sh", "-c", &script], Span::secs(60));
    for _ in 0..20 {
        hooks.call(hook.clone(), call());
        hooks.consult(exec(&["true"], Span::secs(60)), ask(), 1);
    }
    let (mut worked, mut said) = (0, 0);
    while worked + said < 40 {
        let event = tokio::time::timeout(Duration::from_mins(1), events.recv()).await;
        match event.unwrap().unwrap() {
            Event::HookDone { result, .. } => {
                result.unwrap();
                worked += 1;
            }
            Event::HookSaid { answer, .. } => {
                assert_eq!(answer, HookAnswer::Passes(String::new()));
                said += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((worked, said), (20, 20));
}

/// A program may start an instance and end; what it has started still holds its output.
#[tokio::test]
async fn what_a_program_leaves_running_is_not_waited_for() {
    let hook = exec(&["sh", "-c", "sleep 30 & echo started"], Span::secs(20));
    assert_eq!(work(&hook, &call()).await, Ok("started".to_owned()));
}

#[tokio::test]
async fn of_many_words_the_last_are_kept() {
    let hook = exec(&["sh", "-c", "seq 1 200000; echo the end"], Span::secs(60));
    let said = work(&hook, &call()).await.unwrap();
    assert!(said.ends_with("200000\nthe end"), "{said}");
    assert!(said.len() <= WORDS_BYTES_MAX, "{}", said.len());
}

/// Answers each connection with the next of `answers`, and gives what was asked.
async fn answering(answers: &'static [&'static str]) -> (String, JoinSet<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/smoke", listener.local_addr().unwrap());
    let mut server = JoinSet::new();
    server.spawn(async move {
        let mut requests = Vec::new();
        for answer in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            // The body is a JSON object, and nothing before it has a brace.
            while !request.ends_with(b"}") {
                assert!(stream.read_buf(&mut request).await.unwrap() > 0);
            }
            requests.push(String::from_utf8(request).unwrap());
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
        requests
    });
    (url, server)
}

#[tokio::test]
async fn an_address_is_told_everything_and_signed() {
    let answers = &[
        "HTTP/1.1 200 OK\r\ncontent-length: 41\r\n\r\n{\"answer\":\"hold\",\"why\":\"not before noon\"}",
        "HTTP/1.1 503 Busy\r\ncontent-length: 4\r\n\r\nbusy",
        "HTTP/1.1 204 No Content\r\n\r\n",
    ];
    let (url, mut server) = answering(answers).await;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key");
    fs_err::write(&path, "what only both know\n").unwrap();
    let hook = |file: &std::path::Path| Hook::Post {
        url: url.clone(),
        headers: BTreeMap::from([("authorization".to_owned(), "Bearer t".to_owned())]),
        timeout: Span::secs(60),
        sign: Some(KeySource::File(file.display().to_string())),
    };
    let lost = say(&hook(&directory.path().join("none")), &ask(), 1).await;
    assert!(
        matches!(&lost, HookAnswer::Silent(why) if why.starts_with("there is no key: ")),
        "{lost:?}"
    );
    let mut said = Vec::new();
    for attempt in 1..=3 {
        said.push(say(&hook(&path), &ask(), attempt).await);
    }
    assert_eq!(
        said,
        [
            HookAnswer::Holds("not before noon".to_owned()),
            HookAnswer::Silent("answered 503 Service Unavailable: busy".to_owned()),
            HookAnswer::Passes(String::new()),
        ]
    );
    let requests = server.join_next().await.unwrap().unwrap();
    for (request, attempt) in requests.iter().zip(1..) {
        let (head, body) = request.split_once("\r\n\r\n").unwrap();
        for line in [
            "POST /smoke HTTP/1.1",
            "content-type: application/json",
            "authorization: Bearer t",
            "x-tidegate-key: next-1/before/batch/eu/2/1",
            &format!("x-tidegate-attempt: {attempt}"),
            &format!("x-tidegate-signature: {}", signature_of(body)),
        ] {
            assert!(head.lines().any(|found| found == line), "{line}:\n{head}");
        }
        assert_eq!(
            body,
            r#"{"key":"next-1/before/batch/eu/2/1","hook":"ci","at":"1970-01-01T00:00:00Z","rollout":"next","service":"cart","from":"v1","to":"v2","when":"before","each":"batch","number":2,"place":"eu"}"#
        );
    }
}

/// As the other side computes it.
fn signature_of(body: &str) -> String {
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, b"what only both know");
    let tag = ring::hmac::sign(&key, body.as_bytes());
    let digits = tag.as_ref().iter().map(|byte| format!("{byte:02x}"));
    format!("sha256={}", digits.collect::<String>())
}

#[tokio::test]
async fn an_address_that_does_not_answer_is_silent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let hook = Hook::Post {
        url: format!("http://{}/", listener.local_addr().unwrap()),
        headers: BTreeMap::new(),
        timeout: Span::from(Duration::from_millis(50)),
        sign: None,
    };
    let answer = say(&hook, &ask(), 1).await;
    assert_eq!(
        answer,
        HookAnswer::Silent("no answer within 50ms".to_owned())
    );
    drop(listener);
    let answer = say(&hook, &ask(), 1).await;
    assert!(
        matches!(&answer, HookAnswer::Silent(why) if why.starts_with("does not answer: ")),
        "{answer:?}"
    );
}
