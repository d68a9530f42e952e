-- Verdicts of access reviews, by the review: their events are named "REVIEW_ID/LINE_ID".
CREATE INDEX events_reviewed ON countersign.events (split_part(name, '/', 1), index) WHERE kind = 14;
