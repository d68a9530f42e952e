from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countersign.statements.mongo import classify_mongo
from countersign.statements.verdict import READING

READS = [
    ("db.orders.find({}).limit(20)", "read"),
    ("db.orders.find({status: 'open'})", "read"),
    ("db.orders.find({_id: ObjectId('64b0c0ffee64b0c0ffee64b0')})", "read"),
    ("db.orders.find({_id: {$in: [1, 2, 3]}})", "read"),
    ("db.orders.find().sort({at: -1}).skip(40).limit(20).toArray()", "read"),
    ("db.orders\n  .find({})\n  .limit(5)", "read"),
    ("db/* a */.orders // b\n.find({}).limit(5);", "read"),
    ("db['orders'].findOne()", "read"),
    ('db.getCollection("orders").find({}, {total: 1}, {limit: 3})', "read"),
    ("db.orders.find({}).limit(-5)", "read"),
    ("db.orders.find({}).count()", "read"),
    ("db.orders.estimatedDocumentCount()", "read"),
    ("db.orders.aggregate([{$match: {status: 'open'}}, {$sort: {at: 1}}])", "read"),
    ("db.orders.aggregate([{$group: {_id: null, total: {$sum: '$total'}}}])", "read"),
    ("db.orders.aggregate({$sample: {size: 5}}, {$project: {total: 1}})", "read"),
    ("db.orders.aggregate([{$limit: 5}, {$group: {_id: null, all: {$push: '$$ROOT'}}}])", "read"),
    ("db.orders.find({}).explain('executionStats')", "read"),
    ("db.orders.explain().remove({})", "read"),
    ("db.orders.getIndexes()", "read"),
    ("show dbs", "read"),
    ("rs.status()", "read"),
    ("db.adminCommand('ping')", "read"),
    ('{"find": "orders", "filter": {}, "limit": {"$numberLong": "10"}}', "read"),
    ('{"count": "orders", "query": {}}', "read"),
    ("db.runCommand({find: 'orders', batchSize: 10, singleBatch: true})", "read"),
    ("db.orders.find()", "bulk_read"),
    ("db.orders.find({}).limit(0)", "bulk_read"),
    ("db.orders.find({}).limit(500000)", "bulk_read"),
    ("db.orders.find({total: {$gte: 0}})", "bulk_read"),
    ("db.orders.find({_id: {$exists: true}})", "bulk_read"),
    ("db.orders.find({$or: [{a: 1}, {}]})", "bulk_read"),
    ("db.orders.find({$nor: []})", "bulk_read"),
    ("db.orders.find({$expr: true})", "bulk_read"),
    ("db.orders.find({$expr: {$eq: ['$a', '$a']}})", "bulk_read"),
    ("db.orders.find({$expr: {$eq: [1, 1]}})", "bulk_read"),
    ("db.orders.find({$comment: 'x'})", "bulk_read"),
    ("db.orders.find({gone: null})", "bulk_read"),
    ("db.orders.find({name: /./})", "bulk_read"),
    ("db.orders.find({name: {$ne: 'x'}})", "bulk_read"),
    ("db.orders.find({a: {$in: [1, null]}})", "bulk_read"),
    ("db.orders.distinct('email')", "bulk_read"),
    ("db.orders.aggregate([{$group: {_id: null, all: {$push: '$$ROOT'}}}, {$limit: 1}])", "bulk_read"),
    ("db.orders.aggregate([{$facet: {all: []}}])", "bulk_read"),
    ("db.orders.aggregate([{$limit: 1}, {$lookup: {from: 'users', pipeline: [], as: 'u'}}])", "bulk_read"),
    ("db.orders.aggregate([{$addFields: {x: 1}}, {$match: {x: 1}}])", "bulk_read"),
    ("db.orders.aggregate([{$limit: 5}, {$unionWith: 'users'}])", "bulk_read"),
    ('{"find": "orders"}', "bulk_read"),
]

