"""The operators that MongoDB's queries, updates and aggregation expressions know.

Source: MongoDB manual 8.0, "Query and projection operators", "Update operators", "Aggregation operators". An operator
that stands nowhere here is not understood.
"""

from __future__ import annotations

from collections.abc import Iterator

from countersign.statements.mongo.values import NotUnderstoodError, Value
from countersign.statements.names import names

CODE = names("$where $function $accumulator $code $eval")
"""Run JavaScript in the server."""

PACKING = names("$push $addToSet $mergeObjects $firstN $lastN $maxN $minN $topN $bottomN $setUnion $concatArrays")
"""Accumulators that put many documents into one."""

_QUERY = names(
    """$eq $ne $gt $gte $lt $lte $in $nin $and $or $nor $not $exists $type $expr $jsonSchema $mod $regex $options $text
    $search $language $caseSensitive $diacriticSensitive $geoIntersects $geoWithin $near $nearSphere $box $center
    $centerSphere $geometry $maxDistance $minDistance $polygon $uniqueDocs $all $elemMatch $size $bitsAllClear
    $bitsAllSet $bitsAnyClear $bitsAnySet $comment $rand $natural $meta $slice $sampleRate $alwaysTrue $alwaysFalse"""
)
_UPDATE = names(
    """$currentDate $inc $min $max $mul $rename $set $setOnInsert $unset $addToSet $pop $pull $push $pullAll $each
    $position $sort $bit $slice $addFields $project $replaceRoot $replaceWith"""
)
_EXPRESSION = names(
    """$abs $add $ceil $divide $exp $floor $ln $log $log10 $mod $multiply $pow $round $sqrt $subtract $trunc
    $arrayElemAt $arrayToObject $concatArrays $filter $first $firstN $in $indexOfArray $isArray $last $lastN $map
    $maxN $minN $objectToArray $range $reduce $reverseArray $size $slice $sortArray $zip $bitAnd $bitNot $bitOr
    $bitXor $and $not $or $cmp $eq $gt $gte $lt $lte $ne $cond $ifNull $switch $binarySize $bsonSize $dateAdd
    $dateDiff $dateFromParts $dateFromString $dateSubtract $dateToParts $dateToString $dateTrunc $dayOfMonth
    $dayOfWeek $dayOfYear $hour $isoDayOfWeek $isoWeek $isoWeekYear $millisecond $minute $month $second $toDate $week
    $year $literal $getField $rand $sampleRate $mergeObjects $setField $unsetField $allElementsTrue $anyElementTrue
    $setDifference $setEquals $setIntersection $setIsSubset $setUnion $concat $indexOfBytes $indexOfCP $ltrim
    $regexFind $regexFindAll $regexMatch $replaceOne $replaceAll $rtrim $split $strLenBytes $strLenCP $strcasecmp
    $substr $substrBytes $substrCP $toLower $toString $toUpper $trim $meta $sin $cos $tan $asin $acos $atan $atan2
    $asinh $acosh $atanh $sinh $cosh $tanh $degreesToRadians $radiansToDegrees $convert $isNumber $toBool $toDecimal
    $toDouble $toInt $toLong $toObjectId $type $toHashedIndexKey $toUUID $tsIncrement $tsSecond $let $addToSet $avg
    $bottom $bottomN $count $max $median $min $percentile $push $stdDevPop $stdDevSamp $sum $top $topN $covariancePop
    $covarianceSamp $denseRank $derivative $documentNumber $expMovingAvg $integral $linearFill $locf $rank $shift"""
)
_REFERENCE = names("$ref $id $db")
STAGES = names(
    """$addFields $bucket $bucketAuto $changeStream $changeStreamSplitLargeEvent $collStats $count $currentOp $densify
    $documents $facet $fill $geoNear $graphLookup $group $indexStats $limit $listLocalSessions $listSessions $lookup
    $match $merge $out $planCacheStats $project $queryStats $redact $replaceRoot $replaceWith $sample $search
    $searchMeta $set $setWindowFields $skip $sort $sortByCount $unionWith $unset $unwind $vectorSearch"""
)
KNOWN = _QUERY | _UPDATE | _EXPRESSION | _REFERENCE


def operators(value: Value) -> Iterator[str]:
    """Give every operator in a value, at any depth, each as often as it stands there."""
    pending = [value]
    while pending:
        each = pending.pop()
        if isinstance(each, dict):
            for key, inner in each.items():
                if key.startswith("$"):
                    yield key
                pending.append(inner)
        elif isinstance(each, list):
            pending.extend(each)


def runs_code(value: Value) -> bool:
    """Say whether JavaScript stands anywhere in a value that the server evaluates.

    Raises :class:`NotUnderstoodError` for an operator that is not known.
    """
    code = False
    for operator in operators(value):
        if operator in CODE:
            code = True
        elif operator not in KNOWN:
            raise NotUnderstoodError("an operator that is not known")
    return code
