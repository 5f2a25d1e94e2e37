# SPDX-License-Identifier: GPL-2.0-only
"""Read and write classic pcap files, as far as these tests need it."""

import struct

EN10MB, RAW, LINUX_SLL, IPV4, IPV6, LINUX_SLL2 = 1, 101, 113, 228, 229, 276
# What some systems call RAW in the file
RAW_ALIASES = (12, 14)

# Link type: (offset of the EtherType, length of the link-layer header)
LINK_HEADERS = {EN10MB: (12, 14), LINUX_SLL: (14, 16), LINUX_SLL2: (0, 20)}
IP_ETHERTYPES = (b"\x08\x00", b"\x86\xdd")

# Magic number: byte order of the file, whatever the resolution of its stamps
MAGIC = {
    b"\xd4\xc3\xb2\xa1": "<",
    b"\x4d\x3c\xb2\xa1": "<",
    b"\xa1\xb2\xc3\xd4": ">",
    b"\xa1\xb2\x3c\x4d": ">",
}


class PcapError(ValueError):
    """Not a pcap file, cut off, or of a link type that is not known here."""


def trim(packet):
    """Cut off what the link layer put behind the IP packet."""
    if len(packet) >= 20 and packet[0] >> 4 == 4:
        return packet[: int.from_bytes(packet[2:4], "big")]
    if len(packet) >= 40 and packet[0] >> 4 == 6:
        return packet[: 40 + int.from_bytes(packet[4:6], "big")]
    return packet


def read(path):
    """Yield every IP packet of a capture. Other protocols are passed over."""
    with open(path, "rb") as f:
        data = f.read()
    order = MAGIC.get(data[:4])
    if order is None or len(data) < 24:
        raise PcapError(f"{path}: not a pcap file")
    linktype = struct.unpack_from(order + "I", data, 20)[0] & 0xFFFF
    ethertype, skip = LINK_HEADERS.get(linktype, (None, 0))
    if ethertype is None and linktype not in (RAW, IPV4, IPV6, *RAW_ALIASES):
        raise PcapError(f"{path}: link type {linktype}")

    record = struct.Struct(order + "8xII")
    at = 24
    while at < len(data):
        if at + 16 > len(data):
            raise PcapError(f"{path}: ends within a record")
        captured, length = record.unpack_from(data, at)
        frame = data[at + 16 : at + 16 + captured]
        if len(frame) != captured:
            raise PcapError(f"{path}: ends within a record")
        if captured != length:
            raise PcapError(f"{path}: packets cut off; capture with a snap length of 0")
        at += 16 + captured
        if ethertype is None or frame[ethertype : ethertype + 2] in IP_ETHERTYPES:
            yield trim(frame[skip:])


def write(path, packets):
    """Write IP packets as a capture of link type RAW."""
    with open(path, "wb") as f:
        f.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 0x40000, RAW))
        for packet in packets:
            f.write(struct.pack("<IIII", 0, 0, len(packet), len(packet)) + packet)
