"""System relations and settings that are no ordinary data.

Source: the chapters "System Catalogs", "System Views" and "Server Configuration" of PostgreSQL's manual.
"""

from __future__ import annotations

import re
from typing import Final

from countersign.statements.names import names
from countersign.statements.verdict import StatementClass as C

_SECRET: Final = names(
    """
    pg_authid pg_shadow pg_user_mapping pg_user_mappings pg_subscription pg_stat_activity pg_stat_wal_receiver
    pg_hba_file_rules pg_ident_file_mappings pg_file_settings pg_largeobject pg_statistic pg_statistic_ext_data
    pg_foreign_server pg_db_role_setting pg_stats pg_stats_ext pg_stats_ext_exprs
    """
)
"""Relations of ``pg_catalog`` with password hashes, credentials of links, others' statements or others' raw data."""

_SECRET_ANYWHERE: Final = names(
    """
    pg_stat_statements pg_stat_statements_info pg_stat_monitor pg_store_plans decrypted_secrets pg_dist_authinfo
    pg_dist_poolinfo pg_qualstats pg_qualstats_all pg_stat_kcache_detail
    """
)
"""The same for relations of extensions, which may be installed in any schema."""

_SECRET_IN: Final = {
    "information_schema": names("user_mapping_options _pg_user_mappings foreign_server_options _pg_foreign_servers"),
    "vault": names("secrets decrypted_secrets"),
    "pgsodium": names("key valid_key decrypted_key masking_rule"),
    "cron": names("job job_run_details"),
}

_SYSTEM_SCHEMAS: Final = names("pg_catalog information_schema pg_toast")


def is_secret(schema: str, name: str) -> bool:
    """Whether reading the relation shows credentials, secrets, or what other people run; ``schema`` may be empty."""
    if name in _SECRET:
        return schema in {"", "pg_catalog"}
    return name in _SECRET_ANYWHERE or schema == "pg_toast" or name in _SECRET_IN.get(schema, ())


def is_system(schema: str, name: str) -> bool:
    """Whether changing the relation changes the system itself and not data."""
    return schema in _SYSTEM_SCHEMAS or (schema == "" and name.startswith("pg_"))


_SETS_IDENTITY: Final = names("role session_authorization")
_WEAKENS: Final = names("row_security session_replication_role allow_system_table_mods")
_LOADS_CODE: Final = names(
    """
    dynamic_library_path local_preload_libraries session_preload_libraries shared_preload_libraries jit_provider
    archive_command archive_library archive_cleanup_command restore_command recovery_end_command
    ssl_passphrase_command extension_control_path
    """
)
_NAMES_FILE: Final = names(
    """
    data_directory config_file hba_file ident_file external_pid_file log_directory log_filename unix_socket_directories
    ssl_cert_file ssl_key_file ssl_ca_file ssl_crl_file ssl_crl_dir ssl_dh_params_file krb_server_keyfile
    stats_temp_directory promote_trigger_file
    """
)


_HOLDS_SECRET: Final = re.compile(
    r"conninfo|passw|passphrase|secret|token|jwt|credential|private|(?:api|access|encryption|signing|service|license).?key"
    r"|_key$|_command$"
)


def is_secret_setting(name: str | None) -> bool:
    """Whether showing the setting shows credentials, as far as its name tells; ``None``: which one cannot be told."""
    return name is None or _HOLDS_SECRET.search(name.lower()) is not None


def setting_classes(name: str) -> frozenset[C]:
    """Return the classes of setting the parameter; an empty name stands for one that cannot be told."""
    name = name.lower()
    classes = {C.SESSION_CONTROL}
    if not name or name in _SETS_IDENTITY or name in _WEAKENS or name.startswith("pgaudit."):
        classes.add(C.PRIVILEGE)
    if name in _LOADS_CODE:
        classes.add(C.CODE_EXECUTION)
    if name in _NAMES_FILE:
        classes.add(C.FILE_ACCESS)
    return frozenset(classes)
