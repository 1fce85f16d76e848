"""Telemetry as it comes, clean and with personal data put in; seeded, so that runs compare."""

import base64
import random
import uuid
from collections.abc import Iterator
from typing import Any

_AGENTS = (
    "Mozilla/5.0 (X11; Linux x86_64; rv:142.0) Gecko/20100101 Firefox/142.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/126.0.6478.127",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148",
    "okhttp/4.12.0",
    "candor-sdk-python/1.4.2",
)
_ROUTES = ("/cart/items/add", "/checkout/payment/confirm", "/api/v2/orders/{id}", "/", "/help/faq")
_WORDS = (
    "the customer came back from the provider",
    "retry after timeout",
    "basket was emptied",
    "cache miss, loaded from origin",
    "upstream closed the connection early",
)
_LETTERS = "ABCDEFGHJKLMNPRSTUVWXYZ"


def clean_event(source: random.Random) -> dict[str, Any]:
    """Return about 25 leaves that hold no personal data."""
    epoch = source.randrange(1_700_000_000, 1_790_000_000)
    return {
        "id": str(uuid.UUID(int=source.getrandbits(128), version=4)),
        "name": source.choice(("checkout.start", "checkout.payment", "cart.items.add")),
        "time": _time(source),
        "trace": f"{source.getrandbits(128):032x}",
        "span": f"{source.getrandbits(64):016x}",
        "order": f"ORD-{source.randrange(10**7):07d}",
        "session": uuid.UUID(int=source.getrandbits(128)).hex,
        "plan": source.choice(("free", "pro", "team")),
        "country": source.choice(("AU", "DE", "IE", "US")),
        "app_version": f"{source.randrange(9)}.{source.randrange(40)}.{source.randrange(9)}",
        "commit": f"{source.getrandbits(160):040x}",
        "started": epoch,
        "finished_ms": epoch * 1000 + source.randrange(1000),
        "duration": round(source.lognormvariate(5, 0.5), 3),
        "rows": source.randrange(100_000),
        "agent": source.choice(_AGENTS),
        "route": source.choice(_ROUTES),
        "host": f"checkout-{source.randrange(40)}.eu-west-1.internal",
        "image": f"registry.example.net/shop/checkout:{source.randrange(999)}",
        "object": f"s3://exports/2026/11/{source.randrange(1, 29):02d}/part-{epoch % 999}",
        "currency": source.choice(("EUR", "AUD", "USD")),
        "note": source.choice(_WORDS),
        "cached": source.random() < 0.5,
        "http": {
            "method": "POST",
            "status": source.choice((200, 404, 500)),
            "etag": f'W/"{epoch:x}"',
        },
        "tags": [source.choice(("blue", "green")), f"shard-{source.randrange(64)}"],
    }


def clean_events(count: int, seed: int = 7) -> Iterator[dict[str, Any]]:
    source = random.Random(seed)
    for _ in range(count):
        yield clean_event(source)


def personal_value(entity: str, source: random.Random) -> str:
    """Return a valid value of an entity; none belongs to anybody."""
    digits = "".join(str(source.randrange(10)) for _ in range(20))
    values: dict[str, str] = {
        "EMAIL_ADDRESS": f"{source.choice('abcd')}{digits[:5]}@example.{source.choice(_ENDS)}",
        "PHONE_NUMBER": source.choice(
            (f"+1 425 88{digits[0]} {digits[1:5]}", f"+49 30 90{digits[:6]}")
        ),
        "CREDIT_CARD": _luhn("4" + digits[:14]),
        "US_SSN": f"{source.randrange(101, 600)}-{source.randrange(10, 99)}-4{digits[:3]}",
        "IBAN_CODE": _iban("DE", digits[:18]),
        "IP_ADDRESS": ".".join(str(source.randrange(1, 255)) for _ in range(4)),
        "MAC_ADDRESS": ":".join(f"{source.randrange(256):02x}" for _ in range(6)),
        "US_ITIN": f"9{digits[:2]}-{source.randrange(70, 80)}-{source.randrange(1000, 9999)}",
    }
    return values[entity]


