"""Which tests show which attack case is repelled: cases on sockets and sessions (A), frames and load (B), rights (C),
logins (D), files (E), requests that the server makes (F), and on what leaks or stops (G).

Rows are data; tests/unit/test_security_cases.py sees to it that each named test exists. What a case asks for that this
server does not have is said beside it.
"""

GATEWAY, ACCOUNTS = "tests/integration/gateway/", "tests/integration/accounts/"
API, PEOPLE, TEAMS = "tests/integration/api/", "tests/integration/people/", "tests/integration/teams/"
POSTS, FILES = "tests/integration/posts/", "tests/integration/files/"
PROGRAMS, OUTBOUND = "tests/integration/programs/", "tests/integration/outbound/"
LINKS = "tests/integration/links/"
SERVE, PROTOCOL, HOTPATH = "tests/serve/", "tests/protocol/", "tests/unit/hotpath/"
BUS = "tests/integration/bus/"

# case: (what is tried, the tests)
CASES: dict[str, tuple[str, list[str]]] = {
    "A1": (
        "a foreign origin, the own one, none",
        [
            PROTOCOL + "test_handshake.py::test_origins",
            SERVE + "test_tls.py::test_sockets_take_the_cookie_from_the_own_origin_only",
        ],
    ),
    "A2": (
        "origins that look right",
        [
            PROTOCOL + "test_handshake.py::test_origins",
            PROTOCOL + "test_handshake.py::test_origins_without_a_site_url_and_with_a_list",
        ],
    ),
    "A3": (
        "a socket that says nothing",
        [GATEWAY + "test_login.py::test_who_does_not_log_in_is_closed_in_time"],
    ),
    "A4": (
        "challenges with wrong tokens",
        [
            GATEWAY + "test_login.py::test_a_bad_challenge_closes_tcp_without_a_frame",
            GATEWAY + "test_login.py::test_bad_challenges_count_against_the_limit_of_http_logins",
        ],
    ),
    "A5": (
        "the token in the address",
        [
            GATEWAY + "test_login.py::test_a_token_in_the_url_is_refused",
            ACCOUNTS + "test_attacks.py::test_access_tokens_are_not_taken_from_addresses",
            ACCOUNTS + "test_oauth.py::test_from_an_app_s_link_to_its_token_and_back",
        ],
    ),
    "A6": (
        "seven ways to end a login, sockets on two gateway processes",
        [
            ACCOUNTS + "test_nodes.py::test_a_login_ends_on_every_node",
            ACCOUNTS + "test_nodes.py::test_all_logins_of_the_server_end_on_every_node",
            ACCOUNTS + "test_nodes.py::test_an_access_token_ends_on_every_node",
            ACCOUNTS + "test_nodes.py::test_an_oauth_app_ends_on_every_node",
            ACCOUNTS + "test_oauth_ends.py::test_what_ends_an_app_s_sessions",
        ],
    ),
    "A7": (
        "a session that ends while its socket is busy",
        [
            ACCOUNTS
            + "test_sockets.py::test_a_session_ends_while_its_socket_is_busy_and_lives_on_if_it_is_used"
        ],
    ),
    "A8": (
        "out of a channel while posts stream into it: by removal, with the team, archived; demoted",
        [
            ACCOUNTS + "test_nodes.py::test_nothing_of_a_channel_comes_after_it_was_left",
            ACCOUNTS + "test_nodes.py::test_nobody_types_in_an_archived_channel",
            ACCOUNTS + "test_nodes.py::test_a_guest_hears_of_those_he_sees_on_every_node",
            ACCOUNTS + "test_guests.py::test_there_and_back",
        ],
    ),
    "A9": (
        "resumes with others' ids, guessed ones, and old ones",
        [
            GATEWAY + "test_resume.py::test_another_users_connection_is_not_to_be_had",
            GATEWAY + "test_resume.py::test_an_empty_id_and_an_unknown_id_are_fresh",
            GATEWAY + "test_resume.py::test_a_connection_from_before_a_logout_is_gone",
            GATEWAY + "test_resume.py::test_without_a_session_the_id_is_not_even_looked_at",
        ],
    ),
    "A10": (
        "impossible sequence numbers",
        [
            GATEWAY + "test_resume.py::test_impossible_numbers_make_a_fresh_connection",
            GATEWAY + "test_resume.py::test_a_number_far_ahead_makes_a_fresh_connection_and_drops_the_old",
            GATEWAY + "test_resume.py::test_malformed_resumes_are_closed_right_behind_the_101",
        ],
    ),
    "B1": (
        "Autobahn's cases, over TCP and TLS",
        [
            PROTOCOL + "test_autobahn.py::test_autobahn",
            PROTOCOL + "test_autobahn.py::test_autobahn_over_tls",
            PROTOCOL + "test_autobahn.py::test_autobahn_with_large_messages_over_tls",
        ],
    ),
    "B2": (
        "a length of 2^62",
        [PROTOCOL + "test_limits.py::test_a_huge_frame_is_refused_when_it_is_announced"],
    ),
    "B3": (
        "fragments without an end, together above the limit",
        [
            PROTOCOL + "test_limits.py::test_fragments_count_together",
            HOTPATH + "test_frames.py::test_the_message_limit_counts_all_fragments",
        ],
    ),
    "B4": (
        "a million fragments that hold nothing",
        [
            PROTOCOL + "test_limits.py::test_tiny_fragments_are_counted",
            HOTPATH + "test_frames.py::test_the_fragment_limit",
        ],
    ),
    "B5": (
        "deflated zeros, and streams that never end",
        [
            HOTPATH + "test_deflate.py::test_bombs_and_nonsense_end_the_connection",
            HOTPATH + "test_deflate.py::test_any_bytes_inflate_within_the_limit_or_are_refused",
            HOTPATH + "test_deflate.py::test_compressed_bytes_have_a_limit_too",
        ],
    ),
    "B6": (
        "the largest window: nothing is kept between messages, whatever a client asks for",
        [
            PROTOCOL + "test_compression.py::test_offers",
            HOTPATH + "test_deflate.py::test_compressed_forms_count_in_the_budget",
        ],
    ),
    "B7": (
        "a large frame on each socket, then nothing",
        [
            HOTPATH + "test_frames.py::test_nothing_is_kept_of_whole_messages_and_only_what_has_come_of_others",
            HOTPATH + "test_resume.py::test_memory_of_idle_rings_shrinks",
            "tests/soak/test_soak.py::test_nothing_is_kept_of_what_came_and_went",
        ],
    ),
    "B8": (
        "a socket that reads nothing of 100 MiB",
        [PROTOCOL + "test_limits.py::test_a_reader_that_stopped_is_bounded_and_costs_the_others_nothing"],
    ),
    "B9": (
        "floods of typing, pings and actions that there are not",
        [
            GATEWAY + "test_actions.py::test_a_flood_closes_the_socket",
            GATEWAY + "test_actions.py::test_typing_reaches_the_others_once_per_interval",
            PROTOCOL + "test_limits.py::test_a_flood_of_pings_that_reads_nothing_is_cut",
            PROTOCOL + "test_limits.py::test_every_socket_is_served_beside_a_hog",
        ],
    ),
    "B10": (
        "malformed JSON and MessagePack",
        [
            GATEWAY + "test_actions.py::test_undecodable_frames_close_this_socket_only",
            GATEWAY + "test_actions.py::test_duplicated_keys_and_unknown_members_do_no_harm",
            GATEWAY + "test_actions.py::test_what_is_no_action",
        ],
    ),
    "B11": (
        "sockets without end from one address and of one user",
        [
            GATEWAY + "test_login.py::test_addresses_are_counted_behind_trusted_proxies",
            GATEWAY + "test_login.py::test_strangers_of_one_address_keep_nobody_else_out",
            GATEWAY + "test_login.py::test_a_user_with_too_many_sockets_loses_the_oldest",
            PROTOCOL + "test_handshake.py::test_too_many_sockets",
        ],
    ),
    "B12": (
        "handshakes that never end, of HTTP and of TLS",
        [
            PROTOCOL + "test_handshake.py::test_slow_handshakes_are_cut_and_do_not_delay_others",
            PROTOCOL + "test_tls.py::test_handshakes_that_hang_are_cut_in_time",
            PROTOCOL + "test_tls.py::test_the_number_of_handshakes_is_bounded",
        ],
    ),
    "B13": (
        "everybody comes back at once: a thousand here, ten thousand by `tidewire loadtest run storm`",
        [
            SERVE + "test_handover.py::test_a_thousand_cut_sockets_come_back_to_random_processes",
            PROTOCOL + "test_handshake.py::test_too_many_handshakes",
            GATEWAY + "test_login.py::test_many_logins_at_once_are_few_queries",
            API + "test_nodes.py::test_too_many_logins_at_once_are_told_to_come_again",
        ],
    ),
    "B14": (
        "malformed handshakes",
        [
            PROTOCOL + "test_handshake.py::test_bad_handshakes",
            PROTOCOL + "test_handshake.py::test_what_a_client_proposes_is_not_reflected",
        ],
    ),
    "C1": (
        "every route by every kind of caller",
        [
            API + "test_permissions.py::test_nothing_but_open_routes_answers_a_stranger",
            API + "test_permissions.py::test_unknown_and_foreign_channels_look_the_same",
            API + "test_permissions.py::test_reads",
            API + "test_permissions.py::test_writes",
            TEAMS + "test_rows.py::test_who_may",
            PEOPLE + "test_table.py::test_who_may",
            ACCOUNTS + "test_table.py::test_who_may_do_what",
        ],
    ),
    "C2": (
        "a guest searches posts, files, people and channels",
        [
            POSTS + "test_search.py::test_a_guest_finds_only_what_he_may_read",
            POSTS + "test_search.py::test_who_finds_what",
            POSTS + "test_search.py::test_files_by_name_kind_and_content",
            TEAMS + "test_changes.py::test_lists_and_searches_never_show_what_one_may_not_know",
            PEOPLE + "test_table.py::test_who_may",
        ],
    ),
    "C3": (
        "ids that one still knows, links to them among these",
        [
            TEAMS + "test_changes.py::test_one_who_left_learns_nothing_more",
            GATEWAY + "test_post_refs.py::test_one_who_left_learns_nothing_more",
            GATEWAY + "test_post_refs.py::test_every_read_shows_it_to_who_can_read_it_only",
        ],
    ),
    "C4": (
        "roles and mass assignment",
        [
            TEAMS + "test_rows.py::test_what_goes_wrong",
            TEAMS + "test_changes.py::test_mass_assignment_changes_nothing",
            PEOPLE + "test_accounts.py::test_what_cannot_be_assigned_by_mass",
            ACCOUNTS + "test_attacks.py::test_nobody_assigns_what_is_not_his_to_say",
        ],
    ),
    "C5": (
        "made-up parts of posts",
        [
            POSTS + "test_posts.py::test_nobody_speaks_for_others",
            PROGRAMS + "test_commands.py::test_commands_and_webhooks_of_others",
            PROGRAMS + "test_incoming.py::test_a_webhook_made_for_another_stays_in_its_channel",
            GATEWAY + "test_post_refs.py::test_edits_name_anew_and_clients_decide_nothing",
        ],
    ),
    "C6": (
        "others' files by id, thumbnail, preview and public link; attaches others' files, or one twice",
        [
            FILES + "test_files.py::test_who_may",
            FILES + "test_files.py::test_public_links",
            FILES + "test_posts.py::test_what_cannot_be_attached",
            FILES + "test_posts.py::test_a_file_is_attached_once_however_many_try",
            FILES + "test_uploads.py::test_who_may_and_what_is_refused",
        ],
    ),
    "C7": (
        "two hundred of the same change at once",
        [
            TEAMS + "test_changes.py::test_two_hundred_changes_at_once",
            ACCOUNTS + "test_bots.py::test_two_hundred_changes_at_once_end_as_one_after_another",
            API + "test_channels.py::test_joining_and_leaving_at_once",
            TEAMS + "test_strict.py::test_an_invitation_lets_one_in_once",
            ACCOUNTS + "test_oauth_ends.py::test_an_app_goes_while_it_is_used",
        ],
    ),
    "D1": (
        "a thousand guesses for one account, and over a thousand; over nodes and sockets",
        [
            ACCOUNTS + "test_brute_force.py::test_a_thousand_passwords_for_one_account",
            ACCOUNTS + "test_brute_force.py::test_one_password_for_a_thousand_accounts",
            ACCOUNTS + "test_attacks.py::test_guesses_are_counted_over_nodes_by_account_and_by_address",
            GATEWAY + "test_login.py::test_bad_challenges_count_against_the_limit_of_http_logins",
        ],
    ),
    "D2": (
        "one-time tokens and codes, from a hundred connections at once, again, and too late",
        [
            ACCOUNTS + "test_recovery.py::test_a_password_is_reset_once",
            ACCOUNTS
            + "test_recovery.py::test_a_reset_link_ends_with_time_with_another_link_and_with_a_change",
            ACCOUNTS + "test_recovery.py::test_an_address_must_be_verified_where_the_configuration_wants_it",
            ACCOUNTS + "test_signup.py::test_an_invitation_by_e_mail_works_once",
            ACCOUNTS + "test_mfa.py::test_set_up_log_in_and_remove",
            ACCOUNTS + "test_oauth_ends.py::test_of_many_who_redeem_one_has_it_and_the_second_ends_it",
            ACCOUNTS + "test_oauth_ends.py::test_codes_are_for_ten_minutes_and_for_the_login_that_agreed",
            TEAMS + "test_strict.py::test_an_invitation_lets_one_in_once",
            TEAMS + "test_strict.py::test_an_invitation_ends_after_a_while",
        ],
    ),
    "D3": (
        "codes, secrets, redirect URIs, scopes and sessions of other OAuth flows, and open redirects",
        [
            ACCOUNTS + "test_oauth.py::test_what_an_app_may_not_ask",
            ACCOUNTS + "test_oauth.py::test_nobody_agrees_for_another",
            ACCOUNTS + "test_oauth.py::test_what_redeems_nothing",
            ACCOUNTS + "test_oauth.py::test_a_public_app_shows_by_pkce_who_it_is",
        ],
    ),
    "D4": (
        "a cookie alone",
        [
            API + "test_logins.py::test_csrf_by_header_or_by_ajax_mark",
            API + "test_browsers.py::test_strict_csrf_takes_the_token_only",
            TEAMS + "test_changes.py::test_a_cookie_alone_changes_nothing",
        ],
    ),
    "D5": (
        "cookies, tokens and what is kept of them",
        [
            API + "test_logins.py::test_browsers_get_three_cookies_and_must_show_the_csrf_token",
            API + "test_logins.py::test_cookies_are_secure_behind_a_trusted_https_proxy",
            API + "test_logins.py::test_logout_ends_the_session_and_clears_the_cookie",
            API + "test_browsers.py::test_cookies_go_where_the_site_is",
            ACCOUNTS + "test_attacks.py::test_no_secret_is_in_what_others_see_nor_at_rest",
        ],
    ),
    "D6": (
        "without Redis, without PostgreSQL, without both",
        [
            API + "test_nodes.py::test_without_redis_everything_is_checked_in_the_database",
            API + "test_nodes.py::test_without_the_database_nobody_gets_in_and_it_heals",
        ],
    ),
    "E1": (
        "names that are paths, headers or tricks of the eye",
        [FILES + "test_hostile.py::test_names_are_only_data", FILES + "test_files.py::test_raw_bodies"],
    ),
    "E2": ("files that would run in a browser", [FILES + "test_hostile.py::test_nothing_that_runs_is_shown"]),
    "E3": (
        "pictures that lie or explode",
        [
            FILES + "test_hostile.py::test_pictures_that_lie",
            FILES + "test_emojis.py::test_what_is_refused",
            PEOPLE + "test_pictures.py::test_a_hanging_decoder_is_replaced",
        ],
    ),
    "E4": (
        "uploads that are too long, lie about it, stop, or come twice",
        [
            FILES + "test_hostile.py::test_bodies_that_lie_leave_nothing",
            FILES + "test_hostile.py::test_a_store_that_fails_leaves_nothing",
            FILES + "test_hostile.py::test_kill_in_the_middle_leaves_nothing",
            FILES + "test_uploads.py::test_only_one_of_many_counts",
            FILES + "test_uploads.py::test_what_came_before_a_cut_is_kept",
            FILES + "test_uploads.py::test_what_nobody_goes_on_with_ends",
        ],
    ),
    "E5": (
        "pages behind addresses of images",
        [
            LINKS + "test_image_proxy.py::test_only_images_of_others_come_through",
            LINKS + "test_previews.py::test_what_cannot_be_shown_stays_a_link",
        ],
    ),
    "E6": (
        "archives to import that explode, lie or lead out",
        [
            "tests/unit/bulk/test_archive.py::test_archives_that_are_refused",
            "tests/unit/bulk/test_archive.py::test_many_small_bombs_are_one",
            "tests/unit/bulk/test_archive.py::test_overlapping_entries_are_refused",
            "tests/unit/bulk/test_archive.py::test_links_and_pipes_of_a_folder_lead_nowhere",
            "tests/unit/bulk/test_archive.py::test_paths_that_are_none",
            "tests/integration/bulk/test_jobs.py::test_a_name_is_no_path",
        ],
    ),
    "F1": (
        "addresses inside, in all their spellings",
        [
            "tests/unit/outbound/test_addresses.py::test_inner_addresses_are_not",
            "tests/unit/outbound/test_addresses.py::test_hosts_are_read_as_they_will_be_asked",
            "tests/unit/outbound/test_addresses.py::test_what_is_no_address_to_ask",
            OUTBOUND + "test_fetch.py::test_the_machine_itself_is_not_asked",
            LINKS + "test_previews.py::test_only_allowed_addresses_are_asked",
            LINKS + "test_image_proxy.py::test_only_images_of_others_come_through",
            PROGRAMS + "test_outgoing.py::test_addresses_inside_are_not_called",
            PROGRAMS + "test_interactive.py::test_clicks_that_are_refused",
        ],
    ),
    "F2": (
        "redirects inside, and names that change",
        [
            OUTBOUND + "test_fetch.py::test_redirects_are_checked_counted_and_told_no_secrets",
            OUTBOUND + "test_fetch.py::test_a_name_that_changes_is_asked_at_the_address_that_was_checked",
            LINKS + "test_previews.py::test_only_allowed_addresses_are_asked",
        ],
    ),
    "F3": (
        "answers without an end, slow, exploding, in circles",
        [
            OUTBOUND + "test_fetch.py::test_endless_slow_and_broken_answers_end",
            OUTBOUND + "test_fetch.py::test_a_slow_host_does_not_hold_up_the_others",
            LINKS + "test_previews.py::test_a_post_does_not_wait",
            LINKS + "test_previews.py::test_servers_that_hurt_are_left",
        ],
    ),
    "F4": (
        "addresses that lead back, forged hosts",
        [
            PROGRAMS + "test_interactive.py::test_clicks_that_are_refused",
            PROGRAMS + "test_commands.py::test_a_forged_host_is_in_no_address_and_no_login_goes_out",
            LINKS + "test_previews.py::test_the_own_site_is_not_asked",
        ],
    ),
    "F5": (
        "answers of programs that are too long or misshapen",
        [
            PROGRAMS + "test_commands.py::test_answers_that_no_program_should_give",
            PROGRAMS + "test_incoming.py::test_what_no_program_should_send_is_refused",
            PROGRAMS + "test_interactive.py::test_clicks_that_are_refused",
        ],
    ),
    "G1": (
        "secrets in what others see",
        [ACCOUNTS + "test_attacks.py::test_no_secret_is_in_what_others_see_nor_at_rest"],
    ),
    "G2": (
        "what events of deleted and edited posts still say; nothing expires or burns here",
        [
            POSTS + "test_posts.py::test_a_deleted_post_leaves_a_blank",
            POSTS + "test_posts.py::test_an_edit_keeps_the_old_version",
            "tests/unit/actions/test_post_rules.py::test_a_blank_post_shows_that_it_was_there_and_nothing_else",
        ],
    ),
    "G3": (
        "texts that take long or much memory, many mentions, reactions and names",
        [
            "tests/unit/actions/test_mention_text.py::test_any_text_takes_linear_time",
            "tests/unit/actions/test_mention_text.py::test_names_to_look_up_are_all_forms_and_few",
            "tests/unit/actions/test_post_rules.py::test_hashtags_take_linear_time",
            "tests/unit/actions/test_post_rules.py::test_props_that_are_too_many_or_too_long",
            POSTS + "test_lists.py::test_lists_without_pages_are_bounded_in_bytes",
            POSTS + "test_lists.py::test_whole_threads_are_bounded_in_bytes",
            POSTS + "test_extras.py::test_drafts_that_are_refused",
            API + "test_preferences.py::test_a_users_preferences_have_an_end",
            POSTS + "test_posts.py::test_bad_reactions_are_refused",
            POSTS + "test_mentions.py::test_who_may_not_name_everybody_names_nobody",
            PEOPLE + "test_statuses.py::test_bad_custom_statuses",
        ],
    ),
    "G4": (
        "SQL, wildcards, operators, NUL, broken UTF-8 everywhere",
        [
            API + "test_bad_input.py::test_malformed_bodies_at_every_route",
            API + "test_bad_input.py::test_odd_words_in_paths_and_queries",
            API + "test_bad_input.py::test_arbitrary_json_at_every_route",
            API + "test_bad_input.py::test_every_string_that_is_taken_comes_back",
            POSTS + "test_search.py::test_conditions",
        ],
    ),
    "G5": (
        "request smuggling, also behind Caddy, HAProxy and nginx",
        [
            API + "test_smuggling.py::test_ambiguous_requests_are_refused",
            SERVE + "test_proxies.py::test_ambiguous_requests_are_refused",
            SERVE + "test_proxies.py::test_other_oddities_are_passed_on_as_one_or_refused",
            SERVE + "test_proxies.py::test_caddy_passes_on_what_it_answers",
            SERVE + "test_proxies.py::test_nothing_behind_an_upgrade_is_a_request",
            SERVE + "test_proxies.py::test_an_api_hears_of_no_upgrade",
        ],
    ),
    "G6": (
        "metrics from outside, words of one process to another forged, databases that others can reach",
        [
            SERVE + "test_serve.py::test_metrics_of_all_processes",
            SERVE + "test_serve.py::test_nobody_else_reaches_the_databases",
            BUS + "test_redis.py::test_who_has_no_password_tells_nobody_anything",
            BUS + "test_redis.py::test_passwords_and_databases_of_the_url",
            "tests/unit/gateway/test_relay.py::test_unreadable_entries_count_as_missing",
            "tests/unit/settings/test_peers.py::test_postgresql",
            "tests/unit/settings/test_peers.py::test_redis",
            GATEWAY + "test_config.py::test_the_start_tells_of_databases_that_others_can_reach",
        ],
    ),
    "G7": (
        "a full disk, no connection, a Redis without memory, no DNS, a certificate that cannot be used",
        [
            FILES + "test_hostile.py::test_a_full_disk_is_a_503",
            FILES + "test_hostile.py::test_a_store_that_fails_leaves_nothing",
            FILES + "test_hostile.py::test_s3_that_is_away_is_a_503",
            "tests/integration/store/test_db.py::test_no_free_connection_in_time_is_unavailable",
            "tests/integration/store/test_db.py::test_a_killed_server_is_unavailable_and_back_after_its_restart",
            API + "test_nodes.py::test_without_the_database_nobody_gets_in_and_it_heals",
            BUS + "test_publisher.py::test_a_full_redis_costs_no_commit",
            "tests/chaos/test_degraded.py::test_redis_stands_still",
            "tests/chaos/test_degraded.py::test_postgres_stands_still",
            OUTBOUND + "test_fetch.py::test_a_name_that_nobody_knows_is_no_fault_of_ours",
            PROTOCOL + "test_tls.py::test_a_new_certificate_is_for_those_who_come",
            PROTOCOL + "test_tls.py::test_certificates_that_cannot_be_used",
            GATEWAY + "test_process.py::test_it_serves_counts_and_stops",
        ],
    ),
}
