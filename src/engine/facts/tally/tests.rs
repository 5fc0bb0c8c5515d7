//! Stories told by hand.

use super::*;

pub(super) const SECOND: u64 = 1_000_000_000;

pub(super) fn at(seconds: u64) -> Time {
    Span::secs(seconds).after(Time::UNIX_EPOCH)
}

pub(super) fn cart() -> ServiceName {
    "cart".parse().unwrap()
}

/// `version 200=5 503=1 …`; words that count something else are named.
pub(super) fn said(text: &str) -> Completed {
    let mut words = text.split(' ');
    let version = words.next().unwrap().parse().unwrap();
    let mut said = Completed::nothing_of(cart(), version);
    for word in words {
        let (what, value) = word.split_once('=').unwrap();
        let value: u64 = value.parse().unwrap();
        match what {
            "all" => said.total = Some(value),
            "class" => (said.codes, said.by_class) = (vec![(500, value)], true),
            "grpc14" => said.grpc.push((14, value)),
            "broken" => said.mishaps.broken = Some(value),
            "late" => said.mishaps.late = Some(value),
            "repeated" => said.mishaps.repeated = Some(value),
            code => said.codes.push((code.parse().unwrap(), value)),
        }
    }
    said
}

pub(super) fn report(since: Option<u64>, second: u64, completed: Vec<Completed>) -> LoadReport {
    LoadReport {
        source: Source::Otlp,
        since,
        read_at_ns: second * SECOND,
        instances: Vec::new(),
        completed,
        attempts: Vec::new(),
    }
}

pub(super) fn hear(tally: &mut Tally, proxy: &str, region: &str, report: &LoadReport) {
    let id = proxy.parse().unwrap();
    let from = Reporter { id: &id, region };
    let is_known = |_: &_, version: &VersionName| version.as_str() != "strange";
    tally.hear(from, report, is_known, at(0));
}

/// `version@region 200+5 …` for all that is taken.
fn taken(tally: &mut Tally) -> String {
    let taken = tally.take(&cart());
    let mut words = Vec::new();
    for (version, by_region) in &taken.answers {
        for (region, answers) in by_region {
            words.push(format!("{version}@{region}"));
            let codes = answers.codes.iter();
            words.extend(codes.map(|(code, more)| format!("{code}+{more}")));
            let others = [("all", answers.total), ("cut", answers.cut)];
            let others = others.into_iter().filter(|(_, more)| *more > 0);
            words.extend(others.map(|(what, more)| format!("{what}+{more}")));
            let grpc = answers.grpc.iter();
            words.extend(grpc.map(|(status, more)| format!("grpc{status}+{more}")));
        }
    }
    words.join(" ")
}

#[test]
fn what_is_new_is_told_once() {
    let mut tally = Tally::default();
    for (since, second, words, want) in [
        (1, 10, "v1 200=100", ""),
        (1, 11, "v1 200=103 503=1", "v1@eu 200+3 503+1"),
        // Repeated, and overtaken.
        (1, 11, "v1 200=103 503=1", ""),
        (1, 10, "v1 200=100", ""),
        // The rest of the same flush.
        (1, 11, "v2 200=7", "v2@eu 200+7"),
        (1, 12, "v1 200=104", "v1@eu 200+1"),
        // Nothing is lost with what was not heard.
        (1, 90, "v1 200=200 503=3", "v1@eu 200+96 503+2"),
        // Another process; it has counted more than the one before.
        (2, 95, "v1 200=300 503=1", "v1@eu 200+300 503+1"),
        (2, 95, "v2 200=1", "v2@eu 200+1"),
        // From before, and very late.
        (1, 10, "v1 200=250", ""),
        (2, 96, "v1 200=301", "v1@eu 200+1"),
        // One version's counters are made anew: 503 has counted nothing yet.
        (2, 97, "v1 200=4", "v1@eu 200+4"),
        (2, 98, "v1 503=2", "v1@eu 503+2"),
        // The clock is set back. What the same process said later cannot be told from what it said before.
        (2, 20, "v1 200=3", ""),
        (2, 21, "v1 200=6", "v1@eu 200+2"),
        (2, 21, "strange 200=6", ""),
    ] {
        let report = report(Some(since), second, vec![said(words)]);
        hear(&mut tally, "edge-1", "eu", &report);
        assert_eq!(taken(&mut tally), want, "{second} {words}");
    }
    assert_eq!(tally.services[&cart()].proxies.len(), 1);
}

#[test]
fn without_a_word_of_its_process_a_count_that_falls_tells() {
    let mut tally = Tally::default();
    for (second, words, want) in [
        (100, "v1 200=100 503=9", ""),
        (101, "v1 200=40 503=10", "v1@ 200+40 503+10"),
        // Set back by more than a report may be late.
        (30, "v1 200=41 503=10", "v1@ 200+41 503+10"),
        (31, "v1 200=42 503=10", "v1@ 200+1"),
    ] {
        hear(
            &mut tally,
            "e",
            "",
            &report(None, second, vec![said(words)]),
        );
        assert_eq!(taken(&mut tally), want, "{second} {words}");
    }
}

