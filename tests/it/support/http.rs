//! Plain HTTP over a [`Wire`]: whole messages, as a client and as a backend read them.

use super::{Backend, Wire, backend::Served, wire::Head};

/// A head with its whole content.
pub(crate) struct Message {
    pub(crate) head: Head,
    pub(crate) content: Vec<u8>,
}

impl Message {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.content).unwrap()
    }
}

/// A request without content, at host `localhost`; `fields` end with CRLF each.
pub(crate) fn get(target: &str, fields: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n").into_bytes()
}

/// An answer with a content; `fields` end with CRLF each.
pub(crate) fn answer(status: &str, fields: &str, content: &str) -> String {
    let length = content.len();
    format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n{fields}\r\n{content}")
}

impl Wire {
    /// Sends a request and reads its answer.
    pub(crate) async fn ask(&mut self, request: &[u8]) -> Message {
        self.send(request).await;
        self.read_message().await
    }

    /// Reads a message whose head says where it ends.
    pub(crate) async fn read_message(&mut self) -> Message {
        let head = self.read_head().await;
        let content = self.read_content(&head).await;
        Message { head, content }
    }

    /// Reads the content that a head announces.
    pub(crate) async fn read_content(&mut self, head: &Head) -> Vec<u8> {
        if head.field("Transfer-Encoding") == Some("chunked") {
            let mut content = Vec::new();
            while let Some(chunk) = self.read_chunk().await {
                content.extend_from_slice(&chunk);
            }
            return content;
        }
        let length = head
            .field("Content-Length")
            .map_or(0, |it| it.parse().unwrap());
        self.read_exact(length).await
    }

    /// Reads one chunk; `None`: the last, without trailer fields.
    pub(crate) async fn read_chunk(&mut self) -> Option<Vec<u8>> {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            line.extend(self.read_exact(1).await);
        }
        let size = std::str::from_utf8(&line).unwrap().trim_end();
        let size = usize::from_str_radix(size, 16).unwrap();
        let chunk = self.read_exact(size).await;
        assert_eq!(self.read_exact(2).await, b"\r\n");
        (size > 0).then_some(chunk)
    }
}

impl Served {
    /// Reads a request with its content; `None` where there is none.
    pub(crate) async fn message(&mut self) -> Option<Message> {
        let head = self.request().await?;
        let content = self.wire.read_content(&head).await;
        Some(Message { head, content })
    }
}

impl Backend {
    /// Answers every request of every connection with what it asked for: method, target, content.
    pub(crate) async fn http() -> Self {
        Self::script(|mut served| async move {
            while let Some(message) = served.message().await {
                if message.head.field("Upgrade").is_some() {
                    let accept = message.head.accept();
                    let switching = format!("{}\r\n", super::request::switching(&accept));
                    served.wire.send(switching.as_bytes()).await;
                    return served.echo().await;
                }
                let line = message.head.line.trim_end_matches(" HTTP/1.1").to_owned();
                let text = format!("{line} {}", message.text());
                let whole = answer("200 OK", "X-From: backend\r\n", &text);
                if served.wire.try_send(whole.as_bytes()).await.is_err() {
                    return;
                }
            }
        })
        .await
    }
}
