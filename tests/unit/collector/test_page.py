import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.page import page_of, script_of


@pytest.mark.parametrize(
    ("address", "page"),
    [
        ("/checkout", "/checkout"),
        ("/checkout?token=abc#pay", "/checkout"),
        ("https://shop.example.org/cart/", "/cart/"),
        ("https://shop.example.org", ""),
        ("/orders/4711", "/orders/:id"),
        ("/orders/A-2026-4711/items", "/orders/:id/items"),
        ("/v2/iphone-15", "/v2/iphone-15"),
        ("/users/0192f0c1-7e5c-7b6a-9b1e-0242ac120002", "/users/:id"),
        ("/users/anna@example.org", "/users/:id"),
        ("/users/anna%40example.org", "/users/:id"),
        ("/%C3%BCber-uns", "/über-uns"),
        ("/" + "x" * 61, "/:id"),
        ("http://[broken", ""),
        ("", ""),
    ],
)
def test_a_page_is_its_path_with_ids_replaced(address: str, page: str) -> None:
    assert page_of(address) == page


@pytest.mark.parametrize(
    ("address", "script"),
    [
        ("https://shop.example.org/assets/main.8f3a2b1c99.js?v=1", "/assets/main.8f3a2b1c99.js"),
        ("/users/4711/app.mjs", "/users/:id/app.mjs"),
        ("https://shop.example.org/orders/4711", "/orders/:id"),
        ("chrome-extension://abcdefg/inject.js", "chrome-extension:"),
        ("blob:https://shop.example.org/0192f0c1", "blob:"),
        ("anna.secret@example.org:9", ""),
    ],
)
def test_a_script_keeps_its_own_name_and_nothing_of_the_address_around_it(
    address: str, script: str
) -> None:
    assert script_of(address) == script


@given(st.text())
def test_no_page_holds_a_query_an_address_sign_or_a_long_number(address: str) -> None:
    page = page_of(address)
    assert not {"?", "#", "@"} & set(page)
    assert len(page) <= 200
    assert all(sum(sign.isdigit() for sign in part) <= 3 for part in page.split("/"))
