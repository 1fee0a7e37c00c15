-- Who deletes what is old, and how far it is: one row. Whoever has the lease deletes; each one gets a number of its own, so
-- that somebody who was away for too long finds out.
CREATE TABLE "{table}_retention" (
    is_only       INTEGER NOT NULL PRIMARY KEY DEFAULT 1 CHECK (is_only = 1),
    token         INTEGER NOT NULL DEFAULT 0,
    holder        TEXT,
    leased_until  INTEGER NOT NULL DEFAULT 0,
    -- Nothing younger than this is ever deleted: 30 days, in microseconds.
    floor         INTEGER NOT NULL DEFAULT 2592000000000 CHECK (floor >= 0),
    -- The time that the last run was for, and where one stopped because its time was over.
    scheduled_for INTEGER,
    resume_at     INTEGER,
    -- Set for as long as a transaction deletes: before which time.
    delete_before INTEGER
) STRICT;
INSERT INTO "{table}_retention" DEFAULT VALUES;

-- What is not to go, whatever the policy says. A hold is released, and never deleted.
CREATE TABLE "{table}_holds" (
    name        TEXT    NOT NULL,
    search      TEXT    NOT NULL,
    reason      TEXT    NOT NULL,
    placed_at   INTEGER NOT NULL DEFAULT (CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER)),
    placed_by   TEXT,
    released_at INTEGER,
    PRIMARY KEY (name, placed_at)
) STRICT;
CREATE UNIQUE INDEX "idx_{table}_holds_name" ON "{table}_holds" (name) WHERE released_at IS NULL;
CREATE TRIGGER "{table}_holds_no_update" BEFORE UPDATE ON "{table}_holds"
WHEN NOT (OLD.released_at IS NULL AND NEW.released_at IS NOT NULL
    AND (NEW.name, NEW.search, NEW.reason, NEW.placed_at, NEW.placed_by)
        IS (OLD.name, OLD.search, OLD.reason, OLD.placed_at, OLD.placed_by))
BEGIN
    SELECT RAISE(ABORT, 'a hold can be released, and nothing else: UPDATE is refused');
END;
CREATE TRIGGER "{table}_holds_no_delete" BEFORE DELETE ON "{table}_holds"
BEGIN
    SELECT RAISE(ABORT, 'a hold can be released, and nothing else: DELETE is refused');
END;
-- INSERT OR REPLACE deletes without firing the trigger above.
CREATE TRIGGER "{table}_holds_no_replace" BEFORE INSERT ON "{table}_holds"
WHEN EXISTS (SELECT 1 FROM "{table}_holds" WHERE name = NEW.name AND (released_at IS NULL OR placed_at = NEW.placed_at))
BEGIN
    SELECT RAISE(ABORT, 'there is a hold of this name');
END;

-- Retention says, in its transaction, before which time it deletes; nothing under the floor is deleted.
DROP TRIGGER "{table}_no_delete";
CREATE TRIGGER "{table}_no_delete" BEFORE DELETE ON "{table}"
WHEN NOT coalesce(OLD.created_at < (SELECT min(delete_before, CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER) - floor)
    FROM "{table}_retention"), 0)
BEGIN
    SELECT RAISE(ABORT, 'the rows of the audit trail are append-only: DELETE is refused');
END;
