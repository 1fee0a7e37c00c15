-- For whoever reads. The number of the write tells which rows became visible since somebody looked: times do
-- not. There is one writer at a time, so each takes the number after the last. Rows from before this migration
-- have none.
ALTER TABLE "{table}" ADD COLUMN write_order INTEGER;
CREATE INDEX "idx_{table}_write_order" ON "{table}" (write_order) WHERE write_order IS NOT NULL;

-- What did not succeed is rare, and is what people look for.
CREATE INDEX "idx_{table}_outcome" ON "{table}" (outcome, created_at DESC) WHERE outcome <> 'success';