CHANGES = [
    ("db.orders.insertOne({a: 1})", "write"),
    ("db.orders.insertMany([{a: 1}, {a: 2}])", "write"),
    ("db.orders.deleteOne({})", "write"),
    ("db.orders.deleteMany({status: 'void'})", "write"),
    ("db.orders.deleteMany({})", "mass_write"),
    ("db.orders.deleteMany({at: {$lt: 5}})", "mass_write"),
    ("db.orders.remove({}, true)", "write"),
    ("db.orders.remove({}, {justOne: true})", "write"),
    ("db.orders.remove({a: {$exists: 1}})", "mass_write"),
    ("db.orders.updateMany({}, {$set: {a: 1}})", "mass_write"),
    ("db.orders.update({}, {$set: {a: 1}})", "write"),
    ("db.orders.update({}, {$set: {a: 1}}, {multi: true})", "mass_write"),
    ("db.orders.update({}, {$set: {a: 1}}, false, true)", "mass_write"),
    ("db.orders.findOneAndDelete({_id: 1})", "read write"),
    ("db.orders.bulkWrite([{deleteMany: {filter: {}}}])", "mass_write"),
    ("db.orders.aggregate([{$match: {}}, {$merge: {into: 'kept'}}])", "mass_write"),
    ("db.orders.aggregate([{$limit: 5}, {$merge: 'kept'}])", "write"),
    ("db.orders.aggregate([{$out: {db: 'other', coll: 'kept'}}])", "ddl mass_write"),
    ("db.orders.aggregate([{$out: {s3: {bucket: 'b'}}}])", "export"),
    ('{"delete": "orders", "deletes": [{"q": {}, "limit": 0}]}', "mass_write"),
    ('{"update": "orders", "updates": [{"q": {"_id": 1}, "u": {"$set": {"a": 1}}}]}', "write"),
    ("db.orders.drop()", "destructive_ddl"),
    ("db.orders.createIndex({a: 1})", "ddl"),
    ("db.createCollection('x')", "ddl"),
    ("db.orders.renameCollection('past')", "ddl"),
    ("db.orders.renameCollection('past', true)", "destructive_ddl"),
]

GRAVE = [
    ("db.orders.find({$where: 'true'}).limit(1)", "code_execution read"),
    ("db.orders.find({a: {$not: {$elemMatch: {$where: 'x'}}}}).limit(1)", "code_execution read"),
    ("db.a.aggregate([{$set: {a: {$function: {body: 'f', lang: 'js'}}}}, {$limit: 1}])", "code_execution read"),
    ("db.orders.find({'$wher\\u0065': 'x'}).limit(1)", "code_execution read"),
    ("db.orders.find().forEach(o => db.kept.insertOne(o))", "code_execution"),
    ("db.orders.find({a: function() { return 1 }})", "code_execution"),
    ("db.orders.find(filter)", "code_execution"),
    ("db.orders.find({a: 1 + 1})", "code_execution"),
    ("db.orders.find({...x})", "code_execution"),
    ("db.orders.find(`x`)", "code_execution"),
    ("const x = 1", "code_execution"),
    ("load('x.js')", "code_execution"),
    ("db.orders.mapReduce('f', 'g', {})", "code_execution"),
    ("db.createUser({user: 'eve', roles: ['root']})", "privilege"),
    ("db.grantRolesToUser('eve', ['root'])", "privilege"),
    ("db.currentOp()", "privilege read"),
    ("db.getSiblingDB('admin').system.users.findOne()", "privilege read"),
    ('{"find": "system.users", "limit": 1, "$db": "admin"}', "privilege read"),
    ("db.system.js.insertOne({_id: 'f', value: 'x'})", "code_execution privilege write"),
    ("db.adminCommand({setParameter: 1, logLevel: 5})", "session_control"),
    ("db.setProfilingLevel(2)", "session_control"),
    ("db.shutdownServer()", "session_control"),
    ("use admin", "session_control"),
    ("rs.stepDown()", "session_control"),
    ("use admin\ndb.dropDatabase()", "destructive_ddl session_control"),
    ("db.orders.find({}).limit(1); db.orders.drop()", "destructive_ddl read"),
]

