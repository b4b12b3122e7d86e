//! The floor: bytes from one TCP connection to another, and nothing else.

use crate::Result;
use std::{io, net::SocketAddr};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
};

pub(crate) async fn serve(listen: SocketAddr, to: SocketAddr) -> Result<()> {
    let listener = TcpListener::bind(listen).await?;
    loop {
        let (client, _) = listener.accept().await?;
        tokio::task::spawn_local(async move {
            // Either end breaking off ends both.
            let _ = forward(client, to).await;
        });
    }
}

async fn forward(mut client: TcpStream, to: SocketAddr) -> io::Result<()> {
    let mut backend = TcpStream::connect(to).await?;
    client.set_nodelay(true)?;
    backend.set_nodelay(true)?;
    // Its buffers are of 8 KiB, one for each direction.
    copy_bidirectional(&mut client, &mut backend).await?;
    Ok(())
}
