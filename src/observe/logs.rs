//! Logs: events of `tracing` as lines on stderr, for people or for a collector.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;

/// How a log line is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Why logging could not begin.
#[derive(Debug, thiserror::Error)]
pub enum BadFilter {
    /// The filter is no filter.
    #[error("`{filter}` is not a log filter; write it like `info` or `info,tidegate::xds=debug`")]
    Syntax {
        /// What was given.
        filter: String,
        /// Where it goes wrong.
        #[source]
        source: ParseError,
    },
    /// Somebody in this process logs already.
    #[error("logging has begun already")]
    Begun,
}

/// Sends everything that passes `filter` to stderr from now on; once per process.
pub fn init_logs(filter: &str, format: LogFormat) -> Result<(), BadFilter> {
    let parsed = EnvFilter::try_new(filter).map_err(|source| BadFilter::Syntax {
        filter: filter.to_owned(),
        source,
    })?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(parsed)
        .with_writer(std::io::stderr)
        .with_ansi(
            anstream::AutoStream::choice(&std::io::stderr()) != anstream::ColorChoice::Never,
        );
    match format {
        LogFormat::Text => lines.try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    }
    .map_err(|_| BadFilter::Begun)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_that_is_none_is_named() {
        let error = init_logs("tidegate=loud", LogFormat::Text).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("`tidegate=loud` is not a log filter")
        );
    }
}
