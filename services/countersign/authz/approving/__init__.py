"""A call that people must agree to: asked about, waited for, and let pass once."""
