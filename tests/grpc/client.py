"""A gRPC client that finds its service by xDS: steady calls, each once, none repeated.

    GRPC_XDS_BOOTSTRAP=FILE client.py TARGET LANE...

Each lane calls one method, such as `fast` or `slow300`, one call after the other. After every few
calls a line of JSON tells what has come back so far. When standard input ends, the calls in progress
are waited for and the last line follows.
"""

import collections
import json
import sys
import threading
import time

import grpc

PAUSE_S = 0.004
REPORT_S = 0.05
PATIENCE_S = 30.0


class Tally:
    def __init__(self):
        self.lock = threading.Lock()
        self.requests = self.failed = 0
        self.told = []
        self.by_version = collections.Counter()
        self.by_instance = collections.Counter()

    def take(self, answer, failure):
        with self.lock:
            self.requests += 1
            if failure:
                self.failed += 1
                self.told = (self.told + [f"{time.time():.3f} {failure}"])[:20]
            else:
                self.by_version[answer["version"]] += 1
                self.by_instance[answer["instance"]] += 1

    def show(self, ended):
        with self.lock:
            line = {
                "requests": self.requests,
                "failed": self.failed,
                "told": self.told,
                "byVersion": self.by_version,
                "byInstance": self.by_instance,
                "ended": ended,
            }
            print(json.dumps(line), flush=True)


def lane(channel, method, tally, stop):
    call = channel.unary_unary(f"/tidegate.test.Who/{method}")
    while not stop.is_set():
        try:
            tally.take(json.loads(call(b"", timeout=PATIENCE_S)), None)
        except grpc.RpcError as error:
            tally.take(None, f"{error.code()}: {error.details()}")
        time.sleep(PAUSE_S)


def main():
    target, *methods = sys.argv[1:]
    tally, stop = Tally(), threading.Event()
    ended = threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True)
    ended.start()
    with grpc.insecure_channel(target) as channel:
        lanes = [threading.Thread(target=lane, args=(channel, m, tally, stop)) for m in methods]
        for each in lanes:
            each.start()
        while not stop.wait(REPORT_S):
            tally.show(False)
        for each in lanes:
            each.join()
    tally.show(True)


main()
