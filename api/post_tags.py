"""ETags of posts that change although nothing happens to them: they may refer to other posts and to channels."""

from collections.abc import Iterable
from hashlib import sha256
from typing import TypeVar

import msgspec

from api.call import Call
from api.routing import Raw
from tidewire.actions.post_refs import may_refer
from tidewire.wire.models import Post, PostList

NOT_MODIFIED = Raw(b"", "application/json", 304)
Answer = TypeVar("Answer", Post, PostList)
_encode = msgspec.json.Encoder().encode


def tagged(call: Call, answer: Answer, posts: Iterable[Post]) -> Answer | Raw:
    """Return an answer with the tag that it has or, if one of its posts may refer to something, with one of its bytes.

    Whether they do is not every reader's to know, so the tag does not depend on it. Who has the answer gets 304.
    """
    if not any(may_refer(post) for post in posts):
        return answer
    body = _encode(answer)
    if call.not_modified(f"{call.services.version_id}.{sha256(body).hexdigest()[:32]}"):
        return NOT_MODIFIED
    return Raw(body, "application/json")
