"""Mailboxes: the plain ones with two lanes, those with a policy, and mail that is kept for the next incarnation."""
