"""Demo only: an issuer, a target and a walk that show the gateway at work. Nothing here belongs in production."""
