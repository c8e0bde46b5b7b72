"""The first steps of an installation."""

from tests.fixtures.api import Api, People


async def test_first_user_is_admin_and_the_world_can_be_made(people: People) -> None:
    assert people.admin.me["roles"] == "system_admin system_user"
    assert people.owner.me["roles"] == "system_user"
