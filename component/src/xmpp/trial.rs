//! Shell: a login for its own sake, to find out whether the server would have us.

use std::time::Duration;

use thiserror::Error;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::link::LinkConfig;
use super::login::{self, LoginError};

/// From the first packet to the end of the stream.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why the server would not have us; says so in words for an operator.
#[derive(Debug, Error)]
#[error(transparent)]
pub struct LoginRefused(LoginError);

/// Logs in once and closes the stream again. A component that is connected already may be the one that is refused:
/// servers let only one at a time hold a domain.
pub async fn try_login(config: &LinkConfig) -> Result<(), LoginRefused> {
    let login = async {
        let stream = TcpStream::connect(&config.server).await?;
        let mut stream = login::log_in(stream, &config.domain, &config.secret)
            .await?
            .stream;
        // Accepted is accepted, however the goodbye goes.
        let _ = stream.write_all(b"</stream:stream>").await;
        let _ = stream.shutdown().await;
        Ok(())
    };
    timeout(PATIENCE, login)
        .await
        .unwrap_or(Err(LoginError::TimedOut))
        .map_err(LoginRefused)
}
