//! What waits for what, what a refusal does, and when a generation is in force.

use super::*;

#[test]
fn additions_go_clusters_endpoints_then_listeners_and_routes() {
    for variant in BOTH {
        let mut story = Story::settled(variant);
        let (cluster, endpoint) = match variant {
            Variant::Delta => ("c b@1", "e a@2"),
            Variant::Sotw => ("c a@1 b@1", "e a@2"),
        };
        let next = "c:a@1 c:b@1 e:a@2 e:b@1 l:in@1 r:main@2";
        assert_eq!(story.snapshot(2, next), format!("{cluster}, {endpoint}"));
        // The proxy asks for the new cluster's endpoints and withholds its ACK until they come.
        assert_eq!(story.ack('e'), "");
        let names = if variant == Variant::Delta {
            "b"
        } else {
            "a b"
        };
        assert_eq!(story.ask('e', names), "e b@1");
        assert_eq!(story.ack('e'), "");
        assert_eq!(story.ack('c'), "r main@2");
        assert_eq!(story.notices(), [""; 0]);
        assert_eq!(story.ack('r'), "");
        assert_eq!(story.notices(), ["in force 2"]);
    }
}

#[test]
fn removals_come_after_the_routes_that_named_them_were_replaced() {
    for (variant, union, last) in [
        (Variant::Delta, "c b@1", "c -a"),
        (Variant::Sotw, "c a@1 b@1", "c b@1"),
    ] {
        let mut story = Story::settled(variant);
        assert_eq!(story.snapshot(2, "c:b@1 e:b@1 l:in@1 r:main@2"), union);
        assert_eq!(story.ack('c'), "r main@2");
        assert_eq!(story.notices(), [""; 0]);
        let removal = story.ack('r');
        assert_eq!(removal, last, "{variant:?}");
        assert_eq!(story.notices(), [""; 0]);
        let forgets = if variant == Variant::Delta {
            "e -a"
        } else {
            ""
        };
        assert_eq!(story.ack('c'), forgets);
    }
}

#[test]
fn a_refused_route_holds_removals_until_it_is_replaced() {
    for variant in BOTH {
        let mut story = Story::settled(variant);
        story.snapshot(2, "c:b@1 e:b@1 l:in@1 r:main@2");
        assert_eq!(story.ack('c'), "r main@2");
        assert_eq!(story.nack('r'), "");
        assert_eq!(story.wait(Limits::default().ack_time), "");
        assert_eq!(story.notices(), ["nacked route 2 main: no good"]);
        assert_eq!(story.snapshot(3, "c:b@1 e:b@1 l:in@1 r:main@3"), "r main@3");
        assert!(story.ack('r').starts_with('c'));
    }
}

#[test]
fn a_refused_cluster_lets_routes_pass_and_is_not_in_force() {
    for variant in BOTH {
        let mut story = Story::settled(variant);
        story.snapshot(2, "c:a@1 c:b@1 e:a@1 l:in@1 r:main@2");
        assert_eq!(story.nack('c'), "r main@2");
        assert_eq!(story.ack('r'), "");
        assert_eq!(story.notices(), ["nacked cluster 2 b: no good"]);
        // The same content is not tried again, by whatever else changes.
        assert_eq!(
            story.snapshot(3, "c:a@1 c:b@1 e:a@2 l:in@1 r:main@2"),
            "e a@2"
        );
        story.ack('e');
        assert_eq!(story.notices(), [""; 0]);
        let fixed = if variant == Variant::Delta {
            "c b@2"
        } else {
            "c a@1 b@2"
        };
        assert_eq!(
            story.snapshot(4, "c:a@1 c:b@2 e:a@2 l:in@1 r:main@2"),
            fixed
        );
        story.ack('c');
        assert_eq!(story.notices(), ["in force 4"]);
    }
}

