"""System procedures of SQL Server.

Source: "System stored procedures" and "General extended stored procedures" in Microsoft's reference.
"""

from __future__ import annotations

from typing import Final

from countersign.statements.names import names
from countersign.statements.verdict import StatementClass as C

HARMLESS_PROCEDURES: Final = names("""
    sp_help sp_helptext sp_helpindex sp_helpconstraint sp_helpdb sp_helpfile sp_columns sp_tables sp_databases
    sp_stored_procedures sp_pkeys sp_fkeys sp_statistics sp_spaceused sp_special_columns sp_datatype_info sp_depends
    sp_server_info sp_helptrigger sp_helpsort sp_sproc_columns sp_describe_first_result_set sp_indexes_rowset
    sp_linkedservers sp_catalogs sp_helpstats sp_helpfilegroup xp_msver
""")

_GROUPS: Final = (
    (
        (C.CODE_EXECUTION,),
        """
        xp_cmdshell sp_executesql sp_prepare sp_prepexec sp_execute sp_cursoropen sp_cursorprepexec sp_oacreate
        sp_oamethod sp_oagetproperty sp_oasetproperty sp_oadestroy sp_addextendedproc sp_start_job sp_add_job
        sp_add_jobstep sp_update_jobstep sp_procoption sp_msforeachtable sp_msforeachdb sp_execute_external_script
        sp_create_plan_guide xp_servicecontrol sp_addtask sp_runwebtask
        """,
    ),
    ((C.CODE_EXECUTION, C.EXPORT), "sp_invoke_external_rest_endpoint sp_remotequery sp_testlinkedserver"),
    (
        (C.FILE_ACCESS, C.EXPORT),
        """
        xp_dirtree xp_fileexist xp_subdirs xp_getfiledetails sp_makewebtask xp_get_tape_devices xp_sqlagent_notify
        xp_availablemedia xp_fixeddrives xp_readmail
    """,
    ),
    ((C.FILE_ACCESS, C.DESTRUCTIVE_DDL), "xp_delete_file xp_delete_files"),
    ((C.FILE_ACCESS, C.EXPORT, C.WRITE), "xp_copy_file xp_copy_files xp_create_subdir"),
    ((C.FILE_ACCESS, C.PRIVILEGE), "xp_readerrorlog sp_readerrorlog xp_enumerrorlogs sp_trace_create"),
    (
        (C.PRIVILEGE, C.FILE_ACCESS),
        """
        xp_regread xp_instance_regread xp_regenumkeys xp_regenumvalues xp_instance_regenumkeys xp_instance_regenumvalues
    """,
    ),
    (
        (C.PRIVILEGE, C.FILE_ACCESS, C.WRITE),
        """
        xp_regwrite xp_instance_regwrite xp_regdeletekey xp_regdeletevalue xp_regaddmultistring xp_regremovemultistring
        xp_instance_regdeletekey xp_instance_regdeletevalue
    """,
    ),
    ((C.EXPORT,), "sp_send_dbmail xp_sendmail sp_notify_operator xp_startmail"),
    (
        (C.EXPORT, C.PRIVILEGE),
        """
        sp_addlinkedserver sp_addserver sp_addlinkedsrvlogin sp_serveroption sp_setnetname sp_addremotelogin
    """,
    ),
    ((C.PRIVILEGE, C.SESSION_CONTROL), "sp_configure sp_setapprole sp_unsetapprole"),
    (
        (C.PRIVILEGE,),
        """
        sp_addlogin sp_addsrvrolemember sp_addrolemember sp_addrole sp_adduser sp_password sp_grantdbaccess
        sp_grantlogin sp_denylogin sp_revokelogin sp_revokedbaccess sp_droplogin sp_dropuser sp_droprole sp_dropserver
        sp_droprolemember sp_dropsrvrolemember sp_change_users_login sp_changedbowner sp_defaultdb xp_grantlogin
        xp_revokelogin sp_addapprole sp_approlepassword sp_changeobjectowner sp_helplogins sp_helpuser sp_helprotect
        sp_helpsrvrolemember sp_helprolemember xp_logininfo xp_loginconfig xp_enumgroups sp_who sp_who2 sp_lock
        sp_helplinkedsrvlogin sp_audit_write sp_validatelogins sp_control_dbmasterkey_password
        sp_xp_cmdshell_proxy_account sp_helpremotelogin
    """,
    ),
    (
        (C.DDL,),
        "sp_rename sp_renamedb sp_addtype sp_droptype sp_bindrule sp_bindefault sp_recompile sp_refreshview",
    ),
    (
        (C.DDL,),
        "sp_updatestats sp_addextendedproperty sp_updateextendedproperty sp_dropextendedproperty sp_tableoption",
    ),
    ((C.DDL, C.PRIVILEGE), "sp_dboption"),
    ((C.DDL, C.FILE_ACCESS), "sp_attach_db sp_attach_single_file_db"),
    ((C.DESTRUCTIVE_DDL,), "sp_detach_db sp_dropextendedproc sp_delete_job sp_delete_backuphistory sp_cycle_errorlog"),
    (
        (C.SESSION_CONTROL,),
        """
        sp_getapplock sp_releaseapplock sp_set_session_context sp_trace_setstatus sp_stop_job sp_settriggerorder
        sp_control_plan_guide sp_query_store_flush_db sp_cursorclose sp_cursorfetch sp_unprepare sp_reset_connection
    """,
    ),
)

PROCEDURES: Final = {name: frozenset(classes) for classes, text in _GROUPS for name in names(text)}
"""The classes of running a procedure, by its bare name in lower case; any other is unknown code."""