_ENDS = ("com", "org", "net")
STRUCTURED = (
    "EMAIL_ADDRESS",
    "PHONE_NUMBER",
    "CREDIT_CARD",
    "US_SSN",
    "IBAN_CODE",
    "IP_ADDRESS",
    "MAC_ADDRESS",
    "US_ITIN",
)
_PIECES = (
    *("", " ", ", ", ": ", "-", "/", "=", "'", '"', "(", ")", "\n", "\t", "x", "#", ";", "+", "00"),
    *(
        "phone",
        "call",
        "my number is ",
        "ssn ",
        "email: ",
        "credit card ",
        "iban",
        "ip ",
        "tax id ",
    ),
    *(
        "passport ",
        "license",
        "bank account ",
        "NHS number ",
        "medical certificate",
        "id=",
        "user ",
    ),
    *("ext. 12", "http://", "www.", ".com", ".de/", "@", "http://a.io/?q="),
)
_FOREIGN = ("\u00e4", "\u202f", "\u0663", "\u30fc", "\u017f", "\x1c", "\x00", "\u212a", "\u65e5")
_SHAPES = (
    *("###########", "##########", "#########", "########", "###-##-####", "### ### ####"),
    *("@#######", "@@#######", "##.##.####", "(###) ###-####", "+## ### #######", "#-####-#####-#"),
    *(
        "@@## #### #### ####",
        "##/##/####",
        "####-##-##",
        "@########",
        "@@######@",
        "## ### ### ###",
    ),
    *("#.#.#.#", "::#", "bc1@@@@@##########@@@@@@@@@@@#", "@#@ #@#", "##-#######", "0## ########"),
    *("#### #### ####", "@@@@@####@", "########@"),
)
_MIXED = _LETTERS + _LETTERS.lower() + "0123456789"


def fuzzed_text(source: random.Random) -> str:
    """Return a text that is made to confuse: pieces of what recognizers look for, mixed up."""
    parts: list[str] = []
    for _ in range(source.randrange(1, 5)):
        parts += (source.choice(_PIECES), _piece(source))
    text = "".join(parts) + source.choice(_PIECES)
    if source.random() < 0.04:
        place = source.randrange(len(text) + 1)
        text = text[:place] + source.choice(_FOREIGN) + text[place:]
    return text


def _piece(source: random.Random) -> str:
    personal = personal_value(source.choice(STRUCTURED), source)
    event = clean_event(source)
    made = (
        personal,
        personal,
        str(event[source.choice(list(event))]),
        "".join(_filled(sign, source) for sign in source.choice(_SHAPES)),
        "".join(_filled(sign, source) for sign in source.choice(_SHAPES)),
        base64.b64encode(personal.encode()).decode(),
        "".join(source.choice("0123456789 -./()+x#") for _ in range(source.randrange(4, 24))),
        "".join(source.choice(_MIXED) for _ in range(source.randrange(4, 40))),
        source.choice(_WORDS),
    )
    return source.choice(made)


def _filled(sign: str, source: random.Random) -> str:
    if sign == "#":
        return str(source.randrange(10))
    if sign == "@":
        return source.choice(_LETTERS if source.random() < 0.8 else _LETTERS.lower())
    return sign


def _time(source: random.Random) -> str:
    day, second = source.randrange(1, 29), source.randrange(86_400)
    hour, minute = second // 3600, second // 60 % 60
    return (
        f"2026-11-{day:02d}T{hour:02d}:{minute:02d}:{second % 60:02d}.{source.randrange(1000):03d}Z"
    )


def _luhn(digits: str) -> str:
    """Return digits with the check digit behind them. Source: ISO/IEC 7812-1, annex B."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        doubled = int(digit) * (2 if place % 2 == 0 else 1)
        total += doubled - 9 if doubled > 9 else doubled
    return digits + str(-total % 10)


def _iban(country: str, account: str) -> str:
    """Return an account number as an IBAN. Source: ISO 13616, ISO 7064 (MOD 97-10)."""
    moved = account + "".join(str(ord(letter) - 55) for letter in country) + "00"
    return f"{country}{98 - int(moved) % 97:02d}{account}"
