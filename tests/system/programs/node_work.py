# SPDX-License-Identifier: Apache-2.0
"""node runs node_work.js: buffers, worker threads, JSON, compression and hashing in its thread pool, a child process."""


def scenario(session):
    session.run(["/usr/bin/node", session.files["node_work.js"]])
    session.run(["/usr/bin/node", "-e",
                 "const a = []; for (let i = 0; i < 1e5; i++) a.push({i}); throw new Error('thrown ' + a.length)"],
                expected=1, normalise=lambda text: text.split("Node.js v")[0])
