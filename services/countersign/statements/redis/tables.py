"""What each Redis command does. A command that stands nowhere here is not understood.

Source: the command reference of redis.io (versions up to 8.2) and ``COMMAND DOCS``; the arity is the documented one.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from countersign.statements.names import names
from countersign.statements.verdict import StatementClass

_C = StatementClass
MANY = 1 << 30
"""No limit on the number of arguments."""


class Keys(Enum):
    """Which of the arguments are keys."""

    NONE = 0
    FIRST = 1
    TWO = 2
    ALL = 3
    ODD = 4
    """First, third, fifth: keys and values by turns."""
    COUNTED = 5
    """A number, then so many keys."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What one command does, whatever its arguments say (``least`` to ``most`` of them, the name not counted)."""

    classes: frozenset[StatementClass]
    least: int
    most: int
    keys: Keys = Keys.NONE


def _entries(classes: tuple[StatementClass, ...], keys: Keys, table: str) -> dict[str, Entry]:
    entries: dict[str, Entry] = {}
    for item in table.split():
        name, _, arity = item.partition(":")
        least, _, most = arity.partition("-")
        upper = int(least) if not most else MANY if most == "n" else int(most)
        entries[name.replace("/", " ")] = Entry(frozenset(classes), int(least), upper, keys)
    return entries


_READS = {
    **_entries(
        (_C.READ,),
        Keys.FIRST,
        """get:1 strlen:1 ttl:1 pttl:1 expiretime:1 pexpiretime:1 type:1 getrange:3 substr:3 getbit:2 bitcount:1-4
        bitpos:2-5 bitfield_ro:1-n hget:2 hmget:2-n hlen:1 hstrlen:2 hexists:2 httl:4-n hpttl:4-n hexpiretime:4-n
        hpexpiretime:4-n llen:1 lindex:2 lpos:2-8 scard:1 sismember:2 smismember:2-n zcard:1 zscore:2 zmscore:2-n
        zrank:2-3 zrevrank:2-3 zcount:3 zlexcount:3 xlen:1 geopos:2-n geodist:3-4 geohash:2-n dump:1 json.get:1-n
        json.type:1-2 json.strlen:1-2 json.arrlen:1-2 json.objlen:1-2 json.arrindex:3-5 object/encoding:1 object/freq:1
        object/idletime:1 object/refcount:1 memory/usage:1-3 xinfo/stream:1-4 xinfo/groups:1 xinfo/consumers:2
        debug/object:1""",
    ),
    **_entries((_C.READ,), Keys.ALL, "mget:1-n exists:1-n touch:1-n pfcount:1-n"),
    **_entries((_C.READ,), Keys.TWO, "lcs:2-7"),
    **_entries((_C.READ,), Keys.COUNTED, "sintercard:2-n zintercard:2-n"),
    **_entries(
        (_C.READ,),
        Keys.NONE,
        """dbsize:0 time:0 ping:0-1 echo:1 lolwut:0-n randomkey:0 info:0-n lastsave:0 role:0 command:0 command/count:0
        command/docs:0-n command/info:0-n command/list:0-3 command/getkeys:1-n command/getkeysandflags:1-n
        memory/doctor:0 memory/stats:0 memory/malloc-stats:0 memory/help:0 object/help:0 xinfo/help:0 client/id:0
        client/getname:0 client/info:0 client/help:0 client/getredir:0 client/trackinginfo:0 cluster/info:0
        cluster/nodes:0 cluster/slots:0 cluster/shards:0 cluster/myid:0 cluster/myshardid:0 cluster/keyslot:1
        cluster/countkeysinslot:1 cluster/links:0 cluster/replicas:1 cluster/slaves:1 cluster/help:0
        cluster/count-failure-reports:1 acl/whoami:0 acl/cat:0-1 acl/genpass:0-1 acl/help:0 acl/dryrun:2-n
        latency/doctor:0 latency/graph:1 latency/history:1 latency/latest:0 latency/histogram:0-n latency/help:0
        slowlog/len:0 slowlog/help:0 script/exists:1-n script/help:0 function/list:0-n function/stats:0
        function/help:0 function/dump:0 module/list:0 module/help:0 pubsub/channels:0-1 pubsub/numsub:0-n
        pubsub/numpat:0 pubsub/shardchannels:0-1 pubsub/shardnumsub:0-n pubsub/help:0 config/help:0""",
    ),
}