#[test]
fn regions_are_kept_apart_and_proxies_added() {
    let mut tally = Tally::default();
    for (second, calls) in [(1, 0), (2, 5)] {
        for (proxy, region) in [("a", "eu"), ("b", "eu"), ("c", "us")] {
            let words = format!("v1 all={calls} 200={calls} grpc14={calls}");
            hear(
                &mut tally,
                proxy,
                region,
                &report(None, second, vec![said(&words)]),
            );
        }
    }
    let want = "v1@eu 200+10 all+10 grpc14+10 v1@us 200+5 all+5 grpc14+5";
    assert_eq!(taken(&mut tally), want);
    assert_eq!(taken(&mut tally), "");
}

#[test]
fn what_was_cut_off_is_what_no_code_explains() {
    for (words, cut) in [
        ("v1 200=9 broken=3", " cut+3"),
        ("v1 200=9 502=3 broken=3", ""),
        ("v1 200=9 502=1 broken=3 repeated=1", " cut+1"),
        ("v1 200=9 504=2 late=3", " cut+1"),
        ("v1 200=9 502=5 504=2 broken=1 late=2", ""),
    ] {
        let mut tally = Tally::default();
        let codes: Vec<&str> = words.split(' ').collect();
        let codes: Vec<&str> = codes[1..]
            .iter()
            .filter(|it| it[..1].parse::<u8>().is_ok())
            .copied()
            .collect();
        let codes = codes.join(" ").replace('=', "+");
        hear(
            &mut tally,
            "e",
            "",
            &report(None, 1, vec![said("v0 200=1")]),
        );
        hear(&mut tally, "e", "", &report(None, 2, vec![said(words)]));
        assert_eq!(taken(&mut tally), format!("v1@ {codes}{cut}"), "{words}");
    }
}

#[test]
fn classes_count_where_codes_are_not_told() {
    let mut tally = Tally::default();
    for (second, words, want) in [
        (1, "v1 class=3", ""),
        (2, "v1 class=5", "v1@ 500+2"),
        (3, "v1 503=6", "v1@ 503+6"),
        (4, "v1 class=7", ""),
    ] {
        hear(
            &mut tally,
            "e",
            "",
            &report(None, second, vec![said(words)]),
        );
        assert_eq!(taken(&mut tally), want, "{words}");
    }
}

#[test]
fn times_are_kept_by_their_edges() {
    let mut tally = Tally::default();
    let mut took = |proxy: &str, second: u64, bounds: &[f64], counts: &[u64]| {
        let mut said = said("v1");
        said.times = Some(Times {
            bounds_ms: bounds.into(),
            counts: counts.to_vec(),
        });
        hear(&mut tally, proxy, "", &report(None, second, vec![said]));
    };
    took("a", 1, &[1.0, 2.0], &[1, 1, 1]);
    took("a", 2, &[1.0, 2.0], &[1, 4, 1]);
    took("b", 1, &[1.0, 2.0], &[0, 0, 0]);
    // A class that falls is no new process.
    took("b", 2, &[1.0, 2.0], &[7, 0, 1]);
    took("b", 3, &[1.0, 2.0], &[6, 0, 1]);
    took("c", 1, &[5.0], &[0, 0]);
    took("c", 2, &[5.0], &[2, 0]);
    took("c", 3, &[5.0], &[9, 9, 9]);
    let taken = tally.take(&cart());
    let answers = &taken.answers[&"v1".parse().unwrap()][""];
    let times = answers.times.iter();
    let times: Vec<_> = times
        .map(|it| (it.bounds_ms.to_vec(), it.counts.clone()))
        .collect();
    assert_eq!(
        times,
        [(vec![1.0, 2.0], vec![7, 3, 1]), (vec![5.0], vec![2, 0])]
    );
}

#[test]
fn an_instance_that_moves_is_counted_at_each_of_its_addresses() {
    let mut tally = Tally::default();
    for (second, address, ok, failed) in [
        (1, "a", 5, 0),
        (2, "a", 7, 1),
        (3, "b", 2, 1),
        (4, "b", 3, 1),
    ] {
        let mut report = report(None, second, Vec::new());
        report.attempts.push(Attempts {
            service: cart(),
            version: "v1".parse().unwrap(),
            instance: "i".parse().unwrap(),
            address: address.to_owned(),
            ok: Some(ok),
            failed: Some(failed),
        });
        hear(&mut tally, "e", "", &report);
    }
    let tried = tally.take(&cart()).tried[&"v1".parse().unwrap()][&"i".parse().unwrap()];
    assert_eq!((tried.ok, tried.failed), (2 + 3, 1 + 1));
}

#[test]
fn what_proxies_make_up_or_say_no_more_is_not_kept() {
    let mut tally = Tally::default();
    hear(
        &mut tally,
        "e",
        "",
        &report(None, 1, vec![said("strange 200=1")]),
    );
    assert!(tally.services.is_empty());
    hear(
        &mut tally,
        "e",
        "",
        &report(None, 1, vec![said("v1 200=1"), said("v2 200=1")]),
    );
    for second in 2..3_000 {
        hear(
            &mut tally,
            "e",
            "",
            &report(None, second, vec![said("v1 200=1")]),
        );
    }
    let kept = &tally.heard(&cart())[0].completed;
    assert_eq!(kept.len(), 1, "{kept:?}");
    tally.tidy(at(3_600), |_, _| true);
    assert!(tally.services.is_empty());
}
