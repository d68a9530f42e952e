"""The functions that are known to do more than compute, and the classes of a call of each.

Source: the chapter "System Administration Functions" and its neighbours of PostgreSQL's manual, and the manuals of the
extensions named. A function that is neither here nor in ``pure_functions`` is unknown code.
"""

from __future__ import annotations

from typing import Final

from countersign.statements.names import names
from countersign.statements.verdict import StatementClass as C

_GROUPS: Final = (
    # Text that is executed as SQL here, or reads of relations that are named only in a text.
    (
        (C.CODE_EXECUTION, C.BULK_READ),
        """
        query_to_xml query_to_xml_and_xmlschema query_to_xmlschema cursor_to_xml cursor_to_xmlschema schema_to_xml
        schema_to_xml_and_xmlschema schema_to_xmlschema database_to_xml database_to_xml_and_xmlschema
        database_to_xmlschema ts_stat xpath_table crosstab crosstab2 crosstab3 crosstab4 crosstabn connectby
        """,
    ),
    ((C.BULK_READ,), "table_to_xml table_to_xml_and_xmlschema table_to_xmlschema"),
    ((C.CODE_EXECUTION,), "ts_rewrite plpgsql_validator fmgr_sql_validator"),
    ((C.CODE_EXECUTION, C.FILE_ACCESS), "fmgr_c_validator fmgr_internal_validator"),
    # Other servers: dblink, postgres_fdw, pg_net, http, plproxy and their like.
    (
        (C.EXPORT, C.CODE_EXECUTION),
        """
        dblink dblink_exec dblink_open dblink_fetch dblink_close dblink_connect dblink_connect_u dblink_send_query
        dblink_get_result dblink_cancel_query dblink_disconnect
        """,
    ),
    (
        (C.EXPORT,),
        """
        http http_get http_post http_put http_patch http_delete http_head pg_notify dblink_get_notify
        postgres_fdw_get_connections pg_logical_slot_peek_changes pg_logical_slot_peek_binary_changes
        """,
    ),
    ((C.EXPORT, C.SESSION_CONTROL), "pg_logical_slot_get_changes pg_logical_slot_get_binary_changes"),
    ((C.WRITE, C.EXPORT), "pg_logical_emit_message"),
    (
        (C.EXPORT, C.SESSION_CONTROL),
        """
        pg_create_logical_replication_slot pg_create_physical_replication_slot pg_copy_logical_replication_slot
        pg_copy_physical_replication_slot
        """,
    ),
    # Files of the server.
    (
        (C.FILE_ACCESS,),
        """
        pg_read_file pg_read_binary_file pg_stat_file pg_ls_dir pg_ls_logdir pg_ls_waldir pg_ls_tmpdir
        pg_ls_archive_statusdir pg_ls_logicalsnapdir pg_ls_logicalmapdir pg_ls_replslotdir pg_ls_summariesdir
        pg_current_logfile pg_file_read pg_file_length pg_logdir_ls pg_read_file_old pg_wal_summary_contents
        pg_available_wal_summaries get_raw_page pg_get_wal_records_info pg_get_wal_record_info pg_get_loaded_modules
        """,
    ),
    ((C.FILE_ACCESS, C.WRITE), "lo_import pg_file_write pg_file_unlink pg_file_rename pg_file_sync"),
    ((C.FILE_ACCESS, C.EXPORT), "lo_export"),
    # Large objects, sequences and what else changes stored things.
    (
        (C.WRITE,),
        """
        lo_creat lo_create lo_from_bytea lo_put lo_open lo_close lowrite lo_truncate lo_truncate64 lo_unlink lo_manage
        nextval setval pg_nextoid
        """,
    ),
    ((C.MASS_WRITE,), "vacuumlo lo_cleanup"),
    # How this session, or others, run.
    (
        (C.SESSION_CONTROL,),
        """
        pg_sleep pg_sleep_for pg_sleep_until pg_advisory_lock pg_advisory_lock_shared pg_advisory_unlock
        pg_advisory_unlock_all pg_advisory_unlock_shared pg_advisory_xact_lock pg_advisory_xact_lock_shared
        pg_try_advisory_lock pg_try_advisory_lock_shared pg_try_advisory_xact_lock pg_try_advisory_xact_lock_shared
        pg_cancel_backend pg_terminate_backend pg_reload_conf pg_rotate_logfile pg_switch_wal pg_switch_xlog
        pg_promote pg_create_restore_point pg_backup_start pg_backup_stop pg_start_backup pg_stop_backup
        pg_wal_replay_pause pg_wal_replay_resume pg_export_snapshot pg_log_backend_memory_contexts
        pg_log_standby_snapshot setseed pg_stat_reset pg_stat_reset_backend_stats pg_stat_reset_replication_slot
        pg_stat_reset_shared pg_stat_reset_single_function_counters pg_stat_reset_single_table_counters
        pg_stat_reset_slru pg_stat_reset_subscription_stats pg_stat_clear_snapshot pg_stat_force_next_flush
        pg_stat_statements_reset pg_drop_replication_slot pg_replication_slot_advance pg_sync_replication_slots
        pg_prewarm autoprewarm_start_worker autoprewarm_dump_now pg_buffercache_evict pg_buffercache_evict_all
        pg_buffercache_evict_relation pg_replication_origin_advance pg_replication_origin_create
        pg_replication_origin_drop pg_replication_origin_session_reset pg_replication_origin_session_setup
        pg_replication_origin_xact_reset pg_replication_origin_xact_setup postgres_fdw_disconnect
        postgres_fdw_disconnect_all
        """,
    ),
    (
        (C.DDL,),
        """
        brin_summarize_new_values brin_summarize_range brin_desummarize_range gin_clean_pending_list
        pg_import_system_collations pg_clear_attribute_stats pg_clear_relation_stats pg_restore_attribute_stats
        pg_restore_relation_stats pg_extension_config_dump pg_stop_making_pinned_objects
        """,
    ),
    # What other people do, and secrets.
    (
        (C.PRIVILEGE,),
        """
        pg_stat_get_activity pg_stat_get_backend_activity pg_stat_statements pg_stat_statements_info pg_hba_file_rules
        pg_ident_file_mappings pg_show_all_file_settings pg_stat_get_wal_receiver pg_stat_get_subscription pgrowlocks
        pg_signal_backend pgp_sym_decrypt pgp_sym_decrypt_bytea pgp_pub_decrypt pgp_pub_decrypt_bytea
        """,
    ),
)

EFFECTS: Final = {name: frozenset(classes) for classes, listed in _GROUPS for name in names(listed)}
"""The classes of a call, by the function's name without its schema."""

EXECUTES_TEXT: Final = names(
    """
    query_to_xml query_to_xml_and_xmlschema query_to_xmlschema ts_stat ts_rewrite crosstab crosstab2 crosstab3
    crosstab4 crosstabn dblink dblink_exec dblink_open dblink_send_query xpath_table
    """
)
"""Functions of which an argument is SQL: where that is a literal, its classes count beside."""

NAMES_RELATION: Final = names("table_to_xml table_to_xml_and_xmlschema table_to_xmlschema")
"""Functions whose first argument is the name of a relation that they read."""