_BULK_READS = {
    **_entries((_C.BULK_READ,), Keys.FIRST, "hgetall:1 hkeys:1 hvals:1 smembers:1 json.objkeys:1-2"),
    **_entries((_C.BULK_READ,), Keys.ALL, "sinter:1-n sunion:1-n sdiff:1-n"),
    **_entries((_C.BULK_READ,), Keys.COUNTED, "zunion:2-n zinter:2-n zdiff:2-n"),
    **_entries((_C.BULK_READ, _C.EXPORT), Keys.NONE, "sync:0 psync:2-n"),
    **_entries((_C.BULK_READ, _C.PRIVILEGE, _C.SESSION_CONTROL), Keys.NONE, "monitor:0"),
}

_WRITES = {
    **_entries(
        (_C.WRITE,),
        Keys.FIRST,
        """set:2-n setnx:2 setex:3 psetex:3 append:2 incr:1 decr:1 incrby:2 decrby:2 incrbyfloat:2 setrange:3 setbit:3
        bitfield:1-n hset:3-n hmset:3-n hsetnx:3 hdel:2-n hincrby:3 hincrbyfloat:3 hexpire:5-n hpexpire:5-n
        hexpireat:5-n hpexpireat:5-n hpersist:4-n hsetex:4-n lpush:2-n rpush:2-n lpushx:2-n rpushx:2-n lset:3 linsert:4
        lrem:3 ltrim:3 sadd:2-n srem:2-n zadd:3-n zincrby:3 zrem:2-n xadd:4-n xdel:2-n xack:3-n xsetid:2-6
        xclaim:5-n xackdel:5-n xdelex:4-n pfadd:1-n expire:2-3 pexpire:2-3 expireat:2-3 pexpireat:2-3 persist:1 move:2
        geoadd:4-n restore:3-n json.set:3-4 json.del:1-2 json.forget:1-2 json.numincrby:3 json.arrappend:3-n
        json.merge:3 json.toggle:2 json.clear:1-2 xgroup/create:3-n xgroup/setid:3-5 xgroup/destroy:2
        xgroup/createconsumer:3 xgroup/delconsumer:3""",
    ),
    **_entries((_C.WRITE,), Keys.ALL, "del:1-n unlink:1-n pfmerge:1-n sinterstore:2-n sunionstore:2-n sdiffstore:2-n"),
    **_entries((_C.WRITE,), Keys.ODD, "mset:2-n msetnx:2-n"),
    **_entries((_C.WRITE,), Keys.TWO, "rename:2 renamenx:2 copy:2-5 smove:3 zrangestore:4-n geosearchstore:5-n"),
    **_entries((_C.WRITE,), Keys.FIRST, "zunionstore:3-n zinterstore:3-n zdiffstore:3-n"),
    **_entries((_C.READ, _C.WRITE), Keys.FIRST, "getset:2 getdel:1 getex:1-3 hgetdel:4-n hgetex:4-n xautoclaim:5-n"),
    **_entries((_C.READ, _C.WRITE), Keys.TWO, "rpoplpush:2 lmove:4"),
    **_entries((_C.READ, _C.WRITE, _C.SESSION_CONTROL), Keys.TWO, "brpoplpush:3 blmove:5"),
    **_entries((_C.READ, _C.WRITE, _C.SESSION_CONTROL), Keys.FIRST, "blpop:2-n brpop:2-n bzpopmin:2-n bzpopmax:2-n"),
    **_entries((_C.READ, _C.WRITE, _C.SESSION_CONTROL), Keys.NONE, "blmpop:4-n bzmpop:4-n"),
    **_entries(
        (_C.MASS_WRITE,), Keys.FIRST, "zremrangebyscore:3 zremrangebylex:3 zremrangebyrank:3 xtrim:3-n bitop:3-n"
    ),
    **_entries((_C.MASS_WRITE,), Keys.NONE, "swapdb:2"),
    **_entries((_C.DESTRUCTIVE_DDL, _C.MASS_WRITE), Keys.NONE, "flushall:0-1 flushdb:0-1"),
}

