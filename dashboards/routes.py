"""What people reach without an account: their preferences, unsubscribing, and their receipts."""

import json
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse, RedirectResponse

from candor.kernel.errors import MalformedError, NotFoundError
from candor.kernel.http import ServicesDep, SessionDep, requires
from dashboards.assets import assets
from dashboards.forms import Form, check_same_origin, read_form
from dashboards.pages import PersonRoute, languages_of, page
from dashboards.preference_page import (
    chosen_of,
    event_views,
    history_rows,
    history_table,
    offer_views,
    scope_name,
    silenced_names,
)
from dashboards.receipts import OFFERED, media_type_for, receipt_rows, receipt_text
from dashboards.words import Words, languages_spoken, words_for, words_in
from privacy.consent.choosing import Asking
from privacy.consent.link import Link, link_of
from privacy.consent.linking import ONE_CLICK
from privacy.consent.purpose import EVERY_PURPOSE
from privacy.consent.receipt import Receipt
from privacy.consent.routes import ConsentDep
from privacy.consent.signals import GPC_HEADER, is_gpc
from privacy.consent.withdrawing import withdraw_by_link

_GONE: dict[int | str, dict[str, Any]] = {
    404: {"description": "No such link"},
    410: {"description": "The link has run out"},
}
_UNAVAILABLE: dict[int | str, dict[str, Any]] = {
    503: {"description": "Nothing was changed; try again"}
}
_PAGE = _GONE | _UNAVAILABLE
_FORM = _PAGE | {
    400: {"description": "The form cannot be read"},
    413: {"description": "The form is too large"},
    415: {"description": "It is no form"},
}
_IMMUTABLE = "public, max-age=31536000, immutable"
_A_DAY = "public, max-age=86400"

people = APIRouter(tags=["people"], route_class=PersonRoute)
router = APIRouter()

Token = Annotated[str, Path(description="From POST /api/v1/consent/links")]
FormDep = Annotated[Form, Depends(read_form)]


def asking_of(request: Request) -> Asking:
    """Return how somebody asks."""
    values = [value for name, value in request.scope["headers"] if name == GPC_HEADER]
    return Asking(languages_of(request), is_gpc(values))


def words_of(request: Request) -> Words:
    """Return the words that somebody reads best."""
    return words_for(languages_of(request))


def holder_of(token: Token, services: ServicesDep) -> Link:
    """Return whose preferences a token opens."""
    return link_of(token, "preferences", services.secrets.link_key, services.clock())


AskingDep = Annotated[Asking, Depends(asking_of)]
WordsDep = Annotated[Words, Depends(words_of)]
Holder = Annotated[Link, Depends(holder_of)]


@people.get("/preferences/{token}", responses=_PAGE, response_class=Response)
def show_preferences(  # noqa: PLR0913, PLR0917 - path, query and dependencies of one request
    request: Request,
    token: Token,
    link: Holder,
    consent: ConsentDep,
    asking: AskingDep,
    words: WordsDep,
    saved: str = "",
) -> Response:
    """Show a person's choices; changes nothing."""
    events = consent.preferences.saved_with(link, saved) if saved else []
    told = {"saved": events, "saved_nothing": saved == "nothing", "outdated": []}
    return _preferences(request, token, link, consent, asking, words, 200, told)


@people.post(
    "/preferences/{token}",
    status_code=303,
    response_class=Response,
    responses=_FORM
    | {
        403: {"description": "It came from another site"},
        409: {"description": "A text changed meanwhile; it is shown anew"},
    },
)
def save_preferences(  # noqa: PLR0913, PLR0917 - path, form and dependencies of one request
    request: Request,
    token: Token,
    link: Holder,
    consent: ConsentDep,
    asking: AskingDep,
    words: WordsDep,
    form: FormDep,
) -> Response:
    """Record what a person chose, and send them back to what stands now, with receipts."""
    check_same_origin(request)
    saved = consent.preferences.choose(link, chosen_of(form, token), asking)
    if saved.outdated:
        told = {"saved": saved.events, "saved_nothing": False, "outdated": saved.outdated}
        return _preferences(request, token, link, consent, asking, words, 409, told)
    first = saved.events[0].id if saved.events else "nothing"
    language = f"&lang={words.locale}" if "lang" in request.query_params else ""
    return RedirectResponse(f"/preferences/{token}?saved={first}{language}", 303)


@people.get("/preferences/{token}/history.{kind}", responses=_PAGE, response_class=Response)
def take_history(
    token: Token, kind: str, link: Holder, session: SessionDep, consent: ConsentDep
) -> Response:
    """Return what a person said before, as a file: JSON with the signed receipts, or CSV."""
    del token
    events = consent.preferences.history(link)
    if kind == "json":
        receipts = [consent.issuer.find(session, one.id) for one in events]
        rows = zip(history_rows(events), receipts, strict=True)
        told = [row | {"receipt": receipt} for row, receipt in rows]
        text, media_type = json.dumps(told, indent=1, ensure_ascii=False), "application/json"
    elif kind == "csv":
        text, media_type = history_table(events), "text/csv; charset=utf-8"
    else:
        raise NotFoundError("The history is there as history.json and history.csv.")
    return Response(text, 200, _attached(f"consent-history.{kind}"), media_type)


