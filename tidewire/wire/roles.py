"""The built-in roles and what each permits, as clients see them. Data only; tidewire.actions.permissions uses it.

Source: Mattermost API v4, roles of a fresh server (defaults and migrations).
"""

from tidewire.wire.models import Role


def _words(text: str) -> list[str]:
    return text.split()


_BOOKMARKS = [
    f"{verb}_bookmark_{kind}_channel"
    for kind in ("public", "private")
    for verb in ("add", "edit", "delete", "order")
]
_GROUPS = ["read_public_channel_groups", "read_private_channel_groups"]

PERMISSIONS: dict[str, list[str]] = {
    "system_user": _words(
        """
        list_public_teams join_public_teams create_direct_channel create_group_channel view_members
        create_team create_custom_group edit_custom_group delete_custom_group restore_custom_group
        manage_custom_group_members create_emojis delete_emojis
        """
    ),
    "system_guest": _words("create_direct_channel create_group_channel"),
    "team_user": _words(
        """
        list_team_channels join_public_channels read_public_channel view_team create_public_channel
        create_private_channel invite_user add_user_to_team playbook_public_create playbook_private_create
        """
    ),
    "team_admin": _words(
        """
        remove_user_from_team manage_team import_team manage_team_roles manage_channel_roles
        manage_own_incoming_webhooks manage_others_incoming_webhooks manage_own_outgoing_webhooks
        manage_others_outgoing_webhooks manage_own_slash_commands manage_others_slash_commands
        bypass_incoming_webhook_channel_lock convert_public_channel_to_private
        convert_private_channel_to_public delete_post delete_others_posts manage_public_channel_banner
        manage_private_channel_banner manage_channel_access_rules create_post use_channel_mentions
        use_group_mentions playbook_public_manage_roles playbook_private_manage_roles
        """
    )
    + _BOOKMARKS
    + _GROUPS,
    "team_guest": ["view_team"],
    "channel_user": _words(
        """
        read_channel read_channel_content add_reaction remove_reaction manage_public_channel_members
        upload_file get_public_link create_post use_channel_mentions manage_public_channel_properties
        delete_public_channel manage_private_channel_properties delete_private_channel
        manage_private_channel_members delete_post edit_post use_group_mentions
        """
    )
    + _BOOKMARKS
    + _GROUPS,
    "channel_admin": _words(
        """
        manage_channel_roles use_group_mentions manage_public_channel_banner manage_private_channel_banner
        manage_channel_access_rules manage_public_channel_auto_translation
        manage_private_channel_auto_translation create_post use_channel_mentions
        """
    )
    + _BOOKMARKS
    + _GROUPS,
    "channel_guest": _words(
        """
        read_channel read_channel_content add_reaction remove_reaction upload_file edit_post create_post
        use_channel_mentions
        """
    ),
    "system_post_all": _words("create_post use_channel_mentions"),
    "system_post_all_public": _words("create_post_public use_channel_mentions"),
    "team_post_all": _words("create_post use_channel_mentions"),
    "team_post_all_public": _words("create_post_public use_channel_mentions"),
    "system_user_access_token": _words(
        """create_user_access_token read_user_access_token revoke_user_access_token"""
    ),
}

_SYSCONSOLE = _words(
    """
        about_edition_and_license authentication_email authentication_guest_access authentication_ldap
        authentication_mfa authentication_openid authentication_password authentication_saml
        authentication_signup billing compliance_compliance_export compliance_compliance_monitoring
        compliance_custom_terms_of_service compliance_data_retention_policy environment_database
        environment_developer environment_elasticsearch environment_file_storage
        environment_high_availability environment_image_proxy environment_logging
        environment_mobile_security environment_performance_monitoring environment_push_notification_server
        environment_rate_limiting environment_session_lengths environment_smtp environment_web_server
        experimental_bleve experimental_feature_flags experimental_features integrations_bot_accounts
        integrations_cors integrations_gif integrations_integration_management plugins products_boards
        reporting_server_logs reporting_site_statistics reporting_team_statistics site_announcement_banner
        site_customization site_emoji site_file_sharing_and_downloads site_ip_filters site_localization
        site_notices site_notifications site_posts site_public_links site_users_and_teams
        user_management_channels user_management_groups user_management_permissions
        user_management_system_roles user_management_teams user_management_users
        """
)

