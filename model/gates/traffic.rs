//! Streams of requests to two versions, second by second, drawn from a seed.

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use rand_distr::{Binomial, Distribution as _, LogNormal, Poisson};
use tidegate::gates::{Answers, Counts, Histogram, Period};

/// How errors come.
#[derive(Clone, Copy, Debug)]
pub enum Errors {
    /// Each request by itself.
    Alone,
    /// So many at a time, all of one version.
    Bursts(u64),
    /// One burst in five has ten, all others are alone.
    Mixed,
}

/// What happens to both versions.
#[derive(Clone, Copy, Debug)]
pub enum Weather {
    Calm,
    /// The share of errors moves between a twentieth of a percent and a little over one.
    Drift,
    /// A fifth of all requests fails for three minutes, from the fifth minute on.
    Outage,
}

/// How long the new version takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Slow {
    /// Nobody looks at times.
    Untold,
    /// As long as the stable one.
    Same,
    /// So many times as long.
    Times(f64),
    /// So many of a hundred take half a second more.
    Tail(f64),
}

/// What is played.
#[derive(Clone, Copy, Debug)]
pub struct Scene {
    pub rps: f64,
    /// The new version's share of the traffic.
    pub weight: f64,
    /// The share of errors of the stable version.
    pub bad: f64,
    /// So much more fails of the new version.
    pub worse_by: f64,
    pub errors: Errors,
    pub weather: Weather,
    pub slow: Slow,
    /// Instances of the new version.
    pub boxes: usize,
    /// The first of them fails so often besides.
    pub sick: f64,
}

impl Scene {
    pub const PLAIN: Self = Self {
        rps: 200.0,
        weight: 0.1,
        bad: 0.001,
        worse_by: 0.0,
        errors: Errors::Alone,
        weather: Weather::Calm,
        slow: Slow::Untold,
        boxes: 0,
        sick: 0.0,
    };
}

/// The edges that `tidegate bootstrap` prints, as far as they matter here.
pub const EDGES: [f64; 40] = [
    0.5, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 10.0, 12.0, 15.0, 17.0, 20.0, 25.0, 30.0, 35.0,
    40.0, 50.0, 60.0, 70.0, 80.0, 100.0, 120.0, 150.0, 170.0, 200.0, 250.0, 300.0, 350.0, 400.0,
    500.0, 600.0, 700.0, 800.0, 1000.0, 2000.0, 5000.0, 10000.0, 30000.0,
];

/// A stream, from its seed.
pub struct Stream {
    scene: Scene,
    rng: StdRng,
    times: LogNormal<f64>,
    second: u64,
}

impl Stream {
    pub fn new(scene: Scene, seed: u64) -> Self {
        Self {
            scene,
            rng: StdRng::seed_from_u64(seed),
            // Half of all take 50 ms, and one in a hundred 160 ms.
            times: LogNormal::new(50.0_f64.ln(), 0.5).expect("a distribution"),
            second: 0,
        }
    }

    /// What the stable version answers alone in a second, before the rollout.
    pub fn before(&mut self) -> Answers {
        let all = self.draw(self.scene.rps);
        let bad = self.failures(all, self.scene.bad);
        self.answers(all, bad, Slow::Same)
    }

    /// What comes of a second of the rollout.
    pub fn next(&mut self) -> Period {
        self.second += 1;
        let Scene {
            rps,
            weight,
            worse_by,
            slow,
            ..
        } = self.scene;
        let all = self.draw(rps);
        let new = Binomial::new(all, weight).map_or(0, |it| it.sample(&mut self.rng));
        let stable = all - new;
        let bad = self.bad();
        let (new_bad, stable_bad) = (
            self.failures(new, bad + worse_by),
            self.failures(stable, bad),
        );
        let (instances, sick_bad) = self.boxes(new, new_bad);
        Period {
            new: self.answers(new, new_bad + sick_bad, slow),
            stable: self.answers(stable, stable_bad, Slow::Same),
            instances,
            stable_attempts: Counts::new(stable, stable_bad),
        }
    }

    /// The requests of the new version fall to its instances by chance; the first one may fail more of its own.
    fn boxes(&mut self, new: u64, bad: u64) -> (Vec<(tidegate::domain::InstanceId, Counts)>, u64) {
        let Scene { boxes, sick, .. } = self.scene;
        let mut left = (new - bad, bad);
        let mut sick_bad = 0;
        let instances = (0..boxes).map(|number| {
            let share = 1.0 / (boxes - number) as f64;
            let mut part =
                |of: u64| Binomial::new(of, share).map_or(0, |it| it.sample(&mut self.rng));
            let (good, mut bad) = (part(left.0), part(left.1));
            left = (left.0 - good, left.1 - bad);
            let all = good + bad;
            if number == 0 && sick > 0.0 {
                sick_bad = Binomial::new(good, sick).map_or(0, |it| it.sample(&mut self.rng));
                bad += sick_bad;
            }
            let id = format!("new-{number}").parse().expect("an id");
            (id, Counts::new(all, bad))
        });
        let instances = instances.collect();
        (instances, sick_bad)
    }

    fn bad(&self) -> f64 {
        let second = self.second as f64;
        match self.scene.weather {
            Weather::Calm => self.scene.bad,
            Weather::Drift => 0.0055 + 0.005 * (second / 600.0 * std::f64::consts::TAU).sin(),
            Weather::Outage if (300.0..480.0).contains(&second) => 0.2,
            Weather::Outage => self.scene.bad,
        }
    }

    fn failures(&mut self, requests: u64, share: f64) -> u64 {
        let expected = requests as f64 * share;
        let failed = match self.scene.errors {
            Errors::Alone => {
                Binomial::new(requests, share.min(1.0)).map_or(0, |it| it.sample(&mut self.rng))
            }
            Errors::Bursts(size) => self.draw(expected / size as f64) * size,
            // On average a burst has 2.8.
            Errors::Mixed => {
                let bursts = self.draw(expected / 2.8);
                (0..bursts)
                    .map(|_| if self.rng.random_bool(0.2) { 10 } else { 1 })
                    .sum()
            }
        };
        failed.min(requests)
    }

    fn draw(&mut self, mean: f64) -> u64 {
        Poisson::new(mean).map_or(0, |it| it.sample(&mut self.rng) as u64)
    }

    fn answers(&mut self, all: u64, bad: u64, slow: Slow) -> Answers {
        let times = if self.scene.slow == Slow::Untold {
            Histogram::default()
        } else {
            let mut counts = vec![0; EDGES.len() + 1];
            for _ in 0..all {
                let took = self.times.sample(&mut self.rng);
                let took = match slow {
                    Slow::Untold | Slow::Same => took,
                    Slow::Times(times) => took * times,
                    Slow::Tail(percent) if self.rng.random_bool(percent / 100.0) => took + 500.0,
                    Slow::Tail(_) => took,
                };
                counts[EDGES.partition_point(|edge| *edge < took)] += 1;
            }
            Histogram::new(EDGES.to_vec(), counts).expect("a histogram")
        };
        Answers {
            total: all,
            http: [(200, all - bad), (503, bad)].into(),
            times,
            ..Answers::default()
        }
    }
}
