//! Secrets for proxies: a certificate with its key, or CAs to trust, as Envoy's `Secret`; and who asks
//! for which.
//!
//! In go PEM texts that have been checked, out come resources like any other: encoded once, named by
//! their content. Which proxies may have one follows from a plan alone: those whose settings ask for it
//! on the aggregated stream, and nobody else.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use envoy_types::pb::envoy::config::core::v3::DataSource;
use envoy_types::pb::envoy::config::core::v3::data_source::Specifier;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::secret::Type;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::{
    CertificateValidationContext, Secret, TlsCertificate,
};
use prost::Message;

use super::overlay::overlay_secrets;
use super::{Resource, ResourceKind, encode};
use crate::domain::{Gateway, Overlay, Plan};

/// Who asks for each secret, in words: `gateway edge`, `service cart`.
pub type SecretUsers = BTreeMap<String, BTreeSet<String>>;

/// A certificate, those between it and its CA, and its private key, each as PEM text.
pub fn tls_certificate(name: &str, chain: &str, key: &str) -> Arc<Resource> {
    secret(
        name,
        Type::TlsCertificate(TlsCertificate {
            certificate_chain: Some(inline(chain)),
            private_key: Some(inline(key)),
            ..TlsCertificate::default()
        }),
    )
}

/// The CAs that sign whom a proxy is to believe, as PEM text.
pub fn validation_context(name: &str, cas: &str) -> Arc<Resource> {
    secret(
        name,
        Type::ValidationContext(CertificateValidationContext {
            trusted_ca: Some(inline(cas)),
            ..CertificateValidationContext::default()
        }),
    )
}

fn secret(name: &str, content: Type) -> Arc<Resource> {
    let secret = Secret {
        name: name.to_owned(),
        r#type: Some(content),
    };
    encode::resource(ResourceKind::Secret, name, secret.encode_to_vec())
}

fn inline(text: &str) -> DataSource {
    DataSource {
        specifier: Some(Specifier::InlineString(text.to_owned())),
        ..DataSource::default()
    }
}

/// The secrets that a plan's proxies will ask for, and on whose account.
pub fn secret_users(plan: &Plan) -> SecretUsers {
    let mut users = SecretUsers::new();
    for gateway in &plan.gateways {
        add_users(&mut users, &asked_by_gateway(gateway), || {
            format!("gateway {}", gateway.name)
        });
    }
    for service in &plan.services {
        add_users(&mut users, &asked_by(service.overlay.as_ref()), || {
            format!("service {}", service.name)
        });
    }
    users
}

/// Notes that somebody asks for these secrets.
pub(super) fn add_users(
    users: &mut SecretUsers,
    names: &BTreeSet<String>,
    who: impl Fn() -> String,
) {
    for name in names {
        users.entry(name.clone()).or_default().insert(who());
    }
}

/// What the settings of a gateway, of its listeners and of their routes ask for.
pub(super) fn asked_by_gateway(gateway: &Gateway) -> BTreeSet<String> {
    let routes = gateway.listeners.iter().flat_map(|it| &it.routes);
    let listeners = gateway.listeners.iter().map(|it| it.overlay.as_ref());
    let all = listeners.chain(routes.map(|it| it.overlay.as_ref()));
    let all = all.chain([gateway.overlay.as_ref()]);
    all.flat_map(asked_by).collect()
}

/// What these settings ask for.
pub(super) fn asked_by(overlay: Option<&Overlay>) -> BTreeSet<String> {
    let parts = overlay.iter().flat_map(|overlay| &overlay.0);
    parts
        .flat_map(|(part, json)| overlay_secrets(*part, json))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::{Shown, samples};
    use super::*;
    use crate::domain::OverlayPart;

    const KEY: &str = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n";

    #[test]
    fn a_key_is_told_to_proxies_and_shown_to_nobody() {
        let resource = tls_certificate("edge", "chain", KEY);
        let contains = |bytes: &[u8]| bytes.windows(KEY.len()).any(|part| part == KEY.as_bytes());
        assert!(contains(&resource.sotw_field) && contains(&resource.delta_field));
        assert!(!format!("{resource:?}").contains("PRIVATE"));
        let shown = Shown::of(&resource).unwrap().json().unwrap();
        assert_eq!(
            shown.to_string(),
            r#"{"@type":"type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret","name":"edge","tls_certificate":{"certificate_chain":{"inline_string":"chain"},"private_key":{"inline_string":"[redacted]"}}}"#
        );
        let shown = Shown::of(&validation_context("edge/ca", "cas")).unwrap();
        assert_eq!(
            shown.json().unwrap()["validation_context"]["trusted_ca"]["inline_string"],
            "cas"
        );
    }

    #[test]
    fn versions_follow_content() {
        let version = |key| tls_certificate("edge", "chain", key).version.clone();
        assert_eq!(version("1"), version("1"));
        assert_ne!(version("1"), version("2"));
    }

    #[test]
    fn users_are_those_whose_settings_ask() {
        let mut plan = samples::plan();
        assert_eq!(secret_users(&plan), SecretUsers::new());
        plan.services[0].overlay = Some(samples::overlay(
            OverlayPart::Cluster,
            &samples::tls("UpstreamTlsContext", "shared"),
        ));
        let listener = &mut plan.gateways[0].listeners[0];
        let downstream = |name| samples::tls("DownstreamTlsContext", name);
        listener.overlay = Some(samples::overlay(
            OverlayPart::FilterChain,
            &downstream("own"),
        ));
        plan.gateways[0].overlay = Some(samples::overlay(
            OverlayPart::FilterChain,
            &downstream("shared"),
        ));
        let users = secret_users(&plan);
        let words: Vec<String> = users
            .iter()
            .map(|(name, users)| format!("{name}: {users:?}"))
            .collect();
        assert_eq!(
            words,
            [
                r#"own: {"gateway mesh"}"#,
                r#"shared: {"gateway mesh", "service cart"}"#
            ]
        );
    }
}
