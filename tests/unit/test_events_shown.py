"""Each event that the server emits leads clients where a fresh load leads, and a test shows it.

Those that the remembering client of tests/conformance applies are compared with fresh snapshots in test_snapshot.py;
for the others stands here which test compares them with what REST answers, or why there is nothing to compare.
Source: Mattermost API v4, WebSocket events.
"""

from pathlib import Path

from tests.conformance.client import Client
from tests.unit.test_contract_tables import source_of

ROOT = Path(__file__).parents[2]
EVENTS = """
    hello posted post_edited post_deleted ephemeral_message post_unread typing reaction_added reaction_removed
    post_acknowledgement_added post_acknowledgement_removed persistent_notification_triggered post_revealed post_burned
    burn_on_read_all_revealed thread_updated thread_read_changed thread_follow_changed channel_created channel_updated
    channel_converted channel_deleted channel_restored channel_member_updated channel_scheme_updated
    multiple_channels_viewed direct_added group_added user_added user_removed channel_bookmark_created
    channel_bookmark_deleted channel_bookmark_updated channel_bookmark_sorted added_to_team leave_team update_team
    delete_team restore_team update_team_scheme memberrole_updated new_user user_updated user_role_updated
    user_activation_status_change guests_deactivated status_change preference_changed preferences_changed
    preferences_deleted sidebar_category_created sidebar_category_deleted sidebar_category_updated
    sidebar_category_order_updated emoji_added role_updated draft_created draft_deleted scheduled_post_created
    scheduled_post_updated scheduled_post_deleted config_changed license_changed plugin_enabled plugin_disabled
    plugin_statuses_changed open_dialog received_group custom_profile_attributes_values_updated
    content_flagging_report_value_updated post_translation_updated recap_updated file_download_rejected show_toast
"""
TESTS = "tests/integration/"
ELSEWHERE = {
    "channel_converted": TESTS + "teams/test_changes.py",  # names the channel, which clients ask for
    "config_changed": TESTS + "gateway/test_config.py::test_changes_reach_sockets_and_the_next_hello",
    "role_updated": TESTS + "gateway/test_config.py::test_changes_reach_sockets_and_the_next_hello",
    "user_role_updated": TESTS + "accounts/test_guests.py::test_there_and_back_by_roles",
    "user_activation_status_change": TESTS + "people/test_accounts.py::test_a_deactivated_account_is_dead_at_once",
    "guests_deactivated": TESTS + "accounts/test_guests.py",
    "new_user": TESTS + "api/test_events.py",  # names the user, whom clients ask for
    "emoji_added": TESTS + "files/test_emojis.py::test_an_emoji_is_made_found_told_and_gone",
    # Nothing of these is in any snapshot.
    "hello": TESTS + "gateway/test_login.py",
    "typing": TESTS + "gateway/test_actions.py::test_typing_reaches_the_others_once_per_interval",
    "ephemeral_message": TESTS + "posts/test_extras.py",
    "open_dialog": TESTS + "programs/test_interactive.py",
}


def test_every_event_that_is_emitted_is_compared() -> None:
    modules = [file for folder in ("tidewire/actions", "gateway") for file in (ROOT / folder).glob("*.py")]
    code = "".join(file.read_text() for file in modules)
    emitted = {name for name in EVENTS.split() if f'"{name}"' in code}
    applied = {name for name in emitted if hasattr(Client, "on_" + name)}
    assert len(applied) > 30
    assert emitted - applied == ELSEWHERE.keys()
    for name, shown in ELSEWHERE.items():
        text = source_of(shown) if "::" in shown else (ROOT / shown).read_text()
        assert f'"{name}"' in text, (name, shown)
