"""How often a holder may come: a bucket of tokens that fills up again at a steady rate.

Buckets live in this process: with several of them, each lets its own rate pass.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Lock

_MOST_BUCKETS = 10_000


@dataclass(slots=True)
class _Bucket:
    tokens: float
    filled_at: datetime


class TokenBuckets:
    """One bucket for each holder, full at first. Safe to share between threads."""

    def __init__(self) -> None:
        self._buckets: dict[str, _Bucket] = {}
        self._guard = Lock()

    def take(self, holder: str, per_minute: int, at: datetime) -> timedelta | None:
        """Take one token; return none, or how long to wait for the next when the bucket is empty.

        A bucket holds the tokens of one minute. A clock that steps back fills nothing.
        """
        with self._guard:
            if holder not in self._buckets and len(self._buckets) >= _MOST_BUCKETS:
                self._buckets.clear()
            bucket = self._buckets.setdefault(holder, _Bucket(per_minute, at))
            passed = max(timedelta(0), at - bucket.filled_at)
            bucket.tokens = min(
                float(per_minute), bucket.tokens + passed / timedelta(minutes=1) * per_minute
            )
            bucket.filled_at = at
            if bucket.tokens < 1:
                return timedelta(minutes=1) * ((1 - bucket.tokens) / per_minute)
            bucket.tokens -= 1
            return None
