"""Settings of MySQL whose change does more than tune the session.

Source: "Server System Variables" in MySQL's manual.
"""

from __future__ import annotations

from typing import Final

from countersign.statements.names import names
from countersign.statements.verdict import StatementClass as C

_NAMES_FILE: Final = names("""
    general_log_file slow_query_log_file log_error log_bin_basename local_infile secure_file_priv plugin_dir datadir
    tmpdir log_bin_index relay_log relay_log_index slave_load_tmpdir replica_load_tmpdir innodb_data_home_dir
    innodb_log_group_home_dir innodb_undo_directory character_sets_dir lc_messages_dir basedir socket ssl_ca ssl_cert
    ssl_key audit_log_file init_file pid_file
""")
_RUNS_CODE: Final = names("init_connect init_slave init_replica init_file event_scheduler")
_WEAKENS: Final = names("""
    sql_log_bin sql_log_off log_output general_log slow_query_log read_only super_read_only
    default_authentication_plugin authentication_policy validate_password_policy activate_all_roles_on_login
    mandatory_roles password_history skip_grant_tables require_secure_transport log_bin_trust_function_creators
    automatic_sp_privileges check_proxy_users
""")


def mysql_setting(name: str, *, widely: bool) -> tuple[str, frozenset[C]]:
    """Return a reason and the classes of setting the variable, for the session or ``widely`` for the server."""
    classes = {C.SESSION_CONTROL}
    if widely or name in _WEAKENS:
        classes.add(C.PRIVILEGE)
    if name in _NAMES_FILE:
        classes |= {C.FILE_ACCESS, C.PRIVILEGE}
    if name in _RUNS_CODE:
        classes |= {C.CODE_EXECUTION, C.PRIVILEGE}
    return "sets how the server runs", frozenset(classes)