#[test]
fn sotw_repeats_the_last_accepted_content_of_what_was_refused() {
    let mut story = Story::settled(Variant::Sotw);
    assert_eq!(
        story.snapshot(2, "c:a@bad e:a@1 l:in@1 r:main@1"),
        "c a@bad, e a@1"
    );
    story.nack('c');
    story.ack('e');
    assert_eq!(
        story.snapshot(3, "c:a@bad c:b@1 e:a@1 l:in@1 r:main@1"),
        "c a@1 b@1"
    );
}

#[test]
fn what_was_refused_together_is_tried_together_when_one_changes_or_on_demand() {
    let mut story = Story::new(Variant::Delta);
    story.snapshot(1, "c:a@1 c:b@1");
    assert_eq!(story.ask('c', ""), "c a@1 b@1");
    story.nack('c');
    assert_eq!(story.snapshot(2, "c:a@1 c:b@2"), "c a@1 b@2");
    story.nack('c');
    story.stream.retry();
    assert_eq!(story.sent(), "c a@1 b@2");
    // A name that the client may have taken from a refused response is removed all the same.
    story.nack('c');
    assert_eq!(story.snapshot(3, "c:b@3"), "c b@3");
    assert_eq!(story.ack('c'), "c -a");
}

#[test]
fn a_changed_cluster_gets_its_endpoints_again_at_once() {
    for variant in BOTH {
        let mut story = Story::settled(variant);
        assert_eq!(
            story.snapshot(2, "c:a@2 e:a@1 l:in@1 r:main@1"),
            "c a@2, e a@1"
        );
    }
    // SotW: Envoy asks again with a nonce that it has answered.
    let mut story = Story::settled(Variant::Sotw);
    assert_eq!(story.ack('e'), "e a@1");
    assert_eq!(story.ack('e'), "");
    assert_eq!(
        story.ack('c'),
        "",
        "clusters do not warm by being asked for"
    );
}

#[test]
fn endpoints_never_wait_for_the_ack_of_clusters() {
    for variant in BOTH {
        let mut story = Story::settled(variant);
        story.snapshot(2, "c:a@2 e:a@1 l:in@1 r:main@1");
        story.ack('e');
        assert_eq!(story.snapshot(3, "c:a@3 e:a@2 l:in@1 r:main@1"), "e a@2");
        assert_eq!(story.ack('e'), "");
        assert_eq!(story.ack('c'), "c a@3, e a@2");
    }
}

#[test]
fn a_gate_opens_by_timeout_and_that_is_counted() {
    for variant in BOTH {
        let mut story = Story::settled(variant);
        let sent = story.snapshot(2, "c:a@1 c:b@1 e:a@1 l:in@1 r:main@2");
        assert!(sent.starts_with("c ") && !sent.contains("r "), "{sent}");
        assert_eq!(
            story.stream.next_deadline(story.now),
            Some(GATE_TIMEOUT.after(story.now))
        );
        assert_eq!(story.wait(GATE_TIMEOUT), "r main@2");
        assert_eq!(story.notices(), ["released cluster"]);
        story.ack('r');
        assert_eq!(story.stream.overdue(story.now), None);
        story.wait(Span::secs(45));
        assert_eq!(story.stream.overdue(story.now), Some(ResourceKind::Cluster));
    }
}

#[test]
fn newer_state_coalesces_behind_an_unanswered_response() {
    for variant in BOTH {
        let mut story = Story::settled(variant);
        assert_eq!(story.snapshot(2, "c:a@1 e:a@2 l:in@1 r:main@1"), "e a@2");
        for generation in 3..9 {
            let next = format!("c:a@1 e:a@{generation} l:in@1 r:main@1");
            assert_eq!(story.snapshot(generation, &next), "");
        }
        assert_eq!(story.ack('e'), "e a@8");
        story.ack('e');
        assert_eq!(story.notices(), ["in force 8"]);
    }
}

#[test]
fn an_unchanged_generation_is_in_force_at_once() {
    for variant in BOTH {
        let mut story = Story::settled(variant);
        assert_eq!(story.snapshot(2, "c:a@1 e:a@1 l:in@1 r:main@1"), "");
        assert_eq!(story.notices(), ["in force 2"]);
    }
}
