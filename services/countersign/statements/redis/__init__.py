"""Redis commands as ``redis-cli`` reads them: what each does."""

from countersign.statements.redis.classify import classify_redis

__all__ = ["classify_redis"]
