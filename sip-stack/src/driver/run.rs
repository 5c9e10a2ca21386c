//! Shell: the driver's task.

use std::net::SocketAddr;

use tokio::sync::mpsc;

use super::{BindError, Command, DriverConfig, Handler};
use crate::Transport;

pub(super) async fn start(
    config: DriverConfig,
    mut commands: mpsc::Receiver<Command>,
    _handler: Box<dyn Handler>,
) -> Result<Vec<(Transport, SocketAddr)>, BindError> {
    tokio::spawn(async move { while commands.recv().await.is_some() {} });
    Ok(config.listen)
}
