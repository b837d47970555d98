"""A strict far side that speaks _bulk, with the faults of the specification: what it takes, it keeps by its id."""

import gzip
import http.server
import json
import random
import socket
import socketserver
import threading
import time


class Faults:
    """What goes wrong; every field may be changed while the server runs."""

    def __init__(self):
        self.item_429 = 0.0          # share of items that are answered 429
        self.status = None           # (code, body) for every request; body "": none
        self.drop = 0.0              # share of requests whose answer breaks off in its middle
        self.hang = False            # requests are read and never answered
        self.largest = None          # bytes of a body; beyond it 413
        self.poison = lambda document: False   # such a record is answered 400


class BulkServer:
    def __init__(self, seed=1):
        self.faults = Faults()
        self.random = random.Random(seed)
        self.lock = threading.Lock()
        self.documents = {}          # id -> message
        self.arrivals = 0            # of items that were taken, repetitions included
        self.poisoned = set()        # ids of records that were refused
        self.largest_batch = 0
        self.requests = 0
        self.mistakes = []           # of the client
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_POST(self):
                server.answer(self)

        class Listener(socketserver.ThreadingMixIn, http.server.HTTPServer):
            daemon_threads = True
            request_queue_size = 64

            def handle_error(self, *_):   # a client that was killed
                pass

        self.listener = Listener(("127.0.0.1", 0), Handler)
        self.port = self.listener.server_address[1]
        threading.Thread(target=self.listener.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.shutdown()
        self.listener.server_close()

    def mistake(self, what):
        with self.lock:
            if len(self.mistakes) < 20:
                self.mistakes.append(what)

    def read(self, handler):
        """The items of a request as (id, document); None when the client broke off."""
        length = int(handler.headers["Content-Length"])
        body = handler.rfile.read(length)
        if len(body) < length:
            return None, 0
        if handler.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        if not handler.path.startswith("/_bulk?filter_path="):
            self.mistake(f"path {handler.path}")
        if handler.headers.get("Content-Type") != "application/x-ndjson":
            self.mistake(f"type {handler.headers.get('Content-Type')}")
        if not body.endswith(b"\n"):
            self.mistake("the last line has no end")
        lines = body.split(b"\n")[:-1]
        if len(lines) % 2:
            self.mistake(f"{len(lines)} lines")
        items = []
        for action, document in zip(lines[::2], lines[1::2]):
            create = json.loads(action)["create"]
            if set(create) - {"_index", "_id"} or not create["_id"]:
                self.mistake(f"action {create}")
            items.append((create["_id"], json.loads(document)))
        return items, len(body)

    def answer(self, handler):
        items, size = self.read(handler)
        if items is None:
            return
        faults = self.faults
        self.requests += 1
        self.largest_batch = max(self.largest_batch, len(items))
        if faults.hang:
            while faults.hang:
                time.sleep(0.05)
            handler.close_connection = True
            return
        if faults.largest and size > faults.largest:
            return self.send(handler, 413, b"")
        if faults.status:
            return self.send(handler, faults.status[0], faults.status[1].encode())
        answer = self.take(items, faults)
        # As Elasticsearch writes it, and, by turns, as others may: opsd reads the two in different ways.
        answer = json.dumps(answer, separators=(",", ":") if self.requests % 2 else None).encode()
        if self.random.random() < faults.drop:   # taken, and the answer is torn
            handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
                                % len(answer) + answer[:len(answer) // 2])
            handler.connection.shutdown(socket.SHUT_RDWR)
            handler.close_connection = True
            return
        self.send(handler, 200, answer)

    def take(self, items, faults):
        answers, errors = [], False
        with self.lock:
            for name, document in items:
                if faults.item_429 and self.random.random() < faults.item_429:
                    error = {"type": "es_rejected_execution_exception", "reason": "rejected execution"}
                    answers.append({"create": {"status": 429, "error": error}})
                elif faults.poison(document):
                    self.poisoned.add(name)
                    error = {"type": "mapper_parsing_exception", "reason": "failed to parse"}
                    answers.append({"create": {"status": 400, "error": error}})
                elif name in self.documents:
                    self.arrivals += 1
                    if self.documents[name] != document["message"]:
                        self.mistakes.append(f"{name} is {self.documents[name]!r} and {document['message']!r}")
                    error = {"type": "version_conflict_engine_exception", "reason": "document already exists"}
                    answers.append({"create": {"status": 409, "error": error}})
                else:
                    self.arrivals += 1
                    self.documents[name] = document["message"]
                    answers.append({"create": {"status": 201}})
                errors = errors or "error" in answers[-1]["create"]
        return {"errors": errors, "items": answers}

    @staticmethod
    def send(handler, status, body):
        handler.send_response(status)
        if body:
            handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    def numbers(self):
        """How often each number of "entry N ..." is there under an id of its own."""
        counts = {}
        with self.lock:
            messages = list(self.documents.values())
        for message in messages:
            number = int(message.split()[1])
            counts[number] = counts.get(number, 0) + 1
        return counts
