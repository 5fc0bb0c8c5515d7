"""An instance of a gRPC service, for the tests: it answers every call with who it is.

    instance.py VERSION INSTANCE

It chooses a port, and its first line says which address it has. A call of `/…/slow300` or `/…/slow2s`
takes that long; the health check of gRPC is answered as well. It ends when its standard input does.
"""

import json
import re
import sys
import threading
import time
from concurrent import futures

import grpc

SERVING = b"\x08\x01"  # grpc.health.v1.HealthCheckResponse{status: SERVING}
UNITS = {"s": 1.0, "": 0.001}


class Answer(grpc.GenericRpcHandler):
    def __init__(self, version, instance):
        self.who = json.dumps({"version": version, "instance": instance}).encode()

    def service(self, call):
        if call.method == "/grpc.health.v1.Health/Check":
            return grpc.unary_unary_rpc_method_handler(lambda request, context: SERVING)
        slow = re.search(r"/slow(\d+)(s?)$", call.method)
        pause = int(slow[1]) * UNITS[slow[2]] if slow else 0.0

        def answer(request, context):
            time.sleep(pause)
            return self.who

        return grpc.unary_unary_rpc_method_handler(answer)


def main():
    version, instance = sys.argv[1:]
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=32))
    server.add_generic_rpc_handlers([Answer(version, instance)])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(f"127.0.0.1:{port}", flush=True)
    sys.stdin.read()
    server.stop(None).wait()


main()
