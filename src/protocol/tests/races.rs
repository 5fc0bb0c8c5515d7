//! What crosses on its way, and what is left over of it. Each was found by a random story.

use super::*;

const ALL: &str = "xdstp://t/e/*";
const MEMBER: &str = "m:xdstp://t/e/a@1";

#[test]
fn endpoints_that_a_client_brings_are_told_again_when_their_cluster_came_before_it_said_so() {
    let mut story = Story::new(Variant::Delta);
    story.snapshot(7, "c:a@2 c:b@1 e:a@1 e:b@1");
    assert_eq!(story.ask('c', "a=1 b=1"), "c a@2");
    assert_eq!(story.ask('e', "a=1 b=1"), "e a@1", "cluster a warms");
}

#[test]
fn a_collection_is_told_empty_when_it_is_and_only_then() {
    let mut story = Story::new(Variant::Delta);
    story.snapshot(1, "m:other@1");
    assert_eq!(story.ask('m', "other"), "m other@1");
    assert_eq!(story.ask('m', ALL), "");
    let both = format!("m:other@1 {MEMBER}");
    assert_eq!(story.grown(2, &both), "");
    assert_eq!(story.ack('m'), "m xdstp://t/e/a@1");
    assert_eq!(story.ack('m'), "");
    assert_eq!(story.grown(3, "m:other@1"), format!("m -{ALL}"));
    assert_eq!(story.ack('m'), "m -xdstp://t/e/a");
}

#[test]
fn who_asks_for_a_collection_anew_is_told_of_all_that_is_in_it() {
    let mut story = Story::new(Variant::Delta);
    story.snapshot(1, MEMBER);
    for again in [false, true] {
        assert_eq!(story.ask('m', ALL), "m xdstp://t/e/a@1", "{again}");
        story.ack('m');
    }
    let mut back = Story::new(Variant::Delta);
    back.snapshot(1, MEMBER);
    let brings = "xdstp://t/e/a=1 xdstp://t/e/*";
    assert_eq!(back.ask('m', brings), "", "it holds it");
}

#[test]
fn what_was_refused_is_tried_without_what_is_not_wanted_any_more() {
    // Dropped after the refusal, dropped before it arrives, gone before it arrives.
    for (before, after, exist) in [
        ("", "-bad", "e:bad@1 e:good@1"),
        ("-bad", "", "e:bad@1 e:good@1"),
        ("", "", "e:good@1"),
    ] {
        let mut story = Story::new(Variant::Delta);
        story.snapshot(1, "e:bad@1 e:good@1");
        assert_eq!(story.ask('e', "bad good"), "e bad@1 good@1");
        let mut sent = Vec::new();
        if !before.is_empty() {
            sent.push(story.ask('e', before));
        }
        if exist == "e:good@1" {
            sent.push(story.snapshot(2, exist));
        }
        sent.push(story.nack('e'));
        if !after.is_empty() {
            sent.push(story.ask('e', after));
        }
        let sent = sent.concat();
        assert!(sent.contains("good@1"), "{before:?} {after:?}: {sent}");
    }
}

#[test]
fn asking_for_one_thing_that_was_refused_tries_all_that_was_refused_with_it() {
    let mut story = Story::new(Variant::Delta);
    story.snapshot(1, "e:bad@1 e:good@1");
    story.ask('e', "bad good");
    story.nack('e');
    assert_eq!(story.ask('e', "bad"), "e bad@1 good@1");
    story.ack('e');
    story.stream.retry();
    assert_eq!(
        story.sent(),
        "",
        "what was accepted since is not tried again"
    );
}

#[test]
fn what_is_dropped_and_wanted_again_while_it_is_under_way_is_taken_away_when_it_goes() {
    let mut story = Story::new(Variant::Delta);
    story.snapshot(1, "r:a@1");
    assert_eq!(story.ask('r', "a"), "r a@1");
    assert_eq!(story.ask('r', "-a"), "");
    assert_eq!(story.ask('r', "*"), "");
    assert_eq!(story.snapshot(2, ""), "");
    assert_eq!(story.ack('r'), "r");
    assert_eq!(story.ack('r'), "r -a");
}

#[test]
fn a_removal_is_told_once_though_it_was_asked_for_meanwhile() {
    let mut story = Story::settled(Variant::Delta);
    story.ask('c', "*");
    story.snapshot(2, "e:a@1 l:in@1 r:main@1");
    assert_eq!(story.ask('c', "a"), "");
    assert_eq!(story.ack('c'), "c -a");
    story.ack('c');
    assert_eq!(story.ask('c', "-*"), "");
}

#[test]
fn a_whole_set_is_not_repeated_to_leave_out_what_it_never_had() {
    let mut story = Story::new(Variant::Sotw);
    story.snapshot(1, "c:bad@1");
    story.ask('c', "");
    story.nack('c');
    assert_eq!(story.snapshot(2, "c:good@1"), "c good@1");
    assert_eq!(story.ack('c'), "");
}

#[test]
fn what_a_sotw_client_brings_is_not_taken_away_by_what_it_refuses() {
    let mut story = Story::new(Variant::Sotw);
    story.snapshot(1, "c:a@1");
    story.ask('c', "a b");
    story.ack('c');
    let mut back = Story::new(Variant::Sotw);
    back.last = story.last;
    back.snapshot(2, "c:a@1 c:b@1 c:c@1");
    assert_eq!(back.ask('c', "a b"), "c a@1 b@1");
    assert_eq!(back.nack('c'), "");
    assert_eq!(
        back.ask('c', "a b c"),
        "c a@1 b@1 c@1",
        "all, or it loses a"
    );
}
