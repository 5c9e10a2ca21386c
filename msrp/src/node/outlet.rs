//! Shell: the writing half of a connection, in the clear or over TLS.

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    task::{Context, Poll, Waker},
};

use tokio::{
    io::{AsyncWrite, WriteHalf},
    net::{TcpStream, tcp},
};
use tokio_rustls::TlsStream;

/// Writes as much as goes at once, and tells when more will.
pub(super) trait Outlet {
    /// `WouldBlock`: nothing for now, wait until it is writable.
    fn try_write_vectored(&mut self, slices: &[io::IoSlice<'_>]) -> io::Result<usize>;

    /// Nothing of what was written is kept back; `WouldBlock`: something is, wait until it is writable.
    fn try_flush(&mut self) -> io::Result<()>;

    /// Waits until something more can be written.
    async fn writable(&mut self) -> io::Result<()>;
}

impl Outlet for tcp::WriteHalf<'_> {
    fn try_write_vectored(&mut self, slices: &[io::IoSlice<'_>]) -> io::Result<usize> {
        tcp::WriteHalf::try_write_vectored(self, slices)
    }

    fn try_flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    async fn writable(&mut self) -> io::Result<()> {
        tcp::WriteHalf::writable(self).await
    }
}

impl Outlet for WriteHalf<&mut TlsStream<TcpStream>> {
    fn try_write_vectored(&mut self, slices: &[io::IoSlice<'_>]) -> io::Result<usize> {
        at_once(|context| Pin::new(self).poll_write_vectored(context, slices))
    }

    fn try_flush(&mut self) -> io::Result<()> {
        at_once(|context| Pin::new(self).poll_flush(context))
    }

    async fn writable(&mut self) -> io::Result<()> {
        poll_fn(|context| Pin::new(&mut *self).poll_flush(context)).await
    }
}

/// Who waits does so in `writable`, which asks again with a waker of its own.
fn at_once<T>(poll: impl FnOnce(&mut Context<'_>) -> Poll<io::Result<T>>) -> io::Result<T> {
    match poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(outcome) => outcome,
        Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
    }
}
