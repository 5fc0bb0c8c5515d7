use crate::sample::*; use crate::world::*; use tidegate::engine::*;use tidegate::domain::*;
#[test]
fn dbg() {
    let mut world = World::new(13984964962283178759, true);
    let mut service = service();
    service.drain.lost_proxies.wait = Span::secs(5);
    world.settle_in(service, 2, 1);
    let mut r = rollout("next", "v2"); r.rolling = rolling(2,0,2);
    world.roll(r);
    for _ in 0..48 { world.step(); }

    for _ in 0..300 { world.step(); }
    for e in &world.truth.journal { match &e.record { Record::Published{..}|Record::InForce{..}|Record::DocumentsApplied{..} => {}, r => println!("{} {}", e.at, serde_json::to_string(r).unwrap().chars().take(220).collect::<String>()) } }
    panic!();
}
