"""Relations of each system with password hashes, credentials of links, or what other people run.

Sources: MySQL's manual ("The mysql System Schema", "Performance Schema"), Microsoft's reference of system catalog views
and dynamic management views, BigQuery's and Snowflake's chapters on their information schemas and account usage.
"""

from __future__ import annotations

from typing import Final

from countersign.statements.names import names

_EMPTY: Final = frozenset[str]()

SECRET: Final = {
    "mysql": names("""
        mysql.user mysql.global_priv mysql.db mysql.global_grants mysql.default_roles mysql.role_edges
        mysql.roles_mapping
        mysql.password_history mysql.servers mysql.slave_master_info mysql.proxies_priv mysql.tables_priv
        mysql.columns_priv mysql.procs_priv mysql.general_log mysql.slow_log mysql.event
        mysql.proc mysql.func mysql.plugin mysql.replication_asynchronous_connection_failover
        mysql.host information_schema.processlist information_schema.user_privileges information_schema.user_attributes
        information_schema.innodb_trx information_schema.innodb_ft_index_table information_schema.innodb_ft_index_cache
        sys.processlist sys.session sys.statement_analysis sys.statements_with_full_table_scans
        sys.x$processlist sys.x$session sys.x$statement_analysis sys.innodb_lock_waits sys.schema_table_lock_waits
    """),
    "tsql": names("""
        sys.sql_logins sys.syslogins sys.sysxlogins sys.server_principals sys.credentials sys.linked_logins
        sys.remote_logins sys.database_credentials sys.database_scoped_credentials sys.symmetric_keys
        sys.asymmetric_keys sys.certificates sys.key_encryptions sys.server_permissions sys.sysservers
        sys.query_store_query_text sys.sysprocesses sys.sysusers sys.dm_server_registry sys.fn_get_sql
        sys.column_master_keys sys.column_encryption_keys sys.column_encryption_key_values sys.crypt_properties
        dbo.syslogins dbo.sysxlogins dbo.sysprocesses dbo.sysusers dbo.sysservers dbo.sysoledbusers
        dbo.syscredentials dbo.sysjobsteps dbo.sysjobs dbo.sysmail_server dbo.sysmail_account dbo.sysproxies
    """),
    "sqlite": _EMPTY,
    "bigquery": names("""
        information_schema.jobs information_schema.jobs_by_user information_schema.jobs_by_project
        information_schema.jobs_by_folder information_schema.jobs_by_organization information_schema.jobs_timeline
        information_schema.jobs_timeline_by_project information_schema.jobs_timeline_by_user
        information_schema.jobs_timeline_by_folder information_schema.jobs_timeline_by_organization
        information_schema.object_privileges information_schema.sessions_by_project information_schema.sessions_by_user
        information_schema.sessions
    """),
    "snowflake": names("""
        account_usage.query_history account_usage.login_history account_usage.users account_usage.access_history
        account_usage.credentials account_usage.sessions account_usage.grants_to_users account_usage.grants_to_roles
        account_usage.password_policies account_usage.stages account_usage.copy_history
        account_usage.load_history account_usage.secrets account_usage.session_policies
        account_usage.aggregate_query_history account_usage.task_history account_usage.query_attribution_history
        organization_usage.users organization_usage.login_history organization_usage.access_history
        organization_usage.sessions organization_usage.credentials organization_usage.grants_to_users
        reader_account_usage.query_history reader_account_usage.login_history information_schema.applicable_roles
        organization_usage.query_history information_schema.query_history information_schema.login_history
    """),
}
"""By ``schema.name``."""

SECRET_ANYWHERE: Final = {
    "mysql": _EMPTY,
    "tsql": names("""
        sysxlogins syslogins sysprocesses sysoledbusers sysremotelogins syscredentials sysproxies sysjobsteps
        sysmail_server sql_logins sysservers sysusers
    """),
    "sqlite": names("sqlite_dbpage sqlite_stmt sqlite_dbdata sqlite_dbptr"),
    "bigquery": _EMPTY,
    "snowflake": names("query_history login_history"),
}
"""By the bare name, in whatever schema."""

SECRET_SCHEMAS: Final = {
    "mysql": frozenset({"performance_schema"}),
    "tsql": _EMPTY,
    "sqlite": _EMPTY,
    "bigquery": _EMPTY,
    "snowflake": _EMPTY,
}
"""Schemas of which every relation shows what others run."""
