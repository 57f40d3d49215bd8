"""When a certificate ends: the one field of X.509 that the ssl module hides from those who do not verify.

Layout: RFC 5280, section 4.1; encoding: DER, of ITU-T X.690. Knows bytes;
refuses to know whether a certificate is to be trusted.
"""

from datetime import UTC, datetime

from natobs.errors import FormatError

_SEQUENCE = 0x30
_VERSION = 0xA0
_UTC_TIME = 0x17
_GENERALIZED_TIME = 0x18
_LONG = 0x80
_MOST_LENGTH_BYTES = 4
_BEFORE_VALIDITY = 3
"""Serial number, signature algorithm, issuer."""
_FORMATS = {_UTC_TIME: "%y%m%d%H%M%SZ", _GENERALIZED_TIME: "%Y%m%d%H%M%SZ"}
_TEXT_BYTES = {_UTC_TIME: 13, _GENERALIZED_TIME: 15}


def not_after(certificate: bytes) -> float:
    """The end of a certificate's validity, in seconds since the epoch.

    Args:
        certificate: in DER.

    Raises:
        FormatError: it is no certificate.
    """
    body = _expect(certificate, 0, _SEQUENCE)
    signed = _expect(certificate, body[0], _SEQUENCE)
    at = signed[0]
    kind, _start, end = _element(certificate, at)
    if kind == _VERSION:
        at = end
    for _ in range(_BEFORE_VALIDITY):
        at = _element(certificate, at)[2]
    validity = _expect(certificate, at, _SEQUENCE)
    _kind, _start, at = _element(certificate, validity[0])
    kind, start, end = _element(certificate, at)
    if end > validity[1] or kind not in _FORMATS or end - start != _TEXT_BYTES[kind]:
        raise FormatError("certificate without a readable end of validity")
    try:
        # RFC 5280, 4.1.2.5.1: two digits of a year mean 1950 to 2049; strptime's own rule ends with 2068
        text = certificate[start:end].decode("ascii")
        moment = datetime.strptime(text, _FORMATS[kind]).replace(tzinfo=UTC)
        if kind == _UTC_TIME:
            moment = moment.replace(year=_century(int(text[:2])))
    except ValueError as error:
        raise FormatError(f"certificate with an impossible end of validity: {error}") from error
    return moment.timestamp()


def _century(digits: int) -> int:
    return 2000 + digits if digits < 50 else 1900 + digits  # noqa: PLR2004  RFC 5280's turning point


def _expect(data: bytes, at: int, wanted: int) -> tuple[int, int]:
    kind, start, end = _element(data, at)
    if kind != wanted:
        raise FormatError(f"certificate: expected type {wanted:#x} at byte {at}, found {kind:#x}")
    return start, end


def _element(data: bytes, at: int) -> tuple[int, int, int]:
    """Type, first byte and end of the content of the element at a byte."""
    if at + 2 > len(data):
        raise FormatError(f"certificate cut off at byte {len(data)}")
    kind, length = data[at], data[at + 1]
    start = at + 2
    if length & _LONG:
        size = length & ~_LONG
        if not 1 <= size <= _MOST_LENGTH_BYTES or start + size > len(data):
            raise FormatError(f"certificate: impossible length at byte {at}")
        length = int.from_bytes(data[start : start + size], "big")
        start += size
    if start + length > len(data):
        raise FormatError(f"certificate cut off at byte {len(data)}")
    return kind, start, start + length
