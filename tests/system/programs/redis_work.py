# SPDX-License-Identifier: Apache-2.0
"""redis-server under redis-benchmark, whose clients have threads, and whose children save: the data must be the same.

Debian's redis-server is linked with jemalloc; a preloaded library stands before that one. The server listens on a socket in
the test's own directory only.
"""

import os
import re
import time

import harness

SERVER = ["/usr/bin/redis-server", "--port", "0", "--unixsocket", "redis.sock", "--save", "", "--appendonly", "no",
          "--enable-debug-command", "yes", "--dbfilename", "dump.rdb",
          "--hash-max-listpack-entries", "16", "--set-max-intset-entries", "64"]

# Fills the database through Lua, whose own memory also comes from malloc. The sequence of numbers is fixed.
FILL = """
local x = 42
local function random(n) x = (x * 16807) % 2147483647; return x % n end
for i = 1, 60000 do
  local key = random(4000)
  local kind = key % 5
  if random(9) == 0 then redis.call('DEL', 'k' .. key)
  elseif kind == 0 then redis.call('APPEND', 'k' .. key, string.rep('v', random(200)))
  elseif kind == 1 then redis.call('HSET', 'k' .. key, 'f' .. random(60), string.rep('h', random(90)))
  elseif kind == 2 then redis.call('RPUSH', 'k' .. key, 'item' .. random(100000), string.rep('l', random(50)))
  elseif kind == 3 then redis.call('SADD', 'k' .. key, random(100), 'member' .. random(300))
  else redis.call('ZADD', 'k' .. key, random(1000), 'z' .. random(200)) end
end
return redis.call('DBSIZE')
"""


def client(session, *command):
    return session.run(["/usr/bin/redis-cli", "-s", "redis.sock"] + list(command))


def benchmark(session, *arguments):
    # What it prints are times; the data that it left is compared by DEBUG DIGEST.
    session.run(["/usr/bin/redis-benchmark", "-s", "redis.sock", "-q"] + list(arguments), compare_output=False,
                compare_errors=False)


def wait_until_ready(server, session):
    for _ in range(600):
        if server.poll() is not None:
            break
        if os.path.exists(os.path.join(session.directory, "redis.sock")):
            return
        time.sleep(0.05)
    with open(os.path.join(session.directory, "server.log"), encoding="utf-8", errors="replace") as log:
        session.observe("redis-server", "did not start: " + log.read())


def wait_for_save(session):
    """Waits for the child that BGSAVE forked."""
    for _ in range(600):
        status, out, _ = harness.run([harness.installed("/usr/bin/redis-cli"), "-s", "redis.sock", "INFO", "persistence"],
                                     session.environment, session.directory)
        if status != 0 or b"rdb_bgsave_in_progress:0" in out:
            break
        time.sleep(0.05)
    result = re.search(rb"rdb_last_bgsave_status:(\w+)", out)
    session.observe("background save", result.group(1).decode() if result else "no answer")


def scenario(session):
    server = session.start(SERVER, "server.log")
    try:
        wait_until_ready(server, session)
        client(session, "EVAL", FILL, "0")
        client(session, "DEBUG", "DIGEST")
        client(session, "BGSAVE")
        benchmark(session, "-n", "10000", "-c", "30", "--threads", "2", "-d", "100", "-t",
                  "set,get,incr,lpush,rpush,lpop,rpop,sadd,hset,spop,zadd,mset")
        benchmark(session, "-n", "8000", "-c", "10", "-P", "16", "-d", "3000", "-t", "set,get,lpush,lrange_100")
        wait_for_save(session)
        client(session, "DEBUG", "POPULATE", "50000", "p", "40")
        client(session, "DBSIZE")
        # spop takes a random member; all else that the benchmark left is the same each time.
        client(session, "DEL", "myset")
        client(session, "DEBUG", "DIGEST")
        client(session, "DEBUG", "RELOAD")
        client(session, "DEBUG", "DIGEST")
        client(session, "BGSAVE")
        wait_for_save(session)
        client(session, "MEMORY", "PURGE")
        client(session, "FLUSHALL", "ASYNC")
        client(session, "DEBUG", "DIGEST")
        client(session, "SHUTDOWN", "NOSAVE")
        try:
            server.wait(timeout=60)
        except harness.subprocess.TimeoutExpired:
            pass
        session.observe("redis-server's end", harness.describe_status(server.poll()))
    finally:
        harness.stop(server)
