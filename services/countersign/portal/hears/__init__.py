"""What issuers tell: logouts (OpenID Connect Back-Channel Logout 1.0) and security events (RFC 8935, CAEP, RISC).

A request passes ``room`` (HTTP), ``opening`` (whose it says it is), ``signed`` (its signature), then ``logouts`` or
``signals`` (what it revokes), and is answered once ``applying`` knows that to be durable.
"""
