"""The ears of a pod: runs commands beside a server for whoever knows the token. Standard library only; `exec_agent.py FOLDER PORT`.

    -> {"token": T, "argv": [...], "env": {...}}\n, then the input as `<length>\n<bytes>` ..., ended by `0\n`
    <- {"status": N, "size": M}\n and M bytes of output, then it closes

A loop of `sh` in the server's image runs the scripts that are written to FOLDER; two pipes there say what to run and what is done.
"""

import hmac
import json
import os
import re
import socket
import sys
import threading
from select import select

GONE = 255  # the status of a command whose loop ended while it ran
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
waiting = {}
begun = set()
lock = threading.Lock()


def main(folder, port):
    os.umask(0o077)
    pipes = [os.path.join(folder, name) for name in ("todo", "done")]
    for pipe in (pipe for pipe in pipes if not os.path.exists(pipe)):
        os.mkfifo(pipe)
    # Opened for both: then neither side ever waits for the other to open it, and nobody reads an end of file.
    todo, done = (os.open(pipe, os.O_RDWR) for pipe in pipes)
    with socket.create_server(("127.0.0.1", port)) as server:
        threading.Thread(target=hear, args=(done,), daemon=True).start()
        print(f"listening on {server.getsockname()[1]}", flush=True)
        while True:
            threading.Thread(target=serve, args=(server.accept()[0], folder, todo), daemon=True).start()


def hear(done):
    """Lines of NUMBER STATUS from the loop; what it had begun before it was started anew is lost."""
    with open(done, "rb", closefd=False) as lines:
        for line in lines:
            number, status = line.decode().split()
            with lock:
                if status == "begun":
                    begun.add(number)
                    continue
                for each in begun.copy() if number == "restarted" else (number,):
                    begun.discard(each)
                    if each in waiting:
                        waiting.pop(each).send(b"%d" % (GONE if number == "restarted" else int(status)))


def serve(connection, folder, todo):
    number = os.urandom(8).hex()
    with connection, connection.makefile("rb") as stream:
        try:
            request = json.loads(stream.readline())
            if not hmac.compare_digest(str(request["token"]).encode(), os.environ["ENVCTL_HANDS_TOKEN"].encode()):
                return answer(connection, 126, b"the token is wrong\n")
            write(folder, number, request, stream)
            status = run(connection, folder, number, todo)
            with open(os.path.join(folder, f"{number}.out"), "ab+") as output:
                connection.sendall(json.dumps({"status": status, "size": output.tell()}).encode() + b"\n")
                output.seek(0)
                connection.sendfile(output)
        except (ValueError, LookupError, TypeError) as error:
            answer(connection, 126, f"this is not a request: {error!r}\n".encode())
        except OSError as error:
            print(f"{number}: {error}", file=sys.stderr, flush=True)
        finally:
            for each in (entry.path for entry in os.scandir(folder) if entry.name.startswith(f"{number}.")):
                os.unlink(each)


def answer(connection, status, text):
    connection.sendall(json.dumps({"status": status, "size": len(text)}).encode() + b"\n" + text)
    connection.shutdown(socket.SHUT_WR)  # closed with input that nobody has read, it would be reset, and the answer lost
    connection.settimeout(5)
    while connection.recv(1 << 16):
        pass


def write(folder, number, request, stream):
    """The script of a request, and its input. The script becomes the program, so that its process is the one to kill."""
    env = request.get("env") or {}
    lines = [f"echo $$ > {quoted(os.path.join(folder, number + '.pid'))}"]
    lines += [f"export {name}={quoted(value)}" for name, value in env.items() if NAME.fullmatch(name)]
    odd = [f"{name}={value}" for name, value in env.items() if not NAME.fullmatch(name)]
    lines.append(" ".join(["exec", *map(quoted, [*(["env", *odd] if odd else []), *request["argv"]])]))
    with open(os.path.join(folder, f"{number}.run"), "w", encoding="utf-8", errors="surrogateescape", newline="") as script:
        script.write("\n".join(lines) + "\n")
    with open(os.path.join(folder, f"{number}.in"), "wb") as spool:
        while size := int(stream.readline()):
            while size:
                if not (piece := stream.read(min(size, 1 << 16))):
                    raise ConnectionError("the client went before the end of its input")
                spool.write(piece)
                size -= len(piece)


def quoted(text):
    return "'" + str(text).replace("'", "'\\''") + "'"


def run(connection, folder, number, todo):
    """The status; a client that has gone takes its command with it."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        with lock:
            waiting[number] = theirs
        os.write(todo, f"run {number}\n".encode())
        while ours not in (ready := select([ours, connection], [], [])[0]):
            if ready and not connection.recv(1 << 16):
                with lock:
                    waiting.pop(number, None)
                with open(os.path.join(folder, f"{number}.pid")) as pid:
                    os.write(todo, f"kill {pid.read().strip()}\n".encode())
                raise ConnectionError("the client has gone, and its command with it")
        return int(ours.recv(16))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
