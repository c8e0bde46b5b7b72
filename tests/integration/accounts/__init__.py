"""Accounts: recovery, sessions, access tokens, second factors, bots, e-mail, audits."""