_ADMIN_ONLY = _words(
    """
        add_ldap_private_cert add_ldap_public_cert add_saml_idp_cert add_saml_private_cert
        add_saml_public_cert assign_bot assign_system_admin_role create_bot create_compliance_export_job
        create_data_retention_job create_elasticsearch_post_aggregation_job
        create_elasticsearch_post_indexing_job create_ldap_sync_job create_post_ephemeral
        create_user_access_token delete_emojis delete_others_emojis delete_others_posts demote_to_guest
        download_compliance_export_result edit_brand edit_other_users edit_others_posts get_analytics
        get_logs get_saml_cert_status get_saml_metadata_from_idp import_team invalidate_caches
        invalidate_email_invite invite_guest join_private_teams list_private_teams list_users_without_team
        manage_bots manage_jobs manage_license_information manage_oauth manage_others_bots
        manage_outgoing_oauth_connections manage_roles manage_secure_connections manage_shared_channels
        manage_system manage_system_wide_oauth permanent_delete_user promote_guest
        purge_elasticsearch_indexes read_audits read_bots read_compliance_export_job read_data_retention_job
        read_deleted_posts read_elasticsearch_post_aggregation_job read_elasticsearch_post_indexing_job
        read_jobs read_ldap_sync_job read_license_information read_others_bots read_other_users_teams
        read_user_access_token recycle_database_connections reload_config remove_ldap_private_cert
        remove_ldap_public_cert remove_others_reactions remove_saml_idp_cert remove_saml_private_cert
        remove_saml_public_cert remove_user_from_team revoke_user_access_token test_elasticsearch test_email
        test_ldap test_s3 test_site_url create_post_public
        """
)

def _console(verb: str, *starts: str) -> list[str]:
    return [f"sysconsole_{verb}_{part}" for part in _SYSCONSOLE if part.startswith(starts)]


_LOOK = ("about", "authentication", "compliance", "environment", "experimental", "integrations", "plugins", "reporting",
         "site")  # fmt: skip
_PEOPLE = tuple(f"user_management_{part}" for part in ("channels", "groups", "permissions", "teams", "users"))
_ANALYST = _words("get_analytics get_logs read_jobs read_license_information test_site_url")
_TEAMS = _words(
    """
        list_private_teams list_public_teams manage_private_channel_members manage_private_channel_properties
        manage_public_channel_members manage_public_channel_properties manage_team manage_team_roles
        add_user_to_team remove_user_from_team join_private_teams join_public_teams read_channel
        read_public_channel view_team
    """
)

# A system admin may do everything; the list is for the clients, which show what it names.
PERMISSIONS["system_admin"] = sorted(
    {name for names in PERMISSIONS.values() for name in names}
    | set(_ADMIN_ONLY)
    | {f"sysconsole_{verb}_{section}" for section in _SYSCONSOLE for verb in ("read", "write")}
)

# Small administrators, for those who share the console's work.
PERMISSIONS["system_manager"] = (
    _console("read", *_LOOK, *_PEOPLE)
    + _console("write", "environment", "site", "integrations", *_PEOPLE)
    + _ANALYST
    + _TEAMS
    + _words("recycle_database_connections reload_config invalidate_caches test_email")
)
PERMISSIONS["system_user_manager"] = (
    _console("read", "authentication", *_PEOPLE) + _console("write", *_PEOPLE[:2], *_PEOPLE[3:]) + _TEAMS
)
PERMISSIONS["system_read_only_admin"] = (
    _console("read", *_LOOK, *_PEOPLE)
    + _ANALYST
    + _words("list_private_teams read_channel read_public_channel view_team")
)

_UNMANAGED = {
    "system_post_all",
    "system_post_all_public",
    "team_post_all",
    "team_post_all_public",
    "system_user_access_token",
    "system_manager",
    "system_user_manager",
    "system_read_only_admin",
}
# Ids must be the same on all nodes and never change: made from the place in this list, in the form of an id.
ROLES: dict[str, Role] = {
    name: Role(
        id=f"role{number:022d}",
        name=name,
        display_name=f"authentication.roles.{name}.name",
        description=f"authentication.roles.{name}.description",
        permissions=permissions,
        scheme_managed=name not in _UNMANAGED,
    )
    for number, (name, permissions) in enumerate(PERMISSIONS.items(), 1)
}


def is_guest(roles: str) -> bool:
    """Tell whether these system roles (space separated) are a guest's."""
    return "system_guest" in roles.split()
