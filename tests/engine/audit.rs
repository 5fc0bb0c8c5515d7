//! What the journal says afterwards: who asked, what changed, and what is let go.

use tidegate::domain::Span;
use tidegate::engine::{Entry, Record};

use crate::sample::{name, rollout};
use crate::stories::{drain, ended, finish, fleet, stage, undrain};
use crate::world::World;

#[test]
fn an_ended_rollout_leaves_the_state_once_no_document_names_it() {
    let mut world = fleet(2, 1);
    world.keep_ended(Span::secs(30));
    world.roll(rollout("next", "v2"));
    finish(&mut world);
    let listed = |world: &World| world.engine.state().rollouts.len();
    let journaled = world.truth.journal.len();
    world.run(60);
    assert_eq!(listed(&world), 1, "its document would start it anew");
    world.edit(|documents| {
        documents
            .services
            .values_mut()
            .for_each(|service| service.drain.at_most = Span::secs(61));
    });
    world.run(5);
    assert!(ended(&world, "next"), "and an edit elsewhere does not");

    world.edit(|documents| documents.rollouts.clear());
    world.run(1);
    assert_eq!(listed(&world), 0);
    let forgotten = |entry: &&Entry| matches!(entry.record, Record::RolloutForgotten { .. });
    let written = world.truth.journal[journaled..].iter();
    assert_eq!(written.filter(forgotten).count(), 1);
    world.crash();
    assert_eq!(listed(&world), 0);
    world.connect(&name("edge-0"));
    world.roll(rollout("next", "v3"));
    finish(&mut world);
    assert_eq!(world.serving("v3"), 2);
}

#[test]
fn who_asked_and_why_is_written_before_what_follows() {
    let mut world = fleet(3, 1);
    drain(&mut world, "v1-0").unwrap();
    world.until("it is out", 60, stage("v1-0", "released"));
    undrain(&mut world, "v1-0").unwrap();
    let asked = |record: &Record| match record {
        Record::DrainAsked { instance, by, .. } => Some(format!("drain {instance} {by}")),
        Record::UndrainAsked { instance, by, .. } => Some(format!("undrain {instance} {by}")),
        Record::InstanceMoved { instance, to, .. } if instance.as_str() == "v1-0" => {
            Some(to.to_string())
        }
        _ => None,
    };
    let journal = world.truth.journal.iter();
    let said: Vec<String> = journal.filter_map(|entry| asked(&entry.record)).collect();
    let at = said.iter().position(|word| word.starts_with("drain"));
    let said = said[at.unwrap()..].join(", ");
    assert_eq!(
        said,
        "drain v1-0 ada, leaving, draining, drained, removed, released, \
         undrain v1-0 ada, registered, ready, joining"
    );
}

#[test]
fn a_document_change_says_which_documents() {
    let mut world = fleet(2, 1);
    world.roll(rollout("next", "v2"));
    world.edit(|documents| documents.rollouts.clear());
    let changes = world
        .truth
        .journal
        .iter()
        .filter_map(|entry| match &entry.record {
            Record::DocumentsApplied { changes, .. } => Some(changes.join(", ")),
            _ => None,
        });
    let changes: Vec<String> = changes.collect();
    assert_eq!(
        changes[1..],
        ["Rollout next created", "Rollout next deleted"]
    );
}
