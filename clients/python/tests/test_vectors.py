"""The worked examples of the protocol, for the package and for the reference peer it is tested against."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Generator, Iterator
from typing import Any

import pytest
import wire
from conftest import load_vectors
from reference_integrity import Tags, derive, judge_extension, judge_subprotocol, keyring_of, x25519
from websockets.extensions.base import Extension
from websockets.frames import Frame, Opcode
from websockets.headers import parse_extension

from tidegate_client import IntegrityError, PublicKey, SharedKey, base64url
from tidegate_client.frame_binding import FrameBinding, FrameBindingFactory
from tidegate_client.message_binding import MessageBinding, application_subprotocol, sealed_subprotocols
from tidegate_client.offer import Offer
from tidegate_client.schedule import TrafficKeys, traffic_keys
from tidegate_client.tags import TagSequence

VECTORS = load_vectors()
SCHEDULES = {row["name"]: row for row in VECTORS["schedules"]}
KEYS = {key["kid"]: key for key in VECTORS["keys"]}
UNITS = [
    pytest.param(row, id=f"{row['binding']}-{row['alg']}-{row['schedule']}-{row['direction']}-{row['title']}")
    for row in VECTORS["units"]
]


def octets(row: dict[str, Any], name: str) -> bytes:
    return bytes.fromhex(row.get(name, ""))


def keying_material(schedule: dict[str, Any]) -> bytes:
    secret = octets(schedule, "shared") or octets(KEYS[schedule["kid"]], "secret")
    return secret + octets(schedule, "exporter")


def data_of(unit: dict[str, Any]) -> bytes:
    if "data_rule" not in unit:
        return octets(unit, "data")
    assert unit["data_rule"] == "octet i = (i * 31) mod 251"
    data = bytes(i * 31 % 251 for i in range(unit["data_len"]))
    assert hashlib.sha256(data).hexdigest() == unit["data_sha256"]
    return data


def direction_key(row: dict[str, Any]) -> bytes | None:
    if row["schedule"] is None:
        return None
    return octets(SCHEDULES[row["schedule"]], f"k_{row['direction']}")


def binding_of(row: dict[str, Any]) -> Extension:
    """The binding with the row's key in both directions, so that it opens what it seals."""
    key = direction_key(row)
    if row["binding"] == "frame":
        return FrameBinding(TagSequence(key), TagSequence(key))
    binding = MessageBinding(Offer(None), None)
    binding._sending, binding._receiving = TagSequence(key), TagSequence(key)
    return binding


def frames_of(row: dict[str, Any]) -> Iterator[tuple[Frame, dict[str, Any]]]:
    for unit in row["frames" if row["binding"] == "frame" else "messages"]:
        b0 = int(unit["b0"], 16)
        yield Frame(Opcode(b0 & 0x0F), data_of(unit), fin=bool(b0 & 0x80)), unit


@pytest.mark.parametrize("schedule", VECTORS["schedules"], ids=lambda row: row["name"])
def test_traffic_keys_are_those_of_the_vectors(schedule: dict[str, Any]) -> None:
    keys = traffic_keys(
        keying_material=keying_material(schedule),
        salt=octets(schedule, "cn") + octets(schedule, "sn"),
        kid=schedule["kid"],
        ephemeral_public=octets(schedule, "epk"),
    )
    assert keys == TrafficKeys(octets(schedule, "k_c2s"), octets(schedule, "k_s2c"))


@pytest.mark.parametrize("schedule", VECTORS["schedules"], ids=lambda row: row["name"])
def test_offer_leads_to_the_keys_of_the_vectors(schedule: dict[str, Any]) -> None:
    if "exporter" in schedule:
        pytest.skip("Python's ssl module has no TLS exporter, so cb is never offered")
    offer = offer_of(schedule)
    assert offer.ephemeral_public == octets(schedule, "epk")
    keys = offer.traffic_keys(base64url.encode(octets(schedule, "sn")))
    assert keys == TrafficKeys(octets(schedule, "k_c2s"), octets(schedule, "k_s2c"))


