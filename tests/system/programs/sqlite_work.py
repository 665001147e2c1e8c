# SPDX-License-Identifier: Apache-2.0
"""sqlite3 creates tables, indexes and queries them, sorts with worker threads, changes much and checks the file."""

CREATE = """
PRAGMA page_size = 4096;
PRAGMA cache_size = -40000;
PRAGMA threads = 4;
CREATE TABLE item(id INTEGER PRIMARY KEY, class INTEGER, name TEXT, payload BLOB);
WITH RECURSIVE n(i, x) AS (SELECT 1, 42 UNION ALL SELECT i + 1, (x * 1103515245 + 12345) % 2147483648 FROM n WHERE i < 150000)
INSERT INTO item SELECT i, x / 65536 % 61, printf('name-%05d-%s', x / 256 % 90000,
  substr('abcdefghijklmnopqrstuvwxyz', 1, x / 7 % 26)),
  zeroblob(x / 1024 % 120) FROM n;
CREATE INDEX item_name ON item(name);
CREATE INDEX item_class ON item(class, name DESC);
ANALYZE;
"""

QUERY = """
PRAGMA temp_store = MEMORY;
PRAGMA cache_size = -40000;
PRAGMA threads = 4;
SELECT class, count(*), sum(id), min(name), max(length(payload)) FROM item GROUP BY class ORDER BY sum(id);
SELECT id, name FROM item ORDER BY substr(name, 7), id LIMIT 2000 OFFSET 70000;
SELECT count(*), sum(a.id) FROM item a JOIN item b ON a.name = b.name AND a.id < b.id;
SELECT id, sum(id) OVER (PARTITION BY class ORDER BY name, id), row_number() OVER (ORDER BY name DESC, id) FROM item
  ORDER BY id LIMIT 500;
SELECT json_group_array(json_object('id', id, 'name', name)) FROM (SELECT * FROM item WHERE id % 100 = 0 ORDER BY name, id);
SELECT group_concat(name, ',') FROM (SELECT DISTINCT name FROM item WHERE class = 7 ORDER BY name);
EXPLAIN QUERY PLAN SELECT * FROM item WHERE class = 3 ORDER BY name;
"""

CHANGE = """
BEGIN;
UPDATE item SET payload = zeroblob(id % 5000) WHERE id % 50 = 0;
DELETE FROM item WHERE class IN (3, 5, 7);
SAVEPOINT inner_one;
DELETE FROM item;
ROLLBACK TO inner_one;
COMMIT;
CREATE VIRTUAL TABLE words USING fts5(text);
INSERT INTO words SELECT group_concat(name, ' ') FROM item GROUP BY id / 50;
INSERT INTO words(words) VALUES ('optimize');
SELECT count(*) FROM words WHERE words MATCH 'name AND abcdef';
INSERT INTO words(words) VALUES ('integrity-check');
VACUUM;
PRAGMA integrity_check;
PRAGMA foreign_key_check;
SELECT * FROM no_such_table;
"""


def scenario(session):
    for script in (CREATE, QUERY, CHANGE, QUERY):
        # The last statement of CHANGE is wrong on purpose.
        session.run(["/usr/bin/sqlite3", "-batch", "work.db"], stdin=script, expected=1 if script == CHANGE else 0)
        session.observe_file("work.db")
    session.run(["/usr/bin/sqlite3", "-batch", "work.db", ".sha3sum"])
    session.run(["/usr/bin/sqlite3", "-batch", "work.db", ".dump"])
