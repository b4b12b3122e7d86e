//! The `[limits]` and `[timeouts]` tables.

use crate::{
    config::{
        findings::{Placed, Refusal},
        reader::Table,
        units, values,
    },
    request::HeadLimits,
    roster::quotas::ClientLimits,
    snapshot::settings::{Limits, Timeouts},
};
use std::time::Duration;
use toml::de::DeValue;

const MEBIBYTE: u64 = 1 << 20;

/// The `[limits]` table as read.
#[derive(Debug)]
pub(in crate::config) struct LimitsDraft {
    connections: Option<Placed<usize>>,
    handshakes: Option<Placed<usize>>,
    pub(in crate::config) message: Option<Placed<u64>>,
    pub(in crate::config) frame: Option<Placed<u64>>,
    header: Option<Placed<u64>>,
    header_fields: Option<Placed<usize>>,
    body: Option<Placed<Option<u64>>>,
    client: Option<ClientLimits>,
}

/// The `[timeouts]` table as read.
#[derive(Debug)]
pub(in crate::config) struct TimeoutsDraft {
    handshake: Option<Placed<Duration>>,
    upgrade: Option<Placed<Duration>>,
    connect: Option<Placed<Duration>>,
    answer: Option<Placed<Duration>>,
    pub(in crate::config) idle: Option<Placed<Duration>>,
    pub(in crate::config) ping: Option<Placed<Duration>>,
    write: Option<Placed<Duration>>,
}

impl LimitsDraft {
    pub(super) fn read(mut table: Table<'_>) -> Self {
        let message = table.or_default("message", units::size, 16 * MEBIBYTE);
        let frame = table.or_default("frame", units::size, 16 * MEBIBYTE);
        let draft = Self {
            connections: table.or_default("connections", values::count, 100_000),
            handshakes: table.or_default("handshakes", values::count, 1024),
            message,
            frame,
            header: table.or_default("header", header, HeadLimits::default().bytes as u64),
            header_fields: table.or_default(
                "header_fields",
                values::count,
                HeadLimits::default().fields,
            ),
            body: table.or_default("body", units::size_or_none, None),
            client: read_client(table.table("client")),
        };
        table.finish();
        draft
    }

    pub(super) fn settle(self) -> Option<Limits> {
        Some(Limits {
            connections: self.connections?.value,
            handshakes: self.handshakes?.value,
            message: self.message?.value,
            frame: self.frame?.value,
            head: HeadLimits {
                bytes: usize::try_from(self.header?.value).ok()?,
                fields: self.header_fields?.value,
            },
            body: self.body?.value,
            client: self.client?,
        })
    }
}

/// The `[limits.client]` table; an absent key is no limit.
fn read_client(mut table: Table<'_>) -> Option<ClientLimits> {
    let sockets = table.maybe("sockets", values::count);
    let sockets_per_second = table.maybe("sockets_per_second", per_second);
    let messages_per_second = table.maybe("messages_per_second", per_second);
    let bytes_per_second = table.maybe("bytes_per_second", units::size);
    let default = ClientLimits::OFF.burst;
    let burst = table.or_default("burst", units::positive_duration, default);
    table.finish();
    Some(ClientLimits {
        sockets: sockets?,
        sockets_per_second: sockets_per_second?,
        messages_per_second: messages_per_second?,
        bytes_per_second: bytes_per_second?,
        burst: burst?.value,
    })
}

/// A header section is kept in memory as a whole, so it has a bound of its own.
fn header(value: &DeValue<'_>) -> Result<u64, Refusal> {
    let size = units::size(value)?;
    if size <= MEBIBYTE {
        return Ok(size);
    }
    let message = "a header section of more than 1 MiB is read into memory before anything is known of its sender";
    Err(Refusal::new(message, "write \"1MiB\" or less"))
}

fn per_second(value: &DeValue<'_>) -> Result<u64, Refusal> {
    values::count(value).map(|count| count as u64)
}

impl TimeoutsDraft {
    pub(super) fn read(mut table: Table<'_>) -> Self {
        let mut deadline = |key, seconds| {
            table.or_default(key, units::positive_duration, Duration::from_secs(seconds))
        };
        let draft = Self {
            handshake: deadline("handshake", 10),
            upgrade: deadline("upgrade", 10),
            connect: deadline("connect", 5),
            idle: deadline("idle", 300),
            answer: table.or_default("answer", units::duration, Duration::ZERO),
            ping: table.or_default("ping", units::duration, Duration::from_secs(30)),
            write: table.or_default("write", units::positive_duration, Duration::from_mins(1)),
        };
        table.finish();
        draft
    }

    pub(super) fn settle(self) -> Option<Timeouts> {
        let idle = self.idle.map(|idle| idle.value);
        Some(Timeouts {
            handshake: self.handshake?.value,
            upgrade: self.upgrade?.value,
            connect: self.connect?.value,
            answer: Some(self.answer?.value)
                .filter(|answer| !answer.is_zero())
                .or(idle)?,
            idle: idle?,
            ping: self.ping?.value,
            write: self.write?.value,
        })
    }
}
