"""Values that must never survive, put together at run time so that no scanner of the source trips over them."""

from __future__ import annotations

AWS_KEY = "AKIA" + "Z7QWERTYUIOPASDF"
GITHUB_TOKEN = "ghp_" + "16C7e42F292c6912E7710c838347Ae178B4a"
JWT = "eyJ" + "hbGciOiJIUzI1NiJ9" + ".eyJ" + "zdWIiOiJjYW5hcnkifQ" + ".c2lnbmF0dXJlY2FuYXJ5"
EMAIL = "canary.one" + "@" + "example.org"
CARD = "4111" + "1111" + "1111" + "1111"
SSN = "536-" + "22-" + "8726"
PEM_BODY = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC\nBKcwggSjAgEAAoIBAQC7canary"
PEM = "-----BEGIN " + "PRIVATE KEY-----\n" + PEM_BODY + "\n-----END " + "PRIVATE KEY-----"

ALL = (AWS_KEY, GITHUB_TOKEN, JWT, EMAIL, CARD, SSN)
