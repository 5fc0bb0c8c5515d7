//! The nouns: what users declare, what is observed, and the plan that follows from both.
//!
//! Values only. Everything here is parsed at an edge (`spec`, `discovery`, `xds`) and trusted inside.
//! Knows no Envoy type, no clock, no socket, no file.

mod address;
mod calendar;
mod documents;
mod gate;
mod gateway;
mod hook;
mod instance;
mod name;
mod overlay;
mod plan;
mod policy;
mod principal;
mod proxy;
mod quantity;
mod retention;
mod rollout;
mod service;
mod serving;
mod session;
mod strategy;
mod time;

pub use address::{Address, BadAddress, HostAddress};
pub use calendar::{BadCalendar, DateText, WeekTime, Window, WindowSpan, Zone};
pub use documents::{Documents, Kind};
pub use gate::{
    BUILT_IN_GATE, BadBurn, BadCode, BadVariable, Burn, Check, CodeRange, Codes, FALSE_ALARM, Gate,
    GrpcCode, InTime, MIN_EFFECT, Metric, OnOneBadBox, OnUnsure, OnWorse, PROVE_WITHIN,
    SLOWER_TOLERATED, Variable, Variables, Webhook,
};
pub use gateway::{Gateway, Listener, ProxySelector, Route};
pub use hook::{Each, Hook, KeySource, OnFail, RolloutHook, When};
pub use instance::{Instance, Locality, excluded};
pub use name::{
    AliasName, BadName, GateName, GatewayName, InstanceId, PolicyName, ProxyId, RequestKey,
    RolloutName, SecretName, ServiceName, VersionName,
};
pub use overlay::{Help, Overlay, OverlayFault, OverlayPart, Step};
pub use plan::{
    Endpoint, EndpointState, Generation, NamedEndpoint, Plan, ServicePlan, VersionPlan,
};
pub use policy::{Freeze, MayVerb, Policy, Question};
pub use principal::{BadPrincipal, Principal};
pub use proxy::{Client, Nack, ProxyIdentity, REPORT_BY_LRS, REPORT_METADATA};
pub use quantity::{Amount, BadQuantity, Rps, Share, Weight, counted, split_weights};
pub use retention::Retention;
pub use rollout::{Bake, Rollout};
pub use service::{
    Delivery, Drain, HealthCheck, InstanceSource, LostProxies, Probe, Protocol, Service, ThenDo,
    UpstreamTls, VersionLabel,
};
pub use serving::{Lifetimes, Limits, TlsFiles};
pub use session::{Moves, SessionKey, Sessions};
pub use strategy::{
    Approval, BadPick, BlueGreen, Order, Pick, PlaceName, Rolling, RolloutStep, Spread, Stay,
    StepAction, Steps, Strategy, Then, Wave, Waves,
};
pub use time::{BadSpan, Span, Time};
