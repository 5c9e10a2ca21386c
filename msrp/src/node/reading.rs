//! Shell: reads from a socket without a buffer per connection.

use std::{cell::RefCell, future::poll_fn, io, pin::Pin, task::Poll};

use bytes::BytesMut;
use tokio::io::{AsyncRead, ReadBuf};

/// Bytes per read; one buffer per thread serves all connections.
const READ: usize = 64 << 10;

thread_local! {
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ].into());
}

/// Appends what there is to the buffer, which so never holds more memory than was read. 0 at the end of the stream.
pub(super) async fn read(
    reader: &mut (impl AsyncRead + Unpin),
    buffer: &mut BytesMut,
) -> io::Result<usize> {
    poll_fn(|context| {
        SCRATCH.with_borrow_mut(|scratch| {
            let mut filled = ReadBuf::new(scratch);
            match Pin::new(&mut *reader).poll_read(context, &mut filled) {
                Poll::Pending => Poll::Pending,
                Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
                Poll::Ready(Ok(())) => {
                    buffer.extend_from_slice(filled.filled());
                    Poll::Ready(Ok(filled.filled().len()))
                }
            }
        })
    })
    .await
}
