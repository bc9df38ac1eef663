"""Changes of inputs: blind ones of bytes, and ones of the values of JSON."""

import math
import re
from collections.abc import Sequence
from random import Random
from typing import Any

_NUMBER = re.compile(rb"-?\d+(\.\d+)?")
_NUMBERS = (
    *(b"0", b"-1", b"1", b"7", b"255", b"65536", b"2147483648", b"-2147483649", b"1e999"),
    *(b"-1e-999", b"nan", b"inf", b"0.5", b"1_000", b"0x10", b"9" * 40, b"1" * 5000),
)
_WORDS = (
    b"\0",
    b"\n",
    b"\r\n",
    b'"',
    b"'",
    b",",
    b"=",
    b"/",
    b"\\",
    b"%",
    b"\xff\xfe",
    b"\xed\xa0\x80",
)
_LARGEST = 1 << 20  # bytes; larger inputs are slow, and seldom fail otherwise


def changed(
    data: bytes, others: Sequence[bytes], rng: Random, words: Sequence[bytes] = ()
) -> bytes:
    """Return other bytes.

    Args:
        data: What to change.
        others: Inputs to take parts of.
        rng: Decides what is changed.
        words: What the input's kind is made of.
    """
    found = bytearray(data)
    for _ in range(1 << rng.randrange(5)):
        rng.choice(_CHANGES)(found, others, rng, (*words, *_WORDS))
    return bytes(found[:_LARGEST])


def _place(data: bytearray, rng: Random) -> int:
    """Return a place in the data, often near its start, where headers are."""
    most = min(64, len(data)) if rng.random() < 0.3 else len(data)
    return rng.randrange(most + 1)


def _span(data: bytearray, rng: Random) -> slice:
    start = _place(data, rng)
    return slice(start, start + rng.choice((1, 2, 4, 8, 64, 512, 1 + len(data) // 2)))


def _flip(data: bytearray, others: Sequence[bytes], rng: Random, words: Sequence[bytes]) -> None:
    place = _place(data, rng)
    if place < len(data):
        data[place] ^= 1 << rng.randrange(8)


def _overwrite(
    data: bytearray, others: Sequence[bytes], rng: Random, words: Sequence[bytes]
) -> None:
    place = _place(data, rng)
    if place < len(data):
        data[place] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))


def _integer(data: bytearray, others: Sequence[bytes], rng: Random, words: Sequence[bytes]) -> None:
    size, order = rng.choice((2, 4, 8)), rng.choice(("big", "little"))
    bits = 8 * size
    value = rng.choice((0, 1, 255, 1 << rng.randrange(bits), (1 << bits - 1) - 1, (1 << bits) - 1))
    place = _place(data, rng)
    data[place : place + size] = value.to_bytes(size, order)


def _delete(data: bytearray, others: Sequence[bytes], rng: Random, words: Sequence[bytes]) -> None:
    del data[_span(data, rng)]


def _cut(data: bytearray, others: Sequence[bytes], rng: Random, words: Sequence[bytes]) -> None:
    if rng.random() < 0.3:
        del data[_place(data, rng) :]


def _repeat(data: bytearray, others: Sequence[bytes], rng: Random, words: Sequence[bytes]) -> None:
    part = bytes(data[_span(data, rng)])
    place = _place(data, rng)
    data[place:place] = part * rng.choice((1, 1, 2, 9))


def _noise(data: bytearray, others: Sequence[bytes], rng: Random, words: Sequence[bytes]) -> None:
    place = _place(data, rng)
    data[place:place] = rng.randbytes(rng.choice((1, 2, 4, 32)))


def _splice(data: bytearray, others: Sequence[bytes], rng: Random, words: Sequence[bytes]) -> None:
    other = bytearray(rng.choice(others))
    data[_span(data, rng)] = other[_span(other, rng)]


def _word(data: bytearray, others: Sequence[bytes], rng: Random, words: Sequence[bytes]) -> None:
    place = _place(data, rng)
    data[place : place + rng.choice((0, 0, 1, 8))] = rng.choice(words)


def _number(data: bytearray, others: Sequence[bytes], rng: Random, words: Sequence[bytes]) -> None:
    if places := [found.span() for found in _NUMBER.finditer(data)]:
        start, end = rng.choice(places)
        data[start:end] = rng.choice(_NUMBERS)


_CHANGES = (
    *(_flip, _flip, _overwrite, _integer, _delete, _cut),
    *(_repeat, _noise, _splice, _word, _number),
)

_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 7, 0.5, -0.0, 1e300, 2**31, 2**63, -(2**64), 10**400),
    *(math.nan, math.inf, "", "a", "a\nb", "\x1b[2J", "\ud800", "é" * 300, "1" * 5000),
    *([], [[]], [0] * 9, {}, {"a": {}}, ["a", None], {"": 0}),
)


def json_changed(value: Any, rng: Random) -> Any:
    """Return JSON-like data with one value replaced, dropped or doubled somewhere inside."""
    if isinstance(value, dict) and value and rng.random() < 0.9:
        key = rng.choice(list(value))
        rest = {k: v for k, v in value.items() if k != key}
        match rng.randrange(8):
            case 0:
                return rest
            case 1:
                return {**rest, rng.choice(("", "a", key.upper(), f"{key}.0")): value[key]}
            case _:
                return {**value, key: json_changed(value[key], rng)}
    if isinstance(value, list) and value and rng.random() < 0.9:
        place = rng.randrange(len(value))
        match rng.randrange(6):
            case 0:
                return value[:place] + value[place + 1 :]
            case 1:
                return value * 2
            case _:
                return [*value[:place], json_changed(value[place], rng), *value[place + 1 :]]
    return rng.choice(_VALUES)