_OTHERS = {
    **_entries(
        (_C.CODE_EXECUTION,),
        Keys.NONE,
        """eval:2-n eval_ro:2-n evalsha:2-n evalsha_ro:2-n fcall:2-n fcall_ro:2-n function/load:1-2 function/delete:1
        function/flush:0-1 function/kill:0 function/restore:1-2 script/load:1 script/flush:0-1 script/kill:0
        script/debug:1 module/unload:1""",
    ),
    **_entries((_C.CODE_EXECUTION, _C.FILE_ACCESS), Keys.NONE, "module/load:1-n module/loadex:1-n"),
    **_entries((_C.PRIVILEGE, _C.READ), Keys.NONE, "acl/list:0 acl/users:0 acl/getuser:1 acl/log:0-1 slowlog/get:0-1"),
    **_entries((_C.PRIVILEGE, _C.READ), Keys.NONE, "client/list:0-n"),
    **_entries((_C.PRIVILEGE,), Keys.NONE, "acl/setuser:1-n acl/deluser:1-n"),
    **_entries((_C.PRIVILEGE, _C.FILE_ACCESS), Keys.NONE, "acl/save:0 acl/load:0"),
    **_entries((_C.PRIVILEGE, _C.SESSION_CONTROL), Keys.NONE, "auth:1-2"),
    **_entries((_C.EXPORT,), Keys.NONE, "publish:2 spublish:2"),
    **_entries((_C.EXPORT, _C.WRITE), Keys.NONE, "migrate:5-n"),
    **_entries((_C.FILE_ACCESS, _C.SESSION_CONTROL), Keys.NONE, "save:0 bgsave:0-1 bgrewriteaof:0 config/rewrite:0"),
    **_entries((_C.SESSION_CONTROL, _C.MASS_WRITE), Keys.NONE, "debug/populate:1-3"),
    **_entries(
        (_C.FILE_ACCESS, _C.SESSION_CONTROL),
        Keys.NONE,
        "debug/reload:0-n debug/loadaof:0 debug/config-rewrite-force-all:0",
    ),
    **_entries(
        (_C.SESSION_CONTROL,),
        Keys.NONE,
        """select:1 subscribe:1-n psubscribe:1-n ssubscribe:1-n unsubscribe:0-n punsubscribe:0-n sunsubscribe:0-n
        shutdown:0-4 multi:0 exec:0 discard:0 watch:1-n unwatch:0 quit:0 reset:0 readonly:0 readwrite:0 asking:0
        wait:2 waitaof:3 failover:0-n client/setname:1 client/setinfo:2 client/kill:1-n client/pause:1-2
        client/unpause:0 client/reply:1 client/tracking:1-n client/caching:1 client/no-evict:1 client/no-touch:1
        client/unblock:1-2 config/resetstat:0 slowlog/reset:0 latency/reset:0-n memory/purge:0 replconf:0-n
        debug/sleep:1 debug/segfault:0 debug/panic:0 debug/restart:0-1 debug/crash-and-recover:0-1 debug/oom:0
        debug/jmap:0 debug/set-active-expire:1 debug/change-repl-id:0 cluster/failover:0-1 cluster/addslots:1-n
        cluster/addslotsrange:2-n cluster/delslots:1-n cluster/delslotsrange:2-n cluster/forget:1 cluster/meet:2-3
        cluster/replicate:1 cluster/reset:0-1 cluster/saveconfig:0 cluster/set-config-epoch:1 cluster/setslot:2-4
        cluster/bumpepoch:0 cluster/flushslots:0""",
    ),
}

COMMANDS: dict[str, Entry] = {**_READS, **_BULK_READS, **_WRITES, **_OTHERS}

CONTAINERS = frozenset(name.partition(" ")[0] for name in COMMANDS if " " in name) | {"config"}
"""Commands whose first argument names a command of its own."""

FILE_SETTINGS = names(
    """dir dbfilename appendfilename appenddirname logfile aclfile unixsocket pidfile loadmodule include
    rdb-key-save-delay tls-cert-file tls-key-file tls-ca-cert-file tls-ca-cert-dir tls-client-cert-file
    tls-client-key-file tls-dh-params-file syslog-ident crash-log-enabled"""
)
"""Settings that name a file: whoever sets them says where the server writes."""

CREDENTIAL_SETTINGS = names(
    """requirepass masterauth masteruser tls-key-file-pass tls-client-key-file-pass protected-mode rename-command
    enable-protected-configs enable-debug-command enable-module-command acl-pubsub-default bind sentinel user"""
)
"""Settings that hold a credential or decide who may come in."""

OPEN_SETTINGS = names(
    """maxmemory maxmemory-policy maxmemory-samples maxclients timeout tcp-keepalive databases save appendonly
    appendfsync hz loglevel port slowlog-log-slower-than slowlog-max-len notify-keyspace-events
    hash-max-listpack-entries hash-max-listpack-value hash-max-ziplist-entries hash-max-ziplist-value
    list-max-listpack-size list-max-ziplist-size set-max-intset-entries set-max-listpack-entries
    zset-max-listpack-entries zset-max-ziplist-entries stream-node-max-bytes stream-node-max-entries activedefrag
    lazyfree-lazy-eviction lazyfree-lazy-expire lazyfree-lazy-server-del lazyfree-lazy-user-del replica-read-only
    repl-backlog-size min-replicas-to-write cluster-enabled cluster-node-timeout proto-max-bulk-len
    client-output-buffer-limit latency-monitor-threshold io-threads rdbcompression rdbchecksum lua-time-limit
    busy-reply-threshold client-query-buffer-limit latency-tracking lfu-decay-time lfu-log-factor"""
)
"""Settings whose values are no secret."""
