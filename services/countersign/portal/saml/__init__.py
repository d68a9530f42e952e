"""SAML 2.0: people sign in at an identity provider, and clients exchange assertions for tokens (RFC 7522)."""
