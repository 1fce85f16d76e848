import pytest

from candor.terminal import percent


@pytest.mark.parametrize(
    ("ratio", "text"),
    [
        (None, "-"),
        (1.0, "100.000 %"),
        (0.99999999, "99.999 %"),
        (0.999, "99.900 %"),
        (0.118, "11.800 %"),
        (-0.0000001, "-0.001 %"),
        (-1.0, "-100.000 %"),
        (0.0, "0.000 %"),
    ],
)
def test_a_percentage_is_cut_and_never_flatters(ratio: float | None, text: str) -> None:
    assert percent(ratio) == text
