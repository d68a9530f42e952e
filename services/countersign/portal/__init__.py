"""The portal: people sign in here, and get the gateway's own tokens; issuers tell it of logouts and security events."""
