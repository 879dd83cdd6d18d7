"""The paper's service: Flask's development server, MariaDB, and a process for each work.

``python -m benchmarks.queue.paper_server SOCKET``: it prints its address and serves until it is ended. It is as quick
as such a stack honestly is: no TLS to the database; children reaped by the kernel; as the asynchronous job, which in
the paper is a program in Python, a Python that imports nothing and ends.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import uuid
from typing import Any

import pymysql
from flask import Flask, Response, jsonify, request
from werkzeug.serving import make_server

DATABASE = "conqure"
JOBS = {
    "python": [sys.executable, "-I", "-S", "-c", "pass"],
    "true": ["/bin/true"],  # no program could be less
    "none": [],
}
TABLE = """
CREATE TABLE IF NOT EXISTS jobs (
    job_id CHAR(36) PRIMARY KEY, device VARCHAR(64) NOT NULL, priority VARCHAR(8) NOT NULL, status VARCHAR(16) NOT NULL,
    created TIMESTAMP(3) DEFAULT CURRENT_TIMESTAMP(3), workload LONGTEXT NOT NULL, results LONGTEXT
) ENGINE = InnoDB
"""


def application(socket: str) -> Flask:
    app = Flask("paper")

    def connect() -> Any:
        """A connection for each request: TLS in PyMySQL's default would cost 37 ms more."""
        return pymysql.connect(unix_socket=socket, user="root", database=DATABASE, ssl_disabled=True)

    with connect() as database, database.cursor() as cursor:
        cursor.execute(TABLE)

    @app.post("/create_work")
    def create_work() -> Response:
        values, job_id = request.get_json(), str(uuid.uuid4())
        with connect() as database, database.cursor() as cursor:
            cursor.execute(
                "INSERT INTO jobs (job_id, device, priority, status, workload) VALUES (%s, %s, %s, 'READY', %s)",
                (job_id, values["device_id"], values["priority"], values["workload"]),
            )
            database.commit()
        if job := JOBS[request.args.get("job", "python")]:
            nowhere = subprocess.DEVNULL
            subprocess.Popen([*job, job_id], stdin=nowhere, stdout=nowhere, stderr=nowhere, start_new_session=True)
        return jsonify(job_id=job_id)

    @app.get("/get_results/<job_id>")
    def get_results(job_id: str) -> Response:
        with connect() as database, database.cursor() as cursor:
            cursor.execute("SELECT results FROM jobs WHERE job_id = %s AND status = 'DONE'", (job_id,))
            (results,) = cursor.fetchone()
        return Response(results, mimetype="application/json")

    @app.put("/put_results/<job_id>")
    def put_results(job_id: str) -> Response:
        with connect() as database, database.cursor() as cursor:
            cursor.execute(
                "UPDATE jobs SET status = 'DONE', results = %s WHERE job_id = %s", (request.get_data(), job_id)
            )
            database.commit()
        return jsonify(job_id=job_id)

    return app


def main(socket: str) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    server = make_server("127.0.0.1", 0, application(socket), threaded=True)
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
