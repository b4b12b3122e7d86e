//! What a head is made of.

/// One field of a request, without the white space around its value.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Field<'a> {
    /// The name as it was written.
    pub name: &'a str,
    /// The value; bytes above 0x7F may occur.
    pub value: &'a [u8],
}

/// The version of HTTP in the request line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.0: no WebSocket, and its connection ends with the answer.
    Http10,
    /// HTTP/1.1.
    Http11,
}

/// The name only: a value may be a cookie or a token.
impl std::fmt::Debug for Field<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Field")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
