use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

/// One connection, bytes both ways, then the end.
async fn exchange(listener: &dyn Listener, mut client: impl AsyncRead + AsyncWrite + Unpin) {
    client.write_all(b"hello").await.unwrap();
    let (mut served, _) = listener.accept().await.unwrap();
    let mut buf = [0; 5];
    served.read_exact(&mut buf).await.unwrap();
    assert_eq!(&buf, b"hello");
    served.write_all(b"back").await.unwrap();
    served.shutdown().await.unwrap();
    drop(served);
    let mut rest = Vec::new();
    client.read_to_end(&mut rest).await.unwrap();
    assert_eq!(rest, b"back");
}

fn any_port() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

#[tokio::test]
async fn tcp_carries_bytes_and_refuses_a_taken_port() {
    let listener = RealNet.listen(any_port()).unwrap();
    let addr = listener.local_addr().unwrap();
    let again = RealNet.listen(addr).err().map(|e| e.kind());
    assert_eq!(again, Some(io::ErrorKind::AddrInUse));
    let client = tokio::net::TcpStream::connect(addr).await.unwrap();
    exchange(&*listener, client).await;
}

#[tokio::test]
async fn the_simulated_net_does_the_same() {
    let net = SimNet::default();
    let listener = net.listen(any_port()).unwrap();
    let addr = listener.local_addr().unwrap();
    assert_ne!(addr.port(), 0);
    assert_eq!(net.listen(addr).err().map(|e| e.kind()), Some(io::ErrorKind::AddrInUse));
    exchange(&*listener, net.connect(addr).unwrap()).await;
    drop(listener);
    let refused = net.connect(addr).err().map(|e| e.kind());
    assert_eq!(refused, Some(io::ErrorKind::ConnectionRefused));
}

#[tokio::test]
async fn a_waiting_accept_wakes_up() {
    let net = SimNet::default();
    let listener = net.listen(any_port()).unwrap();
    let addr = listener.local_addr().unwrap();
    let accepting = tokio::spawn(async move { listener.accept().await.is_ok() });
    tokio::task::yield_now().await;
    let _client = net.connect(addr).unwrap();
    assert!(accepting.await.unwrap());
}
