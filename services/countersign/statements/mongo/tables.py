"""What MongoDB's database commands do whatever their arguments say. A command that stands nowhere is not understood.

Source: MongoDB manual 8.0, "Database commands".
"""

from __future__ import annotations

from countersign.statements.names import names
from countersign.statements.verdict import StatementClass

_C = StatementClass

_GROUPS: tuple[tuple[tuple[StatementClass, ...], str], ...] = (
    (
        (_C.READ,),
        """ping hello isMaster ismaster buildInfo buildinfo hostInfo serverStatus dbStats dbstats collStats collstats
        dataSize listDatabases listCollections listIndexes connectionStatus listCommands whatsmyuri connPoolStats
        dbHash features lockInfo replSetGetStatus replSetGetConfig getDefaultRWConcern top isdbgrid listShards
        balancerStatus getShardMap getShardVersion isSelf currentDb checkMetadataConsistency validateDBMetadata
        planCacheListFilters listSearchIndexes""",
    ),
    ((_C.PRIVILEGE, _C.READ), "currentOp getLog getCmdLineOpts usersInfo rolesInfo getParameter"),
    (
        (_C.PRIVILEGE,),
        """createUser updateUser dropUser dropAllUsersFromDatabase grantRolesToUser revokeRolesFromUser createRole
        updateRole dropRole dropAllRolesFromDatabase grantPrivilegesToRole revokePrivilegesFromRole grantRolesToRole
        revokeRolesFromRole invalidateUserCache rotateCertificates""",
    ),
    ((_C.PRIVILEGE, _C.SESSION_CONTROL), "authenticate logout saslStart saslContinue"),
    ((_C.DDL,), "create createIndexes collMod reIndex compact shardCollection enableSharding refineCollectionShardKey"),
    (
        (_C.DDL,),
        "reshardCollection unshardCollection createSearchIndexes updateSearchIndex planCacheSetFilter planCacheClear",
    ),
    (
        (_C.DESTRUCTIVE_DDL,),
        "drop dropDatabase dropIndexes deleteIndexes convertToCapped cleanupOrphaned dropSearchIndex",
    ),
    (
        (_C.CODE_EXECUTION,),
        "eval $eval mapReduce mapreduce group applyOps doTxn godinsert internalRenameIfOptionsAndIndexesMatch",
    ),
    ((_C.EXPORT, _C.MASS_WRITE), "copydb clone cloneCollection cloneCollectionAsCapped copydbgetnonce"),
    ((_C.FILE_ACCESS, _C.SESSION_CONTROL), "logRotate fsync fsyncUnlock"),
    (
        (_C.SESSION_CONTROL,),
        """killOp killCursors killSessions killAllSessions killAllSessionsByPattern setParameter shutdown profile
        startSession refreshSessions endSessions abortTransaction commitTransaction setFeatureCompatibilityVersion
        setDefaultRWConcern replSetInitiate replSetReconfig
        replSetStepDown replSetStepUp replSetFreeze replSetMaintenance
        replSetSyncFrom replSetResizeOplog replSetAbortPrimaryCatchUp flushRouterConfig balancerStart balancerStop
        balancerCollectionStatus configureCollectionBalancing setAllowMigrations addShard removeShard addShardToZone

        removeShardFromZone updateZoneKeyRange moveChunk moveCollection moveRange movePrimary split
        splitChunk mergeChunks
        mergeAllChunksOnShard
        clearJumboFlag transitionToDedicatedConfigServer transitionFromDedicatedConfigServer sleep
        validate setIndexCommitQuorum setProfilingFilterGlobally setQuerySettings removeQuerySettings
        setClusterParameter
        setUserWriteBlockMode filemd5 touch setLevel""",
    ),
)

FIXED: dict[str, frozenset[StatementClass]] = {
    command: frozenset(classes) for classes, listed in _GROUPS for command in names(listed)
}

ON_COLLECTION = names(
    """create createIndexes collMod reIndex compact drop dropIndexes deleteIndexes convertToCapped mapReduce mapreduce
    collStats collstats listIndexes validate planCacheClear createSearchIndexes updateSearchIndex dropSearchIndex"""
)
"""Commands of the table whose value is a collection's name."""

EVERY_COMMAND = names(
    """$db $readPreference $clusterTime lsid txnNumber autocommit startTransaction apiVersion apiStrict
    apiDeprecationErrors comment maxTimeMS readConcern writeConcern"""
)
"""Options that any command takes."""

OPTIONS: dict[str, frozenset[str]] = {
    "find": names(
        """filter projection sort limit skip batchSize singleBatch hint max min returnKey showRecordId tailable
        awaitData noCursorTimeout allowPartialResults collation allowDiskUse let oplogReplay ntoreturn"""
    ),
    "aggregate": names("pipeline cursor explain allowDiskUse bypassDocumentValidation collation hint let"),
    "count": names("query limit skip hint collation fields"),
    "distinct": names("key query collation hint"),
    "getMore": names("collection batchSize"),
    "insert": names("documents ordered bypassDocumentValidation"),
    "update": names("updates ordered bypassDocumentValidation let"),
    "delete": names("deletes ordered let"),
    "findAndModify": names(
        "query sort remove update new fields upsert bypassDocumentValidation collation arrayFilters hint let"
    ),
    "explain": names("verbosity"),
    "renameCollection": names("to dropTarget"),
    "bulkWrite": names("ops nsInfo ordered bypassDocumentValidation let errorsOnly"),
}
"""Options of the commands that work with documents; another one is not understood."""

ALIASES = {"findandmodify": "findAndModify"}

SENSITIVE_COLLECTIONS = names(
    "system.users system.roles system.profile system.keys system.js oplog.rs system.sessions system.backup_users"
)
"""Credentials, stored code, and what others ran."""

PRIVILEGED_DATABASES = names("admin local config")
