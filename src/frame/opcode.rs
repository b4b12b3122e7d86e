//! What a frame is for: the opcodes of RFC 6455 section 5.2.

/// The opcode of a frame. Every other value is reserved and refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Opcode {
    /// A further fragment of the data message under way.
    Continuation,
    /// The first frame of a text message.
    Text,
    /// The first frame of a binary message.
    Binary,
    /// The sender's last frame.
    Close,
    /// Asks for a Pong.
    Ping,
    /// Answers a Ping, or shows that the sender is alive.
    Pong,
}

impl Opcode {
    /// How many opcodes there are: the length of a table by [`Opcode::index`].
    pub const COUNT: usize = 6;

    /// Every opcode, in the order of [`Opcode::index`].
    pub const ALL: [Opcode; Opcode::COUNT] = [
        Opcode::Continuation,
        Opcode::Text,
        Opcode::Binary,
        Opcode::Close,
        Opcode::Ping,
        Opcode::Pong,
    ];

    /// The opcode of four bits; `None` for those that RFC 6455 section 5.2 reserves.
    pub const fn from_u8(bits: u8) -> Option<Opcode> {
        match bits {
            0x0 => Some(Opcode::Continuation),
            0x1 => Some(Opcode::Text),
            0x2 => Some(Opcode::Binary),
            0x8 => Some(Opcode::Close),
            0x9 => Some(Opcode::Ping),
            0xa => Some(Opcode::Pong),
            _ => None,
        }
    }

    /// The four bits that stand for it in a header.
    pub const fn to_u8(self) -> u8 {
        match self {
            Opcode::Continuation => 0x0,
            Opcode::Text => 0x1,
            Opcode::Binary => 0x2,
            Opcode::Close => 0x8,
            Opcode::Ping => 0x9,
            Opcode::Pong => 0xa,
        }
    }

    /// Whether it is a control opcode: those with the highest bit set (RFC 6455 section 5.5).
    pub const fn is_control(self) -> bool {
        matches!(self, Opcode::Close | Opcode::Ping | Opcode::Pong)
    }

    /// Its index in [`Opcode::ALL`], and in every table kept by opcode.
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The value of the metric label `opcode`.
    pub const fn label(self) -> &'static str {
        match self {
            Opcode::Continuation => "continuation",
            Opcode::Text => "text",
            Opcode::Binary => "binary",
            Opcode::Close => "close",
            Opcode::Ping => "ping",
            Opcode::Pong => "pong",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn index_is_the_place_in_all() {
        for (index, opcode) in Opcode::ALL.iter().enumerate() {
            assert_eq!(opcode.index(), index);
        }
    }

    #[test]
    fn sixteen_values_are_six_opcodes_and_ten_reserved() {
        let known: Vec<_> = (0..16).filter_map(Opcode::from_u8).collect();
        assert_eq!(known, Opcode::ALL);
        for opcode in Opcode::ALL {
            assert_eq!(Opcode::from_u8(opcode.to_u8()), Some(opcode));
            assert_eq!(opcode.is_control(), opcode.to_u8() & 0x8 != 0);
        }
    }
}