@people.get("/preferences/{token}/receipts/{name}", responses=_PAGE, response_class=Response)
def show_receipt_to_person(  # noqa: PLR0913, PLR0917 - path and dependencies of one request
    request: Request,
    token: Token,
    name: str,
    link: Holder,
    session: SessionDep,
    consent: ConsentDep,
    words: WordsDep,
) -> Response:
    """Show one receipt of the person; ``.json`` and ``.txt`` behind its number give a file."""
    event_id, _, kind = name.partition(".")
    receipt = consent.issuer.find(session, event_id, link.subject_key)
    if kind == "json":
        text = json.dumps(receipt, indent=1, ensure_ascii=False)
        return Response(text, 200, _attached(f"receipt-{event_id}.json"), "application/json")
    if kind == "txt":
        return PlainTextResponse(receipt_text(receipt, words, consent.issuer.public_key.hex()))
    back = f"/preferences/{token}"
    return _receipt_page(request, receipt, consent, words, back)


@people.get("/u/{token}", responses=_PAGE, response_class=Response)
def ask_to_unsubscribe(
    request: Request,
    token: Token,
    services: ServicesDep,
    consent: ConsentDep,
    words: WordsDep,
) -> Response:
    """Show the one button; changes nothing, whoever follows links in mails."""
    link = link_of(token, "unsubscribe", services.secrets.link_key, services.clock())
    what = _scope_name(link, consent, words)
    return page(request, "unsubscribe.html", words, state="ask", what=what)


@people.post("/u/{token}", responses=_FORM, response_class=Response)
def unsubscribe(  # noqa: PLR0913, PLR0917 - path, form and dependencies of one request
    request: Request,
    token: Token,
    services: ServicesDep,
    session: SessionDep,
    consent: ConsentDep,
    words: WordsDep,
    form: FormDep,
) -> Response:
    """Take back what a message was sent for, in one press and without asking (RFC 8058)."""
    now = services.clock()
    link = link_of(token, "unsubscribe", services.secrets.link_key, now)
    name, _, value = ONE_CLICK.partition("=")
    if form.get(name, "").strip() != value:
        raise MalformedError(f"Send the form {ONE_CLICK}.")
    done = withdraw_by_link(session, consent.ledger, link, now)
    state = "done" if done is not None else "already"
    what = _scope_name(link, consent, words)
    return page(request, "unsubscribe.html", words, state=state, what=what)


@router.get(
    "/api/v1/receipts/{receipt_id}",
    tags=["consent"],
    dependencies=[requires("consent:read")],
    responses={200: {"content": {one: {} for one in OFFERED}}},
)
def show_receipt(
    request: Request,
    receipt_id: str,
    session: SessionDep,
    consent: ConsentDep,
    words: WordsDep,
) -> Response:
    """Return the signed receipt of an act, or by ``Accept`` what it says for people to read."""
    receipt = consent.issuer.find(session, receipt_id)
    wanted = media_type_for(request.headers.get("accept", ""))
    if wanted == "text/html":
        return _receipt_page(request, receipt, consent, words, None)
    if wanted == "text/plain":
        return PlainTextResponse(
            receipt_text(receipt, words, consent.issuer.public_key.hex()),
            headers={"vary": "accept"},
        )
    return JSONResponse(receipt, headers={"vary": "accept"})


@router.get("/.well-known/gpc.json", tags=["consent"])
def tell_gpc(consent: ConsentDep) -> Response:
    """Say whether Global Privacy Control is honoured, and since when as it is now."""
    preferences = consent.preferences
    told = {
        "gpc": preferences.honours_signal(),
        "lastUpdate": preferences.signal_date().isoformat(),
    }
    return JSONResponse(told, headers={"cache-control": _A_DAY})


@router.get("/assets/{name}", include_in_schema=False)
def show_asset(name: str) -> Response:
    """Return a style sheet; its address changes when it does."""
    asset = assets().get(f"/assets/{name}")
    if asset is None:
        raise NotFoundError("There is no such file.")
    headers = {"cache-control": _IMMUTABLE, "x-content-type-options": "nosniff"}
    return Response(asset.content, 200, headers, asset.media_type)


def _preferences(  # noqa: PLR0913, PLR0917 - all that the page shows
    request: Request,
    token: str,
    link: Link,
    consent: ConsentDep,
    asking: Asking,
    words: Words,
    status: int,
    told: dict[str, Any],
) -> Response:
    offers = consent.preferences.show(link, asking)
    names = {one.purpose.key: one.purpose.name for one in offers}
    return page(
        request,
        "preferences.html",
        words,
        status,
        path=f"/preferences/{token}",
        picked=request.query_params.get("lang"),
        languages=[(one, words_in(one)("language")) for one in languages_spoken()],
        offers=offer_views(offers, words),
        gpc=asking.gpc,
        silenced=silenced_names(offers),
        history=event_views(consent.preferences.history(link), offers, words),
        saved=event_views(told["saved"], offers, words),
        saved_nothing=told["saved_nothing"],
        outdated=[names[key] for key in told["outdated"]],
    )


def _receipt_page(
    request: Request, receipt: Receipt, consent: ConsentDep, words: Words, back: str | None
) -> Response:
    return page(
        request,
        "receipt.html",
        words,
        rows=receipt_rows(receipt, words),
        key=consent.issuer.public_key.hex(),
        back=back,
        files=f"{back}/receipts/{receipt['id']}" if back is not None else None,
    )


def _scope_name(link: Link, consent: ConsentDep, words: Words) -> str:
    if link.purpose == EVERY_PURPOSE:
        return scope_name(None, link.channel, words)
    return scope_name(consent.preferences.purpose_name(link.purpose), link.channel, words)


def _attached(name: str) -> dict[str, str]:
    return {"content-disposition": f'attachment; filename="{name}"'}
