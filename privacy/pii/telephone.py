"""Which regions a telephone number in a text can be of: those that allow so few digits.

The recognizer tries every region on every text that has digits, which is half of all its work. A
number of a region has at least as many digits as the shortest that the region's country code knows;
so a region is left out where no stretch of the text has that many. Stretches are cut generously:
whatever may stand in a number or its extension holds one together.

Source: libphonenumber, metadata, "possible lengths"; the shortest international number of all.
"""

import re
from collections.abc import Sequence

from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, country_code_for_region
from phonenumbers.phonemetadata import PhoneMetadata

_STRETCH = re.compile(r"[0-9xXeEtTnNaAoOiI()\[\]./~+\-#;:=, ]{4,}")
_NOT_DIGITS = re.compile(r"[^0-9]+")
_DIALLED_ABROAD = 2
"""The fewest digits of an international prefix."""


class Regions:
    """The regions of a recognizer, with the fewest digits of a number in each."""

    def __init__(self, regions: Sequence[str]) -> None:
        self._international = min(_fewest(code) + len(str(code)) for code in _codes())
        abroad = self._international + _DIALLED_ABROAD
        self._fewest = [
            (min(_fewest(country_code_for_region(region)), abroad), region) for region in regions
        ]

    def possible(self, text: str) -> tuple[str, ...]:
        """Return the regions of which a number may stand in an ASCII text, in their order."""
        most = 0
        for stretch in _STRETCH.findall(text):
            digits = len(_NOT_DIGITS.sub("", stretch))
            if "+" in stretch and digits >= self._international:
                return tuple(region for _, region in self._fewest)
            most = max(most, digits)
        return tuple(region for fewest, region in self._fewest if fewest <= most)


def _codes() -> list[int]:
    return list(COUNTRY_CODE_TO_REGION_CODE)


def _fewest(code: int) -> int:
    """Return the fewest digits of a national number under a country code."""
    found = []
    for region in COUNTRY_CODE_TO_REGION_CODE[code]:
        metadata = (
            PhoneMetadata.metadata_for_nongeo_region(code)
            if region == "001"
            else PhoneMetadata.metadata_for_region(region)
        )
        if metadata is not None and metadata.general_desc is not None:
            found += [one for one in metadata.general_desc.possible_length if one > 0]
    return min(found, default=1)
