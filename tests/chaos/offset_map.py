"""The map of finished records above a committed offset, as the consumer writes it into the commit's metadata; read by other
code than wrote it. consumer/offset_map.h says how it is written."""

import base64


def numbers(body):
    """Seven bits at a time, the lowest first."""
    number = shift = 0
    for byte in body:
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            yield number
            number = shift = 0


def read(offset, metadata):
    """Offsets that are finished although they are not below the committed one."""
    kind, _, text = (metadata or "").partition(":")
    if kind not in ("reelbus1b", "reelbus1r"):
        return frozenset()
    body = base64.b64decode(text)[4:]
    if kind == "reelbus1b":
        return frozenset(offset + bit for bit in range(8 * len(body)) if body[bit // 8] >> bit % 8 & 1)
    lengths = list(numbers(body))
    above = set()
    for unfinished, finished in zip(lengths[::2], lengths[1::2]):
        above.update(range(offset + unfinished, offset + unfinished + finished))
        offset += unfinished + finished
    return frozenset(above)
