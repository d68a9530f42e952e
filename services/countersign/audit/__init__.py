"""Checks exports of the record offline, against keys that the auditor trusts."""
