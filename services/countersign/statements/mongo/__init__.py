"""MongoDB's statements, in mongosh's words or as command documents: what each does."""

from countersign.statements.mongo.classify import classify_mongo

__all__ = ["classify_mongo"]
