-- One table for each way of recording what happens to it, all with the same rows, and one that nobody records.
CREATE SCHEMA bench;

CREATE TABLE bench.plain (
    id         bigint      PRIMARY KEY,
    name       text        NOT NULL,
    email      text        NOT NULL,
    status     text        NOT NULL,
    plan       text        NOT NULL,
    runs       int         NOT NULL,
    price      numeric     NOT NULL,
    active     bool        NOT NULL,
    api_token  text        NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now()
);

INSERT INTO bench.plain
    SELECT n, 'Customer ' || n, 'customer-' || n || '@example.org', 'active', 'team', n % 100, round(n % 10000 / 100.0, 2), n % 2 = 0,
        md5(n::text), now()
    FROM generate_series(1, 50000) AS n;

CREATE TABLE bench.tracked (LIKE bench.plain INCLUDING ALL);
CREATE TABLE bench.generic (LIKE bench.plain INCLUDING ALL);
CREATE TABLE bench.in_bulk (LIKE bench.plain INCLUDING ALL);
CREATE TABLE bench.constant (LIKE bench.plain INCLUDING ALL);
INSERT INTO bench.constant SELECT * FROM bench.plain;
INSERT INTO bench.tracked SELECT * FROM bench.plain;
INSERT INTO bench.generic SELECT * FROM bench.plain;
INSERT INTO bench.in_bulk SELECT * FROM bench.plain;

-- As pgbench has them, at a scale of 50.
CREATE TABLE bench.branches (id int PRIMARY KEY, balance bigint NOT NULL DEFAULT 0) WITH (fillfactor = 50);
CREATE TABLE bench.tellers (id int PRIMARY KEY, balance bigint NOT NULL DEFAULT 0) WITH (fillfactor = 50);
INSERT INTO bench.branches SELECT generate_series(1, 50);
INSERT INTO bench.tellers SELECT generate_series(1, 500);

CREATE TABLE bench.notes (
    id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    about bigint NOT NULL,
    note  text   NOT NULL
);