UNREAD = [
    "",
    "// nothing",
    "{}",
    "[]",
    "delete everything please!",
    "db.orders.find({a: 1, a: {$ne: 1}})",
    "db.orders.find({__proto__: {a: 1}})",
    "db.orders.find({a: 1}",
    "db.orders['find']({})",
    "db.orders.f\\u0069nd({})",
    "db.orders.find({$surprise: 1})",
    "db.orders.aggregate([{$surprise: 1}])",
    '{"surprise": 1}',
    '{"find": "orders", "limit": 1, "surprise": 1}',
    "db.orders.find({}).limit('5')",
    "db.orders.find({}).surprise()",
    "db.orders.find({a: '\\0'})",
    "SELECT 1",
]


@pytest.mark.parametrize(("text", "classes"), READS + CHANGES + GRAVE)
def test_a_statement_has_exactly_the_classes_that_the_manual_says(text: str, classes: str) -> None:
    assert classify_mongo(text).classes == set(classes.split())


@pytest.mark.parametrize("text", UNREAD)
def test_what_is_outside_the_subset_never_passes(text: str) -> None:
    assert not classify_mongo(text).only_reads


def test_every_collection_that_takes_part_is_named() -> None:
    verdict = classify_mongo(
        "db.orders.aggregate([{$match: {a: 1}}, {$lookup: {from: 'users', localField: 'u',"
        " foreignField: '_id', as: 'u'}},"
        " {$merge: 'kept'}])"
    )
    assert verdict.reads == {"orders", "users"}
    assert verdict.writes == {"kept"}


def test_the_bound_is_the_smallest_that_holds() -> None:
    assert classify_mongo("db.orders.find({}).limit(7)").row_bound == 7
    assert classify_mongo("db.orders.find({_id: 1})").row_bound == 1
    assert classify_mongo("db.orders.aggregate([{$limit: 9}, {$sample: {size: 4}}])").row_bound == 4
    assert classify_mongo("db.orders.find({})").row_bound is None


@pytest.mark.parametrize(
    "text",
    ["db.a.find(" + "[" * 5000, "{a:" * 5000, "db" + ".a" * 20_000, ";" * 60_000, "db.a.find({a: '" + "x" * 70_000],
)
def test_what_is_built_to_hurt_is_given_up(text: str) -> None:
    assert not classify_mongo(text).only_reads


def test_no_literal_stands_in_a_reason() -> None:
    for text, _ in READS + CHANGES + GRAVE:
        secret = text.replace("'x'", "'hunter2'")
        assert "hunter2" not in classify_mongo(secret).reason


@pytest.mark.parametrize(
    "text",
    [
        'db.adminCommand({listDatabases: 1, filter: {$where: "1"}})',
        'db.getCollectionInfos({$where: "1"})',
        '{"listCollections": 1, "filter": {"$expr": {"$function": {}}}}',
    ],
)
def test_javascript_is_code_in_every_command(text: str) -> None:
    assert "code_execution" in classify_mongo(text).classes


@given(st.text(max_size=200) | st.text(alphabet="db.find(){}[]$:,'\"\\/ \n;=>1ux", max_size=80))
def test_no_text_raises(text: str) -> None:
    assert classify_mongo(text).classes


@given(st.lists(st.sampled_from([text for text, _ in READS + CHANGES + GRAVE]), min_size=1, max_size=4))
def test_several_statements_are_the_union_of_each(texts: list[str]) -> None:
    whole = classify_mongo("\n;".join(texts))
    parts = [classify_mongo(text) for text in texts]
    assert whole.only_reads == all(part.only_reads for part in parts)
    for part in parts:
        assert part.classes - READING <= whole.classes or "code_execution" in whole.classes
