"""Amazon Braket and S3 as an account sees them over HTTP, for the calls that our driver makes through AWS's own SDK.

The shapes of requests and answers are those of botocore's service model (braket 2019-09-01). What a device computes is
real: Braket's own simulator runs the text that was submitted.
"""

import json
import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

from braket.devices import LocalSimulator
from braket.ir.openqasm import Program

MACHINE = "arn:aws:braket:us-east-1::device/qpu/example/Machine-1"
GATES = ["rx", "ry", "rz", "cnot", "h", "x"]


class Cloud(ThreadingHTTPServer):
    """What the account has: its quantum tasks by ARN, and its objects in S3 by path.

    Attributes:
        fails: reasons; each next task that is created ends in FAILED with the first of them.
        refusals: (status, error code, message) of the next answers to CreateQuantumTask.
        lost: how many of the next tasks are created while the answer gets lost on its way.
    """

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Answers)
        self.tasks, self.objects, self.requests = {}, {}, []
        self.fails, self.refusals, self.lost = [], [], 0
        self.simulator = LocalSimulator()
        self.lock = threading.Lock()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}"

    def capabilities(self):
        """A machine of 5 qubits with few gates; the form is a simulator's, which has fewer fields."""
        found = json.loads(self.simulator.properties.json())
        found["paradigm"]["qubitCount"] = 5
        found["action"]["braket.ir.openqasm.program"]["supportedOperations"] = GATES
        found["service"]["getTaskPollIntervalMillis"] = 10
        return found

    def create(self, request):
        """CreateQuantumTask; runs the program at once."""
        arn = f"arn:aws:braket:us-east-1:123456789012:quantum-task/{len(self.tasks):08d}-0000-4000-8000-000000000000"
        folder = f"{request['outputS3KeyPrefix']}/{arn.split('/')[1]}"
        task = {
            "quantumTaskArn": arn,
            "status": "QUEUED",
            "deviceArn": request["deviceArn"],
            "deviceParameters": "{}",
            "shots": request["shots"],
            "outputS3Bucket": request["outputS3Bucket"],
            "outputS3Directory": folder,
            "createdAt": datetime.now(UTC).isoformat(),
            "tags": request.get("tags", {}),
        }
        if self.fails:
            task["failureReason"] = self.fails.pop(0)
        else:
            program = Program(source=json.loads(request["action"])["source"])
            result = json.loads(self.simulator._delegate.run(program, shots=request["shots"]).json())
            result["measuredQubits"].reverse()  # a machine's columns are in an order of its own
            result["measurements"] = [row[::-1] for row in result["measurements"]]
            self.objects[f"/{request['outputS3Bucket']}/{folder}/results.json"] = json.dumps(result)
        self.tasks[arn] = task
        return arn

    def look(self, arn):
        """GetQuantumTask; each look finds it further on."""
        task = self.tasks[arn]
        found = dict(task)
        end = "FAILED" if "failureReason" in task else "COMPLETED"
        task["status"] = {"QUEUED": "RUNNING", "RUNNING": end}.get(task["status"], task["status"])
        return found


class _Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        path = unquote(urlsplit(self.path).path)
        cloud = self.server
        with cloud.lock:
            if path in cloud.objects:
                return self.say(200, cloud.objects[path])
            kind, _, arn = path.removeprefix("/").partition("/")
            if kind == "device" and arn == MACHINE:
                return self.say(
                    200,
                    {
                        "deviceArn": MACHINE,
                        "deviceName": "Machine-1",
                        "providerName": "Example",
                        "deviceType": "QPU",
                        "deviceStatus": "ONLINE",
                        "deviceCapabilities": json.dumps(cloud.capabilities()),
                    },
                )
            if kind == "quantum-task" and arn in cloud.tasks:
                return self.say(200, cloud.look(arn))
            return self.refuse(404, "ResourceNotFoundException", f"{arn} does not exist")

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        cloud = self.server
        with cloud.lock:
            cloud.requests.append((self.path, request))
            if self.path == "/quantum-tasks":
                wanted = {one["name"]: one["values"] for one in request["filters"]}
                found = [task for task in cloud.tasks.values() if task["deviceArn"] in wanted["deviceArn"]]
                start = int(request.get("nextToken", 0))  # two a page
                more = {"nextToken": str(start + 2)} if start + 2 < len(found) else {}
                return self.say(200, {"quantumTasks": found[start : start + 2], **more})
            if cloud.refusals:
                return self.refuse(*cloud.refusals.pop(0))
            arn = cloud.create(request)
            if cloud.lost:
                cloud.lost -= 1
                return self.refuse(500, "InternalServiceException", "the answer got lost")
            return self.say(201, {"quantumTaskArn": arn})

    def say(self, status, body, **headers):
        data = (body if isinstance(body, str) else json.dumps(body)).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": len(data), **headers}.items():
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(data)

    def refuse(self, status, code, message):
        self.say(status, {"message": message}, **{"x-amzn-ErrorType": code})

    def log_message(self, *_):
        """Quiet."""
