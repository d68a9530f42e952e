"""ext_authz: who is it, may they. Reads in the order of a call: server, envoy, judge, identity, sessions, records."""