def offer_of(schedule: dict[str, Any]) -> Offer:
    kid, nonce = schedule["kid"], octets(schedule, "cn")
    if "epk" not in schedule:
        return Offer(SharedKey(kid, octets(KEYS[kid], "secret")), client_nonce=nonce)
    key = PublicKey(kid, octets(KEYS[kid], "public"))
    return Offer(key, client_nonce=nonce, ephemeral_private=octets(schedule, "client_private"))


@pytest.mark.parametrize("row", UNITS)
def test_sealed_units_are_those_of_the_vectors(row: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    binding = binding_of(row)
    if row.get("mask"):
        monkeypatch.setattr("secrets.token_bytes", lambda length: bytes.fromhex(row["mask"]))
    for frame, unit in frames_of(row):
        if "payload" in unit:
            assert bytes(binding.encode(frame).data).hex() == unit["payload"]
            continue
        sent = frame.serialize(mask=row["direction"] == "c2s", extensions=[binding])
        if "wire" in unit:
            assert sent.hex() == unit["wire"]
        else:
            assert (len(sent), sent[:16].hex()) == (unit["wire_len"], unit["wire_head"])
            assert hashlib.sha256(sent).hexdigest() == unit["wire_sha256"]


@pytest.mark.parametrize("row", UNITS)
def test_units_of_the_vectors_are_verified(row: dict[str, Any]) -> None:
    binding = binding_of(row)
    for frame, unit in frames_of(row):
        if "payload" in unit:
            opened = binding.decode(Frame(frame.opcode, octets(unit, "payload")))
        else:
            opened = parsed(wire_of(row, frame, unit), row["direction"] == "c2s", binding)
        assert (opened.opcode, opened.fin, bytes(opened.data)) == (frame.opcode, frame.fin, data_of(unit))


def wire_of(row: dict[str, Any], frame: Frame, unit: dict[str, Any]) -> bytes:
    if "wire" in unit:
        return octets(unit, "wire")
    sealed = wire.Frame(int(unit["b0"], 16), bytes(frame.data) + octets(unit, "tag"))
    return sealed.octets(octets(row, "mask") if row.get("mask") else None)


def parsed(sent: bytes, mask: bool, binding: Extension) -> Frame:
    position = 0

    def read_exact(length: int) -> Generator[None, None, bytes]:
        nonlocal position
        yield from ()
        position += length
        return sent[position - length : position]

    parser = Frame.parse(read_exact, mask=mask, extensions=[binding])
    try:
        while True:
            next(parser)
    except StopIteration as stop:
        frame: Frame = stop.value
        return frame


@pytest.mark.parametrize("row", [row for row in VECTORS["units"] if row["title"] == "one text frame"])
def test_every_single_bit_change_of_a_frame_is_refused(row: dict[str, Any]) -> None:
    for frame, unit in frames_of(row):
        payload = octets(unit, "data") + octets(unit, "tag")
        for bit in range(len(payload) * 8):
            changed = bytearray(payload)
            changed[bit // 8] ^= 1 << bit % 8
            with pytest.raises(IntegrityError, match="mismatch"):
                binding_of(row).decode(Frame(frame.opcode, bytes(changed)))


@pytest.mark.parametrize("row", UNITS)
def test_every_prefix_of_a_unit_is_refused(row: dict[str, Any]) -> None:
    frame, unit = next(frames_of(row))
    if "data_rule" in unit:
        pytest.skip("long data: its prefixes are as those of short data")
    payload = octets(unit, "payload") or octets(unit, "data") + octets(unit, "tag")
    for length in range(len(payload)):
        with pytest.raises(IntegrityError):
            binding_of(row).decode(Frame(frame.opcode, payload[:length], frame.fin))


def test_frame_offers_lead_to_the_answers_of_the_vectors() -> None:
    for row in VECTORS["handshakes"]:
        if row["binding"] != "frame" or row["schedule"] in (None, "x25519+cb"):
            continue
        factory = FrameBindingFactory(offer_of(SCHEDULES[row["schedule"]]))
        ((name, parameters),) = parse_extension(row["offer"])
        assert (name, sorted(parameters)) == (factory.name, sorted(factory.get_request_params()))
        ((_, answer),) = parse_extension(row["answer"])
        binding = factory.process_response_params(answer, [])
        expected = TagSequence(octets(SCHEDULES[row["schedule"]], "k_c2s")).tag(0x81, b"x")
        assert binding.encode(Frame(Opcode.TEXT, b"x")).data == b"x" + expected


def test_message_offers_and_nonce_are_those_of_the_vectors() -> None:
    for row in VECTORS["handshakes"]:
        if row["binding"] != "message":
            continue
        subprotocols = row["backend_is_offered"].split(", ") if row["backend_is_offered"] else []
        offer = offer_of(SCHEDULES[row["schedule"]]) if row["schedule"] else Offer(None)
        assert ", ".join(sealed_subprotocols(offer, subprotocols)) == row["offer"]
        assert application_subprotocol(row["answer"]) == row.get("backend_selects")
        if row["schedule"]:
            binding = MessageBinding(offer, None)
            binding.decode(Frame(Opcode.TEXT, row["first_message"].encode()))
            expected = TagSequence(octets(SCHEDULES[row["schedule"]], "k_c2s")).tag(0x82, b"x")
            assert binding.encode(Frame(Opcode.BINARY, b"x")).data == b"x" + expected


def test_application_subprotocol_may_contain_the_separator() -> None:
    (name,) = sealed_subprotocols(Offer(None), ["a~b~c"])
    assert application_subprotocol(name) == "a~b~c"


# The reference peer, held to the same vectors.


def test_reference_peer_derives_the_keys_of_the_vectors() -> None:
    for row in VECTORS["schedules"]:
        salt = octets(row, "cn") + octets(row, "sn")
        for direction in ("c2s", "s2c"):
            key = derive(keying_material(row), salt, row["kid"], octets(row, "epk"), direction)
            assert key == octets(row, f"k_{direction}")
        if "epk" in row:
            private = octets(KEYS[row["kid"]], "private")
            assert x25519(private, octets(row, "epk")) == octets(row, "shared")


@pytest.mark.parametrize("row", UNITS)
def test_reference_peer_seals_as_the_vectors(row: dict[str, Any]) -> None:
    sealing, opening = Tags(direction_key(row)), Tags(direction_key(row))
    for _, unit in frames_of(row):
        b0, data = int(unit["b0"], 16), data_of(unit)
        sealed = sealing.seal(row["binding"], b0, data)
        assert opening.unseal(row["binding"], b0, sealed) == data
        if "wire" in unit:
            frame = asyncio.run(read_octets(octets(unit, "wire")))
            assert (frame.first_octet, frame.payload) == (b0, sealed)
        elif "payload" in unit:
            assert sealed == octets(unit, "payload")


async def read_octets(sent: bytes) -> wire.Frame:
    reader = asyncio.StreamReader()
    reader.feed_data(sent)
    return await wire.read_frame(reader)


@pytest.mark.parametrize("row", VECTORS["refused"], ids=lambda row: row["why"])
def test_reference_peer_passes_over_what_the_vectors_refuse(row: dict[str, Any]) -> None:
    keyring = keyring_of(VECTORS)
    assert judge_extension(row["offer"], keyring) is None
    assert judge_subprotocol(row["offer"], keyring) is None


def test_reference_peer_accepts_what_the_vectors_accept() -> None:
    exporter = octets(SCHEDULES["x25519+cb"], "exporter")
    for row in VECTORS["handshakes"]:
        offers = [member.strip() for member in row["offer"].split(",")]
        judged = [
            judge_extension(offer, keyring_of(VECTORS), exporter)
            if row["binding"] == "frame"
            else judge_subprotocol(offer, keyring_of(VECTORS))
            for offer in offers
        ]
        accepted = next(offer for offer in judged if offer is not None)
        if row["schedule"]:
            schedule = SCHEDULES[row["schedule"]]
            assert accepted.key(octets(schedule, "sn"), "c2s") == octets(schedule, "k_c2s")
        else:
            assert accepted.algorithm == "sha-256"
