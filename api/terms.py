"""Terms of service. Rules are in tidewire.actions.terms."""

from msgspec import Struct

from api.call import Call
from api.routing import OK, route
from tidewire.actions import terms
from tidewire.actions.terms import Accepted
from tidewire.wire.models import TermsOfService


class NewTerms(Struct):
    """What one says about new terms."""

    text: str = ""


class Answer(Struct, rename="camel"):
    """A user's answer to terms; `accepted` is a boolean, or "true" as older clients say."""

    terms_of_service_id: str = ""
    accepted: bool | str = False


@route("GET", "/terms_of_service")
async def get_terms(call: Call) -> TermsOfService:
    """The terms that hold."""
    return await terms.get_terms(call.services)


@route("POST", "/terms_of_service", audit=True)
async def create_terms(call: Call) -> TermsOfService:
    """Write terms that hold from now on."""
    body = await call.body(NewTerms, "text")
    return await terms.do_create_terms(call.services, call.login, body.text)


@route("POST", "/users/{user_id}/terms_of_service", audit=True)
async def answer_terms(call: Call) -> bytes:
    """Accept terms, or take that back."""
    user_id, body = call.path_id("user_id"), await call.body(Answer)
    accepted = body.accepted in (True, "true")
    await terms.do_answer_terms(
        call.services, call.login, user_id, body.terms_of_service_id, accepted=accepted
    )
    return OK


@route("GET", "/users/{user_id}/terms_of_service")
async def get_answer(call: Call) -> Accepted:
    """What the caller has accepted."""
    return await terms.get_answer(call.services, call.login, call.path_id("user_id"))
